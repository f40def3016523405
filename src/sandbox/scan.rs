//! Greps many objects: fetches, searches and hands out at the same time.
//!
//! Fetching in batches waits for the slowest of each batch; fetching without a limit fills
//! memory. [`Scan`] keeps a window of objects under way in path order, each with a share of a
//! byte budget taken before it is fetched, searches on blocking threads what has arrived, and
//! gives results out in path order as early as that allows. Dropping it stops all of it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{StreamExt, future::Either, future::select, stream::FuturesUnordered};
use grep_searcher::Searcher;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    answer::{Envelope, Reason},
    board::{Board, Lane, ScanEvent, Work},
};
use crate::{
    bucket::MAX_GET,
    cache::Use,
    error::{Error, Kind, Result},
    platform::Task,
    search::{
        Found, Pattern, PatternOptions, Report, SearchOptions, Selection, SelectionOptions,
        report::error_of,
    },
    vfs::{Budget, Compression, Entry, Op, Scope, Target, Vfs, Walk},
};

/// Objects under way at once, the front one included. Wide enough to keep every request permit
/// busy while the front object is slow, narrow enough that a limit of 1 stops within 200 gets.
const WINDOW: usize = 160;

/// The unit of the byte budget: semaphores count in 32 bits.
const UNIT: u64 = 4 << 10;

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
    /// Start at this canonical file path instead of the first (a cursor).
    pub start: Option<String>,
}

/// A running grep. Dropping it stops all work.
pub struct Scan<C> {
    board: Arc<Board<C>>,
    tally: Arc<Mutex<Tally>>,
    envelope: Envelope,
    vfs: Vfs,
    op: Op,
    over: bool,
    _driver: Task<()>,
}

/// What the driver counts while it works.
#[derive(Debug, Default)]
struct Tally {
    listed: u64,
    notes: Vec<String>,
    reread: u64,
}

struct Driver<R: Report> {
    vfs: Vfs,
    op: Op,
    board: Arc<Board<R::Chunk>>,
    tally: Arc<Mutex<Tally>>,
    selection: Selection,
    request: ScanRequest,
    window: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    budget: u64,
    next: u64,
    /// Files that the caller named, which no walk counts.
    named: u64,
    running: FuturesUnordered<Task<()>>,
}

/// Starts a grep over `vfs` whose objects in memory, with their search buffers, take at most
/// `bytes`.
pub(super) fn start<R: Report>(
    vfs: &Vfs,
    request: ScanRequest,
    report: R,
    bytes: u64,
) -> Result<Scan<R::Chunk>> {
    let platform = vfs.platform().clone();
    let pattern = Arc::new(request.pattern.compile()?);
    let selection = request.selection.build()?;
    // Built once here so that bad options fail before anything is sent.
    request.search.searcher()?;
    let op = vfs.op(request.budget);
    let workers = if platform.has_threads() { platform.parallelism() } else { 1 };
    let board = Arc::new(Board::new(platform.has_threads(), workers));
    let tally = Arc::new(Mutex::new(Tally::default()));
    let search = request.search.clone();
    let driver = Driver::<R> {
        vfs: vfs.clone(),
        op: op.clone(),
        board: board.clone(),
        tally: tally.clone(),
        selection,
        request,
        window: Arc::new(Semaphore::new(WINDOW)),
        bytes: Arc::new(Semaphore::new(usize::try_from(bytes / UNIT).unwrap_or(1).max(1))),
        budget: (bytes / UNIT).max(1),
        next: 0,
        named: 0,
        running: FuturesUnordered::new(),
    };
    if platform.has_threads() {
        for reserve in (0..=workers).map(|i| i == workers) {
            let (board, pattern, search, report) =
                (board.clone(), pattern.clone(), search.clone(), report.clone());
            // A worker ends by itself when the board is closed or cancelled.
            drop(platform.blocking(move || worker(&board, &pattern, &search, report, reserve)));
        }
    }
    let inline = (!platform.has_threads()).then(|| (board.clone(), pattern, search, report));
    let task = platform.spawn(async move {
        let drive = Box::pin(driver.run());
        match inline {
            None => drive.await,
            Some((board, pattern, search, report)) => {
                let work = Box::pin(inline_worker(board, pattern, search, report));
                futures_util::future::join(drive, work).await;
            }
        }
    });
    Ok(Scan {
        board,
        tally,
        envelope: Envelope::default(),
        vfs: vfs.clone(),
        op,
        over: false,
        _driver: task,
    })
}

impl<R: Report> Driver<R> {
    async fn run(mut self) {
        let scopes = self.resolve().await;
        let mut walk = self.vfs.walk(&self.op, scopes.iter().map(|s| s.scope.clone()).collect());
        loop {
            match walk.next().await {
                Ok(Some(batch)) => {
                    self.note(&mut walk);
                    for entry in batch {
                        if self.selects(&scopes, &entry) {
                            self.admit(entry, false).await;
                        }
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    let over = is_over(&error);
                    let place = walk.place();
                    self.fail(&place, error).await;
                    if over {
                        break;
                    }
                }
            }
        }
        self.note(&mut walk);
        self.tally().notes.extend(walk.take_notes());
        self.board.close(self.next);
        while self.running.next().await.is_some() {}
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, walk: &mut Walk) {
        let mut tally = self.tally();
        tally.listed = walk.listed() + self.named;
    }

    /// What the paths mean: files are searched at once, directories become scopes.
    async fn resolve(&mut self) -> Vec<Root> {
        let mut roots = Vec::new();
        let paths = std::mem::take(&mut self.request.paths);
        if paths.is_empty() {
            return self.after_start(Root::of(self.vfs.everything(), "/"));
        }
        let mut seen = HashSet::new();
        for path in paths {
            if !seen.insert(path.clone()) {
                continue;
            }
            match self.vfs.resolve(&self.op, &path).await {
                Ok(Target::Above(dir)) => {
                    roots.extend(Root::of(self.vfs.mounts_below(&dir), &dir));
                }
                Ok(Target::Dir { mount, prefix, known }) => {
                    let must_exist = !known && !prefix.is_empty();
                    let dir = self.vfs.dir_path(mount, &prefix);
                    let missing = match must_exist {
                        true => self.vfs.stat(&self.op, &dir).await.err(),
                        false => None,
                    };
                    match missing {
                        Some(error) => self.fail(&path, error).await,
                        None => roots.push(Root { scope: Scope::new(mount, prefix), dir }),
                    }
                }
                Ok(Target::File { entry, .. }) => {
                    self.named += 1;
                    self.admit(entry, true).await;
                }
                Err(error) => self.fail(&path, error).await,
            }
        }
        self.after_start(roots)
    }

    /// Leaves out what lies before the place where the caller wants to go on.
    fn after_start(&self, roots: Vec<Root>) -> Vec<Root> {
        let Some(start) = &self.request.start else {
            return roots;
        };
        let narrow = |root: Root| {
            let scope = self.vfs.scope_from(root.scope, start)?;
            Some(Root { scope, dir: root.dir })
        };
        roots.into_iter().filter_map(narrow).collect()
    }

    fn selects(&self, roots: &[Root], entry: &Entry) -> bool {
        if entry.object.is_marker() {
            return false;
        }
        let root = roots.iter().find(|root| {
            root.scope.mount == entry.mount && entry.object.key.starts_with(&root.scope.prefix)
        });
        let dir = root.map_or("/", |root| root.dir.as_str());
        self.selection.selects(dir, &entry.path, entry.object.size)
    }

    /// Reports an argument that names nothing.
    async fn fail(&mut self, path: &str, error: Error) {
        let Ok(place) = self.window.clone().acquire_owned().await else { return };
        let n = self.next;
        self.next += 1;
        self.board.open(n, path.into(), place);
        self.board.end(n, Err(error.at(path)));
    }

    /// Waits for the object's turn and share of memory, then fetches it as a task of its own.
    async fn admit(&mut self, entry: Entry, explicit: bool) {
        let share = self.share(&entry);
        let place = self.window.clone().acquire_owned().await;
        let bytes = self.bytes.clone().acquire_many_owned(share).await;
        let (Ok(place), Ok(bytes)) = (place, bytes) else { return };
        let n = self.next;
        self.next += 1;
        self.board.open(n, entry.path.as_str().into(), place);
        let job = Job {
            vfs: self.vfs.clone(),
            op: self.op.clone(),
            board: self.board.clone(),
            tally: self.tally.clone(),
            by_name: self.request.search_zip,
            n,
            explicit,
        };
        self.running.push(self.vfs.platform().spawn(job.run(entry, bytes)));
        // Reap what has ended, so that the set stays as small as the window.
        while let Some(Some(_)) = futures_util::FutureExt::now_or_never(self.running.next()) {}
    }

    /// Units of memory that the object may hold: its ranges (one if it fits, else three of a
    /// stream), and the buffer that a long line or a multi-line search may need.
    fn share(&self, entry: &Entry) -> u32 {
        let size = entry.object.size;
        let ranges = if size <= MAX_GET { size } else { 2 * MAX_GET };
        let compressed = Compression::of_path(&entry.path).is_some();
        let heap = self.request.search.heap_limit as u64;
        let buffer = if compressed { heap } else { size.min(heap) };
        let units = (ranges + buffer).div_ceil(UNIT).clamp(1, self.budget);
        u32::try_from(units).unwrap_or(u32::MAX)
    }
}

/// A directory to search.
struct Root {
    scope: Scope,
    /// Its canonical path: globs do not apply to it and what is above.
    dir: String,
}

impl Root {
    fn of(scopes: Vec<Scope>, dir: &str) -> Vec<Self> {
        scopes.into_iter().map(|scope| Self { scope, dir: dir.to_owned() }).collect()
    }
}

/// Fetching and searching of one object.
struct Job<C> {
    vfs: Vfs,
    op: Op,
    board: Arc<Board<C>>,
    tally: Arc<Mutex<Tally>>,
    by_name: bool,
    n: u64,
    explicit: bool,
}

impl<C: crate::platform::MaybeSend + 'static> Job<C> {
    async fn run(self, entry: Entry, bytes: OwnedSemaphorePermit) {
        let path: Arc<str> = entry.path.as_str().into();
        let mut end = self.attempt(&entry, &path).await;
        if let Err(error) = &end
            && error.kind() == Kind::Changed
            && self.board.restart(self.n)
        {
            end = match self.vfs.look_again(&self.op, &entry).await {
                Ok(newer) => {
                    self.reread();
                    self.attempt(&newer, &path).await
                }
                Err(error) => Err(error),
            };
        }
        self.board.end(self.n, end.map_err(|e| e.at(&*path)));
        drop(bytes);
    }

    async fn attempt(&self, entry: &Entry, path: &Arc<str>) -> Result<Found> {
        let content = self.vfs.open(&self.op, entry.clone(), Use::Scan, MAX_GET).await?;
        if content.changed {
            self.reread();
        }
        let haystack = content.haystack(self.by_name, MAX_GET).await?;
        let (done, found) = oneshot::channel();
        let work = Work { path: path.clone(), haystack, explicit: self.explicit, done };
        self.board.offer(self.n, work);
        // The sender is dropped without an answer only when the search panicked or was stopped.
        found.await.unwrap_or_else(|_| {
            Err(Error::new(Kind::Cancelled, "the search of this object was stopped"))
        })
    }

    fn reread(&self) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).reread += 1;
    }
}

fn is_over(error: &Error) -> bool {
    matches!(error.kind(), Kind::Deadline | Kind::Budget | Kind::Cancelled)
}

/// A thread's work: search what is ready until there is no more.
fn worker<R: Report>(
    board: &Board<R::Chunk>,
    pattern: &Pattern,
    search: &SearchOptions,
    mut report: R,
    reserve: bool,
) {
    let mut searcher = None;
    while let Some((n, work)) = board.take(reserve) {
        search_one(board, n, work, pattern, search, &mut searcher, &mut report);
    }
}

async fn inline_worker<R: Report>(
    board: Arc<Board<R::Chunk>>,
    pattern: Arc<Pattern>,
    search: SearchOptions,
    mut report: R,
) {
    let mut searcher = None;
    while let Some((n, work)) = board.take_async().await {
        search_one(&board, n, work, &pattern, &search, &mut searcher, &mut report);
    }
}

fn search_one<R: Report>(
    board: &Board<R::Chunk>,
    n: u64,
    work: Work,
    pattern: &Pattern,
    search: &SearchOptions,
    kept: &mut Option<Searcher>,
    report: &mut R,
) {
    let Work { path, haystack, explicit, done } = work;
    let searcher = match kept.take() {
        Some(searcher) => Ok(searcher),
        None => search.searcher(),
    };
    let mut searcher = match searcher {
        Ok(searcher) => searcher,
        Err(error) => return drop(done.send(Err(error))),
    };
    searcher.set_binary_detection(search.binary_detection(explicit));
    let mut lane = Lane { board, n };
    let found = report.search(pattern, &mut searcher, &path, haystack, &mut lane);
    // A searcher keeps the largest buffer it ever needed: let a grown one go.
    let grown = found.as_ref().map_or(true, |found| found.searched_bytes > KEPT_BUFFER);
    if !grown {
        *kept = Some(searcher);
    }
    // Nobody waits for the answer when the scan was dropped.
    drop(done.send(found.map_err(error_of)));
}

/// A searcher that has seen no object above this many bytes has no buffer worth freeing.
const KEPT_BUFFER: u64 = 1 << 20;

impl<C> Scan<C> {
    /// The next event, in path order; `None` at the end, at the deadline, or when the budget is
    /// spent: the envelope tells which.
    pub async fn next(&mut self) -> Option<ScanEvent<C>> {
        if self.over {
            return None;
        }
        let event = self.wait().await;
        match &event {
            Some(ScanEvent::Failed { path, reason, error }) => {
                if is_over(error) {
                    self.envelope.failed(error);
                    self.stop();
                    return None;
                }
                self.envelope.skip(path, *reason, error.message());
            }
            Some(ScanEvent::End { path, found }) => {
                self.envelope.searched += 1;
                self.envelope.matched += u64::from(found.matched);
                if let Some(offset) = found.binary_offset {
                    let detail = format!("a NUL byte was found near offset {offset}");
                    self.envelope.skip(path, super::answer::SkipReason::Binary, detail);
                }
            }
            Some(ScanEvent::Chunk { .. }) => {}
            None => self.stop(),
        }
        event
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

    /// The caller was asked to stop: stops all work.
    pub fn interrupt(&mut self) {
        self.envelope.lacks(Reason::Cancelled, "it was interrupted");
        self.stop();
    }

    /// Whether no object has been searched.
    pub(super) fn is_idle(&self) -> bool {
        self.envelope.searched == 0
    }

    fn stop(&mut self) {
        self.over = true;
        self.board.cancel();
    }

    /// What was searched so far, what was passed over, and what it cost.
    pub fn envelope(&self) -> Envelope {
        let mut envelope = self.envelope.clone();
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        envelope.listed = tally.listed;
        envelope.notes.extend(tally.notes.iter().cloned());
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
