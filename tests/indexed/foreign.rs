//! An index of another bucket is never one of this.

use std::path::Path;

use super::r2vfs;
use crate::support::{Stored, TestServer};

/// What `grep -c` finds, and what is said about it.
fn grep(server: &TestServer, dir: &Path, index: &str) -> (String, String) {
    let words = ["--no-disk-cache", "--index", index, "grep", "-c", "needle", "--stats"];
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_r2vfs"))
        .args(words)
        .env_clear()
        .env("R2VFS_BUCKET", server.location("copy/"))
        .env("HOME", dir)
        .envs(server.env())
        .args([format!("--index-dir={}", dir.display())])
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_came_with_a_copy_is_not_used() {
    let server = TestServer::start().await;
    let store = server.store();
    // As servers make ETags that count or tell times: alike in the copy, over other bytes.
    let object = |n: u32, text: &str| {
        let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        Stored::new(format!("{text} {n:05}\n")).etag(&format!("v{n}")).modified(at)
    };
    for n in 0..40 {
        store.put_object(format!("one/{n}.md"), object(n, "a haystack"));
        store.put_object(format!("copy/{n}.md"), object(n, "the needle"));
    }
    let built = tempfile::tempdir().expect("a directory");
    let (one, env) = (server.location("one/"), server.env());
    r2vfs(built.path(), &one, &env, &["index", "build"]);
    r2vfs(built.path(), &one, &env, &["index", "publish"]);
    let nothing = tempfile::tempdir().expect("a directory");
    // Of its own bucket it is the index.
    let out = r2vfs(nothing.path(), &one, &env, &["--no-disk-cache", "grep", "-c", "haystack"]);
    assert_eq!(out.lines().count(), 40);

    let elsewhere = server.location("one/.r2vfs/");
    for key in store.keys() {
        let key = String::from_utf8(key).expect("a key");
        if let Some(name) = key.strip_prefix("one/.r2vfs/") {
            store.put_object(
                format!("copy/.r2vfs/{name}"),
                Stored::clone(&store.get(&key).expect("it")),
            );
        }
    }
    for index in ["auto", elsewhere.as_str()] {
        let (out, err) = grep(&server, nothing.path(), index);
        let found = out.lines().filter(|line| line.ends_with(":1")).count();
        assert_eq!(found, 40, "{index}: {out}\n{err}");
        assert!(err.contains("it is of another bucket"), "{index}: {err}");
        // Its files are an index's all the same.
        assert!(!out.contains(".r2vfs"), "{out}");
    }
}
