//! How much one tenant may ask for.
//!
//! A budget per call does not help against a thousand calls, and one limit for the whole server
//! lets one customer use up the others'. A [`Gate`] belongs to one tenant: it lets in so many
//! calls a second after an initial burst, and so many at a time, and says when to come back.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a tenant may ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Calls a second, over time.
    pub rate: f64,
    /// Calls at once after a quiet time; at least 1.
    pub burst: u32,
    /// Calls under way at a time; at least 1.
    pub concurrency: u32,
}

impl Default for Limits {
    /// 20 calls a second after 60 at once, 8 at a time: several agents at their fastest, while
    /// none can hold more than 8 scans (64 MiB each) in memory.
    fn default() -> Self {
        Self { rate: 20.0, burst: 60, concurrency: 8 }
    }
}

/// Lets a tenant's calls in. See the module's head.
#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    bucket: Mutex<Bucket>,
    requests: Mutex<Bucket>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct Bucket {
    /// Calls that may be made now.
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(limits: Limits, times: f64) -> Mutex<Self> {
        Mutex::new(Self { tokens: most(limits, times), at: Instant::now() })
    }

    /// Takes one of what `times` the limits allow, or says when there will be one.
    fn take(&mut self, limits: Limits, times: f64) -> Result<(), Duration> {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        let rate = limits.rate * times;
        self.tokens = (self.tokens + passed * rate).min(most(limits, times));
        self.at = now;
        if self.tokens < 1.0 {
            let wait = (1.0 - self.tokens) / rate;
            return Err(Duration::try_from_secs_f64(wait).unwrap_or(SOON));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

fn most(limits: Limits, times: f64) -> f64 {
    f64::from(limits.burst.max(1)) * times
}

/// A call's place; given back when it is dropped.
#[derive(Debug)]
pub struct Pass {
    _place: OwnedSemaphorePermit,
}

/// Requests for each call that is allowed: MCP clients ask for versions and lists too, and a few
/// that are malformed do no harm.
const REQUESTS: f64 = 4.0;

/// What a client that must wait is told where nobody knows when a place is free.
const SOON: Duration = Duration::from_secs(1);

impl Gate {
    /// A gate that nobody has passed yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            bucket: Bucket::full(limits, 1.0),
            requests: Bucket::full(limits, REQUESTS),
            places: Arc::new(Semaphore::new(limits.concurrency.max(1) as usize)),
        }
    }

    /// Lets one request be read, whatever it will ask for.
    ///
    /// # Errors
    /// After how long it is worth asking again.
    pub fn knock(&self) -> Result<(), Duration> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.take(self.limits, REQUESTS)
    }

    /// Lets one call in.
    ///
    /// # Errors
    /// After how long it is worth asking again.
    pub fn enter(&self) -> Result<Pass, Duration> {
        // The place first: a call that is refused for it must not count.
        let place = self.places.clone().try_acquire_owned().map_err(|_| SOON)?;
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(self.limits, 1.0)?;
        Ok(Pass { _place: place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let gate = Gate::new(Limits { rate: 0.5, burst: 3, concurrency: 10 });
        for _ in 0..3 {
            drop(gate.enter().expect("within the burst"));
        }
        let wait = gate.enter().expect_err("the burst is over");
        assert!(wait > Duration::from_millis(1500) && wait <= Duration::from_secs(2), "{wait:?}");
    }

    #[test]
    fn places_are_given_back_and_a_refused_call_does_not_count() {
        let gate = Gate::new(Limits { rate: 0.001, burst: 3, concurrency: 2 });
        let (first, second) = (gate.enter().expect("free"), gate.enter().expect("free"));
        assert_eq!(gate.enter().expect_err("all taken"), SOON);
        drop(first);
        drop(gate.enter().expect("a place was given back, and the third call is left"));
        drop(second);
    }
}
