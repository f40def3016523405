//! The bulk job, as the real program over the loopback server, whose counts are the proof: what is
//! in a commit is never fetched again, whatever ended the run before.

mod garbage;
#[path = "indexing/kill.rs"]
mod kill;
#[path = "indexing/program.rs"]
mod program;
#[path = "indexing/publishing.rs"]
mod publishing;
mod shares;

use std::collections::BTreeMap;

use program::Bucket;

use crate::support::{Fault, Kind, Order, Rule, Stored};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_indexed_is_never_fetched_again() {
    let bucket = Bucket::with(60).await;
    let built = bucket.index("build");
    assert_eq!((built["committed"].as_u64(), built["segments"].as_u64()), (Some(60), Some(1)));
    assert_eq!(bucket.server.counts().gets, 60);
    for words in ["build", "update", "build --memory 1MiB"] {
        bucket.server.reset();
        let again = bucket.index(words);
        assert_eq!(again["unchanged"].as_u64(), Some(60), "{words}: {again}");
        let counts = bucket.server.counts();
        assert_eq!((counts.gets, counts.lists), (0, 1), "{words}");
    }
    bucket.is_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_fetches_exactly_what_changed() {
    let bucket = Bucket::with(40).await;
    bucket.index("build");
    let store = bucket.server.store();
    store.put("docs/007.md", "another version of seven\n");
    store.put("docs/new.md", "a new one\n");
    store.delete("docs/011.md");
    store.delete("docs/039.md");
    bucket.server.reset();
    let dry = bucket.index("update --dry-run");
    assert_eq!(bucket.server.counts().gets, 0, "a dry run gets nothing");
    let numbers = ["changed", "new", "gone", "indexed", "get_requests"];
    assert_eq!(numbers.map(|name| dry[name].as_u64()), [1, 1, 2, 37, 2].map(Some), "{dry}");
    assert!(dry["dollars"].as_f64().is_some_and(|dollars| dollars > 0.0 && dollars < 0.001));

    bucket.server.reset();
    let updated = bucket.index("update");
    assert_eq!(bucket.gets(), ["docs/007.md", "docs/new.md"]);
    let numbers = ["changed", "new", "gone", "unchanged"].map(|name| updated[name].as_u64());
    assert_eq!(numbers, [1, 1, 2, 37].map(Some), "{updated}");
    let status = bucket.index("status");
    let coverage = &status["coverage"];
    let numbers = ["indexed", "changed", "new", "gone"].map(|name| coverage[name].as_u64());
    assert_eq!(numbers, [39, 0, 0, 0].map(Some), "{status}");
    bucket.is_sound();
    // A key that comes back is a document again.
    store.put("docs/011.md", "eleven is back\n");
    bucket.index("update");
    assert_eq!(bucket.index("status")["documents"].as_u64(), Some(40));
    bucket.is_sound();
}

/// The disk flips a bit in a page that opening an index does not read: the largest of these
/// segments has some.
fn damage(segments: Vec<std::path::PathBuf>) {
    let size = |file: &std::path::PathBuf| std::fs::metadata(file).expect("it is there").len();
    let file = segments.into_iter().max_by_key(size).expect("a segment");
    let mut bytes = std::fs::read(&file).expect("it is there");
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).expect("it can be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_makes_anew_what_the_disk_has_damaged_and_nothing_else() {
    let bucket = Bucket::with(40).await;
    bucket.index("build");
    let first = bucket.segments();
    let store = bucket.server.store();
    for number in 0..3 {
        store.put(format!("docs/new{number}.md"), "a new one\n");
    }
    store.put("docs/007.md", "another version of seven\n");
    store.delete("docs/011.md");
    bucket.index("update");
    let all = bucket.segments();
    damage(all.into_iter().filter(|file| !first.contains(file)).collect());
    let ran = bucket.ran("verify");
    ran.fails(&["checksum", "next: run `r2vfs index build`"]);
    assert!(ran.out.starts_with("read, and not sound: "), "{ran}");
    // Versions alone tell nothing of it.
    assert_eq!(bucket.index("update")["unchanged"].as_u64(), Some(42));
    let dry = bucket.index("build --dry-run");
    let numbers = ["damaged", "new", "changed", "get_requests"].map(|name| dry[name].as_u64());
    assert_eq!(numbers, [1, 3, 1, 4].map(Some), "{dry}");

    // What ends a build before it has built anything costs the index nothing.
    let before = bucket.index("status --no-list");
    bucket.server.faults().add(Rule::kind(Kind::List, Fault::forbidden("AccessDenied")).times(1));
    assert_eq!(bucket.ran("build").code, Some(2));
    assert_eq!(bucket.index("status --no-list"), before);

    bucket.server.reset();
    let built = bucket.index("build");
    let anew = ["docs/007.md", "docs/new0.md", "docs/new1.md", "docs/new2.md"];
    assert_eq!(bucket.gets(), anew, "{built}");
    let note = built["notes"][0].as_str().expect("a note");
    assert!(note.ends_with("what that file held was indexed anew"), "{note}");
    bucket.is_sound();
    // The whole of it, by now one segment.
    damage(bucket.segments());
    bucket.server.reset();
    bucket.index("build");
    assert_eq!(bucket.gets().len(), 42);
    bucket.is_sound();
    let status = bucket.index("status");
    let coverage = &status["coverage"];
    let numbers = ["indexed", "changed", "new", "gone"].map(|name| coverage[name].as_u64());
    assert_eq!(numbers, [42, 0, 0, 0].map(Some), "{status}");
    bucket.server.reset();
    assert_eq!(bucket.index("build")["unchanged"].as_u64(), Some(42));
    assert_eq!(bucket.server.counts().gets, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_share_is_made_anew_and_stays_a_share() {
    let bucket = Bucket::with(40).await;
    bucket.index("build --shard 1/2");
    let of_one = bucket.gets();
    damage(bucket.segments());
    bucket.server.reset();
    bucket.index("build");
    assert_eq!(bucket.gets(), of_one);
    let shares = || bucket.index("status --no-list")["shards"].clone();
    assert_eq!(shares(), serde_json::json!(["1/2"]));
    bucket.is_sound();

    // So does one that does not open.
    lengthen(&bucket.segments()[0], 1);
    bucket.server.reset();
    bucket.index("build");
    assert_eq!(bucket.gets(), of_one);
    assert_eq!(shares(), serde_json::json!(["1/2"]));
    bucket.is_sound();

    // Of all shares together a build is one of all keys.
    let before = bucket.segments();
    bucket.index("build --shard 2/2");
    damage(bucket.segments().into_iter().filter(|file| !before.contains(file)).collect());
    bucket.server.reset();
    bucket.index("build");
    assert_eq!(bucket.gets().len(), 40 - of_one.len());
    bucket.is_sound();
    bucket.index("compact");
    bucket.is_sound();
}

/// Makes a file so many bytes longer, or shorter.
fn lengthen(file: &std::path::Path, grown: i64) {
    let file = std::fs::OpenOptions::new().write(true).open(file).expect("it is there");
    let length = file.metadata().expect("it is there").len();
    file.set_len(length.checked_add_signed(grown).expect("a length")).expect("it can be");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_lost_costs_what_it_held() {
    let bucket = Bucket::with(20).await;
    bucket.index("build");
    let first = bucket.segments();
    bucket.server.store().put("docs/new.md", "a new one\n");
    bucket.index("update");
    let new = bucket.segments().into_iter().find(|file| !first.contains(file)).expect("one");
    std::fs::remove_file(new).expect("it is there");
    bucket
        .ran("update")
        .fails(&[".seg of the index is not there", "next: run `r2vfs index build`"]);
    bucket.server.reset();
    bucket.index("build");
    assert_eq!(bucket.gets(), ["docs/new.md"]);
    bucket.is_sound();
}

/// A file of another length than it was written is no index for anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_length_is_told_by_all_and_made_anew() {
    let bucket = Bucket::with(10).await;
    for grown in [-1_i64, 1] {
        bucket.index("build");
        lengthen(&bucket.segments()[0], grown);
        for words in ["verify", "update", "status --no-list", "publish"] {
            bucket.ran(words).fails(&[".seg of the index is ", "next: run `r2vfs index build`"]);
        }
        assert!(bucket.keys().iter().all(|key| !key.starts_with(".r2vfs/")), "nothing was put");
        bucket.index("build");
        bucket.is_sound();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_damaged_is_published() {
    let bucket = Bucket::with(10).await;
    bucket.index("build");
    damage(bucket.segments());
    bucket.ran("publish").fails(&["checksum", "next: run `r2vfs index build`"]);
    assert!(bucket.keys().iter().all(|key| !key.starts_with(".r2vfs/")), "nothing was put");
    bucket.index("build");
    bucket.index("publish");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_what_the_index_lacks_and_asks_nothing_if_told_so() {
    let bucket = Bucket::with(10).await;
    bucket.index("build");
    bucket.server.store().put("docs/003.md", "changed\n");
    bucket.server.store().put("docs/zzz.md", "new\n");
    bucket.server.store().delete("docs/001.md");
    let coverage = &bucket.index("status")["coverage"];
    let numbers = ["indexed", "changed", "new", "gone"].map(|name| coverage[name].as_u64());
    assert_eq!(numbers, [8, 1, 1, 1].map(Some), "{coverage}");
    bucket.server.reset();
    let status = bucket.index("status --no-list");
    assert!(status["coverage"].is_null() && status["format"].as_u64() == Some(1), "{status}");
    let parts = status["parts"].as_object().expect("parts");
    assert!(["docs", "gram", "pack", "text"].iter().all(|part| parts.contains_key(*part)));
    let counts = bucket.server.counts();
    assert_eq!((counts.gets, counts.lists), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_object_has_its_place() {
    let bucket = Bucket::with(3).await;
    let store = bucket.server.store();
    store.put("dir/", "");
    store.put("empty.md", "");
    store.put("binary.bin", b"text\0binary".to_vec());
    store.put("bom.md", "\u{feff}with a byte order mark\n");
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("sixteen bits\n".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    store.put("utf16.txt", utf16);
    let zipped = bucket.gzip(b"inside of gzip\n");
    store.put_object("zipped.md", Stored::new(zipped.clone()).content_encoding("gzip"));
    store.put_object("broken.md", Stored::new(zipped[..20].to_vec()).content_encoding("gzip"));
    store.put_object("cold.md", Stored::new("cold\n").storage_class("GLACIER"));
    store.put_object("long.log", Stored::numbered(64, 200_000));
    let long: Vec<u8> = b"the same line over and over again\n".repeat(300_000);
    let packed = Stored::new(bucket.gzip(&long)).content_encoding("gzip");
    store.put_object("long.gz.log", packed);
    bucket.server.faults().add(Rule::gets(Fault::forbidden("AccessDenied")).key("denied.md"));
    store.put("denied.md", "nobody may read this\n");

    let ran = bucket.ran("build --json");
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(ran.err.contains("/denied.md: ") && ran.err.contains("/broken.md: "), "{ran}");
    let built = ran.json();
    // The marker makes a directory, and is no document.
    let numbers = ["listed", "archived", "unreadable"].map(|name| built[name].as_u64());
    assert_eq!(numbers, [13, 1, 2].map(Some), "{built}");
    bucket.is_sound();

    // What could not be read is tried again, and nothing else is: also what is in an archive, for
    // no listing tells when it is restored.
    bucket.server.reset();
    bucket.server.faults().clear();
    let again = bucket.ran("update --json");
    assert_eq!(again.code, Some(2), "the broken one is still broken: {again}");
    assert_eq!(bucket.gets(), ["broken.md", "cold.md", "denied.md"]);
    assert_eq!(again.json()["again"].as_u64(), Some(3), "{again}");
    bucket.is_sound();

    let before = bucket.index("status --no-list");
    let at = store.get("cold.md").expect("it").modified;
    let restored = Stored::new("cold\n").storage_class("GLACIER").modified(at).restored();
    store.put_object("cold.md", restored);
    let third = bucket.ran("update --json");
    assert_eq!(third.json()["archived"].as_u64(), Some(0), "{third}");
    let after = bucket.index("status --no-list");
    let numbers = |of: &serde_json::Value| ["archived", "dead"].map(|name| of[name].as_u64());
    // The broken one has a row more, and so has the one that was restored.
    assert_eq!(
        (numbers(&before), numbers(&after)),
        ([1, 2].map(Some), [0, 4].map(Some)),
        "{before} {after}"
    );
    bucket.is_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changes_under_the_read_is_indexed_as_it_is_then() {
    let bucket = Bucket::with(5).await;
    let changed = Fault::Replace("another text by now\n".into());
    bucket.server.faults().add(Rule::gets(changed).key("docs/002.md").times(1));
    bucket.server.faults().add(Rule::gets(Fault::Delete).key("docs/004.md").times(1));
    let built = bucket.index("build");
    assert_eq!((built["moved"].as_u64(), built["unreadable"].as_u64()), (Some(1), Some(0)));
    let coverage = &bucket.index("status")["coverage"];
    let numbers = ["indexed", "changed", "new", "gone"].map(|name| coverage[name].as_u64());
    assert_eq!(numbers, [4, 0, 0, 0].map(Some), "{coverage}");
    bucket.is_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_changes_touches_only_what_it_names() {
    let bucket = Bucket::with(20).await;
    bucket.index("build");
    let store = bucket.server.store();
    store.put("docs/003.md", "changed three\n");
    store.put("docs/005.md", "changed five, and nobody says so\n");
    store.put("docs/new.md", "new\n");
    store.delete("docs/008.md");
    let held = store.get("docs/001.md").expect("it is there").etag.clone();
    let changes = format!(
        "docs/003.md\n/docs/new.md\n/docs/never-was.md\n\
         {{\"action\":\"DeleteObject\",\"object\":{{\"key\":\"docs/008.md\"}}}}\n\
         {{\"action\":\"PutObject\",\"object\":{{\"key\":\"docs/001.md\",\"eTag\":\"{held}\"}}}}\n"
    );
    bucket.server.reset();
    let updated = bucket.index_with("update --changes -", &changes);
    assert_eq!(bucket.gets(), ["docs/003.md", "docs/new.md"]);
    // One look at each key but that of the write that the index has.
    assert_eq!(bucket.server.counts().lists, 4);
    let numbers = ["changed", "new", "gone", "unchanged"].map(|name| updated[name].as_u64());
    assert_eq!(numbers, [1, 1, 1, 1].map(Some), "{updated}");
    let coverage = &bucket.index("status")["coverage"];
    let numbers = ["indexed", "changed", "new", "gone"].map(|name| coverage[name].as_u64());
    assert_eq!(numbers, [19, 1, 0, 0].map(Some), "{coverage}");
    let wrong = bucket.ran_with("update --changes -", "fine\n{\"action\":3}\n");
    wrong.fails(&["line 2 of the changes", "next: "]);
    bucket.is_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_together_are_the_whole() {
    let bucket = Bucket::with(31).await;
    let mut all = Vec::new();
    for share in 1..=3 {
        bucket.server.reset();
        bucket.index(&format!("build --shard {share}/3"));
        let gets = bucket.gets();
        assert!((5..20).contains(&gets.len()), "{share}: {gets:?}");
        all.extend(gets);
        if share == 1 {
            // An update of one share stays in it.
            bucket.server.store().put("docs/000.md", "changed at the start\n");
            bucket.server.store().put("docs/030.md", "changed at the end\n");
            bucket.server.reset();
            bucket.index("update");
            assert_eq!(bucket.gets(), ["docs/000.md"]);
        }
    }
    all.sort();
    assert_eq!(all, bucket.keys(), "each once");
    let status = bucket.index("status");
    assert_eq!(status["shards"].as_array().map(Vec::len), Some(3), "{status}");
    assert_eq!(status["coverage"]["indexed"].as_u64(), Some(31), "{status}");
    let joined = bucket.index("compact");
    assert_eq!((joined["segments"].as_u64(), joined["documents"].as_u64()), (Some(1), Some(31)));
    bucket.is_sound();
    bucket.server.reset();
    bucket.index("update");
    assert_eq!(bucket.server.counts().gets, 0);
    bucket.ran("build --shard 4/3").fails(&["`4/3` is no share"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lists_out_of_order_is_indexed_all_the_same() {
    let bucket = Bucket::with(12).await;
    bucket.server.store().put("docs-more/a.md", "beside\n");
    bucket.server.store().put("docs", "an object like the directory\n");
    bucket.server.faults().list_in(Order::Components);
    assert_eq!(bucket.index("build")["committed"].as_u64(), Some(14));
    bucket.is_sound();
    bucket.server.reset();
    let again = bucket.index("update");
    assert_eq!((again["unchanged"].as_u64(), bucket.server.counts().gets), (Some(14), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_end_the_run_and_a_failing_server_does_not_mark_all_as_unreadable() {
    let bucket = Bucket::with(300).await;
    bucket.server.faults().add(Rule::gets(Fault::forbidden("InvalidAccessKeyId")).skip(50));
    let ran = bucket.ran("build --json --memory 1MiB");
    ran.fails(&["next: "]);
    let status = bucket.index("status --no-list");
    assert_eq!(status["unreadable"].as_u64(), Some(0), "{status}");
    bucket.server.faults().clear();
    bucket.server.faults().add(Rule::gets(Fault::forbidden("AccessDenied")));
    bucket.ran("build --json --memory 1MiB").fails(&["next: "]);
    let unread = bucket.index("status --no-list")["unreadable"].as_u64().expect("a number");
    assert!(unread < 250, "{unread} are marked");
    bucket.server.faults().clear();
    let built = bucket.index("build");
    assert_eq!(built["unreadable"].as_u64(), Some(0), "{built}");
    assert_eq!(bucket.index("status")["coverage"]["indexed"].as_u64(), Some(300));
    bucket.is_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_a_flipped_bit_and_a_build_starts_anew_where_nothing_can_be_read() {
    let bucket = Bucket::with(25).await;
    bucket.index("build");
    let deep = bucket.index("verify --deep");
    assert_eq!(deep["fetched"].as_u64(), Some(25), "{deep}");
    let file = bucket.segments().pop().expect("a segment");
    let sound = std::fs::read(&file).expect("a file");
    for at in [10, sound.len() / 2, sound.len() - 30] {
        let mut broken = sound.clone();
        broken[at] ^= 0x10;
        std::fs::write(&file, &broken).expect("room on the disk");
        let ran = bucket.ran("verify");
        assert_eq!(ran.code, Some(2), "byte {at}: {ran}");
        assert!(ran.err.contains("next: "), "byte {at}: {ran}");
    }
    // The last one cannot even be opened: a build says so and makes it anew.
    let ran = bucket.ran("build --json");
    assert_eq!(ran.code, Some(0), "{ran}");
    let notes = ran.json()["notes"].to_string();
    assert!(notes.contains("its footer is wrong: what that file held was indexed anew"), "{notes}");
    bucket.is_sound();
    // Without a manifest nothing tells what there is.
    let manifest = bucket.dir().expect("an index").join("manifest.json");
    std::fs::write(manifest, "{").expect("room on the disk");
    bucket.server.reset();
    let built = bucket.index("build");
    assert!(built["notes"].to_string().contains("it is built anew"), "{built}");
    assert_eq!(bucket.gets().len(), 25);
    bucket.is_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_writer_at_a_time_and_only_the_own_bucket() {
    let bucket = Bucket::with(5).await;
    bucket.ran("publish").fails(&["no index", "next: "]);
    bucket.index("build");
    let dir = bucket.dir().expect("an index");
    let lock = std::fs::File::options().write(true).open(dir.join("lock")).expect("a lock");
    lock.lock().expect("the lock");
    for words in ["build", "update", "compact", "drop --yes"] {
        bucket.ran(words).fails(&["another process is writing this index", "next: "]);
    }
    drop(lock);
    let other = Bucket::with(2).await;
    other.index("build");
    std::fs::copy(dir.join("manifest.json"), other.dir().expect("an index").join("manifest.json"))
        .expect("a copy");
    other.ran("update").fails(&["another bucket", "next: "]);
    bucket.ran("drop").fails(&["--yes"]);
    assert_eq!(bucket.index("drop --yes")["dropped"].as_bool(), Some(true));
    assert!(!dir.exists(), "nothing is left");
    bucket.ran("status").fails(&["no index", "next: "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_commits_are_joined_and_lose_nothing() {
    let bucket = Bucket::with(400).await;
    let built = bucket.index("build --memory 1MiB");
    assert_eq!(built["committed"].as_u64(), Some(400));
    assert_eq!(built["segments"].as_u64(), Some(1), "a small index ends in one segment");
    let commits = bucket.index("status --no-list")["generation"].as_u64().expect("a number");
    assert!((10..60).contains(&commits), "{commits} commits of 400 objects");
    // Each update is a small segment until there are too many.
    let mut most = 0;
    for round in 0..12 {
        bucket.server.store().put(format!("docs/{round:03}.md"), format!("round {round}\n"));
        most = bucket.index("update")["segments"].as_u64().expect("a number").max(most);
    }
    assert!((2..=8).contains(&most), "{most} segments at most");
    assert_eq!(bucket.index("status")["coverage"]["indexed"].as_u64(), Some(400));
    bucket.is_sound();
}

/// How often each key was asked for.
fn tally(bucket: &Bucket) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for asked in bucket.server.log() {
        if asked.kind == Kind::Get {
            *counts.entry(asked.name).or_default() += 1;
        }
    }
    counts
}
