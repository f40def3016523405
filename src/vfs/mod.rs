//! Joins buckets, trees and the cache into one file tree that is live.
//!
//! The obvious way copies a listing once and answers from it until somebody asks for a refresh;
//! that is how rivals came to hide new keys. [`Vfs`] answers every operation from a listing that
//! is as fresh as [`Freshness`] asks for, shares it with whoever asks in that time, and pins
//! every read to the version that the listing named.
//!
//! - [`Op`]: one operation: who pays, since when, until when
//! - [`Target`]: what a path means ([`Vfs::resolve`])
//! - [`Walk`]: the files under some prefixes, in path order, while they are still being listed
//! - [`Content`]: the bytes of one version, by ranges, decoded
//! - [`LineWindow`]: some lines of an object, without reading it from its start each time

mod account;
mod content;
mod decode;
mod haystack;
#[cfg_attr(not(feature = "index"), path = "no_index.rs")]
mod index;
mod lines;
mod listing;
mod marks;
mod paging;
mod pins;
mod purse;
mod scopes;
mod stat;
mod underway;
mod unused;
#[cfg(feature = "index")]
mod veil;
mod walk;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

pub use account::Account;
pub(crate) use content::STEP;
pub use content::{ByteStream, Content};
pub use decode::{Compression, MAX_DECODED};
pub use haystack::Haystack;
#[cfg(feature = "build")]
pub(crate) use haystack::from_io;
pub use index::IndexOptions;
#[cfg(feature = "index")]
pub(crate) use index::{IndexView, ends_the_operation};
pub use lines::{Line, LineWindow, WindowRequest};
pub use listing::Target;
pub(crate) use paging::Pinned;
pub(crate) use pins::Pin;
pub use stat::{Level, ListedEntry, Stat};
pub(crate) use unused::Unused;
pub use walk::{Scope, Walk};

use self::{index::Indexes, listing::Listings, marks::Marks, paging::Paging};
use crate::{
    bucket::{Bucket, Call, Meter, Object},
    cache::Cache,
    error::{Error, Kind, Result},
    platform::Platform,
    tree::MountTable,
};

/// How old a listing may be when an operation answers from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Each operation lists anew. The default: the answer is what the bucket holds now.
    Strict,
    /// A listing that began at most this long before the operation will do.
    Bounded(Duration),
    /// Any listing taken before will do; one is taken only where there is none.
    Snapshot,
}

/// A bucket at a place in the tree.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Canonical directory path: `/`, or `/kb`.
    pub point: String,
    /// Where its objects come from.
    pub bucket: Arc<dyn Bucket>,
}

/// Notes of one operation.
const NOTES: usize = 32;

/// One operation of a caller: its cost, its start and its deadline. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Op {
    /// Handed to every request.
    pub call: Call,
    /// On the platform's monotonic clock. A listing begun later is live for this operation.
    pub started: Duration,
    /// Work stops when it would cost more.
    pub budget: Budget,
    /// What it shares a budget with, beside its own.
    account: Option<Arc<Account>>,
    /// When the oldest listing used so far of each mount began: milliseconds since the Unix epoch.
    listed: Arc<Mutex<BTreeMap<usize, i64>>>,
    /// See [`Op::order_broke`].
    order_broke: Arc<AtomicBool>,
    /// Requests that were allowed, sent or not: many wait for a permit before they count as cost.
    allowed: Arc<AtomicU64>,
    /// Files of a published index that listings left out, by mount: one may be in several.
    reserved: Arc<Mutex<HashSet<(usize, String)>>>,
    /// What whoever asked should know; each text once.
    notes: Arc<Mutex<Vec<String>>>,
    /// See [`Op::unused`].
    unused: Arc<Mutex<Vec<Unused>>>,
    /// `None` for what has no pages.
    pages: Option<Arc<Paging>>,
}

/// What an operation may cost. Requests under way when it is reached are finished, so it can be
/// overrun by as many as run side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// From the start of the operation.
    pub time: Option<Duration>,
    /// List and get requests together.
    pub requests: Option<u64>,
    /// Body bytes fetched.
    pub bytes: Option<u64>,
}

impl Op {
    /// The same operation, not begun yet, paid from `account` too.
    pub(crate) fn paid_from(mut self, account: Arc<Account>) -> Self {
        self.call.meter = Arc::new(Meter::below(Arc::clone(account.meter())));
        self.account = Some(account);
        self
    }

    /// When the oldest listing that the operation used began: milliseconds since the Unix epoch.
    pub fn as_of(&self) -> Option<i64> {
        self.listings().into_iter().map(|(_, as_of)| as_of).min()
    }

    /// The same of each mount that was listed, by its number.
    pub(crate) fn listings(&self) -> Vec<(usize, i64)> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.iter().map(|(mount, as_of)| (*mount, *as_of)).collect()
    }

    /// A listing of `mount` that began at `listed_at` is used.
    fn lists(&self, mount: usize, listed_at: i64) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = listed.entry(mount).or_insert(listed_at);
        *oldest = listed_at.min(*oldest);
    }

    /// Whether a listing was seen to leave byte order after its first page: what was handed out
    /// until then is no beginning of the sorted whole, so that no cursor can continue it.
    pub(crate) fn order_broke(&self) -> bool {
        self.order_broke.load(Relaxed)
    }

    fn break_order(&self) {
        self.order_broke.store(true, Relaxed);
    }

    /// Leaves a note for the answer, [`NOTES`] at most.
    pub(crate) fn note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NOTES && !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// The notes so far. They stay, for an operation may close more than one answer.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        notes.extend(self.unused().iter().map(Unused::note));
        notes
    }

    /// How many files of published indexes the listings left out.
    pub(crate) fn reserved(&self) -> u64 {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// What of an index could not be used so far. It is among the notes.
    pub(crate) fn unused(&self) -> Vec<Unused> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An index, or some of it, cannot be used.
    #[cfg(feature = "index")]
    pub(crate) fn does_without(&self, unused: Unused) {
        unused.add_to(&mut self.unused.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A listing of `mount` left these files of a published index out.
    #[cfg(feature = "index")]
    fn reserves(&self, mount: usize, files: impl Iterator<Item = String>) {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.extend(files.map(|key| (mount, key)));
    }

    /// Fails once the deadline has passed.
    fn check_time(&self, platform: &Platform) -> Result<()> {
        match self.call.deadline {
            Some(deadline) if platform.monotonic() >= deadline => {
                Err(Error::new(Kind::Deadline, "the time for this operation is over")
                    .hint("narrow the path or the glob, or allow more time"))
            }
            _ => Ok(()),
        }
    }

    /// Allows one more request that brings at most so many bytes, or fails once the budget is
    /// spent: to be asked for each one, and not for work that costs none. What comes back is to
    /// be kept until the request has ended.
    fn allow_request(&self, bytes: u64) -> Result<Option<account::Ticket>> {
        let cost = self.call.meter.cost();
        // Retries are sent without asking.
        let sent = cost.list_requests + cost.get_requests;
        let requests = sent.max(self.allowed.fetch_add(1, Relaxed));
        let spent = match (self.budget.requests, self.budget.bytes) {
            (Some(most), _) if requests >= most => format!("the budget of {most} requests"),
            (_, Some(most)) if cost.bytes_fetched >= most => {
                format!("the budget of {most} bytes")
            }
            _ => return self.account.as_ref().map(|account| account.allow(bytes)).transpose(),
        };
        Err(Error::new(Kind::Budget, format!("{spent} is spent"))
            .hint("narrow the path or the glob, or allow more"))
    }
}

/// One object at its place in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Index of the mount it belongs to.
    pub mount: usize,
    /// Its canonical file path, mount point included.
    pub path: String,
    /// The object as listed.
    pub object: Object,
}

/// The tree. Cheap to clone; clones share listings and the cache.
#[derive(Clone, Debug)]
pub struct Vfs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    mounts: Vec<Mount>,
    table: MountTable,
    cache: Cache,
    platform: Platform,
    freshness: Freshness,
    indexes: Indexes,
    listings: Mutex<Listings>,
    marks: Mutex<Marks>,
}

impl Vfs {
    /// Joins `mounts` into one tree.
    ///
    /// # Errors
    /// [`Kind::Config`] when a mount point is malformed, doubled, or inside another.
    pub fn new(
        mut mounts: Vec<Mount>,
        cache: Cache,
        platform: Platform,
        freshness: Freshness,
        index: &IndexOptions,
    ) -> Result<Self> {
        // Numbered in the order of their paths, a walk that goes by number goes by path.
        let place = |mount: &Mount| format!("{}/", mount.point.trim_end_matches('/'));
        mounts.sort_by_cached_key(place);
        let table = MountTable::new(mounts.iter().map(|m| m.point.clone()).collect())?;
        let listings = Mutex::new(Listings::new(mounts.len()));
        let indexes = Indexes::new(index, &mounts);
        Ok(Self(Arc::new(Inner {
            mounts,
            table,
            cache,
            platform,
            freshness,
            indexes,
            listings,
            marks: Mutex::new(Marks::new()),
        })))
    }

    /// Starts an operation that may cost `budget`.
    pub fn op(&self, budget: Budget) -> Op {
        let started = self.0.platform.monotonic();
        Op {
            call: Call {
                meter: Arc::new(Meter::default()),
                deadline: budget.time.map(|time| started + time),
            },
            started,
            budget,
            account: None,
            listed: Arc::default(),
            order_broke: Arc::default(),
            allowed: Arc::default(),
            reserved: Arc::default(),
            notes: Arc::default(),
            unused: Arc::default(),
            pages: None,
        }
    }

    /// The platform this tree runs on.
    pub fn platform(&self) -> &Platform {
        &self.0.platform
    }

    /// The cache that this tree reads through.
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// Whether the version of `entry` names its content for good; see [`Bucket::trusts`].
    #[cfg(feature = "build")]
    pub(crate) fn trusts(&self, entry: &Entry) -> bool {
        self.bucket(entry.mount).trusts(&entry.object)
    }

    /// Whether each read from `mount` is a round trip.
    #[cfg(feature = "index")]
    pub(crate) fn is_far(&self, mount: usize) -> bool {
        self.bucket(mount).worth_disk_cache()
    }

    fn bucket(&self, mount: usize) -> &Arc<dyn Bucket> {
        &self.0.mounts[mount].bucket
    }

    pub(crate) fn entry(&self, mount: usize, object: Object) -> Entry {
        let path = self.0.table.join(mount, &crate::tree::encode(&object.key));
        Entry { mount, path, object }
    }

    fn listings(&self) -> MutexGuard<'_, Listings> {
        // The guarded values are replaced whole, so a panic elsewhere leaves them sound.
        self.0.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `unix milliseconds` of the wall clock.
    fn now_ms(&self) -> i64 {
        i64::try_from(self.0.platform.wall_clock().as_millis()).unwrap_or(i64::MAX)
    }
}
