//! `search` as a model meets it: what it says of its own bounds, and of an index that fails.

use r2vfs::{
    error::Kind,
    sandbox::{CallOptions, Format, MAX_CHARS, MIN_CHARS, Reason, VirtualSandbox},
};
use serde_json::json;

use super::{articles, say};
use crate::{
    indexed::{r2vfs, with_local_index, with_published_index},
    support::{Fault, Rule, TestServer, kit::s3_bucket},
};

/// The articles with an index beside them, and what holds it.
async fn indexed() -> (TestServer, tempfile::TempDir, VirtualSandbox) {
    let server = articles().await;
    let dir = tempfile::tempdir().expect("a directory");
    let location = server.location("");
    r2vfs(dir.path(), &location, &server.env(), &["index", "build"]);
    let sandbox = with_local_index(s3_bucket(&server, &location), dir.path());
    (server, dir, sandbox)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_leaves_hits_out_says_so_and_how_to_get_them() {
    let (_server, _dir, sandbox) = indexed().await;
    let few = say(&sandbox, "search", json!({"query": "bucket", "limit": 3})).await;
    let text = few.text();
    assert!(text.contains("[3 hits; there is more: the limit of 3 hits is reached; "), "{text}");
    assert!(text.contains(r#"for more search {"query":"bucket","limit":6}"#), "{text}");
    assert_eq!((few.results, few.envelope.incomplete[0].reason), (3, Reason::Limit));
    let all = say(&sandbox, "search", json!({"query": "bucket", "limit": 1000})).await;
    let text = all.text();
    assert!(text.contains("there is more: the answer is full (20000 characters); "), "{text}");
    assert!(text.contains("for others narrow path, glob or query"), "{text}");
    assert!(!all.envelope.complete && all.results > 10);
    let one = json!({"query": "\"slow down\"", "path": "/faq/limits.md", "limit": 1000});
    let whole = say(&sandbox, "search", one).await;
    assert!(whole.envelope.complete && whole.text().contains("; complete"), "{}", whole.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_keeps_to_its_room_in_both_forms() {
    let (_server, _dir, sandbox) = indexed().await;
    for format in [Format::Text, Format::Structured] {
        for chars in [MIN_CHARS, 20_000, MAX_CHARS] {
            let options = CallOptions { format, chars, ..CallOptions::default() };
            let arguments = json!({"query": "bucket", "limit": 1000});
            let output = sandbox.call_text("search", arguments, &options).await;
            let given = output.text().chars().count();
            assert!((chars / 2..=chars).contains(&given), "{format:?} {chars}: {given}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_fails_is_not_an_index_that_is_not_there() {
    let server = articles().await;
    let dir = tempfile::tempdir().expect("a directory");
    let location = server.location("");
    for step in ["build", "publish"] {
        r2vfs(dir.path(), &location, &server.env(), &["index", step]);
    }
    let ask = async || {
        // A new process: nothing is open yet.
        let sandbox = with_published_index(s3_bucket(&server, &location));
        say(&sandbox, "search", json!({"query": "bucket"})).await.body
    };
    ask().await.expect("there is an index");
    let gone = Fault::Error { status: 404, code: "NoSuchBucket", retry_after: None };
    for (fault, kind) in
        [(Fault::forbidden("AccessDenied"), Kind::Forbidden), (gone, Kind::NoBucket)]
    {
        for part in ["manifest", "segment"] {
            let rule = Rule::gets(fault.clone());
            server.faults().add(if part == "manifest" { rule } else { rule.skip(1) });
            let error = ask().await.expect_err("it fails");
            assert_eq!(error.kind(), kind, "{part}: {error}");
            server.faults().clear();
        }
    }
    server.store().delete(".r2vfs/manifest.json");
    assert_eq!(ask().await.expect_err("there is none").kind(), Kind::NoIndex);
}
