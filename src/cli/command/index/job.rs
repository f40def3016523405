//! `build`, `update`, `compact` and `drop`: what is done on this machine.

use std::{fs::File, io::BufReader, path::Path, sync::Arc};

use indicatif::HumanBytes;

use super::{
    super::super::{
        failure::{Failures, Stop, say},
        options::MountPlan,
        output::Out,
        usage::wrong,
    },
    Context, count, progress, tell_notes,
};
use crate::{
    error::{Error, Kind, Result},
    indexer::{self, Change, Job, JobOptions, Report, Survey, Tally, read_changes},
};

/// The changes that a file names, or standard input.
pub(super) fn read(file: &Path) -> Result<Vec<Change>> {
    if file == Path::new("-") {
        return read_changes(std::io::stdin().lock());
    }
    let opened = File::open(file).map_err(|error| {
        wrong(format!("the list of changes {} cannot be read: {error}", file.display()))
            .because(error)
            .hint("give --changes a file, or `-` for standard input")
    })?;
    read_changes(BufReader::new(opened))
}

/// Builds or updates, or says what that would do.
pub(super) async fn run(
    context: &Context<'_>,
    plan: &MountPlan,
    mut options: JobOptions,
    dry: bool,
    out: &mut Out,
    failures: &mut Failures,
) -> Result<(), Stop> {
    options.time = context.options.timeout;
    let target = context.target(plan)?;
    let tally = Arc::new(Tally::default());
    let shared = (tally.clone(), context.halt.clone());
    let job = Job::new(target, options, context.platform, shared)?;
    if dry {
        let survey = context.unless_halted(progress::shown(&tally, job.survey())).await?;
        return context.print(plan, out, "forecast", &survey, &forecast(&survey));
    }
    let report = progress::shown(&tally, Box::pin(job.run())).await?;
    tell_notes(context.options, &report.notes);
    context.print(plan, out, "index", &report, &told(&report))?;
    out.flush()?;
    for unread in &report.unread {
        let why = Error::new(Kind::Unavailable, format!("it is not indexed: {}", unread.why));
        failures.note(&why.at(unread.path.as_str()));
    }
    let unnamed = report.unreadable.saturating_sub(report.unread.len() as u64);
    if unnamed > 0 {
        failures.note(&Error::new(
            Kind::Unavailable,
            format!("{unnamed} more objects could not be read and are not indexed"),
        ));
    }
    if report.interrupted {
        say(&format!(
            "r2vfs: interrupted: {} kept; the same command goes on from there",
            count(report.committed, "object")
        ));
    }
    Ok(())
}

fn forecast(survey: &Survey) -> Vec<String> {
    let mut lines = vec![
        format!(
            "to fetch: {}, {} ({} new, {} changed, {} that could not be read before)",
            count(survey.objects(), "object"),
            HumanBytes(survey.bytes),
            survey.new,
            survey.changed,
            survey.unreadable,
        ),
        format!("unchanged: {}, gone: {}", survey.indexed, survey.gone),
        format!(
            "requests: {} LIST, {} GET, about ${:.4} at R2's list price without its free tier",
            survey.list_requests, survey.get_requests, survey.dollars,
        ),
    ];
    if survey.damaged > 0 {
        lines.push(format!("damaged, to be made again: {}", count(survey.damaged, "segment")));
    }
    lines
}

fn told(report: &Report) -> Vec<String> {
    let seconds = (report.elapsed_ms as f64 / 1e3).max(0.001);
    let rate = HumanBytes((report.committed_bytes as f64 / seconds) as u64);
    let mut lines = vec![
        format!(
            "indexed: {}, {} in {seconds:.1} s ({rate}/s)",
            count(report.committed, "object"),
            HumanBytes(report.committed_bytes),
        ),
        format!(
            "new: {}, changed: {}, tried again: {}, unchanged: {}, gone: {}",
            report.new, report.changed, report.again, report.unchanged, report.gone,
        ),
    ];
    if report.archived > 0 {
        lines.push(format!("archived, and so not read: {}", report.archived));
    }
    lines.push(format!(
        "index: {} in {}, of {} of text",
        HumanBytes(report.index_bytes),
        count(report.segments, "segment"),
        HumanBytes(report.text_bytes),
    ));
    lines.push(format!(
        "requests: {} LIST, {} GET, {} fetched, {} repeated",
        report.cost.list_requests,
        report.cost.get_requests,
        HumanBytes(report.cost.bytes_fetched),
        report.cost.retries,
    ));
    lines
}

/// Joins all segments.
pub(super) async fn compact(
    context: &Context<'_>,
    plan: &MountPlan,
    out: &mut Out,
) -> Result<(), Stop> {
    let target = context.target(plan)?;
    let (of, halt) = (target.clone(), context.halt.clone());
    let tally = Tally::default();
    tally.merge(true);
    let work = context.platform.blocking(move || indexer::compact(&of, &halt));
    let joined = progress::shown(&tally, work).await;
    joined.unwrap_or_else(|| Err(Error::new(Kind::Io, "joining segments broke down")))?;
    let standing = indexer::standing(&indexer::local(&target)?);
    let line = format!(
        "index: {} in {}, of {} of text",
        HumanBytes(standing.bytes),
        count(standing.segments, "segment"),
        HumanBytes(standing.text_bytes),
    );
    context.print(plan, out, "status", &standing, &[line])
}

/// Deletes the index.
pub(super) fn remove(context: &Context<'_>, plan: &MountPlan, out: &mut Out) -> Result<(), Stop> {
    #[derive(serde::Serialize)]
    struct Dropped {
        dropped: bool,
    }
    let dropped = indexer::remove(&context.target(plan)?)?;
    let line = if dropped { "the index is deleted" } else { "there was no index" };
    context.print(plan, out, "drop", &Dropped { dropped }, &[line.to_owned()])
}
