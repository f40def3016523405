//! `status` and `verify`: what an index is worth.

use std::sync::Arc;

use indicatif::HumanBytes;
use r2vfs_index::index::Index;
use serde::Serialize;

use super::{
    super::super::{
        failure::{Failures, Stop},
        options::MountPlan,
        output::Out,
        run::indexes,
        wait::Waiter,
    },
    Context, count,
};
use crate::{
    error::{Error, Kind},
    indexer::{self, Job, JobOptions, Standing, Survey, Tally, Target, standing},
    sandbox::utc,
    vfs::{Budget, IndexOptions},
};

/// Says how much of the bucket is indexed, and what the index takes. Which index that is, is
/// decided as for a search, unless it is the one `published` in the bucket.
pub(super) async fn status(
    context: &Context<'_>,
    plan: &MountPlan,
    (published, list): (bool, bool),
    out: &mut Out,
) -> Result<(), Stop> {
    #[derive(Serialize)]
    struct Status<'s> {
        place: &'s str,
        #[serde(flatten)]
        standing: &'s Standing,
        coverage: Option<&'s Survey>,
    }
    let target = context.target(plan)?;
    let (index, place) =
        Box::pin(context.unless_halted(found(context, &target, published))).await?;
    let standing = standing(&index);
    let mut coverage = None;
    if list {
        let options = JobOptions { time: context.options.timeout, ..JobOptions::default() };
        let shared = (Arc::new(Tally::default()), context.halt.clone());
        let job = Job::new(target, options, context.platform, shared)?;
        let work = Box::pin(context.unless_halted(job.coverage(&index)));
        coverage = Some(Waiter::new("listing").until(out, work).await??);
    }
    let mut lines = vec![format!("place: {place}")];
    lines.extend(coverage.as_ref().map(|survey: &Survey| {
        format!(
            "objects: {} indexed, {} changed, {} new, {} gone, {} unreadable",
            survey.indexed, survey.changed, survey.new, survey.gone, survey.unreadable
        )
    }));
    lines.extend(words(&standing));
    let status = Status { place, standing: &standing, coverage: coverage.as_ref() };
    context.print(plan, out, "status", &status, &lines)
}

/// The index that is asked about, and in words where it is.
async fn found(
    context: &Context<'_>,
    target: &Target,
    published: bool,
) -> Result<(Index, &'static str), Error> {
    let Context { options, permits, platform, .. } = context;
    let places = match published {
        true => IndexOptions { published, ..IndexOptions::default() },
        false => IndexOptions { local: None, ..indexes(options, permits, platform)? },
    };
    let elsewhere = !places.elsewhere.is_empty();
    let missing = match indexer::local(target) {
        _ if published || elsewhere => None,
        Err(error) if error.kind() == Kind::NotFound && places.published => Some(error),
        local => return Ok((local?, "this machine")),
    };
    let budget = Budget { time: options.timeout, ..Budget::default() };
    match (indexer::published(target, &places, budget, platform).await, missing) {
        (Ok(index), _) if elsewhere => Ok((index, "published, where --index says")),
        (Ok(index), _) => Ok((index, "published in the bucket")),
        (Err(error), Some(missing)) if error.kind() == Kind::NotFound => Err(missing),
        (Err(error), _) => Err(error),
    }
}

fn words(standing: &Standing) -> Vec<String> {
    let share = |bytes: u64| match standing.text_bytes {
        0 => String::new(),
        text => format!(", {:.1} % of the text", bytes as f64 * 100.0 / text as f64),
    };
    let mut lines = vec![
        format!(
            "documents: {} ({} unreadable, {} archived), {} dead",
            standing.documents, standing.unreadable, standing.archived, standing.dead
        ),
        format!("text: {}", HumanBytes(standing.text_bytes)),
        format!(
            "index: {} in {}{}",
            HumanBytes(standing.bytes),
            count(standing.segments, "segment"),
            share(standing.bytes)
        ),
    ];
    for (part, bytes) in &standing.parts {
        lines.push(format!("  {part}: {}{}", HumanBytes(*bytes), share(*bytes)));
    }
    if !standing.shards.is_empty() {
        lines.push(format!("shares: {}", standing.shards.join(", ")));
    }
    lines.push(format!("version: {} of {}", standing.generation, standing.index));
    lines.push(format!("format: {}", standing.format));
    lines.push(format!("written: {}", utc(standing.written_at)));
    let listed = standing.listed_at.map_or_else(|| "never in full".to_owned(), utc);
    lines.push(format!("listed: {listed}"));
    lines
}

/// Reads all of an index and proves it.
pub(super) async fn verify(
    context: &Context<'_>,
    plan: &MountPlan,
    deep: bool,
    out: &mut Out,
    failures: &mut Failures,
) -> Result<(), Stop> {
    let target = context.target(plan)?;
    let budget = Budget { time: context.options.timeout, ..Budget::default() };
    let work = indexer::verify(&target, deep, budget, context.platform);
    let work = Box::pin(context.unless_halted(work));
    let proof = Waiter::new("verifying").until(out, work).await?;
    let proof = proof.map_err(|error| match error.kind() {
        Kind::NotFound => {
            error.hint("run `r2vfs index build`; a published index is not what is verified")
        }
        _ => error,
    })?;
    let done = if proof.problems.is_empty() { "verified" } else { "read, and not sound" };
    let mut lines = vec![format!(
        "{done}: {}, {} of them against their text",
        count(proof.documents, "document"),
        proof.texts
    )];
    if deep {
        lines.push(format!(
            "fetched: {} that agree, {} that changed since, {} passed over",
            proof.fetched, proof.moved, proof.passed_over
        ));
    }
    context.print(plan, out, "verified", &proof, &lines)?;
    out.flush()?;
    let problem = |text: &String| Error::new(Kind::Undecodable, text.as_str());
    if let Some((last, others)) = proof.problems.split_last() {
        others.iter().for_each(|text| failures.note(&problem(text)));
        // The same is to be done about all of them.
        let next = "run `r2vfs index build`; for what is still wrong then, `r2vfs index drop --yes` \
                    first";
        failures.tell(&problem(last).hint(next));
    }
    Ok(())
}
