//! One share of a bucket's keys, so that many machines can index it side by side.
//!
//! Shares by a hash of the key would put every key range into every segment, and a query would
//! have to ask all of them about one directory. [`Shard`] cuts the listing into runs of about the
//! same work; every machine lists for itself and finds the same bounds. Keys written meanwhile may
//! fall between two shares: the next update finds them.

use std::collections::BTreeSet;

use r2vfs_index::manifest::SegmentRef;

use crate::error::{Error, Kind, Result};

/// The most shares of one bucket.
const MAX_SHARDS: u32 = 10_000;

/// What an object weighs beside its bytes: a request takes about as long as indexing so many.
const WEIGHT: u64 = 16 << 10;

/// The `index`th of `of` shares, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// 1 to `of`.
    pub index: u32,
    /// How many shares there are.
    pub of: u32,
}

impl Shard {
    /// What `I/N` means.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for anything else, and for an `I` that is not in 1 to `N`.
    pub fn parse(text: &str) -> Result<Self> {
        let parsed = text.split_once('/').and_then(|(index, of)| {
            Some(Self { index: index.parse().ok()?, of: of.parse().ok()? })
        });
        let sound = |shard: &Self| shard.of <= MAX_SHARDS && (1..=shard.of).contains(&shard.index);
        parsed.filter(sound).ok_or_else(|| {
            Error::new(Kind::InvalidArgument, format!("`{text}` is no share of the keys"))
                .hint(format!("write I/N with I from 1 to N and N at most {MAX_SHARDS}, as in 2/3"))
        })
    }

    /// The keys of this share of what is listed as `(key, bytes)` in key order. `listed` is gone
    /// through twice.
    pub(super) fn keys<I: Iterator<Item = (String, u64)>>(
        self,
        listed: impl Fn() -> I,
    ) -> KeyRange {
        let weight = |size: u64| u128::from(size) + u128::from(WEIGHT);
        let whole: u128 = listed().map(|(_, size)| weight(size)).sum();
        let bound = |nth: u32| whole * u128::from(nth) / u128::from(self.of);
        let (from, to) = (bound(self.index - 1), bound(self.index));
        // The share of a key is where its weight begins.
        let mut at = 0;
        let mut range = KeyRange { from: None, to: None };
        let mut begun = self.index == 1;
        for (key, size) in listed() {
            if !begun && at >= from {
                range.from = Some(key.clone());
                begun = true;
            }
            if self.index < self.of && at >= to {
                range.to = Some(key);
                break;
            }
            at += weight(size);
        }
        if !begun {
            // More shares than keys: this one has none.
            range = KeyRange { from: None, to: Some(String::new()) };
        }
        range
    }
}

/// How the segments of an index divide the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Division {
    /// They are of all keys: one of them at least, or all shares together.
    Whole,
    /// They are some of so many shares.
    Shares { of: u32, shares: Vec<u32> },
    /// They are shares of different divisions, and nobody knows what they cover together.
    Mixed,
}

impl Division {
    /// Of these segments. An index without any is one of all keys that holds nothing yet.
    pub(super) fn of<'s>(segments: impl IntoIterator<Item = &'s SegmentRef>) -> Self {
        Self::among(segments.into_iter().map(|segment| segment.shard))
    }

    /// Of segments that were built of these shares.
    pub(super) fn among(shards: impl Iterator<Item = Option<(u32, u32)>>) -> Self {
        let Some(shards) = shards.collect::<Option<BTreeSet<(u32, u32)>>>() else {
            return Self::Whole;
        };
        let Some(&(_, of)) = shards.first() else { return Self::Whole };
        if shards.iter().any(|(_, other)| *other != of) {
            return Self::Mixed;
        }
        match shards.len() as u64 == u64::from(of) {
            true => Self::Whole,
            false => {
                Self::Shares { of, shares: shards.into_iter().map(|(share, _)| share).collect() }
            }
        }
    }
}

/// Keys from one on, and before another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyRange {
    from: Option<String>,
    to: Option<String>,
}

impl KeyRange {
    pub(super) fn contains(&self, key: &str) -> bool {
        self.from.as_deref().is_none_or(|from| from <= key)
            && self.to.as_deref().is_none_or(|to| key < to)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shares_are_runs_that_hold_every_key_once(
            keys in prop::collection::btree_map("[a-c]{1,4}", 0..1_000_000_u64, 0..40),
            of in 1..9_u32,
            other in "[a-d]{0,5}",
        ) {
            let listed = || keys.iter().map(|(key, size)| (key.clone(), *size));
            let ranges: Vec<KeyRange> =
                (1..=of).map(|index| Shard { index, of }.keys(listed)).collect();
            for key in keys.keys().chain([&other]) {
                let owners = ranges.iter().filter(|range| range.contains(key)).count();
                prop_assert_eq!(owners, 1, "{} in {:?}", key, ranges);
            }
        }
    }

    #[test]
    fn shares_are_about_as_heavy() {
        let keys: Vec<_> = (0..300).map(|n| (format!("{n:03}"), 1000)).collect();
        for index in 1..=3 {
            let range = Shard { index, of: 3 }.keys(|| keys.iter().cloned());
            let count = keys.iter().filter(|(key, _)| range.contains(key)).count();
            assert_eq!(count, 100, "share {index}");
        }
    }

    #[test]
    fn a_share_is_written_as_one_of_so_many() {
        assert_eq!(Shard::parse("2/3"), Ok(Shard { index: 2, of: 3 }));
        for wrong in ["", "1", "0/3", "4/3", "1/0", "a/b", "1/3/5", "-1/3", "1/20000"] {
            assert!(Shard::parse(wrong).is_err(), "{wrong} was taken");
        }
    }
}
