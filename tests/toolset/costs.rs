//! What a call may cost, and what it says that it will.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use r2vfs::{
    error::Kind,
    sandbox::{CallOptions, HitEvent, Reason, SandboxOptions, Session, SessionLimits},
    vfs::Budget,
};
use serde_json::{Value, json};

use super::{articles, options};
use crate::support::{Stored, TestServer, kit::served};

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
async fn a_call_has_a_deadline_unless_one_is_taken_away() {
    assert_eq!(SandboxOptions::default().budget.time, Some(Duration::from_secs(20)));
    let server = TestServer::start().await;
    server.store().put("a.md", "needle\n");
    server.faults().delay(Duration::from_millis(400));
    let short = Budget { time: Some(Duration::from_millis(100)), ..Budget::default() };
    let late = options(&server, SandboxOptions { budget: short, ..Default::default() });
    // What a call asks for can only be less.
    let asked = json!({"pattern": "needle", "timeout_ms": 60_000});
    let answer = late.call("grep", asked).await.expect("part of an answer");
    assert_eq!(answer["envelope"]["incomplete"][0]["reason"], json!("deadline"));
    let longer = Budget { time: Some(Duration::from_secs(60)), ..Budget::default() };
    let answer = late.bounded(longer).call("grep", json!({"pattern": "needle"})).await;
    assert_eq!(answer.expect("as before")["envelope"]["complete"], json!(false));
}

/// A pattern that takes long to compile.
fn heavy() -> Value {
    let words: Vec<String> = (0..3000).map(|n| format!("w{:05}ä", n * 7919 % 99_991)).collect();
    json!({"pattern": words.join("|"), "-i": true})
}

/// The longest time for which `work` kept a clock beside it waiting, and how long it took.
async fn pause_beside(work: impl Future<Output = ()>) -> (Duration, Duration) {
    let began = Instant::now();
    let mut work = pin!(work);
    let (mut longest, mut before) = (Duration::ZERO, began);
    loop {
        let tick = pin!(tokio::time::sleep(Duration::from_millis(1)));
        let ended = matches!(select(&mut work, tick).await, Either::Left(_));
        longest = longest.max(before.elapsed());
        before = Instant::now();
        if ended {
            return (longest, began.elapsed());
        }
    }
}

/// `work` keeps a clock beside it waiting for less than a fourth of its time. A busy machine stops
/// the clock too, but not each of five times.
async fn gives_others_their_turn(work: impl AsyncFn()) {
    let mut seen = Vec::new();
    for _ in 0..5 {
        let (longest, whole) = pause_beside(work()).await;
        if longest < whole / 4 {
            return;
        }
        seen.push((longest, whole));
    }
    panic!("without a turn, of the whole time: {seen:?}");
}

#[tokio::test]
async fn compiling_a_pattern_keeps_no_other_call_waiting() {
    let server = TestServer::start().await;
    server.store().put("a.md", "w07919ä\n");
    let sandbox = served(&server);
    // This runtime has one thread: whoever compiles on it stops the clock beside it.
    gives_others_their_turn(async || {
        let answer = sandbox.call("grep", heavy()).await.expect("an answer");
        assert_eq!(answer["files"][0]["path"], json!("/a.md"));
        let mut stream = sandbox.start_hits(heavy()).await.expect("a stream");
        assert!(matches!(stream.next().await, Some(HitEvent::File { .. })));
    })
    .await;
}

/// What an index is to be asked is read out of the pattern once more.
#[tokio::test]
async fn planning_a_pattern_keeps_no_other_call_waiting() {
    let server = TestServer::start().await;
    server.store().put("a.md", "abchij\n");
    let sandbox = served(&server);
    gives_others_their_turn(async || {
        let pattern = "(?:abc|d[ef]g|hij)?".repeat(3000);
        let answer = sandbox.call("grep", json!({ "pattern": pattern })).await.expect("an answer");
        assert_eq!(answer["files"][0]["path"], json!("/a.md"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_may_take_shorter_patterns_only() {
    let server = TestServer::start().await;
    server.store().put("a.md", "needle\n");
    let pattern_bytes = Some(100);
    let sandbox = options(&server, SandboxOptions { pattern_bytes, ..Default::default() });
    sandbox.call("grep", json!({"pattern": "needle"})).await.expect("it is short");
    let several = json!({"pattern": ["x".repeat(60), "y".repeat(60)]});
    for refused in [
        sandbox.call("grep", several.clone()).await.expect_err("too long"),
        sandbox.hits(several.clone()).expect_err("too long"),
        sandbox.start_hits(several).await.expect_err("too long"),
    ] {
        assert_eq!(refused.kind(), Kind::InvalidPattern);
        let message = refused.message();
        assert!(message.contains("120 bytes, more than the 100 that are taken"), "{message}");
        assert!(refused.advice().is_some());
    }
}
