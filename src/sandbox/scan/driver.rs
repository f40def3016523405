//! Feeds a scan: walks, selects, waits for room, and starts each object's fetch in path order.

use std::{
    cmp::Ordering,
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    super::board::{Board, Guard, Work, WorkKind},
    ScanRequest, Tally, is_over,
    narrow::{From, Narrow, Plan, Verdict},
};
use crate::{
    bucket::MAX_GET,
    cache::Use,
    error::{Error, Kind, Result},
    platform::{MaybeSend, Task},
    search::{Found, Selection},
    vfs::{Compression, Entry, Op, Scope, Target, Vfs, Walk},
};

/// Objects under way at once, the front one included. Wide enough to keep every request permit
/// busy while the front object is slow, narrow enough that a limit of 1 stops within 200 gets.
const WINDOW: usize = 160;

/// The unit of the byte budget: semaphores count in 32 bits.
const UNIT: u64 = 4 << 10;

pub(super) struct Driver<C> {
    vfs: Vfs,
    op: Op,
    board: Arc<Board<C>>,
    tally: Arc<Mutex<Tally>>,
    selection: Selection,
    narrow: Narrow,
    request: ScanRequest,
    window: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    budget: u64,
    next: u64,
    /// Files that the caller named and that were not searched yet, in path order.
    named: VecDeque<Entry>,
    /// Those that were.
    passed: HashSet<String>,
    /// How many there are that no walk has counted.
    named_count: u64,
    running: FuturesUnordered<Task<()>>,
}

impl<C: MaybeSend + 'static> Driver<C> {
    /// A driver whose objects in memory, with their search buffers, take at most `bytes`.
    pub(super) fn new(
        vfs: Vfs,
        op: Op,
        (request, selection, plan): (ScanRequest, Selection, Plan),
        (board, tally): (Arc<Board<C>>, Arc<Mutex<Tally>>),
        bytes: u64,
    ) -> Self {
        let budget = (bytes / UNIT).max(1);
        let narrow = Narrow::new(&vfs, &op, plan);
        Self {
            narrow,
            vfs,
            op,
            board,
            tally,
            selection,
            request,
            window: Arc::new(Semaphore::new(WINDOW)),
            bytes: Arc::new(Semaphore::new(usize::try_from(budget).unwrap_or(1))),
            budget,
            next: 0,
            named: VecDeque::new(),
            passed: HashSet::new(),
            named_count: 0,
            running: FuturesUnordered::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let scopes = self.resolve().await;
        self.note_named();
        let mut walk = self.vfs.walk(&self.op, scopes.iter().map(|s| s.scope.clone()).collect());
        loop {
            self.board.hand_over();
            let step = match walk.next().await {
                Ok(Some(batch)) => {
                    self.note(&walk);
                    self.take_batch(&scopes, batch).await.map(|()| false)
                }
                Ok(None) => {
                    self.admit_named(None).await;
                    Ok(true)
                }
                Err(error) => Err(error),
            };
            match step {
                Ok(false) => {}
                Ok(true) => break,
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
        self.note(&walk);
        self.tally().notes.extend(walk.take_notes());
        self.board.hand_over();
        self.board.close(self.next);
        while self.running.next().await.is_some() {}
    }

    /// Searches those of `batch` that are selected, and that the index does not let alone.
    async fn take_batch(&mut self, scopes: &[Root], batch: Vec<Entry>) -> Result<()> {
        self.narrow.prepare(&batch).await?;
        // A reader with a limit may end before the next batch.
        self.tally().index = self.narrow.used();
        let mut group = Vec::new();
        for entry in batch {
            let named = self.named_is_due(&entry) && {
                // Results come in path order: what stands before it goes first.
                self.take_group(&mut group).await?;
                self.admit_named(Some(&entry)).await
            };
            if !named && self.selects(scopes, &entry) {
                match self.narrow.verdict(&entry, false) {
                    Verdict::LeaveOut(nul) => {
                        let before = self.next + group.len() as u64;
                        self.tally().left.add(before, &entry, nul);
                    }
                    Verdict::Search(from) => group.push((entry, from)),
                }
                if Narrow::is_enough(&group) {
                    self.take_group(&mut group).await?;
                }
            }
        }
        self.take_group(&mut group).await
    }

    /// Fetches what the index hands over of `group` in few requests, and starts its search.
    async fn take_group(&mut self, group: &mut Vec<(Entry, From)>) -> Result<()> {
        if !self.request.dry_run {
            self.narrow.warm(group).await?;
        }
        for (entry, from) in group.drain(..) {
            self.admit(entry, false, from).await;
        }
        Ok(())
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, walk: &Walk) {
        let used = self.narrow.used();
        let mut tally = self.tally();
        tally.listed = walk.listed() + self.named_count;
        tally.index = used;
    }

    fn note_named(&mut self) {
        self.named.make_contiguous().sort_by(|a, b| place(a).cmp(&place(b)));
        if let Some(start) = &self.request.start {
            let vfs = &self.vfs;
            self.named.retain(|entry| {
                let alone = Scope::new(entry.mount, entry.object.key.as_str());
                vfs.scope_from(alone, start).is_some_and(|scope| scope.admits(&entry.object.key))
            });
        }
        self.named_count = self.named.len() as u64;
        self.tally().listed = self.named_count;
    }

    /// Whether a named file is `entry`, or comes before it and is not searched yet.
    fn named_is_due(&self, entry: &Entry) -> bool {
        let due = self.named.front().is_some_and(|first| place(first) <= place(entry));
        due || self.passed.contains(&entry.path)
    }

    /// Searches the named files that come before `entry` in path order, or all of them; answers
    /// whether `entry` itself was named: it is searched once, as a named file.
    async fn admit_named(&mut self, entry: Option<&Entry>) -> bool {
        // A server that lists out of order may bring one whose turn has passed.
        if entry.is_some_and(|entry| self.passed.contains(&entry.path)) {
            self.named_count -= 1;
            return true;
        }
        while let Some(first) = self.named.front() {
            let order = entry.map_or(Ordering::Less, |entry| place(first).cmp(&place(entry)));
            if order == Ordering::Greater {
                return false;
            }
            if let Some(named) = self.named.pop_front() {
                self.passed.insert(named.path.clone());
                match self.narrow.verdict(&named, true) {
                    Verdict::LeaveOut(nul) => self.tally().left.add(self.next, &named, nul),
                    Verdict::Search(from) => self.admit(named, true, from).await,
                }
            }
            if order == Ordering::Equal {
                // The walk has counted it.
                self.named_count -= 1;
                return true;
            }
        }
        false
    }

    /// What the paths mean: files are kept for their turn, directories become scopes.
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
                Ok(Target::File { entry, .. }) => self.named.push_back(entry),
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
        // Globs are not asked of a directory that was named, so each named one above counts.
        roots
            .iter()
            .filter(|root| {
                root.scope.mount == entry.mount && entry.object.key.starts_with(&root.scope.prefix)
            })
            .any(|root| self.selection.selects(&root.dir, &entry.path, entry.object.size))
    }

    /// Reports an argument that names nothing.
    async fn fail(&mut self, path: &str, error: Error) {
        let Ok(place) = self.window.clone().acquire_owned().await else { return };
        let n = self.next;
        self.next += 1;
        self.board.open(n, path.into(), place);
        self.board.end(n, Err(error.at(path)));
    }

    /// Waits for the object's turn and share of memory, then fetches it: at once from a cache, else as a task of its own.
    async fn admit(&mut self, entry: Entry, explicit: bool, from: From) {
        if self.request.dry_run {
            self.tally().estimate.count(&entry.object, matches!(from, From::Bucket));
            return;
        }
        let share = self.share(&entry);
        let place = match self.window.clone().try_acquire_owned() {
            Ok(place) => Ok(place),
            Err(_) => {
                self.board.hand_over();
                self.window.clone().acquire_owned().await
            }
        };
        let bytes = match self.bytes.clone().try_acquire_many_owned(share) {
            Ok(bytes) => Ok(bytes),
            Err(_) => {
                self.board.hand_over();
                self.bytes.clone().acquire_many_owned(share).await
            }
        };
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
            from,
        };
        let mut job = Box::pin(job.run(entry, bytes));
        // What a cache holds is ready at once: a task of its own would only cost a wake-up.
        self.board.gather();
        let pending = futures_util::poll!(&mut job).is_pending();
        self.board.offered();
        if pending {
            self.running.push(self.vfs.platform().spawn(job));
        }
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

/// Where an entry stands in the order of results.
fn place(entry: &Entry) -> (usize, &str) {
    (entry.mount, &entry.object.key)
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
    from: From,
}

impl<C: MaybeSend + 'static> Job<C> {
    async fn run(self, entry: Entry, bytes: OwnedSemaphorePermit) {
        let guard = Guard::new(&self.board, self.n);
        let path: Arc<str> = entry.path.as_str().into();
        let mut share = Some(bytes);
        let mut end = self.attempt(&entry, &path, &mut share).await;
        if let Err(error) = &end
            && error.kind() == Kind::Changed
            && self.board.restart(self.n)
        {
            end = match self.vfs.look_again(&self.op, &entry).await {
                Ok(newer) => {
                    self.reread();
                    self.attempt(&newer, &path, &mut share).await
                }
                Err(error) => Err(error),
            };
        }
        guard.disarm();
        match end {
            Ok(Some(found)) => self.board.end(self.n, Ok(found)),
            // Whoever searches it will say how it ended.
            Ok(None) => {}
            Err(error) => self.board.end(self.n, Err(error.at(&*path))),
        }
    }

    /// Fetches the object and offers it for search. Waits for the end of one that is streamed,
    /// because it may have to be fetched anew; leaves one that is here whole, with its `share` of
    /// the byte budget, to the board.
    async fn attempt(
        &self,
        entry: &Entry,
        path: &Arc<str>,
        share: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Option<Found>> {
        let content = match self.from.content(&self.vfs, &self.op, entry).await {
            Some(content) => {
                self.tally.lock().unwrap_or_else(PoisonError::into_inner).packed += 1;
                content
            }
            None => self.vfs.open(&self.op, entry.clone(), Use::Scan, MAX_GET).await?,
        };
        if content.changed {
            self.reread();
        }
        let size = content.entry.object.size;
        let haystack = content.haystack(self.by_name, MAX_GET).await?;
        let (path, explicit) = (path.clone(), self.explicit);
        if size <= MAX_GET
            && let Some(bytes) = share.take()
        {
            let kind = WorkKind::Whole { size, _bytes: bytes };
            self.board.offer(self.n, Work { path, haystack, explicit, kind });
            return Ok(None);
        }
        let (done, found) = oneshot::channel();
        let kind = WorkKind::Streamed(done);
        self.board.offer(self.n, Work { path, haystack, explicit, kind });
        // The sender is dropped without an answer only when the search broke down.
        found
            .await
            .unwrap_or_else(|_| Err(Error::new(Kind::Io, "the search of this object broke down")))
            .map(Some)
    }

    fn reread(&self) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).reread += 1;
    }
}
