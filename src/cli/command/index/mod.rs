//! `index`: makes an index of each mount, publishes it, and says what it is worth.
//!
//! These commands write, so each says beforehand what it is about to work on, keeps what is done
//! at Ctrl-C, and goes on with the other mounts when one fails.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::super::{
    args::index::{self as args, Index},
    exit::Exit,
    failure::{Failures, Stop, say},
    options::{MountPlan, Options, naming},
    output::Out,
    usage::wrong,
};
use crate::{
    bucket::Permits,
    config::{self, Location},
    error::{Error, Kind, Result},
    indexer::{self, Change, Halt, Job, Shard, Tally, Target},
    platform::Platform,
    vfs::Mount,
};

mod job;
mod progress;
mod proof;
mod published;

/// Memory of a job unless `--memory` says otherwise.
const MEMORY: u64 = 512 << 20;

/// The least memory a job may be given: below it, nothing but the process itself has room.
const LEAST: u64 = 1 << 20;

/// A command whose own options are checked.
pub(in crate::cli) struct Ready {
    action: Action,
    /// The mounts it is about, as numbers of the plan.
    mounts: Vec<usize>,
}

/// What is to be done with each mount.
enum Action {
    Build { memory: u64, pack: bool, shard: Option<Shard>, dry: bool },
    Update { memory: u64, changes: Option<Vec<Change>>, dry: bool },
    Publish { to: Option<Location>, single: bool },
    Status { published: bool, list: bool },
    Verify { deep: bool },
    Compact,
    Gc { to: Option<Location>, grace: Duration, dry: bool },
    Drop,
    DropPublished { to: Option<Location> },
}

/// What every action is handed.
struct Context<'c> {
    options: &'c Options,
    permits: &'c Permits,
    platform: &'c Platform,
    halt: &'c Arc<Halt>,
}

impl Ready {
    /// # Errors
    /// [`Kind::InvalidArgument`] for options that are wrong together.
    pub(in crate::cli) fn new(index: Index, options: &Options) -> Result<Self> {
        let to = |to: Option<String>| to.map(|to| Location::parse(&to)).transpose();
        let (which, action) = match index {
            Index::Build(with) => {
                let args::Build { which, memory, no_pack, shard, dry_run } = with.own;
                let shard = shard.map(|text| Shard::parse(&text)).transpose()?;
                let memory = bounded(memory)?;
                (which, Action::Build { memory, pack: !no_pack, shard, dry: dry_run })
            }
            Index::Update(with) => {
                let args::Update { which, memory, changes, dry_run } = with.own;
                let changes = changes.map(|file| job::read(&file)).transpose()?;
                (which, Action::Update { memory: bounded(memory)?, changes, dry: dry_run })
            }
            Index::Publish(with) => {
                let single = with.own.single_publisher;
                (with.own.which, Action::Publish { to: to(with.own.to)?, single })
            }
            Index::Status(with) => {
                let args::Status { which, published, no_list } = with.own;
                (which, Action::Status { published, list: !no_list })
            }
            Index::Verify(with) => (with.own.which, Action::Verify { deep: with.own.deep }),
            Index::Compact(with) => (with.own.which, Action::Compact),
            Index::Gc(with) => {
                let args::Gc { which, to: place, grace, dry_run } = with.own;
                (which, Action::Gc { to: to(place)?, grace, dry: dry_run })
            }
            Index::Drop(with) => {
                let args::Drop { which, published, to: place, yes } = with.own;
                if !yes {
                    return Err(wrong("nothing was deleted: --yes is missing").hint(
                        match published {
                            true => "add --yes to delete the index that every reader uses",
                            false => "add --yes to delete the index of this machine",
                        },
                    ));
                }
                match published {
                    true => (which, Action::DropPublished { to: to(place)? }),
                    false => (which, Action::Drop),
                }
            }
        };
        let mounts = chosen(&options.mounts, which.mount_point.as_deref())?;
        let elsewhere = match &action {
            Action::Publish { to, .. } | Action::Gc { to, .. } | Action::DropPublished { to } => {
                to.is_some()
            }
            _ => false,
        };
        if elsewhere && mounts.len() > 1 {
            return Err(wrong("--to names one place for the indexes of several mounts")
                .hint("name one of them with --mount-point"));
        }
        Ok(Self { action, mounts })
    }

    /// Runs it over each mount.
    pub(in crate::cli) async fn run(
        self,
        options: &Options,
        permits: &Permits,
        platform: &Platform,
        halt: &Arc<Halt>,
        out: &mut Out,
    ) -> Result<Exit, Stop> {
        let context = Context { options, permits, platform, halt };
        let mut failures = Failures::default();
        let many = options.mounts.len() > 1;
        for mount in self.mounts {
            let Some(plan) = options.mounts.get(mount) else { continue };
            if many && !options.json {
                let point = out.shown(&plan.point).into_owned();
                out.line(point)?;
            }
            match Box::pin(self.action.run(&context, plan, out, &mut failures)).await {
                Ok(()) => {}
                Err(Stop::Failed(error)) => {
                    let error = if many { error.at(plan.point.as_str()) } else { error };
                    out.flush()?;
                    failures.tell(&error);
                }
                Err(stop) => return Err(stop),
            }
            if halt.asked() {
                out.flush()?;
                return Ok(Exit::Interrupted);
            }
        }
        failures.close();
        out.flush()?;
        Ok(failures.exit(true))
    }
}

/// The most bytes of a bucket that a search indexes by itself: seconds of work (issue 3).
const ON_THE_SPOT: u64 = 64 << 20;

/// Indexes the mount of which `why` says that it has no index that can be used, because a search
/// needs one, if it is small.
///
/// # Errors
/// [`Kind::NoIndex`] where a bucket is too large for that; what listing and reading fail with.
pub(in crate::cli) async fn on_the_spot(
    why: &Error,
    options: &Options,
    permits: &Permits,
    platform: &Platform,
) -> Result<(), Stop> {
    let halt = Arc::new(Halt::default());
    let context = Context { options, permits, platform, halt: &halt };
    for plan in &options.mounts {
        let job_options = crate::indexer::JobOptions {
            memory: MEMORY,
            pack: true,
            build: true,
            time: options.timeout,
            ..Default::default()
        };
        if why.path().map(|path| path.trim_end_matches('/'))
            != Some(plan.point.trim_end_matches('/'))
        {
            continue;
        }
        let target = context.target(plan)?;
        // What is that large was not made on the spot, and takes its time to look through.
        if indexer::bytes(&target) > ON_THE_SPOT {
            return Err(Stop::Failed(why.clone()));
        }
        let tally = Arc::new(Tally::default());
        let job = Job::new(target, job_options, platform, (tally.clone(), halt.clone()))?;
        let survey = progress::shown(&tally, job.survey()).await?;
        if survey.indexed > 0 && survey.damaged == 0 {
            continue;
        }
        if survey.bytes > ON_THE_SPOT {
            let mib = survey.bytes >> 20;
            let message =
                format!("{}, and {mib} MiB are too many to index for one search", why.message());
            return Err(Error::new(Kind::NoIndex, message)
                .at(plan.point.as_str())
                .hint("make one with `r2vfs index build`, or use grep")
                .into());
        }
        say(&format!(
            "r2vfs: {}: {} to index first",
            super::super::failure::lines(why.message()),
            count(survey.objects(), "object")
        ));
        progress::shown(&tally, Box::pin(job.run())).await?;
    }
    Ok(())
}

impl Action {
    async fn run(
        &self,
        context: &Context<'_>,
        plan: &MountPlan,
        out: &mut Out,
        failures: &mut Failures,
    ) -> Result<(), Stop> {
        match self {
            Self::Build { memory, pack, shard, dry } => {
                let options = crate::indexer::JobOptions {
                    memory: *memory,
                    pack: *pack,
                    shard: *shard,
                    build: true,
                    ..Default::default()
                };
                job::run(context, plan, options, *dry, out, failures).await
            }
            Self::Update { memory, changes, dry } => {
                let options = crate::indexer::JobOptions {
                    memory: *memory,
                    pack: true,
                    changes: changes.clone(),
                    ..Default::default()
                };
                job::run(context, plan, options, *dry, out, failures).await
            }
            Self::Publish { to, single } => {
                published::publish(context, plan, to.as_ref(), *single, out).await
            }
            Self::Status { published, list } => {
                proof::status(context, plan, (*published, *list), out).await
            }
            Self::Verify { deep } => proof::verify(context, plan, *deep, out, failures).await,
            Self::Compact => job::compact(context, plan, out).await,
            Self::Gc { to, grace, dry } => {
                published::collect(context, plan, to.as_ref(), *grace, *dry, out).await
            }
            Self::Drop => job::remove(context, plan, out),
            Self::DropPublished { to } => published::remove(context, plan, to.as_ref(), out).await,
        }
    }
}

impl Context<'_> {
    /// The bucket of a mount and the place of its index on this machine.
    fn target(&self, plan: &MountPlan) -> Result<Target> {
        let dir = self.options.index.dir.as_ref().ok_or_else(|| {
            Error::new(Kind::Config, "there is no place for the index: HOME is not set")
                .hint("name a directory with --index-dir")
        })?;
        let bucket = config::open(&plan.location, &plan.settings, self.permits, self.platform)
            .map_err(|error| naming(error, &plan.location))?;
        let prefix = match &plan.location {
            Location::R2 { prefix, .. } | Location::S3 { prefix, .. } => prefix.clone(),
            Location::Directory { .. } => String::new(),
        };
        Ok(Target::new(Mount { point: plan.point.clone(), bucket }, prefix, dir))
    }

    /// The answer of `work`, unless Ctrl-C comes first: what is half done is undone by the next
    /// command.
    async fn unless_halted<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        use futures_util::future::{Either, select};
        match select(std::pin::pin!(work), std::pin::pin!(self.halt.wait())).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => Err(Error::new(Kind::Cancelled, "it was not done")),
        }
    }

    /// A report: as one JSON message, or in lines.
    fn print(
        &self,
        plan: &MountPlan,
        out: &mut Out,
        kind: &str,
        report: &impl Serialize,
        lines: &[String],
    ) -> Result<(), Stop> {
        #[derive(Serialize)]
        struct Of<'r, T> {
            mount: &'r str,
            #[serde(flatten)]
            report: &'r T,
        }
        if self.options.json {
            return out.message(kind, &Of { mount: &plan.point, report });
        }
        for line in lines {
            let line = out.shown(line).into_owned();
            out.line(line)?;
        }
        Ok(())
    }
}

fn bounded(memory: args::Memory) -> Result<u64> {
    match memory.memory {
        None => Ok(MEMORY),
        Some(memory) if memory >= LEAST => Ok(memory),
        Some(_) => Err(wrong("--memory is less than 1 MiB")
            .hint("give it at least 64MiB; 512MiB is the default")),
    }
}

/// The mounts at `point`, or all.
fn chosen(plans: &[MountPlan], point: Option<&str>) -> Result<Vec<usize>> {
    let plain = |point: &str| point.trim_end_matches('/').to_owned();
    let Some(point) = point else { return Ok((0..plans.len()).collect()) };
    let at = plans.iter().position(|plan| plain(&plan.point) == plain(point));
    at.map(|at| vec![at]).ok_or_else(|| {
        let points: Vec<_> = plans.iter().map(|plan| plan.point.as_str()).collect();
        wrong(format!("no mount is at {point}"))
            .hint(format!("the mounts are at {}", points.join(" and ")))
    })
}

/// `1 segment`, `2 segments`.
fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Notes are for a person; a program has them in the report.
fn tell_notes(options: &Options, notes: &[String]) {
    for note in notes.iter().filter(|_| !options.json) {
        say(&format!("r2vfs: {}", super::super::failure::lines(note)));
    }
}
