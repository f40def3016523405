//! One file per command: typed input in, printed output and an exit out.
//!
//! Every command ends in the same way, in [`close`]: what makes the answer incomplete is told and
//! counted, the envelope is printed where it was asked for, and everything reaches the reader
//! before the exit code does.

use super::{
    exit::Exit,
    failure::{Failures, Stop, lines, say},
    options::Options,
    output::Out,
};
use crate::{
    error::{Error, Kind},
    sandbox::{Envelope, Reason},
    vfs::Budget,
};

pub(super) mod cat;
pub(super) mod doctor;
pub(super) mod glob;
pub(super) mod grep;
pub(super) mod index;
pub(super) mod ls;
pub(super) mod man;
#[cfg(feature = "server")]
pub(super) mod mcp;
pub(super) mod read;
pub(super) mod search;
#[cfg(feature = "server")]
pub(super) mod serve;
pub(super) mod stat;
#[cfg(feature = "server")]
pub(super) mod token;
pub(super) mod tool;
pub(super) mod tree;

/// What one command may cost.
pub(super) fn budget(options: &Options) -> Budget {
    Budget { time: options.timeout, ..Budget::default() }
}

/// Ends a command: tells what is missing, prints the envelope, flushes.
fn close(
    options: &Options,
    out: &mut Out,
    failures: &mut Failures,
    envelope: &Envelope,
) -> Result<(), Stop> {
    failures.close();
    // `--stats` and `--json` have them with the rest.
    for note in envelope.notes.iter().filter(|_| !options.stats && !options.json) {
        failures.remark(note, envelope.next.get(note).copied());
    }
    for lack in &envelope.incomplete {
        match lack.reason {
            // A limit was asked for; an error was told where it happened.
            Reason::Limit => {}
            Reason::Unindexed => say(&format!(
                "r2vfs: {} (`r2vfs index update` brings the index up to date)",
                lines(&lack.detail)
            )),
            Reason::Error if failures.any() => {}
            Reason::Deadline | Reason::Budget if failures.told_the_end() => {}
            _ => failures.note(&Error::new(
                Kind::Unavailable,
                format!("the answer is not complete: {}", lack.detail),
            )),
        }
    }
    if options.json {
        out.message("envelope", envelope)?;
    }
    out.flush()?;
    let nothing = envelope.listed == 0 && envelope.matched == 0 && envelope.complete;
    // `doctor` lists for itself.
    let nothing = nothing && envelope.as_of.is_some();
    if nothing && !failures.any() && !options.json {
        // An empty answer because nothing was looked at must not pass for one that found nothing.
        say(
            "r2vfs: there is no object to look at here: if there should be, check the bucket, the \
             prefix and the path",
        );
    }
    if options.stats {
        say(&lines(envelope.in_words().trim_end()));
    }
    Ok(())
}

/// The end of a command that asks for something that is there or not.
fn found(failures: &Failures) -> Result<Exit, Stop> {
    Ok(failures.exit(true))
}
