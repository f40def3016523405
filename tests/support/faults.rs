//! What a server can do wrong, as switches.
//!
//! A fault that is thrown at random proves nothing when it happens not to be thrown. A [`Rule`]
//! says which requests it meets, how many it lets pass before, and how many it hits; a share is
//! drawn from a fixed sequence, so that a failing test fails again. [`Quirk`]s are lasting habits
//! of a server.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{counts::Kind, store::Order};

/// What happens to one request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// An S3 error with a body.
    Error { status: u16, code: &'static str, retry_after: Option<u32> },
    /// A status without a body.
    Empty(u16),
    /// A page for people, as a proxy or a web server in the way gives it.
    Html(u16),
    /// Status 200 and an `<Error>` as the body, as some gateways answer when they are throttled.
    ErrorIn200(&'static str),
    /// `RequestTimeTooSkewed` with the server's clock this many seconds ahead in `Date`.
    ClockSkew(i64),
    /// No answer, ever.
    Hang,
    /// Headers and half of the body, and then nothing, ever.
    Stall,
    /// The connection is reset before any answer.
    Refuse,
    /// The connection is reset after half of the body.
    Reset,
    /// The connection is closed after half of the body; `Content-Length` was honest.
    Truncate,
    /// One byte less than there should be, and `Content-Length` agrees with it.
    ShortBody,
    /// One byte more than there should be, and `Content-Length` agrees with it.
    LongBody,
    /// `Content-Range` names another range than the bytes are of.
    WrongContentRange,
    /// The `ETag` of the answer is another than the listing's, though the bytes are the same.
    WrongETag,
    /// Before the answer the object of the request gets this content.
    Replace(Bytes),
    /// Before the answer the object of the request is deleted.
    Delete,
    /// The request is carried out, and the connection is reset before any answer.
    LoseAnswer,
}

impl Fault {
    /// 503 SlowDown.
    pub(crate) fn slow_down() -> Self {
        Self::Error { status: 503, code: "SlowDown", retry_after: None }
    }
    /// 503 SlowDown with `Retry-After` in seconds.
    pub(crate) fn retry_after(seconds: u32) -> Self {
        Self::Error { status: 503, code: "SlowDown", retry_after: Some(seconds) }
    }
    /// 429 TooManyRequests, as R2 throttles.
    pub(crate) fn too_many() -> Self {
        Self::Error { status: 429, code: "TooManyRequests", retry_after: None }
    }
    /// 500 InternalError.
    pub(crate) fn internal() -> Self {
        Self::Error { status: 500, code: "InternalError", retry_after: None }
    }
    /// 403 with one of the many codes that a 403 can have.
    pub(crate) fn forbidden(code: &'static str) -> Self {
        Self::Error { status: 403, code, retry_after: None }
    }
}

/// A lasting habit of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quirk {
    /// `If-Match` is ignored.
    IgnoreIfMatch,
    /// The conditions of a PUT are ignored, as Garage does.
    IgnorePutConditions,
    /// A PUT with a condition is answered with 501.
    NoPutConditions,
    /// A conditional PUT that meets another is answered with 409 instead of 412.
    ConflictIs409,
    /// `Range` is ignored: always 200 and the whole object.
    IgnoreRange,
    /// The first and the last key of each page are given twice, and a page starts with the last
    /// key of the page before.
    DoubledKeys,
    /// From the second page on, the next token is the token that was sent.
    RepeatedToken,
    /// The first token leads to a second, and the second to the first.
    TokenCycle,
    /// `IsTruncated` is true and no token is named.
    NoToken,
    /// `start-after` is ignored.
    IgnoreStartAfter,
    /// A page from `start-after` on leaves its first three keys out, as R2 once did.
    StartAfterLoses,
    /// Every page is empty and promises another, under a new token.
    EmptyPages,
    /// `encoding-type=url` is ignored and not echoed: keys are given as they are.
    NoUrlEncoding,
    /// Requests need no signature, and a signature is not looked at.
    Open,
}

/// Which requests meet with a fault.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    fault: Fault,
    kind: Option<Kind>,
    key: Option<String>,
    skip: u64,
    times: u64,
    per_mille: u64,
    /// How many requests this rule was asked about.
    met: u64,
    /// Which rule it is, so that two shares are not drawn alike.
    nth: u64,
}

impl Rule {
    /// Every request, for ever.
    pub(crate) fn all(fault: Fault) -> Self {
        Self {
            fault,
            kind: None,
            key: None,
            skip: 0,
            times: u64::MAX,
            per_mille: 1000,
            met: 0,
            nth: 0,
        }
    }
    /// Every list request, for ever.
    pub(crate) fn lists(fault: Fault) -> Self {
        Self { kind: Some(Kind::List), ..Self::all(fault) }
    }
    /// Every get request, for ever.
    pub(crate) fn gets(fault: Fault) -> Self {
        Self { kind: Some(Kind::Get), ..Self::all(fault) }
    }
    /// Every PUT of a whole object, for ever.
    pub(crate) fn puts(fault: Fault) -> Self {
        Self { kind: Some(Kind::Put), ..Self::all(fault) }
    }
    /// Every request of this kind, for ever.
    pub(crate) fn kind(kind: Kind, fault: Fault) -> Self {
        Self { kind: Some(kind), ..Self::all(fault) }
    }
    /// Only requests for this key (for a list: with this prefix).
    pub(crate) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.into());
        self
    }
    /// Lets this many pass first.
    pub(crate) fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }
    /// Hits this many and no more.
    pub(crate) fn times(mut self, requests: u64) -> Self {
        self.times = requests;
        self
    }
    /// Hits this many of a thousand.
    pub(crate) fn per_mille(mut self, share: u64) -> Self {
        self.per_mille = share;
        self
    }

    fn hits(&mut self, kind: Kind, name: &str) -> bool {
        if self.kind.is_some_and(|k| k != kind) || self.key.as_ref().is_some_and(|k| k != name) {
            return false;
        }
        let nth = self.met;
        self.met += 1;
        if nth < self.skip || self.times == 0 {
            return false;
        }
        if xxhash_rust::xxh3::xxh3_64_with_seed(&nth.to_le_bytes(), self.nth) % 1000
            >= self.per_mille
        {
            return false;
        }
        self.times -= 1;
        true
    }
}

/// The switches of one server.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Mutex<Vec<Rule>>,
    quirks: Mutex<Vec<Quirk>>,
    order: Mutex<Order>,
    delay_us: AtomicU64,
    hits: AtomicU64,
}

impl Faults {
    /// Adds a rule; the first that hits a request decides what happens to it.
    pub(crate) fn add(&self, rule: Rule) {
        let mut rules = lock(&self.rules);
        let nth = rules.len() as u64;
        rules.push(Rule { nth, ..rule });
    }

    /// Turns a habit on.
    pub(crate) fn quirk(&self, quirk: Quirk) {
        lock(&self.quirks).push(quirk);
    }

    /// Whether a habit is on.
    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        lock(&self.quirks).contains(&quirk)
    }

    /// Every request waits this long before it is answered.
    pub(crate) fn delay(&self, delay: Duration) {
        self.delay_us.store(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The order of listings.
    pub(crate) fn list_in(&self, order: Order) {
        *lock(&self.order) = order;
    }

    /// How many requests met with a fault.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// All rules, habits, delays and orders off.
    pub(crate) fn clear(&self) {
        lock(&self.rules).clear();
        lock(&self.quirks).clear();
        self.list_in(Order::default());
        self.delay(Duration::ZERO);
    }

    pub(super) fn order(&self) -> Order {
        *lock(&self.order)
    }

    pub(super) fn wait(&self) -> Duration {
        Duration::from_micros(self.delay_us.load(Relaxed))
    }

    pub(super) fn decide(&self, kind: Kind, name: &str) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let fault = rules.iter_mut().find_map(|r| r.hits(kind, name).then(|| r.fault.clone()))?;
        self.hits.fetch_add(1, Relaxed);
        Some(fault)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
