//! What an answer says about itself with an index: what it says without, wherever it ends.

use std::process::Command;

use r2vfs::{
    sandbox::{Envelope, ScanEvent, VirtualSandbox},
    search::Hits,
};
use serde_json::Value;

use super::{r2vfs, with_local_index, with_published_index};
use crate::support::{
    TestServer,
    kit::{request, s3_bucket, served},
};

/// Binary and plain files without a match before and behind one file with a match.
fn fill(server: &TestServer) {
    let store = server.store();
    for n in 0..30 {
        for place in ["a", "m", "z"] {
            store.put(format!("{place}/{n:02}.md"), format!("an article about {n}\n"));
            store.put(format!("{place}/{n:02}.bin"), format!("binary {n}\n\0 more of it\n"));
        }
        store.put(format!("b/{n:02}.md"), format!("here is the needle {n}\n"));
    }
    // ripgrep counts from behind a byte order mark.
    store.put("a/bom.bin", "\u{feff}binary\0 with a mark\n");
    store.put("z/bom.bin", "\u{feff}binary\0 with a mark\n");
}

/// Up to the end of the first file that matches, or to the end.
async fn grep(sandbox: &VirtualSandbox, to_the_end: bool) -> Envelope {
    let mut scan = sandbox.scan(request("needle"), Hits::default()).expect("a scan");
    while let Some(event) = scan.next().await {
        if !to_the_end && matches!(event, ScanEvent::End { found, .. } if found.matched) {
            scan.reach_limit("one is enough");
        }
    }
    scan.envelope()
}

#[tokio::test(flavor = "multi_thread")]
async fn skipped_files_are_told_up_to_where_the_answer_ends() {
    let server = TestServer::start().await;
    fill(&server);
    let dir = tempfile::tempdir().expect("a directory");
    let (location, env) = (server.location(""), server.env());
    r2vfs(dir.path(), &location, &env, &["index", "build"]);
    r2vfs(dir.path(), &location, &env, &["index", "publish"]);
    let local = with_local_index(s3_bucket(&server, &location), dir.path());
    let published = with_published_index(s3_bucket(&server, &location));
    for to_the_end in [false, true] {
        let scanned = grep(&served(&server), to_the_end).await;
        assert_eq!(scanned.skipped.len(), if to_the_end { 92 } else { 31 });
        for indexed in [&local, &published] {
            let indexed = grep(indexed, to_the_end).await;
            assert_eq!(indexed.skipped, scanned.skipped);
            assert_eq!(indexed.skipped_by_reason, scanned.skipped_by_reason);
            let used = indexed.index.expect("it was asked");
            assert_eq!(indexed.searched + used.left_out, scanned.searched, "{used:?}");
            let read = indexed.searched;
            assert!((read..=30).contains(&used.packed), "{used:?}, {read} searched");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sums_of_json_are_those_of_a_full_scan() {
    let server = TestServer::start().await;
    fill(&server);
    for place in ["a", "z"] {
        assert!(server.store().delete(format!("{place}/bom.bin")));
    }
    let dir = tempfile::tempdir().expect("a directory");
    let location = server.location("");
    r2vfs(dir.path(), &location, &server.env(), &["index", "build"]);
    let sums = |index: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_r2vfs"))
            .args(["--index", index, "grep", "--json", "needle"])
            .env_clear()
            .env("R2VFS_BUCKET", &location)
            .env("HOME", dir.path())
            .envs(server.env())
            .args([format!("--index-dir={}", dir.path().display())])
            .output()
            .expect("the program starts");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<Value> =
            out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let summary = lines.iter().find(|line| line["type"] == "summary").expect("a summary");
        let mut stats = summary["data"]["stats"].clone();
        stats["elapsed"].take();
        (stats, lines.last().expect("an envelope")["data"]["index"]["left_out"].as_u64())
    };
    let (scanned, none) = sums("off");
    let (indexed, left_out) = sums("auto");
    assert_eq!((none, left_out), (None, Some(180)));
    assert_eq!(indexed, scanned);
    assert_eq!(scanned["searches"].as_u64(), Some(210));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_the_index_are_counted_once() {
    let server = TestServer::start().await;
    fill(&server);
    let dir = tempfile::tempdir().expect("a directory");
    let (location, env) = (server.location(""), server.env());
    r2vfs(dir.path(), &location, &env, &["index", "build"]);
    r2vfs(dir.path(), &location, &env, &["index", "publish"]);
    for words in [["ls", "/"].as_slice(), &["ls", "-R", "/"], &["tree", "/"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_r2vfs"))
            .args(words)
            .arg("--stats")
            .env_clear()
            .env("R2VFS_BUCKET", &location)
            .env("HOME", dir.path())
            .envs(server.env())
            .output()
            .expect("the program starts");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains("2 reserved objects"), "{words:?}: {err}");
    }
}
