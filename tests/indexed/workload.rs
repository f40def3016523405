//! The workload over real documentation with an index that is fresh, stale, half built or damaged,
//! local and published: always the answers of ripgrep.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{r2vfs, with_local_index, with_published_index};
use crate::{
    support::{
        TestServer,
        kit::{otel, s3_bucket},
    },
    workload::check,
};

fn files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root).expect("readable") {
        let path = entry.expect("readable").path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

/// The segment files of the only index in `dir`.
pub(super) fn segments(dir: &Path) -> Vec<PathBuf> {
    files(dir).into_iter().filter(|path| path.extension().is_some_and(|e| e == "seg")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_local_index_in_every_state() {
    let Some(corpus) = otel() else { return };
    let temporary = tempfile::tempdir().expect("a directory");
    let index = temporary.path().join("index");
    let server = TestServer::start().await;
    let (store, location, env) = (server.store(), server.location(""), server.env());
    assert_eq!(store.load(&corpus).expect("readable"), 1812);
    let keys = store.keys();
    // Local indexes are found by what the bucket is, so each look is a sandbox of its own.
    let indexed = |dir: &Path| with_local_index(s3_bucket(&server, &location), dir);

    // Stale first: of what is indexed here, 200 objects are changed, missing or too many afterwards.
    for (n, key) in keys.iter().enumerate().filter(|(n, _)| n % 9 == 0) {
        match n % 27 {
            0 => drop(store.delete(key)),
            9 => store.put([key.as_slice(), b".gone.md"].concat(), "memory_limiter the the the\n"),
            _ => store.put(key, "memory_limiter, changed\n"),
        }
    }
    r2vfs(&index, &location, &env, &["index", "build"]);
    for key in store.keys() {
        store.delete(key);
    }
    assert_eq!(store.load(&corpus).expect("readable"), 1812);
    let spent = check(&indexed(&index), 1812, true).await;
    assert!(spent.searched.len() >= 40, "stale: {spent:?}");

    // Half built: only one share of the keys.
    let half = temporary.path().join("half");
    r2vfs(&half, &location, &env, &["index", "build", "--shard", "1/2"]);
    let spent = check(&indexed(&half), 1812, true).await;
    assert!(spent.searched.len() >= 40, "half: {spent:?}");

    // Fresh.
    r2vfs(&index, &location, &env, &["index", "update"]);
    let spent = check(&indexed(&index), 1812, true).await;
    eprintln!("median objects searched for each that matches: {:.2}", spent.median());
    assert!(spent.median() <= 1.5, "{spent:?}");

    // Damaged: a bit among the n-grams, a bit in the footer, and a file that is not there. Each byte
    // of each part is the matter of the index's own tests.
    let file = segments(&index).pop().expect("a segment");
    let whole = fs::read(&file).expect("readable");
    for place in [whole.len() * 2 / 5, whole.len() - 9] {
        let mut broken = whole.clone();
        broken[place] ^= 4;
        fs::write(&file, broken).expect("written");
        check(&indexed(&index), 1812, true).await;
    }
    fs::remove_file(&file).expect("removed");
    check(&indexed(&index), 1812, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_published_index() {
    let Some(corpus) = otel() else { return };
    let server = TestServer::start().await;
    assert_eq!(server.store().load(&corpus).expect("readable"), 1812);
    let temporary = tempfile::tempdir().expect("a directory");
    let (location, env) = (server.location(""), server.env());
    r2vfs(temporary.path(), &location, &env, &["index", "build"]);
    r2vfs(temporary.path(), &location, &env, &["index", "publish"]);
    let sandbox = with_published_index(s3_bucket(&server, &location));
    let spent = check(&sandbox, 1812, true).await;
    assert!(spent.median() <= 1.5, "{spent:?}");
}
