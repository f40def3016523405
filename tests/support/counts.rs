//! What a server was asked, exactly.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::SeqCst},
};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    List,
    Get,
    Head,
    Put,
    /// A part of a multipart upload.
    Part,
    /// Begins or completes a multipart upload.
    Upload,
    /// Gives a multipart upload up.
    Abort,
    Delete,
    Other,
}

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    /// The key of an object; the prefix of a listing.
    pub(crate) name: String,
    /// The `Range` header.
    pub(crate) range: Option<String>,
    /// The `If-Match` header.
    pub(crate) if_match: Option<String>,
    /// The key that a listing starts after.
    pub(crate) start_after: Option<String>,
}

/// Totals since the start or the last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) lists: u64,
    pub(crate) gets: u64,
    pub(crate) heads: u64,
    pub(crate) puts: u64,
    /// Parts of multipart uploads.
    pub(crate) parts: u64,
    /// Multipart uploads begun or completed.
    pub(crate) uploads: u64,
    pub(crate) aborts: u64,
    pub(crate) deletes: u64,
    pub(crate) others: u64,
    /// Body bytes of gets handed to the connection.
    pub(crate) bytes: u64,
    /// The most requests that were under way at once.
    pub(crate) most_at_once: u64,
    /// Requests under way now.
    pub(crate) running: u64,
    /// Answers that nobody waited for to the end.
    pub(crate) abandoned: u64,
    /// TCP connections accepted.
    pub(crate) connections: u64,
    /// Gets that began while no other was under way: where each waits for those before it, the
    /// round trips one after another.
    pub(crate) get_rounds: u64,
}

/// The log is for tests, which are small; a benchmark must not fill the memory with it.
const LOG: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct Counts {
    lists: AtomicU64,
    gets: AtomicU64,
    heads: AtomicU64,
    puts: AtomicU64,
    parts: AtomicU64,
    uploads: AtomicU64,
    aborts: AtomicU64,
    deletes: AtomicU64,
    others: AtomicU64,
    bytes: AtomicU64,
    most: AtomicU64,
    running: AtomicU64,
    abandoned: AtomicU64,
    connections: AtomicU64,
    get_rounds: AtomicU64,
    running_gets: AtomicU64,
    log: Mutex<Vec<Asked>>,
}

impl Counts {
    fn slot(&self, kind: Kind) -> &AtomicU64 {
        match kind {
            Kind::List => &self.lists,
            Kind::Get => &self.gets,
            Kind::Head => &self.heads,
            Kind::Put => &self.puts,
            Kind::Part => &self.parts,
            Kind::Upload => &self.uploads,
            Kind::Abort => &self.aborts,
            Kind::Delete => &self.deletes,
            Kind::Other => &self.others,
        }
    }

    pub(super) fn begin(self: &Arc<Self>, asked: Asked) -> Running {
        let kind = asked.kind;
        self.slot(kind).fetch_add(1, SeqCst);
        if kind == Kind::Get && self.running_gets.fetch_add(1, SeqCst) == 0 {
            self.get_rounds.fetch_add(1, SeqCst);
        }
        let running = self.running.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(running, SeqCst);
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() < LOG {
            log.push(asked);
        }
        Running { counts: self.clone(), kind, done: false }
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, SeqCst);
    }

    /// The totals now.
    pub(crate) fn totals(&self) -> Totals {
        let load = |slot: &AtomicU64| slot.load(SeqCst);
        Totals {
            lists: load(&self.lists),
            gets: load(&self.gets),
            heads: load(&self.heads),
            puts: load(&self.puts),
            parts: load(&self.parts),
            uploads: load(&self.uploads),
            aborts: load(&self.aborts),
            deletes: load(&self.deletes),
            others: load(&self.others),
            bytes: load(&self.bytes),
            most_at_once: load(&self.most),
            running: load(&self.running),
            abandoned: load(&self.abandoned),
            connections: load(&self.connections),
            get_rounds: load(&self.get_rounds),
        }
    }

    /// The first 100,000 requests, in the order of their arrival.
    pub(crate) fn log(&self) -> Vec<Asked> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything back to zero, but for what is under way.
    pub(crate) fn reset(&self) {
        for slot in [&self.lists, &self.gets, &self.heads, &self.puts, &self.parts, &self.uploads] {
            slot.store(0, SeqCst);
        }
        for slot in [&self.aborts, &self.deletes, &self.others] {
            slot.store(0, SeqCst);
        }
        for slot in [&self.bytes, &self.abandoned, &self.connections, &self.get_rounds] {
            slot.store(0, SeqCst);
        }
        self.most.store(self.running.load(SeqCst), SeqCst);
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// One request under way: over when dropped, abandoned when dropped before it was [`done`].
///
/// [`done`]: Self::done
#[derive(Debug)]
pub(super) struct Running {
    counts: Arc<Counts>,
    kind: Kind,
    done: bool,
}

impl Running {
    pub(super) fn sent(&self, bytes: usize) {
        if self.kind == Kind::Get {
            self.counts.bytes.fetch_add(bytes as u64, SeqCst);
        }
    }

    pub(super) fn done(&mut self) {
        self.done = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.counts.running.fetch_sub(1, SeqCst);
        if self.kind == Kind::Get {
            self.counts.running_gets.fetch_sub(1, SeqCst);
        }
        if !self.done {
            self.counts.abandoned.fetch_add(1, SeqCst);
        }
    }
}
