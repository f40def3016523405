//! How far a job is, and whether it is to stop.
//!
//! Sending an event for each object to whoever draws a bar ties the pace of the work to that of a
//! terminal. [`Tally`] is a few numbers that the work adds to and a front end reads when it wants.

use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

use tokio::sync::Notify;

/// What was done so far; all counts of this run only.
#[derive(Debug, Default)]
pub struct Tally {
    listed: AtomicU64,
    held: AtomicU64,
    wanted: AtomicU64,
    wanted_bytes: AtomicU64,
    fetched: AtomicU64,
    fetched_bytes: AtomicU64,
    committed: AtomicU64,
    committed_bytes: AtomicU64,
    whole: AtomicBool,
    checked: AtomicU64,
    to_check: AtomicU64,
    merging: AtomicBool,
}

/// A [`Tally`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Objects listed.
    pub listed: u64,
    /// Of these, the ones that the index holds already.
    pub held: u64,
    /// Objects to fetch, as far as listed.
    pub wanted: u64,
    /// Their bytes.
    pub wanted_bytes: u64,
    /// Objects fetched and indexed, committed or not.
    pub fetched: u64,
    /// Their bytes.
    pub fetched_bytes: u64,
    /// Objects in a commit.
    pub committed: u64,
    /// Their bytes.
    pub committed_bytes: u64,
    /// The listing is at its end: the counts of what is wanted are final.
    pub whole: bool,
    /// Bytes of the index that were read against their checksums, before anything else.
    pub checked: u64,
    /// Bytes of it that are to be read so; none before and after that.
    pub to_check: u64,
    /// Everything is fetched; segments are merged.
    pub merging: bool,
}

impl Tally {
    pub(super) fn list(&self, objects: u64) {
        self.listed.fetch_add(objects, Relaxed);
    }
    pub(super) fn hold(&self) {
        self.held.fetch_add(1, Relaxed);
    }
    pub(super) fn want(&self, bytes: u64) {
        self.wanted.fetch_add(1, Relaxed);
        self.wanted_bytes.fetch_add(bytes, Relaxed);
    }
    pub(super) fn fetch(&self, bytes: u64) {
        self.fetched.fetch_add(1, Relaxed);
        self.fetched_bytes.fetch_add(bytes, Relaxed);
    }
    pub(super) fn commit(&self, objects: u64, bytes: u64) {
        self.committed.fetch_add(objects, Relaxed);
        self.committed_bytes.fetch_add(bytes, Relaxed);
    }
    pub(super) fn list_ended(&self) {
        self.whole.store(true, Relaxed);
    }
    pub(super) fn check(&self, bytes: u64, of: u64) {
        self.checked.store(bytes, Relaxed);
        self.to_check.store(of, Relaxed);
    }
    /// Segments are being joined, or no longer.
    pub fn merge(&self, on: bool) {
        self.merging.store(on, Relaxed);
    }

    /// The counts now.
    pub fn now(&self) -> Progress {
        let load = |count: &AtomicU64| count.load(Relaxed);
        Progress {
            listed: load(&self.listed),
            held: load(&self.held),
            wanted: load(&self.wanted),
            wanted_bytes: load(&self.wanted_bytes),
            fetched: load(&self.fetched),
            fetched_bytes: load(&self.fetched_bytes),
            committed: load(&self.committed),
            committed_bytes: load(&self.committed_bytes),
            whole: self.whole.load(Relaxed),
            checked: load(&self.checked),
            to_check: load(&self.to_check),
            merging: self.merging.load(Relaxed),
        }
    }
}

/// Asks a job to commit what it has and end.
#[derive(Debug, Default)]
pub struct Halt {
    asked: AtomicBool,
    told: Notify,
}

impl Halt {
    /// Asks.
    pub fn ask(&self) {
        self.asked.store(true, SeqCst);
        self.told.notify_waiters();
    }

    /// Whether it was asked.
    pub fn asked(&self) -> bool {
        self.asked.load(SeqCst)
    }

    /// Ready once it is asked.
    pub async fn wait(&self) {
        loop {
            let told = self.told.notified();
            // Asked between the look and the wait, it has notified `told` already.
            if self.asked() {
                return;
            }
            told.await;
        }
    }
}
