//! One pool for all requests of a process: listing and getting compete for the same sockets, and
//! a limit on each alone would let both together overrun the server.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Kind, Result};

/// How many requests may be under way at once, over all buckets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Permits {
    requests: Arc<Semaphore>,
    size: usize,
}

/// The right to have one request under way; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
}

impl Permits {
    /// A pool of `size` requests, at least 1.
    pub fn new(size: usize) -> Self {
        let size = size.max(1);
        Self { requests: Arc::new(Semaphore::new(size)), size }
    }

    /// How many requests the pool allows.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Waits for a turn.
    pub async fn acquire(&self) -> Result<Permit> {
        match self.requests.clone().acquire_owned().await {
            Ok(permit) => Ok(Permit { _permit: permit }),
            Err(closed) => {
                Err(Error::new(Kind::Cancelled, "the request pool is closed").because(closed))
            }
        }
    }
}
