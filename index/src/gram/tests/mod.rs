//! Tests of all parts together.

mod damage;
mod exact;
mod files;
mod hostile;
mod narrow;

use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

use super::{Candidates, Extractor, GramReader, GramWriter, Grams, Query};
use crate::{
    bundle::{Bundle, BundleWriter, Memory, at_once},
    source::FileRef,
};

fn grams_of(document: &[u8]) -> BTreeSet<u64> {
    grams_in(document, document.len().max(1))
}

/// The grams of a document that comes in pieces of `size` bytes.
fn grams_in(document: &[u8], size: usize) -> BTreeSet<u64> {
    thread_local! {
        static EXTRACTOR: RefCell<Extractor> = RefCell::new(Extractor::new());
    }
    let grams = EXTRACTOR.with_borrow_mut(|extractor| {
        document.chunks(size).for_each(|piece| extractor.feed(piece));
        extractor.finish()
    });
    match grams {
        Grams::Distinct(grams) => {
            let set: BTreeSet<u64> = grams.keys().collect();
            assert_eq!(set.len(), grams.len(), "a gram came twice");
            set
        }
        Grams::Dense => panic!("few bytes have few grams"),
    }
}

fn satisfied(query: &Query, grams: &BTreeSet<u64>) -> bool {
    match query {
        Query::All => true,
        Query::None => false,
        Query::Gram(gram) => grams.contains(gram),
        Query::Range(first, last) => grams.range(first..=last).next().is_some(),
        Query::And(parts) => parts.iter().all(|part| satisfied(part, grams)),
        Query::Or(parts) => parts.iter().any(|part| satisfied(part, grams)),
    }
}

/// Grams of a document, as what makes an index takes them.
fn extract(document: &[u8]) -> Grams {
    let mut extractor = Extractor::new();
    extractor.feed(document);
    extractor.finish()
}

/// Writes a bundle and returns its file and bytes.
fn bundle(write: impl FnOnce(&mut BundleWriter)) -> (FileRef, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.seg");
    let mut out = BundleWriter::create(&path).unwrap();
    write(&mut out);
    let file = out.finish().unwrap();
    (file, std::fs::read(&path).unwrap())
}

/// A bundle with the grams of `documents`, numbered from 0.
fn index(documents: &[impl AsRef<[u8]>]) -> (FileRef, Vec<u8>) {
    let mut writer = GramWriter::new();
    for (at, document) in (0..).zip(documents) {
        writer.add(at, &extract(document.as_ref()));
    }
    bundle(|out| writer.write(out).unwrap())
}

/// Opens what [`bundle`] wrote.
fn open((file, bytes): (FileRef, Vec<u8>)) -> crate::Result<(Arc<Memory>, GramReader)> {
    let memory = Arc::new(Memory::new());
    memory.put(&file.name, bytes);
    let bundle = at_once(Bundle::open(memory.clone(), file))?;
    let reader = GramReader::open(&bundle)?.expect("it was written with grams");
    Ok((memory, reader))
}

/// The candidates among `docs` documents.
fn candidates(reader: &GramReader, query: &Query, docs: usize) -> Vec<u32> {
    match at_once(reader.candidates(query, docs as u32)).unwrap() {
        Candidates::All => (0..docs as u32).collect(),
        Candidates::Docs(documents) => documents,
    }
}

fn query(pattern: &str) -> Query {
    super::plan(&hir(pattern))
}

fn hir(pattern: &str) -> regex_syntax::hir::Hir {
    regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern).unwrap()
}
