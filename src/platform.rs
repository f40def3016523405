//! What differs between a server process and a Worker: time, tasks and threads.
//!
//! Naming tokio in the middle of the tree would tie every reader of a bucket to a runtime that a
//! Worker has not got. [`Platform`] is a handful of functions handed in at the start: a clock, a
//! timer, a spawner, and threads where there are any.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{AbortHandle, abortable};
use tokio::sync::oneshot;

// `Send` where the platform has threads, nothing where it has none.
#[cfg(not(target_family = "wasm"))]
mod maybe {
    #![allow(missing_docs, reason = "documented where they are re-exported")]
    pub trait MaybeSend: Send {}
    impl<T: Send + ?Sized> MaybeSend for T {}
    pub trait MaybeSync: Sync {}
    impl<T: Sync + ?Sized> MaybeSync for T {}
    pub type BoxFuture<'a, T> = futures_util::future::BoxFuture<'a, T>;
    pub type Job = Box<dyn FnOnce() + Send>;
    pub type Hook<A, R> = Box<dyn Fn(A) -> R + Send + Sync>;
}
#[cfg(target_family = "wasm")]
mod maybe {
    #![allow(missing_docs, reason = "documented where they are re-exported")]
    pub trait MaybeSend {}
    impl<T: ?Sized> MaybeSend for T {}
    pub trait MaybeSync {}
    impl<T: ?Sized> MaybeSync for T {}
    pub type BoxFuture<'a, T> = futures_util::future::LocalBoxFuture<'a, T>;
    pub type Job = Box<dyn FnOnce()>;
    pub type Hook<A, R> = Box<dyn Fn(A) -> R>;
}
pub use maybe::{BoxFuture, Hook, Job, MaybeSend, MaybeSync};

/// The functions a platform must bring. All but the two that need threads are required.
pub struct Hooks {
    /// A future that is ready after this long.
    pub sleep: Hook<Duration, BoxFuture<'static, ()>>,
    /// Starts a future that runs on its own.
    pub spawn: Hook<BoxFuture<'static, ()>, ()>,
    /// Time since the Unix epoch.
    pub wall_clock: Hook<(), Duration>,
    /// Time since some fixed moment, never going back.
    pub monotonic: Hook<(), Duration>,
    /// Runs a job on a thread that may block, or `None` where there are no threads.
    pub run_blocking: Option<Hook<Job, ()>>,
    /// Runs a job that lives for long and blocks often, on a thread that nobody else waits for;
    /// `None` where there are no threads.
    pub run_worker: Option<Hook<Job, ()>>,
    /// How many searches may run side by side; 1 without threads.
    pub parallelism: usize,
}

/// Time, tasks and threads of the platform this runs on. Cheap to clone.
#[derive(Clone)]
pub struct Platform(Arc<Hooks>);

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").field("parallelism", &self.0.parallelism).finish_non_exhaustive()
    }
}

impl Platform {
    /// A platform made of the given functions (a Worker, a test, another runtime).
    pub fn new(hooks: Hooks) -> Self {
        Self(Arc::new(hooks))
    }

    /// The tokio runtime this is called in.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(feature = "native")]
    #[expect(clippy::disallowed_methods, reason = "this is where they are brought in")]
    pub fn tokio() -> Self {
        let handle = tokio::runtime::Handle::current();
        let (blocking, pool) = (handle.clone(), handle.clone());
        let start = std::time::Instant::now();
        Self::new(Hooks {
            sleep: Box::new(|d| Box::pin(tokio::time::sleep(d))),
            spawn: Box::new(move |f| drop(handle.spawn(f))),
            wall_clock: Box::new(|()| {
                std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or(Duration::ZERO)
            }),
            monotonic: Box::new(move |()| start.elapsed()),
            run_blocking: Some(Box::new(move |job| drop(blocking.spawn_blocking(job)))),
            run_worker: Some(Box::new(move |job| {
                // Of the pool's threads some must always be left for reads that the workers wait
                // for, and many scans at once have many workers.
                let shared = Arc::new(std::sync::Mutex::new(Some(job)));
                let job = shared.clone();
                let run = move || {
                    let job = job.lock().ok().and_then(|mut job| job.take());
                    if let Some(job) = job {
                        job();
                    }
                };
                let thread = std::thread::Builder::new().name("r2vfs-search".to_owned());
                if thread.spawn(run).is_err() {
                    // No more threads: the pool's must do.
                    if let Some(job) = shared.lock().ok().and_then(|mut job| job.take()) {
                        drop(pool.spawn_blocking(job));
                    }
                }
            })),
            parallelism: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }

    /// Whether a search may block while its bytes arrive.
    pub fn has_threads(&self) -> bool {
        self.0.run_blocking.is_some() && self.0.run_worker.is_some()
    }

    /// How many searches may run side by side, at least 1.
    pub fn parallelism(&self) -> usize {
        self.0.parallelism.max(1)
    }

    /// Time since the Unix epoch.
    pub fn wall_clock(&self) -> Duration {
        (self.0.wall_clock)(())
    }

    /// Time since some fixed moment, never going back.
    pub fn monotonic(&self) -> Duration {
        (self.0.monotonic)(())
    }

    /// Ready after `duration`.
    pub fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        (self.0.sleep)(duration)
    }

    /// Runs `future` as a task of its own. Dropping the answer stops the task.
    pub fn spawn<T: MaybeSend + 'static>(
        &self,
        future: impl Future<Output = T> + MaybeSend + 'static,
    ) -> Task<T> {
        let (sender, receiver) = oneshot::channel();
        let (future, abort) = abortable(future);
        (self.0.spawn)(Box::pin(async move {
            if let Ok(value) = future.await {
                // The receiver is gone when the task was dropped: nobody wants the value.
                drop(sender.send(value));
            }
        }));
        Task { receiver, abort: Some(abort) }
    }

    /// Runs `job` where blocking is allowed; at once, in the caller, where there are no threads.
    /// A job cannot be stopped from outside: let it watch a flag or a channel.
    pub fn blocking<T: MaybeSend + 'static>(
        &self,
        job: impl FnOnce() -> T + MaybeSend + 'static,
    ) -> Task<T> {
        let (sender, receiver) = oneshot::channel();
        let run = move || drop(sender.send(job()));
        match self.0.run_blocking.as_ref().filter(|_| self.has_threads()) {
            Some(hook) => hook(Box::new(run)),
            None => run(),
        }
        Task { receiver, abort: None }
    }
}

impl Platform {
    /// Starts `job` on a thread of its own; it must end by itself. Nothing happens without threads.
    pub fn worker(&self, job: impl FnOnce() + MaybeSend + 'static) {
        if let Some(hook) = &self.0.run_worker {
            hook(Box::new(job));
        }
    }
}

/// A running task; dropping it stops it (a blocking job only loses its answer).
#[derive(Debug)]
pub struct Task<T> {
    receiver: oneshot::Receiver<T>,
    abort: Option<AbortHandle>,
}

impl<T> Task<T> {
    /// Tells it to stop; it is ready when it has.
    pub fn stop(&self) {
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }
}

impl<T> Future for Task<T> {
    /// `None` when the task was stopped or panicked.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(cx).map(Result::ok)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.stop();
    }
}
