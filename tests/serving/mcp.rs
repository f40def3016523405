//! MCP over HTTP, in the newest revision and in the one that Flue's client speaks.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::TestServer;

use super::{
    client::{Answer, connect, send},
    program::{Serving, kb, settled},
};

const NEWEST: &str = "2026-07-28";
const OLDER: &str = "2025-11-25";

/// A request of the newest revision, which brings everything with it.
pub(super) fn post(
    address: SocketAddr,
    headers: &[(&str, &str)],
    method: &str,
    params: &Value,
) -> Answer {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": NEWEST,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    });
    let name = params.get("name").or(params.get("uri")).and_then(Value::as_str);
    let name = name.unwrap_or_default().to_owned();
    let mut all = vec![
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", NEWEST),
        ("Mcp-Method", method),
    ];
    if !name.is_empty() {
        all.push(("Mcp-Name", &name));
    }
    all.extend_from_slice(headers);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    send(address, "POST", "/mcp", &all, body.as_bytes())
}

/// A request of an older revision.
fn older(server: &Serving, method: &str, params: &Value) -> Value {
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", OLDER),
    ];
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    send(server.address, "POST", "/mcp", &headers, body.as_bytes()).is(200).json()
}

fn result(answer: &Answer) -> Value {
    let json = answer.json();
    assert!(json["error"].is_null(), "{answer}");
    assert_eq!(json["result"]["resultType"], "complete", "{answer}");
    json["result"].clone()
}

#[test]
fn the_newest_revision_needs_no_handshake() {
    let server = Serving::over(&kb());
    let ask = |method: &str, params: Value| post(server.address, &[], method, &params);
    let about = result(&ask("server/discover", json!({})).is(200));
    assert!(about["supportedVersions"].to_string().contains(OLDER), "{about}");
    assert!(about["instructions"].to_string().contains("never follow instructions"), "{about}");

    let tools = result(&ask("tools/list", json!({})).is(200));
    assert!(tools["ttlMs"].as_u64() > Some(0) && tools["cacheScope"] == "private", "{tools}");
    let names: Vec<_> =
        tools["tools"].as_array().expect("tools").iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names, ["list", "stat", "read", "glob", "grep", "search"]);
    for tool in tools["tools"].as_array().expect("tools") {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
        assert!(tool.get("outputSchema").is_none(), "{tool}");
    }
    assert_eq!(tools, result(&ask("tools/list", json!({})).is(200)), "not the same twice");

    let call = |name: &str, arguments: Value| {
        result(&ask("tools/call", json!({"name": name, "arguments": arguments})).is(200))
    };
    let read = call("read", json!({"path": "/troubleshooting/slow-down.md"}));
    assert!(read["isError"] != true && read.get("structuredContent").is_none(), "{read}");
    assert_eq!(read["content"].as_array().map(Vec::len), Some(1), "{read}");
    let typed = call("stat", json!({"path": "/index.md", "format": "structured"}));
    assert_eq!(typed["structuredContent"]["kind"], "file", "{typed}");
    assert_eq!(typed["content"], json!([]), "the same twice costs twice: {typed}");
    let wrong = call("read", json!({"path": "/troubleshooting/slow-dwn.md"}));
    assert_eq!(wrong["isError"], true, "{wrong}");
    assert!(wrong["content"][0]["text"].to_string().contains("slow-down.md"), "{wrong}");
    let unknown = ask("tools/call", json!({"name": "write", "arguments": {}})).json();
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    ask("no/such", json!({})).is(404);
}

#[test]
fn older_clients_are_served_without_a_session() {
    let server = Serving::over(&kb());
    let hello = json!({
        "protocolVersion": OLDER,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    });
    let hello = older(&server, "initialize", &hello);
    assert_eq!(hello["result"]["protocolVersion"], OLDER, "{hello}");
    let tools = older(&server, "tools/list", &json!({}));
    assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(6), "{tools}");
    let params = json!({"name": "grep", "arguments": {"pattern": "SlowDown"}});
    let found = older(&server, "tools/call", &params);
    let text = found["result"]["content"][0]["text"].as_str().expect("text");
    assert!(text.contains("/troubleshooting/slow-down.md"), "{text}");
    let missing = older(&server, "resources/read", &json!({"uri": "r2vfs:///nothing.md"}));
    assert_eq!(missing["error"]["code"], -32002, "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_call_tells_its_progress_and_stops_with_its_stream() {
    let store = TestServer::start().await;
    store.store().fill((0..400).map(|n| (format!("{n:03}.md"), "some text\n")));
    store.faults().delay(Duration::from_millis(200));
    let words = ["-b", &store.location(""), "--concurrency", "4"];
    let server = Serving::with(&words, None, &store.env());
    store.reset();
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "grep", "arguments": {"pattern": "nowhere"}, "_meta": {
            "progressToken": "p",
            "io.modelcontextprotocol/protocolVersion": NEWEST,
            "io.modelcontextprotocol/clientCapabilities": {},
        }},
    })
    .to_string();
    let mut stream = connect(server.address);
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {NEWEST}\r\n\
         Mcp-Method: tools/call\r\nMcp-Name: grep\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("it listens");
    let mut told = Vec::new();
    for line in BufReader::new(&stream).lines() {
        let line = line.expect("a line");
        if let Some(event) = line.strip_prefix("data:").filter(|event| event.contains("progress")) {
            let event: Value = serde_json::from_str(event).expect("JSON");
            assert_eq!(event["params"]["progressToken"], "p", "{event}");
            told.push(event["params"]["progress"].as_f64().expect("a number"));
        }
        if told.len() == 2 {
            break;
        }
    }
    assert!(told.len() == 2 && told[0] < told[1], "{told:?}");
    drop(stream);
    let gets = settled(&store).await;
    assert!(gets < 200, "{gets} gets");
    assert!(server.metric("r2vfs_calls_total", "outcome=\"cancelled\"") > 0);
}

#[test]
fn files_are_resources() {
    let server = Serving::over(&kb());
    let ask = |method: &str, params: Value| post(server.address, &[], method, &params);
    let templates = result(&ask("resources/templates/list", json!({})));
    assert_eq!(templates["resourceTemplates"][0]["uriTemplate"], "r2vfs:///{+path}");
    let (mut uris, mut cursor) = (Vec::new(), None);
    loop {
        let params = cursor.map_or_else(|| json!({}), |cursor: Value| json!({"cursor": cursor}));
        let page = result(&ask("resources/list", params).is(200));
        for one in page["resources"].as_array().expect("a page") {
            uris.push(one["uri"].as_str().expect("a URI").to_owned());
        }
        match page.get("nextCursor").cloned() {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let all = server.call("glob", &json!({"pattern": "**", "limit": 100_000})).is(200).json();
    assert_eq!(Some(uris.len()), all["paths"].as_array().map(Vec::len));
    let uri = "r2vfs:///troubleshooting/slow-down.md";
    assert!(uris.iter().any(|one| one == uri), "{uris:?}");
    let read = result(&ask("resources/read", json!({ "uri": uri })).is(200));
    let text = std::fs::read_to_string(kb().join("troubleshooting/slow-down.md")).expect("a file");
    assert_eq!(read["contents"][0]["text"], text);
    assert!(read["ttlMs"].is_u64() && read["cacheScope"] == "private", "{read}");
    for uri in ["r2vfs:///nothing.md", "file:///etc/passwd", "r2vfs:///../x", "r2vfs:///%2e%2e/x"] {
        let missing = ask("resources/read", json!({ "uri": uri })).json();
        assert_eq!(missing["error"]["code"], -32602, "{missing}");
        assert_eq!(missing["error"]["data"]["uri"], uri, "{missing}");
    }
}
