//! One get for a block, however many readers ask for it at once.
//!
//! The usual single flight makes the first reader the leader and the others its dependants: when
//! the leader is cancelled the rest fail or start over. Here nobody leads. A flight is a shared
//! future that every waiter can drive; [`Flights`] remembers it only weakly, so it ends when the
//! last waiter goes and no sooner.
//!
//! A flight carries a run of blocks, because one get may: each block of the run is registered.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use futures_util::{
    FutureExt,
    future::{Shared, WeakShared},
};

use super::memory::{Block, BlockKey, Version};
use crate::{
    error::Result,
    platform::{BoxFuture, MaybeSend},
};

/// What a flight brings: the blocks of its run in order, or the error that all waiters get.
pub(super) type Landed = Result<Arc<[Block]>>;

type Run = Shared<BoxFuture<'static, Landed>>;

/// One waiter's hold on a flight. Dropping the last one stops the flight.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    /// Different for each flight of a process.
    pub(super) id: u64,
    /// The first block of the run.
    pub(super) first: u64,
    run: Run,
}

impl Flight {
    /// Waits for the run.
    pub(super) async fn land(self) -> Landed {
        self.run.await
    }
}

#[derive(Debug)]
struct Entry {
    id: u64,
    first: u64,
    run: WeakShared<BoxFuture<'static, Landed>>,
}

type Map = HashMap<BlockKey, Entry>;

/// The flights under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Flights {
    map: Arc<Mutex<Map>>,
    ids: Arc<AtomicU64>,
}

impl Flights {
    /// Holds all joining and starting back while the answer lives. A [`Flight`] must not be
    /// dropped meanwhile: the last drop of one locks the map again.
    pub(super) fn lock(&self) -> Tower<'_> {
        Tower { flights: self, map: lock(&self.map) }
    }

    /// How many blocks are on their way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.map).len()
    }
}

/// The map of flights, locked.
#[derive(Debug)]
pub(super) struct Tower<'a> {
    flights: &'a Flights,
    map: MutexGuard<'a, Map>,
}

impl Tower<'_> {
    /// The flight that brings this block, if one is under way.
    pub(super) fn join(&self, key: &BlockKey) -> Option<Flight> {
        let entry = self.map.get(key)?;
        Some(Flight { id: entry.id, first: entry.first, run: entry.run.upgrade()? })
    }

    /// Starts a flight for `count` blocks from `first` on. Nothing runs before somebody waits.
    pub(super) fn start(
        &mut self,
        version: &Arc<Version>,
        first: u64,
        count: u64,
        work: impl Future<Output = Landed> + MaybeSend + 'static,
    ) -> Flight {
        let id = self.flights.ids.fetch_add(1, Relaxed);
        let keys: Vec<BlockKey> = (first..first + count)
            .map(|block| BlockKey { version: Arc::clone(version), block })
            .collect();
        let registration =
            Registration { map: Arc::clone(&self.flights.map), id, keys: keys.clone() };
        let future: BoxFuture<'static, Landed> = Box::pin(async move {
            let _registered = registration;
            work.await
        });
        let run = future.shared();
        if let Some(weak) = run.downgrade() {
            for key in keys {
                self.map.insert(key, Entry { id, first, run: weak.clone() });
            }
        }
        Flight { id, first, run }
    }
}

/// Takes a flight out of the map when it lands or is dropped on the way.
#[derive(Debug)]
struct Registration {
    map: Arc<Mutex<Map>>,
    id: u64,
    keys: Vec<BlockKey>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut map = lock(&self.map);
        for key in &self.keys {
            // Between the last drop and this line another flight may have taken the place.
            if map.get(key).is_some_and(|entry| entry.id == self.id) {
                map.remove(key);
            }
        }
    }
}

fn lock(map: &Mutex<Map>) -> MutexGuard<'_, Map> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}
