//! How often, how soon, and until when.
//!
//! The SDK retries inside a call, where it holds a permit while it sleeps and knows nothing of
//! the operation's deadline. [`Tries`] is the loop's state instead: a permit is held only while
//! an attempt runs, every pause ends before the deadline or is not begun, and the last failure
//! says how often and how long it was tried.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use super::errors::{Failure, Retry};
use crate::{
    bucket::{Permit, Permits, deadline::within},
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
        let queued = self.platform.monotonic();
        let permit = within(self.platform, self.deadline, permits.acquire()).await;
        // Time in the queue is no trying: a request that waited three minutes for its turn would
        // be given up at its first failure.
        self.since += self.platform.monotonic().saturating_sub(queued);
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
        // A server may ask for any pause, also one that no clock can hold.
        let until = now.saturating_add(pause);
        if self.deadline.is_some_and(|deadline| until >= deadline) {
            return Err(too_late(Some(failure.error)));
        }
        if self.tries >= most || until.saturating_sub(self.since) > LONGEST {
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    };

    use super::*;
    use crate::platform::Hooks;

    /// A clock that only sleeping moves.
    struct Clock {
        platform: Platform,
        pauses: Arc<Mutex<Vec<Duration>>>,
    }

    fn clock() -> Clock {
        let now = Arc::new(AtomicU64::new(1_000_000));
        let pauses = Arc::new(Mutex::new(Vec::new()));
        let (seen, slept, passed) = (now.clone(), pauses.clone(), now);
        let micros = |d: Duration| u64::try_from(d.as_micros()).expect("short");
        let platform = Platform::new(Hooks {
            sleep: Box::new(move |pause| {
                passed.fetch_add(micros(pause), SeqCst);
                slept.lock().expect("whole").push(pause);
                Box::pin(std::future::ready(()))
            }),
            spawn: Box::new(|_| {}),
            wall_clock: Box::new(|()| Duration::ZERO),
            monotonic: Box::new(move |()| Duration::from_micros(seen.load(SeqCst))),
            run_blocking: None,
            run_worker: None,
            parallelism: 1,
        });
        Clock { platform, pauses }
    }

    fn failure(retry: Retry) -> Failure {
        Failure { error: Error::new(Kind::Unavailable, "it failed"), retry }
    }

    /// Fails until there is no other try; how many were made, and the last error.
    async fn exhaust(clock: &Clock, retry: Retry, answered: bool) -> (u32, Error) {
        let permits = Permits::new(1);
        let mut tries = Tries::new(&clock.platform, None, answered);
        loop {
            let permit = tries.permit(&permits).await.expect("a permit");
            drop(permit);
            if let Err(error) = tries.again(failure(retry)).await {
                return (tries.tries, error);
            }
        }
    }

    #[test]
    fn pauses_double_up_to_their_bound_and_are_jittered_over_all_of_it() {
        let bounds = [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000];
        for (tries, bound) in (1..).zip(bounds) {
            assert_eq!(pause(tries, u64::MAX), Duration::from_millis(bound), "{tries}");
            assert_eq!(pause(tries, 0), Duration::ZERO);
        }
        assert_eq!(pause(u32::MAX, u64::MAX), LONGEST_PAUSE);
        assert_ne!(random(), random());
    }

    #[tokio::test]
    async fn tries_end() {
        let soon = clock();
        let (tries, error) = exhaust(&soon, Retry::Soon, true).await;
        assert_eq!((tries, error.kind()), (MOST_TRIES, Kind::Unavailable));
        assert_eq!(error.message(), "it failed, 10 times");
        let never = clock();
        assert_eq!(exhaust(&never, Retry::Never, true).await.0, 1);
        assert!(never.pauses.lock().expect("whole").is_empty());
        let slow = clock();
        let (tries, _) = exhaust(&slow, Retry::After(Duration::from_secs(50)), true).await;
        assert_eq!(tries, 4, "three pauses of 50 s fit into 180 s");
        for pause in [Duration::from_secs(181), Duration::from_secs(u64::MAX), Duration::MAX] {
            let endless = clock();
            let (tries, _) = exhaust(&endless, Retry::After(pause), true).await;
            assert_eq!((tries, endless.pauses.lock().expect("whole").len()), (1, 0), "{pause:?}");
        }
    }

    #[tokio::test]
    async fn an_address_where_nothing_ever_answered_is_tried_less_often() {
        assert_eq!(exhaust(&clock(), Retry::Unreached, false).await.0, MOST_UNREACHED);
        assert_eq!(exhaust(&clock(), Retry::Unreached, true).await.0, MOST_TRIES);
    }

    #[tokio::test]
    async fn no_pause_ends_after_the_deadline() {
        let clock = clock();
        let deadline = clock.platform.monotonic() + Duration::from_secs(20);
        let mut tries = Tries::new(&clock.platform, Some(deadline), true);
        let pause = Retry::After(Duration::from_secs(15));
        tries.again(failure(pause)).await.expect("15 s are left");
        let error = tries.again(failure(pause)).await.expect_err("5 s are left");
        assert_eq!(error.kind(), Kind::Deadline);
        assert_eq!(clock.pauses.lock().expect("whole").len(), 1);
        let mut late = Tries::new(&clock.platform, Some(Duration::ZERO), true);
        let refused = late.permit(&Permits::new(1)).await.expect_err("it has passed");
        assert_eq!(refused.kind(), Kind::Deadline);
    }

    #[tokio::test]
    async fn progress_starts_the_pauses_afresh() {
        let clock = clock();
        let permits = Permits::new(1);
        let mut tries = Tries::new(&clock.platform, None, true);
        for _ in 0..8 {
            drop(tries.permit(&permits).await.expect("a permit"));
            tries.got_further();
            tries.again(failure(Retry::Soon)).await.expect("another try");
        }
        assert!(clock.pauses.lock().expect("whole").iter().all(|pause| *pause <= FIRST_PAUSE));
    }

    #[tokio::test]
    async fn a_permit_is_not_waited_for_beyond_the_deadline() {
        let clock = clock();
        let permits = Permits::new(1);
        let held = permits.acquire().await.expect("free");
        let deadline = clock.platform.monotonic() + Duration::from_secs(1);
        let mut tries = Tries::new(&clock.platform, Some(deadline), true);
        let error = tries.permit(&permits).await.expect_err("it is held");
        assert_eq!(error.kind(), Kind::Deadline);
        drop(held);
    }
}
