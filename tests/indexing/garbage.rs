//! What is deleted of a published index, and what only looks as if it could be.

use std::time::{Duration, SystemTime};

use super::{
    program::{Bucket, Ran},
    publishing::{at, published, segments_of_the_manifest},
};
use crate::{
    indexed::r2vfs,
    support::{Fault, Kind, Rule, Stored},
};

fn long_ago() -> SystemTime {
    SystemTime::now() - Duration::from_secs(25 * 60 * 60)
}

/// Everything that is published was put long ago.
fn age(bucket: &Bucket) {
    let store = bucket.server.store();
    for name in published(bucket) {
        let key = format!(".r2vfs/{name}");
        let mut object = Stored::clone(&store.get(&key).expect("its file"));
        object.modified = long_ago();
        store.put_object(key, object);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_what_no_manifest_names_and_is_old() {
    let bucket = Bucket::with(10).await;
    bucket.index("build");
    bucket.index("publish");
    let store = bucket.server.store();
    let old = long_ago();
    let name = |digit: &str| format!(".r2vfs/{}.seg", digit.repeat(32));
    store.put_object(name("a"), Stored::new("old garbage").modified(old));
    store.put_object(name("b"), Stored::new("young garbage"));
    store.put_object(".r2vfs/readme.md", Stored::new("somebody's").modified(old));
    store.put_object("docs/old.md", Stored::new("an article").modified(old));
    let kept = segments_of_the_manifest(&bucket);
    // Also what the manifest names is old by now.
    for name in &kept {
        let key = format!(".r2vfs/{name}");
        let mut object = Stored::clone(&store.get(&key).expect("its file"));
        object.modified = old;
        store.put_object(key, object);
    }
    let dry = bucket.index("gc --dry-run");
    assert_eq!((dry["files"].as_u64(), dry["young"].as_u64()), (Some(1), Some(1)), "{dry}");
    assert!(store.get(name("a")).is_some(), "a dry run deletes nothing");
    let done = bucket.index("gc");
    assert_eq!((done["files"].as_u64(), done["young"].as_u64()), (Some(1), Some(1)), "{done}");
    assert!(store.get(name("a")).is_none() && store.get(name("b")).is_some());
    assert!(store.get(".r2vfs/readme.md").is_some() && store.get("docs/old.md").is_some());
    assert_eq!(segments_of_the_manifest(&bucket), kept);
    bucket.ran("drop --published").fails(&["--yes"]);
    bucket.index("drop --published --yes");
    assert_eq!(published(&bucket), ["readme.md"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_again_while_garbage_is_collected_stays() {
    let bucket = Bucket::with(3).await;
    bucket.index("build");
    bucket.index("publish");
    let store = bucket.server.store();
    let garbage = ["a", "b"].map(|digit| format!(".r2vfs/{}.seg", digit.repeat(32)));
    for key in &garbage {
        store.put_object(key, Stored::new("old garbage").modified(long_ago()));
    }
    // It has looked once, and the list right before it deletes takes its time.
    bucket.server.faults().add(Rule::kind(Kind::List, Fault::retry_after(3)).skip(1).times(1));
    bucket.server.reset();
    let mut child = bucket.spawned(&mut bucket.command("gc --json"));
    assert!(bucket.asked(Kind::List, 2, &mut child), "it looks a second time");
    store.put(&garbage[0], "put again");
    let done = Ran::of("gc", child.wait_with_output().expect("it ends"));
    assert_eq!(done.json()["files"].as_u64(), Some(1), "{done}");
    assert!(store.get(&garbage[0]).is_some() && store.get(&garbage[1]).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grace_that_could_cost_a_publisher_its_files_is_refused() {
    let bucket = Bucket::with(3).await;
    for short in ["1ms", "1h", "7199s"] {
        bucket.ran(&format!("gc --grace {short}")).fails(&["so short a grace", "2h or more"]);
    }
    bucket.index("gc --grace 2h");
}

/// What a reader sees that has nothing but the bucket.
fn tree(bucket: &Bucket) -> String {
    let nothing = tempfile::tempdir().expect("a directory");
    let location = bucket.server.location("");
    r2vfs(nothing.path(), &location, &bucket.server.env(), &["--no-disk-cache", "ls", "-R", "/"])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_publish_superseded_stays_hidden_and_keeps_its_grace() {
    let bucket = Bucket::with(10).await;
    bucket.index("build");
    bucket.index("publish");
    let first = segments_of_the_manifest(&bucket);
    bucket.server.store().put("docs/000.md", "changed\n");
    bucket.index("update");
    bucket.index("compact");
    bucket.index("publish");
    let second = segments_of_the_manifest(&bucket);
    assert_eq!(published(&bucket).len(), 3, "the old segment, the new one and the manifest");
    let seen = tree(&bucket);
    assert!(seen.contains("docs/000.md") && !seen.contains(".r2vfs"), "{seen}");
    // It was put long ago, and named until a moment ago.
    age(&bucket);
    bucket.index("publish");
    let done = bucket.index("gc");
    assert_eq!((done["files"].as_u64(), done["young"].as_u64()), (Some(0), Some(1)), "{done}");

    // What is hidden is what is named, and nothing that looks like it.
    let store = bucket.server.store();
    store.put(format!(".r2vfs/{}.seg", "a".repeat(32)), "not of this index");
    let seen = tree(&bucket);
    assert!(seen.contains("aaaa.seg") && !seen.contains(&first[0]), "{seen}");
    assert!(!seen.contains(&second[0]) && !seen.contains("manifest.json"), "{seen}");

    // Once it is gone, the manifest forgets it: another object may have the name.
    assert!(store.delete(format!(".r2vfs/{}", first[0])));
    bucket.index("gc");
    store.put(format!(".r2vfs/{}", first[0]), "somebody's");
    let seen = tree(&bucket);
    assert!(seen.contains(&first[0]) && !seen.contains(&second[0]), "{seen}");
    assert_eq!(segments_of_the_manifest(&bucket), second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_during_a_drop_is_told_and_stays_whole() {
    let bucket = Bucket::with(5).await;
    let other = tempfile::tempdir().expect("a temporary directory");
    bucket.index("build");
    bucket.index("publish");
    assert_eq!(at(&bucket, &other, "build").code, Some(0));
    let old = format!(".r2vfs/{}", segments_of_the_manifest(&bucket)[0]);
    // The manifest is gone, and the deletion of the segment takes its time.
    bucket.server.faults().add(Rule::kind(Kind::Delete, Fault::retry_after(3)).key(&old).times(1));
    let child = bucket.spawned(&mut bucket.command("drop --published --yes"));
    let store = bucket.server.store();
    while store.get(".r2vfs/manifest.json").is_some() {
        std::thread::yield_now();
    }
    let ran = at(&bucket, &other, "publish");
    assert_eq!(ran.code, Some(0), "{ran}");
    let dropped = Ran::of("drop", child.wait_with_output().expect("it ends"));
    dropped.fails(&["published anew while it was deleted", "next: run the same command again"]);
    assert_eq!(segments_of_the_manifest(&bucket).len(), 1);
}
