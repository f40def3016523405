//! Objects that an index lets a scan leave alone, in their place among those that are searched.
//!
//! The driver decides about them long before the reader comes to their place: told at once, an
//! answer that ends at a limit would speak of files behind its end. [`LeftOut`] keeps what there is
//! to say until then, as one [`Run`] for all that lie between two searched objects.

use std::collections::VecDeque;

use super::super::NAMED_SKIPS;
use crate::vfs::Entry;

/// What ripgrep's searcher reads at once: it counts no bytes of a file that has a NUL among the
/// first of them.
const BUFFER: u64 = 64 << 10;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    runs: VecDeque<Run>,
    /// Binary ones that were named: an answer names no more than [`NAMED_SKIPS`].
    named: usize,
    /// A search would read nothing either (`-m 0`), and so finds no NUL.
    unread: bool,
}

/// What lies before one searched object and behind the one before it.
#[derive(Debug, Default)]
pub(super) struct Run {
    before: u64,
    /// How many there are.
    pub(super) objects: u64,
    /// Bytes that a search counts of them.
    pub(super) bytes: u64,
    /// The first of those that end at a NUL, with its place.
    pub(super) binary: Vec<(String, u64)>,
    /// How many more of these there are.
    pub(super) binary_more: u64,
}

impl LeftOut {
    /// Of a search with at most so many matches in each object.
    pub(super) fn new(max_count: Option<u64>) -> Self {
        Self { unread: max_count == Some(0), ..Self::default() }
    }

    /// Nothing matches in `entry`, which ends at a NUL at the offset `nul`; the next object that is
    /// searched will be number `before`.
    pub(super) fn add(&mut self, before: u64, entry: &Entry, nul: Option<u64>) {
        if self.runs.back().is_none_or(|run| run.before != before) {
            self.runs.push_back(Run { before, ..Run::default() });
        }
        let Some(run) = self.runs.back_mut() else { return };
        run.objects += 1;
        if self.unread {
            return;
        }
        run.bytes += match nul {
            None => entry.object.size,
            Some(nul) => nul.checked_sub(BUFFER).map_or(0, |_| nul),
        };
        match nul {
            None => {}
            Some(offset) if self.named < NAMED_SKIPS => {
                self.named += 1;
                run.binary.push((entry.path.clone(), offset));
            }
            Some(_) => run.binary_more += 1,
        }
    }

    /// The next of the runs that lie before object number `n`.
    pub(super) fn take_before(&mut self, n: u64) -> Option<Run> {
        self.runs.pop_front_if(|run| run.before <= n)
    }
}
