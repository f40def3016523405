//! `grep`: what a scan finds, printed in path order as it comes.

use std::{sync::Arc, time::Instant};

use serde_json::{Value, json};

use super::super::{
    exit::Exit,
    failure::{Failures, Stop},
    options::{Options, grep::GrepOptions},
    output::Out,
    wait::Waiter,
};
use super::{budget, close};
use crate::{
    sandbox::{ScanEvent, ScanRequest, VirtualSandbox},
    search::type_list,
};

/// Runs one search.
pub(in crate::cli) async fn run(
    sandbox: &VirtualSandbox,
    options: &Options,
    grep: GrepOptions,
    out: &mut Out,
) -> Result<Exit, Stop> {
    if !grep.can_match() && !grep.json {
        return Ok(Exit::NoMatch);
    }
    let started = Instant::now();
    let mut failures = Failures::new(grep.silent);
    let mut waiter = Waiter::new("searching");
    let GrepOptions { pattern, search, selection, paths, decompress, printer, .. } = grep;
    let request = ScanRequest {
        paths: paths.clone(),
        pattern,
        search,
        selection,
        search_zip: decompress,
        budget: budget(options),
        start: None,
    };
    let mut scan = sandbox.scan(request, printer.clone())?;
    let mut last: Option<Arc<str>> = None;
    let mut matched = false;
    while let Some(event) = waiter.until(out, scan.next()).await? {
        match event {
            ScanEvent::Chunk { path, chunk } => {
                let another = last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &path));
                if let (true, Some(between)) = (another && !chunk.bare, &grep.separator)
                    && out.printed()
                {
                    out.write(between)?;
                }
                last = Some(path);
                out.write(&chunk.bytes)?;
            }
            ScanEvent::End { found, .. } => {
                matched |= found.matched;
                if matched && grep.quiet {
                    return Ok(Exit::Match);
                }
            }
            ScanEvent::Failed { path, error, .. } => {
                let error = error.at(&*path);
                // What was asked for by name is answered with what to do next.
                if paths.iter().any(|asked| **asked == *path) {
                    failures.tell(&error);
                } else {
                    failures.note(&error);
                }
            }
        }
    }
    let envelope = scan.envelope();
    drop(scan);
    if grep.json {
        out.line(summary(&printer.totals(), started))?;
    }
    close(options, out, &mut failures, &envelope)?;
    Ok(failures.exit(matched))
}

// ripgrep's last message, key for key; only the times are our own.
fn summary(stats: &grep_printer::Stats, started: Instant) -> Value {
    let elapsed = started.elapsed();
    json!({
        "type": "summary",
        "data": {
            "stats": stats,
            "elapsed_total": {
                "secs": elapsed.as_secs(),
                "nanos": elapsed.subsec_nanos(),
                "human": format!("{:0.6}s", elapsed.as_secs_f64()),
            },
        },
    })
}

/// `--type-list`, as ripgrep prints it.
pub(in crate::cli) fn types(out: &mut Out) -> Result<Exit, Stop> {
    for (name, globs) in type_list() {
        out.line(format_args!("{name}: {}", globs.join(", ")))?;
    }
    out.flush()?;
    Ok(Exit::Match)
}
