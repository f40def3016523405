//! `glob`: the files whose path matches, one canonical path a line.

use super::super::{
    args::Glob,
    exit::Exit,
    failure::{Failures, Stop},
    options::Options,
    output::Out,
    wait::Waiter,
};
use super::close;
use crate::sandbox::{GlobArgs, ListEntry, OneOrMany, VirtualSandbox};

/// Prints the files that match.
pub(in crate::cli) async fn run(
    sandbox: &VirtualSandbox,
    options: &Options,
    glob: Glob,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let mut failures = Failures::default();
    let mut waiter = Waiter::new("listing");
    let arguments = GlobArgs {
        pattern: OneOrMany::Many(glob.patterns),
        path: glob.path,
        case_insensitive: glob.ignore_case,
        ..GlobArgs::default()
    };
    let mut paths = sandbox.paths(&arguments).await?;
    let mut matched = false;
    while let Some(entry) = waiter.until(out, paths.next()).await? {
        match entry {
            Ok(entry) => {
                matched = true;
                if options.json {
                    let object = entry.object;
                    out.message(
                        "entry",
                        &ListEntry {
                            path: entry.path,
                            size: Some(object.size),
                            modified: object.modified,
                        },
                    )?;
                } else {
                    let path = out.shown(&entry.path).into_owned();
                    out.line(path)?;
                }
            }
            Err(error) => failures.tell(&error),
        }
    }
    close(options, out, &mut failures, &paths.envelope())?;
    Ok(failures.exit(matched))
}
