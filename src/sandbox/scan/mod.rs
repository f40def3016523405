//! Greps many objects: fetches, searches and hands out at the same time.
//!
//! Fetching in batches waits for the slowest of each batch; fetching without a limit fills
//! memory. [`Scan`] keeps a window of objects under way in path order, each with a share of a
//! byte budget taken before it is fetched, searches on blocking threads what has arrived, and
//! gives results out in path order as early as that allows. Dropping it stops all of it.

mod driver;
mod left;
#[cfg_attr(not(feature = "index"), path = "no_narrow.rs")]
mod narrow;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{Either, select};

use self::{driver::Driver, left::LeftOut, narrow::Plan};
use super::{
    answer::{Envelope, IndexUse, Reason, SkipReason},
    board::{Board, ScanEvent},
    estimate::Estimate,
};
use crate::{
    error::{Error, Kind, Result},
    platform::Task,
    search::{Pattern, PatternOptions, Report, SearchOptions, Selection, SelectionOptions},
    vfs::{Budget, Op, Vfs},
};

/// What to search and how.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// Canonical paths of files and directories; none means everything.
    pub paths: Vec<String>,
    /// The pattern.
    pub pattern: PatternOptions,
    /// How lines are found.
    pub search: SearchOptions,
    /// Which files of the directories.
    pub selection: SelectionOptions,
    /// Search inside `.gz` and `.zst` files.
    pub search_zip: bool,
    /// What it may cost.
    pub budget: Budget,
    /// Objects without a match are of interest too: an index leaves none out.
    pub every: bool,
    /// Start at this canonical file path instead of the first (a cursor).
    pub start: Option<String>,
    /// Only count what it would cost: see [`Scan::estimate`].
    pub dry_run: bool,
}

/// A running grep. Dropping it stops all work.
pub struct Scan<C> {
    board: Arc<Board<C>>,
    tally: Arc<Mutex<Tally>>,
    envelope: Envelope,
    vfs: Vfs,
    op: Op,
    over: bool,
    /// Objects whose end was given out.
    passed: u64,
    /// Of what an index let it leave alone, what the reader has passed.
    left_out: NotRead,
    /// `None` once the work has stopped.
    driver: Option<Task<()>>,
}

/// What the driver counts while it works.
#[derive(Debug, Default)]
struct Tally {
    listed: u64,
    notes: Vec<String>,
    reread: u64,
    index: Option<IndexUse>,
    estimate: Estimate,
    /// Objects whose text an index handed over.
    packed: u64,
    /// What an index showed to hold no match, until the reader comes to its place.
    left: LeftOut,
}

/// Objects that an index let a scan leave alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotRead {
    /// How many.
    pub objects: u64,
    /// Stored bytes that a search would have counted: all of a text, none of a file with a NUL in
    /// its first 64 KiB, and up to the NUL of any other.
    pub bytes: u64,
}

/// A request whose patterns are compiled, and planned for an index. That takes seconds for the
/// largest, and is not for a thread that other calls wait for.
#[derive(Debug)]
pub(super) struct Ready {
    request: ScanRequest,
    pattern: Arc<Pattern>,
    selection: Selection,
    plan: Plan,
}

impl ScanRequest {
    /// # Errors
    /// [`Kind::InvalidPattern`] or [`Kind::InvalidArgument`].
    pub(super) fn compile(self) -> Result<Ready> {
        let pattern = Arc::new(self.pattern.compile()?);
        let selection = self.selection.build()?;
        // Built once here so that bad options fail before anything is sent.
        self.search.searcher()?;
        let plan = Plan::of(&self);
        Ok(Ready { request: self, pattern, selection, plan })
    }
}

/// Starts a grep over `vfs`, as `op`, whose objects in memory, with their search buffers, take at most
/// `bytes`.
pub(super) fn start<R: Report>(
    vfs: &Vfs,
    op: Op,
    ready: Ready,
    report: R,
    bytes: u64,
) -> Scan<R::Chunk> {
    let platform = vfs.platform().clone();
    let Ready { request, pattern, selection, plan } = ready;
    let workers = if platform.has_threads() { platform.parallelism() } else { 1 };
    let board = Arc::new(Board::new(platform.has_threads(), workers));
    let left = LeftOut::new(request.search.max_count);
    let tally = Arc::new(Mutex::new(Tally { left, ..Tally::default() }));
    let search = request.search.clone();
    let (selects, counts) = ((request, selection, plan), (board.clone(), tally.clone()));
    let driver = Driver::new(vfs.clone(), op.clone(), selects, counts, bytes);
    if platform.has_threads() {
        for reserve in (0..=workers).map(|i| i == workers) {
            let (board, pattern, search, report) =
                (board.clone(), pattern.clone(), search.clone(), report.clone());
            // A worker ends by itself when the board is closed or cancelled.
            platform.worker(move || worker::run(&board, &pattern, &search, report, reserve));
        }
    }
    let inline = (!platform.has_threads()).then(|| (board.clone(), pattern, search, report));
    let unbroken = Unbroken(Some(board.clone()));
    let task = platform.spawn(async move {
        // Dropped by a panic too.
        let unbroken = unbroken;
        let drive = Box::pin(driver.run());
        match inline {
            None => drive.await,
            Some((board, pattern, search, report)) => {
                let work = Box::pin(worker::run_inline(board, pattern, search, report));
                futures_util::future::join(drive, work).await;
            }
        }
        unbroken.finish();
    });
    Scan {
        board,
        tally,
        envelope: Envelope::default(),
        vfs: vfs.clone(),
        op,
        over: false,
        passed: 0,
        left_out: NotRead::default(),
        driver: Some(task),
    }
}

/// Stops the scan when what drives it breaks down: nobody else would tell the reader.
struct Unbroken<C>(Option<Arc<Board<C>>>);

impl<C> Unbroken<C> {
    fn finish(mut self) {
        self.0 = None;
    }
}

impl<C> Drop for Unbroken<C> {
    fn drop(&mut self) {
        if let Some(board) = &self.0 {
            board.break_down();
        }
    }
}

fn binary_at(offset: u64) -> String {
    format!("a NUL byte was found near offset {offset}")
}

fn is_over(error: &Error) -> bool {
    matches!(error.kind(), Kind::Deadline | Kind::Budget | Kind::Cancelled)
}

impl<C> Scan<C> {
    /// The next event, in path order; `None` at the end, at the deadline, or when the budget is
    /// spent: the envelope tells which.
    pub async fn next(&mut self) -> Option<ScanEvent<C>> {
        if self.over {
            return None;
        }
        let event = self.wait().await;
        if event.is_some() {
            self.pass(self.passed);
        }
        if let Some(ScanEvent::End { .. } | ScanEvent::Failed { .. }) = &event {
            self.passed += 1;
        }
        match &event {
            Some(ScanEvent::Failed { path, reason, error }) => {
                if is_over(error) {
                    self.fail(error);
                    return None;
                }
                self.envelope.skip(path, *reason, error.message());
            }
            Some(ScanEvent::End { path, found }) => {
                self.envelope.searched += 1;
                self.envelope.matched += u64::from(found.matched);
                if let Some(offset) = found.binary_offset {
                    self.envelope.skip(path, SkipReason::Binary, binary_at(offset));
                }
            }
            Some(ScanEvent::Chunk { .. }) => {}
            None => {
                if self.board.is_broken() {
                    self.envelope.lacks(Reason::Error, "the search broke down");
                }
                if self.envelope.incomplete.is_empty() {
                    self.pass(u64::MAX);
                }
                self.stop();
            }
        }
        event
    }

    /// The reader has come to object number `n`.
    fn pass(&mut self, n: u64) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(run) = tally.left.take_before(n) {
            self.left_out.objects += run.objects;
            self.left_out.bytes += run.bytes;
            for (path, offset) in run.binary {
                self.envelope.skip(&path, SkipReason::Binary, binary_at(offset));
            }
            if run.binary_more > 0 {
                let binary = self.envelope.skipped_by_reason.entry(SkipReason::Binary);
                *binary.or_default() += run.binary_more;
            }
        }
    }

    /// What the envelope does not count as searched because an index showed that nothing matches:
    /// ripgrep, which has no index, reads it.
    pub fn not_read(&self) -> NotRead {
        self.left_out
    }

    async fn wait(&mut self) -> Option<ScanEvent<C>> {
        let next = Box::pin(self.board.next());
        let Some(deadline) = self.op.call.deadline else {
            return next.await;
        };
        let platform = self.vfs.platform();
        let left = deadline.saturating_sub(platform.monotonic());
        match select(next, platform.sleep(left)).await {
            Either::Left((event, _)) => event,
            Either::Right(_) => {
                self.envelope.lacks(Reason::Deadline, "the time for this operation is over");
                None
            }
        }
    }

    /// The limit that the caller set is reached: stops all work.
    pub fn reach_limit(&mut self, detail: impl Into<String>) {
        self.envelope.lacks(Reason::Limit, detail);
        self.stop();
    }

    /// The caller can take no more, because of `error`: stops all work.
    pub(super) fn fail(&mut self, error: &Error) {
        self.envelope.failed(error);
        self.stop();
    }

    /// The caller was asked to stop: stops all work.
    pub fn interrupt(&mut self) {
        self.envelope.lacks(Reason::Cancelled, "it was interrupted");
        self.stop();
    }

    /// The operation that pays for it.
    pub(super) fn op(&self) -> &Op {
        &self.op
    }

    /// Of a dry run: what the scan of everything that it came to would cost.
    pub(super) fn estimate(&self) -> Estimate {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).estimate
    }

    fn stop(&mut self) {
        self.over = true;
        self.board.cancel();
        if let Some(driver) = &self.driver {
            driver.stop();
        }
    }

    /// Waits until the work has stopped, once it was told to.
    pub(super) async fn settle(&mut self) {
        if self.over
            && let Some(driver) = self.driver.take()
        {
            driver.await;
        }
    }

    /// What was searched so far, what was passed over, and what it cost.
    pub fn envelope(&self) -> Envelope {
        let mut envelope = self.envelope.clone();
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        envelope.listed = tally.listed;
        envelope.notes.extend(tally.notes.iter().cloned());
        envelope.index = tally.index;
        if let Some(index) = &mut envelope.index {
            index.left_out = self.left_out.objects;
            index.packed = tally.packed;
        }
        if tally.reread > 0 {
            let reread = tally.reread;
            envelope.notes.push(format!(
                "{reread} objects changed after they were listed; their newer version was searched"
            ));
        }
        super::close(&mut envelope, &self.vfs, &self.op);
        envelope
    }
}

impl<C> Drop for Scan<C> {
    fn drop(&mut self) {
        self.board.cancel();
    }
}
