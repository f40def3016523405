//! Searches what a scan has fetched, on threads that may block, or in line where there are none.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
};

use grep_searcher::Searcher;

use super::super::board::{Board, End, Lane, Stoppable, Work, WorkKind};
use crate::{
    error::{Error, Kind},
    search::{Pattern, Report, SearchOptions, report::error_of},
    vfs::Haystack,
};

/// A searcher that has seen no object above this many bytes has no buffer worth freeing.
const KEPT_BUFFER: u64 = 1 << 20;

/// A thread's work: search what is ready until there is no more.
pub(super) fn run<R: Report>(
    board: &Board<R::Chunk>,
    pattern: &Pattern,
    search: &SearchOptions,
    mut report: R,
    reserve: bool,
) {
    let mut searcher = None;
    while let Some(batch) = board.take(reserve) {
        for (n, work) in batch {
            // A panic must cost its object only: the others of the batch, and this thread, are
            // counted on.
            let search = || search_one(board, n, work, pattern, search, &mut searcher, &mut report);
            let end = catch_unwind(AssertUnwindSafe(search)).unwrap_or_else(|_| {
                searcher = None;
                Some(Err(Error::new(Kind::Io, "the search of this object broke down")))
            });
            if let Some(end) = end {
                board.end_quietly(n, end);
            }
        }
        board.tell_reader();
    }
}

/// Lets other futures of the task run once.
async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The same in line, one object at a time.
pub(super) async fn run_inline<R: Report>(
    board: Arc<Board<R::Chunk>>,
    pattern: Arc<Pattern>,
    search: SearchOptions,
    mut report: R,
) {
    let mut searcher = None;
    while let Some((n, work)) = board.take_async().await {
        let end = search_one(&board, n, work, &pattern, &search, &mut searcher, &mut report);
        if let Some(end) = end {
            board.end(n, end);
        }
        // The reader runs on the same thread: let it take what there is.
        yield_now().await;
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
) -> Option<End> {
    let Work { path, haystack, explicit, kind } = work;
    let eager = matches!(kind, WorkKind::Streamed(_));
    let mut lane = Lane { board, n, eager };
    let end = search_bytes(&mut lane, (&path, haystack, explicit), pattern, search, kept, report);
    match kind {
        WorkKind::Whole { .. } => Some(end.map_err(|e| e.at(&*path))),
        WorkKind::Streamed(done) => {
            // Nobody waits for the answer when the scan was dropped.
            drop(done.send(end));
            None
        }
    }
}

fn search_bytes<R: Report>(
    lane: &mut Lane<'_, R::Chunk>,
    (path, haystack, explicit): (&str, Haystack, bool),
    pattern: &Pattern,
    search: &SearchOptions,
    kept: &mut Option<Searcher>,
    report: &mut R,
) -> End {
    let mut searcher = match kept.take() {
        Some(searcher) => searcher,
        None => search.searcher()?,
    };
    searcher.set_binary_detection(search.binary_detection(explicit));
    let haystack = Stoppable { board: lane.board, haystack };
    let found = report.search(pattern, &mut searcher, path, haystack, lane);
    // A searcher keeps the largest buffer it ever needed: let a grown one go.
    if found.as_ref().is_ok_and(|found| found.searched_bytes <= KEPT_BUFFER) {
        *kept = Some(searcher);
    }
    found.map_err(error_of)
}
