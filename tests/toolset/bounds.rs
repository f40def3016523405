//! Answers that must fit a model's context: pages, caps, and what is shown of wild names.

use r2vfs::sandbox::{Body, CallOptions, Format, MAX_CHARS, MIN_CHARS, VirtualSandbox};
use serde_json::{Value, json};

use super::say;
use crate::support::{Fault, Rule, TestServer, kit::served};

/// All pages of a call, each as the one before says how to go on.
async fn pages(sandbox: &VirtualSandbox, tool: &str, arguments: Value) -> Vec<String> {
    let mut arguments = arguments;
    let mut pages = Vec::new();
    let options = CallOptions { chars: MIN_CHARS, ..CallOptions::default() };
    for _ in 0..200 {
        let output = sandbox.call_text(tool, arguments.clone(), &options).await;
        let text = output.body.expect("a page");
        let Body::Text(text) = text else { panic!("no text") };
        assert!(text.chars().count() <= MIN_CHARS, "{} characters", text.chars().count());
        let cursor = text.rsplit_once("\"cursor\":\"").map(|(_, behind)| behind.to_owned());
        pages.push(text);
        match cursor.and_then(|behind| Some(behind.split_once('"')?.0.to_owned())) {
            Some(cursor) => arguments["cursor"] = cursor.into(),
            None => return pages,
        }
    }
    panic!("no end");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_fit_a_context_give_everything_once() {
    let server = TestServer::start().await;
    let name = |i: usize| format!("docs/{i:04}-{}.md", "n".repeat(i % 60));
    server.store().fill((0..400).map(|i| {
        (name(i), format!("before {i}\nneedle {i} {}\nafter\nneedle again\n", "x".repeat(i * 7)))
    }));
    let sandbox = served(&server);
    for (tool, arguments, wanted) in [
        ("list", json!({"recursive": true}), 401),
        ("glob", json!({"pattern": "**"}), 400),
        ("grep", json!({"pattern": "needle"}), 400),
        ("grep", json!({"pattern": "needle", "output_mode": "count"}), 400),
        ("grep", json!({"pattern": "needle", "output_mode": "content"}), 800),
        ("grep", json!({"pattern": "needle \\d", "output_mode": "content", "context": 1}), 400),
    ] {
        let pages = pages(&sandbox, tool, arguments.clone()).await;
        assert!(pages.len() > 3, "{tool}: {} pages", pages.len());
        let lines: Vec<&str> = pages.iter().flat_map(|page| page.lines()).collect();
        let is_result = |line: &&&str| match arguments.get("context") {
            Some(_) => line.contains(":needle "),
            None => !line.starts_with('['),
        };
        let results: Vec<&&str> = lines.iter().filter(is_result).collect();
        let distinct: std::collections::BTreeSet<&&&str> = results.iter().collect();
        assert_eq!((results.len(), distinct.len()), (wanted, wanted), "{tool} {arguments}");
        assert!(pages.last().is_some_and(|page| page.contains("; complete")), "{tool}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_fits_a_context_goes_on_at_the_right_line() {
    let server = TestServer::start().await;
    let long: String = (1..=3000).map(|n| format!("line {n} {}\n", "é".repeat(n % 50))).collect();
    server.store().put("long.txt", long);
    server.store().put("wide.txt", "\u{1}".repeat(3 << 20));
    let sandbox = served(&server);
    let (mut offset, mut numbers) = (1, Vec::new());
    for format in ["text", "structured"].iter().cycle() {
        let arguments = json!({"path": "/long.txt", "offset": offset, "format": format});
        let output = say(&sandbox, "read", arguments).await;
        assert!(output.text().chars().count() <= MAX_CHARS);
        match output.body.expect("lines") {
            Body::Text(text) => {
                let shown = text.lines().filter(|line| !line.starts_with('['));
                numbers.extend(shown.map(|line| {
                    line.trim_start()
                        .split('\t')
                        .next()
                        .unwrap_or_default()
                        .parse::<u64>()
                        .expect("n")
                }));
                match text.rsplit_once("read on with offset=") {
                    Some((_, behind)) => {
                        offset = behind.split(';').next().unwrap_or("").parse().expect("n")
                    }
                    None => break,
                }
            }
            Body::Structured(json) => {
                let lines = json["lines"].as_array().expect("lines");
                numbers.extend(lines.iter().map(|line| line["number"].as_u64().expect("n")));
                match json["next_offset"].as_u64() {
                    Some(next) => offset = next,
                    None => break,
                }
            }
        }
    }
    assert_eq!(numbers, (1..=3000).collect::<Vec<u64>>());
    for format in ["text", "structured"] {
        let arguments = json!({"path": "/wide.txt", "max_line": 4_000_000, "format": format});
        let output = say(&sandbox, "read", arguments).await;
        let chars = output.text().chars().count();
        assert!((1000..=MAX_CHARS).contains(&chars), "{format}: {chars}");
        let arguments = json!({"path": "/long.txt", "tail": 2000, "format": format});
        let tail = say(&sandbox, "read", arguments).await;
        assert!(tail.text().contains("line 3000") && tail.text().chars().count() <= MAX_CHARS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_passes_the_caps_whatever_the_names_are() {
    let server = TestServer::start().await;
    let wild = "\u{202e}".repeat(300);
    server.store().fill((0..50).map(|i| (format!("{wild}{i}"), "needle\n".repeat(500))));
    server.store().put("secret\u{200b}.md", "needle\n");
    server.faults().add(Rule::gets(Fault::forbidden("AccessDenied")).key(&format!("{wild}7")));
    let sandbox = served(&server);
    for format in ["text", "structured"] {
        for (tool, mut arguments) in [
            ("list", json!({})),
            ("glob", json!({"pattern": "**"})),
            ("grep", json!({"pattern": "needle"})),
            ("grep", json!({"pattern": "needle", "output_mode": "content", "context": 1000})),
        ] {
            arguments["format"] = format.into();
            arguments["limit"] = 100_000.into();
            let output = say(&sandbox, tool, arguments).await;
            let text = output.text();
            assert!(text.chars().count() <= MAX_CHARS, "{tool} {format}");
            let plain = format == "text" && text.contains('\u{202e}');
            assert!(!plain, "{tool}: a name reorders the text");
        }
    }
    // What is shown comes back as an argument.
    let shown = say(&sandbox, "read", json!({"path": "/secret\\u{200b}.md"})).await;
    assert!(shown.text().contains("needle"), "{}", shown.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn skipped_files_are_named_as_far_as_there_is_room() {
    let server = TestServer::start().await;
    let dir = "n".repeat(800);
    server.store().fill((0..110).map(|i| (format!("{dir}/{i:03}.bin"), "needle\n\0")));
    server.faults().add(Rule::gets(Fault::forbidden("AccessDenied")).times(10_000));
    let sandbox = served(&server);
    for chars in [MIN_CHARS, MAX_CHARS] {
        let options = CallOptions { format: Format::Structured, chars, ..CallOptions::default() };
        let arguments = json!({"pattern": "needle", "glob": "*.bin"});
        let output = sandbox.call_text("grep", arguments, &options).await;
        let text = output.text();
        assert!(text.chars().count() <= chars, "{} of {chars}", text.chars().count());
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        let named = answer["envelope"]["skipped"].as_array().map_or(0, Vec::len);
        assert!((1..100).contains(&named), "{named} are named of {chars}");
        assert_eq!(answer["envelope"]["skipped_by_reason"]["forbidden"], json!(110));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_that_goes_on_shows_what_could_not_be_seen() {
    let server = TestServer::start().await;
    let dir = "a\u{202e}b\u{200b}\u{e0001}";
    server.store().fill((0..3).map(|i| (format!("{dir}/{i}.md"), "x\n")));
    let sandbox = served(&server);
    let arguments = json!({"path": format!("/{dir}/"), "limit": 1});
    let page = say(&sandbox, "list", arguments.clone()).await;
    let text = page.text();
    assert!(text.contains(r#""path":"/a\u202eb\u200b\udb40\udc01/""#), "{text}");
    assert!(!text.contains(['\u{202e}', '\u{200b}', '\u{e0001}']), "{text}");
    let (_, call) = text.rsplit_once("go on with list ").expect("there is more");
    let call: Value = serde_json::from_str(&call[..call.len() - 1]).expect("it is JSON as it is");
    assert_eq!(call["path"], arguments["path"]);
    let next = say(&sandbox, "list", call).await;
    assert!(next.text().contains("/1.md") && !next.is_error(), "{}", next.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_globs_have_a_bound_in_bytes_too() {
    let server = TestServer::start().await;
    let dir = "n".repeat(200);
    let name = |i: usize| format!("{dir}/{dir}/{dir}/{dir}/{i:05}{}.md", "m".repeat(150));
    server.store().fill((0..10_000).map(|i| (name(i), "x")));
    let sandbox = served(&server);
    for (tool, arguments, all) in [
        ("glob", json!({"pattern": "**", "limit": 100_000}), 10_000),
        ("list", json!({"recursive": true, "limit": 100_000}), 10_004),
    ] {
        let results = |answer: &Value| {
            let results = answer["paths"].as_array().or(answer["entries"].as_array());
            results.expect("results").len()
        };
        let first = sandbox.call(tool, arguments.clone()).await.expect("a page");
        assert!(first.to_string().len() < 10 << 20, "{tool}: {}", first.to_string().len());
        let why = first["envelope"]["incomplete"][0]["detail"].as_str().expect("it is cut");
        assert!(why.contains("bytes in one answer"), "{tool}: {why}");
        let mut rest = arguments;
        rest["cursor"] = first["envelope"]["cursor"].clone();
        let rest = sandbox.call(tool, rest).await.expect("the rest");
        assert_eq!(results(&first) + results(&rest), all, "{tool}");
        assert_eq!(rest["envelope"]["complete"], json!(true), "{tool}");
    }
}
