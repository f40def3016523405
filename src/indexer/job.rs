//! The bulk job: build, update and "go on" are the same.
//!
//! See the [module above](super) for why. What is here begins and ends a run; what is to be fetched
//! is found out in [`feed`](super::feed), and done by the [`Crew`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use r2vfs_index::{
    Fault, FaultKind,
    bundle::at_once,
    index::Index,
    manifest::{Manifest, Settings},
    source::Source,
    store::{Dir, Store, Writer},
};

use super::{
    Target,
    bench::Bench,
    changes::Change,
    compaction,
    crew::{Crew, Room, broken},
    fault::told,
    feed::Judge,
    join::{Effort, join},
    repair::{self, Damaged},
    report::{Findings, Report},
    shard::{KeyRange, Shard},
    survey::Survey,
    tally::{Halt, Tally},
};
use crate::{
    error::{Error, Kind, Result},
    platform::Platform,
    vfs::{Budget, IndexOptions, Op, Scope, Vfs},
};

/// What a job is to do.
#[derive(Clone, Debug, Default)]
pub struct JobOptions {
    /// Bytes of memory it may take.
    pub memory: u64,
    /// Whether a new index gets the text itself.
    pub pack: bool,
    /// Only this share of the keys.
    pub shard: Option<Shard>,
    /// Only what is named, without a listing.
    pub changes: Option<Vec<Change>>,
    /// It is a build: what cannot be used is made anew, and a small index ends in one segment.
    pub build: bool,
    /// When to stop.
    pub time: Option<Duration>,
}

/// One run over one bucket.
#[derive(Debug)]
pub struct Job {
    pub(super) target: Target,
    pub(super) options: JobOptions,
    pub(super) platform: Platform,
    pub(super) vfs: Vfs,
    pub(super) op: Op,
    pub(super) tally: Arc<Tally>,
    pub(super) halt: Arc<Halt>,
    pub(super) findings: Arc<Findings>,
    pub(super) room: Room,
    /// Where segments are built and joined: what building them has freed is there to join them.
    pub(super) bench: Bench,
}

impl Job {
    /// A run that `halt` ends early, and that `tally` shows.
    ///
    /// # Errors
    /// What the mount is refused for.
    pub fn new(
        target: Target,
        options: JobOptions,
        platform: &Platform,
        (tally, halt): (Arc<Tally>, Arc<Halt>),
    ) -> Result<Self> {
        let vfs = target.vfs(platform, &IndexOptions::default())?;
        let op = vfs.op(Budget { time: options.time, ..Budget::default() });
        let platform = platform.clone();
        let room = Room::of(options.memory, platform.parallelism());
        let bench = Bench::new(room.builders);
        let findings = Arc::default();
        Ok(Self { target, options, platform, vfs, op, tally, halt, findings, room, bench })
    }

    /// Compares the index with a fresh listing of what a run would be about. Lists, and sends
    /// nothing else.
    ///
    /// # Errors
    /// What listing fails with, and an index that cannot be read, unless a build would make it
    /// anew.
    pub async fn survey(&self) -> Result<Survey> {
        let known = match self.open(&Store::at(&self.target.dir)) {
            Ok(known) => Some(known),
            Err(fault) if self.begins_anew(fault.kind()) => None,
            Err(fault) => return Err(told(fault)),
        };
        let (known, damaged) = match known {
            Some(known) => {
                let (known, damaged) = self.readable(known).await?;
                (Some(known), damaged.len())
            }
            None => (None, 0),
        };
        let shares = self.shares(known.as_ref()).await?;
        let ranges = shares.into_iter().map(|(_, range)| range).collect();
        Ok(Survey { damaged: damaged as u64, ..self.compare(known.as_ref(), ranges).await? })
    }

    /// Compares `known` with a fresh listing of the whole bucket, also where it holds only some
    /// shares of it.
    ///
    /// # Errors
    /// What listing fails with.
    pub async fn coverage(&self, known: &Index) -> Result<Survey> {
        self.compare(Some(known), vec![KeyRange::default()]).await
    }

    async fn compare(&self, known: Option<&Index>, ranges: Vec<KeyRange>) -> Result<Survey> {
        let mut survey = Survey::default();
        for range in ranges {
            let mut judge = Judge::new(known, &range);
            let mut walk = self.vfs.walk(&self.op, vec![Scope::new(0, "")]);
            while let Some(entries) = walk.next().await? {
                for entry in entries {
                    if let Some(verdict) = judge.judge(&entry.object) {
                        self.tally.list(1);
                        survey.add(verdict, entry.object.size);
                    }
                }
            }
            if let (Some(known), Some(listed)) = (known, walk.snapshot()) {
                judge.each_gone(known, &listed, |_| survey.gone += 1);
            }
        }
        let cost = self.op.call.meter.cost();
        Ok(survey.priced(cost.list_requests))
    }

    /// Whether an index that cannot be used for this reason is no obstacle.
    fn begins_anew(&self, kind: FaultKind) -> bool {
        let useless = matches!(kind, FaultKind::Missing | FaultKind::Damaged | FaultKind::Format);
        if useless && self.options.build {
            return true;
        }
        // A lost segment is missing too, and an update of a few keys must not replace the rest.
        let manifest = Store::at(&self.target.dir).manifest();
        manifest.is_err_and(|fault| fault.kind() == FaultKind::Missing)
    }

    /// Runs to the end, or until it is asked to stop, or an error ends it; what was committed
    /// stays in any case.
    ///
    /// # Errors
    /// What listing and writing fail with. An object that cannot be read is no error: the report
    /// names it, and the next run tries again.
    pub async fn run(&self) -> Result<Report> {
        let mut report = Report::default();
        let (mut writer, known, closed) = self.begin(&mut report)?;
        let (known, damaged) = self.readable((known, closed)).await?;
        damaged.iter().for_each(|(segment, _)| writer.overlook(&segment.id));
        let settings = writer.manifest().settings;
        let store = Arc::new(Mutex::new(writer));
        let mut crew = Crew::new(self, &known, settings, store.clone());
        let fed = match &self.options.changes {
            None => Box::pin(self.feed(&known, &mut crew, &mut report)).await,
            Some(changes) => Box::pin(self.feed_changes(&known, changes, &mut crew, &mut report))
                .await
                .map(|()| None),
        };
        // Whatever feeding came to, what is under way is committed.
        let ended = crew.end().await;
        let listed_at = fed?;
        ended?;
        if !self.halt.asked() {
            self.close(store.clone(), listed_at, damaged, &mut report).await?;
        }
        report.interrupted = self.halt.asked();
        self.tell(&lock(&store), &mut report);
        Ok(report)
    }

    /// Becomes the writer of the index, and opens what it holds: a build also a part of that.
    fn begin(&self, report: &mut Report) -> Result<(Writer, Index, Vec<Damaged>)> {
        let store = Store::at(&self.target.dir);
        let origin = self.target.origin();
        let settings = Settings { pack: self.options.pack, ..Settings::default() };
        let locked = store.lock(Some(&origin), settings);
        let opened = locked.and_then(|writer| match writer.manifest().generation {
            // Nothing was committed yet.
            0 => Ok((writer, None)),
            _ => self.open(&store).map(|opened| (writer, Some(opened))),
        });
        let (writer, known) = match opened {
            Ok(opened) => opened,
            Err(fault) if self.begins_anew(fault.kind()) => {
                report.notes.push(format!("{}: it is built anew", fault.detail()));
                (store.renew(Some(&origin), settings).map_err(told)?, None)
            }
            Err(fault) => return Err(told(fault)),
        };
        if self.options.build && writer.manifest().settings != settings {
            let with = if writer.manifest().settings.pack { "with" } else { "without" };
            report.notes.push(format!(
                "the index was begun {with} the text itself and stays so: `r2vfs index drop` it \
                 to change that"
            ));
        }
        self.divides_alike(writer.manifest())?;
        let (known, closed) = match known {
            Some(known) => known,
            None => (empty(writer.manifest(), &self.target.dir)?, Vec::new()),
        };
        Ok((writer, known, closed))
    }

    /// Opens what is there, all of it but for a build, that makes again what does not open.
    fn open(&self, store: &Store) -> Result<(Index, Vec<Damaged>), Fault> {
        let fault = match store.open() {
            Ok(index) => return Ok((index, Vec::new())),
            Err(fault) => fault,
        };
        if !self.options.build {
            return Err(fault);
        }
        let (index, closed) = store.open_what_opens()?;
        match closed.iter().any(|(segment, _)| !repair::is_of(segment, self.options.shard)) {
            // Another share's: this run would end beside an index that does not open.
            true => Err(fault),
            false => Ok((index, closed)),
        }
    }

    /// What of `known` can be read, and what a build makes again because it cannot: that, and what
    /// is `closed`.
    async fn readable(
        &self,
        (known, mut closed): (Index, Vec<Damaged>),
    ) -> Result<(Index, Vec<Damaged>)> {
        if !self.options.build {
            return Ok((known, closed));
        }
        let (tally, halt, platform) =
            (self.tally.clone(), self.halt.clone(), self.platform.clone());
        let (all, shard) = (known.manifest().bytes(), self.options.shard);
        let until = self.options.time.map(|time| self.op.started.saturating_add(time));
        let work = self.bench.run(move || {
            let damaged = repair::damaged(&known, shard, |bytes| {
                tally.check(bytes, all);
                // The listing that follows says that the time is over.
                !halt.asked() && until.is_none_or(|until| platform.monotonic() < until)
            })?;
            let ids: Vec<&str> = damaged.iter().map(|(segment, _)| &*segment.id).collect();
            let known = known.without(&ids);
            closed.extend(damaged);
            Ok((known, closed))
        });
        let done: Option<Result<_>> = work.await;
        self.tally.check(0, 0);
        done.unwrap_or_else(|| Err(broken()))
    }

    /// A share of one division over shares of another would hold only what those lack, and pass
    /// for all of its keys.
    fn divides_alike(&self, manifest: &Manifest) -> Result<()> {
        let shards = || manifest.segments.iter().filter_map(|segment| segment.shard);
        let Some(Shard { index, of }) = self.options.shard else { return Ok(()) };
        match shards().find(|(_, others)| *others != of) {
            None => Ok(()),
            Some((other, others)) => Err(Error::new(
                Kind::Config,
                format!("the index here holds share {other}/{others}, and {index}/{of} divides the keys otherwise"),
            )
            .hint("name another --index-dir, or run `r2vfs index drop --yes` first")),
        }
    }

    /// Takes out what was built again, notes the listing, and joins segments where that is due.
    async fn close(
        &self,
        store: Arc<Mutex<Writer>>,
        listed_at: Option<i64>,
        damaged: Vec<Damaged>,
        report: &mut Report,
    ) -> Result<()> {
        report.notes.extend(repair::take_out(&mut lock(&store), &damaged, self.room.text)?);
        if listed_at.is_some() {
            lock(&store).commit(Vec::new(), &[], listed_at).map_err(told)?;
        }
        self.tally.merge(true);
        let small = self.options.build.then(|| compaction::small(self.options.memory));
        let effort = Effort { small, one: false };
        let halt = self.halt.clone();
        let joined = self.bench.run(move || join(&mut lock(&store), effort, &halt)).await;
        self.tally.merge(false);
        match joined {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(error),
            None => {
                report.notes.push("joining segments broke down".to_owned());
                Ok(())
            }
        }
    }

    fn tell(&self, writer: &Writer, report: &mut Report) {
        let manifest = writer.manifest();
        let done = self.tally.now();
        (report.committed, report.committed_bytes) = (done.committed, done.committed_bytes);
        report.segments = manifest.segments.len() as u64;
        report.index_bytes = manifest.bytes();
        report.text_bytes = manifest.segments.iter().map(|segment| segment.text_bytes).sum();
        self.findings.tell(report);
        report.notes.extend(self.op.notes());
        report.cost = self.op.call.meter.cost();
        let elapsed = self.platform.monotonic().saturating_sub(self.op.started);
        report.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    }
}

/// What an index holds that holds nothing yet.
fn empty(manifest: &Manifest, dir: &std::path::Path) -> Result<Index> {
    let source: Arc<dyn Source> = Arc::new(Dir::new(dir.to_owned()));
    let manifest = Manifest { segments: Vec::new(), ..manifest.clone() };
    at_once(Index::open(source, manifest)).map_err(told)
}

/// The store, also after a panic elsewhere: a commit is whole or not there.
pub(super) fn lock(store: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
