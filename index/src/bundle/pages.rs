//! The fetched pages of one bundle that are in memory.
//!
//! Kept page by page, a range of many pages would have to be copied together at every use, and it
//! is what a posting list or a block of text is. [`Pages`] keeps runs of pages as they were read,
//! no two over the same page. The least recently used run goes first, except while somebody who
//! fetched it still holds it: without that, two queries at once could take each other's pages away
//! between fetching and searching.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};

use crate::bundle::layout::PAGE;

/// Whole pages, one behind the other.
#[derive(Debug)]
pub(super) struct Run {
    bytes: Bytes,
}

#[derive(Debug)]
struct Kept {
    run: Arc<Run>,
    used: u64,
}

#[derive(Debug, Default)]
struct Runs {
    /// By the first page. No two overlap.
    by_page: BTreeMap<u64, Kept>,
    bytes: usize,
    clock: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pages {
    runs: Mutex<Runs>,
    budget: usize,
}

impl Pages {
    pub(super) fn new(budget: usize) -> Self {
        Self { runs: Mutex::default(), budget }
    }

    /// What may stay.
    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// A range of the file, if all of it is here. It must not be empty.
    pub(super) fn get(&self, range: Range<u64>) -> Option<Bytes> {
        let mut runs = self.lock();
        let (start, bytes) = runs.over(range.start / PAGE)?;
        let from = (range.start - start) as usize;
        let len = (range.end - range.start) as usize;
        if from + len <= bytes.len() {
            return Some(bytes.slice(from..from + len));
        }
        let mut joined = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let (start, bytes) = runs.over(at / PAGE)?;
            let from = (at - start) as usize;
            // A last page that is shorter than asked for would end before `at`.
            let piece = bytes.slice(from.min(bytes.len())..);
            let piece = piece.slice(..piece.len().min((range.end - at) as usize));
            if piece.is_empty() {
                return None;
            }
            at += piece.len() as u64;
            joined.push(piece);
        }
        drop(runs);
        let mut out = BytesMut::with_capacity(len);
        joined.iter().for_each(|piece| out.extend_from_slice(piece));
        Some(out.freeze())
    }

    /// Holds what is here of `pages` and returns what is not.
    pub(super) fn hold(&self, pages: Range<u64>, held: &mut Vec<Arc<Run>>) -> Vec<Range<u64>> {
        self.lock().hold(pages, held)
    }

    /// Keeps pages that were read and checked, and holds them. Where another read of the same
    /// pages was first, its pages stay.
    pub(super) fn keep(&self, first: u64, bytes: &Bytes, held: &mut Vec<Arc<Run>>) {
        let pages = first..first + (bytes.len() as u64).div_ceil(PAGE);
        let mut runs = self.lock();
        for piece in runs.hold(pages.clone(), held) {
            let from = ((piece.start - first) * PAGE) as usize;
            let to = (((piece.end - first) * PAGE) as usize).min(bytes.len());
            // A slice would keep all of the read alive, and be counted as the slice.
            let bytes = if piece == pages {
                bytes.clone()
            } else {
                Bytes::copy_from_slice(&bytes[from..to])
            };
            runs.bytes += bytes.len();
            let run = Arc::new(Run { bytes });
            held.push(run.clone());
            let used = runs.clock;
            runs.by_page.insert(piece.start, Kept { run, used });
        }
        runs.shrink(self.budget);
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    fn pages(&self) -> u64 {
        (self.bytes.len() as u64).div_ceil(PAGE)
    }
}

impl Runs {
    /// The run over `page`: where it starts in the file, and its bytes.
    fn over(&mut self, page: u64) -> Option<(u64, Bytes)> {
        self.clock += 1;
        let clock = self.clock;
        let (first, kept) = self.by_page.range_mut(..=page).next_back()?;
        if page >= first + kept.run.pages() {
            return None;
        }
        kept.used = clock;
        Some((first * PAGE, kept.run.bytes.clone()))
    }

    fn hold(&mut self, pages: Range<u64>, held: &mut Vec<Arc<Run>>) -> Vec<Range<u64>> {
        self.clock += 1;
        let clock = self.clock;
        let mut missing = Vec::new();
        let mut at = pages.start;
        let before = self.by_page.range(..=at).next_back().map_or(at, |(first, _)| *first);
        for (first, kept) in self.by_page.range_mut(before..pages.end) {
            let end = first + kept.run.pages();
            if end <= at {
                continue;
            }
            if *first > at {
                missing.push(at..*first);
            }
            kept.used = clock;
            held.push(kept.run.clone());
            at = end;
        }
        if at < pages.end {
            missing.push(at..pages.end);
        }
        missing
    }

    /// Lets go of what nobody holds, the longest unused first.
    fn shrink(&mut self, budget: usize) {
        if self.bytes <= budget {
            return;
        }
        let mut free: Vec<(u64, u64)> = self
            .by_page
            .iter()
            .filter(|(_, kept)| Arc::strong_count(&kept.run) == 1)
            .map(|(first, kept)| (kept.used, *first))
            .collect();
        free.sort_unstable();
        for (_, first) in free {
            if self.bytes <= budget {
                break;
            }
            if let Some(kept) = self.by_page.remove(&first) {
                self.bytes -= kept.run.bytes.len();
            }
        }
    }
}
