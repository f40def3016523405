//! `publish`, `gc` and `drop --published`: what is done in the bucket.

use std::time::Duration;

use indicatif::HumanBytes;

use super::{
    super::super::{
        failure::Stop,
        options::{MountPlan, naming},
        output::Out,
        wait::Waiter,
    },
    Context, count, tell_notes,
};
use crate::{config::Location, error::Result, indexer::Publishing};

impl Context<'_> {
    fn publishing(&self, plan: &MountPlan, to: Option<&Location>) -> Result<Publishing> {
        Publishing::open(&plan.location, to, &plan.settings, self.permits, self.platform)
            .map_err(|error| naming(error, to.unwrap_or(&plan.location)))
    }
}

/// Publishes the index of a mount.
pub(super) async fn publish(
    context: &Context<'_>,
    plan: &MountPlan,
    to: Option<&Location>,
    single: bool,
    out: &mut Out,
) -> Result<(), Stop> {
    let target = context.target(plan)?;
    let publishing = context.publishing(plan, to)?;
    let work = publishing.publish(&target, single, &|_| {});
    let work = context.unless_halted(work);
    let published = Waiter::new("publishing").until(out, Box::pin(work)).await??;
    tell_notes(context.options, &published.notes);
    let mut lines = vec![if published.unchanged {
        "published: what is there is this index already".to_owned()
    } else {
        format!(
            "published: {} put, {} in all",
            HumanBytes(published.put_bytes),
            HumanBytes(published.bytes)
        )
    }];
    lines.push(format!(
        "{}, of which {} of other shares stay",
        count(published.segments, "segment"),
        published.others
    ));
    context.print(plan, out, "published", &published, &lines)
}

/// Deletes what no manifest names.
pub(super) async fn collect(
    context: &Context<'_>,
    plan: &MountPlan,
    to: Option<&Location>,
    grace: Duration,
    dry: bool,
    out: &mut Out,
) -> Result<(), Stop> {
    let publishing = context.publishing(plan, to)?;
    let work = context.unless_halted(publishing.collect(grace, dry));
    let collected = Waiter::new("deleting").until(out, Box::pin(work)).await??;
    tell_notes(context.options, &collected.notes);
    let done = if dry { "to delete" } else { "deleted" };
    let line = format!(
        "{done}: {}, {}; {} too young, {} given up",
        count(collected.files, "file"),
        HumanBytes(collected.bytes),
        collected.young,
        count(collected.uploads, "unfinished upload"),
    );
    context.print(plan, out, "gc", &collected, &[line])
}

/// Deletes the published index.
pub(super) async fn remove(
    context: &Context<'_>,
    plan: &MountPlan,
    to: Option<&Location>,
    out: &mut Out,
) -> Result<(), Stop> {
    #[derive(serde::Serialize)]
    struct Dropped {
        files: u64,
    }
    let publishing = context.publishing(plan, to)?;
    let work = context.unless_halted(publishing.remove());
    let files = Waiter::new("deleting").until(out, Box::pin(work)).await??;
    let line = format!("deleted: the manifest and {}", count(files, "other file"));
    context.print(plan, out, "drop", &Dropped { files }, &[line])
}
