//! How often, how soon, and until when.
//!
//! The SDK retries inside a call, where it holds a permit while it sleeps and knows nothing of
//! the operation's deadline. [`Tries`] is the loop's state instead: a permit is held only while
//! an attempt runs, every pause ends before the deadline or is not begun, and the last failure
//! says how often and how long it was tried.

use std::{
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    pin::pin,
    task::Poll,
    time::Duration,
};

use futures_util::future::poll_fn;

use super::errors::{Failure, Retry};
use crate::{
    bucket::{Permit, Permits},
    error::{Error, Kind, Result},
    platform::Platform,
};

/// object_store's numbers (`backoff.rs`, `retry.rs`), which its users have run against S3, R2
/// and MinIO for years.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
const MOST_TRIES: u32 = 10;
const LONGEST: Duration = Duration::from_secs(180);

/// Where nothing has ever answered, the address is more likely wrong than the server down: three
/// tries are over within half a second.
const MOST_UNREACHED: u32 = 3;

/// The attempts at one request.
#[derive(Debug)]
pub(super) struct Tries<'a> {
    platform: &'a Platform,
    deadline: Option<Duration>,
    /// Whether the endpoint has ever answered anything.
    answered: bool,
    tries: u32,
    /// When the first attempt began, or the last one that got further.
    since: Duration,
    /// Pauses grow from here; an attempt that got further starts them afresh.
    fruitless: u32,
}

impl<'a> Tries<'a> {
    pub(super) fn new(platform: &'a Platform, deadline: Option<Duration>, answered: bool) -> Self {
        let since = platform.monotonic();
        Self { platform, deadline, answered, tries: 0, since, fruitless: 0 }
    }

    /// A permit for the next attempt.
    pub(super) async fn permit(&mut self, permits: &Permits) -> Result<Permit> {
        if self.deadline.is_some_and(|deadline| self.platform.monotonic() >= deadline) {
            return Err(too_late(None));
        }
        let permit = within(self.platform, self.deadline, permits.acquire()).await;
        self.tries += 1;
        permit.unwrap_or_else(|| Err(too_late(None)))
    }

    /// Whether the attempt under way repeats a failed one.
    pub(super) fn repeats(&self) -> bool {
        self.tries > 1
    }

    /// The last attempt failed, but brought a part of what was asked for.
    pub(super) fn got_further(&mut self) {
        self.since = self.platform.monotonic();
        self.fruitless = 0;
    }

    /// Waits until the next attempt, or says that there is none.
    ///
    /// # Errors
    /// The failure's own error when a repeat cannot mend it; [`Kind::Unavailable`] when the tries
    /// are spent and [`Kind::Deadline`] when the pause would end after the deadline.
    pub(super) async fn again(&mut self, failure: Failure) -> Result<()> {
        let asked_pause = match failure.retry {
            Retry::Never => return Err(failure.error),
            Retry::Soon | Retry::Unreached => Duration::ZERO,
            Retry::After(pause) => pause,
        };
        self.fruitless += 1;
        let now = self.platform.monotonic();
        let most = match failure.retry {
            Retry::Unreached if !self.answered => MOST_UNREACHED,
            _ => MOST_TRIES,
        };
        let pause = asked_pause.max(pause(self.fruitless, random()));
        if self.deadline.is_some_and(|deadline| now + pause >= deadline) {
            return Err(too_late(Some(failure.error)));
        }
        if self.tries >= most || now + pause - self.since > LONGEST {
            return Err(spent(failure.error, self.tries));
        }
        self.platform.sleep(pause).await;
        Ok(())
    }
}

/// Full jitter: anything from nothing to the exponential bound, so that many requests which
/// failed together do not come back together. `random` is uniform over all of `u64`.
fn pause(fruitless: u32, random: u64) -> Duration {
    let doublings = fruitless.saturating_sub(1).min(16);
    let bound = (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE);
    bound.mul_f64(random as f64 / u64::MAX as f64)
}

/// The standard library's own randomly seeded hasher: enough to spread pauses, and no
/// dependency.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn spent(last: Error, tries: u32) -> Error {
    let kind = last.kind();
    let message = format!("{}, {tries} times", last.message());
    let hint = last.advice().unwrap_or("try later; fewer requests at once may help").to_owned();
    Error::new(kind, message).hint(hint).because(last)
}

fn too_late(last: Option<Error>) -> Error {
    let error = |message: String| {
        Error::new(Kind::Deadline, message).hint("allow more time, or ask for less")
    };
    match last {
        None => error("the deadline passed before the request was sent".to_owned()),
        Some(last) => {
            error(format!("the deadline leaves no time for another try: {}", last.message()))
                .because(last)
        }
    }
}

/// The future's value, or `None` when `until` (on the monotonic clock) comes first. The timer
/// starts only when the future is not ready at once: most chunks of a body are.
pub(super) async fn within<T>(
    platform: &Platform,
    until: Option<Duration>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    let mut timer = None;
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        let Some(until) = until else { return Poll::Pending };
        let timer =
            timer.get_or_insert_with(|| platform.sleep(until.saturating_sub(platform.monotonic())));
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}
