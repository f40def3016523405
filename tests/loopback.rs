//! The loopback server is what other tests are judged by, so it is judged first, over a bare
//! socket: no client of ours and no SDK may smooth anything over.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{BUCKET, Fault, Order, Quirk, Rule, Stored, TestServer, proxy::DelayProxy};

/// One request on a connection of its own: the head, and the body as far as it came.
async fn ask(
    server: &TestServer,
    target: &str,
    headers: &str,
) -> Result<(String, Vec<u8>), String> {
    let mut socket = TcpStream::connect(server.address()).await.map_err(|e| e.to_string())?;
    let request = format!(
        "GET /{BUCKET}{target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n",
        server.address()
    );
    socket.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    let end = socket.read_to_end(&mut answer).await;
    let at = answer.windows(4).position(|w| w == b"\r\n\r\n");
    let (head, body) = match at {
        Some(at) => (answer[..at].to_vec(), answer[at + 4..].to_vec()),
        None => (answer, Vec::new()),
    };
    let head = String::from_utf8_lossy(&head).to_lowercase();
    match end {
        Ok(_) => Ok((head, body)),
        Err(error) => Err(format!("{:?} after {} bytes of body", error.kind(), body.len())),
    }
}

async fn open() -> TestServer {
    let server = TestServer::start().await;
    server.faults().quirk(Quirk::Open);
    server
}

fn status(answer: &Result<(String, Vec<u8>), String>) -> &str {
    match answer {
        Ok((head, _)) => head.split(' ').nth(1).unwrap_or("no status"),
        Err(error) => error,
    }
}

/// The keys of a listing's XML, still encoded.
fn keys(answer: &Result<(String, Vec<u8>), String>) -> Vec<String> {
    let body = answer.as_ref().map(|a| String::from_utf8_lossy(&a.1).into_owned());
    let body = body.unwrap_or_default();
    let part = |p: &str| p.split_once("</Key>").map(|p| p.0.to_owned());
    body.split("<Key>").skip(1).filter_map(part).collect()
}

#[tokio::test]
async fn a_request_without_a_signature_is_refused_unless_open() {
    let server = TestServer::start().await;
    server.store().put("a", "x");
    assert_eq!(status(&ask(&server, "/a", "").await), "403");
    server.faults().quirk(Quirk::Open);
    assert_eq!(status(&ask(&server, "/a", "").await), "200");
}

#[tokio::test]
async fn conditions_and_ranges() {
    let server = open().await;
    server.store().put("k", "0123456789");
    let etag = server.store().get("k").expect("the object").etag.clone();
    assert_eq!(etag, "781e5e245d69b566979b86e28d23f2c7", "the MD5 of the content");

    let same = format!("if-match: \"{etag}\"\r\n");
    let (head, body) = ask(&server, "/k", &same).await.expect("an answer");
    assert!(head.contains(&format!("etag: \"{etag}\"")), "{head}");
    assert_eq!(body, b"0123456789");
    assert_eq!(status(&ask(&server, "/k", "if-match: \"other\"\r\n").await), "412");
    let unchanged = ask(&server, "/k", &format!("if-none-match: \"{etag}\"\r\n")).await;
    assert_eq!(status(&unchanged), "304");
    assert_eq!(unchanged.expect("an answer").1, b"");

    let (head, body) = ask(&server, "/k", "range: bytes=2-4\r\n").await.expect("an answer");
    assert!(head.contains(" 206 ") && head.contains("content-range: bytes 2-4/10"), "{head}");
    assert_eq!(body, b"234");
    let (head, body) = ask(&server, "/k", "range: bytes=8-99\r\n").await.expect("an answer");
    assert!(head.contains("content-range: bytes 8-9/10"), "{head}");
    assert_eq!(body, b"89");
    assert_eq!(status(&ask(&server, "/k", "range: bytes=10-\r\n").await), "416");
    assert_eq!(status(&ask(&server, "/none", "").await), "404");

    server.store().put_object("cold", Stored::new("x").storage_class("GLACIER"));
    let cold = ask(&server, "/cold", "").await.expect("an answer");
    assert!(String::from_utf8_lossy(&cold.1).contains("InvalidObjectState"));
}

#[tokio::test]
async fn keys_are_opaque() {
    let server = open().await;
    let long = "l".repeat(1024);
    let odd = [
        ("a//b", "/a//b", "a//b"),
        ("/a", "//a", "/a"),
        ("a/../b", "/a/../b", "a/../b"),
        ("a/./b", "/a/%2E/b", "a/./b"),
        ("a b+c", "/a%20b+c", "a+b%2Bc"),
        ("\u{1}\n", "/%01%0A", "%01%0A"),
        ("%41", "/%2541", "%2541"),
        ("\u{e9}", "/%C3%A9", "%C3%A9"),
        ("e\u{301}", "/e%CC%81", "e%CC%81"),
        (long.as_str(), &format!("/{long}"), long.as_str()),
    ];
    server.store().fill(odd.map(|(key, ..)| (key, key.to_owned())));
    for (key, target, _) in odd {
        let (head, body) = ask(&server, target, "").await.expect("an answer");
        assert_eq!(String::from_utf8_lossy(&body), key, "{head}");
    }
    let mut want: Vec<_> = odd.iter().map(|(key, _, listed)| (*key, *listed)).collect();
    want.sort();
    let want: Vec<_> = want.into_iter().map(|(_, listed)| listed).collect();
    assert_eq!(keys(&ask(&server, "?list-type=2&encoding-type=url", "").await), want);
    // A forged key: bytes that no request can name.
    server.store().put([b'z', 0xff], "x");
    let listed = keys(&ask(&server, "?list-type=2&encoding-type=url&prefix=z", "").await);
    assert_eq!(listed, ["z%FF"]);
}

#[tokio::test]
async fn pages_hold_a_thousand_and_follow_each_other() {
    let server = open().await;
    server.store().fill((0..2500).map(|n| (format!("{n:04}"), "")));
    let mut all = Vec::new();
    let mut target = "?list-type=2".to_owned();
    loop {
        let page = ask(&server, &target, "").await;
        all.extend(keys(&page));
        let body = String::from_utf8_lossy(&page.expect("an answer").1).into_owned();
        let Some((_, rest)) = body.split_once("<NextContinuationToken>") else { break };
        let token = rest.split('<').next().unwrap_or_default();
        target = format!("?list-type=2&continuation-token={token}");
    }
    assert_eq!(all, (0..2500).map(|n| format!("{n:04}")).collect::<Vec<_>>());
    assert_eq!(server.counts().lists, 3);
    let after = ask(&server, "?list-type=2&start-after=2497", "").await;
    assert_eq!(keys(&after), ["2498", "2499"]);
    server.faults().list_in(Order::Reversed);
    assert_eq!(keys(&ask(&server, "?list-type=2&max-keys=2", "").await), ["2499", "2498"]);
}

#[tokio::test]
async fn faults_meet_whom_they_are_meant_for() {
    let server = open().await;
    let content = "x".repeat(300_000);
    server.store().put("k", content.clone());
    server.store().put("other", "x");
    let faults = server.faults();

    faults.add(Rule::gets(Fault::retry_after(7)).key("k").skip(1).times(2));
    let mut seen = Vec::new();
    for target in ["/k", "/other", "/k", "/other", "/k", "/k"] {
        seen.push(status(&ask(&server, target, "").await).to_owned());
    }
    assert_eq!(seen, ["200", "200", "503", "200", "503", "200"]);
    assert_eq!(faults.hits(), 2);

    faults.add(Rule::gets(Fault::Reset).times(1));
    let reset = ask(&server, "/k", "").await.expect_err("a reset");
    assert!(reset.starts_with("ConnectionReset after "), "{reset}");
    faults.add(Rule::gets(Fault::Refuse).times(1));
    let refused = ask(&server, "/k", "").await.expect_err("a reset");
    assert_eq!(refused, "ConnectionReset after 0 bytes of body");

    faults.add(Rule::gets(Fault::Truncate).times(1));
    let (head, body) = ask(&server, "/k", "").await.expect("an orderly close");
    assert!(head.contains("content-length: 300000"), "{head}");
    assert_eq!(body.len(), 150_000);
    for (fault, length) in [(Fault::ShortBody, 299_999), (Fault::LongBody, 300_001)] {
        faults.add(Rule::gets(fault).times(1));
        let (head, body) = ask(&server, "/k", "").await.expect("an answer");
        assert!(head.contains(&format!("content-length: {length}")), "{head}");
        assert_eq!(body.len(), length);
    }

    faults.add(Rule::gets(Fault::Replace("new".into())).times(1));
    assert_eq!(ask(&server, "/k", "").await.expect("an answer").1, b"new");
    faults.quirk(Quirk::IgnoreRange);
    faults.quirk(Quirk::IgnoreIfMatch);
    let (head, body) =
        ask(&server, "/k", "range: bytes=1-1\r\nif-match: \"x\"\r\n").await.expect("an answer");
    assert!(head.contains(" 200 "), "{head}");
    assert_eq!(body, b"new");
}

#[tokio::test]
async fn what_hangs_is_counted_as_running_and_abandoned() {
    let server = open().await;
    server.store().put("k", "x".repeat(1000));
    for fault in [Fault::Hang, Fault::Stall] {
        server.faults().add(Rule::gets(fault).times(1));
        let hung = tokio::time::timeout(Duration::from_millis(200), ask(&server, "/k", "")).await;
        assert!(hung.is_err(), "an answer to a request that hangs");
    }
    assert!(server.quiet().await, "the server still works for clients that have left");
    assert_eq!((server.counts().abandoned, server.counts().most_at_once), (2, 1));
}

#[tokio::test]
async fn a_delay_is_kept_and_requests_wait_side_by_side() {
    let server = open().await;
    server.store().put("k", "x");
    server.faults().delay(Duration::from_millis(100));
    let begin = Instant::now();
    let answers = futures_util::future::join_all((0..20).map(|_| ask(&server, "/k", ""))).await;
    assert!(answers.iter().all(|a| status(a) == "200"));
    let took = begin.elapsed();
    assert!((100..1000).contains(&took.as_millis()), "{took:?}");
    assert_eq!(server.counts().most_at_once, 20);
}

#[tokio::test]
async fn listings_that_lie() {
    let server = open().await;
    server.store().fill((0..9).map(|n| (format!("{n}"), "")));
    let token = |answer: &Result<(String, Vec<u8>), String>| {
        let body = String::from_utf8_lossy(&answer.as_ref().expect("an answer").1).into_owned();
        let rest = body.split_once("<NextContinuationToken>").map(|p| p.1.to_owned());
        let token = rest.and_then(|r| r.split_once('<').map(|p| p.0.to_owned()));
        (token, body.contains("<IsTruncated>true"))
    };
    let page = |sent: &Option<String>| {
        let sent = sent.as_ref().map(|t| format!("&continuation-token={t}")).unwrap_or_default();
        format!("?list-type=2&max-keys=3{sent}")
    };
    let (first, _) = token(&ask(&server, &page(&None), "").await);
    let (second, _) = token(&ask(&server, &page(&first), "").await);
    assert_ne!(first, second);

    server.faults().quirk(Quirk::RepeatedToken);
    assert_eq!(token(&ask(&server, &page(&first), "").await), (first.clone(), true));
    server.faults().clear();
    server.faults().quirk(Quirk::Open);
    server.faults().quirk(Quirk::NoToken);
    assert_eq!(token(&ask(&server, &page(&None), "").await), (None, true));
    server.faults().clear();
    server.faults().quirk(Quirk::Open);
    server.faults().quirk(Quirk::DoubledKeys);
    let doubled = keys(&ask(&server, &page(&first), "").await);
    assert_eq!(doubled, ["2", "3", "3", "4", "5", "5"]);
}

#[tokio::test]
async fn the_proxy_adds_a_round_trip_to_each_turn_and_one_more_to_a_connection() {
    let server = open().await;
    let content = "0123456789abcdef".repeat(200_000);
    server.store().put("k", content.clone());
    let round_trip = Duration::from_millis(60);
    let proxy = DelayProxy::start(0, server.address(), round_trip).await.expect("a free port");
    let mut socket = TcpStream::connect(proxy.address()).await.expect("a connection");
    let turn = format!("GET /{BUCKET}/k HTTP/1.1\r\nhost: x\r\nrange: bytes=0-0\r\n\r\n");
    let mut times = Vec::new();
    for _ in 0..2 {
        let begin = Instant::now();
        socket.write_all(turn.as_bytes()).await.expect("a request");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n0") {
            let read = socket.read_buf(&mut answer).await.expect("an answer");
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
        }
        times.push(begin.elapsed());
    }
    // Never less than it promises; more only by what a busy machine adds.
    assert!((120..400).contains(&times[0].as_millis()), "connection and turn: {times:?}");
    assert!((60..300).contains(&times[1].as_millis()), "one turn: {times:?}");

    // More than the window, whole and in order, and the close comes after the bytes.
    let mut socket = TcpStream::connect(proxy.address()).await.expect("a connection");
    let whole = turn.replace("range: bytes=0-0", "connection: close");
    socket.write_all(whole.as_bytes()).await.expect("a request");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.ends_with(content.as_bytes()));
    assert_eq!(proxy.connections(), 2);
}
