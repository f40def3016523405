//! An index in the bucket: put there whole, by one of two publishers, or by one that is killed.

use tempfile::TempDir;

use super::program::{Bucket, Ran};
use crate::support::{Fault, Kind, Quirk, Rule};

pub(super) fn at(bucket: &Bucket, home: &TempDir, words: &str) -> Ran {
    let words = format!("{words} --json");
    Ran::of(&words, bucket.command_at(home, &words).output().expect("the program starts"))
}

/// The names of what is published.
pub(super) fn published(bucket: &Bucket) -> Vec<String> {
    let keys = bucket.keys().into_iter();
    keys.filter_map(|key| key.strip_prefix(".r2vfs/").map(str::to_owned)).collect()
}

pub(super) fn segments_of_the_manifest(bucket: &Bucket) -> Vec<String> {
    let stored = bucket.server.store().get(".r2vfs/manifest.json").expect("a manifest");
    let bytes = stored.content.slice(0..stored.content.len());
    let json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let segments = json["manifest"]["segments"].as_array().expect("segments").clone();
    for segment in &segments {
        let name = segment["file"]["name"].as_str().expect("a name");
        let there = bucket.server.store().get(format!(".r2vfs/{name}")).expect("its file");
        assert_eq!(segment["file"]["etag"].as_str(), Some(there.etag.as_str()), "{name}");
        assert_eq!(segment["file"]["bytes"].as_u64(), Some(there.content.len()), "{name}");
    }
    let name = |segment: &serde_json::Value| segment["file"]["name"].as_str().map(str::to_owned);
    segments.iter().filter_map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_uploaded_once_and_indexed_never() {
    let bucket = Bucket::with(30).await;
    bucket.index("build");
    let first = bucket.index("publish");
    assert_eq!((first["put"].as_u64(), first["segments"].as_u64()), (Some(1), Some(1)));
    let segments = segments_of_the_manifest(&bucket);
    assert_eq!(published(&bucket), [segments, vec!["manifest.json".to_owned()]].concat());

    let again = bucket.index("publish");
    assert_eq!((again["put"].as_u64(), again["unchanged"].as_bool()), (Some(0), Some(true)));
    // The index's own files are no documents of it.
    let updated = bucket.index("update");
    assert_eq!((updated["new"].as_u64(), updated["unchanged"].as_u64()), (Some(0), Some(30)));
    bucket.server.store().put("docs/000.md", "changed\n");
    bucket.index("update");
    let next = bucket.index("publish");
    assert_eq!((next["put"].as_u64(), next["segments"].as_u64()), (Some(1), Some(2)), "{next}");
    assert_eq!(segments_of_the_manifest(&bucket).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_named_and_not_there_is_put_again() {
    let bucket = Bucket::with(12).await;
    bucket.index("build");
    bucket.index("publish");
    let names = segments_of_the_manifest(&bucket);
    let key = format!(".r2vfs/{}", names[0]);
    let breaks: [fn(&Bucket, &str); 2] = [
        |bucket, key| assert!(bucket.server.store().delete(key)),
        |bucket, key| bucket.server.store().put(key, "cut short"),
    ];
    for break_it in breaks {
        break_it(&bucket, &key);
        let again = bucket.index("publish");
        assert_eq!((again["put"].as_u64(), again["unchanged"].as_bool()), (Some(1), Some(false)));
        assert_eq!(segments_of_the_manifest(&bucket), names);
    }
    assert_eq!(bucket.index("publish")["unchanged"].as_bool(), Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_deleted_while_others_are_put_is_put_again() {
    let bucket = Bucket::with(30).await;
    for share in 1..=3 {
        bucket.index(&format!("build --shard {share}/3"));
    }
    let names = bucket
        .segments()
        .into_iter()
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned());
    let keys: Vec<String> = names.map(|name| format!(".r2vfs/{name}")).collect();
    // One is slow, and meanwhile another that was put is deleted.
    bucket.server.faults().add(Rule::puts(Fault::retry_after(2)).key(&keys[2]).times(1));
    bucket.server.reset();
    let mut child = bucket.spawned(&mut bucket.command("publish --json"));
    // The probe takes four PUTs.
    assert!(bucket.asked(Kind::Put, 7, &mut child), "it uploads");
    let store = bucket.server.store();
    while !store.delete(&keys[0]) {
        std::thread::yield_now();
    }
    let ran = Ran::of("publish", child.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(ran.json()["put"].as_u64(), Some(4), "{ran}");
    assert_eq!(segments_of_the_manifest(&bucket).len(), 3);
}

#[cfg(unix)]
fn signal(child: &std::process::Child, which: &str) {
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill").args([which, &id]).status().expect("kill runs");
    assert!(sent.success());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn of_two_publishers_the_slower_is_told_and_destroys_nothing() {
    let bucket = Bucket::with(20).await;
    let other = TempDir::new().expect("a temporary directory");
    bucket.index("build");
    assert_eq!(at(&bucket, &other, "build").code, Some(0));
    // The other one publishes while the first, which has read that nothing is there, stands still
    // with its segment on the way.
    let name = bucket.segments()[0].file_name().expect("a name").to_string_lossy().into_owned();
    let busy = Rule::puts(Fault::retry_after(3)).key(&format!(".r2vfs/{name}")).times(1);
    bucket.server.faults().add(busy);
    bucket.server.reset();
    let mut child = bucket.spawned(&mut bucket.command("publish --json"));
    // The probe takes four PUTs; the fifth is the segment.
    assert!(bucket.asked(Kind::Put, 5, &mut child), "it uploads");
    signal(&child, "-STOP");
    let winner = at(&bucket, &other, "publish");
    signal(&child, "-CONT");
    assert_eq!(winner.code, Some(0), "{winner}");
    let won = segments_of_the_manifest(&bucket);
    let manifest = bucket.server.store().get(".r2vfs/manifest.json").expect("it").etag.clone();
    let loser = Ran::of("publish", child.wait_with_output().expect("it ends"));
    loser.fails(&["another publisher was faster", "next: run the same command again"]);
    let after = bucket.server.store().get(".r2vfs/manifest.json").expect("it").etag.clone();
    assert_eq!((manifest, won), (after, segments_of_the_manifest(&bucket)));
    // And what it was told to do helps, without uploading again.
    let again = bucket.index("publish");
    assert_eq!(again["put"].as_u64(), Some(0), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_conditions_asks_for_a_single_publisher() {
    let bucket = Bucket::with(5).await;
    bucket.index("build");
    bucket.server.faults().quirk(Quirk::IgnorePutConditions);
    bucket.ran("publish").fails(&["ignores conditions", "--single-publisher"]);
    assert_eq!(published(&bucket), [""; 0]);
    bucket.index("publish --single-publisher");
    assert_eq!(segments_of_the_manifest(&bucket).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_publisher_leaves_the_old_index_and_uploads_nothing_twice() {
    let bucket = Bucket::with(60).await;
    for share in 1..=4 {
        bucket.index(&format!("build --shard {share}/4"));
    }
    bucket.index("publish");
    bucket.index("compact");
    bucket.server.store().put("docs/000.md", "changed\n");
    bucket.index("update");
    // The probe has four, then two segments, then the manifest.
    for puts in 1..=7 {
        bucket.server.reset();
        let mut child = bucket.spawned(&mut bucket.command("publish --json"));
        bucket.asked(Kind::Put, puts, &mut child);
        child.kill().expect("SIGKILL");
        drop(child.wait_with_output().expect("it ends"));
        // Whichever manifest is there, its files are.
        let there = segments_of_the_manifest(&bucket).len();
        assert!(there == 4 || there == 2, "after {puts}: {there}");
        assert!(bucket.server.quiet().await, "the server has done what it was sent");
    }
    bucket.server.reset();
    bucket.index("publish");
    assert_eq!(segments_of_the_manifest(&bucket).len(), 2);
    let segments = bucket
        .server
        .log()
        .iter()
        .filter(|a| a.kind == Kind::Put && a.name.ends_with(".seg"))
        .count();
    assert_eq!(segments, 0, "they were there already");
    bucket.is_sound();
}
