//! What is written comes back, also when segments are joined.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*};

use super::{bundle, candidates, exact, extract, grams_of, hir, index, open, query, satisfied};
use crate::{
    bundle::{Heat, at_once},
    gram::{Candidates, GramReader, GramWriter, Grams, Query, merge, plan},
};

/// Words that share no more than chance has it.
fn word(at: usize) -> String {
    format!("{:07x}", xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes()) & 0xFFF_FFFF)
}

/// Documents of 30 words out of 400 each, and one that is common to all.
fn articles(count: usize) -> Vec<String> {
    (0..count)
        .map(|at| {
            let words: Vec<String> = (0..30).map(|near| word((at * 7 + near * 13) % 400)).collect();
            format!("{} common tail {}", words.join(" "), at % 3)
        })
        .collect()
}

fn truth(documents: &[String], holds: &str) -> Vec<u32> {
    (0..).zip(documents).filter(|(_, text)| text.contains(holds)).map(|(at, _)| at).collect()
}

#[test]
fn a_word_is_found_in_its_documents_in_two_rounds() {
    let documents = articles(3_000);
    let (memory, reader) = open(index(&documents)).unwrap();
    for holds in [&*word(17), &word(399), "tail 2", "common", "nothing"] {
        let before = memory.reads();
        let found = candidates(&reader, &query(holds), documents.len());
        let reads = memory.reads();
        assert!(reads.calls - before.calls <= 2, "{holds}: {reads:?}");
        let truth = truth(&documents, holds);
        assert!(truth.iter().all(|document| found.contains(document)), "{holds}");
        assert!(found.len() <= truth.len() + truth.len() / 4, "{holds}: {}", found.len());
    }
    let none = Query::And(vec![query("common"), Query::None]);
    assert_eq!(candidates(&reader, &none, documents.len()), [0_u32; 0]);
    let all = at_once(reader.candidates(&Query::All, 3_000)).unwrap();
    assert_eq!(all, Candidates::All);
}

#[test]
fn a_range_unites_its_grams() {
    let documents: Vec<String> = (0..500).map(|at| format!("{} ж{}", at, at % 7)).collect();
    let (_, reader) = open(index(&documents)).unwrap();
    let found = candidates(&reader, &query("ж3"), documents.len());
    assert_eq!(found, truth(&documents, "ж3"));
    assert_eq!(candidates(&reader, &query(r"\p{Greek}"), documents.len()), [0_u32; 0]);
    assert_eq!(candidates(&reader, &query("[а-я]"), documents.len()).len(), 500);
}

#[test]
fn a_document_with_too_many_grams_is_always_a_candidate() {
    let noise: String = (0..600_000_u64)
        .map(|at| xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes()) % 20_000)
        .filter_map(|at| char::from_u32(0x4E00 + at as u32))
        .collect();
    if let Grams::Distinct(grams) = extract(noise.as_bytes()) {
        panic!("{} grams of {} bytes", grams.len(), noise.len());
    }
    // The next document of the same extractor has nothing of it.
    let mut extractor = crate::gram::Extractor::new();
    extractor.feed(noise.as_bytes());
    assert_eq!(extractor.finish(), Grams::Dense);
    extractor.feed(b"small");
    assert_eq!(extractor.finish(), extract(b"small"));

    let (_, reader) = open(index(&["one needle", &noise, "nothing"])).unwrap();
    assert_eq!(candidates(&reader, &query("needle"), 3), [0, 1]);
    assert_eq!(candidates(&reader, &query("absent"), 3), [1]);
}

#[test]
fn an_index_of_nothing_answers() {
    let (_, reader) = open(index(&[""; 0])).unwrap();
    assert_eq!(candidates(&reader, &query("abc"), 5), [0_u32; 0]);
    let (_, reader) = open(index(&["", "a", "\u{FF}"])).unwrap();
    assert_eq!(candidates(&reader, &query("abc"), 3), [0_u32; 0]);
}

#[test]
fn a_bundle_without_grams_has_no_reader_and_another_table_is_told_apart() {
    let (file, bytes) = bundle(|out| out.whole("other", Heat::Hot, b"x").unwrap());
    let memory = std::sync::Arc::new(crate::bundle::Memory::new());
    memory.put(&file.name, bytes);
    let other = at_once(crate::Bundle::open(memory, file)).unwrap();
    assert!(GramReader::open(&other).unwrap().is_none());

    let directory = [2, 0, 0, 0];
    let newer = bundle(|out| {
        out.whole("gram.blocks", Heat::Cold, b"").unwrap();
        out.whole("gram.lists", Heat::Cold, b"").unwrap();
        out.whole("gram.dir", Heat::Hot, &directory).unwrap();
    });
    assert_eq!(open(newer).unwrap_err().kind(), crate::FaultKind::Format);
}

#[test]
fn more_documents_than_the_segment_has_are_damage() {
    let (_, reader) = open(index(&["abc", "abc", "abc"])).unwrap();
    let fault = at_once(reader.candidates(&query("abc"), 2)).unwrap_err();
    assert_eq!(fault.kind(), crate::FaultKind::Damaged);
}

/// The parts that hold what is known of each gram.
fn parts(file: &crate::FileRef, bytes: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let memory = std::sync::Arc::new(crate::bundle::Memory::new());
    memory.put(&file.name, bytes);
    let bundle = at_once(crate::Bundle::open(memory, file.clone())).unwrap();
    let part = |name: &str| {
        let part = bundle.need(name).unwrap();
        at_once(part.read(0..part.len())).unwrap().to_vec()
    };
    (part("gram.blocks"), part("gram.lists"))
}

/// Deals documents to segments and numbers them anew: segment of each, and its new number.
fn deal() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<usize>, Vec<Option<u32>>)> {
    (1..5_usize, vec(exact::document(), 0..90)).prop_flat_map(|(segments, documents)| {
        let count = documents.len();
        let numbers: Vec<u32> = (0..count as u32).collect();
        let dealt = vec(0..segments, count);
        let order = Just(numbers).prop_shuffle();
        let gone = vec(prop::bool::weighted(0.2), count);
        (Just(documents), dealt, order, gone).prop_map(|(documents, dealt, order, gone)| {
            let new = order.into_iter().zip(gone).map(|(at, gone)| (!gone).then_some(at));
            (documents, dealt, new.collect())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Joined segments are what their documents would have made at once.
    #[test]
    fn a_merge_is_the_index_of_all((documents, dealt, new) in deal()) {
        let segments = dealt.iter().max().map_or(1, |last| last + 1);
        let mut inputs = Vec::new();
        for segment in 0..segments {
            let here: Vec<usize> = (0..documents.len()).filter(|at| dealt[*at] == segment).collect();
            let texts: Vec<&Vec<u8>> = here.iter().map(|at| &documents[*at]).collect();
            let (_, reader) = open(index(&texts)).unwrap();
            inputs.push((reader, here.iter().map(|at| new[*at]).collect()));
        }
        let (file, merged) = bundle(|out| merge(&inputs, out).unwrap());

        let mut alive: Vec<(u32, usize)> =
            new.iter().enumerate().filter_map(|(at, new)| Some(((*new)?, at))).collect();
        alive.sort_unstable();
        let mut writer = GramWriter::new();
        for (number, at) in &alive {
            writer.add(*number, &extract(&documents[*at]));
        }
        let (other, built) = bundle(|out| writer.write(out).unwrap());
        prop_assert_eq!(parts(&file, merged.clone()), parts(&other, built));

        let (_, reader) = open((file, merged)).unwrap();
        for (number, at) in alive {
            let grams = grams_of(&documents[at]);
            if let Some(gram) = grams.first() {
                let found = candidates(&reader, &Query::Gram(*gram), documents.len());
                prop_assert!(found.contains(&number));
            }
        }
    }

    /// What satisfies a query is among the candidates, whatever was left out of the looking up.
    #[test]
    fn candidates_are_all_that_satisfy(
        documents in vec(exact::document(), 1..80), patterns in vec(exact::pattern(), 1..6),
    ) {
        let (_, reader) = open(index(&documents)).unwrap();
        for pattern in patterns {
            let parsed = std::panic::catch_unwind(|| hir(&pattern));
            let Ok(hir) = parsed else { continue };
            let query = plan(&hir);
            let found: BTreeSet<u32> =
                candidates(&reader, &query, documents.len()).into_iter().collect();
            for (at, document) in (0..).zip(&documents) {
                prop_assert!(!satisfied(&query, &grams_of(document)) || found.contains(&at));
            }
            if let Query::Gram(gram) = query {
                let holders = (0..).zip(&documents).filter(|(_, d)| grams_of(d).contains(&gram));
                let holders: BTreeSet<u32> = holders.map(|(at, _)| at).collect();
                prop_assert_eq!(found, holders);
            }
        }
    }
}
