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

#[tokio::test(flavor = "multi_thread")]
async fn the_last_page_says_once_that_the_bucket_was_listed_again() {
    let server = TestServer::start().await;
    server.store().fill((0..10).map(|i| (format!("{i}.md"), "needle\n")));
    let kept = Freshness::Bounded(Duration::from_secs(3600));
    for (freshness, stale) in [(kept, false), (Freshness::Strict, true)] {
        let sandbox = options(&server, SandboxOptions { freshness, ..Default::default() });
        // Listed to its end, so that the listing can be kept.
        sandbox.call("glob", json!({"pattern": "**"})).await.expect("all");
        for (tool, first) in [
            ("grep", json!({"pattern": "needle", "limit": 4})),
            ("glob", json!({"pattern": "**", "limit": 4})),
            ("list", json!({"recursive": true, "limit": 4})),
        ] {
            let mut args = first.clone();
            let mut told = Vec::new();
            loop {
                let page = say(&sandbox, tool, args.clone()).await;
                told.push(page.text().contains("listed again"));
                let Some(cursor) = page.envelope.cursor else { break };
                args["cursor"] = cursor.into();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(told, [false, false, stale], "{tool}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_gets_nowhere_gives_no_cursor_and_says_what_to_do() {
    let server = TestServer::start().await;
    server.store().fill((0..1500).map(|i| (format!("{i:04}.md"), "needle\n")));
    let sandbox = served(&server);
    let generous = CallOptions { chars: MAX_CHARS, ..CallOptions::default() };
    let one = Budget { requests: Some(1), ..Budget::default() };
    let tight = CallOptions { budget: one, ..generous.clone() };
    for (tool, first) in [
        ("glob", json!({"pattern": "**", "limit": 1000})),
        ("list", json!({"recursive": true, "limit": 1000})),
        ("grep", json!({"pattern": "needle", "limit": 1000})),
    ] {
        let page = sandbox.call(tool, first.clone()).await.expect("a page");
        let mut args = first;
        args["cursor"] = page["envelope"]["cursor"].clone();
        // A page lists again from the start: one request ends before the place is come to.
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
