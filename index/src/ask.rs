//! What one question asks of all segments at once.
//!
//! Asked one after another, each segment costs its own round trips. Here all segments are asked
//! side by side, and what lies close together in one file is fetched together.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    bundle::{Held, Part, fetch, side_by_side},
    docs::Place,
    fault::Result,
    gram::{Candidates, Query},
    index::{DocRef, Index},
    source::BoxFuture,
};

/// Blocks of text this close are read as one: 256 KiB arrive in the time that another request
/// takes to come back.
const NEAR: u64 = 256 << 10;

/// Blocks of text further apart than this are never read as one, however many reads that takes.
const FAR: u64 = 4 << 20;

impl Index {
    /// The documents of each segment, in the order of [`Index::segments`], in which `query` may
    /// be satisfied: at most two rounds.
    ///
    /// # Errors
    /// What reading fails with; [`FaultKind::Damaged`](crate::FaultKind::Damaged).
    pub async fn candidates(&self, query: &Query) -> Result<Vec<Candidates>> {
        let asked = self.segments().iter().map(|segment| -> BoxFuture<'_, Result<Candidates>> {
            match segment.grams() {
                Some(grams) => Box::pin(grams.candidates(query, segment.docs().len())),
                None => Box::pin(std::future::ready(Ok(Candidates::All))),
            }
        });
        side_by_side(asked.collect()).await
    }

    /// Brings the packed text of `docs` into memory in one round of about `reads` reads a segment,
    /// each over what lies between as well where that is not too much. What is not in a pack is
    /// passed over.
    ///
    /// # Errors
    /// What reading fails with; [`FaultKind::Damaged`](crate::FaultKind::Damaged).
    pub async fn warm(&self, docs: &[DocRef], reads: usize) -> Result<Held> {
        let mut held = Held::default();
        let mut fetches: Vec<BoxFuture<'_, Result<Held>>> = Vec::new();
        for (number, segment) in (0..).zip(self.segments()) {
            let Some(pack) = segment.pack() else { continue };
            let places: Vec<Place> = docs
                .iter()
                .filter(|at| at.segment == number)
                .filter_map(|at| segment.docs().get(at.doc)?.place)
                .collect();
            let wanted = pack.wanted(&places)?;
            let gap = gap(&wanted, reads);
            fetches.push(Box::pin(async move { fetch(&wanted, gap).await }));
        }
        for fetched in side_by_side(fetches).await? {
            held.extend(fetched);
        }
        Ok(held)
    }

    /// The packed text of a document whose place is known.
    ///
    /// # Errors
    /// What reading fails with; [`FaultKind::Damaged`](crate::FaultKind::Damaged) when there is no
    /// such text.
    pub async fn text(&self, at: DocRef, place: Place) -> Result<Bytes> {
        let pack = self.segments().get(at.segment as usize).and_then(|segment| segment.pack());
        match pack {
            Some(pack) => pack.text(place).await,
            None => Err(crate::Fault::new(
                crate::FaultKind::Damaged,
                "a document is said to be in a pack that is not there",
            )),
        }
    }
}

/// Over how many bytes ranges are joined so that about `reads` remain.
fn gap(wanted: &[(Part, Range<u64>)], reads: usize) -> u64 {
    let mut ranges: Vec<&Range<u64>> = wanted.iter().map(|(_, range)| range).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut end = 0;
    let mut gaps: Vec<u64> = Vec::with_capacity(ranges.len());
    for range in ranges {
        if end > 0 && range.start > end {
            gaps.push(range.start - end);
        }
        end = end.max(range.end);
    }
    gaps.sort_unstable_by(|a, b| b.cmp(a));
    // All gaps but the widest are bridged.
    let bridged = gaps.get(reads.saturating_sub(1)).copied().unwrap_or(0);
    bridged.clamp(NEAR, FAR)
}
