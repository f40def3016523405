use std::fs;

use bytes::Bytes;

use super::{LOCK, NEW, Store};
use crate::{
    fault::FaultKind,
    manifest::{self, SegmentRef, Settings},
    segment::{NewContent, NewDoc, SegmentWriter},
    store::Writer,
};

const NONE: Settings = Settings { pack: true, text: false };

fn segment(writer: &Writer, docs: &[(&str, &str)]) -> SegmentRef {
    let mut segment = SegmentWriter::create(writer.path(), NONE, 0).unwrap();
    for (key, text) in docs {
        let stored = Bytes::copy_from_slice(text.as_bytes());
        let new = NewDoc {
            key: (*key).into(),
            etag: "e".into(),
            size: stored.len() as u64,
            modified: None,
            content: NewContent::Plain(stored),
        };
        segment.add(new).unwrap();
    }
    segment.finish().unwrap()
}

fn keys(store: &Store) -> Vec<String> {
    store.open().unwrap().live().map(|(_, doc)| doc.key).collect()
}

/// What the directory holds beside the lock.
fn files(store: &Store) -> Vec<String> {
    let names = fs::read_dir(store.path()).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != LOCK);
    names.sort();
    names
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("index"));
    (dir, store)
}

#[test]
fn a_directory_without_an_index_has_none() {
    let (_dir, store) = store();
    assert_eq!(store.open().unwrap_err().kind(), FaultKind::Missing);
    let writer = store.lock(Some("b"), NONE).unwrap();
    assert_eq!(writer.manifest().generation, 0);
    assert_eq!(store.open().unwrap_err().kind(), FaultKind::Missing, "nothing is committed");
}

#[test]
fn commits_add_and_replace() {
    let (_dir, store) = store();
    let mut writer = store.lock(Some("b"), NONE).unwrap();
    let (first, second) =
        (segment(&writer, &[("a", "1"), ("c", "3")]), segment(&writer, &[("b", "2")]));
    let (a, b) = (first.id.clone(), second.id.clone());
    writer.commit(vec![first], &[], Some(77)).unwrap();
    writer.commit(vec![second], &[], None).unwrap();
    assert_eq!(keys(&store), ["a", "b", "c"]);
    let manifest = store.manifest().unwrap();
    assert_eq!((manifest.generation, manifest.listed_at), (2, 77));
    assert_eq!(&manifest, writer.manifest());
    assert!(manifest.written_at > 1_700_000_000_000);

    let third = segment(&writer, &[("z", "9")]);
    let wrong = writer.commit(vec![third.clone()], &[a.clone(), "f".repeat(32)], None);
    assert_eq!(wrong.unwrap_err().kind(), FaultKind::Invalid);
    assert_eq!(store.manifest().unwrap(), manifest, "a fault changes nothing");
    writer.commit(vec![third], &[b, a], None).unwrap();
    assert_eq!(keys(&store), ["z"]);
    assert_eq!(files(&store).len(), 2, "what was replaced is removed");
}

#[test]
fn only_neighbours_are_replaced_and_in_their_place() {
    let (_dir, store) = store();
    let mut writer = store.lock(None, NONE).unwrap();
    let three: Vec<_> = ["1", "2", "3"].map(|text| segment(&writer, &[("a", text)])).into();
    let ids: Vec<_> = three.iter().map(|segment| segment.id.clone()).collect();
    writer.commit(three, &[], None).unwrap();
    let merged = segment(&writer, &[("a", "12")]);
    let apart = [ids[0].clone(), ids[2].clone()];
    assert!(writer.commit(vec![merged.clone()], &apart, None).is_err());
    writer.commit(vec![merged], &ids[..2], None).unwrap();
    let index = store.open().unwrap();
    assert_eq!(index.segments().len(), 2);
    let (_, doc) = index.find("a").unwrap();
    assert_eq!(doc.size, 1, "the newest still hides it");
}

#[test]
fn there_is_one_writer() {
    let (_dir, store) = store();
    let writer = store.lock(Some("b"), NONE).unwrap();
    assert_eq!(store.lock(Some("b"), NONE).unwrap_err().kind(), FaultKind::Locked);
    assert_eq!(store.renew(Some("b"), NONE).unwrap_err().kind(), FaultKind::Locked);
    assert_eq!(store.remove().unwrap_err().kind(), FaultKind::Locked);
    drop(writer);
    store.lock(Some("b"), NONE).unwrap();
}

#[test]
fn the_index_of_another_bucket_is_left_alone() {
    let (_dir, store) = store();
    let mut writer = store.lock(Some("one"), NONE).unwrap();
    let first = segment(&writer, &[("a", "1")]);
    writer.commit(vec![first], &[], None).unwrap();
    drop(writer);
    for other in [Some("two"), None] {
        assert_eq!(store.lock(other, NONE).unwrap_err().kind(), FaultKind::Foreign);
    }
    assert_eq!(keys(&store), ["a"]);
}

/// A kill leaves the files of one of these moments.
#[test]
fn stopped_at_any_moment_the_last_commit_is_there_and_the_next_writer_tidies_up() {
    let (_dir, store) = store();
    let mut writer = store.lock(None, NONE).unwrap();
    let first = segment(&writer, &[("a", "1")]);
    writer.commit(vec![first.clone()], &[], None).unwrap();
    let committed = files(&store);
    let second = segment(&writer, &[("b", "2")]);
    let whole = fs::read(store.path().join(&second.file.name)).unwrap();
    let mut next = writer.manifest().clone();
    next.segments.push(second.clone());
    next.generation += 1;
    let manifest = next.to_bytes().unwrap();
    drop(writer);

    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let moments: [Vec<(&str, Vec<u8>)>; 5] = [
        vec![(&second.file.name, Vec::new())],
        vec![(&second.file.name, half(&whole))],
        vec![(&second.file.name, whole.clone())],
        vec![(&second.file.name, whole.clone()), (NEW, half(&manifest))],
        vec![(&second.file.name, whole.clone()), (NEW, manifest.clone())],
    ];
    for left in &moments {
        fs::remove_file(store.path().join(&second.file.name)).ok();
        for (name, bytes) in left {
            fs::write(store.path().join(name), bytes).unwrap();
        }
        fs::write(store.path().join("notes.txt"), "not ours").unwrap();
        let aside = super::scratch(store.path()).unwrap().join("text-1");
        fs::create_dir(&aside).unwrap();
        fs::write(aside.join("half"), "of something").unwrap();
        assert_eq!(keys(&store), ["a"]);
        let writer = store.lock(None, NONE).unwrap();
        assert_eq!(writer.manifest().segments, std::slice::from_ref(&first));
        fs::remove_file(store.path().join("notes.txt")).expect("what is not ours stays");
        assert_eq!(files(&store), committed);
    }
    // After the rename, before the replaced files were removed.
    fs::write(store.path().join(&second.file.name), &whole).unwrap();
    next.segments.remove(0);
    fs::write(store.path().join(manifest::NAME), next.to_bytes().unwrap()).unwrap();
    assert_eq!(keys(&store), ["b"]);
    assert_eq!(files(&store).len(), 3);
    drop(store.lock(None, NONE).unwrap());
    assert_eq!(files(&store).len(), 2);
    assert_eq!(keys(&store), ["b"]);
}

#[test]
fn an_open_index_outlives_its_files() {
    let (_dir, store) = store();
    let mut writer = store.lock(None, NONE).unwrap();
    let first = segment(&writer, &[("a", "one")]);
    let id = first.id.clone();
    writer.commit(vec![first], &[], None).unwrap();
    let index = store.open().unwrap();
    let second = segment(&writer, &[("a", "two")]);
    writer.commit(vec![second], &[id], None).unwrap();
    let (at, doc) = index.find("a").unwrap();
    let pack = index.segments()[at.segment as usize].pack().unwrap();
    assert_eq!(crate::bundle::at_once(pack.text(doc.place.unwrap())).unwrap(), "one");
}

#[test]
fn a_file_that_is_gone_or_cut_is_told_and_a_newer_manifest_is_tried() {
    let (_dir, store) = store();
    let mut writer = store.lock(None, NONE).unwrap();
    let first = segment(&writer, &[("a", "one")]);
    let path = store.path().join(&first.file.name);
    writer.commit(vec![first.clone()], &[], None).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(store.open().unwrap_err().kind(), FaultKind::Damaged);
    assert_eq!(writer.commit(vec![], &[], None).unwrap_err().kind(), FaultKind::Damaged);
    fs::remove_file(&path).unwrap();
    assert_eq!(store.open().unwrap_err().kind(), FaultKind::Missing);
}

#[test]
fn a_damaged_index_is_only_begun_anew_on_demand() {
    let (_dir, store) = store();
    let mut writer = store.lock(None, NONE).unwrap();
    let first = segment(&writer, &[("a", "one")]);
    let name = first.file.name.clone();
    writer.commit(vec![first], &[], None).unwrap();
    drop(writer);
    fs::write(store.path().join(manifest::NAME), "{}").unwrap();
    assert_eq!(store.lock(None, NONE).unwrap_err().kind(), FaultKind::Damaged);
    assert!(files(&store).contains(&name), "nothing is removed on a mere attempt");
    let mut writer = store.renew(None, NONE).unwrap();
    let second = segment(&writer, &[("b", "two")]);
    writer.commit(vec![second], &[], None).unwrap();
    drop(writer);
    drop(store.lock(None, NONE).unwrap());
    assert_eq!(keys(&store), ["b"]);
    assert_eq!(files(&store).len(), 2);
}

#[test]
fn an_index_that_is_dropped_leaves_what_is_not_its_own() {
    let (_dir, store) = store();
    store.remove().unwrap();
    let mut writer = store.lock(None, NONE).unwrap();
    let first = segment(&writer, &[("a", "one")]);
    writer.commit(vec![first], &[], None).unwrap();
    drop(writer);
    fs::write(store.path().join("notes.txt"), "not ours").unwrap();
    store.remove().unwrap();
    assert_eq!(files(&store), ["notes.txt"]);
    fs::remove_file(store.path().join("notes.txt")).unwrap();
    store.remove().unwrap();
    assert!(!store.path().exists());
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    let (_dir, store) = store();
    drop(store.lock(None, NONE).unwrap());
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(store.path()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn names_are_new() {
    let names: std::collections::HashSet<_> = (0..1000).map(|_| super::fresh_id()).collect();
    assert_eq!(names.len(), 1000);
    assert!(names.iter().all(|name| manifest::segment_of(&manifest::file_name(name)).is_some()));
}
