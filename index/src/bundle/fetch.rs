//! Brings ranges of many bundles into memory.
//!
//! Fetched one by one, the posting lists of a query cost a round trip each. [`fetch()`] takes all
//! that a step of a query wants, over all segments, widens it to pages, leaves out what is there,
//! joins what lies close together, and asks each file once, files side by side: one round.

use std::{ops::Range, sync::Arc};

use crate::{
    bundle::{Bundle, Part, cut_short, layout::PAGE, pages::Run, side_by_side},
    fault::Result,
    source::BoxFuture,
};

/// Keeps fetched pages in memory: until it is dropped, [`Part::get`] finds all that was wanted,
/// whatever else is fetched meanwhile.
#[must_use = "pages that nobody holds may go before they are searched"]
#[derive(Debug, Default)]
pub struct Held {
    runs: Vec<Arc<Run>>,
}

impl Held {
    /// Holds what `other` holds too.
    pub fn extend(&mut self, other: Held) {
        self.runs.extend(other.runs);
    }
}

/// Fetches each range of its part that is not in memory. Two ranges with at most `gap` bytes
/// between them are read as one.
///
/// # Errors
/// A range past its part's end, a page whose checksum is wrong: [`FaultKind::Damaged`]; and what
/// the source fails with.
///
/// [`FaultKind::Damaged`]: crate::FaultKind::Damaged
pub async fn fetch(wanted: &[(Part, Range<u64>)], gap: u64) -> Result<Held> {
    let mut files: Vec<(&Bundle, Vec<Range<u64>>)> = Vec::new();
    for (part, range) in wanted {
        let range = part.in_file(range.clone())?;
        if range.is_empty() || range.start >= part.bundle.shared.file.hot {
            continue;
        }
        let pages = range.start / PAGE..range.end.div_ceil(PAGE);
        match files.iter_mut().find(|(bundle, _)| bundle.is(&part.bundle)) {
            Some((_, wanted)) => wanted.push(pages),
            None => files.push((&part.bundle, vec![pages])),
        }
    }
    let mut held = Held::default();
    let mut reads: Vec<BoxFuture<'_, Result<Held>>> = Vec::new();
    for (bundle, wanted) in files {
        let mut missing = Vec::new();
        for pages in joined(wanted, 0) {
            missing.extend(bundle.shared.pages.hold(pages, &mut held.runs));
        }
        let missing = joined(missing, gap / PAGE);
        if !missing.is_empty() {
            reads.push(Box::pin(read(bundle, missing)));
        }
    }
    for read in side_by_side(reads).await? {
        held.extend(read);
    }
    Ok(held)
}

/// Reads and checks pages of one file.
async fn read(bundle: &Bundle, pages: Vec<Range<u64>>) -> Result<Held> {
    let shared = &*bundle.shared;
    let ranges: Vec<Range<u64>> =
        pages.iter().map(|pages| shared.layout.page_bytes(pages.clone())).collect();
    let read = bundle.source.read(&shared.file, &ranges).await?;
    if read.len() != ranges.len() {
        return Err(cut_short(&shared.file));
    }
    let mut held = Held::default();
    for ((pages, range), bytes) in pages.iter().zip(&ranges).zip(read) {
        if bytes.len() as u64 != range.end - range.start {
            return Err(cut_short(&shared.file));
        }
        shared.layout.check(&shared.file, pages.start, &bytes)?;
        shared.pages.keep(pages.start, &bytes, &mut held.runs);
    }
    Ok(held)
}

/// Sorted, without overlap, and joined over at most `gap` pages.
fn joined(mut ranges: Vec<Range<u64>>, gap: u64) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap) => {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    joined
}
