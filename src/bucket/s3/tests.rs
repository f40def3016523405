//! The client against a server that says exactly what it is told to: faults no real server
//! produces on demand.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

mod listing;

use listing::{entry, page};

use super::*;
use crate::bucket::ETag;

/// Gives each request the next answer, closes the connection after it, and keeps what was asked.
struct Script {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    async fn start(answers: impl IntoIterator<Item = String>) -> Self {
        let mut answers: VecDeque<String> = answers.into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        tokio::spawn(async move {
            let mut silent = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                if head.is_empty() {
                    continue;
                }
                heard.lock().expect("whole").push(String::from_utf8_lossy(&head).into_owned());
                let answer = answers.pop_front().unwrap_or_else(|| refusal(500, "NothingLeft"));
                if answer == SILENCE {
                    silent.push(stream);
                    continue;
                }
                stream.write_all(answer.as_bytes()).await.expect("the client reads");
                stream.shutdown().await.expect("the client is there");
            }
        });
        Self { address, asked }
    }

    fn bucket(&self, location: &str, anonymous: bool) -> S3Bucket {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT_URL", &self.address),
        ];
        let mut settings = Settings::from_env(&|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        });
        settings.anonymous = anonymous;
        let location = Location::parse(location).expect("a location");
        S3Bucket::open(&location, &settings, Permits::new(4), &Platform::tokio()).expect("opens")
    }

    async fn diagnosis(&self, call: &Call, platform: &Platform) -> Vec<crate::config::Finding> {
        let location = Location::parse("s3://kbase").expect("a location");
        let settings = Settings::from_env(&|name| match name {
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("x".to_owned()),
            "AWS_ENDPOINT_URL" => Some(self.address.clone()),
            _ => None,
        });
        diagnose::run(&location, &settings, &Permits::new(4), platform, call).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("whole").clone()
    }
}

/// Instead of an answer: a connection that stays open.
const SILENCE: &str = "silence";

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status} Whatever\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers.iter().any(|(name, _)| matches!(*name, "Content-Length" | "Transfer-Encoding")) {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}")
}

fn refusal(status: u16, code: &str) -> String {
    answer(status, &[("Content-Type", "application/xml")], &error_document(code))
}

fn error_document(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>bucket kbase</Message></Error>"
    )
}

const ETAG: (&str, &str) = ("ETag", "\"v1\"");

fn object(key: &str, size: u64) -> Object {
    Object { key: key.into(), size, etag: ETag("v1".into()), modified: None, archived: false }
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = request.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Gets bytes 0 to 9 (or `range`) of an object of ten bytes.
async fn get(
    answers: impl IntoIterator<Item = String>,
    range: std::ops::Range<u64>,
) -> (Result<Got>, Vec<String>, crate::bucket::Cost) {
    let script = Script::start(answers).await;
    let call = Call::default();
    let request = GetRequest { object: object("a b", 10), range };
    let got = script.bucket("s3://kbase/docs", false).get(&call, request).await;
    (got, script.asked(), call.meter.cost())
}

async fn refused(answer: String, range: std::ops::Range<u64>) -> Error {
    let (got, asked, _) = get([answer], range).await;
    assert_eq!(asked.len(), 1, "it was tried again: {asked:?}");
    got.expect_err("it is refused")
}

#[tokio::test]
async fn a_whole_object_is_one_request_pinned_to_its_version() {
    let headers = [ETAG, ("Content-Type", "text/plain"), ("Content-Encoding", "aws-chunked, GZip")];
    let (got, asked, cost) = get([answer(200, &headers, "0123456789")], 0..10).await;
    let got = got.expect("bytes");
    assert_eq!(&got.bytes[..], b"0123456789");
    assert_eq!(got.headers.content_encoding.as_deref(), Some("gzip"));
    assert_eq!(got.headers.content_type.as_deref(), Some("text/plain"));
    let [request] = &asked[..] else { panic!("{asked:?}") };
    assert!(request.starts_with("GET /kbase/docs/a%20b?"), "{request}");
    assert_eq!(header(request, "if-match"), Some("\"v1\""));
    assert_eq!(header(request, "range"), None);
    assert_eq!(header(request, "accept-encoding"), Some("identity"));
    assert_eq!(header(request, "x-amz-checksum-mode"), None);
    let signed = header(request, "authorization").expect("it is signed");
    assert!(!signed.contains("accept-encoding"), "{signed}");
    assert_eq!((cost.get_requests, cost.bytes_fetched, cost.retries), (1, 10, 0));
}

#[tokio::test]
async fn a_broken_body_is_taken_up_where_it_broke() {
    let cut =
        answer(206, &[ETAG, ("Content-Range", "bytes 2-8/10"), ("Content-Length", "7")], "234");
    let rest = answer(206, &[ETAG, ("Content-Range", "bytes 5-8/10")], "5678");
    let (got, asked, cost) = get([cut, rest], 2..9).await;
    assert_eq!(&got.expect("bytes").bytes[..], b"2345678");
    let ranges: Vec<_> = asked.iter().map(|request| header(request, "range")).collect();
    assert_eq!(ranges, [Some("bytes=2-8"), Some("bytes=5-8")]);
    assert!(asked.iter().all(|request| header(request, "if-match") == Some("\"v1\"")));
    assert_eq!((cost.get_requests, cost.bytes_fetched, cost.retries), (2, 7, 1));
}

#[tokio::test]
async fn a_body_taken_up_never_mixes_versions() {
    let cut = answer(200, &[ETAG, ("Content-Length", "10")], "01234");
    let other = [("ETag", "\"v2\""), ("Content-Range", "bytes 5-9/10")];
    let (got, asked, _) = get([cut, answer(206, &other, "56789")], 0..10).await;
    assert_eq!(got.expect_err("another version").kind(), Kind::Changed);
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn passing_faults_are_tried_again() {
    let good = || answer(200, &[ETAG], "0123456789");
    for fault in [
        refusal(503, "SlowDown"),
        refusal(500, "InternalError"),
        refusal(429, ""),
        refusal(408, "RequestTimeout"),
        refusal(403, "TooManyRequests"),
        answer(502, &[("Content-Type", "text/html")], "<html>bad gateway</html>"),
        answer(200, &[("Content-Type", "application/xml")], &error_document("SlowDown")),
        String::new(),
        "HTTP/1.1 200 OK\r\nContent-Le".to_owned(),
    ] {
        let (got, asked, cost) = get([fault.clone(), good()], 0..10).await;
        assert_eq!(&got.unwrap_or_else(|e| panic!("{fault}: {e}")).bytes[..], b"0123456789");
        assert_eq!((asked.len(), cost.get_requests, cost.retries), (2, 2, 1), "{fault}");
    }
}

#[tokio::test]
async fn lasting_faults_are_told_at_once_each_in_its_own_way() {
    let html = answer(200, &[("Content-Type", "text/html")], "<html>log in</html>");
    let ranged = |text| answer(206, &[ETAG, ("Content-Range", text)], "2345");
    for (fault, range, kind, part) in [
        (refusal(412, "PreconditionFailed"), 0..10, Kind::Changed, "changed"),
        (refusal(416, "InvalidRange"), 0..10, Kind::Changed, "changed"),
        (answer(200, &[("ETag", "\"v2\"")], "0123456789"), 0..10, Kind::Changed, "changed"),
        (refusal(404, "NoSuchKey"), 0..10, Kind::NotFound, "not there any more"),
        (refusal(404, "NoSuchBucket"), 0..10, Kind::NoBucket, "bucket does not exist"),
        (refusal(403, "AccessDenied"), 0..10, Kind::Forbidden, "reading this object"),
        (refusal(403, ""), 0..10, Kind::Forbidden, "reading this object"),
        (refusal(403, "InvalidObjectState"), 0..10, Kind::Archived, "archived"),
        (refusal(400, "Odd"), 0..10, Kind::Protocol, "400 Odd"),
        (refusal(501, "NotImplemented"), 0..10, Kind::Protocol, "not implement"),
        (html, 0..10, Kind::Protocol, "web page"),
        (answer(200, &[], "0123456789"), 0..10, Kind::Protocol, "names no version"),
        (answer(200, &[ETAG], "decompressed"), 0..10, Kind::Undecodable, "another length"),
        (answer(200, &[ETAG], "0123456789"), 2..6, Kind::Protocol, "ignores the range"),
        (ranged("bytes 1-4/10"), 2..6, Kind::Protocol, "another range"),
        (ranged("bytes 2-5/11"), 2..6, Kind::Undecodable, "another length"),
        (ranged("bites"), 2..6, Kind::Protocol, "Content-Range"),
    ] {
        let error = refused(fault.clone(), range).await;
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{fault}: {text}");
        assert!(text.contains(part), "{fault}: {text}");
        assert!(!format!("{error:?}").contains("kbase"), "{error:?}");
    }
}

#[tokio::test]
async fn never_more_bytes_than_asked_for() {
    let chunked = [ETAG, ("Transfer-Encoding", "chunked")];
    let more = answer(200, &chunked, "b\r\n0123456789a\r\n0\r\n\r\n");
    assert_eq!(refused(more, 0..10).await.kind(), Kind::Undecodable);
    let fits = answer(200, &chunked, "a\r\n0123456789\r\n0\r\n\r\n");
    assert_eq!(&get([fits], 0..10).await.0.expect("bytes").bytes[..], b"0123456789");
}

#[tokio::test]
async fn a_body_that_breaks_behind_its_last_byte_is_whole() {
    let chunked = [ETAG, ("Transfer-Encoding", "chunked")];
    let (got, asked, _) = get([answer(200, &chunked, "a\r\n0123456789\r\n")], 0..10).await;
    assert_eq!(&got.expect("bytes").bytes[..], b"0123456789");
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn a_header_nobody_reads_harms_nobody() {
    let headers = [ETAG, ("Last-Modified", "yesterday"), ("x-amz-mp-parts-count", "many")];
    let (got, _, _) = get([answer(200, &headers, "0123456789")], 0..10).await;
    assert!(got.is_ok(), "{got:?}");
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline() {
    let script = Script::start([refusal(503, "SlowDown")]).await;
    let bucket = script.bucket("s3://kbase", false);
    let request = GetRequest { object: object("a", 10), range: 0..10 };
    let call = Call { deadline: Some(Duration::ZERO), ..Default::default() };
    let error = bucket.get(&call, request.clone()).await.expect_err("it is too late");
    assert_eq!((error.kind(), script.asked().len()), (Kind::Deadline, 0));
    // A pause that Retry-After asks for and the deadline has no room for is not begun.
    let slow = answer(503, &[("Retry-After", "30")], &error_document("SlowDown"));
    let script = Script::start([slow]).await;
    let bucket = script.bucket("s3://kbase", false);
    let deadline = bucket.platform.monotonic() + Duration::from_secs(5);
    let call = Call { deadline: Some(deadline), ..Default::default() };
    let error = bucket.get(&call, request).await.expect_err("no time left");
    assert_eq!((error.kind(), script.asked().len()), (Kind::Deadline, 1));
    assert!(bucket.platform.monotonic() < deadline);
}

#[tokio::test]
async fn a_silent_server_is_given_up_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let script = Script { address, asked: Arc::default() };
    let bucket = script.bucket("s3://kbase", false);
    let deadline = bucket.platform.monotonic() + Duration::from_millis(50);
    let call = Call { deadline: Some(deadline), ..Default::default() };
    let error = bucket.list(&call, ListRequest::default()).await.expect_err("nobody answers");
    assert_eq!(error.kind(), Kind::Deadline);
}

#[tokio::test]
async fn odd_keys_are_asked_for_as_they_are() {
    for (location, key, path) in [
        ("s3://kbase", "/a//b", "/kbase//a//b?"),
        ("s3://kbase", "a/../b/.", "/kbase/a/../b/.?"),
        ("s3://kbase", " ", "/kbase/%20?"),
        ("s3://kbase", "\u{3000}", "/kbase/%E3%80%80?"),
        ("s3://kbase//x", "y+%2F\u{1}", "/kbase//x/y%2B%252F%01?"),
    ] {
        let script = Script::start([answer(200, &[ETAG], "0")]).await;
        let bucket = script.bucket(location, false);
        let request = GetRequest { object: object(key, 1), range: 0..1 };
        let got = bucket.get(&Call::default(), request).await;
        assert!(got.is_ok(), "{key:?}: {got:?}");
        let asked = script.asked();
        assert!(asked[0].starts_with(&format!("GET {path}")), "{key:?}: {}", asked[0]);
    }
}

#[tokio::test]
async fn a_diagnosis_ends_at_its_deadline() {
    let byte = answer(206, &[ETAG, ("Content-Range", "bytes 1-1/3")], "x");
    let script = Script::start([page(true, &entry("a")), byte, SILENCE.to_owned()]).await;
    let platform = Platform::tokio();
    let deadline = platform.monotonic() + Duration::from_secs(1);
    let call = Call { deadline: Some(deadline), ..Default::default() };
    let look = script.diagnosis(&call, &platform);
    let findings = tokio::time::timeout(Duration::from_secs(20), look).await.expect("an end");
    let last = findings.last().expect("findings");
    assert_eq!((last.what.as_str(), last.ok), ("If-Match", false), "{findings:#?}");
    assert_eq!(call.meter.cost().get_requests, 2);
}

#[tokio::test]
async fn a_diagnosis_says_what_the_server_ignores() {
    let date = ("Date", "Tue, 02 Jan 2024 03:04:05 GMT");
    let listing = entry("a") + &entry("b");
    let dated =
        page(true, &listing).replacen("\r\n", &format!("\r\n{}: {}\r\n", date.0, date.1), 1);
    let byte = answer(206, &[ETAG, date, ("Content-Range", "bytes 1-1/3")], "x");
    let ignored = answer(206, &[ETAG, ("Content-Range", "bytes 0-0/3")], "x");
    let script = Script::start([dated, byte, ignored, page(true, &listing)]).await;
    let findings = script.diagnosis(&Call::default(), &Platform::tokio()).await;
    let wrong: Vec<_> = findings.iter().filter(|f| !f.ok).map(|f| f.what.as_str()).collect();
    assert_eq!(wrong, ["clock", "If-Match", "start-after"], "{findings:#?}");
    assert!(findings.iter().any(|f| f.detail.contains("days ahead of")), "{findings:#?}");
}
