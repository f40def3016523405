//! Files of an index in memory.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use crate::{
    bundle::cut_short,
    fault::{Fault, FaultKind, Result},
    source::{BoxFuture, FileRef, Source},
};

/// A [`Source`] over bytes, for tests and for an index that was fetched whole. It never waits, and
/// counts what was read: each call of [`Source::read`] is what a bucket would see as one request a
/// range.
#[derive(Debug, Default)]
pub struct Memory {
    files: RwLock<BTreeMap<String, Bytes>>,
    calls: AtomicU64,
    ranges: AtomicU64,
    bytes: AtomicU64,
}

/// What was read from a [`Memory`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Calls of [`Source::read`].
    pub calls: u64,
    /// Ranges in them.
    pub ranges: u64,
    /// Bytes in those.
    pub bytes: u64,
}

impl Memory {
    /// Holding nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file in, in place of one of that name.
    pub fn put(&self, name: &str, bytes: impl Into<Bytes>) {
        let mut files = self.files.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        files.insert(name.to_owned(), bytes.into());
    }

    /// Takes a file away.
    pub fn remove(&self, name: &str) {
        let mut files = self.files.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        files.remove(name);
    }

    /// What was read since it was made.
    pub fn reads(&self) -> Reads {
        Reads {
            calls: self.calls.load(Ordering::Relaxed),
            ranges: self.ranges.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    fn read_now(&self, file: &FileRef, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let files = self.files.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(held) = files.get(&file.name) else {
            let detail = format!("{} of the index is not there", file.name);
            return Err(Fault::new(FaultKind::Missing, detail));
        };
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.ranges.fetch_add(ranges.len() as u64, Ordering::Relaxed);
        let mut read = Vec::with_capacity(ranges.len());
        for range in ranges {
            if range.start > range.end || range.end > held.len() as u64 {
                return Err(cut_short(file));
            }
            self.bytes.fetch_add(range.end - range.start, Ordering::Relaxed);
            read.push(held.slice(range.start as usize..range.end as usize));
        }
        Ok(read)
    }
}

impl Source for Memory {
    fn is_near(&self) -> bool {
        true
    }

    fn read<'a>(
        &'a self,
        file: &'a FileRef,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>>> {
        Box::pin(async move { self.read_now(file, ranges) })
    }
}
