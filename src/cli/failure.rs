//! How failures are told: on standard error, in two lines, with what to do next.
//!
//! A stream of objects fails in pieces: the command goes on, and must still remember at its end
//! that the answer is not whole. [`Failures`] prints each problem once, stops printing (never
//! counting) after a bound, and is what the exit code is asked from.

use std::io::{self, Write};

use super::exit::Exit;
use crate::{
    error::{Error, Kind},
    tree::path::visible,
};

/// Why a command ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// It failed, and nothing was said about it yet.
    Failed(Error),
    /// The reader of standard output has left: nobody wants the rest.
    PipeClosed,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

impl From<io::Error> for Stop {
    /// An error of writing to standard output.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Stop::PipeClosed;
        }
        let what = format!("standard output cannot be written: {error}");
        Stop::Failed(
            Error::new(Kind::Io, what)
                .because(error)
                .hint("check the disk or program that the output goes to"),
        )
    }
}

/// How many problems are printed; the rest is only counted. As many as an envelope lists.
const PRINTED: u64 = 100;

/// The problems of one command.
#[derive(Debug, Default)]
pub(super) struct Failures {
    count: u64,
    silent: bool,
    told_the_end: bool,
}

impl Failures {
    /// `silent`: count only (ripgrep's `--no-messages`).
    pub(super) fn new(silent: bool) -> Self {
        Self { silent, ..Self::default() }
    }

    /// Says on one line that something was left out, as ripgrep does, and goes on.
    pub(super) fn note(&mut self, error: &Error) {
        self.count += 1;
        if !self.silent && self.count <= PRINTED {
            say(&headline(error));
        }
    }

    /// Tells a problem with what to do next, and goes on.
    pub(super) fn tell(&mut self, error: &Error) {
        self.count += 1;
        self.told_the_end |= matches!(error.kind(), Kind::Deadline | Kind::Budget);
        if !self.silent && self.count <= PRINTED {
            tell(error);
        }
    }

    /// Says what a person should know of an answer that may lack nothing, and what to do next.
    pub(super) fn remark(&self, note: &str, next: Option<&str>) {
        let next = next.map(|next| format!("\n  next: {next}")).unwrap_or_default();
        if !self.silent {
            say(&format!("r2vfs: {}{next}", lines(note)));
        }
    }

    /// Remembers a problem that was told in another way.
    pub(super) fn count(&mut self) {
        self.count += 1;
    }

    /// Whether what ended the work, its time or its budget, was told already.
    pub(super) fn told_the_end(&self) -> bool {
        self.told_the_end
    }

    /// Whether there was any problem.
    pub(super) fn any(&self) -> bool {
        self.count > 0
    }

    /// Says how many problems were not printed.
    pub(super) fn close(&self) {
        if !self.silent && self.count > PRINTED {
            say(&format!("r2vfs: {} more problems were not printed", self.count - PRINTED));
        }
    }

    /// The exit code of a command that came to its end.
    pub(super) fn exit(&self, matched: bool) -> Exit {
        match (self.any(), matched) {
            (true, _) => Exit::Error,
            (false, true) => Exit::Match,
            (false, false) => Exit::NoMatch,
        }
    }
}

/// Tells why the command failed, in two lines.
pub(super) fn tell(error: &Error) {
    let mut text = headline(error);
    if let Some(next) = error.advice() {
        text.push_str("\n  next: ");
        text.push_str(&visible(next));
    }
    say(&text);
}

/// Prints one or more lines on standard error. Where even that fails there is nobody to tell.
pub(super) fn say(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

// Keys, patterns and configuration files are untrusted text, and standard error is mostly a
// terminal; a program that parses it reads `--json` instead.
fn headline(error: &Error) -> String {
    match error.path() {
        Some(path) => format!("r2vfs: {}: {}", visible(path), lines(error.message())),
        None => format!("r2vfs: {}", lines(error.message())),
    }
}

/// Text of several lines, each made harmless. A pattern error is drawn over several lines with a
/// caret, which must survive.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}
