//! The files below some prefixes, in path order, handed out while they are still being listed.
//!
//! Listing first and working then wastes the wait: a million keys are a thousand pages in a row.
//! Trusting that pages come in order breaks on servers that sort by path segment. [`Walk`] hands
//! each page on at once while the order holds; the page that breaks it, and all that follow, are
//! collected, sorted and handed out last, and the walk says so.
//!
//! Where an earlier listing is known, however old, the pages come from several ranges at once.

use std::{collections::VecDeque, ops::Bound, sync::Arc};

use super::{
    Entry, Op, Vfs,
    pins::{Ended, Held, Pin},
    stat::lost_note,
    underway::{Fetched, Listing},
};
use crate::{
    bucket::{ListingNotes, Milestones, Object},
    error::{Error, Kind, Result},
    tree::{Snapshot, SnapshotBuilder},
};

/// Entries in one batch taken from a snapshot.
const BATCH: usize = 512;

/// Where a walk goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Index of the mount.
    pub mount: usize,
    /// Only keys that start with this; any string, not only a directory.
    pub prefix: String,
    /// Only keys after this one (a cursor), or from it on.
    pub from: Option<Bound<String>>,
}

/// The files of some scopes, in the order mount path, then raw key bytes.
#[derive(Debug)]
pub struct Walk {
    vfs: Vfs,
    op: Op,
    scopes: VecDeque<Scope>,
    current: Option<Current>,
    listed: u64,
    notes: Vec<String>,
    snapshots: Vec<Arc<Snapshot>>,
    last: Option<Arc<Snapshot>>,
    place: String,
    /// Scopes that were handed out to their end.
    ended: u64,
    in_a_row: bool,
}

#[derive(Debug)]
enum Current {
    Listing(Box<Listing>),
    Kept {
        mount: usize,
        snapshot: Arc<Snapshot>,
        scope: Scope,
        skip: Option<Arc<Snapshot>>,
        /// What goes on where the snapshot ends.
        then: Option<Box<Listing>>,
    },
}

impl Vfs {
    /// Walks `scopes`, which are put in order and freed of overlaps first.
    pub fn walk(&self, op: &Op, mut scopes: Vec<Scope>) -> Walk {
        scopes.sort_by(|a, b| (a.mount, &a.prefix).cmp(&(b.mount, &b.prefix)));
        scopes.dedup_by(|later, earlier| {
            later.mount == earlier.mount && later.prefix.starts_with(&earlier.prefix)
        });
        Walk {
            vfs: self.clone(),
            op: op.clone(),
            scopes: scopes.into(),
            current: None,
            listed: 0,
            notes: Vec::new(),
            snapshots: Vec::new(),
            last: None,
            place: "/".to_owned(),
            ended: 0,
            in_a_row: false,
        }
    }

    /// Every scope of the tree: all keys of all mounts.
    pub fn everything(&self) -> Vec<Scope> {
        (0..self.0.mounts.len()).map(|mount| Scope::new(mount, "")).collect()
    }
}

impl Scope {
    /// All keys of `mount` that start with `prefix`.
    pub fn new(mount: usize, prefix: impl Into<String>) -> Self {
        Self { mount, prefix: prefix.into(), from: None }
    }

    pub(crate) fn admits(&self, key: &str) -> bool {
        match &self.from {
            None | Some(Bound::Unbounded) => true,
            Some(Bound::Included(from)) => key >= from.as_str(),
            Some(Bound::Excluded(from)) => key > from.as_str(),
        }
    }

    /// The least key that may be admitted.
    fn first(&self) -> Option<&str> {
        match &self.from {
            Some(Bound::Included(from) | Bound::Excluded(from)) => Some(from),
            _ => None,
        }
    }
}

impl Walk {
    /// Lists one page after another, for a reader who wants no more than the first few: ranges
    /// fetch what lies far behind them.
    pub fn in_a_row(mut self) -> Self {
        self.in_a_row = true;
        self
    }

    /// The next batch, never empty, or `None` at the end. To be awaited to its end: dropped half
    /// way it loses the page under way and with it the rest of its scope.
    ///
    /// # Errors
    /// What a listing fails with. The walk may be asked again: it goes on with the next scope,
    /// so that a failing mount does not hide the others.
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>> {
        loop {
            self.op.check_time(self.vfs.platform())?;
            match self.current.take() {
                None => {
                    let Some(scope) = self.scopes.pop_front() else {
                        return Ok(None);
                    };
                    let learned = self.vfs.learn_listing(&self.op, scope.mount, &scope.prefix);
                    Box::pin(learned).await;
                    self.current = Some(self.start(scope));
                }
                Some(Current::Kept { mount, snapshot, scope, skip, then }) => {
                    if let Some(batch) = self.take_kept(mount, snapshot, scope, skip, then) {
                        return Ok(Some(batch));
                    }
                    self.ended += u64::from(self.current.is_none());
                }
                Some(Current::Listing(listing)) => {
                    // Dropped while it waits, the walk has the listing still.
                    let waiting = self.current.insert(Current::Listing(listing));
                    let Current::Listing(listing) = waiting else { continue };
                    let fetched = listing.fetched(&self.vfs).await;
                    let Some(Current::Listing(listing)) = self.current.take() else { continue };
                    if let Some(batch) = self.take_page(listing, fetched)? {
                        return Ok(Some(batch));
                    }
                    self.ended += u64::from(self.current.is_none());
                }
            }
        }
    }

    fn start(&mut self, scope: Scope) -> Current {
        self.place = self.vfs.dir_path(scope.mount, "");
        let vfs = self.vfs.clone();
        let mount = scope.mount;
        // What the page before was cut from goes before what is newer.
        if vfs.pinned(&self.op, mount, &scope.prefix).is_none()
            && let Some((mut listing, snapshot)) = vfs.take_pinned(&self.op, mount, &scope.prefix)
        {
            listing.resume(&vfs, &self.op);
            return Current::Kept { mount, snapshot, scope, skip: None, then: Some(listing) };
        }
        if let Some(snapshot) = vfs.fresh(&self.op, mount, &scope.prefix) {
            self.used(snapshot.clone());
            let pin = Pin::below(mount, snapshot.listed_at(), &scope.prefix);
            self.op.pins_to(pin, &scope.prefix, Some(Ended::Listing(snapshot.clone())));
            return Current::Kept { mount, snapshot, scope, skip: None, then: None };
        }
        let split = vfs.milestones(mount, &scope.prefix);
        let split = split.filter(|m| !self.in_a_row && affordable(&self.op, m));
        Current::Listing(Box::new(Listing::begin(&vfs, &self.op, scope, split)))
    }

    fn take_kept(
        &mut self,
        mount: usize,
        snapshot: Arc<Snapshot>,
        mut scope: Scope,
        skip: Option<Arc<Snapshot>>,
        then: Option<Box<Listing>>,
    ) -> Option<Vec<Entry>> {
        let mut batch = Vec::new();
        let mut last = None;
        for object in snapshot.scan(&scope.prefix, scope.first()) {
            if batch.len() == BATCH {
                break;
            }
            // The key that the last batch ended with begins this scan: it is no progress.
            if !scope.admits(&object.key) {
                continue;
            }
            last = Some(object.key.clone());
            if skip.as_ref().is_some_and(|skip| skip.get(&object.key).is_some()) {
                continue;
            }
            batch.push(self.vfs.entry(mount, object));
        }
        let Some(last) = last else {
            let mut listing = then?;
            listing.builder.absorb(&snapshot);
            listing.scope = scope;
            self.current = Some(Current::Listing(listing));
            return None;
        };
        scope.from = Some(Bound::Excluded(last));
        self.listed += batch.len() as u64;
        self.current = Some(Current::Kept { mount, snapshot, scope, skip, then });
        // An empty batch that still advanced is not the end: let the loop come round again.
        (!batch.is_empty()).then_some(batch)
    }

    fn take_page(
        &mut self,
        mut listing: Box<Listing>,
        fetched: Option<Fetched>,
    ) -> Result<Option<Vec<Entry>>> {
        let borrowed = listing.borrowed;
        let (source, page) = match fetched {
            // It was asked for by an operation that could not pay: this one has not tried.
            Some((source, Err(error))) if borrowed && source.may_be_asked_again(&error) => {
                listing.borrowed = false;
                listing.leave_unpaid(source);
                self.current = Some(Current::Listing(listing));
                return Ok(None);
            }
            None | Some((_, Err(_))) if borrowed => {
                let Listing { mut scope, last, collecting, .. } = *listing;
                // What was collected has not been handed out.
                if !collecting && scope.first() < last.as_deref() {
                    scope.from = last.map(Bound::Excluded);
                }
                self.current = Some(self.start(scope));
                return Ok(None);
            }
            None => return Err(Error::new(Kind::Cancelled, "the listing was stopped")),
            Some(fetched) => fetched,
        };
        listing.borrowed &= source.is_ahead();
        let page = match page {
            Ok(Some(page)) => page,
            Ok(None) => {
                self.notes.extend_from_slice(source.remarks());
                self.finish(*listing, source.notes());
                return Ok(None);
            }
            Err(error) => {
                if self.op.is_paged() && source.may_be_asked_again(&error) {
                    listing.leave_unpaid(source);
                    self.current = Some(Current::Listing(listing));
                }
                return Err(error);
            }
        };
        if source.restarted() && !listing.restarted {
            listing.restarted = true;
            self.break_order(&mut listing);
        }
        listing.fetch_ahead(&self.vfs, source);
        page.unaddressable.into_iter().for_each(|key| listing.builder.add_unaddressable(key));
        if !listing.collecting && !in_order(listing.last.as_deref(), &page.objects) {
            self.break_order(&mut listing);
        }
        if let Some(object) = page.objects.last() {
            listing.last = Some(object.key.clone());
        }
        let mut batch = Vec::new();
        for object in page.objects {
            if !listing.collecting && listing.scope.admits(&object.key) {
                batch.push(self.vfs.entry(listing.scope.mount, object.clone()));
            }
            if object.key >= listing.greatest {
                listing.greatest.clear();
                listing.greatest.push_str(&object.key);
            } else {
                listing.late += 1;
            }
            listing.builder.push(object);
        }
        self.listed += batch.len() as u64;
        self.current = Some(Current::Listing(listing));
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// What comes from here on is not handed out before all has come.
    fn break_order(&self, listing: &mut Listing) {
        self.vfs.note_disorder(listing.scope.mount);
        if listing.last.is_some() {
            self.op.break_order();
        }
        listing.collecting = true;
        listing.emitted = Some(std::mem::take(&mut listing.builder));
    }

    /// The last page was read: keep the snapshot, and hand out what had to wait for it.
    fn finish(&mut self, listing: Listing, seen: ListingNotes) {
        let Listing {
            scope, builder, began, listed_at, emitted, restarted, collecting, late, ..
        } = listing;
        let rest = builder.finish(scope.prefix.clone(), listed_at);
        let out_of_order = seen.out_of_order;
        let (whole, skip) = match emitted {
            None => (rest, None),
            Some(emitted) => {
                let emitted = emitted.finish(scope.prefix.clone(), listed_at);
                let mut all = SnapshotBuilder::new();
                // A listing that began again has in it what came before, as it is now.
                if !restarted {
                    all.absorb(&emitted);
                }
                all.absorb(&rest);
                all.set_out_of_order(late);
                (all.finish(scope.prefix.clone(), listed_at), Some(Arc::new(emitted)))
            }
        };
        if out_of_order > 0 {
            self.notes.push(format!(
                "the server lists keys out of byte order ({out_of_order} keys): they were sorted"
            ));
        }
        let whole = Arc::new(whole);
        self.vfs.keep(scope.mount, began, whole.clone());
        self.used(whole.clone());
        let pin = Pin::below(scope.mount, listed_at, &scope.prefix);
        self.op.pins_to(pin, &scope.prefix, Some(Ended::Listing(whole.clone())));
        if collecting {
            self.current = Some(Current::Kept {
                mount: scope.mount,
                snapshot: whole,
                scope,
                skip,
                then: None,
            });
        }
    }

    fn used(&mut self, snapshot: Arc<Snapshot>) {
        self.last = Some(snapshot.clone());
        self.snapshots.push(snapshot);
    }

    /// Files handed out so far.
    pub fn listed(&self) -> u64 {
        self.listed
    }

    /// Whether any scope was listed to its end.
    pub fn any_ended(&self) -> bool {
        self.ended > 0
    }

    /// The directory that was last begun, for the error that it failed with.
    pub fn place(&self) -> String {
        self.place.clone()
    }

    /// The listing that the walk used last, once a scope is finished.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.last.clone()
    }

    /// What a person should know about the listings, and the keys no path can name.
    pub fn take_notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        for snapshot in self.snapshots.drain(..) {
            notes.extend(lost_note(snapshot.report().unaddressable, snapshot.unaddressable()));
        }
        notes
    }
}

impl Walk {
    /// Leaves the listing under way to whoever comes back for the rest of it. Nothing more is sent.
    pub(crate) fn park(&mut self) {
        if !self.op.is_paged() {
            return;
        }
        let (listing, so_far) = match self.current.take() {
            Some(Current::Listing(mut listing)) if !listing.collecting => {
                listing.relay.let_go();
                let so_far = Arc::new(listing.so_far());
                (listing, so_far)
            }
            Some(Current::Kept { snapshot, then: Some(listing), .. }) => {
                listing.relay.let_go();
                (listing, snapshot)
            }
            _ => return,
        };
        self.vfs.pin(listing.pin(), Held::Part(listing, so_far));
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.park();
    }
}

/// Whether the budget has room for a listing in ranges: a tight one is better spent on the
/// beginning than on ranges that nobody comes to.
fn affordable(op: &Op, milestones: &Milestones) -> bool {
    let cost = op.call.meter.cost();
    let needed = cost.list_requests + cost.get_requests + milestones.count() / 1000 + 18;
    op.budget.requests.is_none_or(|most| needed <= most)
}

/// Whether `objects` go on rising strictly after `last`.
fn in_order(last: Option<&str>, objects: &[Object]) -> bool {
    let starts_after = match (last, objects.first()) {
        (Some(last), Some(first)) => last < first.key.as_str(),
        _ => true,
    };
    starts_after && objects.windows(2).all(|pair| pair[0].key < pair[1].key)
}
