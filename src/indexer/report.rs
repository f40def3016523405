//! What a job did, for whoever ran it.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use serde::Serialize;

use crate::{bucket::Cost, error::Error};

/// How many objects that could not be read are named; the rest is counted.
const NAMED: usize = 100;

/// What a job did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Objects of the listing, markers left out; those that were looked at, with a list of changes.
    pub listed: u64,
    /// Of these, the ones that the index held already.
    pub unchanged: u64,
    /// Objects that were new.
    pub new: u64,
    /// Objects that the index held in another version.
    pub changed: u64,
    /// Objects that an earlier run could not read, tried again.
    pub again: u64,
    /// Documents dropped, because their objects are gone.
    pub gone: u64,
    /// Objects fetched and committed.
    pub committed: u64,
    /// Their bytes, as stored.
    pub committed_bytes: u64,
    /// Objects in an archive: known, but not read.
    pub archived: u64,
    /// Objects that were another version when they were read than when they were listed.
    pub moved: u64,
    /// How many objects could not be read. A search looks at them in the bucket.
    pub unreadable: u64,
    /// The first of them.
    pub unread: Vec<Unread>,
    /// Segments of the index at the end.
    pub segments: u64,
    /// Bytes of its files.
    pub index_bytes: u64,
    /// Bytes of the text that it covers.
    pub text_bytes: u64,
    /// It was asked to stop before it was done: the same command goes on.
    pub interrupted: bool,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Milliseconds from start to end.
    pub elapsed_ms: u64,
    /// What it cost.
    pub cost: Cost,
}

/// An object that could not be read.
#[derive(Clone, Debug, Serialize)]
pub struct Unread {
    /// Its path.
    pub path: String,
    /// Why.
    pub why: String,
}

/// What builders find out, side by side.
#[derive(Debug, Default)]
pub(super) struct Findings {
    archived: AtomicU64,
    moved: AtomicU64,
    /// Gets that failed since one that did not.
    in_a_row: AtomicU64,
    unreadable: AtomicU64,
    unread: Mutex<Vec<Unread>>,
}

impl Findings {
    pub(super) fn archived(&self) {
        self.archived.fetch_add(1, Relaxed);
    }

    pub(super) fn moved(&self) {
        self.moved.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self) {
        self.in_a_row.store(0, Relaxed);
    }

    /// One more that cannot be read.
    pub(super) fn unread(&self, path: &str, error: &Error) {
        self.unreadable.fetch_add(1, Relaxed);
        let mut unread = self.lock();
        if unread.len() < NAMED {
            unread.push(Unread { path: path.to_owned(), why: error.message().to_owned() });
        }
    }

    /// One more get has failed; how many that makes since the last that did not.
    pub(super) fn failed(&self) -> u64 {
        self.in_a_row.fetch_add(1, Relaxed) + 1
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Unread>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what was found to `report`.
    pub(super) fn tell(&self, report: &mut Report) {
        report.archived = self.archived.load(Relaxed);
        report.moved = self.moved.load(Relaxed);
        report.unreadable = self.unreadable.load(Relaxed);
        report.unread = self.lock().clone();
        report.unread.sort_by(|a, b| a.path.cmp(&b.path));
    }
}
