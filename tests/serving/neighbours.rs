//! One client, one customer or one bucket that misbehaves, and the others that must not notice.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    client::{connect, send},
    program::{Serving, kb},
    tenants::{new_token, tenant},
};
use crate::support::{Fault, Rule, TestServer};

/// With and without a route that reads a body, and before and behind the token.
#[test]
fn bodies_that_do_not_come_hold_no_place() {
    let (token, digest) = new_token();
    let root = kb().display().to_string();
    let config = "[server]\nmax_connections = 20\n".to_owned() + &tenant("a", &digest, &root, "");
    let server = Serving::with(&[], Some(&config), &[]);
    for target in ["GET /openapi.json", "POST /v1/list"] {
        let head = format!(
            "{target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
        );
        let held: Vec<TcpStream> = (0..60)
            .map(|_| {
                let mut stream = connect(server.address);
                // One that gave way is closed.
                drop(stream.write_all(head.as_bytes()));
                stream
            })
            .collect();
        server.get("/healthz", &[]).is(200);
        server.call_as(Some(&token), "list", &json!({"path": "/"}), &[]).is(200);
        drop(held);
    }
    // Nobody waits for a body that nobody reads.
    let mut stream = connect(server.address);
    let head = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).expect("it listens");
    let mut start = [0; 12];
    stream.read_exact(&mut start).expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_hangs_takes_its_share_and_no_more() {
    let (hanging, healthy) = (TestServer::start().await, TestServer::start().await);
    for n in 0..100 {
        hanging.store().put(format!("{n:03}.md"), "text\n");
    }
    healthy.store().put("page.md", "text\n");
    hanging.faults().add(Rule::gets(Fault::Hang));
    let ((slow, slow_digest), (other, other_digest)) = (new_token(), new_token());
    let endpoint = |server: &TestServer| {
        let name = "AWS_ENDPOINT_URL_S3";
        let env = server.env();
        env.iter().find(|(key, _)| *key == name).map(|(_, url)| url.clone()).expect("an endpoint")
    };
    let at = |name: &str, digest: &str, server: &TestServer| {
        let mount = tenant(name, digest, &server.location(""), "");
        format!("{mount}endpoint = '{}'\n", endpoint(server))
    };
    let config = at("slow", &slow_digest, &hanging) + &at("other", &other_digest, &healthy);
    let server = Serving::with(&["--concurrency", "8"], Some(&config), &hanging.env());
    let body = json!({"pattern": "text"}).to_string();
    let greps: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut stream = connect(server.address);
            let request = format!(
                "POST /v1/grep HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {slow}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(request.as_bytes()).expect("it listens");
            stream
        })
        .collect();
    let until = Instant::now() + Duration::from_secs(20);
    while hanging.counts().gets < 2 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Two of the eight requests hang, and stay so until they are given up after ten seconds.
    let read = server.call_as(Some(&other), "read", &json!({"path": "/page.md"}), &[]).is(200);
    assert_eq!(read.json()["lines"][0]["text"], "text", "{read}");
    let running = hanging.counts().running;
    assert!(running <= 2, "{running} requests hang");
    drop(greps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_not_told_how_a_bucket_is_reached() {
    let store = TestServer::start().await;
    let (token, digest) = new_token();
    let (metrics, metrics_digest) = new_token();
    let config = format!("[server]\nmetrics_token = \"{metrics_digest}\"\n")
        + &tenant("a", &digest, &store.location(""), "");
    let server = Serving::with(&["--audit-log", "audit"], Some(&config), &store.env());
    for code in ["InvalidAccessKeyId", "SignatureDoesNotMatch"] {
        store.faults().add(Rule::all(Fault::forbidden(code)));
        for format in [Value::Null, json!("text")] {
            let arguments = json!({"path": "/a.md", "format": format});
            let answer = server.call_as(Some(&token), "read", &arguments, &[]).is(503);
            let text = answer.text();
            assert!(text.contains("not available"), "{answer}");
            for word in ["key", "AWS", "region", "doctor", "credential", "signature"] {
                assert!(!text.contains(word), "{word} in {answer}");
            }
        }
    }
    // The operator finds the kind, and what the calls cost.
    let bearer = format!("Bearer {metrics}");
    let counted = server.get("/metrics", &[("Authorization", &bearer)]).is(200).text();
    let calls = "r2vfs_calls_total{tenant=\"a\",tool=\"read\",outcome=\"credentials\"} 4";
    assert!(counted.contains(calls), "{counted}");
    let lists = "r2vfs_list_requests_total{tenant=\"a\",tool=\"read\"} ";
    let sent = counted.lines().find_map(|line| line.strip_prefix(lists)).expect("a count");
    assert_eq!(sent.parse(), Ok(store.counts().lists), "{counted}");
}

#[test]
fn requests_that_come_to_nothing_are_limited_too() {
    let (token, digest) = new_token();
    let root = kb().display().to_string();
    let config = tenant("a", &digest, &root, "rate = 0.01\nburst = 1\n");
    let server = Serving::with(&[], Some(&config), &[]);
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    for _ in 0..4 {
        send(server.address, "POST", "/v1/list", &headers, b"{").is(400);
    }
    let refused = send(server.address, "POST", "/v1/list", &headers, b"{").is(429);
    assert!(refused.headers.contains_key("retry-after"), "{refused}");
    server.get("/healthz", &[]).is(200);
}

#[test]
fn a_hangup_ends_no_server() {
    let server = Serving::over(&kb());
    server.signal("-HUP");
    // A signal takes its time; a server that it ends is gone by then.
    std::thread::sleep(Duration::from_millis(500));
    server.call("list", &json!({"path": "/"})).is(200);
}
