//! One pool for all requests of a process: listing and getting compete for the same sockets, and
//! a limit on each alone would let both together overrun the server. Where several customers share
//! a process, each takes from a [share](Permits::share) below the pool, so that one whose bucket
//! hangs does not hold the requests of all.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Kind, Result};

/// How many requests may be under way at once, over all buckets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Permits {
    requests: Arc<Semaphore>,
    size: usize,
    above: Option<Arc<Semaphore>>,
}

/// The right to have one request under way; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
    _above: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// A pool of `size` requests, at least 1.
    pub fn new(size: usize) -> Self {
        let size = size.max(1);
        Self { requests: Arc::new(Semaphore::new(size)), size, above: None }
    }

    /// A pool of `size` requests, at least 1, that are requests of this one too. A share of a share
    /// is one of the whole pool.
    #[must_use]
    pub fn share(&self, size: usize) -> Self {
        let above = self.above.as_ref().unwrap_or(&self.requests);
        Self { above: Some(Arc::clone(above)), ..Self::new(size) }
    }

    /// How many requests the pool allows.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Waits for a turn.
    pub async fn acquire(&self) -> Result<Permit> {
        let closed =
            |closed| Error::new(Kind::Cancelled, "the request pool is closed").because(closed);
        // Its own first: who waits for that must hold nothing of the others'.
        let permit = self.requests.clone().acquire_owned().await.map_err(closed)?;
        let above = match &self.above {
            Some(above) => Some(above.clone().acquire_owned().await.map_err(closed)?),
            None => None,
        };
        Ok(Permit { _permit: permit, _above: above })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_share_cannot_take_all_and_counts_in_the_pool() {
        let pool = Permits::new(3);
        let (slow, other) = (pool.share(2), pool.share(2));
        let free =
            |permits: &Permits| permits.acquire().now_or_never().map(|permit| permit.is_ok());
        let held = [slow.acquire().now_or_never(), slow.acquire().now_or_never()];
        assert!(held.iter().all(Option::is_some));
        assert_eq!(free(&slow), None, "its share is taken");
        let one = other.acquire().now_or_never().expect("one is left");
        assert_eq!(free(&other), None, "the pool is taken");
        drop(held);
        assert_eq!((free(&slow), free(&other)), (Some(true), Some(true)));
        drop(one);
    }
}
