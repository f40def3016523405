//! Chains of pages, fetched side by side and handed out one after the other.
//!
//! Fetching everything at once holds the whole bucket in memory while the first range is worked
//! on; fetching the next range when the last is through is one page after another again.
//! [`Lanes`] keeps so many requests under way, and stops fetching ahead while the pages that wait
//! take more than [`WAITING`] bytes: only the lane that is handed out then goes on.
//!
//! Where a lane ends at a bound, it goes on until it has seen some keys past it. They came by
//! continuing a listing, the same keys at the head of the next lane by starting one there: that
//! none of them is missing there is the proof that the start was answered rightly, as far as both
//! go. (One more in the next lane is no fault: a key that came meanwhile.) A page that continues
//! another is trusted as it is in any listing.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

use super::milestones::MOST_RANGES;
use crate::{
    bucket::{Bucket, Call, ListPage, ListRequest, Object, Pages},
    error::{Error, Kind, Result},
    platform::{BoxFuture, Platform},
};

/// Requests under way at once.
const SIDE_BY_SIDE: usize = MOST_RANGES as usize;

/// Bytes of pages that wait for their turn, about: a third of a million usual keys.
const WAITING: usize = 64 << 20;

/// What an object takes beside its texts: itself, and what the allocator adds to two of them.
const OBJECT: usize = size_of::<Object>() + 32;

/// What comes next.
#[derive(Debug)]
pub(super) enum Step {
    Page(ListPage),
    End,
    Failed(Error),
    /// A start in the middle was answered with other keys than lie there.
    Unmet,
    /// Keys came in another order than that of their bytes.
    Disorder,
}

/// Where the next page of a lane comes from.
#[derive(Debug)]
enum Source {
    Idle(Box<Pages>),
    UnderWay,
    /// Nothing more will come.
    Done,
    Failed(Error),
}

/// One range of keys.
#[derive(Debug)]
pub(super) struct Lane {
    source: Source,
    /// What was fetched and not handed out.
    queue: VecDeque<ListPage>,
    /// All keys lie after this one.
    after: Option<String>,
    /// The next lane's `after`.
    until: Option<String>,
    /// Keys seen past `until`.
    past: u64,
    /// The last key that came.
    last: Option<String>,
    /// The listing ended in it.
    ended: bool,
}

/// What is listed, and by what.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) bucket: Arc<dyn Bucket>,
    pub(super) call: Call,
    pub(super) platform: Platform,
    /// For all keys, from the first on.
    pub(super) request: ListRequest,
    /// Keys that a lane goes on past its end.
    pub(super) overlap: u64,
}

impl Base {
    pub(super) fn pages(&self, request: ListRequest) -> Pages {
        Pages::new(self.bucket.clone(), self.call.clone(), request)
    }

    fn starting(&self, after: Option<String>) -> Pages {
        self.pages(ListRequest { start_after: after, ..self.request.clone() })
    }

    /// The keys between two.
    pub(super) fn between(&self, after: Option<String>, until: Option<String>) -> Lane {
        let source = Source::Idle(Box::new(self.starting(after.clone())));
        Lane { source, after, until, ended: false, ..Lane::ready(Vec::new()) }
    }

    /// The keys below a prefix.
    pub(super) fn below(&self, prefix: String) -> Lane {
        let pages = self.pages(ListRequest { prefix, ..self.request.clone() });
        Lane { source: Source::Idle(Box::new(pages)), ended: false, ..Lane::ready(Vec::new()) }
    }
}

impl Lane {
    /// Objects that are there already, in order.
    pub(super) fn ready(objects: Vec<Object>) -> Self {
        let page = ListPage { objects, ..ListPage::default() };
        let queue = if page.objects.is_empty() { VecDeque::new() } else { [page].into() };
        let source = Source::Done;
        Self { source, queue, after: None, until: None, past: 0, last: None, ended: true }
    }

    fn done(&self) -> bool {
        matches!(self.source, Source::Done)
    }

    /// Whether all keys up to `key` have come that ever will.
    fn covers(&self, key: &str) -> bool {
        self.done() || self.last.as_deref().is_some_and(|last| last >= key)
    }

    /// Whether one of these sorted keys is not in what waits here, as far as this lane got.
    fn lacks(&self, keys: &[String]) -> bool {
        let mut waiting = self.queue.iter().flat_map(|page| &page.objects).peekable();
        keys.iter().any(|key| {
            while waiting.next_if(|object| object.key < *key).is_some() {}
            match waiting.peek() {
                Some(object) => object.key != *key,
                // A lane that met the one after it has stopped there, and cannot tell.
                None => self.ended,
            }
        })
    }

    /// Puts the page of a later request in the place of what came before up to its last key.
    fn renew(&mut self, page: ListPage) {
        if let Some(last) = page.objects.last().map(|object| object.key.clone()) {
            for old in &mut self.queue {
                let passed = old.objects.partition_point(|object| object.key <= last);
                old.objects.drain(..passed);
            }
            self.queue.push_front(page);
        }
    }
}

/// Lanes, in the order of their keys. See the module's head.
#[derive(Debug)]
pub(super) struct Lanes {
    base: Base,
    lanes: Vec<Lane>,
    flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    /// The lane that is handed out.
    head: usize,
    /// Keys of it past its end.
    seam: Vec<String>,
    again: Again,
    progress: Progress,
    waiting: usize,
    fault: Option<Step>,
}

/// The start of the lane after the head, asked for once more: what came between the first time
/// and the pages of the head is no fault of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    UnderWay,
    Done,
}

/// How far a listing was handed out.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The last key.
    pub(super) last: Option<String>,
    /// Keys that nothing can address have no place in the order: the hashes of those handed out.
    pub(super) odd: HashSet<u64>,
    /// Pages that came.
    pub(super) pages: u64,
}

impl Progress {
    /// Whether anything was handed out.
    pub(super) fn any(&self) -> bool {
        self.last.is_some() || !self.odd.is_empty()
    }

    /// Leaves out of a page what was handed out; `None` where nothing is left.
    pub(super) fn trim(&mut self, mut page: ListPage) -> Option<ListPage> {
        if let Some(last) = &self.last {
            let passed = page.objects.partition_point(|object| object.key <= *last);
            page.objects.drain(..passed);
        }
        let hash = |key: &String| xxhash_rust::xxh3::xxh3_64(key.as_bytes());
        page.unaddressable.retain(|key| self.odd.insert(hash(key)));
        if let Some(object) = page.objects.last() {
            self.last = Some(object.key.clone());
        }
        (!page.objects.is_empty() || !page.unaddressable.is_empty()).then_some(page)
    }
}

/// What was fetched; `None` for a task that was stopped.
type Landed = (Whose, Option<(Pages, Result<Option<ListPage>>)>);

#[derive(Clone, Copy, Debug)]
enum Whose {
    Lane(usize),
    /// The start of the lane after the head, once more.
    Again,
}

impl Lanes {
    /// Nothing is sent before the first [`next`](Self::next). What `progress` says was handed out
    /// is left out.
    pub(super) fn new(base: Base, lanes: Vec<Lane>, progress: Progress) -> Self {
        let mut lanes = Self {
            base,
            lanes,
            flights: FuturesUnordered::new(),
            head: 0,
            seam: Vec::new(),
            again: Again::No,
            progress,
            waiting: 0,
            fault: None,
        };
        lanes.weigh();
        lanes
    }

    fn weigh(&mut self) {
        self.waiting = self.lanes.iter().flat_map(|lane| &lane.queue).map(weight).sum();
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Stops everything.
    pub(super) fn into_progress(self) -> Progress {
        self.progress
    }

    pub(super) async fn next(&mut self) -> Step {
        loop {
            while let Some(Some(landed)) = self.flights.next().now_or_never() {
                self.land(landed);
            }
            if let Some(fault) = self.fault.take() {
                return fault;
            }
            let step = self.hand_out();
            // What was handed out makes room, and what is fetched now is there when it is used up.
            self.dispatch();
            if let Some(step) = step {
                return step;
            }
            match self.flights.next().await {
                Some(landed) => self.land(landed),
                None => return Step::Failed(stopped()),
            }
        }
    }

    /// Fetches for the first lanes that want pages.
    fn dispatch(&mut self) {
        // To prove the end of the head, the next one is needed as much as the head itself.
        let needed = self.head + usize::from(self.lanes.get(self.head).is_some_and(Lane::done));
        for at in self.head..self.lanes.len() {
            if at > needed && (self.flights.len() >= SIDE_BY_SIDE || self.waiting >= WAITING) {
                return;
            }
            let source = &mut self.lanes[at].source;
            match std::mem::replace(source, Source::UnderWay) {
                Source::Idle(pages) => self.fetch(Whose::Lane(at), *pages),
                other => *source = other,
            }
        }
    }

    fn fetch(&self, whose: Whose, mut pages: Pages) {
        let task = self.base.platform.spawn(async move {
            let page = Box::pin(pages.next()).await;
            (pages, page)
        });
        self.flights.push(Box::pin(async move { (whose, task.await) }));
    }

    /// Takes what was fetched, and looks whether it is what was asked for.
    fn land(&mut self, (whose, fetched): Landed) {
        let (pages, page) = match fetched {
            Some((pages, Ok(page))) => (Some(pages), Ok(page)),
            Some((_, Err(error))) => (None, Err(error)),
            None => (None, Err(stopped())),
        };
        self.progress.pages += u64::from(matches!(page, Ok(Some(_))));
        let at = match whose {
            Whose::Lane(at) => at,
            Whose::Again => return self.land_again(page),
        };
        let lane = &mut self.lanes[at];
        let page = match page {
            Ok(page) => page,
            // A listing that starts in the middle and breaks the rules is one not to be trusted.
            Err(error) if error.kind() == Kind::Protocol && lane.after.is_some() => {
                return self.fail(Step::Unmet);
            }
            Err(error) => {
                lane.source = Source::Failed(error);
                return;
            }
        };
        let (Some(pages), Some(page)) = (pages, page) else {
            lane.source = Source::Done;
            lane.ended = true;
            return;
        };
        if let Some(first) = page.objects.first() {
            if lane.after.as_ref().is_some_and(|after| first.key <= *after) {
                return self.fail(Step::Unmet);
            }
            let rises = lane.last.as_ref().is_none_or(|last| *last < first.key)
                && page.objects.is_sorted_by(|a, b| a.key < b.key);
            if !rises {
                return self.fail(Step::Disorder);
            }
        }
        if let Some(until) = &lane.until {
            let within = page.objects.partition_point(|object| object.key <= *until);
            lane.past += (page.objects.len() - within) as u64;
        }
        if let Some(object) = page.objects.last() {
            lane.last = Some(object.key.clone());
        }
        lane.source = match lane.past >= self.base.overlap {
            true => Source::Done,
            false => Source::Idle(Box::new(pages)),
        };
        self.waiting += weight(&page);
        lane.queue.push_back(page);
    }

    /// The start of the lane after the head, as it is now.
    fn land_again(&mut self, page: Result<Option<ListPage>>) {
        let Some(lane) = self.lanes.get_mut(self.head + 1) else { return };
        match page {
            Ok(Some(page)) => {
                let after = lane.after.as_deref();
                if page.objects.first().is_some_and(|first| Some(first.key.as_str()) <= after)
                    || !page.objects.is_sorted_by(|a, b| a.key < b.key)
                {
                    return self.fail(Step::Unmet);
                }
                lane.renew(page);
                self.weigh();
            }
            Ok(None) => {}
            Err(error) if error.kind() == Kind::Protocol => return self.fail(Step::Unmet),
            Err(error) => return self.fail(Step::Failed(error)),
        }
        self.again = Again::Done;
    }

    fn fail(&mut self, step: Step) {
        // Order matters more: without it no range means anything.
        if !matches!(self.fault, Some(Step::Disorder)) {
            self.fault = Some(step);
        }
    }

    /// The next page of the head, or what its end comes to; `None` where that is not known yet.
    fn hand_out(&mut self) -> Option<Step> {
        loop {
            let Some(lane) = self.lanes.get_mut(self.head) else { return Some(Step::End) };
            if let Some(page) = lane.queue.pop_front() {
                self.waiting = self.waiting.saturating_sub(weight(&page));
                if let Some(until) = &lane.until {
                    let within = page.objects.partition_point(|object| object.key <= *until);
                    self.seam.extend(page.objects[within..].iter().map(|o| o.key.clone()));
                }
                match self.progress.trim(page) {
                    Some(page) => return Some(Step::Page(page)),
                    None => continue,
                }
            }
            match &lane.source {
                Source::Idle(_) | Source::UnderWay => return None,
                Source::Failed(error) => return Some(Step::Failed(error.clone())),
                Source::Done => {}
            }
            if let Some(until) = lane.until.clone()
                && let Some(last) = self.seam.last()
                && let Some(next) = self.lanes.get(self.head + 1)
            {
                if let Source::Failed(error) = &next.source {
                    return Some(Step::Failed(error.clone()));
                }
                if self.again == Again::UnderWay || !next.covers(last) {
                    return None;
                }
                if next.lacks(&self.seam) {
                    if self.again == Again::Done {
                        return Some(Step::Unmet);
                    }
                    self.again = Again::UnderWay;
                    self.fetch(Whose::Again, self.base.starting(Some(until)));
                    return None;
                }
            }
            self.seam.clear();
            self.again = Again::No;
            self.head += 1;
        }
    }
}

fn weight(page: &ListPage) -> usize {
    let object = |object: &Object| OBJECT + object.key.len() + object.etag.0.len();
    page.objects.iter().map(object).sum::<usize>()
        + page.unaddressable.iter().map(|key| 32 + key.len()).sum::<usize>()
}

fn stopped() -> Error {
    Error::new(Kind::Cancelled, "the listing was stopped")
}
