use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Doc, Docs, DocsWriter, Place, State};
use crate::bundle::{Bundle, BundleWriter, Memory, at_once};

fn part(docs: &[Doc]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.seg");
    let mut out = BundleWriter::create(&path).unwrap();
    let mut writer = DocsWriter::new().unwrap();
    for (at, doc) in docs.iter().enumerate() {
        assert_eq!(writer.add(doc).unwrap() as usize, at);
    }
    writer.write(&mut out).unwrap();
    let file = out.finish().unwrap();
    let memory = Memory::new();
    memory.put(&file.name, std::fs::read(&path).unwrap());
    let bundle = at_once(Bundle::open(std::sync::Arc::new(memory), file)).unwrap();
    bundle.need(super::PART).unwrap().hot().unwrap().to_vec()
}

fn plain(key: &str, etag: &str) -> Doc {
    Doc {
        key: key.into(),
        etag: etag.into(),
        size: 1,
        modified: None,
        state: State::GRAMS,
        nul: None,
        place: None,
        lines: None,
    }
}

#[test]
fn etags_come_back_as_they_were() {
    let md5 = "00112233445566778899aabbccddeeff";
    let etags = [
        String::new(),
        md5.into(),
        md5.to_uppercase(),
        md5[1..].into(),
        format!("{md5}-12"),
        format!("{md5}-012"),
        format!("{md5}-+1"),
        format!("{md5}-"),
        format!("{md5}-18446744073709551615"),
        format!("{md5}-18446744073709551616"),
        "W/x".into(),
        "é".repeat(100),
    ];
    let docs: Vec<_> =
        etags.iter().enumerate().map(|(at, etag)| plain(&format!("{at:02}"), etag)).collect();
    let read = Docs::parse(&part(&docs)).unwrap();
    assert_eq!(read.iter().map(|(_, doc)| doc.etag).collect::<Vec<_>>(), etags);
}

#[test]
fn a_writer_refuses_what_a_reader_would() {
    let mut writer = DocsWriter::new().unwrap();
    writer.add(&plain("b", "")).unwrap();
    for key in ["b", "a", &"c".repeat(super::MAX_KEY + 1)] {
        assert!(writer.add(&plain(key, "")).is_err(), "{}", key.len());
    }
    assert!(writer.add(&plain("c", &"e".repeat(super::MAX_ETAG + 1))).is_err());
    let packed = Doc { state: State::PACKED, ..plain("c", "") };
    assert!(writer.add(&packed).is_err());
    assert_eq!(writer.len(), 1);
}

#[test]
fn a_document_takes_some_forty_bytes_beside_its_key() {
    let docs: Vec<_> = (0..5000u32)
        .map(|at| {
            let hash = xxhash_rust::xxh3::xxh3_128(&at.to_le_bytes());
            Doc {
                size: 1000 + (hash % 30_000) as u64,
                modified: Some(1_700_000_000_000 + (hash % 100_000_000) as i64),
                state: State::GRAMS.with(State::PLAIN).with(State::TEXT).with(State::PACKED),
                place: Some(Place { block: at / 10, offset: at % 10 * 12_000, len: 12_000 }),
                lines: Some(120),
                ..plain(
                    &format!("en/docs/some-directory/article-{at:06}.md"),
                    &format!("{hash:032x}"),
                )
            }
        })
        .collect();
    let part = part(&docs);
    let read = Docs::parse(&part).unwrap();
    assert!(part.len() / docs.len() <= 40, "{} stored", part.len() / docs.len());
    assert!(read.bytes() / docs.len() <= 48, "{} in memory", read.bytes() / docs.len());
}

#[test]
fn rows_that_hardly_differ_are_read_back() {
    let gone = |at: u32| Doc { state: State::GONE, size: 0, ..plain(&format!("{at:07}"), "") };
    let docs: Vec<_> = (0..50_000).map(gone).collect();
    assert!(Docs::parse(&part(&docs)).unwrap().iter().map(|(_, doc)| doc).eq(docs));
}

fn doc(key: String) -> impl Strategy<Value = Doc> {
    let etag = prop_oneof!["[0-9a-f]{32}", "[0-9a-f]{32}-[0-9]{1,3}", ".{0,5}"];
    let modified = proptest::option::of(prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>()]);
    let place = proptest::option::of((0..9u32, any::<u32>(), any::<u32>()));
    let optional = (proptest::option::of(any::<u64>()), proptest::option::of(0..9u64));
    (etag, any::<u64>(), modified, 0..128u16, place, optional, any::<bool>()).prop_map(
        move |(etag, size, modified, bits, place, (nul, lines), whole)| {
            let place = place.map(|(block, offset, len)| Place { block, offset, len });
            let state = State::from_bits(bits).unwrap();
            Doc {
                key: key.clone(),
                etag,
                size: place.filter(|_| whole).map_or(size, |place| u64::from(place.len)),
                modified,
                state: match place {
                    Some(_) => state.with(State::PACKED),
                    None => state.without(State::PACKED),
                },
                nul,
                place,
                lines,
            }
        },
    )
}

fn docs() -> impl Strategy<Value = Vec<Doc>> {
    let key = prop_oneof!["[ab/é]{0,4}", "[ab]{0,3}/[a-c]{0,6}", ".{0,9}"];
    proptest::collection::btree_set(key, 0..70)
        .prop_flat_map(|keys| keys.into_iter().map(doc).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_is_the_map(docs in docs(), asked in proptest::collection::vec("[ab/é]{0,4}", 8)) {
        let read = Docs::parse(&part(&docs)).unwrap();
        let model: BTreeMap<&str, (u32, &Doc)> =
            docs.iter().enumerate().map(|(at, doc)| (&*doc.key, (at as u32, doc))).collect();
        prop_assert_eq!(read.len() as usize, docs.len());
        let gone = docs.iter().filter(|doc| doc.state.has(State::GONE)).count();
        prop_assert_eq!(read.gone() as usize, gone);
        let all: Vec<_> = read.iter().map(|(_, doc)| doc).collect();
        prop_assert_eq!(&all, &docs);
        for (at, doc) in docs.iter().enumerate() {
            prop_assert_eq!(&read.get(at as u32).unwrap(), doc);
            prop_assert_eq!(read.find(&doc.key).unwrap().0 as usize, at);
        }
        prop_assert!(read.get(read.len()).is_none());
        prop_assert!(read.get(u32::MAX).is_none());
        for key in &asked {
            let expected = model.get(&**key).map(|(at, doc)| (*at, (*doc).clone()));
            prop_assert_eq!(read.find(key), expected);
            let from: Vec<u32> = read.seek(key).map(|(at, _)| at).collect();
            let expected: Vec<u32> = model.range(&**key..).map(|(_, (at, _))| *at).collect();
            prop_assert_eq!(from, expected);
        }
    }

    #[test]
    fn changed_bytes_are_a_table_or_a_fault(
        docs in docs(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = part(&docs);
        prop_assert!(Docs::parse(&bytes[..cut.index(bytes.len())]).is_err());
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        // Checksums find such changes before; here only: no panic, and no endless table.
        if let Ok(read) = Docs::parse(&bytes) {
            prop_assert_eq!(read.iter().count(), read.len() as usize);
        }
    }
}
