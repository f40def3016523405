//! Object bytes by (bucket, key, ETag, block): memory first, then a get that is under way, then
//! the disk, then the bucket.
//!
//! Caching whole objects holds a gigabyte for one line; caching what was asked for never answers
//! the next question, which starts a byte earlier. [`Cache`] cuts every object into blocks of
//! [`BLOCK`] bytes, gets runs of missing ones, and keys them by the ETag that the get was pinned
//! to, so nothing kept can ever be stale: another version is another key.
//!
//! `memory` decides what stays, `flight` makes concurrent readers share a get, `disk` lets a
//! second process start warm.

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::future::try_join_all;

use crate::{
    bucket::{Bucket, Call, GetRequest, Headers, MAX_GET, Object},
    error::{Error, Kind, Result},
    platform::Platform,
};

#[cfg_attr(not(feature = "native"), path = "no_disk.rs")]
mod disk;
mod flight;
mod memory;
#[cfg(all(test, feature = "native"))]
mod tests;

use disk::Disk;
pub use disk::DiskOptions;
use flight::{Flight, Flights, Landed};
use memory::{Block, BlockKey, Memory, Version};

/// The unit of caching in bytes: 256 KiB. Most articles are one block; a line window into a large
/// object costs at most one block more than it needs at each end.
pub const BLOCK: u64 = 256 << 10;

/// What the bytes are wanted for; decides what a full cache lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Somebody asked for this object: its blocks are protected from scans.
    Read,
    /// A pass over many objects: its blocks fill only what the protected ones leave free.
    Scan,
}

/// How much a cache may keep.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// Bytes of memory, with all that an entry costs beside its bytes. Zero keeps nothing; readers
    /// that ask at the same time share a get all the same.
    pub memory: u64,
    /// The cache on disk, if there is to be one.
    pub disk: Option<DiskOptions>,
}

impl Default for CacheOptions {
    /// 128 MiB of memory, no disk.
    fn default() -> Self {
        Self { memory: 128 << 20, disk: None }
    }
}

/// The bytes of a range.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// What the bucket said about the object; empty for an object of no bytes, which needs no get.
    pub headers: Arc<Headers>,
    /// One after another they are exactly the range.
    pub chunks: Vec<Bytes>,
}

/// What a cache holds, in bytes.
#[cfg(all(test, feature = "native"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheUsage {
    /// Memory in use.
    pub(crate) memory: u64,
    /// Of that, what scans cannot evict.
    pub(crate) protected: u64,
    /// Disk in use as last seen (other processes share it), with what waits to be written.
    pub(crate) disk: u64,
}

/// See the module's head. Cheap to clone; all clones are one cache.
#[derive(Clone, Debug)]
pub struct Cache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    memory: Mutex<Memory>,
    flights: Flights,
    disk: Option<Disk>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(disk) = &self.disk {
            disk.drain();
        }
    }
}

/// What one reader wants, and who pays for it.
#[derive(Clone, Debug)]
struct Wanted {
    bucket: Arc<dyn Bucket>,
    call: Call,
    object: Object,
    version: Arc<Version>,
    usage: Use,
}

impl Wanted {
    fn key(&self, block: u64) -> BlockKey {
        BlockKey { version: Arc::clone(&self.version), block }
    }

    /// The bytes of the object that `blocks` cover.
    fn span(&self, blocks: &Range<u64>) -> Range<u64> {
        blocks.start * BLOCK..blocks.end.saturating_mul(BLOCK).min(self.object.size)
    }
}

impl Cache {
    /// An empty cache in memory, over what earlier processes left on disk. A disk that cannot be
    /// used is no error: [`notice`](Self::notice) says so.
    pub fn new(options: CacheOptions, platform: Platform) -> Self {
        let disk = options.disk.map(|disk| Disk::open(disk, platform));
        let memory = Mutex::new(Memory::new(options.memory));
        Self { inner: Arc::new(Inner { memory, flights: Flights::default(), disk }) }
    }

    /// The bytes `range` of a version of an object.
    ///
    /// Gets are block-aligned, one for each run of missing blocks and at most [`MAX_GET`] long.
    /// The call's meter counts a hit for each block that memory, the disk or another reader's get
    /// answered. Dropping the future stops a get only if nobody else waits for it.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for a range outside the object or longer than [`MAX_GET`]; what
    /// the bucket fails with, to everybody who waited for that get, and never kept.
    pub async fn range(
        &self,
        bucket: &Arc<dyn Bucket>,
        call: &Call,
        object: &Object,
        range: Range<u64>,
        usage: Use,
    ) -> Result<Blocks> {
        check(object, &range)?;
        if range.is_empty() {
            return Ok(Blocks { headers: Arc::default(), chunks: Vec::new() });
        }
        if !bucket.trusts(object) {
            let request = GetRequest { object: object.clone(), range: range.clone() };
            let got = bucket.get(call, request).await?;
            whole(&got.bytes, &range)?;
            return Ok(Blocks { headers: got.headers, chunks: vec![got.bytes] });
        }
        let wanted = Wanted {
            bucket: Arc::clone(bucket),
            call: call.clone(),
            object: object.clone(),
            version: Arc::new(Version::of(bucket.id(), object)),
            usage,
        };
        let first = range.start / BLOCK;
        let blocks = self.inner.blocks(&wanted, first..(range.end - 1) / BLOCK + 1).await?;
        let headers = blocks.first().map_or_else(Arc::default, |block| Arc::clone(&block.headers));
        let mut chunks = Vec::with_capacity(blocks.len());
        let mut start = first * BLOCK;
        for block in blocks {
            let from = range.start.saturating_sub(start) as usize;
            let to = (range.end - start).min(block.bytes.len() as u64) as usize;
            chunks.push(block.bytes.slice(from..to));
            start += BLOCK;
        }
        Ok(Blocks { headers, chunks })
    }

    /// What the bucket said about a version when its first bytes were got, if memory still has
    /// them.
    pub(crate) fn headers(&self, bucket: &dyn Bucket, object: &Object) -> Option<Arc<Headers>> {
        let version = Arc::new(Version::of(bucket.id(), object));
        let block = self.inner.memory().get(&BlockKey { version, block: 0 }, Use::Scan)?;
        Some(block.headers)
    }

    /// Writes to disk what waits for it. Dropping the last clone does the same, in place. A disk
    /// that cannot be written is a [`notice`](Self::notice) and no error, for no reader needs it.
    pub async fn flush(&self) {
        if let Some(disk) = &self.inner.disk {
            disk.flush().await;
        }
    }

    /// What is held now.
    #[cfg(all(test, feature = "native"))]
    pub(crate) fn usage(&self) -> CacheUsage {
        let (memory, protected) = self.inner.memory().bytes();
        let disk = self.inner.disk.as_ref().map_or(0, Disk::bytes);
        CacheUsage { memory, protected, disk }
    }

    /// Why the disk cache is not used or not written, once: the next call answers `None`.
    pub fn notice(&self) -> Option<String> {
        self.inner.disk.as_ref()?.notice()
    }
}

impl Inner {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn blocks(self: &Arc<Self>, wanted: &Wanted, range: Range<u64>) -> Result<Vec<Block>> {
        let mut found: Vec<Option<Block>> = {
            let mut memory = self.memory();
            range.clone().map(|block| memory.get(&wanted.key(block), wanted.usage)).collect()
        };
        (0..found.iter().flatten().count()).for_each(|_| wanted.call.meter.hit());
        // Each turn but the last ends in another's failure, which took its flight off the map.
        while found.iter().any(Option::is_none) {
            let boarded = self.board(wanted, range.start, &mut found);
            let landings = try_join_all(boarded.into_iter().map(|seat| async move {
                let (first, id, own) = (seat.flight.first, seat.flight.id, seat.own);
                match seat.flight.land().await {
                    Ok(run) => Ok(Some((first, id, own, run))),
                    // It failed for what its own caller allowed, not for what the object is.
                    Err(error) if !own && of_the_caller(error.kind()) => Ok(None),
                    Err(error) => Err(error),
                }
            }))
            .await?;
            for (first, _, own, run) in landings.into_iter().flatten() {
                for (block, bytes) in (first..).zip(run.iter()) {
                    let Some(place @ None) = slot(&mut found, &range, block) else { continue };
                    *place = Some(bytes.clone());
                    if !own {
                        wanted.call.meter.hit();
                        if wanted.usage == Use::Read {
                            // Whoever started the flight may have kept it as a scan does.
                            self.memory().get(&wanted.key(block), Use::Read);
                        }
                    }
                }
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Joins the flights that bring missing blocks and starts those that nobody has started.
    fn board(
        self: &Arc<Self>,
        wanted: &Wanted,
        base: u64,
        found: &mut [Option<Block>],
    ) -> Vec<Seat> {
        let mut seats: Vec<Seat> = Vec::new();
        let mut runs: Vec<Range<u64>> = Vec::new();
        let mut tower = self.flights.lock();
        for (block, place) in (base..).zip(found.iter_mut()) {
            if place.is_some() {
                continue;
            }
            let key = wanted.key(block);
            if let Some(flight) = tower.join(&key) {
                seats.push(Seat { flight, own: false });
                continue;
            }
            // A flight fills the memory before it leaves the map: with the map locked, what is in
            // neither has not been asked for.
            if let Some(kept) = self.memory().get(&key, wanted.usage) {
                wanted.call.meter.hit();
                *place = Some(kept);
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.end == block && run.end - run.start < MAX_GET / BLOCK => {
                    run.end += 1;
                }
                _ => runs.push(block..block + 1),
            }
        }
        for run in runs {
            let work = Arc::clone(self).fly(wanted.clone(), run.clone());
            let flight = tower.start(&wanted.version, run.start, run.end - run.start, work);
            seats.push(Seat { flight, own: true });
        }
        drop(tower);
        // Blocks of one run lie together, so its flight was joined several times in a row.
        seats.dedup_by_key(|seat| seat.flight.id);
        seats
    }

    /// Brings a run of blocks from the disk, and what the disk has not from the bucket.
    async fn fly(self: Arc<Self>, wanted: Wanted, run: Range<u64>) -> Landed {
        let disk = self.disk.as_ref().filter(|_| wanted.bucket.worth_disk_cache());
        let mut blocks: Vec<Option<Block>> = match disk {
            None => run.clone().map(|_| None).collect(),
            Some(disk) => {
                let keys: Vec<(BlockKey, u64)> = run
                    .clone()
                    .map(|block| {
                        let span = wanted.span(&(block..block + 1));
                        (wanted.key(block), span.end - span.start)
                    })
                    .collect();
                let read = disk.read(&keys).await;
                (0..read.iter().flatten().count()).for_each(|_| wanted.call.meter.hit());
                // A scan leaves what the disk has to the disk: filling fresh memory with 15 MB
                // took a quarter of the time of a grep over as much.
                if wanted.usage == Use::Read {
                    let mut memory = self.memory();
                    for ((key, _), block) in keys.into_iter().zip(&read) {
                        if let Some(block) = block {
                            memory.insert(key, block.clone(), wanted.usage);
                        }
                    }
                }
                read
            }
        };
        let mut gaps: Vec<Range<u64>> = Vec::new();
        for (block, _) in run.clone().zip(&blocks).filter(|(_, place)| place.is_none()) {
            match gaps.last_mut() {
                Some(gap) if gap.end == block => gap.end += 1,
                _ => gaps.push(block..block + 1),
            }
        }
        let gets = gaps.iter().map(|gap| self.get(&wanted, gap.clone(), disk));
        for (gap, fetched) in gaps.iter().zip(try_join_all(gets).await?) {
            for (block, bytes) in gap.clone().zip(fetched) {
                if let Some(place) = slot(&mut blocks, &run, block) {
                    *place = Some(bytes);
                }
            }
        }
        Ok(blocks.into_iter().flatten().collect())
    }

    /// One get, cut into blocks and kept.
    async fn get(
        &self,
        wanted: &Wanted,
        gap: Range<u64>,
        disk: Option<&Disk>,
    ) -> Result<Vec<Block>> {
        let span = wanted.span(&gap);
        let request = GetRequest { object: wanted.object.clone(), range: span.clone() };
        let got = wanted.bucket.get(&wanted.call, request).await?;
        whole(&got.bytes, &span)?;
        let blocks: Vec<Block> = cut(got.bytes)
            .into_iter()
            .map(|bytes| Block { bytes, headers: Arc::clone(&got.headers) })
            .collect();
        for (block, bytes) in gap.zip(&blocks) {
            let key = wanted.key(block);
            self.memory().insert(key.clone(), bytes.clone(), wanted.usage);
            if let Some(disk) = disk {
                disk.put(key, bytes.clone()).await;
            }
        }
        Ok(blocks)
    }
}

/// A place on a flight, and whether this reader started it.
#[derive(Debug)]
struct Seat {
    flight: Flight,
    own: bool,
}

fn slot<'a>(
    places: &'a mut [Option<Block>],
    range: &Range<u64>,
    block: u64,
) -> Option<&'a mut Option<Block>> {
    places.get_mut(usize::try_from(block.checked_sub(range.start)?).ok()?)
}

/// A failure that says something about who asked, and nothing about the object.
fn of_the_caller(kind: Kind) -> bool {
    matches!(kind, Kind::Deadline | Kind::Budget | Kind::Cancelled)
}

/// Blocks in allocations of their own: a slice would keep the 8 MiB of its get in memory, where
/// the budget counts 256 KiB.
fn cut(bytes: Bytes) -> Vec<Bytes> {
    if bytes.len() > BLOCK as usize {
        return bytes.chunks(BLOCK as usize).map(Bytes::copy_from_slice).collect();
    }
    // Even the whole answer may be a slice of a larger network buffer.
    vec![match bytes.try_into_mut() {
        Ok(own) if own.capacity() == own.len() => own.freeze(),
        Ok(wider) => Bytes::copy_from_slice(&wider),
        Err(shared) => Bytes::copy_from_slice(&shared),
    }]
}

fn check(object: &Object, range: &Range<u64>) -> Result<()> {
    let wrong = if range.start > range.end || range.end > object.size {
        "the range is not inside the object"
    } else if range.end - range.start > MAX_GET {
        "the range is longer than one get may be"
    } else {
        return Ok(());
    };
    Err(Error::new(
        Kind::InvalidArgument,
        format!("{wrong}: bytes {} to {} of {}", range.start, range.end, object.size),
    )
    .hint(format!("ask for at most {MAX_GET} bytes inside the object")))
}

fn whole(bytes: &Bytes, range: &Range<u64>) -> Result<()> {
    let wanted = range.end - range.start;
    if bytes.len() as u64 == wanted {
        return Ok(());
    }
    Err(Error::new(
        Kind::Protocol,
        format!("a get answered {} bytes where {wanted} were asked for", bytes.len()),
    )
    .hint("try again; if it stays so, the server does not keep to ranges"))
}
