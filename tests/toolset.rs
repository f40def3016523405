//! The toolset as a model meets it: texts, errors, cursors, bounds, and what a dry run says.
//!
//! The texts are a product: each case of `tests/golden/` is one call over `fixtures/kb` and what
//! it gives, as a file to be read in a review. `R2VFS_UPDATE_GOLDEN=1` writes them anew.

use std::{path::Path, sync::Arc, time::Duration, time::SystemTime};

use r2vfs::{
    error::Kind,
    sandbox::{
        Body, CallOptions, CursorKey, Format, MAX_CHARS, MIN_CHARS, Reason, SandboxOptions,
        Session, SessionLimits, ToolOutput, VirtualSandbox,
    },
    vfs::{Budget, Freshness, Mount},
};
use serde_json::{Value, json};

use crate::support::{
    Fault, Rule, Stored, TestServer,
    kit::{s3_bucket, sandbox_with, served},
};

/// 2026-06-01T10:00:00Z, for every object: texts hold times.
fn then() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_308_000)
}

async fn articles() -> TestServer {
    let server = TestServer::start().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/kb");
    let mut dirs = vec![root.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let key = path.strip_prefix(&root).expect("it is below").to_str().expect("UTF-8");
            let bytes = std::fs::read(&path).expect("a file");
            server.store().put_object(key, Stored::new(bytes).modified(then()));
        }
    }
    server
}

fn options(server: &TestServer, options: SandboxOptions) -> VirtualSandbox {
    let bucket = s3_bucket(server, &server.location(""));
    sandbox_with(vec![Mount { point: "/".into(), bucket }], options)
}

async fn say(sandbox: &VirtualSandbox, tool: &str, arguments: Value) -> ToolOutput {
    sandbox.call_text(tool, arguments, &CallOptions::default()).await
}

/// A cursor holds the time of a listing.
fn without_cursor(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("\"cursor\":\"") {
        out.push_str(before);
        out.push_str("\"cursor\":\"…");
        rest = behind.find('"').map_or("", |end| &behind[end..]);
    }
    out + rest
}

/// Each case of the directory: its name, the tool and the arguments.
fn cases() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("list", "list", json!({})),
        ("list-page", "list", json!({"path": "/guide", "limit": 2})),
        ("list-recursive", "list", json!({"path": "/reference/", "recursive": true})),
        ("list-missing", "list", json!({"path": "/giude/"})),
        ("list-file", "list", json!({"path": "/index.md"})),
        ("stat-file", "stat", json!({"path": "/index.md"})),
        ("stat-directory", "stat", json!({"path": "/guide"})),
        ("read", "read", json!({"path": "/faq/folders.md"})),
        ("read-lines", "read", json!({"path": "/faq/folders.md", "offset": 3, "limit": 2})),
        ("read-tail", "read", json!({"path": "/faq/folders.md", "tail": 2})),
        ("read-long", "read", json!({"path": "/data/gateway-2026-06-14.log", "limit": 3})),
        ("read-cut", "read", json!({"path": "/faq/folders.md", "max_line": 10, "limit": 3})),
        ("read-directory", "read", json!({"path": "/reference"})),
        ("read-past-the-end", "read", json!({"path": "/faq/folders.md", "offset": 9999})),
        ("read-missing", "read", json!({"path": "/faq/folder.md"})),
        ("read-relative", "read", json!({"path": "faq/folders.md"})),
        ("glob", "glob", json!({"pattern": "**/r2vfs-*.md"})),
        ("glob-page", "glob", json!({"pattern": "**", "limit": 3, "path": "/howto/"})),
        ("glob-none", "glob", json!({"pattern": "*.pdf"})),
        ("glob-wrong", "glob", json!({"pattern": "docs/{a"})),
        ("grep", "grep", json!({"pattern": "SlowDown"})),
        (
            "grep-content",
            "grep",
            json!({"pattern": "SlowDown", "output_mode": "content", "path": "/troubleshooting/", "-C": 1}),
        ),
        (
            "grep-page",
            "grep",
            json!({"pattern": "bucket", "output_mode": "content", "limit": 3, "glob": "*.md"}),
        ),
        ("grep-count", "grep", json!({"pattern": "etag", "output_mode": "count", "-i": true})),
        (
            "grep-multiline",
            "grep",
            json!({"pattern": "^#.*\\n\\n\\w+", "multiline": true, "output_mode": "content", "path": "/faq/limits.md"}),
        ),
        ("grep-none", "grep", json!({"pattern": "slowdwon", "path": "/guide/", "glob": "*.md"})),
        ("grep-nowhere", "grep", json!({"pattern": "x", "glob": "*.pdf"})),
        ("grep-wrong", "grep", json!({"pattern": "limit("})),
        ("grep-type", "grep", json!({"pattern": "x", "type": "nonsense"})),
        ("grep-dry-run", "grep", json!({"pattern": "x", "path": "/guide/", "dry_run": true})),
        ("unknown-argument", "grep", json!({"pattern": "x", "pth": "/guide/"})),
        ("wrong-type", "list", json!({"limit": "10"})),
        ("unknown-tool", "grap", json!({})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_as_they_were_agreed_on() {
    let server = articles().await;
    let sandbox = served(&server);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let update = std::env::var_os("R2VFS_UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (case, tool, arguments) in cases() {
        let call = format!("{tool} {arguments}");
        let output = say(&sandbox, tool, arguments).await;
        let text = format!("$ {call}\n{}\n", without_cursor(&output.text()));
        let file = dir.join(format!("{case}.txt"));
        if update {
            std::fs::create_dir_all(&dir).expect("a directory");
            std::fs::write(&file, text).expect("a file");
            continue;
        }
        let agreed = std::fs::read_to_string(&file).unwrap_or_default();
        if text != agreed {
            wrong.push(format!("{case}:\n--- agreed\n{agreed}--- now\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "R2VFS_UPDATE_GOLDEN=1 accepts these:\n{}", wrong.join("\n"));
}

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
async fn cursors_are_for_their_query_tenant_and_mounts_alone() {
    let server = TestServer::start().await;
    server.store().fill((0..10).map(|i| (format!("{i}.md"), "needle\n")));
    let with = |tenant: &str, secret: &[u8]| {
        let cursor_key = CursorKey::new(secret);
        let all = SandboxOptions { tenant: tenant.into(), cursor_key, ..Default::default() };
        options(&server, all)
    };
    let own = with("a", b"secret");
    let first = json!({"pattern": "**", "limit": 2});
    let page = own.call("glob", first.clone()).await.expect("a page");
    let cursor = page["envelope"]["cursor"].as_str().expect("there is more").to_owned();
    let go_on = |cursor: &str| json!({"pattern": "**", "limit": 3, "cursor": cursor});
    let second = own.call("glob", go_on(&cursor)).await.expect("the next page");
    assert_eq!(second["paths"], json!(["/2.md", "/3.md", "/4.md"]));
    let replayed = own.call("glob", go_on(&cursor)).await.expect("the same page");
    assert_eq!(replayed["paths"], second["paths"]);

    let refused = |done: r2vfs::Result<Value>, why: &str| {
        let error = done.expect_err("it is refused");
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.message().contains(why) && !error.to_string().contains("/1.md"), "{error}");
    };
    let forged = "not one that was given out";
    for other in [with("b", b"secret"), with("a", b"Secret"), with("", b"")] {
        refused(other.call("glob", go_on(&cursor)).await, forged);
    }
    let elsewhere = sandbox_with(
        vec![Mount { point: "/kb".into(), bucket: s3_bucket(&server, &server.location("")) }],
        SandboxOptions {
            tenant: "a".into(),
            cursor_key: CursorKey::new(b"secret"),
            ..Default::default()
        },
    );
    refused(elsewhere.call("glob", go_on(&cursor)).await, forged);
    for at in 0..cursor.len() {
        let mut edited = cursor.clone().into_bytes();
        edited[at] = if edited[at] == b'A' { b'B' } else { b'A' };
        let edited = String::from_utf8(edited).expect("ASCII");
        refused(own.call("glob", go_on(&edited)).await, forged);
    }
    for other in ["", "00", "é", &"A".repeat(100_000)] {
        refused(own.call("glob", go_on(other)).await, forged);
    }
    let other = json!({"pattern": "*.md", "cursor": cursor});
    refused(own.call("glob", other).await, "another query");
    refused(own.call("list", json!({"cursor": cursor})).await, "another query");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_an_older_listing_says_so() {
    let server = TestServer::start().await;
    server.store().fill((0..10).map(|i| (format!("{i}.md"), "needle\n")));
    let kept = Freshness::Bounded(Duration::from_secs(3600));
    for (freshness, stale) in [(kept, false), (Freshness::Strict, true)] {
        let sandbox = options(&server, SandboxOptions { freshness, ..Default::default() });
        // Listed to its end, so that the listing can be kept.
        sandbox.call("glob", json!({"pattern": "**"})).await.expect("all");
        let args = json!({"pattern": "needle", "limit": 2});
        let first = say(&sandbox, "grep", args.clone()).await;
        assert!(!first.text().contains("listed again"));
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut args = args;
        args["cursor"] = first.envelope.cursor.expect("there is more").into();
        let second = say(&sandbox, "grep", args).await;
        assert_eq!(second.text().contains("listed again"), stale, "{}", second.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grep_leaves_out_as_many_results_as_the_offset_says() {
    let server = TestServer::start().await;
    server.store().fill((0..6).map(|i| (format!("{i}.md"), format!("needle {i}\nhay\nneedle\n"))));
    let sandbox = served(&server);
    for (mode, all) in [("content", 12), ("files_with_matches", 6)] {
        let whole = json!({"pattern": "needle", "output_mode": mode});
        let lines = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with('['));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let every = lines(&say(&sandbox, "grep", whole.clone()).await.text());
        assert_eq!(every.len(), all);
        for offset in [0, 1, 5, all - 1] {
            let mut some = whole.clone();
            some["offset"] = offset.into();
            some["limit"] = 2.into();
            let page = lines(&say(&sandbox, "grep", some.clone()).await.text());
            assert_eq!(page, every[offset..(offset + 2).min(all)], "{mode} {offset}");
        }
        let mut past = whole.clone();
        past["offset"] = (all + 5).into();
        let text = say(&sandbox, "grep", past).await;
        assert!(text.text().contains(&format!("past the end: {all} results")), "{}", text.text());
        // Going on from an offset needs no offset.
        let mut first = whole.clone();
        first["offset"] = 1.into();
        first["limit"] = 2.into();
        let output = say(&sandbox, "grep", first).await;
        assert!(!output.text().contains("\"offset\""), "{}", output.text());
        let mut next = whole;
        next["cursor"] = output.envelope.cursor.expect("there is more").into();
        assert_eq!(lines(&say(&sandbox, "grep", next).await.text()), every[3..], "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_the_scan_then_costs() {
    let server = articles().await;
    server.store().put("empty.md", "");
    // One range of 8 MiB and two steps of 4 MiB.
    server.store().put_object("large.log", Stored::numbered(64, (15 << 20) / 65));
    for arguments in [
        json!({"pattern": "nothing-like-it"}),
        json!({"pattern": "nothing-like-it", "path": "/guide/", "glob": "r2vfs-*"}),
        json!({"pattern": "nothing-like-it", "path": ["/large.log", "/howto/", "/empty.md"]}),
    ] {
        let sandbox = served(&server);
        let mut dry = arguments.clone();
        dry["dry_run"] = true.into();
        server.reset();
        let dry = sandbox.call("grep", dry).await.expect("an estimate");
        assert_eq!(server.counts().gets, 0, "nothing is read");
        let lists = server.counts().lists;
        let estimate = &dry["estimate"];
        let scanned = sandbox.call("grep", arguments.clone()).await.expect("a scan");
        let cost = &scanned["envelope"]["cost"];
        let searched = &scanned["envelope"]["searched"];
        assert_eq!(estimate["objects"], *searched, "{arguments}");
        assert_eq!(estimate["get_requests"], cost["get_requests"], "{arguments}");
        assert_eq!(estimate["bytes"], cost["bytes_fetched"], "{arguments}");
        assert_eq!(estimate["list_requests"], json!(lists), "{arguments}");
        assert_eq!(server.counts().lists, 2 * lists, "{arguments}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_may_cost_is_kept_to_and_told() {
    let server = TestServer::start().await;
    server.store().fill((0..300).map(|i| (format!("{i:03}.md"), "needle\n".repeat(20))));
    let sandbox = served(&server);
    let allow = |budget, results| CallOptions { budget, results, ..CallOptions::default() };
    let args = json!({"pattern": "needle", "limit": 1000});
    let few = allow(Budget { requests: Some(20), ..Budget::default() }, None);
    let output = sandbox.call_text("grep", args.clone(), &few).await;
    assert!(output.text().contains("the budget of 20 requests is spent"), "{}", output.text());
    assert!(output.text().contains("NOT COMPLETE: "), "{}", output.text());
    assert!(output.text().contains("go on with grep {"), "{}", output.text());
    assert!(server.counts().gets <= 120, "{:?}", server.counts());

    let output = sandbox.call_text("grep", args.clone(), &allow(Budget::default(), Some(7))).await;
    assert_eq!((output.results, output.envelope.incomplete[0].reason), (7, Reason::Limit));

    server.faults().delay(Duration::from_millis(400));
    let late = allow(Budget { time: Some(Duration::from_millis(150)), ..Budget::default() }, None);
    let output = sandbox.call_text("grep", args, &late).await;
    assert_eq!(output.envelope.incomplete[0].reason, Reason::Deadline);
    let text = output.text();
    assert!(
        text.starts_with("[no match so far for \"needle\": nothing was searched; NOT COMPLETE")
    );
    assert!(output.envelope.elapsed_ms < 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_pays_for_all_its_calls_those_that_fail_too() {
    let server = TestServer::start().await;
    server.store().fill((0..10).map(|i| (format!("{i}.md"), "needle\n")));
    let sandbox = served(&server);
    let within = |limits| {
        let session = Arc::new(Session::new(limits));
        (session.clone(), CallOptions { session: Some(session), ..CallOptions::default() })
    };
    let (session, calls) = within(SessionLimits::default());
    sandbox.call_text("grep", json!({"pattern": "needle"}), &calls).await.body.expect("matches");
    let spent = session.spent();
    assert_eq!((spent.calls, spent.requests, spent.results, spent.bytes), (1, 11, 10, 70));
    assert!(spent.chars > 50);
    let before = session.spent().requests;
    let missing = sandbox.call_text("read", json!({"path": "/none.md"}), &calls).await;
    assert!(missing.is_error() && session.spent().requests > before);
    assert!(missing.envelope.cost.list_requests > 0);

    let (_, calls) = within(SessionLimits { requests: Some(5), ..SessionLimits::default() });
    // A cold cache: what is kept costs nothing.
    let cold = served(&server);
    let part = cold.call_text("grep", json!({"pattern": "needle"}), &calls).await;
    assert!(part.text().contains("NOT COMPLETE: "), "{}", part.text());
    let refused = cold.call_text("stat", json!({"path": "/1.md"}), &calls).await;
    assert_eq!(refused.body.expect_err("spent").kind(), Kind::Budget);
    let (_, calls) = within(SessionLimits { calls: Some(1), ..SessionLimits::default() });
    assert!(!sandbox.call_text("list", json!({}), &calls).await.is_error());
    let refused = sandbox.call_text("list", json!({}), &calls).await;
    assert!(refused.text().contains("the budget of this session is spent: 1 calls"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_given_once_and_in_the_form_asked_for() {
    let server = articles().await;
    let sandbox = served(&server);
    let args = json!({"path": "/reference/"});
    let text = say(&sandbox, "list", args.clone()).await;
    assert!(matches!(&text.body, Ok(Body::Text(_))));
    let mut structured = args.clone();
    structured["format"] = "structured".into();
    let json = say(&sandbox, "list", structured).await;
    let Ok(Body::Structured(answer)) = &json.body else { panic!("{}", json.text()) };
    let whole = sandbox.call("list", args).await.expect("an answer");
    assert_eq!(answer["entries"], whole["entries"]);
    let usual = CallOptions { format: Format::Structured, ..CallOptions::default() };
    let wrong = sandbox.call_text("stat", json!({"path": "/refrence"}), &usual).await;
    let error: Value = serde_json::from_str(&wrong.text()).expect("JSON");
    assert_eq!((&error["kind"], &error["path"]), (&json!("not-found"), &json!("/refrence")));
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("/reference/")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_no_bucket_endpoint_or_prefix() {
    let server = TestServer::start().await;
    let bucket = "kb-7f3e";
    server.bucket(bucket).put("private-prefix/a.md", "needle\n");
    let location = format!("s3://{bucket}/private-prefix/");
    let mount = Mount { point: "/".into(), bucket: s3_bucket(&server, &location) };
    let sandbox = sandbox_with(vec![mount], SandboxOptions::default());
    for fault in [
        Fault::forbidden("AccessDenied"),
        Fault::forbidden("InvalidAccessKeyId"),
        Fault::forbidden("SignatureDoesNotMatch"),
        Fault::Html(404),
        Fault::Error { status: 404, code: "NoSuchBucket", retry_after: None },
    ] {
        server.faults().add(Rule::all(fault).times(20));
        for (tool, arguments) in [
            ("list", json!({})),
            ("stat", json!({"path": "/b.md"})),
            ("read", json!({"path": "/a.md"})),
            ("glob", json!({"pattern": "**"})),
            ("grep", json!({"pattern": "needle"})),
        ] {
            let output = say(&sandbox, tool, arguments).await;
            let text = output.text();
            let address = server.address().to_string();
            for secret in ["private-prefix", bucket, &*address, "127.0.0.1", "http"] {
                assert!(!text.contains(secret), "{tool}: {secret} in {text}");
            }
        }
    }
}
