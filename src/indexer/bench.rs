//! The threads on which segments are built.
//!
//! A pool that gives each job whichever thread is free spreads the large tables of a segment over
//! all of them, and an allocator keeps for each thread what was freed there: measured 880 MiB after
//! 35 segments of which one was in memory at a time. On a [`Bench`] the next segment is built where
//! the last one was freed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// A few threads that end with their last handle. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Bench {
    work: Sender<Work>,
}

impl Bench {
    /// `threads` of them; where the system gives none, jobs are not done and say so.
    pub(super) fn new(threads: usize) -> Self {
        let (work, queue) = channel::<Work>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = queue.clone();
            let named = thread::Builder::new().name("r2vfs-build".to_owned());
            let work = move || {
                while let Some(work) = next(&queue) {
                    // Whoever waits hears of a panic by getting no result; the thread goes on.
                    catch_unwind(AssertUnwindSafe(work)).ok();
                }
            };
            named.spawn(work).ok();
        }
        Self { work }
    }

    /// Runs `job` when a thread is free; `None` where it broke down.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let work: Work = Box::new(move || {
            // Whoever has left before its turn wants nothing done.
            if !done.is_closed() {
                drop(done.send(job()));
            }
        });
        self.work.send(work).ok()?;
        result.await.ok()
    }
}

fn next(queue: &Mutex<Receiver<Work>>) -> Option<Work> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[tokio::test]
    async fn jobs_share_few_threads_and_outlive_a_panic() {
        let bench = Bench::new(2);
        assert_eq!(bench.run(|| panic!("on purpose")).await, None::<()>);
        let mut threads = HashSet::new();
        for _ in 0..50 {
            threads.insert(bench.run(|| thread::current().id()).await.expect("a result"));
        }
        assert!((1..=2).contains(&threads.len()), "{threads:?}");
    }
}
