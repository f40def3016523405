//! Where lines are in large objects, remembered sparsely.
//!
//! Remembering every line of a gigabyte costs as much as the gigabyte; remembering nothing reads
//! it again from byte 0 for each window. [`Marks`] keeps one mark a mebibyte for the objects read
//! last, keyed by version, so that a mark can never belong to other bytes.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::bucket::{BucketId, ETag};

/// Distance between marks in bytes: skipping to a line reads at most this much too much.
pub(super) const SPACING: u64 = 1 << 20;

/// Objects remembered. With a mark of 16 bytes a mebibyte, 64 objects of 1 GiB take 1 MiB.
const OBJECTS: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");

/// Marks kept per object: 64 GiB worth. Beyond them a search starts at the last.
const PER_OBJECT: usize = 1 << 16;

pub(super) type Version = (BucketId, String, ETag);

/// A place in an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Line feeds before `offset`.
    pub(super) breaks: u64,
    /// Bytes from the start.
    pub(super) offset: u64,
}

#[derive(Debug, Default)]
struct Known {
    marks: Vec<Mark>,
    total: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Marks(LruCache<Version, Known>);

impl Marks {
    pub(super) fn new() -> Self {
        Self(LruCache::new(OBJECTS))
    }

    /// The last place known to lie before the start of `line` (1-based), so that a whole line
    /// break lies between them.
    pub(super) fn before(&mut self, version: &Version, line: u64) -> Mark {
        let Some(known) = self.0.get(version) else {
            return Mark::default();
        };
        let fit = known.marks.partition_point(|mark| mark.breaks + 1 < line);
        fit.checked_sub(1).map_or(Mark::default(), |last| known.marks[last])
    }

    pub(super) fn total(&mut self, version: &Version) -> Option<u64> {
        self.0.get(version)?.total
    }

    pub(super) fn set_total(&mut self, version: &Version, lines: u64) {
        self.0.get_or_insert_mut_ref(version, Known::default).total = Some(lines);
    }

    /// Remembers `mark` unless one is near it.
    pub(super) fn add(&mut self, version: &Version, mark: Mark) {
        let known = self.0.get_or_insert_mut_ref(version, Known::default);
        let at = known.marks.partition_point(|m| m.offset < mark.offset);
        let near = |m: &Mark| m.offset.abs_diff(mark.offset) < SPACING;
        let taken = known.marks.get(at).is_some_and(near)
            || at.checked_sub(1).and_then(|before| known.marks.get(before)).is_some_and(near);
        if !taken && mark.offset >= SPACING && known.marks.len() < PER_OBJECT {
            known.marks.insert(at, mark);
        }
    }
}
