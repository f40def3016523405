//! A listing, frozen: what was there when the clock said so.
//!
//! A map from key to object costs 250 bytes a key and answers no question about directories; a
//! tree of maps costs more and loses the order. [`Snapshot`] keeps the keys sorted and
//! front-coded (each without what it shares with the one before), ETags as 16 bytes where they
//! are MD5s, sizes and times as small numbers: about half the length of the keys alone. A
//! directory is the range of keys that start with its prefix.

mod arena;
mod build;
mod children;
mod codec;
mod milestones;
mod nearest;
mod report;

use std::sync::Arc;

use self::{
    arena::{Arena, Cursor},
    report::Spelling,
};
pub use self::{
    build::SnapshotBuilder,
    children::{Child, Children, Scan},
    report::Report,
};
use crate::bucket::Object;

/// An immutable listing. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    arena: Arena,
    /// Sorted: the keys that are not in NFC.
    spellings: Vec<Spelling>,
    report: Report,
    unaddressable: Vec<String>,
    digest: u128,
    prefix: String,
    listed_at: i64,
}

impl Snapshot {
    fn new(mut inner: Inner) -> Self {
        inner.spellings.shrink_to_fit();
        let mut snapshot = Self(Arc::new(inner));
        let twins = snapshot.count_nfc_twins();
        // Nobody else has it yet.
        if let Some(inner) = Arc::get_mut(&mut snapshot.0) {
            inner.report.nfc_twins = twins;
        }
        snapshot
    }

    /// How many objects it holds.
    pub fn len(&self) -> usize {
        self.0.arena.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was listed: every key of the bucket that starts with this.
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// When it was listed, in milliseconds since the Unix epoch.
    pub fn listed_at(&self) -> i64 {
        self.0.listed_at
    }

    /// The same for the same keys and ETags, however they were listed, and different for others
    /// (by chance, not against someone who searches for a collision).
    pub fn digest(&self) -> u128 {
        self.0.digest
    }

    /// The object with exactly this key.
    pub fn get(&self, key: &str) -> Option<Object> {
        self.find(key)?.object(&self.0.arena)
    }

    /// Whether there is an object with exactly this key.
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn find(&self, key: &str) -> Option<Cursor> {
        let cursor = Cursor::seek(&self.0.arena, |passed| passed < key.as_bytes());
        (cursor.key(&self.0.arena) == Some(key)).then_some(cursor)
    }

    /// The objects whose keys start with `prefix`, in key order, from the first key that is not
    /// before `from`.
    pub fn scan(&self, prefix: &str, from: Option<&str>) -> Scan {
        Scan::new(self, prefix, from)
    }

    /// What the directory with this prefix (empty, or ending in `/`) lists, in byte order.
    /// Nothing where there is no such directory.
    pub fn children(&self, prefix: &str) -> Children {
        Children::new(self, prefix)
    }

    /// Whether any key starts with this prefix, which is empty or ends in `/`. The root is always
    /// there.
    pub fn has_dir(&self, prefix: &str) -> bool {
        prefix.is_empty() || self.scan(prefix, None).key().is_some()
    }

    /// What the listing held.
    pub fn report(&self) -> Report {
        self.0.report
    }

    /// The keys that nothing can name, in percent form: the first thousand of those that the
    /// report counts.
    pub fn unaddressable(&self) -> &[String] {
        &self.0.unaddressable
    }

    /// Bytes of memory it holds.
    pub fn resident_bytes(&self) -> usize {
        size_of::<Inner>()
            + self.0.arena.resident_bytes()
            + self.0.spellings.capacity() * size_of::<Spelling>()
            + self
                .0
                .unaddressable
                .iter()
                .map(|key| key.capacity() + size_of::<String>())
                .sum::<usize>()
            + self.0.prefix.capacity()
    }
}
