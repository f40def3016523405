//! Runs that end before they should: killed, interrupted, or without room on the disk.

use std::{
    collections::BTreeSet,
    process::{Child, Command},
};

use r2vfs_index::{
    FaultKind,
    docs::{Doc, State},
    store::Store,
};

use super::{
    program::{Bucket, Ran},
    tally,
};
use crate::support::{Fault, Kind, Rule, Stored};

/// Small batches, so that there are many commits.
const SMALL: &str = "--memory 1MiB --json";

/// The keys that the index holds in the version that the bucket has.
fn held(bucket: &Bucket) -> BTreeSet<String> {
    let Some(dir) = bucket.dir() else { return BTreeSet::new() };
    let index = match Store::at(dir).open() {
        Ok(index) => index,
        Err(fault) if fault.kind() == FaultKind::Missing => return BTreeSet::new(),
        Err(fault) => panic!("whatever happened, the last commit opens: {fault}"),
    };
    let store = bucket.server.store();
    let docs = index.live().map(|(_, doc)| doc).filter(|doc| !doc.state.has(State::UNREADABLE));
    let is_there = |doc: &Doc| store.get(&doc.key).is_some_and(|stored| stored.etag == doc.etag);
    docs.filter(is_there).map(|doc| doc.key).collect()
}

/// The most objects that are under way at once: a batch for each core, and one more.
fn under_way() -> usize {
    (std::thread::available_parallelism().map_or(1, usize::from) + 1) * 16
}

/// Starts `words`, and kills it once the server was asked `count` times. Whether it was in time.
fn killed(bucket: &Bucket, words: &str, kind: Kind, count: u64) -> bool {
    let mut child = bucket.spawned(&mut bucket.command(words));
    let in_time = bucket.asked(kind, count, &mut child);
    child.kill().expect("SIGKILL");
    drop(child.wait_with_output().expect("it ends"));
    in_time
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_build_goes_on_and_fetches_nothing_twice_that_was_committed() {
    let bucket = Bucket::with(400).await;
    let mut before = BTreeSet::new();
    let (mut kills, mut all) = (0, 0);
    // The moments lie anywhere in a run, also before its first commit.
    for step in 0..60_u64 {
        bucket.server.reset();
        let in_time = killed(&bucket, &format!("build {SMALL}"), Kind::Get, 1 + step * 37 % 120);
        kills += usize::from(in_time);
        let gets: BTreeSet<String> = tally(&bucket).into_keys().collect();
        all += tally(&bucket).values().sum::<usize>();
        assert!(gets.is_disjoint(&before), "what was committed was fetched again: {gets:?}");
        let now = held(&bucket);
        assert!(now.is_superset(&before), "a commit was lost");
        before = now;
        if before.len() == 400 {
            break;
        }
    }
    assert!(kills >= 4, "{kills} kills in time");
    bucket.server.reset();
    let last = bucket.index("build");
    assert_eq!(last["unchanged"].as_u64(), Some(before.len() as u64), "{last}");
    let gets: BTreeSet<String> = tally(&bucket).into_keys().collect();
    assert!(gets.is_disjoint(&before) && gets.len() + before.len() == 400, "{gets:?}");
    // What was fetched in vain is what was under way at each kill, and no more.
    all += gets.len();
    assert!(all <= 400 + kills * under_way(), "{all} gets in {kills} runs that were killed");
    assert_eq!(held(&bucket).len(), 400);
    bucket.is_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_update_goes_on_and_loses_no_version() {
    let bucket = Bucket::with(200).await;
    bucket.index("build");
    let mut left: BTreeSet<String> = BTreeSet::new();
    for number in (0..200).step_by(2) {
        let key = format!("docs/{number:03}.md");
        bucket.server.store().put(&key, format!("the second version of {number}\n"));
        left.insert(key);
    }
    bucket.server.store().delete("docs/101.md");
    let mut before = held(&bucket);
    assert_eq!(before.len(), 99, "the odd ones, but for the deleted one");
    for count in [1, 5, 20, 40, 60, 3] {
        bucket.server.reset();
        killed(&bucket, &format!("update {SMALL}"), Kind::Get, count);
        let gets: BTreeSet<String> = tally(&bucket).into_keys().collect();
        assert!(gets.is_subset(&left) && gets.is_disjoint(&before), "{gets:?}");
        let now = held(&bucket);
        assert!(now.is_superset(&before), "a version was lost");
        before = now;
    }
    bucket.server.reset();
    bucket.index("update");
    let gets: BTreeSet<String> = tally(&bucket).into_keys().collect();
    assert!(gets.is_disjoint(&before) && gets.len() + before.len() == 199, "{gets:?}");
    let coverage = bucket.index("status")["coverage"].clone();
    let numbers = ["indexed", "changed", "new", "gone"].map(|name| coverage[name].as_u64());
    assert_eq!(numbers, [199, 0, 0, 0].map(Some), "{coverage}");
    bucket.is_sound();
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_compaction_leaves_the_index_as_it_was_or_joined() {
    let bucket = Bucket::with(60).await;
    let mut joined = 0;
    for round in 0..8 {
        // Each share is a segment, whatever is joined by itself.
        if bucket.ran("status --no-list").code == Some(0) {
            bucket.index("drop --yes");
        }
        for share in 1..=6 {
            bucket.index(&format!("build --shard {share}/6"));
        }
        assert_eq!(bucket.segments().len(), 6);
        let mut child = bucket.spawned(&mut bucket.command("compact --json"));
        // At moments of its own work: once the new file is there, and has so many bytes.
        wait_for_growth(&bucket, &mut child, round * 3000);
        child.kill().expect("SIGKILL");
        drop(child.wait_with_output().expect("it ends"));
        let status = bucket.index("status");
        let segments = status["segments"].as_u64().expect("a number");
        assert!(segments == 6 || segments == 1, "{status}");
        joined += u64::from(segments == 1);
        assert_eq!(status["coverage"]["indexed"].as_u64(), Some(60), "{status}");
        bucket.is_sound();
    }
    bucket.index("compact");
    assert_eq!(bucket.segments().len(), 1, "what killed runs left is removed");
    assert!(joined < 8, "no kill came in time");
}

/// Waits until a seventh segment has `bytes`, or the program has ended.
fn wait_for_growth(bucket: &Bucket, child: &mut Child, bytes: u64) {
    loop {
        let files = bucket.segments();
        let sizes: u64 =
            files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|m| m.len()).sum();
        let seventh = files.len() > 6 && sizes >= bytes;
        if seventh || child.try_wait().expect("a child").is_some() {
            return;
        }
        std::thread::yield_now();
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_keeps_what_is_done_and_says_how_to_go_on() {
    let bucket = Bucket::with(400).await;
    let mut child = bucket.spawned(&mut bucket.command("build --memory 1MiB"));
    assert!(bucket.asked(Kind::Get, 100, &mut child), "it has begun");
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().expect("kill runs");
    assert!(sent.success());
    let ran = Ran::of("build", child.wait_with_output().expect("it ends"));
    let gets = bucket.server.counts().gets;
    if ran.code == Some(0) && gets == 400 {
        panic!("the signal came too late to prove anything");
    }
    assert_eq!(ran.code, Some(130), "{ran}");
    assert!(ran.err.contains("the same command goes on"), "{ran}");
    let held = held(&bucket).len() as u64;
    assert!(held > 0, "something was kept: {ran}");
    bucket.server.reset();
    let rest = bucket.index("build");
    assert_eq!(rest["unchanged"].as_u64(), Some(held), "{rest}");
    assert_eq!(tally(&bucket).len() as u64, 400 - held);
    bucket.is_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_keeps_what_is_done() {
    let bucket = Bucket::with(40).await;
    bucket.server.faults().add(Rule::gets(Fault::Hang).key("docs/039.md"));
    let ran = bucket.ran("build --memory 1MiB --timeout 12");
    ran.fails(&["/docs/039.md: ", "next: "]);
    let held = held(&bucket).len() as u64;
    assert!(held > 0, "something was kept: {ran}");
    bucket.server.faults().clear();
    bucket.server.reset();
    bucket.index("build");
    assert_eq!(tally(&bucket).len() as u64, 40 - held);
    bucket.is_sound();
}

/// A disk of a few MiB; taken away when dropped.
#[cfg(target_os = "linux")]
struct SmallDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl SmallDisk {
    /// `None`, said aloud, where this process may mount nothing.
    fn new(size: &str) -> Option<Self> {
        let dir = tempfile::TempDir::new().expect("a temporary directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        eprintln!("SKIPPED: a small disk needs the right to mount a tmpfs");
        None
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "the small disk is still mounted");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_keeps_the_old_index() {
    let Some(disk) = SmallDisk::new("2m") else { return };
    let bucket = Bucket::with(50).await;
    let dir = disk.0.path().join("index");
    let at = |words: &str| bucket.ran(&format!("{words} --index-dir {} --json", dir.display()));
    assert_eq!(at("build").code, Some(0));
    // Text that no compressor makes small.
    for number in 0..8_u64 {
        let noise: String = (0..60_000_u64)
            .map(|i| {
                let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&i.to_le_bytes(), number);
                format!("{hash:016x}\n")
            })
            .collect();
        bucket.server.store().put_object(format!("noise/{number}.txt"), Stored::new(noise));
    }
    let full = at("update");
    full.fails(&["no room left on the disk", "make room", "run the same command again"]);
    let status = at("status");
    assert_eq!(status.json()["coverage"]["indexed"].as_u64(), Some(50), "{status}");
    assert_eq!(at("verify").code, Some(0));
    for number in 0..8 {
        bucket.server.store().delete(format!("noise/{number}.txt"));
    }
    bucket.server.store().put("docs/new.md", "small\n");
    let after = at("update");
    assert_eq!((after.code, after.json()["new"].as_u64()), (Some(0), Some(1)), "{after}");
}
