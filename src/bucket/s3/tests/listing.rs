//! Pages that no real server gives on demand.

use super::*;

pub(super) fn page(encoded: bool, contents: &str) -> String {
    let encoding = if encoded { "<EncodingType>url</EncodingType>" } else { "" };
    let body = format!(
        "<?xml version=\"1.0\"?><ListBucketResult><Name>kbase</Name>{encoding}{contents}\
         </ListBucketResult>"
    );
    answer(200, &[("Content-Type", "application/xml")], &body)
}

pub(super) fn entry(key: &str) -> String {
    format!(
        "<Contents><Key>{key}</Key><Size>3</Size><ETag>&quot;v1&quot;</ETag>\
         <LastModified>2024-01-02T03:04:05.678Z</LastModified></Contents>"
    )
}

async fn list(
    location: &str,
    answer: String,
    request: ListRequest,
) -> (Result<ListPage>, Vec<String>) {
    let script = Script::start([answer]).await;
    let listed = script.bucket(location, false).list(&Call::default(), request).await;
    (listed, script.asked())
}

async fn keys(location: &str, page: String) -> Vec<String> {
    let (listed, _) = list(location, page, ListRequest::default()).await;
    listed.expect(location).objects.into_iter().map(|object| object.key).collect()
}

#[tokio::test]
async fn a_page_is_asked_for_below_the_root_and_read_relative_to_it() {
    let contents = format!(
        "<IsTruncated>true</IsTruncated><NextContinuationToken>t+1=</NextContinuationToken>{}{}\
         <CommonPrefixes><Prefix>docs/a/b/</Prefix></CommonPrefixes>",
        entry("docs/a/x"),
        entry("docs/a/y").replace("</Contents>", "<StorageClass>GLACIER</StorageClass></Contents>"),
    );
    let request = ListRequest {
        prefix: "a/".into(),
        one_level: true,
        start_after: Some("a/w".into()),
        max_keys: Some(3),
        token: None,
    };
    let (listed, asked) = list("s3://kbase/docs", page(true, &contents), request.clone()).await;
    let listed = listed.expect("a page");
    assert_eq!(listed.prefixes, ["a/b/"]);
    assert_eq!((listed.next.as_deref(), listed.truncated), (Some("t+1="), true));
    let [x, y] = &listed.objects[..] else { panic!("{listed:?}") };
    assert_eq!((x.key.as_str(), x.size, &*x.etag.0, x.archived), ("a/x", 3, "v1", false));
    assert_eq!(x.modified, Some(1_704_164_645_678));
    assert!(y.archived);
    for part in [
        "list-type=2",
        "encoding-type=url",
        "prefix=docs%2Fa%2F",
        "start-after=docs%2Fa%2Fw",
        "delimiter=%2F",
        "max-keys=3",
    ] {
        assert!(asked[0].contains(part), "{part}: {}", asked[0]);
    }
    let request = ListRequest { token: Some("t+1=".into()), ..request };
    let (_, asked) = list("s3://kbase/docs", page(true, &contents), request).await;
    assert!(asked[0].contains("continuation-token=t%2B1%3D"), "{}", asked[0]);
    assert!(!asked[0].contains("start-after"), "{}", asked[0]);
}

#[tokio::test]
async fn keys_are_decoded_as_the_page_spells_them() {
    let aws = page(true, &(entry("a+b") + &entry("a%2Bb") + &entry("%01") + &entry("100%25")));
    assert_eq!(keys("s3://kbase", aws).await, ["a b", "a+b", "\u{1}", "100%"]);
    let garage = page(true, &(entry("a%20b") + &entry("a+b")));
    assert_eq!(keys("s3://kbase", garage).await, ["a b", "a+b"]);
    let raw = page(false, &(entry("a+b%20") + &entry("&lt;é")));
    assert_eq!(keys("s3://kbase", raw).await, ["a+b%20", "<é"]);
    let slashes = page(true, &(entry("/x/") + &entry("/x//y")));
    assert_eq!(keys("s3://kbase//x", slashes).await, ["", "/y"]);
}

#[tokio::test]
async fn a_key_that_no_request_can_name_is_reported() {
    let contents = entry("d/%FF%20a") + &entry("d/b");
    let (listed, _) = list("s3://kbase/d", page(true, &contents), ListRequest::default()).await;
    let listed = listed.expect("a page");
    assert_eq!(listed.unaddressable, ["%FF%20a"]);
    assert_eq!(listed.objects.len(), 1);
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_costs_the_others_nothing() {
    let no_etag = entry("d/\u{202e}a").replace("<ETag>&quot;v1&quot;</ETag>", "");
    let contents = no_etag + &entry("d/b");
    let (listed, _) = list("s3://kbase/d", page(true, &contents), ListRequest::default()).await;
    let listed = listed.expect("a page");
    assert_eq!(listed.unaddressable, ["%E2%80%AEa"]);
    assert_eq!(listed.objects.len(), 1);
    // The same name in NFC and in NFD, and a name that has nothing to do with it.
    let contents = entry("d/e%CC%81/x") + &entry("d/%C3%A9/y") + &entry("d/f");
    for (asked, key) in [("é/", "é/y"), ("e\u{301}/", "e\u{301}/x")] {
        let request = ListRequest { prefix: asked.into(), ..Default::default() };
        let (listed, _) = list("s3://kbase/d", page(true, &contents), request).await;
        let listed = listed.expect("a page");
        assert_eq!(listed.objects.iter().map(|o| &*o.key).collect::<Vec<_>>(), [key]);
        assert_eq!(listed.unaddressable, ["f"], "{asked}");
    }
}

#[tokio::test]
async fn the_marker_of_the_root_is_the_object_without_a_name() {
    let contents = entry("d/") + &entry("d/b");
    let (listed, _) = list("s3://kbase/d", page(true, &contents), ListRequest::default()).await;
    let listed = listed.expect("a page");
    assert_eq!(listed.unaddressable, [] as [&str; 0]);
    let [root, other] = &listed.objects[..] else { panic!("{listed:?}") };
    assert_eq!((root.key.as_str(), root.is_marker(), other.key.as_str()), ("", false, "b"));
    assert!(Object { size: 0, ..root.clone() }.is_marker());
}

#[tokio::test]
async fn a_listing_that_cannot_be_trusted_is_refused() {
    let html = answer(200, &[("Content-Type", "text/html")], "<!DOCTYPE html><html></html>");
    for (fault, part) in [
        (page(true, &entry("e/a")), "outside of the location"),
        (page(true, &entry("d/a").replace("<Size>3</Size>", "")), "no size"),
        (html, "web page"),
        (answer(200, &[], "{\"hello\": 1}"), "not the S3 protocol"),
        (answer(404, &[], "not found"), "refuses the request (404)"),
    ] {
        let (listed, _) = list("s3://kbase/d", fault, ListRequest::default()).await;
        let error = listed.expect_err(part);
        assert_eq!(error.kind(), Kind::Protocol);
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn an_error_inside_a_success_is_an_error() {
    let slow = answer(200, &[("Content-Type", "application/xml")], &error_document("SlowDown"));
    let script = Script::start([slow, page(true, &entry("a"))]).await;
    let call = Call::default();
    let listed = script.bucket("s3://kbase", false).list(&call, ListRequest::default()).await;
    assert_eq!(listed.expect("the second try").objects.len(), 1);
    assert_eq!((call.meter.cost().list_requests, call.meter.cost().retries), (2, 1));
}

#[tokio::test]
async fn anonymous_requests_are_not_signed() {
    let script = Script::start([refusal(403, "AccessDenied")]).await;
    let bucket = script.bucket("s3://kbase", true);
    let error = bucket.list(&Call::default(), ListRequest::default()).await.expect_err("refused");
    assert_eq!(header(&script.asked()[0], "authorization"), None);
    assert!(error.to_string().contains("not public"), "{error}");
}
