//! Where to split a listing, as an earlier one teaches.
//!
//! Splitting the space of keys by their first letters gives one range everything and the others
//! nothing. [`Milestones`] are keys that part what was there before into stretches of the same
//! length: they may be as old as they like, for they decide how evenly the work is shared, and
//! never what is listed.

/// The most ranges that are listed side by side: a hundred thousand keys take seven rounds, and
/// what each range may list too much stays within the 18 requests that a listing may cost more.
pub(super) const MOST_RANGES: u64 = 16;

/// Keys of an S3 page.
const PAGE: u64 = 1000;

/// How many stretches are remembered of a listing: enough that a part of it can be split too.
const STRETCHES: u64 = 240;

/// Keys at even distances in a sorted listing. See the module's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Milestones {
    /// How many keys there were.
    count: u64,
    keys: Vec<String>,
}

impl Milestones {
    /// How many stretches to part a listing of `count` keys into: the ends of the ranges that it
    /// will be listed in are among their borders.
    pub fn stretches(count: u64) -> u64 {
        let ranges = ranges(count, PAGE);
        ranges * (STRETCHES / ranges).max(1)
    }

    /// `keys` part `count` keys into stretches of about the same length. Those that do not rise
    /// are left out.
    pub fn new(count: u64, mut keys: Vec<String>) -> Self {
        let mut last: Option<String> = None;
        keys.retain(|key| {
            let rises = last.as_ref().is_none_or(|last| key > last);
            if rises {
                last = Some(key.clone());
            }
            rises
        });
        Self { count, keys }
    }

    /// Of all keys, in order.
    pub fn of<'k>(keys: impl ExactSizeIterator<Item = &'k str>) -> Self {
        let count = keys.len() as u64;
        let stretches = Self::stretches(count);
        let mut next = 1;
        let mut found = Vec::new();
        for (rank, key) in (1..).zip(keys) {
            if rank * stretches >= next * count && next < stretches {
                found.push(key.to_owned());
                next = rank * stretches / count + 1;
            }
        }
        Self::new(count, found)
    }

    /// Those of the keys that start with `prefix`. Their count is then a guess.
    #[must_use]
    pub fn below(&self, prefix: &str) -> Self {
        let keys: Vec<String> =
            self.keys.iter().filter(|key| key.starts_with(prefix)).cloned().collect();
        if keys.len() == self.keys.len() {
            return self.clone();
        }
        let stretch = self.count / (self.keys.len() as u64 + 1);
        Self { count: stretch * keys.len() as u64, keys }
    }

    /// How many keys they stand for.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether they are worth a listing in ranges.
    pub fn worth(&self) -> bool {
        ranges(self.count, PAGE) > 1 && !self.keys.is_empty()
    }

    /// The keys between ranges, for a listing in pages of `page` keys below `prefix`. Rising
    /// strictly; fewer than [`MOST_RANGES`].
    pub(super) fn bounds(&self, prefix: &str, page: u64) -> Vec<String> {
        let ranges = ranges(self.count, page);
        let stretches = self.keys.len() as u64 + 1;
        let mut bounds: Vec<String> = Vec::new();
        for range in 1..ranges {
            let Some(at) = (range * stretches / ranges).checked_sub(1) else { continue };
            let Some(key) = self.keys.get(at as usize) else { continue };
            if key.starts_with(prefix) && bounds.last().is_none_or(|last| last < key) {
                bounds.push(key.clone());
            }
        }
        bounds
    }

    /// The keys.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }
}

/// How many keys past its end a range goes on, to meet the next one: each of them is proof that
/// the next began where it should, and a tenth of a page keeps the price below one page in ten
/// ranges.
pub(super) fn overlap(page: u64) -> u64 {
    (page / 10).max(1)
}

/// Into how many ranges `count` keys are split. As few rounds as the most ranges allow, at least
/// two (shorter ranges cost a request each and save none), and then as few ranges as do with so
/// many rounds, with room for some keys that have come since.
fn ranges(count: u64, page: u64) -> u64 {
    if count <= 3 * page {
        return 1;
    }
    let room = 2 * overlap(page);
    let rounds = (count.div_ceil(MOST_RANGES) + room).div_ceil(page).max(2);
    let longest = (rounds * page).saturating_sub(room).max(1);
    count.div_ceil(longest).min(MOST_RANGES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_few_pages_long_and_few() {
        for (count, want) in [
            (0, 1),
            (3_000, 1),
            (3_001, 2),
            (3_601, 3),
            (20_000, 12),
            (28_800, 16),
            (28_801, 11),
            (100_000, 15),
            (1_000_000, 16),
            (u64::from(u32::MAX), 16),
        ] {
            assert_eq!(ranges(count, PAGE), want, "{count}");
        }
        for page in 1..5 {
            assert!((1..=16).contains(&ranges(1_000, page)));
        }
    }

    #[test]
    fn milestones_part_a_listing_evenly_at_the_borders_of_its_ranges() {
        for count in [3_001_usize, 20_000, 100_003] {
            let keys: Vec<String> = (0..count).map(|n| format!("{n:07}")).collect();
            let milestones = Milestones::of(keys.iter().map(String::as_str));
            let bounds = milestones.bounds("", PAGE);
            let ranges = ranges(count as u64, PAGE) as usize;
            assert_eq!(bounds.len() + 1, ranges);
            for (n, bound) in (1..).zip(&bounds) {
                let rank: usize = bound.parse().expect("a number");
                let even = n * count / ranges;
                assert!(rank.abs_diff(even) <= 1, "{count}: bound {n} is {rank}, not {even}");
            }
        }
    }

    #[test]
    fn a_part_of_a_listing_is_split_too() {
        let keys: Vec<String> =
            (0..90_000).map(|n| format!("{}/{n:07}", if n < 45_000 { "a" } else { "b" })).collect();
        let all = Milestones::of(keys.iter().map(String::as_str));
        let below = all.below("b/");
        assert!(below.count().abs_diff(45_000) < 500, "{}", below.count());
        assert!(below.bounds("b/", PAGE).len() > 5);
        assert!(!all.below("c/").worth());
        assert!(all.bounds("c/", PAGE).is_empty());
    }

    #[test]
    fn what_does_not_rise_is_left_out() {
        let keys = ["b", "a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(Milestones::new(9_000, keys).keys(), ["b", "c"]);
    }
}
