use std::{
    collections::BTreeSet,
    path::Path,
    sync::atomic::Ordering::SeqCst,
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::{
    bucket::{BucketId, ETag, Headers, Object},
    cache::{
        BLOCK, CacheOptions, Use,
        memory::Version,
        tests::{Fake, Reader, content, object},
    },
};

fn options(dir: &Path, budget: u64) -> DiskOptions {
    DiskOptions { dir: dir.to_owned(), budget }
}

/// A reader whose memory keeps nothing, so that only the disk can save a get.
fn reader(dir: &Path, budget: u64) -> Reader {
    Reader::new(Fake::new(), CacheOptions { memory: 0, disk: Some(options(dir, budget)) })
}

fn key(object: &Object, block: u64) -> BlockKey {
    BlockKey { version: Arc::new(Version::of(BucketId(7), object)), block }
}

fn block(object: &Object, at: u64) -> Block {
    let range = at * BLOCK..object.size.min((at + 1) * BLOCK);
    let headers = Headers { content_encoding: Some("gzip".into()), content_type: None };
    Block { bytes: Bytes::from(content(object, range)), headers: Arc::new(headers) }
}

/// Writes one segment of small objects, and answers them.
async fn one_segment(dir: &Path, count: usize, size: u64) -> Vec<Object> {
    let disk = Disk::open(options(dir, 1 << 30), Platform::tokio());
    let objects: Vec<Object> = (0..count).map(|at| object(&format!("k{at}"), size)).collect();
    for object in &objects {
        disk.put(key(object, 0), block(object, 0)).await;
    }
    disk.flush().await;
    assert_eq!(segments(dir).len(), 1);
    objects
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join(FOLDER)).expect("the folder of the format");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// How many of the objects a new process finds. Panics if it gets other bytes.
async fn found(dir: &Path, objects: &[Object]) -> usize {
    let disk = Disk::open(options(dir, 1 << 30), Platform::tokio());
    let mut found = 0;
    for object in objects {
        let read = disk.read(&[(key(object, 0), object.size)]).await;
        if let Some(read) = &read[0] {
            assert_eq!(read.bytes, block(object, 0).bytes, "{}", object.key);
            assert_eq!(read.headers, block(object, 0).headers, "{}", object.key);
            found += 1;
        }
    }
    found
}

#[tokio::test]
async fn a_second_process_starts_warm() {
    let dir = TempDir::new().expect("a directory");
    let objects =
        [object("small", 5), object("two blocks", BLOCK + 1), object("many", 9 * BLOCK - 7)];
    let first = reader(dir.path(), 1 << 30);
    for object in &objects {
        assert_eq!(first.read(object, 0..object.size.min(8 << 20), Use::Scan).await.0, 1);
    }
    // Not flushed: dropping the last clone writes.
    drop(first);
    let second = reader(dir.path(), 1 << 30);
    for object in &objects {
        let blocks = object.size.div_ceil(BLOCK);
        assert_eq!(second.read(object, 0..object.size, Use::Scan).await, (0, blocks));
    }
    let changed = Object { etag: ETag("changed".into()), ..objects[0].clone() };
    assert_eq!(second.read(&changed, 0..5, Use::Scan).await, (1, 0));
}

#[tokio::test]
async fn what_waits_to_be_written_is_found() {
    let dir = TempDir::new().expect("a directory");
    let reader = reader(dir.path(), 1 << 30);
    let object = object("k", 100);
    assert_eq!(reader.read(&object, 0..100, Use::Scan).await, (1, 0));
    assert_eq!(reader.read(&object, 0..100, Use::Scan).await, (0, 1));
    assert_eq!(segments(dir.path()), [] as [PathBuf; 0]);
    assert!(reader.cache.usage().disk >= 100);
}

#[tokio::test]
async fn a_local_disk_is_not_copied_to_disk() {
    let dir = TempDir::new().expect("a directory");
    let mut fake = Fake::new();
    fake.on_disk = false;
    let disk = Some(options(dir.path(), 1 << 30));
    let reader = Reader::new(fake, CacheOptions { memory: 1 << 20, disk });
    reader.read(&object("k", 100), 0..100, Use::Scan).await;
    reader.cache.flush().await;
    assert_eq!(segments(dir.path()), [] as [PathBuf; 0]);
}

/// The format, byte by byte. If this fails, [`FOLDER`] and the segments' magic need a new number:
/// a segment of the old form must never be read as one of the new.
#[test]
fn the_format_is_pinned() {
    let object = Object { etag: ETag("e7".into()), ..object("k/1", BLOCK + 2) };
    let headers = Headers { content_encoding: None, content_type: Some("a/b".into()) };
    let bytes = Bytes::from_static(b"hi");
    let mut writer = Writer::new(Vec::new()).expect("a header");
    writer.block(&key(&object, 1), &Block { bytes, headers: Arc::new(headers) }).expect("a record");
    let written = writer.finish().expect("a segment");
    let hex: String = written.out.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = [
        "7232767365673031",                 // MAGIC
        "6869",                             // bytes
        "07000000000000000000000000000000", // bucket
        "0100000000000000",                 // block
        "6b2f31",                           // key
        "6537",                             // ETag
        "612f62",                           // type; there is no encoding
        "0200000003000200ffff0300",         // lengths
        "4d496e63",                         // CRC-32 of the record
        "6ccb873b7b34c2f6",                 // digest
        "0800000032000000",                 // offset and length of the record
        "01000000",                         // count
        "2ae9d56e",                         // CRC-32 of footer and count
        "7232767365673031",                 // MAGIC
    ]
    .concat();
    assert_eq!(hex, expected);
    assert_eq!(written.len, hex.len() as u64 / 2);
    assert_eq!(FOLDER, "v1");
}

#[tokio::test]
async fn flipped_bits_are_misses_and_never_other_bytes() {
    let dir = TempDir::new().expect("a directory");
    let objects = one_segment(dir.path(), 3, 40).await;
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).expect("the segment");
    assert_eq!(found(dir.path(), &objects).await, 3);
    let mut lost = 0;
    for at in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        fs::write(&path, flipped).expect("written");
        lost += 3 - found(dir.path(), &objects).await;
    }
    // Each bit after the magic at the start costs at least the record it is in.
    assert!(lost >= (whole.len() - 8) * 8, "{lost}");
}

#[tokio::test]
async fn a_truncated_segment_is_a_miss_and_goes() {
    let dir = TempDir::new().expect("a directory");
    let objects = one_segment(dir.path(), 3, 40).await;
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).expect("the segment");
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).expect("written");
        assert_eq!(found(dir.path(), &objects).await, 0, "{len}");
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn two_processes_share_a_directory() {
    let dir = TempDir::new().expect("a directory");
    let objects: Vec<Object> = (0..300).map(|at| object(&format!("k{at}"), 9_000)).collect();
    let readers = [reader(dir.path(), 1 << 30), reader(dir.path(), 1 << 30)];
    let work = |reader: usize, step: usize| {
        let (reader, objects) = (&readers[reader], &objects);
        async move {
            for at in 0..objects.len() {
                let object = &objects[at * step % objects.len()];
                reader.read(object, 0..object.size, Use::Scan).await;
                if at % 40 == 0 {
                    reader.cache.flush().await;
                    tokio::task::yield_now().await;
                }
            }
        }
    };
    tokio::join!(work(0, 1), work(1, 7));
    drop(readers);
    let third = reader(dir.path(), 1 << 30);
    for object in &objects {
        assert_eq!(third.read(object, 0..object.size, Use::Scan).await, (0, 1));
    }
}

#[tokio::test]
async fn what_another_process_wrote_is_found_later() {
    let dir = TempDir::new().expect("a directory");
    let (one, two) = (reader(dir.path(), 1 << 30), reader(dir.path(), 1 << 30));
    let (first, second) = (object("first", 10), object("second", 10));
    // Both have looked at the directory while it was empty.
    one.read(&first, 0..10, Use::Scan).await;
    two.read(&first, 0..10, Use::Scan).await;
    one.read(&second, 0..10, Use::Scan).await;
    one.cache.flush().await;
    // A flush looks at the directory.
    two.cache.flush().await;
    assert_eq!(two.read(&second, 0..10, Use::Scan).await, (0, 1));
}

#[tokio::test]
async fn the_least_recently_used_segments_make_room() {
    let dir = TempDir::new().expect("a directory");
    let budget = 1 << 20;
    let write = |name: &'static str| {
        let dir = dir.path();
        async move {
            let before: BTreeSet<PathBuf> = segments(dir).into_iter().collect();
            let reader = reader(dir, budget);
            let object = object(name, BLOCK);
            assert_eq!(reader.read(&object, 0..BLOCK, Use::Scan).await.0, 1);
            reader.cache.flush().await;
            let new = segments(dir).into_iter().find(|path| !before.contains(path));
            new.expect("a new segment")
        }
    };
    fs::create_dir_all(dir.path().join(FOLDER)).expect("made");
    // Three fit, a fourth does not: each has more than its 256 KiB of bytes.
    let mut paths = Vec::new();
    for (age, name) in [(300, "a"), (200, "b"), (100, "c")] {
        let path = write(name).await;
        let used = SystemTime::now() - Duration::from_secs(age);
        File::open(&path).and_then(|file| file.set_modified(used)).expect("a file of that age");
        paths.push(path);
    }
    let last = reader(dir.path(), budget);
    assert_eq!(last.read(&object("a", BLOCK), 0..BLOCK, Use::Scan).await, (0, 1));
    drop(last);
    write("d").await;
    let left: Vec<bool> = paths.iter().map(|path| path.exists()).collect();
    assert_eq!(left, [true, false, true], "b was used longest ago");
}

#[tokio::test]
async fn the_budget_holds_for_any_size_of_object() {
    let dir = TempDir::new().expect("a directory");
    let budget = 200_000;
    let reader = reader(dir.path(), budget);
    for at in 0..2_000_u64 {
        let object = object(&format!("k{at}"), 1 + at * 37 % 3_000);
        reader.read(&object, 0..object.size, Use::Scan).await;
    }
    reader.cache.flush().await;
    let bytes = |dir: &Path| -> u64 {
        segments(dir).iter().map(|path| path.metadata().expect("a file").len()).sum()
    };
    let used = bytes(dir.path());
    assert!((budget / 4..=budget).contains(&used), "{used}");
    assert_eq!(reader.cache.usage().disk, used);
    assert_eq!(reader.cache.notice(), None);
    // Tiny objects: what is resident for them is bounded too, at 16 bytes for each KiB.
    for at in 0..2_000 {
        reader.read(&object(&format!("t{at}"), 1), 0..1, Use::Scan).await;
    }
    reader.cache.flush().await;
    let disk = Disk::open(options(dir.path(), budget), Platform::tokio());
    disk.0.scan();
    let records = disk.0.catalog().records();
    assert!((budget / 4096..=budget / 1024).contains(&records), "{records}");
}

#[tokio::test]
async fn many_small_segments_become_few() {
    let dir = TempDir::new().expect("a directory");
    let objects: Vec<Object> = (0..60).map(|at| object(&format!("k{at}"), 500)).collect();
    for object in &objects {
        let reader = reader(dir.path(), 1 << 30);
        reader.read(object, 0..500, Use::Scan).await;
    }
    let count = segments(dir.path()).len();
    assert!(count <= 16, "{count}");
    let reader = reader(dir.path(), 1 << 30);
    for object in &objects {
        assert_eq!(reader.read(object, 0..500, Use::Scan).await, (0, 1));
    }
}

#[tokio::test]
async fn what_a_dead_process_left_is_deleted_and_strangers_are_left_alone() {
    let dir = TempDir::new().expect("a directory");
    let objects = one_segment(dir.path(), 3, 40).await;
    let put = |name: &str, age: u64| {
        let path = dir.path().join(FOLDER).join(name);
        let file = File::create(&path).expect("made");
        let time = SystemTime::now() - Duration::from_secs(age);
        file.set_modified(time).expect("of that age");
        path
    };
    let (old, new) = (put("tmp-old", 3_600), put("tmp-new", 1));
    let stranger = put("notes.seg", 3_600);
    assert_eq!(found(dir.path(), &objects).await, 3);
    assert_eq!([old.exists(), new.exists(), stranger.exists()], [false, true, true]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_told_once_and_hurts_nobody() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("written");
    let reader = reader(&file, 1 << 30);
    let object = object("k", 100);
    assert_eq!(reader.read(&object, 0..100, Use::Scan).await, (1, 0));
    reader.cache.flush().await;
    let notice = reader.cache.notice().expect("a notice");
    assert!(notice.contains("disk cache cannot be used") && !notice.contains("file"), "{notice}");
    assert_eq!(reader.cache.notice(), None);
    assert_eq!(reader.fake.gets.load(SeqCst), 1);
}

#[tokio::test]
async fn a_write_that_fails_is_told_once_and_what_was_written_stays_in_use() {
    let dir = TempDir::new().expect("a directory");
    let reader = reader(dir.path(), 1 << 30);
    let (kept, lost) = (object("kept", 100), object("lost", 100));
    reader.read(&kept, 0..100, Use::Scan).await;
    reader.cache.flush().await;
    fs::remove_dir_all(dir.path().join(FOLDER)).expect("removed");
    reader.read(&lost, 0..100, Use::Scan).await;
    reader.cache.flush().await;
    let notice = reader.cache.notice().expect("a notice");
    assert!(notice.contains("cannot be written"), "{notice}");
    assert_eq!(reader.cache.notice(), None);
    assert_eq!(reader.read(&kept, 0..100, Use::Scan).await, (0, 1));
    assert_eq!(reader.read(&lost, 0..100, Use::Scan).await, (1, 0));
    assert_eq!(reader.cache.usage().memory, 0);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_enter_the_directory() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().expect("a directory");
    let folder = dir.path().join("new").join(FOLDER);
    fs::create_dir_all(&folder).expect("made");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("opened to all");
    drop(Disk::open(options(&dir.path().join("new"), 1 << 20), Platform::tokio()));
    assert_eq!(folder.metadata().expect("there").permissions().mode() & 0o777, 0o700);
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_of_somebody_else_is_not_used() {
    let dir = TempDir::new().expect("a directory");
    let folder = dir.path().join(FOLDER);
    fs::create_dir_all(&folder).expect("made");
    if std::os::unix::fs::chown(&folder, Some(12_345), None).is_err() {
        eprintln!("SKIPPED: only root can give a directory away");
        return;
    }
    let disk = Disk::open(options(dir.path(), 1 << 20), Platform::tokio());
    assert!(disk.notice().is_some_and(|notice| notice.contains("cannot be used")));
}

#[tokio::test]
async fn a_slow_disk_costs_readers_one_short_wait_and_one_thread() {
    let dir = TempDir::new().expect("a directory");
    let disk = Disk::open(options(dir.path(), 1 << 30), Platform::tokio());
    let objects: Vec<Object> = (0..60).map(|at| object(&format!("k{at}"), BLOCK)).collect();
    let started = Instant::now();
    {
        let shared = Arc::clone(&disk.0);
        let (slow, held) = std::sync::mpsc::channel();
        let (ready, go) = std::sync::mpsc::channel();
        let holder = std::thread::spawn(move || {
            let _writing = shared.writing.lock().expect("whole");
            ready.send(()).expect("awaited");
            held.recv().expect("released");
        });
        go.recv().expect("held");
        for object in &objects {
            disk.put(key(object, 0), block(object, 0)).await;
        }
        assert!(started.elapsed() < 5 * PATIENCE, "{:?}", started.elapsed());
        // What waits is bounded: one batch that is written and one that is filled.
        let waiting = disk.bytes();
        assert!(waiting <= 2 * BATCH as u64, "{waiting}");
        assert_eq!(Arc::strong_count(&disk.0), 3, "the disk, the holder and one writer");
        slow.send(()).expect("heard");
        holder.join().expect("ended");
    }
    disk.flush().await;
    let kept = found(dir.path(), &objects).await;
    assert!(kept >= 16, "{kept}");
    // It has caught up: blocks are kept again.
    let later = object("later", 5);
    disk.put(key(&later, 0), block(&later, 0)).await;
    disk.flush().await;
    assert_eq!(found(dir.path(), &[later]).await, 1);
}
