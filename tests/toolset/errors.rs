//! Errors as a model meets them.

use r2vfs::{
    sandbox::{HitEvent, SandboxOptions},
    tree::visible,
    vfs::Mount,
};
use serde_json::json;

use super::say;
use crate::support::{
    Fault, Rule, TestServer,
    kit::{s3_bucket, sandbox_with, served},
};

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

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_a_tool_says_what_to_do() {
    let server = TestServer::start().await;
    server.store().put("docs/a.md", "needle\n");
    server.store().put("b.md", "needle\n");
    let sandbox = served(&server);
    for (tool, arguments) in [
        ("tree", json!({})),
        ("list", json!([])),
        ("list", json!({"limit": "10"})),
        ("list", json!({"limit": 0})),
        ("list", json!({"recursive": "yes"})),
        ("list", json!({"format": "yaml"})),
        ("list", json!({"pth": "/"})),
        ("list", json!({"path": "/none/"})),
        ("list", json!({"path": "/b.md"})),
        ("list", json!({"path": "/b.md", "recursive": true})),
        ("list", json!({"path": "docs/../b.md"})),
        ("list", json!({"path": "/%zz"})),
        ("list", json!({"path": "x".repeat(300_000)})),
        ("list", json!({"cursor": "AAAA"})),
        ("stat", json!({})),
        ("stat", json!({"path": 1})),
        ("stat", json!({"path": "/none"})),
        ("read", json!({"path": "/b.md", "tail": 1, "offset": 1})),
        ("read", json!({"path": "/b.md", "offset": 0})),
        ("read", json!({"path": "/b.md", "offset": 9})),
        ("read", json!({"path": "/b.md", "limit": 0})),
        ("read", json!({"path": "/b.md", "max_bytes": 1_u64 << 40})),
        ("read", json!({"path": "/none.md"})),
        ("glob", json!({"pattern": []})),
        ("glob", json!({"pattern": "{a"})),
        ("glob", json!({"pattern": "[a"})),
        ("glob", json!({"pattern": ["a", 1]})),
        ("glob", json!({"pattern": "x".repeat(100_000)})),
        ("glob", json!({"pattern": "*", "path": "/b.md"})),
        ("glob", json!({"pattern": "*", "path": "/none"})),
        ("grep", json!({"pattern": []})),
        ("grep", json!({"pattern": "a("})),
        ("grep", json!({"pattern": "(?=a)"})),
        ("grep", json!({"pattern": "a{99999}{99999}"})),
        ("grep", json!({"pattern": "a\nb"})),
        ("grep", json!({"pattern": "a", "context": 5000})),
        ("grep", json!({"pattern": "a", "type": "nonsense"})),
        ("grep", json!({"pattern": "a", "glob": "{a"})),
        ("grep", json!({"pattern": "a", "output_mode": "files"})),
        ("grep", json!({"pattern": "a", "path": "/none"})),
        ("grep", json!({"pattern": "a", "cursor": "AAAA", "offset": 1})),
        ("search", json!({"query": " "})),
        ("search", json!({"query": "a"})),
        ("search", json!({"query": "a", "limit": 5000})),
    ] {
        let output = say(&sandbox, tool, arguments.clone()).await;
        let shown: String = arguments.to_string().chars().take(100).collect();
        let error = output.body.expect_err(&shown);
        let advice = error.advice().unwrap_or_default();
        assert!(advice.len() > 5, "{tool} {shown}: {error} says nothing of what to do");
    }
    server.faults().add(Rule::all(Fault::forbidden("AccessDenied")).times(1000));
    for (tool, arguments) in
        [("list", json!({})), ("read", json!({"path": "/b.md"})), ("glob", json!({"pattern": "*"}))]
    {
        let error = say(&sandbox, tool, arguments).await.body.expect_err("it is refused");
        assert!(error.advice().is_some(), "{tool}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_comes_back_as_it_was_shown_through_every_door() {
    let server = TestServer::start().await;
    let key = "docs\u{202e}/secret\u{200b}.md";
    server.store().put(key, "needle\n");
    server.store().put("literal\\u{200b}.md", "needle\n");
    let sandbox = served(&server);
    let shown = visible(&format!("/{key}"));
    for path in [json!(shown), json!([shown, "/none.md"]), json!("/docs\\u{202e}/")] {
        let arguments = json!({"pattern": "needle", "path": path});
        let answer = say(&sandbox, "grep", arguments.clone()).await;
        assert!(answer.text().contains("secret\\u{200b}.md"), "{path}: {}", answer.text());
        let mut events = sandbox.hits(arguments).expect("a stream");
        let mut files = Vec::new();
        while let Some(event) = events.next().await {
            files.extend(match event {
                HitEvent::File { path, .. } => Some(path),
                _ => None,
            });
        }
        assert_eq!(files, [format!("/{key}")], "{path}");
    }
    // A name that really holds these characters.
    let literal = say(&sandbox, "read", json!({"path": "/literal\\u{200b}.md"})).await;
    assert!(literal.text().contains("needle"), "{}", literal.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_suggests_names_as_an_answer_does() {
    let server = TestServer::start().await;
    server.store().put("docs/retry.md", "needle\n");
    let sandbox = served(&server);
    let arguments = json!({"pattern": "needle", "path": "/docs/rtry.md"});
    let mut events = sandbox.hits(arguments).expect("a stream");
    let event = events.next().await.expect("an event");
    let json = serde_json::to_value(&event).expect("JSON");
    assert_eq!(json["hint"], json!("did you mean /docs/retry.md?"), "{json}");
}
