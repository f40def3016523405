use std::{collections::BTreeMap, ops::Range, sync::Arc};

use proptest::prelude::*;

use super::{Bundle, BundleWriter, Heat, Memory, PAGE, at_once, fetch, pages::Pages};
use crate::{fault::FaultKind, source::FileRef};

/// A bundle's file and its bytes.
fn write(parts: &[(String, Heat, Vec<u8>)]) -> (FileRef, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.seg");
    let mut writer = BundleWriter::create(&path).unwrap();
    for (name, heat, bytes) in parts {
        let mut part = writer.part(name, *heat).unwrap();
        for piece in bytes.chunks(10_000) {
            std::io::Write::write_all(&mut part, piece).unwrap();
        }
    }
    let file = writer.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(file.bytes, bytes.len() as u64);
    (file, bytes)
}

fn open(file: &FileRef, bytes: Vec<u8>) -> crate::Result<(Arc<Memory>, Bundle)> {
    let memory = Arc::new(Memory::new());
    memory.put(&file.name, bytes);
    let bundle = at_once(Bundle::open(memory.clone(), file.clone()))?;
    Ok((memory, bundle))
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    (0..len as u64)
        .map(|at| (xxhash_rust::xxh3::xxh3_64_with_seed(&at.to_le_bytes(), seed)) as u8)
        .collect()
}

fn three_parts() -> Vec<(String, Heat, Vec<u8>)> {
    vec![
        ("cold".into(), Heat::Cold, noise(5 * PAGE as usize + 77, 1)),
        ("hot".into(), Heat::Hot, noise(1000, 2)),
        ("more".into(), Heat::Cold, noise(3 * PAGE as usize, 3)),
    ]
}

#[test]
fn opening_is_one_read_and_hot_parts_need_no_other() {
    let (file, bytes) = write(&three_parts());
    let (memory, bundle) = open(&file, bytes).unwrap();
    assert_eq!(bundle.names().collect::<Vec<_>>(), ["cold", "hot", "more"]);
    let hot = bundle.part("hot").unwrap();
    assert_eq!(hot.hot().unwrap(), noise(1000, 2));
    assert_eq!(memory.reads().calls, 1);
    assert_eq!(memory.reads().ranges, 1);
    assert!(bundle.part("cold").unwrap().get(0..1).unwrap().is_none());
    assert!(bundle.part("none").is_none());
    assert!(bundle.part("cold").unwrap().hot().is_err());
}

#[test]
fn one_fetch_asks_each_file_once_for_joined_pages() {
    let (file, bytes) = write(&three_parts());
    let (memory, bundle) = open(&file, bytes).unwrap();
    let (cold, more) = (bundle.part("cold").unwrap(), bundle.part("more").unwrap());
    let wanted =
        [(cold.clone(), 0..10), (cold.clone(), 2 * PAGE..2 * PAGE + 5), (more, 90_000..90_001)];
    let held = at_once(fetch(&wanted, PAGE)).unwrap();
    let reads = memory.reads();
    assert_eq!((reads.calls, reads.ranges), (2, 3), "the first two lie one page apart");
    assert_eq!(cold.get(PAGE..PAGE + 9).unwrap().unwrap(), &noise(70_000, 1)[PAGE as usize..][..9]);
    drop(held);
    drop(at_once(fetch(&wanted, PAGE)).unwrap());
    assert_eq!(memory.reads(), reads, "what is in memory is not read again");
}

#[test]
fn what_is_held_stays_and_the_rest_keeps_to_its_budget() {
    let pages = Pages::new(2 * PAGE as usize);
    let page = |seed| bytes::Bytes::from(noise(PAGE as usize, seed));
    let mut held = Vec::new();
    for at in 0..4 {
        pages.keep(at, &page(at), &mut held);
    }
    assert_eq!(pages.bytes(), 4 * PAGE as usize, "all four are held");
    assert_eq!(pages.get(10..4 * PAGE).unwrap().len() as u64, 4 * PAGE - 10);
    held.clear();
    assert!(pages.get(0..1).is_some());
    pages.keep(9, &page(9), &mut held);
    assert_eq!(pages.bytes(), 2 * PAGE as usize);
    assert!(pages.get(0..1).is_some(), "the page used last stays");
    assert!(pages.get(PAGE..PAGE + 1).is_none());
}

#[test]
fn reads_that_overlap_agree() {
    let pages = Pages::new(usize::MAX);
    let all = noise(9 * PAGE as usize - 5, 7);
    let mut held = Vec::new();
    for range in [2..4, 6..7, 0..9, 3..8_usize] {
        let to = (range.end * PAGE as usize).min(all.len());
        let bytes = bytes::Bytes::copy_from_slice(&all[range.start * PAGE as usize..to]);
        pages.keep(range.start as u64, &bytes, &mut held);
    }
    assert_eq!(pages.bytes(), all.len());
    assert_eq!(pages.get(0..all.len() as u64).unwrap(), all);
    assert!(pages.get(0..all.len() as u64 + 1).is_none());
}

#[test]
fn a_file_of_another_build_or_format_is_told_apart() {
    let (file, bytes) = write(&three_parts());
    let (_, other) = write(&[("cold".into(), Heat::Cold, noise(100, 9))]);
    let mut foreign = file.clone();
    foreign.bytes = other.len() as u64;
    foreign.hot = 100;
    assert_eq!(open(&foreign, other).unwrap_err().kind(), FaultKind::Damaged);

    let footer = bytes.len() - super::layout::FOOTER;
    let mut newer = bytes;
    newer[footer + 8] = 2;
    let check = crc32fast::hash(&newer[footer..newer.len() - 4]);
    let end = newer.len();
    newer[end - 4..].copy_from_slice(&check.to_le_bytes());
    assert_eq!(open(&file, newer).unwrap_err().kind(), FaultKind::Format);
}

#[test]
fn lengths_that_no_file_has_are_refused_before_reading() {
    let (file, bytes) = write(&three_parts());
    for (hot, len) in [(0, u64::MAX), (u64::MAX, 10), (file.hot, file.hot), (0, 3), (5, 4)] {
        let wrong = FileRef { hot, bytes: len, ..file.clone() };
        assert_eq!(open(&wrong, bytes.clone()).unwrap_err().kind(), FaultKind::Damaged);
    }
}

#[test]
fn a_writer_that_is_dropped_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.seg");
    let mut writer = BundleWriter::create(&path).unwrap();
    writer.whole("cold", Heat::Cold, b"half").unwrap();
    assert!(writer.part("cold", Heat::Hot).is_err(), "twice the same name");
    assert!(BundleWriter::create(&path).is_err(), "a file that is there is not overwritten");
    assert!(path.exists());
    drop(writer);
    assert!(!path.exists());
}

fn parts() -> impl Strategy<Value = Vec<(String, Heat, Vec<u8>)>> {
    let len = prop_oneof![0..5usize, Just(PAGE as usize), 0..200_000usize];
    let part = (any::<bool>(), len, any::<u64>());
    proptest::collection::vec(part, 0..6).prop_map(|parts| {
        let named = parts.into_iter().enumerate();
        named
            .map(|(at, (hot, len, seed))| {
                (format!("part/{at}"), if hot { Heat::Hot } else { Heat::Cold }, noise(len, seed))
            })
            .collect()
    })
}

/// Reads everything through the public interface; equal to what was written or a fault.
fn read_all(bundle: &Bundle, model: &BTreeMap<String, Vec<u8>>) -> Result<(), FaultKind> {
    for (name, bytes) in model {
        let part = bundle.need(name).map_err(|fault| fault.kind())?;
        let read = at_once(part.read(0..part.len())).map_err(|fault| fault.kind())?;
        assert_eq!(&read, bytes, "{name}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_range_of_any_part_comes_back(
        parts in parts(),
        picks in proptest::collection::vec((any::<prop::sample::Index>(), any::<u64>(), any::<u64>()), 1..12),
        gap in 0..200_000u64,
    ) {
        let (file, bytes) = write(&parts);
        let (_, bundle) = open(&file, bytes).unwrap();
        let mut wanted: Vec<(super::Part, Range<u64>)> = Vec::new();
        let mut expected = Vec::new();
        for (pick, from, len) in picks {
            if parts.is_empty() {
                break;
            }
            let (name, _, bytes) = pick.get(&parts);
            let from = from % (bytes.len() as u64 + 1);
            let to = from + len % (bytes.len() as u64 - from + 1);
            wanted.push((bundle.part(name).unwrap(), from..to));
            expected.push(&bytes[from as usize..to as usize]);
        }
        let held = at_once(fetch(&wanted, gap)).unwrap();
        for ((part, range), expected) in wanted.iter().zip(expected) {
            prop_assert_eq!(&part.get(range.clone()).unwrap().unwrap()[..], expected);
            prop_assert!(part.get(0..part.len() + 1).is_err());
        }
        drop(held);
        at_once(bundle.check_pages(|_| true)).unwrap();
    }

    #[test]
    fn one_byte_changed_is_a_fault_and_never_other_bytes(
        parts in parts(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let model: BTreeMap<_, _> =
            parts.iter().map(|(name, _, bytes)| (name.clone(), bytes.clone())).collect();
        let (file, mut bytes) = write(&parts);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let outcome = match open(&file, bytes) {
            Ok((_, bundle)) => {
                prop_assert!((at as u64) < file.hot, "what opening reads, opening checks");
                let checked = at_once(bundle.check_pages(|_| true)).unwrap_err().kind();
                prop_assert_eq!(checked, FaultKind::Damaged);
                read_all(&bundle, &model)
            }
            Err(fault) => Err(fault.kind()),
        };
        prop_assert!(matches!(outcome, Err(FaultKind::Damaged | FaultKind::Format)));
    }

    #[test]
    fn a_file_cut_anywhere_does_not_open(parts in parts(), at in any::<prop::sample::Index>()) {
        let (file, mut bytes) = write(&parts);
        bytes.truncate(at.index(bytes.len()));
        prop_assert!(open(&file, bytes.clone()).is_err());
        // Also where the manifest was made to fit.
        let fitting = FileRef { bytes: bytes.len() as u64, hot: file.hot.min(bytes.len() as u64), ..file };
        prop_assert!(open(&fitting, bytes).is_err());
    }
}
