//! Proves that an index is what it says.
//!
//! Checksums tell that the bytes are those that were written, not that they were right. What a
//! query relies on is that the n-grams of a document are those of its text: left out by one of
//! them, it is never searched. To look up each gram of each text would decode the long posting
//! lists once a document; [`verify`] reads every list once instead and keeps a print for each
//! document, a sum over its grams, which the text must give again.

use std::collections::BTreeMap;

use crate::{
    docs::{Doc, State},
    fault::{Fault, FaultKind, Result},
    gram::{Extractor, Grams},
    index::{DocRef, Index},
    segment::{Segment, told_nul},
};

/// Problems that are listed; where there are more, the index is built anew in any case.
const LISTED: usize = 100;

/// What [`verify`] found.
#[derive(Debug)]
pub struct Verified {
    index: Index,
    /// Of each segment, where its n-grams can be read.
    prints: Vec<Option<Vec<Print>>>,
    extractor: Extractor,
    problems: Vec<Fault>,
    docs: u64,
    texts: u64,
}

/// All grams of a document, as one number and their count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Print {
    Sum { grams: u64, sum: u64 },
    Dense,
}

const NOTHING: Print = Print::Sum { grams: 0, sum: 0 };

/// Reads all of an index: every page against its checksum, the numbers of the manifest against the
/// documents, the places of texts and the n-grams against both, and every packed text against its
/// n-grams. Calls `done` with the bytes that were read so far.
pub async fn verify(index: &Index, mut done: impl FnMut(u64)) -> Verified {
    let mut verified = Verified {
        index: index.clone(),
        prints: Vec::new(),
        extractor: Extractor::new(),
        problems: Vec::new(),
        docs: 0,
        texts: 0,
    };
    let mut before = 0;
    for (number, segment) in index.segments().iter().enumerate() {
        let checked = |bytes| {
            done(before + bytes);
            true
        };
        let pages = segment.bundle().check_pages(checked).await;
        before += segment.bundle().file().bytes;
        done(before);
        verified.note(pages);
        verified.note(numbers(segment));
        let prints = prints(segment).await;
        verified.prints.push(prints.as_ref().ok().cloned());
        verified.note(prints.map(drop));
        for (doc, row) in segment.docs() {
            verified.docs += 1;
            let at = DocRef { segment: number as u32, doc };
            let checked = verified.packed(segment, at, &row).await;
            verified.note(checked);
        }
    }
    verified
}

impl Verified {
    /// What is wrong; nothing, if the index is what it says.
    pub fn problems(&self) -> &[Fault] {
        &self.problems
    }

    /// How many documents were looked at, hidden ones too.
    pub fn docs(&self) -> u64 {
        self.docs
    }

    /// How many texts were proven to be covered by their n-grams, each counted once.
    pub fn texts(&self) -> u64 {
        self.texts
    }

    /// Proves a document against what a search with default options reads of the object today,
    /// which must have the ETag that the index has: its n-grams cover it, and where it is in the
    /// pack, the pack has the same. What is wrong is also noted.
    ///
    /// # Errors
    /// [`FaultKind::Damaged`] when the index is wrong about it; what reading fails with.
    pub async fn prove(&mut self, at: DocRef, text: &[u8]) -> Result<()> {
        let proven = self.check(at, text).await;
        self.note(proven.clone());
        proven
    }

    async fn check(&mut self, at: DocRef, text: &[u8]) -> Result<()> {
        let Some(doc) = self.index.get(at) else {
            return Err(Fault::new(FaultKind::Invalid, "there is no such document in the index"));
        };
        let covered = self.covers(at, &doc, text)?;
        // What is packed was counted with the pack.
        self.texts += u64::from(covered && doc.place.is_none());
        let pack = self.index.segments()[at.segment as usize].pack();
        if let (Some(place), Some(pack)) = (doc.place, pack)
            && pack.text(place).await? != text
        {
            return Err(wrong(&doc, "the pack has another text"));
        }
        Ok(())
    }

    /// Whether the n-grams of a document were proven to be those of its text. Where none can be
    /// read, that is said once, and not of every document.
    fn covers(&mut self, at: DocRef, doc: &Doc, text: &[u8]) -> Result<bool> {
        let prints = self.prints.get(at.segment as usize).and_then(Option::as_ref);
        let Some(prints) = prints.filter(|_| doc.state.has(State::GRAMS)) else {
            return Ok(false);
        };
        let nul = memchr::memchr(0, text);
        if doc.nul != told_nul(text, nul.map(|nul| nul as u64)) {
            return Err(wrong(doc, "its first NUL is elsewhere"));
        }
        self.extractor.feed(&text[..nul.unwrap_or(text.len())]);
        let print = match self.extractor.finish() {
            Grams::Dense => Print::Dense,
            Grams::Distinct(grams) => grams.keys().fold(NOTHING, |print, gram| print.with(gram)),
        };
        let written = prints.get(at.doc as usize).copied();
        // What is dense is a candidate for everything, so it covers anything.
        if written != Some(Print::Dense) && written != Some(print) {
            return Err(wrong(doc, "its n-grams are not those of its text"));
        }
        Ok(true)
    }

    async fn packed(&mut self, segment: &Segment, at: DocRef, doc: &Doc) -> Result<()> {
        let Some(place) = doc.place else { return Ok(()) };
        let Some(pack) = segment.pack() else {
            return Err(wrong(doc, "it is in a pack that is not there"));
        };
        if u64::from(place.len) != doc.size {
            return Err(wrong(doc, "the pack has a text of another length"));
        }
        let text = pack.text(place).await?;
        self.texts += u64::from(self.covers(at, doc, &text)?);
        Ok(())
    }

    fn note(&mut self, result: Result<()>) {
        // A damaged page meets every document that lies on it, with the same words.
        if let Err(fault) = result
            && self.problems.len() < LISTED
            && self.problems.iter().all(|known| known.detail() != fault.detail())
        {
            self.problems.push(fault);
        }
    }
}

impl Print {
    #[must_use]
    fn with(self, gram: u64) -> Self {
        match self {
            Self::Dense => Self::Dense,
            // Sums of plain numbers would agree for other grams with the same sum.
            Self::Sum { grams, sum } => {
                let hash = xxhash_rust::xxh3::xxh3_64(&gram.to_le_bytes());
                Self::Sum { grams: grams + 1, sum: sum.wrapping_add(hash) }
            }
        }
    }
}

/// The print of each document, from the posting lists.
async fn prints(segment: &Segment) -> Result<Vec<Print>> {
    let len = segment.docs().len() as usize;
    let mut prints = vec![NOTHING; len];
    let Some(grams) = segment.grams() else { return Ok(prints) };
    let mut outside = false;
    for doc in grams.dense() {
        match prints.get_mut(*doc as usize) {
            Some(print) => *print = Print::Dense,
            None => outside = true,
        }
    }
    let mut before = None;
    let mut disordered = false;
    grams
        .walk(|gram, docs| {
            disordered |= before.is_some_and(|before| before >= gram) || !docs.is_sorted();
            before = Some(gram);
            for doc in docs {
                match prints.get_mut(*doc as usize) {
                    Some(print) => *print = print.with(gram),
                    None => outside = true,
                }
            }
        })
        .await?;
    let name = &segment.reference().file.name;
    let damaged = |how: &str| Fault::new(FaultKind::Damaged, format!("n-grams of {name}: {how}"));
    if outside {
        return Err(damaged("they name documents that are not there"));
    }
    if disordered {
        return Err(damaged("they are out of order"));
    }
    for (doc, row) in segment.docs() {
        if prints[doc as usize] != NOTHING && !row.state.has(State::GRAMS) {
            return Err(wrong(&row, "it has n-grams and should have none"));
        }
    }
    Ok(prints)
}

/// The manifest's numbers against the file.
fn numbers(segment: &Segment) -> Result<()> {
    let reference = segment.reference();
    let bundle = segment.bundle();
    let covered = segment.docs().iter().map(|(_, doc)| doc.covered_bytes());
    let parts: BTreeMap<String, u64> = bundle
        .names()
        .filter_map(|name| Some((name.to_owned(), bundle.part(name)?.len())))
        .collect();
    if covered.fold(0, u64::wrapping_add) != reference.text_bytes || parts != reference.parts {
        let detail = format!("{} has other sizes than the manifest says", reference.file.name);
        return Err(Fault::new(FaultKind::Damaged, detail));
    }
    Ok(())
}

fn wrong(doc: &Doc, how: &str) -> Fault {
    Fault::new(FaultKind::Damaged, format!("the index is wrong about {:?}: {how}", doc.key))
}
