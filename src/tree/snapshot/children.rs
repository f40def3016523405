//! Walks a snapshot: all keys below a prefix, or one level of them.
//!
//! One level cannot be had by reading every key of it: `docs/` may hold a million keys and three
//! names. [`Children`] reads the first key of a child directory and then skips the rest of it by
//! binary search. In byte order `a/` comes after `a-` and `a.b`, not where the name `a` would
//! sort; nothing here sorts anew.

use std::sync::Arc;

use super::{Inner, Snapshot, arena::Cursor};
use crate::bucket::Object;

/// The objects whose keys start with a prefix, in key order. Holds the snapshot, so it may be
/// kept for as long as it takes.
#[derive(Clone, Debug)]
pub struct Scan {
    inner: Arc<Inner>,
    cursor: Cursor,
    prefix: String,
}

impl Scan {
    pub(super) fn new(snapshot: &Snapshot, prefix: &str, from: Option<&str>) -> Self {
        let inner = Arc::clone(&snapshot.0);
        let start = prefix.max(from.unwrap_or_default()).as_bytes();
        let cursor = Cursor::seek(&inner.arena, |key| key < start);
        Self { inner, cursor, prefix: prefix.to_owned() }
    }

    /// The key of the object that comes next: to look at before paying for the object.
    pub fn key(&self) -> Option<&str> {
        self.cursor.key(&self.inner.arena).filter(|key| key.starts_with(&self.prefix))
    }

    /// Its size in bytes.
    pub fn size(&self) -> Option<u64> {
        self.key().map(|_| self.cursor.size())
    }

    /// Passes over the object that comes next.
    pub fn pass(&mut self) {
        self.cursor.step(&self.inner.arena);
    }

    /// Passes over all keys that start with `prefix`, from here on.
    pub fn pass_prefix(&mut self, prefix: &str) {
        let prefix = prefix.as_bytes();
        self.cursor.skip(&self.inner.arena, |key| key < prefix || key.starts_with(prefix));
    }

    /// Passes over all keys that sort before `key`.
    pub fn skip_to(&mut self, key: &str) {
        self.cursor.skip(&self.inner.arena, |passed| passed < key.as_bytes());
    }
}

impl Iterator for Scan {
    type Item = Object;

    fn next(&mut self) -> Option<Object> {
        self.key()?;
        let object = self.cursor.object(&self.inner.arena);
        self.pass();
        object
    }
}

/// What a directory lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Child {
    /// An object; its key ends in `/` where it is the directory's own marker and has content.
    File(Object),
    /// A directory by its prefix, which ends in `/`.
    Dir(String),
}

impl Child {
    /// The key or prefix, by which children are ordered.
    pub fn key(&self) -> &str {
        match self {
            Self::File(object) => &object.key,
            Self::Dir(prefix) => prefix,
        }
    }

    /// Bytes that it takes, about.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::File(object) => object.key.len() + object.etag.0.len(),
                Self::Dir(prefix) => prefix.len(),
            }
    }
}

/// The children of one directory, in byte order of [`Child::key`].
#[derive(Clone, Debug)]
pub struct Children {
    scan: Scan,
}

impl Children {
    pub(super) fn new(snapshot: &Snapshot, prefix: &str) -> Self {
        Self { scan: Scan::new(snapshot, prefix, None) }
    }

    /// From the first child whose key or prefix is not before `from`, which has no `/` behind the
    /// directory's prefix.
    pub(super) fn starting(snapshot: &Snapshot, prefix: &str, from: &str) -> Self {
        Self { scan: Scan::new(snapshot, prefix, Some(from)) }
    }
}

impl Iterator for Children {
    type Item = Child;

    fn next(&mut self) -> Option<Child> {
        loop {
            let depth = self.scan.prefix.len();
            let key = self.scan.key()?;
            match key[depth..].find('/') {
                Some(end) => {
                    let dir = key[..=depth + end].to_owned();
                    self.scan.pass_prefix(&dir);
                    return Some(Child::Dir(dir));
                }
                None if key.len() == depth && self.scan.size() == Some(0) => self.scan.pass(),
                None => return self.scan.next().map(Child::File),
            }
        }
    }
}
