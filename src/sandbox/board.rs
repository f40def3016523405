//! Where fetching, searching and reading meet.
//!
//! Objects arrive in any order, are searched on several threads, and must come out in path order
//! within bounded memory. Plain queues deadlock here: when the results of later objects fill the
//! buffer, the first object, whose results would drain it, may find no thread and no room.
//! [`Board`] knows which object is the front one, and always has room and a thread for it.

mod lane;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

pub(super) use self::lane::{Guard, Lane, Stoppable};
use super::answer::SkipReason;
use crate::{
    error::{Error, Kind},
    search::Found,
    vfs::Haystack,
};

/// Results of objects behind the front one, in bytes, that may wait for their turn: 16 MiB.
const WAITING: usize = 16 << 20;

/// Results of the front object that may wait for the reader, so that a slow reader holds the
/// search up instead of filling memory.
const FRONT: usize = 1 << 20;

/// Objects that a thread takes at once when they lie ready: waking threads for each of thousands
/// of small cached objects costs more than searching them (7,000 context switches in a grep of
/// 1,812 objects that takes 40 ms).
const BATCH: usize = 16;

/// Bytes of a batch: what a thread searches well within a millisecond.
const BATCH_BYTES: u64 = 1 << 20;

/// What a scan gives out.
#[derive(Debug)]
pub enum ScanEvent<C> {
    /// Results of one object; an object gives any number of these, then an end.
    Chunk {
        /// Its canonical path.
        path: Arc<str>,
        /// In the form of the report that was asked for.
        chunk: C,
    },
    /// The search of an object ended well.
    End {
        /// Its canonical path.
        path: Arc<str>,
        /// What was found.
        found: Found,
    },
    /// The search of an object ended badly; results given out before stay true.
    Failed {
        /// The canonical path, of an object or of an argument.
        path: Arc<str>,
        /// The class of failure.
        reason: SkipReason,
        /// What was wrong.
        error: Error,
    },
}

/// An object whose first bytes are here.
pub(super) struct Work {
    pub(super) path: Arc<str>,
    pub(super) haystack: Haystack,
    /// Named by the caller, not found by a walk: ripgrep treats its NUL bytes differently.
    pub(super) explicit: bool,
    pub(super) kind: WorkKind,
}

/// How an object is fetched.
pub(super) enum WorkKind {
    /// Its bytes are all here: nothing can change any more, and its end is final.
    Whole {
        /// Stored bytes.
        size: u64,
        /// Its share of the byte budget, given back when it ends.
        _bytes: OwnedSemaphorePermit,
    },
    /// More bytes are coming, and whoever sent it wants to hear how it ends.
    Streamed(oneshot::Sender<End>),
}

/// How an object ended.
pub(super) type End = Result<Found, Error>;

pub(super) struct Board<C> {
    state: Mutex<State<C>>,
    /// Wakes idle threads: work came, or all is over.
    idle: Condvar,
    /// Wakes threads that are stuck: room came, the front moved, or all is over.
    room: Condvar,
    /// Wakes the reserve: all others are stuck, or all is over.
    reserve: Condvar,
    /// Wakes the reader.
    reader: Notify,
    /// Wakes the one worker of a platform without threads.
    work: Notify,
    has_threads: bool,
}

struct State<C> {
    front: u64,
    slots: BTreeMap<u64, Slot<C>>,
    waiting: usize,
    ready: BTreeMap<u64, Work>,
    /// Workers that wait for room.
    stuck: usize,
    workers: usize,
    has_threads: bool,
    /// Work is being put together: threads are woken for [`BATCH`] objects at a time.
    gathering: bool,
    /// Objects that no thread was woken for yet.
    gathered: usize,
    /// Places of objects that have ended, given back several at a time for the same reason.
    freed: Vec<OwnedSemaphorePermit>,
    /// A thread waits although there is work or while it has results to put.
    pressed: bool,
    /// Set once no more objects come: how many there are.
    total: Option<u64>,
    cancelled: bool,
    broken: bool,
}

struct Slot<C> {
    path: Arc<str>,
    chunks: VecDeque<(C, usize)>,
    bytes: usize,
    /// Something of it was given out: it cannot be searched anew.
    released: bool,
    end: Option<End>,
    /// Its place in the window of objects under way.
    place: OwnedSemaphorePermit,
}

impl<C> Slot<C> {
    fn is_ready(&self) -> bool {
        !self.chunks.is_empty() || self.end.is_some()
    }
}

impl<C> Board<C> {
    pub(super) fn new(has_threads: bool, workers: usize) -> Self {
        Self {
            state: Mutex::new(State {
                front: 0,
                slots: BTreeMap::new(),
                waiting: 0,
                ready: BTreeMap::new(),
                stuck: 0,
                workers,
                has_threads,
                gathering: false,
                gathered: 0,
                freed: Vec::new(),
                pressed: false,
                total: None,
                cancelled: false,
                broken: false,
            }),
            idle: Condvar::new(),
            room: Condvar::new(),
            reserve: Condvar::new(),
            reader: Notify::new(),
            work: Notify::new(),
            has_threads,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        // A panicking search leaves the board whole: its slot ends when its guard is dropped.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Object number `n` is under way.
    pub(super) fn open(&self, n: u64, path: Arc<str>, place: OwnedSemaphorePermit) {
        let slot =
            Slot { path, chunks: VecDeque::new(), bytes: 0, released: false, end: None, place };
        self.state().slots.insert(n, slot);
    }

    /// Object number `n` has bytes to search.
    pub(super) fn offer(&self, n: u64, work: Work) {
        let mut state = self.state();
        state.ready.insert(n, work);
        if state.stuck >= state.workers {
            // It may be the front object, and nobody else can take it.
            self.reserve.notify_one();
        }
        state.gathered += 1;
        if state.gathering && !state.pressed && state.gathered < BATCH {
            return;
        }
        let many = std::mem::take(&mut state.gathered) > 1;
        drop(state);
        match many {
            true => self.idle.notify_all(),
            false => self.idle.notify_one(),
        }
        self.work.notify_one();
    }

    /// What is offered between this and [`offered`](Self::offered) is at hand at once, as from a
    /// cache, and more may follow.
    pub(super) fn gather(&self) {
        self.state().gathering = true;
    }

    pub(super) fn offered(&self) {
        self.state().gathering = false;
    }

    /// Wakes threads for what was gathered: whoever gathers is going to wait.
    pub(super) fn hand_over(&self) {
        let gathered = std::mem::take(&mut self.state().gathered);
        if gathered > 0 {
            self.idle.notify_all();
            self.work.notify_one();
        }
    }

    /// Object number `n` has ended.
    pub(super) fn end(&self, n: u64, end: End) {
        self.end_quietly(n, end);
        self.tell_reader();
    }

    /// Like [`end`](Self::end), before an early [`tell_reader`](Self::tell_reader). The end must
    /// be on the board at once all the same: the reader may be on its way, and whoever has
    /// results to put waits for the front to move.
    pub(super) fn end_quietly(&self, n: u64, end: End) {
        if let Some(slot) = self.state().slots.get_mut(&n) {
            slot.end = Some(end);
        }
    }

    pub(super) fn tell_reader(&self) {
        self.reader.notify_one();
    }

    /// Forgets the results of object number `n`, for a search of a newer version. Answers
    /// whether that was possible.
    pub(super) fn restart(&self, n: u64) -> bool {
        let mut state = self.state();
        let Some(slot) = state.slots.get_mut(&n).filter(|slot| !slot.released) else {
            return false;
        };
        slot.chunks.clear();
        let bytes = std::mem::take(&mut slot.bytes);
        state.waiting -= bytes;
        drop(state);
        self.wake_threads();
        true
    }

    fn wake_threads(&self) {
        self.idle.notify_all();
        self.room.notify_all();
        self.reserve.notify_all();
    }

    /// There are `total` objects and no more.
    pub(super) fn close(&self, total: u64) {
        self.state().total = Some(total);
        self.reader.notify_one();
        self.wake_threads();
        self.work.notify_one();
    }

    /// Stops everything because what drives the scan is gone.
    pub(super) fn break_down(&self) {
        self.state().broken = true;
        self.cancel();
    }

    pub(super) fn is_broken(&self) -> bool {
        self.state().broken
    }

    /// Whether everything is stopped.
    pub(super) fn is_cancelled(&self) -> bool {
        self.state().cancelled
    }

    /// Stops everything.
    pub(super) fn cancel(&self) {
        let mut state = self.state();
        state.cancelled = true;
        // What waits to be searched may still be fetching.
        let ready = std::mem::take(&mut state.ready);
        drop(state);
        drop(ready);
        self.reader.notify_one();
        self.wake_threads();
        self.work.notify_one();
    }

    /// The work to do next: the earliest object, because it is wanted first. While results wait
    /// beyond their bound only the front object may start. `reserve` is the one worker that
    /// takes nothing but the front object, and only when all others are stuck. Small objects come
    /// several at a time.
    pub(super) fn take(&self, reserve: bool) -> Option<Vec<(u64, Work)>> {
        let mut state = self.state();
        loop {
            match state.next_work(reserve) {
                Next::Work(n, work) => {
                    let mut batch = vec![(n, work)];
                    // The reserve must be free again for the next front object.
                    if !reserve {
                        state.fill(&mut batch);
                    }
                    return Some(batch);
                }
                Next::Over => return None,
                Next::Wait => {
                    let condition = if reserve { &self.reserve } else { &self.idle };
                    state = condition.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// [`take`](Self::take) for a platform without threads.
    pub(super) async fn take_async(&self) -> Option<(u64, Work)> {
        loop {
            match self.state().next_work(false) {
                Next::Work(n, work) => return Some((n, work)),
                Next::Over => return None,
                Next::Wait => {}
            }
            self.work.notified().await;
        }
    }

    fn put(&self, n: u64, chunk: C, bytes: usize, eager: bool) -> io::Result<()> {
        let mut state = self.state();
        if !state.cancelled && !state.has_room(n, bytes) {
            if !self.has_threads {
                // Nobody can make room while this runs.
                let message = "its results do not fit in memory";
                return Err(io::Error::other(Error::new(Kind::TooLarge, message)));
            }
            state.stuck += 1;
            // The reserve may be wanted now, and the reader may not have been told of ends.
            self.reserve.notify_one();
            self.reader.notify_one();
            while !state.cancelled && !state.has_room(n, bytes) {
                state.pressed = true;
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.stuck -= 1;
        }
        if state.cancelled {
            return Err(stopped());
        }
        state.waiting += bytes;
        let is_front = eager && state.front == n;
        if let Some(slot) = state.slots.get_mut(&n) {
            slot.bytes += bytes;
            slot.chunks.push_back((chunk, bytes));
        }
        drop(state);
        if is_front {
            self.reader.notify_one();
        }
        Ok(())
    }

    /// The next event in path order, or `None` when all objects have ended or all is stopped.
    pub(super) async fn next(&self) -> Option<ScanEvent<C>> {
        loop {
            if let Some(event) = self.poll_front() {
                return event;
            }
            self.reader.notified().await;
        }
    }

    /// `None`: nothing yet. `Some(None)`: the end.
    fn poll_front(&self) -> Option<Option<ScanEvent<C>>> {
        let mut state = self.state();
        if state.cancelled {
            return Some(None);
        }
        let front = state.front;
        if state.total == Some(front) {
            return Some(None);
        }
        let Some(slot) = state.slots.get_mut(&front).filter(|slot| slot.is_ready()) else {
            // The reader is going to wait for what these places are needed for.
            let freed = std::mem::take(&mut state.freed);
            drop(state);
            drop(freed);
            return None;
        };
        if let Some((chunk, bytes)) = slot.chunks.pop_front() {
            slot.released = true;
            slot.bytes -= bytes;
            let path = slot.path.clone();
            state.waiting -= bytes;
            let pressed = std::mem::take(&mut state.pressed);
            drop(state);
            if pressed {
                self.wake_threads();
            }
            self.work.notify_one();
            return Some(Some(ScanEvent::Chunk { path, chunk }));
        }
        let end = slot.end.take()?;
        let path = slot.path.clone();
        let places = state.slots.remove(&front).map(|slot| slot.place);
        state.freed.extend(places);
        let freed = match state.freed.len() {
            BATCH.. => std::mem::take(&mut state.freed),
            _ => Vec::new(),
        };
        state.front += 1;
        // Threads end with the last object.
        let wake = std::mem::take(&mut state.pressed) || state.total == Some(state.front);
        drop(state);
        drop(freed);
        if wake {
            self.wake_threads();
        }
        self.work.notify_one();
        Some(Some(match end {
            Ok(found) => ScanEvent::End { path, found },
            Err(error) => ScanEvent::Failed { path, reason: SkipReason::of(&error), error },
        }))
    }
}

enum Next {
    Work(u64, Work),
    Wait,
    Over,
}

impl<C> State<C> {
    fn next_work(&mut self, reserve: bool) -> Next {
        if self.cancelled {
            return Next::Over;
        }
        let Some((&n, _)) = self.ready.first_key_value() else {
            // Work can come back for an object that changed, until the last one has ended.
            return if self.total == Some(self.front) { Next::Over } else { Next::Wait };
        };
        let is_front = n == self.front;
        let may = match (self.has_threads, reserve) {
            // Nothing can be taken away while the one worker searches: only the front object's
            // results are sure to find room.
            (false, _) => is_front,
            (true, true) => is_front && self.stuck >= self.workers,
            (true, false) => is_front || self.waiting < WAITING,
        };
        match may.then(|| self.ready.pop_first()).flatten() {
            Some((n, work)) => Next::Work(n, work),
            None => {
                self.pressed = true;
                Next::Wait
            }
        }
    }

    /// Adds small objects that follow to a batch of small ones, as far as results have room.
    fn fill(&mut self, batch: &mut Vec<(u64, Work)>) {
        let size = |work: &Work| match work.kind {
            WorkKind::Whole { size, .. } => size,
            WorkKind::Streamed(_) => u64::MAX,
        };
        let mut bytes = batch.iter().map(|(_, work)| size(work)).fold(0, u64::saturating_add);
        // A share for each thread: a batch must not leave the others idle.
        let most = BATCH.min(self.ready.len() / self.workers.max(1));
        while batch.len() < most && self.waiting < WAITING {
            let Some(next) = self.ready.first_entry() else { return };
            bytes = bytes.saturating_add(size(next.get()));
            if bytes > BATCH_BYTES {
                return;
            }
            batch.push(next.remove_entry());
        }
    }

    fn has_room(&self, n: u64, bytes: usize) -> bool {
        if n != self.front {
            return self.waiting + bytes <= WAITING;
        }
        let held = self.slots.get(&n).map_or(0, |slot| slot.bytes);
        let most = if self.has_threads { FRONT } else { WAITING };
        held == 0 || held + bytes <= most
    }
}

fn stopped() -> io::Error {
    io::Error::other(Error::new(Kind::Cancelled, "the search was stopped"))
}
