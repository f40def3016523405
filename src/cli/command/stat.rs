//! `stat`: what is known about a path, and with `--report` what a listing holds.

use super::super::{
    args::Stat,
    exit::Exit,
    failure::{Failures, Stop},
    options::Options,
    output::Out,
    wait::Waiter,
};
use super::{close, found};
use crate::{
    error::{Error, Kind},
    sandbox::{Envelope, SkipReason, StatArgs, StatResult, VirtualSandbox, utc},
};

/// Describes each path, and ends with one envelope for all of them.
pub(in crate::cli) async fn run(
    sandbox: &VirtualSandbox,
    options: &Options,
    stat: Stat,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let mut failures = Failures::default();
    let mut waiter = Waiter::new("looking");
    let mut whole = Envelope::default();
    for path in stat.paths {
        let arguments = StatArgs { path: path.clone(), report: stat.report };
        match waiter.until(out, sandbox.stat(arguments)).await? {
            Ok(answer) => {
                match options.json {
                    true => out.message("stat", &answer.result)?,
                    false => print(out, &answer.result)?,
                }
                add(&mut whole, answer.envelope);
            }
            Err(error) => {
                failures.tell(&error);
                whole.skip(&path, SkipReason::of(&error), error.message());
            }
        }
    }
    whole.settle();
    close(options, out, &mut failures, &whole)?;
    found(&failures)
}

/// What one more answer of the command is worth.
fn add(whole: &mut Envelope, one: Envelope) {
    for lack in one.incomplete {
        whole.lacks(lack.reason, lack.detail);
    }
    for skipped in one.skipped {
        whole.skip(&skipped.path, skipped.reason, skipped.detail);
    }
    whole.listed += one.listed;
    whole.searched += one.searched;
    whole.matched += one.matched;
    whole.as_of = [whole.as_of, one.as_of].into_iter().flatten().min();
    whole.cost.list_requests += one.cost.list_requests;
    whole.cost.get_requests += one.cost.get_requests;
    whole.cost.bytes_fetched += one.cost.bytes_fetched;
    whole.cost.cache_hits += one.cost.cache_hits;
    whole.cost.retries += one.cost.retries;
    whole.elapsed_ms += one.elapsed_ms;
    whole.notes.extend(one.notes);
    whole.next.extend(one.next);
    whole.reserved = whole.reserved.max(one.reserved);
}

fn print(out: &mut Out, stat: &StatResult) -> Result<(), Stop> {
    let mut field = |name: &str, value: &str| {
        let value = out.shown(value).into_owned();
        out.line(format_args!("{name}: {value}"))
    };
    field("path", &stat.path)?;
    field("kind", &stat.kind)?;
    if let Some(size) = stat.size {
        field("size", &size.to_string())?;
    }
    if let Some(modified) = stat.modified {
        field("modified", &utc(modified))?;
    }
    if let Some(etag) = &stat.etag {
        field("etag", etag)?;
    }
    if stat.also_dir {
        field("also_dir", &format!("{}/", stat.path))?;
    }
    if stat.archived {
        field("archived", "yes: it must be restored before it can be read")?;
    }
    for (mount, report) in &stat.report {
        field("mount", mount)?;
        // The report's own names, whatever it counts: one list of fields, kept in one place.
        let report = serde_json::to_value(report)
            .map_err(|error| Error::new(Kind::Io, "the report cannot be printed").because(error))?;
        for (name, count) in report.as_object().into_iter().flatten() {
            match count {
                serde_json::Value::Array(names) => {
                    for one in names.iter().filter_map(serde_json::Value::as_str) {
                        field(&format!("  {name}"), one)?;
                    }
                }
                count => field(&format!("  {name}"), &count.to_string())?,
            }
        }
    }
    Ok(())
}
