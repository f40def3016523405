//! Tenants of one bucket: none sees a byte, a name or a cursor of another, nor by its speed what
//! another reads.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    client::Answer,
    program::{Serving, program},
    tenants::{new_token, tenant},
};
use crate::support::TestServer;

/// Prefixes that a careless join or decode takes for one another. `a` and `a/` are one root by
/// the rules of locations, so those two are one customer with two tokens.
const PREFIXES: [&str; 5] = ["a", "a/", "a%2F", "ab", "../a"];

/// What the names and the contents below a prefix hold, and nothing else does.
fn marks(at: usize) -> [String; 2] {
    let at = if at == 1 { 0 } else { at };
    [format!("zqn{at}zq"), format!("zqc{at}zq")]
}

pub(super) struct Tenants {
    pub(super) store: TestServer,
    pub(super) server: Serving,
    pub(super) tokens: Vec<String>,
}

impl Tenants {
    /// One tenant for each prefix, over one bucket.
    pub(super) async fn start(more: &str) -> Self {
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

    pub(super) fn object(&self, at: usize, target: &str) -> Answer {
        let bearer = format!("Bearer {}", self.tokens[at]);
        self.server.get(target, &[("Authorization", &bearer)])
    }

    fn mcp(&self, at: usize, method: &str, params: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.tokens[at]);
        super::mcp::post(self.server.address, &[("Authorization", &bearer)], method, params)
    }
}

/// Whether `root` stands in `text`, and not as the end of a longer word.
fn names(text: &str, root: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.match_indices(root).any(|(at, _)| !text[..at].ends_with(is_word))
}

/// Nothing of another's is in the answer, but what the request itself said.
#[track_caller]
fn is_own(at: usize, answer: &Answer, asked: &str) {
    let text = format!("{answer}");
    for other in (0..PREFIXES.len()).filter(|other| marks(*other) != marks(at)) {
        for mark in marks(other) {
            assert!(
                asked.contains(&mark) || !text.contains(&mark),
                "tenant {at} saw {mark} of {other} with {asked}\n{answer}"
            );
        }
    }
    // Nobody needs to know a prefix, not even one's own.
    for prefix in PREFIXES {
        let root = format!("{}/", prefix.trim_end_matches('/'));
        assert!(
            asked.contains(&root) || !names(&text, &root),
            "tenant {at} saw the prefix {prefix} with {asked}\n{answer}"
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
                let asked = target.clone() + &asked;
                is_own(at, &answer, &asked);
                let uri = target.replace("/v1/object", "r2vfs://");
                let answer = world.mcp(at, "resources/read", &json!({ "uri": uri }));
                let refused = !answer.json()["error"].is_null();
                assert!(marks(at) == marks(other) || refused, "{uri}: {answer}");
                is_own(at, &answer, &asked);
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

/// A request, as a client that is curious would make it.
#[derive(Clone, Debug)]
enum Asked {
    Tool(&'static str),
    Object,
    /// An MCP resource.
    Resource,
    /// A page of the resources.
    Resources,
}

fn asked() -> impl Strategy<Value = Asked> {
    let tools = prop::sample::select(vec!["list", "stat", "read", "glob", "grep", "search"]);
    prop_oneof![
        6 => tools.prop_map(Asked::Tool),
        2 => Just(Asked::Object),
        2 => Just(Asked::Resource),
        1 => Just(Asked::Resources),
    ]
}

/// The tools whose pages have cursors, with arguments that leave a second page.
fn paged() -> [(&'static str, Value); 3] {
    [
        ("list", json!({"path": "/", "recursive": true, "limit": 1})),
        ("glob", json!({"pattern": "**", "limit": 1})),
        ("grep", json!({"pattern": "needle", "limit": 1})),
    ]
}

/// The cursors of each tenant, in the order of [`paged`].
fn cursors(world: &Tenants) -> Vec<Vec<String>> {
    let cursor = |at: usize, (tool, arguments): &(&str, Value)| {
        let page = world.call(at, tool, arguments).is(200).json();
        page["envelope"]["cursor"].as_str().expect("a second page").to_owned()
    };
    let own = |at: usize| paged().iter().map(|page| cursor(at, page)).collect();
    (0..PREFIXES.len()).map(own).collect()
}

/// What the escapes of a URL mean, each read once: `%252F` is `%2F`.
fn decoded(target: &str) -> String {
    let mut pieces = target.split('%');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => text.extend([char::from(code)].into_iter().chain(piece[2..].chars())),
            None => text.extend(['%'].into_iter().chain(piece.chars())),
        }
    }
    text
}

#[test]
fn whatever_is_asked_the_answer_is_ones_own() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let world = runtime.block_on(Tenants::start(""));
    let cursors = cursors(&world);
    let cursor = prop::option::of((0..PREFIXES.len(), 0..paged().len(), any::<bool>()));
    let config = ProptestConfig { cases: 300, ..ProptestConfig::default() };
    proptest!(config, |(at in 0..PREFIXES.len(), asked in asked(), path in path(), cursor in cursor)| {
        // Blanks and control bytes cannot stand in a request line.
        let target: String = path
            .chars()
            .filter(|c| c.is_ascii_graphic() && !matches!(c, '{' | '}' | '\\' | '?' | '#'))
            .collect();
        let partly = target.replace("%2e", ".").replace("%2f", "/").replace("%2F", "/");
        let shown =
            format!("{path} {target} {partly} {} {}", target.replace("%25", "%"), decoded(&target));
        match asked {
            Asked::Tool(tool) => {
                let mut arguments = match tool {
                    "glob" => json!({"pattern": path}),
                    "grep" => json!({"pattern": "needle", "path": path, "output_mode": "content"}),
                    "list" => json!({"path": path, "recursive": true}),
                    "search" => json!({"query": format!("needle {path}"), "path": path}),
                    _ => json!({"path": path}),
                };
                let page = paged().iter().position(|(paged, _)| *paged == tool);
                let mut foreign = false;
                if let (Some(page), Some((whose, kind, exact))) = (page, cursor) {
                    if exact {
                        arguments = paged()[page].1.clone();
                    }
                    arguments["cursor"] = cursors[whose][kind].clone().into();
                    foreign = whose != at;
                }
                let answer = world.call(at, tool, &arguments);
                is_own(at, &answer, &format!("{arguments} {shown}"));
                prop_assert!(!foreign || answer.status == 400, "{tool} {arguments}: {answer}");
            }
            Asked::Object => {
                is_own(at, &world.object(at, &format!("/v1/object/{target}")), &shown);
            }
            Asked::Resource => {
                let uri = json!({"uri": format!("r2vfs:///{target}")});
                is_own(at, &world.mcp(at, "resources/read", &uri), &shown);
            }
            Asked::Resources => {
                let given = cursor.map(|(whose, kind, _)| cursors[whose][kind].clone());
                let params = given.as_ref().map_or(json!({}), |cursor| json!({"cursor": cursor}));
                let answer = world.mcp(at, "resources/list", &params);
                is_own(at, &answer, "");
                let foreign = cursor.is_some_and(|(whose, ..)| whose != at);
                prop_assert!(!foreign || answer.json()["error"]["code"] == -32602, "{answer}");
            }
        }
    });
}

/// Requests and cache hits of a call, and the gets that the bucket saw meanwhile.
fn cost(store: &TestServer, ask: impl FnOnce() -> Answer) -> (Value, u64) {
    store.reset();
    let answer = ask().is(200);
    let told = match answer.headers["content-type"].as_str() {
        "application/json" => answer.json()["envelope"]["cost"].clone(),
        _ => Value::Null,
    };
    (told, store.counts().gets)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_tenant_reads_costs_the_next_as_much() {
    let store = TestServer::start().await;
    store.store().fill((0..5).map(|n| (format!("kb/{n}.md"), format!("needle {n}\n"))));
    let ((first, first_digest), (second, second_digest)) = (new_token(), new_token());
    let config = tenant("first", &first_digest, &store.location("kb/"), "")
        + &tenant("second", &second_digest, &store.location("kb/"), "");
    let cache = ["--cache-dir", "cache"];
    let server = Serving::with(&cache, Some(&config), &store.env());
    let read = |token: &str| {
        let arguments = json!({"path": "/0.md"});
        cost(&store, || server.call_as(Some(token), "read", &arguments, &[]))
    };
    let grep = |token: &str| {
        let arguments = json!({"pattern": "nowhere"});
        cost(&store, || server.call_as(Some(token), "grep", &arguments, &[]))
    };
    let object = |token: &str| {
        let bearer = format!("Bearer {token}");
        cost(&store, || server.get("/v1/object/1.md", &[("Authorization", &bearer)]))
    };
    // Each leaves something behind, which the next one of the same tenant finds.
    let (mut colds, mut warms) = (Vec::new(), Vec::new());
    for token in [&first, &second] {
        colds.push([object(token), read(token), grep(token)]);
        warms.push([object(token), read(token), grep(token)]);
    }
    assert_eq!(colds[0], colds[1], "the second tenant was helped by the first");
    for (cold, warm) in colds[0].iter().zip(&warms[0]) {
        assert!(warm.1 < cold.1, "what a tenant reads again costs less: {cold:?}, {warm:?}");
    }
}
