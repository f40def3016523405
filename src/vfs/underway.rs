//! A listing that has not come to its end.
//!
//! Dropped with the walk that began it, what it has fetched is lost, and whoever wants the rest
//! pays for all of it again. [`Listing`] can be left in the middle and gone on in: its pages are
//! fetched through a [`Relay`], the one after the last is under way or waits to be paid for, and
//! what it has listed so far is in its builder.

use std::{sync::Arc, time::Duration};

use super::{
    Op, Vfs,
    pins::{Pin, Relay},
    walk::Scope,
};
use crate::{
    bucket::{ListPage, ListRequest, ListingNotes, Milestones, Pages, Ranges},
    error::{Error, Kind, Result},
    platform::Task,
    tree::{Snapshot, SnapshotBuilder},
};

/// See the module's head.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) scope: Scope,
    pub(super) relay: Arc<Relay>,
    ahead: Ahead,
    pub(super) builder: SnapshotBuilder,
    pub(super) began: Duration,
    pub(super) listed_at: i64,
    pub(super) last: Option<String>,
    /// The greatest key so far, and how many came after a greater one.
    pub(super) greatest: String,
    pub(super) late: u64,
    /// What was handed out before the order broke.
    pub(super) emitted: Option<SnapshotBuilder>,
    /// See [`Ranges::restarted`].
    pub(super) restarted: bool,
    pub(super) collecting: bool,
    /// What comes may have been asked for by an operation before that of its walk, and have failed
    /// with that one.
    pub(super) borrowed: bool,
    /// Bytes of what was fetched and not handed out, about.
    waiting: usize,
}

/// The page after the one that is worked on.
#[derive(Debug)]
enum Ahead {
    /// It is being fetched.
    UnderWay(Task<Fetched>),
    /// It could not be paid for; `None` while it is being taken.
    Unpaid(Option<Box<Source>>),
}

/// A page, and what fetches the one after it.
pub(super) type Fetched = (Source, Result<Option<ListPage>>);

/// Where the pages come from.
#[derive(Debug)]
pub(super) enum Source {
    Row(Box<Pages>),
    Ranges(Box<Ranges>),
}

impl Source {
    /// What lists `scope`: in ranges where it is known how to split it.
    pub(super) fn new(
        vfs: &Vfs,
        op: &Op,
        scope: &Scope,
        relay: &Arc<Relay>,
        split: Option<Milestones>,
    ) -> Self {
        let request = ListRequest { prefix: scope.prefix.clone(), ..ListRequest::default() };
        let (bucket, call) = (relay.clone(), op.call.clone());
        match split {
            Some(milestones) => {
                let platform = vfs.platform().clone();
                let ranges = Ranges::new(bucket, call, platform, request, milestones);
                Self::Ranges(Box::new(ranges))
            }
            None => Self::Row(Box::new(Pages::new(bucket, call, request))),
        }
    }

    pub(super) fn notes(&self) -> ListingNotes {
        match self {
            Self::Row(pages) => pages.notes(),
            Self::Ranges(ranges) => ranges.notes(),
        }
    }

    /// Whether the listing began again, so that what is to come is all of it.
    pub(super) fn restarted(&self) -> bool {
        matches!(self, Self::Ranges(ranges) if ranges.restarted())
    }

    fn waiting(&self) -> usize {
        match self {
            Self::Row(_) => 0,
            Self::Ranges(ranges) => ranges.waiting(),
        }
    }

    pub(super) fn remarks(&self) -> &[String] {
        match self {
            Self::Row(_) => &[],
            Self::Ranges(ranges) => ranges.remarks(),
        }
    }

    /// Whether other pages than the next have been asked for.
    pub(super) fn is_ahead(&self) -> bool {
        matches!(self, Self::Ranges(_))
    }

    /// Whether the page that was not fetched for want of time or budget can be fetched later.
    pub(super) fn may_be_asked_again(&self, error: &Error) -> bool {
        matches!(self, Self::Row(_)) && matches!(error.kind(), Kind::Budget | Kind::Deadline)
    }
}

async fn fetch(mut source: Source) -> Fetched {
    let page = match &mut source {
        Source::Row(pages) => Box::pin(pages.next()).await,
        Source::Ranges(ranges) => Box::pin(ranges.next()).await,
    };
    (source, page)
}

impl Listing {
    /// Begins to list `scope` for `op`. `split` tells where to split it, if it is to be.
    pub(super) fn begin(vfs: &Vfs, op: &Op, scope: Scope, split: Option<Milestones>) -> Self {
        let payer = (vfs.bucket_for(op, scope.mount), op.call.clone());
        let relay = Arc::new(Relay::new(vfs.bucket(scope.mount).clone(), payer));
        let source = Source::new(vfs, op, &scope, &relay, split);
        vfs.make_room(op, scope.mount, &scope.prefix);
        let listed_at = vfs.now_ms();
        op.lists(scope.mount, listed_at);
        op.pins_to(Pin::below(scope.mount, listed_at, &scope.prefix), &scope.prefix, None);
        let began = vfs.platform().monotonic();
        let collecting = vfs.disorderly(scope.mount);
        Self {
            scope,
            relay,
            ahead: Ahead::UnderWay(vfs.platform().spawn(fetch(source))),
            builder: SnapshotBuilder::new(),
            began,
            listed_at,
            last: None,
            greatest: String::new(),
            late: 0,
            emitted: None,
            restarted: false,
            collecting,
            borrowed: false,
            waiting: 0,
        }
    }

    /// From here on `op` pays.
    pub(super) fn resume(&mut self, vfs: &Vfs, op: &Op) {
        op.lists(self.scope.mount, self.listed_at);
        op.pins_to(self.pin(), self.prefix(), None);
        self.relay.hand_to((vfs.bucket_for(op, self.scope.mount), op.call.clone()));
        self.borrowed = true;
    }

    /// Fetches the page after the one that `source` has brought. After the last page this sends
    /// nothing.
    pub(super) fn fetch_ahead(&mut self, vfs: &Vfs, source: Source) {
        self.waiting = source.waiting();
        self.ahead = Ahead::UnderWay(vfs.platform().spawn(fetch(source)));
    }

    /// The page that `source` could not bring is fetched when somebody waits for it.
    pub(super) fn leave_unpaid(&mut self, source: Source) {
        self.ahead = Ahead::Unpaid(Some(Box::new(source)));
    }

    /// What comes next; `None` if it was stopped. Dropped while it waits, nothing is lost.
    pub(super) async fn fetched(&mut self, vfs: &Vfs) -> Option<Fetched> {
        loop {
            match &mut self.ahead {
                Ahead::UnderWay(task) => return task.await,
                Ahead::Unpaid(source) => {
                    let source = *source.take()?;
                    self.fetch_ahead(vfs, source);
                }
            }
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.scope.prefix
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn pin(&self) -> Pin {
        Pin::below(self.scope.mount, self.listed_at, &self.scope.prefix)
    }

    /// Takes out what was listed so far.
    pub(super) fn so_far(&mut self) -> Snapshot {
        let builder = std::mem::take(&mut self.builder);
        builder.finish(self.scope.prefix.clone(), self.listed_at)
    }
}
