//! An index in the bucket: two publishers, killed ones, and garbage.

use tempfile::TempDir;

use super::program::{Bucket, Ran};
use crate::support::{Fault, Kind, Quirk, Rule, Stored};

fn at(bucket: &Bucket, home: &TempDir, words: &str) -> Ran {
    let words = format!("{words} --json");
    Ran::of(&words, bucket.command_at(home, &words).output().expect("the program starts"))
}

/// The names of what is published.
fn published(bucket: &Bucket) -> Vec<String> {
    let keys = bucket.keys().into_iter();
    keys.filter_map(|key| key.strip_prefix(".r2vfs/").map(str::to_owned)).collect()
}

fn segments_of_the_manifest(bucket: &Bucket) -> Vec<String> {
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
async fn shares_of_several_machines_are_joined_by_publishing() {
    let bucket = Bucket::with(30).await;
    let machines = [(); 3].map(|()| TempDir::new().expect("a temporary directory"));
    for (share, home) in (1..).zip(&machines) {
        let built = at(&bucket, home, &format!("build --shard {share}/3"));
        assert_eq!(built.code, Some(0), "{built}");
        let ran = at(&bucket, home, "publish");
        assert_eq!(ran.code, Some(0), "{ran}");
        assert_eq!(ran.json()["others"].as_u64(), Some(share - 1), "{ran}");
    }
    assert_eq!(segments_of_the_manifest(&bucket).len(), 3);
    // One of them again: its share is replaced, the others stay.
    bucket.server.store().put("docs/000.md", "changed\n");
    at(&bucket, &machines[0], "update");
    at(&bucket, &machines[0], "compact");
    let ran = at(&bucket, &machines[0], "publish");
    let numbers = ["segments", "others", "put"].map(|name| ran.json()[name].as_u64());
    assert_eq!(numbers, [3, 2, 1].map(Some), "{ran}");
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

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_what_no_manifest_names_and_is_old() {
    let bucket = Bucket::with(10).await;
    bucket.index("build");
    bucket.index("publish");
    let store = bucket.server.store();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 60 * 60);
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
    let all = bucket.index("gc --grace 1ms");
    assert_eq!(all["files"].as_u64(), Some(1), "{all}");
    bucket.ran("drop --published").fails(&["--yes"]);
    bucket.index("drop --published --yes");
    assert_eq!(published(&bucket), ["readme.md"]);
}
