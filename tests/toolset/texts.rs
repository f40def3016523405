//! What a model reads: the texts as agreed on, and the form of an answer.
//!
//! The texts are a product: each case of `tests/golden/` is one call over `fixtures/kb` and what
//! it gives, as a file to be read in a review. `R2VFS_UPDATE_GOLDEN=1` writes them anew.

use std::path::Path;

use r2vfs::sandbox::{Body, CallOptions, Format};
use serde_json::{Value, json};

use super::{articles, say};
use crate::support::kit::served;

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
