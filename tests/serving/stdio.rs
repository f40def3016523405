//! MCP on standard input and output.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::TestServer;

use super::program::{kb, program, settled};

struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    _dir: tempfile::TempDir,
}

impl Client {
    fn start(words: &[&str], env: &[(&str, String)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = program(dir.path(), words);
        command.envs(env.iter().map(|(name, value)| (*name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, input, output, _dir: dir }
    }

    /// Over the knowledge base, after the older handshake.
    fn greeted(words: &[&str], env: &[(&str, String)]) -> Self {
        let mut client = Self::start(words, env);
        let hello = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        });
        let hello = client.ask(0, "initialize", &hello);
        assert_eq!(hello["result"]["serverInfo"]["name"], "r2vfs", "{hello}");
        client.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    fn tell(&mut self, message: &Value) {
        let input = self.input.as_mut().expect("it is open");
        writeln!(input, "{message}").expect("it reads");
        input.flush().expect("it reads");
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn ask(&mut self, id: u64, method: &str, params: &Value) -> Value {
        self.tell(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let heard = self.hear();
            if heard["id"] == id {
                return heard;
            }
        }
    }

    fn end(mut self) -> Option<i32> {
        drop(self.input.take());
        self.child.wait().expect("it ends").code()
    }
}

#[test]
fn a_client_lists_and_calls_tools_and_says_good_bye() {
    let root = kb().display().to_string();
    let mut client = Client::greeted(&["-b", &root, "mcp"], &[]);
    let tools = client.ask(1, "tools/list", &json!({}));
    assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(6), "{tools}");
    let params = json!({"name": "read", "arguments": {"path": "/index.md"}});
    let read = client.ask(2, "tools/call", &params);
    assert!(read["result"]["content"][0]["text"].is_string(), "{read}");
    assert_eq!(client.end(), Some(0));

    let mut client = Client::greeted(&["-b", &root, "mcp", "--structured"], &[]);
    let typed = client.ask(1, "tools/call", &params);
    assert!(typed["result"]["structuredContent"]["envelope"].is_object(), "{typed}");
    assert_eq!(typed["result"]["content"], json!([]), "{typed}");
    assert_eq!(client.end(), Some(0));
}

#[test]
fn what_is_spent_is_refused_and_said() {
    let root = kb().display().to_string();
    let words = ["-b", &root, "mcp", "--session-calls", "2", "--session-requests", "40"];
    let mut client = Client::greeted(&words, &[]);
    let mut call = |id: u64, name: &str, arguments: Value| {
        let params = json!({"name": name, "arguments": arguments});
        let told = client.ask(id, "tools/call", &params)["result"].clone();
        let text = told["content"][0]["text"].as_str().expect("text").to_owned();
        (told["isError"] == true, text)
    };
    let (wrong, text) = call(1, "grep", json!({"pattern": "nowhere-at-all"}));
    assert!(!wrong && text.contains("NOT COMPLETE") && text.contains("40 requests"), "{text}");
    let (wrong, text) = call(2, "list", json!({"path": "/"}));
    assert!(wrong && text.contains("the budget of this session is spent: 40 requests"), "{text}");
    assert_eq!(client.end(), Some(0));

    let mut client = Client::greeted(&words[..5], &[]);
    let mut calls = (1..=3).map(|id| {
        let params = json!({"name": "list", "arguments": {}});
        client.ask(id, "tools/call", &params)["result"]["isError"] == true
    });
    assert_eq!([calls.next(), calls.next(), calls.next()], [Some(false), Some(false), Some(true)]);
}

#[test]
fn the_newest_revision_works_on_a_pipe_too() {
    let root = kb().display().to_string();
    let mut client = Client::start(&["-b", &root, "mcp"], &[]);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    });
    let about = client.ask(1, "server/discover", &json!({"_meta": meta}));
    assert!(about["result"]["supportedVersions"].is_array(), "{about}");
    let tools = client.ask(2, "tools/list", &json!({"_meta": meta}));
    assert_eq!(tools["result"]["cacheScope"], "private", "{tools}");
    assert_eq!(client.end(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_search_tells_its_progress_and_stops_when_it_is_cancelled() {
    let store = TestServer::start().await;
    for n in 0..400 {
        store.store().put(format!("{n:03}.md"), "some text\n".repeat(100));
    }
    store.faults().delay(Duration::from_millis(200));
    let location = store.location("");
    let words = ["-b", &location, "--concurrency", "4", "mcp"];
    let mut client = Client::greeted(&words, &store.env());
    store.reset();
    client.tell(&json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {
            "name": "grep", "arguments": {"pattern": "nowhere"}, "_meta": {"progressToken": "p"},
        },
    }));
    let mut last = 0.0;
    for _ in 0..2 {
        let word = client.hear();
        assert_eq!(word["method"], "notifications/progress", "{word}");
        assert_eq!(word["params"]["progressToken"], "p", "{word}");
        let now = word["params"]["progress"].as_f64().expect("a number");
        assert!(now > last, "{word}");
        last = now;
    }
    let cancel = json!({"requestId": 7, "reason": "enough"});
    client.tell(&json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel,
    }));
    let gets = settled(&store).await;
    assert!(gets < 200, "{gets} gets");
    // The server is still there for others.
    let list = client.ask(8, "tools/call", &json!({"name": "list", "arguments": {}}));
    assert!(list["result"]["content"].is_array(), "{list}");
}
