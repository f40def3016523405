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
    let GrepOptions {
        pattern,
        search,
        selection,
        paths,
        decompress,
        printer,
        terminator,
        every,
        ..
    } = grep;
    let request = ScanRequest {
        paths: paths.clone(),
        pattern,
        search,
        selection,
        search_zip: decompress,
        every,
        budget: budget(options),
        start: None,
        dry_run: false,
    };
    let mut scan = sandbox.scan(request, printer.clone())?;
    let mut last: Option<Arc<str>> = None;
    let mut matched = false;
    // A line of more than one piece is under way: it belongs to the file of the last chunk.
    let mut open_line = false;
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
                // JSON is printed even with -q, for its sums: nobody wants the messages.
                if !grep.quiet {
                    out.write(&chunk.bytes)?;
                    open_line = terminator.is_some_and(|end| chunk.bytes.last() != end.last());
                }
            }
            ScanEvent::End { found, .. } => {
                open_line = false;
                matched |= found.matched;
                if matched && grep.quiet {
                    scan.reach_limit("one match was asked for");
                }
            }
            ScanEvent::Failed { path, error, .. } => {
                let cut = std::mem::take(&mut open_line) && last.as_deref() == Some(&*path);
                if let (true, Some(end)) = (cut, terminator) {
                    out.write(end)?;
                }
                let error = error.at(&*path);
                // What was asked for by name, or hides a whole mount, is answered with what to
                // do next.
                if path.ends_with('/') || paths.iter().any(|asked| **asked == *path) {
                    failures.tell(&error);
                } else {
                    failures.note(&error);
                }
            }
        }
    }
    let (envelope, not_read) = (scan.envelope(), scan.not_read());
    drop(scan);
    if grep.json {
        let mut totals = printer.totals();
        totals.add_searches(not_read.objects);
        totals.add_bytes_searched(not_read.bytes);
        out.line(summary(&totals, started))?;
    }
    close(options, out, &mut failures, &envelope)?;
    // As in ripgrep, -q asks for one match only: it may be whatever else went wrong.
    Ok(if matched && grep.quiet { Exit::Match } else { failures.exit(matched) })
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
