use super::*;

fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Failure {
    let mut map = Headers::new();
    for (name, value) in headers {
        map.insert(*name, *value);
    }
    let answer = Answer { status, headers: &map, body: body.as_bytes(), now: 1_704_164_645 };
    classify(&answer, Asked::Page)
}

fn document(code: &str, more: &str) -> String {
    format!("<Error><Code>{code}</Code>{more}</Error>")
}

#[test]
fn credentials_fail_each_in_their_own_way() {
    for (status, code, part) in [
        (403, "SignatureDoesNotMatch", "secret access key"),
        (403, "InvalidAccessKeyId", "does not know the access key"),
        (400, "ExpiredToken", "fetch new temporary keys"),
        (403, "InvalidToken", "AWS_SESSION_TOKEN"),
        (401, "Unauthorized", "does not accept the credentials"),
        (401, "", "does not accept the credentials"),
    ] {
        let failure = answer(status, &[], &document(code, ""));
        assert_eq!((failure.error.kind(), failure.retry), (Kind::Credentials, Retry::Never));
        let text = failure.error.to_string();
        assert!(text.contains(part), "{code}: {text}");
    }
    let r2 = "<Message>Credential access key has length 20, should be 32</Message>";
    let failure = answer(400, &[], &document("InvalidArgument", r2));
    assert_eq!(failure.error.kind(), Kind::Credentials);
    assert_eq!(answer(400, &[], &document("InvalidArgument", "")).error.kind(), Kind::Protocol);
}

#[test]
fn a_skewed_clock_is_told_by_how_much() {
    let date = ("date", "Tue, 02 Jan 2024 02:47:05 GMT");
    let failure = answer(403, &[date], &document("RequestTimeTooSkewed", ""));
    assert_eq!(failure.error.message(), "this machine's clock is 17 minutes ahead of the server's");
    assert_eq!(skew_in_words(-90), "90 seconds behind the server's");
    assert_eq!(skew_in_words(i64::MIN + 1), "106751991167300 days behind the server's");
}

#[test]
fn a_wrong_region_is_answered_with_the_right_one() {
    let moved = answer(301, &[("x-amz-bucket-region", "eu-west-1")], "");
    let aws = "<Message>the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message>";
    let aws = answer(400, &[], &document("AuthorizationHeaderMalformed", aws));
    let element =
        answer(400, &[], &document("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"));
    let garage = "<Message>Authorization header malformed, unexpected scope: \
                  20240102/us-east-1/s3/aws4_request, expected: \
                  20240102/eu-west-1/s3/aws4_request</Message>";
    let garage = answer(400, &[], &document("AuthorizationHeaderMalformed", garage));
    for failure in [moved, aws, element, garage] {
        assert_eq!(failure.error.kind(), Kind::Config);
        let text = failure.error.to_string();
        assert!(text.contains("AWS_REGION=eu-west-1"), "{text}");
    }
    assert!(answer(307, &[], "").error.to_string().contains("AWS_REGION"));
}

#[test]
fn pauses_that_the_server_asks_for() {
    let slow = |header| answer(503, &[("retry-after", header)], &document("SlowDown", ""));
    assert_eq!(slow("7").retry, Retry::After(Duration::from_secs(7)));
    let at = slow("Tue, 02 Jan 2024 03:04:35 GMT");
    assert_eq!(at.retry, Retry::After(Duration::from_secs(30)));
    for odd in ["soon", "-1", "Tue, 02 Jan 2024 01:00:00 GMT"] {
        assert_eq!(slow(odd).retry, Retry::Soon, "{odd}");
    }
    assert_eq!(answer(503, &[], "").retry, Retry::Soon);
    assert_eq!(answer(501, &[], "").retry, Retry::Never);
}

#[test]
fn what_a_server_writes_is_not_repeated() {
    let odd = "<Code>No\u{202e}Such</Code><Message>kbase</Message><RequestId>a b</RequestId>";
    let failure = answer(400, &[], odd);
    let text = format!("{} {:?}", failure.error, failure.error);
    assert!(text.contains("(400)") && !text.contains('\u{202e}') && !text.contains("kbase"));
    let long = document(&"x".repeat(65), "");
    assert!(!answer(400, &[], &long).error.to_string().contains("xxx"));
}
