//! When segments are joined, and which: the one place that decides it. Pure.
//!
//! Never joining makes each query ask a hundred segments; joining everything after each update
//! writes the whole index for one changed object. Here a build leaves a small index in one
//! segment, and otherwise neighbours of about the same size are joined once there are too many, so
//! that a document is rewritten about as often as the index doubles.
//!
//! Only neighbours can be joined: a newer segment shadows the keys of those before it. Segments of
//! different shares of the keys stay apart until everything is to become one and all shares are
//! there, so that each machine can replace its own, and an index of some keys is never taken for
//! one of all.

use std::ops::Range;

use super::shard::Division;

/// Segments that may lie side by side: what a query asks at once without a further round.
const MANY: usize = 8;

/// Segments joined at a time: each has its hot part in memory and a file open.
const AT_ONCE: usize = 16;

/// Text that is joined to one segment by a build: it takes seconds.
const SMALL: u64 = 256 << 20;

/// Of its memory, the share of text that a build joins to one segment: beside what the builders
/// leave behind, joining 85 MB of text took another 110 MB.
const SMALL_SHARE: u64 = 2;

/// The share of documents, in percent, that may be shadowed, gone or tombstones.
const DEAD: u64 = 30;

/// What a segment weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight {
    /// Bytes of text.
    pub(super) text: u64,
    /// Documents, dead ones included.
    pub(super) docs: u64,
    /// The share of the keys that it was built of.
    pub(super) shard: Option<(u32, u32)>,
}

impl Weight {
    fn size(self) -> u64 {
        self.text + (self.docs << 10)
    }
}

/// The most text that becomes one segment where a build with so much `memory` ends. Where there are
/// [`MANY`], the lightest are joined whatever they weigh.
pub(super) fn small(memory: u64) -> u64 {
    (memory / SMALL_SHARE).min(SMALL)
}

/// The neighbours to join next, or `None`. `live` is how many documents the index has; where a
/// build ends here, `small` bytes of text become one segment; `one` says that everything is to.
pub(super) fn next(
    segments: &[Weight],
    live: u64,
    small: Option<u64>,
    one: bool,
) -> Option<Range<usize>> {
    let docs: u64 = segments.iter().map(|segment| segment.docs).sum();
    let dead = docs.saturating_sub(live);
    let all = || Division::among(segments.iter().map(|segment| segment.shard)) == Division::Whole;
    if one && (segments.len() > 1 || dead > 0) && all() {
        return Some(window(segments, AT_ONCE));
    }
    let mut start = 0;
    for run in segments.chunk_by(|a, b| a.shard == b.shard) {
        // How many are dead is known of all segments together only.
        let alone = run.len() == segments.len();
        let dead = if alone { dead } else { 0 };
        let found = match one && (run.len() > 1 || dead > 0) {
            true => Some(window(run, AT_ONCE)),
            false => within(run, dead, small),
        };
        if let Some(found) = found {
            return Some(start + found.start..start + found.end);
        }
        start += run.len();
    }
    None
}

/// The same among segments of one share.
fn within(segments: &[Weight], dead: u64, small: Option<u64>) -> Option<Range<usize>> {
    let count = segments.len();
    let docs: u64 = segments.iter().map(|segment| segment.docs).sum();
    if dead * 100 > docs * DEAD {
        return Some(window(segments, AT_ONCE));
    }
    let text: u64 = segments.iter().map(|segment| segment.text).sum();
    if count > 1 && small.is_some_and(|small| text <= small) {
        return Some(window(segments, AT_ONCE));
    }
    // Of 9 neighbours 2 would do, and the next update would join again: half of what is allowed
    // is left.
    (count > MANY).then(|| window(segments, (count - MANY / 2).min(AT_ONCE)))
}

/// The lightest run of `width` neighbours, or all of them.
fn window(segments: &[Weight], width: usize) -> Range<usize> {
    let width = width.min(segments.len());
    let weigh = |at: &usize| -> u64 { segments[*at..at + width].iter().map(|s| s.size()).sum() };
    let at = (0..=segments.len() - width).min_by_key(weigh).unwrap_or(0);
    at..at + width
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT: Option<u64> = Some(SMALL);

    fn joined(
        mut segments: Vec<Weight>,
        live: u64,
        small: Option<u64>,
        one: bool,
    ) -> (Vec<u64>, u64) {
        let mut written = 0;
        for _ in 0..10_000 {
            let Some(range) = next(&segments, live, small, one) else {
                return (segments.iter().map(|s| s.text).collect(), written);
            };
            let whole = range.len() == segments.len();
            let text = segments[range.clone()].iter().map(|s| s.text).sum();
            let docs = segments[range.clone()].iter().map(|s| s.docs).sum();
            written += text;
            let docs = if whole { live } else { docs };
            segments.splice(range, [Weight { text, docs, shard: None }]);
        }
        panic!("it never ends: {segments:?}");
    }

    fn even(count: usize, text: u64) -> Vec<Weight> {
        vec![Weight { text, docs: 100, shard: None }; count]
    }

    #[test]
    fn a_small_build_ends_in_one_segment_and_a_large_one_in_a_few() {
        assert_eq!(joined(even(10, 16 << 20), 1000, BUILT, false).0.len(), 1);
        let (left, written) = joined(even(640, 16 << 20), 64_000, BUILT, false);
        assert!(left.len() <= MANY, "{left:?}");
        let all: u64 = 640 * (16 << 20);
        assert!(written <= 3 * all, "each byte is written thrice at most: {written} of {all}");
    }

    #[test]
    fn a_build_with_little_memory_joins_little() {
        assert_eq!((small(128 << 20), small(1 << 40)), (64 << 20, SMALL));
        let (left, _) = joined(even(5, 16 << 20), 500, Some(small(128 << 20)), false);
        assert_eq!(left.len(), 5);
        assert_eq!(joined(even(4, 16 << 20), 400, Some(small(128 << 20)), false).0.len(), 1);
    }

    #[test]
    fn an_update_of_a_large_index_rewrites_little() {
        let mut segments = vec![Weight { text: 10 << 30, docs: 1_000_000, shard: None }];
        segments.extend(even(8, 1 << 20));
        let (left, written) = joined(segments, 1_000_700, None, false);
        assert!(left.len() <= MANY && written <= 8 << 20, "{left:?}, {written}");
        assert_eq!(next(&even(2, 1), 200, None, false), None);
    }

    #[test]
    fn dead_documents_are_dropped() {
        let one = [Weight { text: 1 << 30, docs: 100, shard: None }];
        assert_eq!(next(&one, 70, None, false), None);
        assert_eq!(next(&one, 69, None, false), Some(0..1));
        assert_eq!(next(&one, 99, None, true), Some(0..1));
        assert_eq!(next(&one, 100, None, true), None);
        assert_eq!(next(&[], 0, BUILT, true), None);
    }

    #[test]
    fn shares_stay_apart_until_everything_becomes_one() {
        let of = |share| Weight { text: 1 << 20, docs: 10, shard: Some((share, 3)) };
        let segments = [of(1), of(2), of(2), of(3), of(3), of(3)];
        assert_eq!(next(&segments, 60, BUILT, false), Some(1..3));
        assert_eq!(next(&[of(1), of(2), of(3)], 30, BUILT, false), None);
        assert_eq!(next(&segments, 60, None, true), Some(0..6));
        // Without the third share the one segment would pass for an index of all keys.
        assert_eq!(next(&segments[..3], 30, None, true), Some(1..3));
        assert_eq!(next(&[of(1), of(2)], 20, None, true), None);
        assert_eq!(next(&[of(2)], 9, None, true), Some(0..1));
    }
}
