use std::sync::Arc;

use proptest::prelude::*;

use super::{MAX_TEXT, PackReader, PackWriter};
use crate::{
    block,
    bundle::{Bundle, BundleWriter, Memory, at_once},
    docs::Place,
};

/// The places of some texts and a reader of their pack.
fn pack(texts: &[Vec<u8>]) -> (Vec<Place>, PackReader, Arc<Memory>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.seg");
    let mut out = BundleWriter::create(&path).unwrap();
    let mut writer = PackWriter::begin(&mut out).unwrap();
    let places = texts.iter().map(|text| writer.add(text, &mut out).unwrap()).collect();
    writer.finish(&mut out).unwrap();
    let file = out.finish().unwrap();
    let memory = Arc::new(Memory::new());
    memory.put(&file.name, std::fs::read(&path).unwrap());
    let bundle = at_once(Bundle::open(memory.clone(), file)).unwrap();
    (places, PackReader::open(&bundle).unwrap().unwrap(), memory)
}

#[test]
fn a_text_that_fits_a_block_is_not_cut_and_a_longer_one_has_its_own() {
    let texts = [90_000, 50_000, 3 * block::MAX + 1, 10].map(|len| vec![b'x'; len]);
    let (places, reader, _) = pack(&texts);
    let blocks: Vec<_> = places.iter().map(|place| reader.blocks_of(*place).unwrap()).collect();
    assert_eq!(blocks, [0..1, 1..2, 2..6, 6..7]);
}

#[test]
fn many_texts_are_one_read_and_then_none() {
    let texts: Vec<Vec<u8>> = (0..200u32).map(|at| at.to_le_bytes().repeat(5000)).collect();
    let (places, reader, memory) = pack(&texts);
    let before = memory.reads();
    assert!(reader.get(places[7]).unwrap().is_none());
    let held = at_once(reader.warm(&places, 0)).unwrap();
    assert_eq!(memory.reads().ranges, before.ranges + 1);
    for (place, text) in places.iter().zip(&texts) {
        assert_eq!(&reader.get(*place).unwrap().unwrap(), text);
    }
    assert_eq!(memory.reads().ranges, before.ranges + 1);
    drop(held);
}

#[test]
fn a_place_outside_is_a_fault() {
    let (places, reader, _) = pack(&[vec![1; 100], vec![2; 200]]);
    let wrong = [
        Place { block: 1, ..places[0] },
        Place { block: u32::MAX, ..places[0] },
        Place { offset: 300, ..places[0] },
        Place { offset: 201, ..places[0] },
        Place { len: u32::MAX, ..places[0] },
        Place { offset: u32::MAX, len: 1, block: 0 },
    ];
    for place in wrong {
        assert!(at_once(reader.text(place)).is_err(), "{place:?}");
    }
    assert_eq!(at_once(reader.text(Place { block: 9, offset: 9, len: 0 })).unwrap(), "");
}

fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let long = block::MAX - 2..2 * block::MAX + 9;
    let len = prop_oneof![4 => 0..300usize, 2 => 0..90_000usize, 1 => long];
    let text = (len, any::<u64>(), 1..64u64).prop_map(|(len, seed, alphabet)| {
        let byte = |at: u64| xxhash_rust::xxh3::xxh3_64_with_seed(&at.to_le_bytes(), seed);
        (0..len as u64).map(|at| (byte(at) % alphabet) as u8).collect()
    });
    proptest::collection::vec(text, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_come_back(texts in texts()) {
        let (places, reader, _) = pack(&texts);
        for (place, text) in places.iter().zip(&texts) {
            prop_assert_eq!(&at_once(reader.text(*place)).unwrap(), text);
        }
    }
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut out = BundleWriter::create(&dir.path().join("a.seg")).unwrap();
    let mut writer = PackWriter::begin(&mut out).unwrap();
    assert!(writer.add(&vec![0; MAX_TEXT + 1], &mut out).is_err());
}
