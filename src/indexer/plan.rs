//! What is to be fetched, and in which pieces: pure.
//!
//! Fetching what a listing names and asking the index about each key costs a look-up in every
//! segment; fetching what changed since a date misses what was copied in with an old one. [`Join`]
//! walks the listing beside the documents that the index holds, both in key order, and compares
//! versions. [`Batches`] cuts what is left into runs that are fetched, built and committed as one.

use std::{cmp::Ordering, iter::Peekable};

use crate::{bucket::Object, vfs::Entry};

/// A document that the index holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) key: String,
    pub(super) etag: String,
    /// To the second, as [`r2vfs_index::Doc::is_version`] compares it.
    pub(super) second: Option<i64>,
    /// Reading it failed, so that nothing of it is covered.
    pub(super) unread: bool,
    /// It was in an archive.
    pub(super) archived: bool,
}

/// What is to be done about an object of the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The index covers this version.
    Held,
    /// The index has never heard of the key.
    New,
    /// The index covers another version.
    Changed,
    /// The index knows the version and could not read it.
    Again,
    /// The same, because it was in an archive. Restoring it changes nothing that is listed: only a
    /// get tells.
    Archived,
}

impl Verdict {
    /// About an object as it is listed.
    pub(super) fn of(known: Option<&Known>, object: &Object) -> Self {
        let second = object.modified.map(|ms| ms.div_euclid(1000));
        match known {
            None => Self::New,
            Some(known) if *known.etag != *object.etag.0 || known.second != second => Self::Changed,
            Some(known) if known.unread => Self::Again,
            Some(known) if known.archived => Self::Archived,
            Some(_) => Self::Held,
        }
    }
}

/// A listing beside the live documents of an index.
#[derive(Debug)]
pub(super) struct Join<I: Iterator<Item = Known>> {
    live: Peekable<I>,
    greatest: Option<String>,
}

impl<I: Iterator<Item = Known>> Join<I> {
    /// `live` in rising key order.
    pub(super) fn new(live: I) -> Self {
        Self { live: live.peekable(), greatest: None }
    }

    /// About the next object. One that comes after a greater key, as servers that list out of
    /// order make it, has been passed: `find` looks it up.
    pub(super) fn judge(
        &mut self,
        object: &Object,
        find: impl FnOnce(&str) -> Option<Known>,
    ) -> Verdict {
        let key = object.key.as_str();
        if self.greatest.as_deref().is_some_and(|greatest| key <= greatest) {
            return Verdict::of(find(key).as_ref(), object);
        }
        let greatest = self.greatest.get_or_insert_default();
        greatest.clear();
        greatest.push_str(key);
        while self.live.next_if(|known| known.key.as_str() < key).is_some() {}
        let known = self.live.next_if(|known| known.key == key);
        Verdict::of(known.as_ref(), object)
    }
}

/// Calls `gone` for each key of `live` that `listed` has not, both in rising order.
pub(super) fn each_gone(
    live: impl Iterator<Item = String>,
    listed: impl Iterator<Item = String>,
    mut gone: impl FnMut(String),
) {
    let mut listed = listed.peekable();
    for key in live {
        loop {
            match listed.peek().map(|other| other.as_str().cmp(&key)) {
                Some(Ordering::Less) => drop(listed.next()),
                Some(Ordering::Equal) => break,
                Some(Ordering::Greater) | None => {
                    gone(key);
                    break;
                }
            }
        }
    }
}

/// The most objects of one batch: their fetches are one list in memory each.
const MAX_OBJECTS: usize = 8 << 10;

/// What an object costs a batch beside its bytes: a request takes as long as some KiB.
const OVERHEAD: u64 = 4 << 10;

/// Cuts a run of entries into batches of at most so many bytes.
#[derive(Debug)]
pub(super) struct Batches {
    limit: u64,
    /// What one object holds in memory at most, however long it is.
    most: u64,
    open: Vec<Entry>,
    bytes: u64,
}

impl Batches {
    /// Batches of `limit` bytes, or of one object where that is longer.
    pub(super) fn new(limit: u64, most: u64) -> Self {
        Self { limit, most, open: Vec::new(), bytes: 0 }
    }

    /// Adds an entry; the batch before it, if it is full.
    pub(super) fn push(&mut self, entry: Entry) -> Option<Vec<Entry>> {
        let bytes = entry.object.size.min(self.most) + OVERHEAD;
        let full = self.bytes + bytes > self.limit || self.open.len() >= MAX_OBJECTS;
        let batch = if full { self.take() } else { None };
        self.bytes += bytes;
        self.open.push(entry);
        batch
    }

    /// What is left, in key order, each key once; `None` where there is nothing.
    pub(super) fn take(&mut self) -> Option<Vec<Entry>> {
        self.bytes = 0;
        let mut batch = std::mem::take(&mut self.open);
        // Already so unless the server lists out of order.
        batch.sort_by(|a, b| a.object.key.cmp(&b.object.key));
        batch.dedup_by(|later, earlier| later.object.key == earlier.object.key);
        (!batch.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::bucket::ETag;

    fn object(key: &str, etag: &str) -> Object {
        Object {
            key: key.into(),
            size: 10,
            etag: ETag(etag.into()),
            modified: None,
            archived: false,
        }
    }

    fn known(key: &str, (etag, unread): (u8, bool)) -> Known {
        Known { key: key.into(), etag: etag.to_string(), second: None, unread, archived: false }
    }

    proptest! {
        /// A tiny alphabet, so that keys meet; the listing in any order.
        #[test]
        fn a_join_says_what_a_map_says(
            live in prop::collection::btree_map("[ab/]{1,3}", (0..3_u8, any::<bool>()), 0..12),
            listed in prop::collection::btree_map("[ab/]{1,3}", 0..3_u8, 0..12),
            shuffled in any::<bool>(),
        ) {
            let find = |key: &str| live.get(key).map(|version| known(key, *version));
            let mut join = Join::new(live.iter().map(|(key, version)| known(key, *version)));
            let mut order: Vec<_> = listed.iter().collect();
            if shuffled {
                order.sort_by_key(|(key, _)| key.bytes().rev().collect::<Vec<_>>());
            }
            for (key, etag) in order {
                let expected = match live.get(key) {
                    None => Verdict::New,
                    Some((other, _)) if other != etag => Verdict::Changed,
                    Some((_, true)) => Verdict::Again,
                    Some((_, false)) => Verdict::Held,
                };
                prop_assert_eq!(join.judge(&object(key, &etag.to_string()), find), expected);
            }
            let mut gone = Vec::new();
            each_gone(live.keys().cloned(), listed.keys().cloned(), |key| gone.push(key));
            let expected: Vec<_> =
                live.keys().filter(|key| !listed.contains_key(*key)).cloned().collect();
            prop_assert_eq!(gone, expected);
        }

        #[test]
        fn batches_hold_every_key_once_in_order_and_no_more_than_they_may(
            keys in prop::collection::vec(("[ab]{1,4}", 0..100_000_u64), 0..60),
        ) {
            let mut batches = Batches::new(64 << 10, 32 << 10);
            let mut all = Vec::new();
            for (key, size) in &keys {
                let object = Object { size: *size, ..object(key, "1") };
                let entry = Entry { mount: 0, path: format!("/{key}"), object };
                all.extend(batches.push(entry));
            }
            all.extend(batches.take());
            let mut seen = BTreeMap::new();
            for batch in &all {
                prop_assert!(batch.windows(2).all(|pair| pair[0].object.key < pair[1].object.key));
                let bytes: u64 =
                    batch.iter().map(|e| e.object.size.min(32 << 10) + OVERHEAD).sum();
                prop_assert!(bytes <= 64 << 10 || batch.len() == 1);
                for entry in batch {
                    *seen.entry(entry.object.key.clone()).or_insert(0) += 1;
                }
            }
            let expected: std::collections::BTreeSet<_> =
                keys.iter().map(|(key, _)| key.clone()).collect();
            prop_assert_eq!(seen.keys().cloned().collect::<std::collections::BTreeSet<_>>(), expected);
        }
    }
}
