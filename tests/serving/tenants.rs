//! Tenants: tokens, limits, logs, and that none sees a byte of another.

use std::{
    fs,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::TestServer;

use super::{
    client::{Answer, send},
    program::{Serving, kb, program},
};

/// Prefixes that a careless join or decode takes for one another. `a` and `a/` are one root by
/// the rules of locations, so those two are one customer with two tokens.
const PREFIXES: [&str; 5] = ["a", "a/", "a%2F", "ab", "../a"];

/// What the names and the contents below a prefix hold, and nothing else does.
fn marks(at: usize) -> [String; 2] {
    let at = if at == 1 { 0 } else { at };
    [format!("zqn{at}zq"), format!("zqc{at}zq")]
}

struct Tenants {
    store: TestServer,
    server: Serving,
    tokens: Vec<String>,
}

impl Tenants {
    /// One tenant for each prefix, over one bucket.
    async fn start(more: &str) -> Self {
        let store = TestServer::start().await;
        for (at, prefix) in PREFIXES.iter().enumerate() {
            let root = prefix.strip_suffix('/').unwrap_or(prefix);
            let [name, content] = marks(at);
            let text = format!("needle {content}\nof the well\n");
            for key in ["readme.md", &format!("{name}.md"), &format!("docs/{name}/page.md")] {
                store.store().put(format!("{root}/{key}"), text.clone());
            }
        }
        let (mut config, mut tokens) = (more.to_owned(), Vec::new());
        for (at, prefix) in PREFIXES.iter().enumerate() {
            let (token, digest) = new_token();
            let limits = "rate = 10000.0\nburst = 10000\n";
            config += &tenant(&format!("t{at}"), &digest, &store.location(prefix), limits);
            tokens.push(token);
        }
        let server = Serving::with(&["--audit-log", "audit"], Some(&config), &store.env());
        // Each has an index, in one place for all.
        for prefix in PREFIXES {
            let words = ["-b", &store.location(prefix), "index", "build"];
            let built = program(server.dir.path(), words).envs(store.env()).output();
            let built = built.expect("it runs");
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        }
        store.reset();
        Self { store, server, tokens }
    }

    fn call(&self, at: usize, tool: &str, arguments: &Value) -> Answer {
        self.server.call_as(Some(&self.tokens[at]), tool, arguments, &[])
    }

    fn object(&self, at: usize, target: &str) -> Answer {
        let bearer = format!("Bearer {}", self.tokens[at]);
        self.server.get(target, &[("Authorization", &bearer)])
    }

    fn mcp(&self, at: usize, method: &str, params: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.tokens[at]);
        super::mcp::post(self.server.address, &[("Authorization", &bearer)], method, params)
    }
}

/// A tenant of a configuration with one mount, and with `more` lines of its table.
pub(super) fn tenant(name: &str, digest: &str, location: &str, more: &str) -> String {
    format!(
        "[[tenant]]\nname = \"{name}\"\ntokens = [\"{digest}\"]\n{more}\
         [[tenant.mount]]\npoint = \"/\"\nlocation = '{location}'\n"
    )
}

pub(super) fn new_token() -> (String, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let output = program(dir.path(), ["token", "new"]).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let word = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().to_owned()
    };
    (word("token:"), word("digest:"))
}

/// Nothing of another's is in the answer, but what the request itself said.
#[track_caller]
fn is_own(at: usize, answer: &Answer, asked: &str) {
    let text = format!("{answer}");
    for (other, prefix) in PREFIXES.iter().enumerate() {
        if marks(other) == marks(at) {
            continue;
        }
        for mark in marks(other) {
            assert!(
                asked.contains(&mark) || !text.contains(&mark),
                "tenant {at} saw {mark} of {other} with {asked}\n{answer}"
            );
        }
        let own = PREFIXES[at].trim_end_matches('/');
        let root = prefix.trim_end_matches('/');
        assert!(
            own.contains(root) || asked.contains(root) || !text.contains(&format!("{root}/")),
            "tenant {at} saw the prefix of {other} with {asked}\n{answer}"
        );
    }
    assert!(!text.contains("s3:") && !text.contains("AWS"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tool_shows_a_byte_of_another_tenant() {
    let world = Tenants::start("").await;
    for at in 0..PREFIXES.len() {
        let [name, content] = marks(at);
        let mut calls = vec![
            ("list", json!({"path": "/", "recursive": true})),
            ("glob", json!({"pattern": "**"})),
            ("glob", json!({"pattern": "**/{readme,zq*}.md"})),
            ("grep", json!({"pattern": "needle.*", "output_mode": "content"})),
            ("grep", json!({"pattern": "zqc", "output_mode": "count"})),
            ("stat", json!({"path": "/", "report": true})),
            // Suggestions come from one's own names.
            ("read", json!({"path": "/zqn.md"})),
            ("read", json!({"path": "/docs/zqn/page.md"})),
            ("list", json!({"path": "/dcs/"})),
            ("search", json!({"query": "needle of the well", "limit": 50})),
            ("search", json!({"query": "zqc0zq zqc2zq zqc3zq zqc4zq"})),
        ];
        for (other, prefix) in PREFIXES.iter().enumerate() {
            let [foreign, _] = marks(other);
            let root = prefix.trim_end_matches('/');
            for path in [
                format!("/{foreign}.md"),
                format!("/../{root}/{foreign}.md"),
                format!("/{root}/{foreign}.md"),
                format!("../{root}/{foreign}.md"),
                format!("/..%2F{root}%2F{foreign}.md"),
                format!("/docs/../../{root}/{foreign}.md"),
            ] {
                calls.push(("read", json!({ "path": path })));
                calls.push(("stat", json!({ "path": path })));
                calls.push(("grep", json!({"pattern": "needle", "path": path})));
            }
            calls.push(("glob", json!({"pattern": format!("../{root}/**")})));
        }
        for (tool, arguments) in &calls {
            for format in ["structured", "text"] {
                let mut arguments = arguments.clone();
                arguments["format"] = json!(format);
                let asked = arguments.to_string();
                is_own(at, &world.call(at, tool, &arguments), &asked);
                let params = json!({"name": tool, "arguments": arguments});
                is_own(at, &world.mcp(at, "tools/call", &params), &asked);
            }
        }
        let ranked = json!({"query": "needle of the well", "limit": 50});
        let ranked = world.call(at, "search", &ranked).is(200).json();
        assert_eq!(ranked["hits"].as_array().map(Vec::len), Some(3), "its own: {ranked}");
        let all = world.call(at, "grep", &json!({"pattern": "needle"})).is(200).json();
        assert_eq!(all["files"].as_array().map(Vec::len), Some(3), "its own: {all}");
        let own = world.object(at, &format!("/v1/object/{name}.md")).is(200);
        assert!(own.text().contains(&content), "{own}");
        is_own(at, &world.mcp(at, "resources/list", &json!({})), "");
        for (other, prefix) in PREFIXES.iter().enumerate() {
            let [foreign, _] = marks(other);
            let root = prefix.trim_end_matches('/').replace('%', "%25");
            for target in [
                format!("/v1/object/{foreign}.md"),
                format!("/v1/object/../{root}/{foreign}.md"),
                format!("/v1/object/%2e%2e/{root}/{foreign}.md"),
                format!("/v1/object/..%2f{root}%2f{foreign}.md"),
            ] {
                let answer = world.object(at, &target);
                assert!(marks(at) == marks(other) || answer.status != 200, "{target}: {answer}");
                // What was asked for comes back decoded.
                let asked = target.replace("%25", "%").replace("%2e", ".").replace("%2f", "/");
                is_own(at, &answer, &(target + &asked));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_tenant_alone() {
    let world = Tenants::start("").await;
    let arguments = json!({"pattern": "**", "limit": 1});
    let cursor = |at: usize| {
        let page = world.call(at, "glob", &arguments).is(200).json();
        page["envelope"]["cursor"].as_str().expect("a cursor").to_owned()
    };
    for at in 0..PREFIXES.len() {
        for other in 0..PREFIXES.len() {
            let mut second = arguments.clone();
            second["cursor"] = json!(cursor(other));
            let answer = world.call(at, "glob", &second);
            if at == other {
                answer.is(200);
            } else {
                is_own(at, &answer, "");
                assert_eq!(answer.is(400).kind(), "invalid-argument");
            }
        }
        let mut forged = cursor(at);
        let last = forged.pop().expect("it is not empty");
        forged.push(if last == 'A' { 'B' } else { 'A' });
        let mut second = arguments.clone();
        second["cursor"] = json!(forged);
        world.call(at, "glob", &second).is(400);
        let resources = json!({"cursor": cursor((at + 1) % PREFIXES.len())});
        is_own(at, &world.mcp(at, "resources/list", &resources), "");
    }
}

/// Pieces of paths, patterns and URLs that mean more than themselves somewhere.
fn path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "..",
        ".",
        "a",
        "ab",
        "%2F",
        "%2f",
        "%252F",
        "%2e",
        "a%2F",
        "\\",
        "*",
        "**",
        "{a,ab}",
        "docs",
        "readme.md",
        "//",
        "\u{0}",
        "%00",
        "~",
        "?",
        "#",
        "é",
    ]);
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

#[test]
fn whatever_is_asked_the_answer_is_ones_own() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let world = runtime.block_on(Tenants::start(""));
    let tools = prop::sample::select(vec!["list", "stat", "read", "glob", "grep", "search"]);
    let config = ProptestConfig { cases: 150, ..ProptestConfig::default() };
    proptest!(config, |(at in 0..PREFIXES.len(), tool in tools, path in path())| {
        let arguments = match tool {
            "glob" => json!({"pattern": path}),
            "grep" => json!({"pattern": "needle", "path": path, "output_mode": "content"}),
            "list" => json!({"path": path, "recursive": true}),
            "search" => json!({"query": format!("needle {path}"), "path": path}),
            _ => json!({"path": path}),
        };
        is_own(at, &world.call(at, tool, &arguments), &arguments.to_string());
        // Blanks and control bytes cannot stand in a request line.
        let target: String = path
            .chars()
            .filter(|c| c.is_ascii_graphic() && !matches!(c, '{' | '}' | '\\' | '?' | '#'))
            .collect();
        let asked = target.replace("%2e", ".").replace("%2f", "/").replace("%2F", "/");
        let asked = format!("{target} {asked} {}", target.replace("%25", "%"));
        is_own(at, &world.object(at, &format!("/v1/object/{target}")), &asked);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_every_answer_is_the_same() {
    let world = Tenants::start("").await;
    let json = ("Content-Type", "application/json");
    let good = &world.tokens[0];
    let forged = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(format!("Basic {good}")),
        Some(good.clone()),
        Some(format!("Bearer {}", &good[..good.len() - 1])),
        Some(format!("Bearer {good}0")),
        Some(format!("Bearer {}", good.to_uppercase())),
        Some(format!("Bearer sha256:{}", "0".repeat(64))),
        Some(format!("Bearer {}", "r2vfs_".repeat(100))),
    ];
    let routes = [
        ("POST", "/v1/list"),
        ("POST", "/v1/nothing"),
        ("GET", "/v1/object/readme.md"),
        ("GET", "/v1/object/nothing"),
        ("POST", "/mcp"),
        ("GET", "/nowhere"),
    ];
    let mut first: Option<(Vec<u8>, Vec<String>)> = None;
    for token in &forged {
        for (method, target) in routes {
            let mut headers = vec![json];
            headers.extend(token.as_deref().map(|token| ("Authorization", token)));
            let answer = send(world.server.address, method, target, &headers, b"{}").is(401);
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            let names = answer.headers.keys().filter(|name| *name != "date").cloned().collect();
            let seen = (answer.body, names);
            assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen, "{method} {target}");
        }
    }
    // Not for tenants either.
    world.object(0, "/metrics").is(401);
    world.server.get("/metrics", &[]).is(401);
    world.server.get("/healthz", &[]).is(200);
    assert!(world.store.counts().gets == 0, "nothing was fetched for nobody");
}

#[test]
fn limits_hold_a_tenant_back_and_no_other() {
    let ((slow, slow_digest), (free, free_digest)) = (new_token(), new_token());
    let root = kb().display().to_string();
    let (metrics, metrics_digest) = new_token();
    let config = format!("[server]\nmetrics_token = \"{metrics_digest}\"\n")
        + &tenant("slow", &slow_digest, &root, "rate = 0.01\nburst = 2\n")
        + &tenant("free", &free_digest, &root, "");
    let server = Serving::with(&["--audit-log", "audit"], Some(&config), &[]);
    let call = |token: &str| server.call_as(Some(token), "list", &json!({"path": "/"}), &[]);
    call(&slow).is(200);
    call(&slow).is(200);
    let refused = call(&slow).is(429);
    assert_eq!(refused.kind(), "rate-limited");
    let wait: u64 = refused.headers["retry-after"].parse().expect("seconds");
    assert!((90..=100).contains(&wait), "{wait}");
    call(&free).is(200);
    let params = json!({"name": "list", "arguments": {"path": "/"}});
    let bearer = format!("Bearer {slow}");
    let headers = [("Authorization", bearer.as_str())];
    let told = super::mcp::post(server.address, &headers, "tools/call", &params).is(200).json();
    assert_eq!(told["result"]["isError"], true, "{told}");
    assert!(told["result"]["content"][0]["text"].to_string().contains("wait"), "{told}");

    let bearer = format!("Bearer {metrics}");
    let counted = server.get("/metrics", &[("Authorization", &bearer)]).is(200).text();
    assert!(counted.contains("tenant=\"slow\",tool=\"list\",outcome=\"rate-limited\"} 2"));
    // A thread of its own writes it.
    let log = || fs::read_to_string(server.dir.path().join("audit")).expect("a log");
    let started = Instant::now();
    while log().lines().count() < 5 && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<_> = lines.iter().map(|l| (l["tenant"].clone(), l["outcome"].clone())).collect();
    let expected = [
        ("slow", "complete"),
        ("slow", "complete"),
        ("slow", "rate-limited"),
        ("free", "complete"),
        ("slow", "rate-limited"),
    ];
    assert_eq!(told, expected.map(|(tenant, outcome)| (json!(tenant), json!(outcome))));
    assert!(lines[0]["arguments"] == json!({"path": "/"}) && lines[0]["front"] == "http", "{log}");
    assert!(lines[4]["front"] == "mcp" && !log.contains(&slow), "{log}");
}

#[test]
fn the_configuration_is_read_again() {
    let ((old, old_digest), (new, new_digest)) = (new_token(), new_token());
    let root = kb().display().to_string();
    let config = |tokens: &str| {
        format!(
            "[[tenant]]\nname = \"t\"\ntokens = [{tokens}]\n\
             [[tenant.mount]]\npoint = \"/\"\nlocation = '{root}'\n"
        )
    };
    let server = Serving::with(&[], Some(&config(&format!("\"{old_digest}\""))), &[]);
    let status =
        |token: &str| server.call_as(Some(token), "list", &json!({"path": "/"}), &[]).status;
    assert_eq!((status(&old), status(&new)), (200, 401));
    let file = server.dir.path().join("r2vfs.toml");
    let becomes = |token: &str, wanted: u16| {
        (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            status(token) == wanted
        })
    };
    fs::write(&file, "[[tenant]]\n").expect("a file");
    server.signal("-HUP");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(status(&old), 200, "a wrong file changes nothing");
    fs::write(&file, config(&format!("\"{new_digest}\""))).expect("a file");
    server.signal("-HUP");
    assert!(becomes(&new, 200) && status(&old) == 401);
}
