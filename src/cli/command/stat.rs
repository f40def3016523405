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
    sandbox::{StatArgs, StatResult, VirtualSandbox, utc},
};

/// Describes each path.
pub(in crate::cli) async fn run(
    sandbox: &VirtualSandbox,
    options: &Options,
    stat: Stat,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let mut failures = Failures::default();
    let mut waiter = Waiter::new("looking");
    for path in stat.paths {
        let arguments = StatArgs { path, report: stat.report };
        match waiter.until(out, sandbox.stat(arguments)).await? {
            Ok(answer) if options.json => {
                out.message("stat", &answer.result)?;
                close(options, out, &mut failures, &answer.envelope)?;
            }
            Ok(answer) => {
                print(out, &answer.result)?;
                close(options, out, &mut failures, &answer.envelope)?;
            }
            Err(error) => failures.tell(&error),
        }
    }
    out.flush()?;
    found(&failures)
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
