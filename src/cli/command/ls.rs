//! `ls`: the entries of a directory, one canonical path a line.

use super::super::{
    args::Ls,
    exit::Exit,
    failure::{Failures, Stop},
    options::Options,
    output::Out,
    wait::Waiter,
};
use super::{close, found};
use crate::{
    error::Kind,
    sandbox::{ListArgs, ListEntry, StatArgs, VirtualSandbox, utc},
};

/// Lists a directory, or the one file that was named.
pub(in crate::cli) async fn run(
    sandbox: &VirtualSandbox,
    options: &Options,
    ls: Ls,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let mut failures = Failures::default();
    let mut waiter = Waiter::new("listing");
    let arguments =
        ListArgs { path: ls.path.clone(), recursive: ls.recursive, ..ListArgs::default() };
    let mut entries = sandbox.entries(&arguments);
    while let Some(entry) = waiter.until(out, entries.next()).await? {
        match entry {
            Ok(entry) => print(out, options, &ls, &entry)?,
            Err(error) if error.kind() == Kind::WrongType && !out.printed() => {
                return file(sandbox, options, &ls, out).await;
            }
            Err(error) => failures.tell(&error),
        }
    }
    close(options, out, &mut failures, &entries.envelope())?;
    found(&failures)
}

async fn file(
    sandbox: &VirtualSandbox,
    options: &Options,
    ls: &Ls,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let answer = sandbox.stat(StatArgs { path: ls.path.clone(), report: false }).await?;
    let stat = answer.result;
    let entry = ListEntry { path: stat.path, size: stat.size, modified: stat.modified };
    print(out, options, ls, &entry)?;
    close(options, out, &mut Failures::default(), &answer.envelope)?;
    Ok(Exit::Match)
}

fn print(out: &mut Out, options: &Options, ls: &Ls, entry: &ListEntry) -> Result<(), Stop> {
    if options.json {
        return out.message("entry", entry);
    }
    let path = out.shown(&entry.path).into_owned();
    if !ls.long {
        return out.line(path);
    }
    // 13 digits hold 9.9 TB, more than an object can have; a time is 20 characters.
    let size = entry.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
    let time = entry.modified.map_or_else(|| "-".to_owned(), utc);
    out.line(format_args!("{size:>13}  {time:<20}  {path}"))
}
