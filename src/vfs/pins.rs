//! Listings that somebody may go on in.
//!
//! A page that lists the bucket again shows another bucket than the page before it, and pays for
//! all that was passed; listing everything before the first page pays for what nobody may ever
//! ask. [`Pins`] keeps the listings that pages were cut from, also those that have not come to
//! their end, for a while. A later page goes on in the one that its cursor names, with the
//! continuation that the server gave; [`Relay`] lets the operation of that page pay for it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::watch;

use super::{Op, Vfs, underway::Listing};
use crate::{
    bucket::{Bucket, BucketId, Call, GetRequest, Got, ListPage, ListRequest, Meter, Object},
    error::{Error, Kind, Result},
    platform::{BoxFuture, Task},
    tree::{Child, Snapshot},
};

/// How long a listing waits for the next page. Who comes later gets a newer one, and is told.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Listings that wait, of each mount; the oldest goes first.
const KEPT: usize = 8;

/// Bytes that the waiting listings of a mount take together, about.
const KEPT_BYTES: usize = 32 << 20;

/// Names one listing of one mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    /// Index of the mount.
    pub(crate) mount: usize,
    /// When the listing began, milliseconds since the Unix epoch.
    pub(crate) listed_at: i64,
    /// Of what was listed: the prefix, and how.
    pub(crate) scope: u32,
}

impl Pin {
    /// A listing of all keys below `prefix`.
    pub(super) fn below(mount: usize, listed_at: i64, prefix: &str) -> Self {
        Self { mount, listed_at, scope: hash(prefix, 0) }
    }

    /// A listing of the directory `prefix` alone.
    pub(super) fn level(mount: usize, listed_at: i64, prefix: &str) -> Self {
        Self { mount, listed_at, scope: hash(prefix, 1) }
    }

    /// Whether both are listings of the same keys.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.mount, self.scope) == (other.mount, other.scope)
    }
}

/// The low half is enough: it tells the few scopes of one query apart.
#[allow(clippy::cast_possible_truncation)]
fn hash(prefix: &str, seed: u64) -> u32 {
    xxhash_rust::xxh3::xxh3_64_with_seed(prefix.as_bytes(), seed) as u32
}

/// A listing that came to its end.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Listing(Arc<Snapshot>),
    /// The entries of one directory.
    Level(String, Arc<[Child]>),
}

/// What a pin holds.
#[derive(Debug)]
pub(super) enum Held {
    Ended(Ended),
    /// A listing that goes on, and what it has listed so far.
    Part(Box<Listing>, Arc<Snapshot>),
}

impl Held {
    fn weight(&self) -> usize {
        match self {
            Self::Ended(Ended::Listing(snapshot)) => snapshot.resident_bytes(),
            Self::Ended(Ended::Level(_, children)) => children.iter().map(Child::weight).sum(),
            Self::Part(listing, so_far) => so_far.resident_bytes() + listing.waiting(),
        }
    }
}

#[derive(Debug)]
struct Waiting {
    pin: Pin,
    since: Duration,
    held: Held,
}

impl Waiting {
    fn is_in_time(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) < KEPT_FOR
    }

    /// Whether `op` may go on in it.
    fn is_for(&self, op: &Op, now: Duration) -> bool {
        self.is_in_time(now) && op.pins().contains(&self.pin)
    }
}

/// The listings of a mount that somebody may go on in.
#[derive(Debug, Default)]
pub(super) struct Pins {
    waiting: Vec<Waiting>,
    /// Ends when all of them have waited too long.
    sweeping: Option<Task<()>>,
}

impl Pins {
    fn put(&mut self, pin: Pin, now: Duration, held: Held) {
        self.sweep(now);
        // It would push out all others, and then itself.
        if held.weight() > KEPT_BYTES {
            return;
        }
        self.waiting.retain(|w| w.pin != pin);
        self.waiting.push(Waiting { pin, since: now, held });
        let mut weight: usize = self.waiting.iter().map(|w| w.held.weight()).sum();
        while self.waiting.len() > KEPT || weight > KEPT_BYTES {
            weight -= self.waiting.remove(0).held.weight();
        }
    }

    fn sweep(&mut self, now: Duration) {
        self.waiting.retain(|w| w.is_in_time(now));
    }

    /// Those that `op` goes on in.
    fn of<'p>(&'p self, op: &'p Op, now: Duration) -> impl Iterator<Item = &'p Waiting> {
        self.waiting.iter().filter(move |w| w.is_for(op, now))
    }
}

impl Vfs {
    /// A whole listing that `op` goes on in and that has all keys below `prefix`.
    pub(super) fn pinned(&self, op: &Op, mount: usize, prefix: &str) -> Option<Arc<Snapshot>> {
        if op.pins().is_empty() {
            return None;
        }
        let now = self.platform().monotonic();
        let listings = self.listings();
        let covers = |snapshot: &&Arc<Snapshot>| prefix.starts_with(snapshot.prefix());
        let waiting = listings.pins(mount).of(op, now).find_map(|w| match &w.held {
            Held::Ended(Ended::Listing(snapshot)) => Some(snapshot).filter(covers),
            _ => None,
        });
        // One that is too large to wait may be the newest still.
        let is_meant = |snapshot: &&Arc<Snapshot>| {
            let pins = op.pins().iter().filter(|pin| pin.mount == mount);
            covers(snapshot) && pins.into_iter().any(|pin| pin.listed_at == snapshot.listed_at())
        };
        waiting.or_else(|| listings.snapshots(mount).find(is_meant)).cloned()
    }

    /// The entries of the directory `prefix`, where `op` goes on in them, and their pin.
    pub(super) fn pinned_level(
        &self,
        op: &Op,
        mount: usize,
        prefix: &str,
    ) -> Option<(Pin, Arc<[Child]>)> {
        let now = self.platform().monotonic();
        let listings = self.listings();
        listings.pins(mount).of(op, now).find_map(|w| match &w.held {
            Held::Ended(Ended::Level(listed, children)) if listed == prefix => {
                Some((w.pin, children.clone()))
            }
            _ => None,
        })
    }

    /// Whether an answer about one directory goes on in a listing of `dir`, or of what lies in it:
    /// then that is a directory, and no file was meant.
    pub(super) fn is_pinned_below(&self, op: &Op, mount: usize, dir: &str) -> bool {
        if !op.is_of_one_dir() {
            return false;
        }
        let now = self.platform().monotonic();
        let listings = self.listings();
        listings.pins(mount).of(op, now).any(|w| match &w.held {
            Held::Part(listing, so_far) => listing.prefix().starts_with(dir) && !so_far.is_empty(),
            Held::Ended(Ended::Level(listed, _)) => listed.starts_with(dir),
            Held::Ended(Ended::Listing(snapshot)) => {
                snapshot.has_dir(dir)
                    || (snapshot.prefix().starts_with(dir) && !snapshot.is_empty())
            }
        })
    }

    /// Takes the listing of all keys below `prefix` that `op` goes on in and that has not ended.
    pub(super) fn take_pinned(
        &self,
        op: &Op,
        mount: usize,
        prefix: &str,
    ) -> Option<(Box<Listing>, Arc<Snapshot>)> {
        let now = self.platform().monotonic();
        let mut listings = self.listings();
        let waiting = &mut listings.pins_mut(mount).waiting;
        let at = waiting.iter().position(|w| {
            w.is_for(op, now)
                && matches!(&w.held, Held::Part(listing, _) if listing.prefix() == prefix)
        })?;
        match waiting.remove(at).held {
            Held::Part(listing, so_far) => Some((listing, so_far)),
            Held::Ended(_) => None,
        }
    }

    pub(super) fn pin(&self, pin: Pin, held: Held) {
        let platform = self.platform();
        let now = platform.monotonic();
        // A tenant may never come back.
        let (tree, clock) = (Arc::downgrade(&self.0), platform.clone());
        let sweeping = platform.spawn(async move {
            clock.sleep(KEPT_FOR).await;
            if let Some(tree) = tree.upgrade().map(Vfs) {
                let now = tree.platform().monotonic();
                tree.listings().pins_mut(pin.mount).sweep(now);
            }
        });
        let mut listings = self.listings();
        let pins = listings.pins_mut(pin.mount);
        pins.put(pin, now, held);
        pins.sweeping = Some(sweeping);
    }
}

/// A bucket whose listings are paid by the operation that goes on in them now. While there is none,
/// what has not come to it yet waits; what is on its way to the server is paid by the next.
#[derive(Debug)]
pub(super) struct Relay {
    /// The bucket as it is without an operation.
    plain: Arc<dyn Bucket>,
    payer: watch::Sender<Option<Payer>>,
    meter: Arc<Meter>,
}

/// The bucket as an operation sees it, and what its requests are made for.
type Payer = (Arc<dyn Bucket>, Call);

impl Relay {
    /// For listings of `plain` that `payer` begins.
    pub(super) fn new(plain: Arc<dyn Bucket>, payer: Payer) -> Self {
        let relay =
            Self { plain, payer: watch::Sender::new(None), meter: Meter::handed_on().into() };
        relay.hand_to(payer);
        relay
    }

    /// From here on `payer` pays.
    pub(super) fn hand_to(&self, (bucket, call): Payer) {
        self.meter.hand_to(Some(&call.meter));
        let call = Call { meter: self.meter.clone(), ..call };
        self.payer.send_replace(Some((bucket, call)));
    }

    /// Nobody pays, and nothing of an operation is held: its bucket knows the tree that keeps this.
    pub(super) fn let_go(&self) {
        self.payer.send_replace(None);
        self.meter.hand_to(None);
    }

    async fn paid(&self) -> Result<Payer> {
        let mut receiver = self.payer.subscribe();
        let payer = receiver.wait_for(Option::is_some).await;
        payer.ok().and_then(|payer| payer.clone()).ok_or_else(|| {
            Error::new(Kind::Cancelled, "the listing was stopped").hint("call again")
        })
    }
}

impl Bucket for Relay {
    fn id(&self) -> BucketId {
        self.plain.id()
    }

    fn worth_disk_cache(&self) -> bool {
        self.plain.worth_disk_cache()
    }

    fn trusts(&self, object: &Object) -> bool {
        self.plain.trusts(object)
    }

    fn list(&self, _: &Call, request: ListRequest) -> BoxFuture<'_, Result<ListPage>> {
        Box::pin(async move {
            let (bucket, call) = self.paid().await?;
            bucket.list(&call, request).await
        })
    }

    fn get(&self, _: &Call, request: GetRequest) -> BoxFuture<'_, Result<Got>> {
        Box::pin(async move {
            let (bucket, call) = self.paid().await?;
            bucket.get(&call, request).await
        })
    }

    fn peek<'a>(
        &'a self,
        _: &Call,
        key: &str,
        max: u64,
    ) -> BoxFuture<'a, Result<Option<(Object, Bytes)>>> {
        let key = key.to_owned();
        Box::pin(async move {
            let (bucket, call) = self.paid().await?;
            bucket.peek(&call, &key, max).await
        })
    }
}
