//! The workers of a job: batches are fetched side by side and built on all cores.

use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, stream::FuturesUnordered};
use r2vfs_index::{
    index::Index,
    manifest::Settings,
    segment::{NewContent, NewDoc, SegmentWriter},
    store::Writer,
};
use tokio::sync::mpsc;

use super::{
    bench::Bench,
    build::Builder,
    fault::told,
    fetch::{Fetcher, MOST_HELD},
    job::{Job, lock},
    plan::{Batches, Verdict},
    report::Report,
    shard::Shard,
};
use crate::{
    error::{Error, Kind, Result},
    platform::Task,
    vfs::Entry,
};

/// Bytes of objects that are fetched and not yet committed, at most, however much memory there is:
/// with the time that a segment takes, a killed run loses less than 64 MiB.
const UNCOMMITTED: u64 = 48 << 20;

/// The share of the memory that such bytes may take: what is built of them takes several times as
/// much.
const FETCHED_SHARE: u64 = 8;

/// The smallest batch. Below it, segments are mostly their own framing.
const SMALLEST: u64 = 64 << 10;

/// What the process takes beside: measured with nothing to do, over S3 and a directory.
const PROCESS: u64 = 32 << 20;

/// What a builder takes before it has read anything, and while it ends a segment: the table of its
/// n-grams, and as much again (the example `segment_figures` of the index measures it).
const BUILDER: u64 = 56 << 20;

/// What a segment in the making should have beside, or it is all endings.
const WORTH: u64 = 24 << 20;

/// The least of it for the full text. Tantivy's empty tables are in what it counts: with 8 MiB they
/// were full after each article, and a build took sixty times as long.
const LEAST_TEXT: u64 = 16 << 20;

/// How memory is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Segments that are built side by side.
    pub(super) builders: usize,
    /// Bytes of objects in one batch, of which one more than there are builders is under way.
    pub(super) batch: u64,
    /// Bytes of each segment's full text in memory.
    pub(super) text: usize,
    /// Bytes that the rest of each segment may grow in memory: with more, it is ended.
    pub(super) rest: usize,
}

impl Room {
    /// `memory` bytes, divided for at most `cores` builders.
    pub(super) fn of(memory: u64, cores: usize) -> Self {
        let fetched = (memory / FETCHED_SHARE).min(UNCOMMITTED);
        let built = memory.saturating_sub(PROCESS + fetched);
        let builders = (built / (BUILDER + WORTH)).clamp(1, cores.max(1) as u64);
        let room = (built / builders).saturating_sub(BUILDER).max(WORTH);
        let text = (room / 2).max(LEAST_TEXT);
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            builders: builders as usize,
            batch: (fetched / (builders + 1)).max(SMALLEST),
            text: size(text),
            rest: size(room - text),
        }
    }
}

/// Fetches and builds what it is handed.
pub(super) struct Crew<'j> {
    job: &'j Job,
    store: Arc<Mutex<Writer>>,
    builder: Builder,
    fetcher: Fetcher,
    batches: Batches,
    builders: usize,
    bench: Bench,
    running: FuturesUnordered<Task<Result<()>>>,
}

impl<'j> Crew<'j> {
    pub(super) fn new(
        job: &'j Job,
        known: &Index,
        settings: Settings,
        store: Arc<Mutex<Writer>>,
    ) -> Self {
        let room = job.room;
        let builder = Builder {
            dir: job.target.dir.clone(),
            known: known.clone(),
            settings,
            room,
            shard: None,
            store: store.clone(),
            tally: job.tally.clone(),
            findings: job.findings.clone(),
        };
        let fetcher = Fetcher {
            vfs: job.vfs.clone(),
            op: job.op.clone(),
            halt: job.halt.clone(),
            broken: Arc::default(),
        };
        Self {
            job,
            store,
            builder,
            fetcher,
            batches: Batches::new(room.batch, MOST_HELD),
            builders: room.builders,
            bench: job.bench.clone(),
            running: FuturesUnordered::new(),
        }
    }

    /// What is taken from now on belongs to this share of the keys.
    pub(super) fn of(&mut self, shard: Option<Shard>) {
        self.builder.shard = shard;
    }

    /// One more object, and what is to be done about it.
    pub(super) async fn take(
        &mut self,
        verdict: Verdict,
        entry: Entry,
        report: &mut Report,
    ) -> Result<()> {
        self.job.tally.list(1);
        report.listed += 1;
        match verdict {
            Verdict::Held => {
                report.unchanged += 1;
                self.job.tally.hold();
                return Ok(());
            }
            Verdict::New => report.new += 1,
            Verdict::Changed => report.changed += 1,
            Verdict::Again | Verdict::Archived => report.again += 1,
        }
        self.job.tally.want(entry.object.size);
        match self.batches.push(entry) {
            Some(batch) => self.start(batch).await,
            None => Ok(()),
        }
    }

    /// Starts what is left.
    pub(super) async fn flush(&mut self) -> Result<()> {
        match self.batches.take() {
            Some(batch) => self.start(batch).await,
            None => Ok(()),
        }
    }

    async fn start(&mut self, batch: Vec<Entry>) -> Result<()> {
        while self.running.len() > self.builders {
            self.one_done().await?;
        }
        let (sender, items) = mpsc::unbounded_channel();
        let platform = &self.job.platform;
        let fetching = platform.spawn(self.fetcher.clone().pump(batch, sender));
        let (bench, builder) = (self.bench.clone(), self.builder.clone());
        self.running.push(platform.spawn(async move {
            let built = bench.run(move || builder.run(items)).await;
            drop(fetching);
            built.unwrap_or_else(|| Err(broken()))
        }));
        Ok(())
    }

    /// Waits until one batch is committed. The first that fails stops the others.
    async fn one_done(&mut self) -> Result<bool> {
        match self.running.next().await {
            None => Ok(false),
            Some(Some(Ok(()))) => Ok(true),
            Some(failed) => {
                self.fetcher.broken.ask();
                Err(failed.and_then(Result::err).unwrap_or_else(broken))
            }
        }
    }

    /// Waits until everything under way is committed, whatever becomes of some of it.
    pub(super) async fn end(&mut self) -> Result<()> {
        let mut ended = Ok(());
        loop {
            match self.one_done().await {
                Ok(true) => {}
                Ok(false) => return ended,
                Err(error) => ended = ended.and(Err(error)),
            }
        }
    }

    /// Writes down that these keys, in rising order, are gone, once everything else is committed:
    /// so that a tombstone never hides a document that came with it.
    pub(super) async fn drop_gone(&mut self, keys: Vec<String>, report: &mut Report) -> Result<()> {
        self.end().await?;
        if keys.is_empty() || self.job.halt.asked() {
            return Ok(());
        }
        report.gone += keys.len() as u64;
        let Builder { dir, settings, room, shard, .. } = self.builder.clone();
        let store = self.store.clone();
        let written = self.bench.run(move || {
            let mut writer = SegmentWriter::create(&dir, settings, room.text).map_err(told)?;
            for key in keys {
                let content = NewContent::Gone;
                let etag = String::new();
                writer.add(NewDoc { key, etag, size: 0, modified: None, content }).map_err(told)?;
            }
            let mut segment = writer.finish().map_err(told)?;
            segment.shard = shard.map(|shard| (shard.index, shard.of));
            lock(&store).commit(vec![segment], &[], None).map_err(told)
        });
        written.await.unwrap_or_else(|| Err(broken()))
    }
}

pub(super) fn broken() -> Error {
    Error::new(Kind::Io, "a builder broke down").hint("this is a mistake of r2vfs: report it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_divided_and_not_overrun() {
        for memory in [128_u64, 256, 512, 1024, 8192].map(|mib| mib << 20) {
            for cores in [1, 2, 8, 64] {
                let room = Room::of(memory, cores);
                let builders = room.builders as u64;
                let each = (room.text + room.rest) as u64 + BUILDER;
                let all = PROCESS + (builders + 1) * room.batch + builders * each;
                assert!(all <= memory, "{memory} for {cores}: {room:?} takes {all}");
                assert!((1..=cores).contains(&room.builders), "{room:?}");
                assert!((builders + 1) * room.batch <= UNCOMMITTED, "{room:?}");
            }
        }
        assert_eq!(Room::of(512 << 20, 2).builders, 2);
        let least = Room::of(1 << 20, 8);
        assert_eq!((least.builders, least.batch), (1, SMALLEST));
    }
}
