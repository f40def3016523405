//! The JSON API, its stream, and what operators read.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::support::TestServer;

use super::{
    client::send,
    program::{Serving, kb, program},
};

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn every_tool_answers_with_its_result_beside_the_envelope() {
    let server = Serving::over(&kb());
    let cases = [
        ("list", json!({"path": "/"}), "/entries"),
        ("stat", json!({"path": "/troubleshooting/slow-down.md"}), "/size"),
        ("read", json!({"path": "/troubleshooting/slow-down.md", "limit": 3}), "/lines/2"),
        ("glob", json!({"pattern": "**/*.md", "limit": 5}), "/paths/4"),
        ("grep", json!({"pattern": "SlowDown", "output_mode": "content"}), "/files/0/lines/0"),
    ];
    for (tool, arguments, pointer) in cases {
        let answer = server.call(tool, &arguments).is(200).json();
        assert!(answer.pointer(pointer).is_some(), "{tool}: no {pointer} in {answer}");
        assert!(answer["envelope"]["cost"].is_object(), "{tool}: {answer}");
        let mut text = arguments.clone();
        text["format"] = json!("text");
        let text = server.call(tool, &text).is(200).json();
        assert!(text["text"].as_str().is_some_and(|text| !text.is_empty()), "{tool}: {text}");
        assert!(text["complete"].is_boolean() && text.get("envelope").is_none(), "{tool}: {text}");
    }
}

#[test]
fn errors_have_a_status_a_kind_and_what_to_do_next() {
    let server = Serving::over(&kb());
    let cases = [
        ("read", json!({"path": "/troubleshooting/slow-dwn.md"}), 404, "not-found", "slow-down.md"),
        ("read", json!({"path": "/a/../b"}), 400, "invalid-path", ""),
        ("read", json!({"pth": "/a"}), 400, "invalid-argument", "path"),
        ("grep", json!({"pattern": "("}), 400, "invalid-pattern", "literal"),
        ("glob", json!({"pattern": "a{b"}), 400, "invalid-pattern", ""),
        ("list", json!({"limit": 0}), 400, "invalid-argument", ""),
        ("list", json!({"pth": null}), 400, "invalid-argument", "path"),
        ("grep", json!({"pattern": "x", "context": 1001}), 400, "invalid-argument", "1000"),
        ("search", json!({"query": "x"}), 409, "no-index", "grep"),
    ];
    for (tool, arguments, status, kind, hint) in cases {
        let answer = server.call(tool, &arguments).is(status);
        assert_eq!(answer.kind(), kind, "{answer}");
        assert!(answer.json()["error"].to_string().contains(hint), "{answer}");
    }
    let post = |target: &str, headers: &[(&str, &str)], body: &str| {
        send(server.address, "POST", target, headers, body.as_bytes())
    };
    assert_eq!(post("/v1/nothing", &[JSON], "{}").is(404).kind(), "not-found");
    assert_eq!(post("/v2/list", &[JSON], "{}").is(404).kind(), "not-found");
    assert_eq!(post("/v1/list", &[], "{}").is(415).kind(), "invalid-argument");
    post("/v1/list", &[("Content-Type", "text/plain")], "{}").is(415);
    for body in ["", "{", "[]", "null", "{\"path\":\"/\"} x"] {
        assert_eq!(post("/v1/list", &[JSON], body).is(400).kind(), "invalid-argument", "{body}");
    }
    let get = server.get("/v1/list", &[]).is(405);
    assert_eq!(get.headers.get("allow").map(String::as_str), Some("POST"), "{get}");
}

fn lines(body: &str) -> Vec<Value> {
    body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_stream_gives_what_the_tool_gives_and_ends_with_the_envelope() {
    let server = Serving::over(&kb());
    let arguments = json!({"pattern": "bucket", "output_mode": "content", "limit": 100_000});
    let whole = server.call("grep", &arguments).is(200).json();
    let ndjson = [("Accept", "application/x-ndjson")];
    let stream = server.call_as(None, "grep", &arguments, &ndjson).is(200);
    assert_eq!(stream.headers["content-type"], "application/x-ndjson");
    let mut events = lines(&stream.text());
    let last = events.pop().expect("an envelope");
    assert_eq!((&last["type"], &last["complete"]), (&json!("envelope"), &json!(true)));
    assert_eq!(last["matched"], whole["envelope"]["matched"]);
    let streamed: Vec<_> =
        events.iter().map(|hit| (hit["path"].clone(), hit["line"].clone())).collect();
    let files = whole["files"].as_array().expect("files");
    let told = files.iter().flat_map(|file| {
        let lines = file["lines"].as_array().expect("lines");
        lines.iter().map(|line| (file["path"].clone(), line["line"].clone()))
    });
    assert_eq!(streamed, told.collect::<Vec<_>>());
    assert!(streamed.len() > 10 && events.iter().all(|event| event["type"] == "hit"));

    let few = json!({"pattern": "bucket", "output_mode": "count", "limit": 2});
    let events = lines(&server.call_as(None, "grep", &few, &ndjson).is(200).text());
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(events[0]["type"] == "file" && events[0]["count"].as_u64() > Some(0), "{events:?}");
    assert_eq!(events[2]["complete"], false, "the limit was reached");
    let words = |envelope: &Value| envelope["incomplete"][0]["detail"].clone();
    for (mode, limit, before) in [
        ("count", 3, 0),
        ("files_with_matches", 1, 0),
        ("content", 1, 1),
        ("content", 3, 0),
        ("content", 7, 2),
    ] {
        let cut = json!({
            "pattern": "bucket", "output_mode": mode, "limit": limit, "before": before,
        });
        let page = server.call("grep", &cut).is(200).json();
        let files = page["files"].as_array().expect("files");
        let is_match = |line: &Value| line["context"] != true;
        let has_match =
            |file: &&Value| file["lines"].as_array().expect("lines").iter().any(is_match);
        let matched = match mode {
            "content" => files.iter().filter(has_match).count(),
            _ => files.len(),
        };
        assert!(matched == files.len() && page["envelope"]["matched"] == matched, "{page}");
        let events = lines(&server.call_as(None, "grep", &cut, &ndjson).is(200).text());
        let last = events.last().expect("an envelope");
        assert_eq!(last["matched"], matched, "{cut}: {events:?}");
        assert_eq!(words(last), words(&page["envelope"]), "{cut}");
    }
    let wrong = json!({"pattern": "x", "cursor": "y"});
    assert_eq!(server.call_as(None, "grep", &wrong, &ndjson).is(400).kind(), "invalid-argument");
}

#[test]
fn operators_see_health_and_what_was_called() {
    let server = Serving::over(&kb());
    assert_eq!(server.get("/healthz", &[]).is(200).text(), "ok\n");
    assert_eq!(server.get("/readyz", &[]).is(200).text(), "ready\n");
    server.call("read", &json!({"path": "/index.md"}));
    server.call("read", &json!({"path": "/nothing.md"})).is(404);
    let labels = |outcome: &str| format!("tool=\"read\",outcome=\"{outcome}\"");
    assert_eq!(server.metric("r2vfs_calls_total", &labels("not-found")), 1);
    assert_eq!(server.metric("r2vfs_call_seconds_count", "tool=\"read\""), 2);
    assert!(server.metric("r2vfs_list_requests_total", "tool=\"read\"") > 0);
    let document = server.get("/openapi.json", &[]).is(200).json();
    assert!(document["paths"]["/v1/grep"]["post"]["requestBody"].is_object(), "{document}");
}

#[test]
fn a_name_that_is_not_ours_is_refused() {
    let server = Serving::over(&kb());
    for (header, value) in
        [("Host", "evil.test"), ("Origin", "https://evil.test"), ("Origin", "null")]
    {
        let answer = send(server.address, "POST", "/v1/list", &[JSON, (header, value)], b"{}");
        assert!(answer.is(403).text().contains(header), "{header}: {value}");
        let answer = send(server.address, "POST", "/mcp", &[JSON, (header, value)], b"{}");
        answer.is(403);
    }
    let origin = ("Origin", "http://localhost:6274");
    send(server.address, "POST", "/v1/list", &[JSON, origin], b"{}").is(200);
    send(server.address, "GET", "/healthz", &[("Host", "10.0.0.1")], b"").is(200);
}

#[test]
fn pages_of_other_origins_are_answered_where_they_are_named() {
    let root = kb().display().to_string();
    let config = "[server]\nallowed_origins = [\"https://app.test\"]\n";
    let server = Serving::with(&["-b", &root], Some(config), &[]);
    let asks = |origin| {
        let headers = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
        send(server.address, "OPTIONS", "/v1/list", &headers, b"")
    };
    let allow = "access-control-allow-origin";
    let permission = asks("https://app.test").is(204);
    assert_eq!(permission.headers[allow], "https://app.test");
    let sent = &permission.headers["access-control-allow-headers"];
    assert!(sent.contains("authorization") && sent.contains("mcp-method"), "{permission}");
    let own = [JSON, ("Origin", "https://app.test")];
    for (body, status) in [("{}", 200), ("{\"limit\": 0}", 400)] {
        let answer = send(server.address, "POST", "/v1/list", &own, body.as_bytes()).is(status);
        assert_eq!(answer.headers[allow], "https://app.test", "{answer}");
    }
    assert!(!asks("https://evil.test").is(403).headers.contains_key(allow));
    // Served, and not for pages: the loopback's own names are no names of the configuration.
    assert!(!asks("http://localhost:1").is(405).headers.contains_key(allow));
    let none = Serving::over(&kb());
    let headers = [("Origin", "http://localhost:1"), ("Access-Control-Request-Method", "POST")];
    let answer = send(none.address, "OPTIONS", "/v1/list", &headers, b"").is(405);
    assert!(!answer.headers.contains_key(allow), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_way_may_end_when_the_server_is_told_to() {
    let store = TestServer::start().await;
    store.store().fill((0..20).map(|n| (format!("{n}.md"), "needle\n")));
    store.faults().delay(Duration::from_millis(50));
    let words = ["-b", &store.location(""), "--concurrency", "2"];
    let mut server = Serving::with(&words, None, &store.env());
    let address = server.address;
    let arguments = json!({"pattern": "needle"}).to_string();
    let call = std::thread::spawn(move || {
        send(address, "POST", "/v1/grep", &[JSON], arguments.as_bytes())
    });
    while store.counts().gets < 4 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.signal("-TERM");
    let answer = call.join().expect("an answer").is(200).json();
    assert_eq!(answer["files"].as_array().map(Vec::len), Some(20), "{answer}");
    assert_eq!(answer["envelope"]["complete"], true, "{answer}");
    assert_eq!(server.wait(), Some(0));
    assert!(std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err());
}

#[test]
fn cursors_end_with_the_process_unless_a_key_is_shared() {
    let root = kb().display().to_string();
    let ask = |server: &Serving, cursor: Option<&str>| {
        server.call("glob", &json!({"pattern": "**", "limit": 1, "cursor": cursor}))
    };
    let start = |env: &[(&str, String)]| Serving::with(&["-b", &root], None, env);
    for (key, status) in [(None, 400), (Some("a secret of some length"), 200)] {
        let env: Vec<_> = key.map(|key| ("R2VFS_CURSOR_KEY", key.to_owned())).into_iter().collect();
        let (one, other) = (start(&env), start(&env));
        let page = ask(&one, None).is(200).json();
        let cursor = page["envelope"]["cursor"].as_str().expect("a cursor");
        ask(&one, Some(cursor)).is(200);
        ask(&other, Some(cursor)).is(status);
    }
}

#[test]
fn it_lets_calls_end_and_ends_with_its_parent() {
    let mut server = Serving::over(&kb());
    assert_eq!(server.end("-TERM"), Some(0));
    let server = Serving::over(&kb());
    let address = server.address;
    drop(server);
    assert!(std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err());
}

#[test]
fn what_is_open_to_everybody_is_not_served_to_the_network() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |words: &[&str]| {
        let output = program(dir.path(), words).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let root = kb().display().to_string();
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let (code, said) = run(&["-b", &root, "serve", "--listen", listen]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("nobody needs a token") && said.contains("token new"), "{said}");
    }
    fs::write(dir.path().join("c.toml"), "[[tenant]]\nname = \"a\"\n").expect("a file");
    let (code, said) = run(&["--config", "c.toml", "serve"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("c.toml") && said.contains("tokens"), "{said}");
}
