//! `tree`: what is below a directory, indented, with a count at the end.
//!
//! The usual branches (`├──`, `└──`) need to know whether a directory has a later sibling, which
//! is known only when all that is below it was listed: a million keys would be held back.
//! Indentation needs nothing, so that the first lines come with the first page.

use super::super::{
    args::Tree,
    exit::Exit,
    failure::{Failures, Stop},
    options::Options,
    output::Out,
    wait::Waiter,
};
use super::{close, found};
use crate::sandbox::{ListArgs, VirtualSandbox};

/// Draws a directory.
pub(in crate::cli) async fn run(
    sandbox: &VirtualSandbox,
    options: &Options,
    tree: Tree,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let mut failures = Failures::default();
    let mut waiter = Waiter::new("listing");
    let base = if tree.path.ends_with('/') { tree.path } else { format!("{}/", tree.path) };
    let arguments = ListArgs {
        path: base.clone(),
        recursive: true,
        depth: tree.level.map(u64::from),
        ..ListArgs::default()
    };
    let mut entries = sandbox.entries(&arguments);
    let (mut dirs, mut files) = (0_u64, 0_u64);
    let mut drawn = false;
    while let Some(entry) = waiter.until(out, entries.next()).await? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                failures.tell(&error);
                continue;
            }
        };
        let is_dir = entry.path.ends_with('/');
        *if is_dir { &mut dirs } else { &mut files } += 1;
        if options.json {
            out.message("entry", &entry)?;
            continue;
        }
        if !std::mem::replace(&mut drawn, true) {
            let root = out.shown(&base).into_owned();
            out.line(root)?;
        }
        let below = entry.path.strip_prefix(&base).unwrap_or(&entry.path);
        let inner = below.strip_suffix('/').unwrap_or(below);
        let depth = inner.matches('/').count() + 1;
        let name = below[inner.rfind('/').map_or(0, |slash| slash + 1)..].to_owned();
        let name = out.shown(&name).into_owned();
        out.line(format_args!("{:indent$}{name}", "", indent = 2 * depth))?;
    }
    if !options.json && (drawn || !failures.any()) {
        let word = |count, one, many| if count == 1 { one } else { many };
        out.line(format_args!(
            "{dirs} {}, {files} {}",
            word(dirs, "directory", "directories"),
            word(files, "file", "files")
        ))?;
    }
    close(options, out, &mut failures, &entries.envelope())?;
    found(&failures)
}
