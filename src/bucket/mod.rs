//! Reads a bucket: lists pages of keys and gets byte ranges. Nothing that reads can write: what
//! writes an index is a type of its own, in `publish`.
//!
//! The obvious client asks HEAD before GET and trusts what a server says about its own pages.
//! On object storage a round trip is the price and servers differ: [`Bucket`] can only list and
//! get, every get is pinned to the ETag of the listing, and [`Pages`] checks what a listing
//! promises before anything is built on it; [`Ranges`] does so for several parts of one at once.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;

use crate::{
    error::Result,
    platform::{BoxFuture, MaybeSend, MaybeSync},
};

#[cfg(any(feature = "s3", feature = "local"))]
mod deadline;
#[cfg(feature = "local")]
pub mod local;
mod pages;
mod permits;
#[cfg(all(feature = "publish", any(feature = "s3", feature = "local")))]
pub mod publish;
mod ranges;
#[cfg(feature = "s3")]
pub mod s3;
mod unopened;

pub use pages::{ListingNotes, Pages};
pub use permits::{Permit, Permits};
pub use ranges::{Milestones, Ranges};
pub use unopened::Unopened;

/// The most bytes one get may ask for: 8 MiB, the part size that S3 clients settled on
/// (mountpoint-s3 `s3_crt_client.rs`); whole objects up to this size cost one request.
pub const MAX_GET: u64 = 8 << 20;

/// The longest key S3 and R2 allow, in bytes.
pub const MAX_KEY: usize = 1024;

/// Where an index lies in a bucket, relative to the location's prefix: a prefix that is kept for
/// it.
pub const RESERVED: &str = ".r2vfs/";

/// What [`Bucket::peek`] may be asked for.
#[cfg(any(feature = "s3", feature = "local"))]
const PEEK_BOUNDS: std::ops::RangeInclusive<u64> = 1..=MAX_GET;

/// What [`Bucket::peek`] says of an object that is longer than `max`.
#[cfg(any(feature = "s3", feature = "local"))]
fn longer(max: u64, size: Option<u64>) -> crate::error::Error {
    let size = size.map_or_else(|| "more".to_owned(), |size| size.to_string());
    let what = format!("the object has {size} bytes where at most {max} are expected");
    crate::error::Error::new(crate::error::Kind::TooLarge, what)
        .hint("it is not what it is taken for: look at what wrote it")
}

/// The version of an object, as the server spells it but without quotes. Opaque.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ETag(pub Box<str>);

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The key relative to the root of the bucket kind (the location's prefix is cut off).
    pub key: String,
    /// Bytes, as stored (before any content decoding).
    pub size: u64,
    /// The version that every get is pinned to.
    pub etag: ETag,
    /// Milliseconds since the Unix epoch, or `None` where the server gives none.
    pub modified: Option<i64>,
    /// The storage class is an archive: it must be restored before it can be read. It may have
    /// been; only a get tells.
    pub archived: bool,
}

impl Object {
    /// A zero-byte object whose key ends in `/`, or is empty (the root's own): it makes a
    /// directory exist and is no file.
    pub fn is_marker(&self) -> bool {
        self.size == 0 && (self.key.is_empty() || self.key.ends_with('/'))
    }
}

/// One request for a page of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Only keys that start with this (relative to the root).
    pub prefix: String,
    /// Fold keys at the next `/` after the prefix into [`ListPage::prefixes`].
    pub one_level: bool,
    /// Only keys that sort after this one. Ignored when `token` is set.
    pub start_after: Option<String>,
    /// The token of the page before.
    pub token: Option<String>,
    /// At most this many keys; the server's own limit (1,000) if `None`.
    pub max_keys: Option<u32>,
}

/// One page of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// In the order the server gave.
    pub objects: Vec<Object>,
    /// With `one_level`: what lies below, each ending in `/`, relative to the root.
    pub prefixes: Vec<String>,
    /// Keys that cannot be read, in percent form: no request can name them (not UTF-8), they have
    /// no ETag, or they are not what was asked for. Never dropped in silence.
    pub unaddressable: Vec<String>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<String>,
    /// The server said that there is more (so a missing `next` is an error, not an end).
    pub truncated: bool,
}

/// One request for bytes.
#[derive(Clone, Debug)]
pub struct GetRequest {
    /// The object as listed: its key, size and ETag pin the answer.
    pub object: Object,
    /// Which bytes; not empty, inside the object, at most [`MAX_GET`] long.
    pub range: Range<u64>,
}

/// The headers of an object that a listing does not carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// `Content-Encoding`, lower case, `identity` and `aws-chunked` removed.
    pub content_encoding: Option<Box<str>>,
    /// `Content-Type` as the server gave it.
    pub content_type: Option<Box<str>>,
}

/// The bytes of one get, whole: exactly as long as the range asked for.
#[derive(Clone, Debug)]
pub struct Got {
    /// The bytes.
    pub bytes: Bytes,
    /// What the response said about the object.
    pub headers: Arc<Headers>,
}

/// What one operation has cost so far. Shared by everything that works for it.
#[derive(Debug, Default)]
pub struct Meter {
    lists: AtomicU64,
    gets: AtomicU64,
    bytes: AtomicU64,
    hits: AtomicU64,
    retries: AtomicU64,
    above: Above,
}

/// Where the counts of a meter are added too.
#[derive(Debug, Default)]
enum Above {
    #[default]
    Nothing,
    Always(Arc<Meter>),
    /// Who pays now; while nobody does, the counts wait in a meter of their own.
    Now(Mutex<Result<Arc<Meter>, Box<Meter>>>),
}

/// What an operation cost.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub struct Cost {
    /// List requests sent, retries included (R2 class A operations).
    pub list_requests: u64,
    /// Get requests sent, retries included (R2 class B operations).
    pub get_requests: u64,
    /// Body bytes received by gets.
    pub bytes_fetched: u64,
    /// Blocks answered by a cache instead of a get.
    pub cache_hits: u64,
    /// Of the requests, those that repeated a failed one.
    pub retries: u64,
}

impl Meter {
    /// A meter whose counts are added to `above` too.
    pub(crate) fn below(above: Arc<Meter>) -> Self {
        Self { above: Above::Always(above), ..Self::default() }
    }

    /// A meter for what several operations go on in: its counts are added to that of the operation
    /// that pays at the time, or that pays next.
    pub(crate) fn handed_on() -> Self {
        Self { above: Above::Now(Mutex::new(Err(Box::default()))), ..Self::default() }
    }

    /// From here on `payer` pays, also for what was counted while nobody did; or nobody.
    pub(crate) fn hand_to(&self, payer: Option<&Arc<Meter>>) {
        let Above::Now(now) = &self.above else { return };
        let next = payer.cloned().ok_or_else(Box::default);
        let before =
            std::mem::replace(&mut *now.lock().unwrap_or_else(PoisonError::into_inner), next);
        let (Err(unpaid), Some(payer)) = (before, payer) else { return };
        payer.add(|meter| &meter.lists, unpaid.lists.load(Relaxed));
        payer.add(|meter| &meter.retries, unpaid.retries.load(Relaxed));
    }

    fn add(&self, counter: impl Fn(&Self) -> &AtomicU64, count: u64) {
        counter(self).fetch_add(count, Relaxed);
        match &self.above {
            Above::Nothing => {}
            Above::Always(above) => above.add(counter, count),
            Above::Now(now) => match &*now.lock().unwrap_or_else(PoisonError::into_inner) {
                Ok(payer) => payer.add(counter, count),
                Err(unpaid) => unpaid.add(counter, count),
            },
        }
    }

    /// One list request is about to be sent.
    pub fn list(&self) {
        self.add(|meter| &meter.lists, 1);
    }
    /// One get request is about to be sent.
    pub fn get(&self) {
        self.add(|meter| &meter.gets, 1);
    }
    /// Body bytes of a get arrived.
    pub fn received(&self, bytes: u64) {
        self.add(|meter| &meter.bytes, bytes);
    }
    /// A cache answered for a block.
    pub fn hit(&self) {
        self.add(|meter| &meter.hits, 1);
    }
    /// The next request repeats a failed one.
    pub fn retry(&self) {
        self.add(|meter| &meter.retries, 1);
    }
    /// What was counted so far.
    pub fn cost(&self) -> Cost {
        Cost {
            list_requests: self.lists.load(Relaxed),
            get_requests: self.gets.load(Relaxed),
            bytes_fetched: self.bytes.load(Relaxed),
            cache_hits: self.hits.load(Relaxed),
            retries: self.retries.load(Relaxed),
        }
    }
}

/// The operation that a request is made for: who pays, and until when it is worth an answer.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Counts every request.
    pub meter: Arc<Meter>,
    /// On the platform's monotonic clock; no request or retry starts after it.
    pub deadline: Option<Duration>,
}

/// A bucket, read-only by construction: it can list and get, and nothing else.
///
/// Both calls take a permit of the shared [`Permits`] for as long as they run, retry what is
/// worth a retry, count each attempt in the call's meter, and answer an error whose kind says
/// what to do. Dropping the future stops the request.
pub trait Bucket: MaybeSend + MaybeSync + std::fmt::Debug {
    /// A name for caches: the same for the same objects, different for others. A digest, never
    /// the endpoint or bucket itself.
    fn id(&self) -> BucketId;

    /// Whether a second reader of the same (key, ETag) may be given the bytes of the first from
    /// a cache on disk. A local directory says no: it is a disk already.
    fn worth_disk_cache(&self) -> bool;

    /// Whether this version may be kept in any cache. A local file modified within the last two
    /// seconds may not: the next write can leave all of its times and its size as they are.
    fn trusts(&self, object: &Object) -> bool;

    /// One page of keys.
    fn list(&self, call: &Call, request: ListRequest) -> BoxFuture<'_, Result<ListPage>>;

    /// The bytes of one range of one version. Fails with [`Kind::Changed`] when the object is
    /// no longer that version, also where the server ignores the condition, and never answers
    /// fewer or other bytes than asked.
    ///
    /// [`Kind::Changed`]: crate::error::Kind::Changed
    fn get(&self, call: &Call, request: GetRequest) -> BoxFuture<'_, Result<Got>>;

    /// A small object that no listing has told of, whole, with the version that it is: one get
    /// (two for an object of no bytes). `None` where there is none. Counts as a get.
    ///
    /// `max` is 1 to [`MAX_GET`]; no more bytes than that are asked for. Fails with
    /// [`Kind::TooLarge`] when the object is longer.
    ///
    /// [`Kind::TooLarge`]: crate::error::Kind::TooLarge
    fn peek(
        &self,
        call: &Call,
        key: &str,
        max: u64,
    ) -> BoxFuture<'_, Result<Option<(Object, Bytes)>>>;
}

/// See [`Bucket::id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketId(pub u128);

impl BucketId {
    /// A digest of the parts that tell one bucket from another.
    pub fn of(parts: &[&str]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(parts.join("\0").as_bytes()))
    }
}

/// 32 hexadecimal digits: the name of what is kept for a bucket.
impl fmt::Display for BucketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A key that nothing can address, for a report: everything but graphic ASCII in percent form, so
/// that it is harmless wherever it is shown.
pub(crate) fn percent(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_graphic() && byte != b'%' {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
