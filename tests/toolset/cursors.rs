//! Where an answer goes on: whose cursors are taken, and what they give.

use std::time::Duration;

use r2vfs::{
    error::Kind,
    sandbox::{CallOptions, CursorKey, MAX_CHARS, SandboxOptions},
    vfs::{Budget, Freshness, Mount},
};
use serde_json::{Value, json};

use super::{options, say};
use crate::support::{
    TestServer,
    kit::{s3_bucket, sandbox_with, served},
};

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

/// Arguments of each tool that has pages, for pages of this many results.
fn paged(limit: u64) -> Vec<(&'static str, Value)> {
    let grep = json!({"pattern": "needle", "output_mode": "files_with_matches"});
    let mut all = vec![("list", json!({"path": "/docs"})), ("list", json!({"path": "/docs/"}))];
    for path in [None, Some("/docs"), Some("/docs/")] {
        for (tool, mut args) in [
            ("grep", grep.clone()),
            ("glob", json!({"pattern": "**"})),
            ("list", json!({"recursive": true})),
        ] {
            if let Some(path) = path {
                args["path"] = path.into();
            }
            all.push((tool, args));
        }
    }
    all.iter_mut().for_each(|(_, args)| args["limit"] = limit.into());
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_in_one_listing_and_never_list_a_page_twice() {
    let server = TestServer::start().await;
    let keys = (0..4500).map(|i| format!("docs/{i:04}.md"));
    server.store().fill(keys.map(|key| (key, "needle\n")));
    for (tool, first) in paged(900) {
        let sandbox = served(&server);
        server.reset();
        let (mut args, mut seen) = (first.clone(), Vec::new());
        let (mut times, mut told) = (Vec::new(), 0);
        for page in 0.. {
            let answer = sandbox.call(tool, args.clone()).await.expect("a page");
            let envelope = &answer["envelope"];
            // The first page has also looked whether /docs is a directory.
            if first["path"].is_null() || page > 0 {
                times.push(envelope["as_of"].clone());
            }
            assert!(!envelope.to_string().contains("listed again"), "{tool}: {envelope}");
            told += envelope["cost"]["list_requests"].as_u64().expect("a count");
            let paths = match tool {
                "grep" => &answer["files"],
                "glob" => &answer["paths"],
                _ => &answer["entries"],
            };
            let path = |found: &Value| found["path"].as_str().or(found.as_str()).map(str::to_owned);
            seen.extend(paths.as_array().expect("results").iter().filter_map(path));
            let Some(cursor) = envelope["cursor"].as_str() else { break };
            args["cursor"] = cursor.into();
            // Before the cursor, where a newer listing would have it.
            server.store().put(format!("docs/0000-{page}.md"), "needle\n");
        }
        let files = seen.iter().filter(|path| !path.ends_with('/')).count();
        assert_eq!(files, 4500, "{tool} {first}");
        assert!(seen.is_sorted(), "{tool}");
        times.dedup();
        assert_eq!(times.len(), 1, "{tool}: {times:?}");
        // To find that /docs is a directory takes one more.
        let most = if first["path"].is_null() { 5 } else { 6 };
        let lists = server.counts().lists;
        assert!((5..=most).contains(&lists), "{tool} {first}: {lists}");
        assert_eq!(told, lists, "{tool} {first}");
        for page in 0..6 {
            server.store().delete(format!("docs/0000-{page}.md"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_listing_in_ranges_go_on_in_it() {
    let server = TestServer::start().await;
    let keys = (0..30_000).map(|i| format!("docs/{i:05}.md"));
    server.store().fill(keys.map(|key| (key, "hay\n")));
    let sandbox = served(&server);
    // It tells where to split the next ones.
    sandbox.call("glob", json!({"pattern": "none"})).await.expect("no file");
    server.reset();
    let (mut args, mut found) = (json!({"pattern": "**", "limit": 4000}), 0);
    loop {
        let answer = sandbox.call("glob", args.clone()).await.expect("a page");
        assert!(!answer["envelope"].to_string().contains("listed again"), "{answer}");
        found += answer["paths"].as_array().expect("paths").len();
        let Some(cursor) = answer["envelope"]["cursor"].as_str() else { break };
        args["cursor"] = cursor.into();
    }
    assert_eq!(found, 30_000);
    assert!(server.counts().lists <= 30 + 18, "{} lists", server.counts().lists);
    // Who takes the first few has nothing fetched from far behind them.
    server.reset();
    let some = json!({"recursive": true, "limit": 500});
    sandbox.call("list", some).await.expect("a page");
    // The page that the answer is on, and the one after it.
    assert!(server.counts().lists <= 2, "{} lists", server.counts().lists);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_newer_listing_says_so() {
    let server = TestServer::start().await;
    server.store().fill((0..10).map(|i| (format!("docs/{i}.md"), "needle\n")));
    let opened = |freshness| {
        let cursor_key = CursorKey::new(b"the secret of both");
        options(&server, SandboxOptions { freshness, cursor_key, ..Default::default() })
    };
    let kept = Freshness::Bounded(Duration::from_secs(3600));
    for freshness in [kept, Freshness::Strict] {
        for (tool, first) in paged(4) {
            let mut args = first;
            let page = say(&opened(freshness), tool, args.clone()).await;
            args["cursor"] = page.envelope.cursor.expect("there is more").into();
            tokio::time::sleep(Duration::from_millis(5)).await;
            // Another process, which never saw the listing of the first page.
            let other = opened(freshness);
            let mut told = Vec::new();
            loop {
                let page = say(&other, tool, args.clone()).await;
                told.push(page.text().contains("listed again since the page before"));
                let Some(cursor) = page.envelope.cursor else { break };
                args["cursor"] = cursor.into();
            }
            assert_eq!(told, [true, false], "{tool}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_beside_a_directory_of_its_name_is_grepped_to_its_end() {
    let server = TestServer::start().await;
    server.store().put("a", "needle\n".repeat(300));
    server.store().fill((0..2500).map(|i| (format!("a/b/{i:04}.md"), "hay\n")));
    let sandbox = served(&server);
    for paths in [json!(["/a", "/a/b/"]), json!(["/a", "/a/"])] {
        let mut args =
            json!({"pattern": "needle", "path": paths, "output_mode": "content", "limit": 100});
        let mut lines = 0;
        loop {
            let answer = sandbox.call("grep", args.clone()).await.expect("a page");
            for file in answer["files"].as_array().expect("files") {
                assert_eq!(file["path"], json!("/a"));
                lines += file["lines"].as_array().expect("lines").len();
            }
            let Some(cursor) = answer["envelope"]["cursor"].as_str() else { break };
            args["cursor"] = cursor.into();
        }
        assert_eq!(lines, 300, "{paths}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_listings_are_gone_on_in_or_told_to_be_new() {
    let server = TestServer::start().await;
    let keys = (0..20).flat_map(|dir| (0..3).map(move |i| format!("{dir:02}/{i}.md")));
    server.store().fill(keys.map(|key| (key, "needle\n")));
    let paths: Vec<String> = (0..20).map(|dir| format!("/{dir:02}/")).collect();
    let args = json!({"pattern": "needle", "path": paths, "output_mode": "files_with_matches"});
    let sandbox = served(&server);
    let (mut page, mut files) = (args.clone(), Vec::new());
    page["limit"] = json!(4);
    for n in 0.. {
        let answer = sandbox.call("grep", page.clone()).await.expect("a page");
        assert!(!answer["envelope"].to_string().contains("listed again"), "{answer}");
        let found = answer["files"].as_array().expect("files").iter();
        files.extend(found.map(|file| file["path"].clone()));
        let Some(cursor) = answer["envelope"]["cursor"].as_str() else { break };
        page["cursor"] = cursor.into();
        // In the directory that the reader stands in: a listing of its own would show it.
        let dir = n * 4 / 3;
        server.store().put(format!("{dir:02}/0{n}.md"), "needle\n");
    }
    assert_eq!(files.len(), 60, "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_a_budget_cut_goes_on_with_the_next_request() {
    let server = TestServer::start().await;
    server.store().fill((0..3500).map(|i| (format!("docs/{i:04}.md"), "hay\n")));
    let sandbox = served(&server);
    let one = Budget { requests: Some(1), ..Budget::default() };
    let tight = CallOptions { chars: MAX_CHARS, budget: one, ..CallOptions::default() };
    // Each list request brings a thousand names, and 400 of them are asked for at a time.
    let mut args = json!({"pattern": "**", "limit": 400});
    let mut found = 0;
    loop {
        let page = sandbox.call_text("glob", args.clone(), &tight).await;
        assert!(!page.text().contains("listed again"), "{}", page.text());
        found += page.results;
        let Some(cursor) = page.envelope.cursor else { break };
        args["cursor"] = cursor.into();
    }
    assert_eq!((found, server.counts().lists), (3500, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_gets_nowhere_gives_no_cursor_and_says_what_to_do() {
    let server = TestServer::start().await;
    server.store().fill((0..1500).map(|i| (format!("{i:04}.md"), "needle\n")));
    let opened = || {
        let cursor_key = CursorKey::new(b"the secret of both");
        options(&server, SandboxOptions { cursor_key, ..Default::default() })
    };
    let generous = CallOptions { chars: MAX_CHARS, ..CallOptions::default() };
    let one = Budget { requests: Some(1), ..Budget::default() };
    let tight = CallOptions { budget: one, ..generous.clone() };
    for (tool, first) in [
        ("glob", json!({"pattern": "**", "limit": 1000})),
        ("list", json!({"recursive": true, "limit": 1000})),
        ("grep", json!({"pattern": "needle", "limit": 1000})),
    ] {
        let page = opened().call(tool, first.clone()).await.expect("a page");
        let mut args = first;
        args["cursor"] = page["envelope"]["cursor"].clone();
        // Elsewhere it is listed again from the start: one request ends before the place is come
        // to.
        let sandbox = opened();
        let stuck = sandbox.call_text(tool, args.clone(), &tight).await;
        let text = stuck.text();
        assert_eq!((stuck.results, &stuck.envelope.cursor), (0, &None), "{tool}: {text}");
        assert!(text.contains("the budget of 1 requests is spent"), "{tool}: {text}");
        assert!(text.contains("stopped before the first result of this page"), "{tool}: {text}");
        assert!(!text.contains("go on with"), "{tool}: {text}");
        // Who allows more goes on from the same place.
        let next = sandbox.call_text(tool, args, &generous).await;
        assert!(next.results > 0 && next.envelope.complete, "{tool}: {}", next.text());
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
