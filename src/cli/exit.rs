//! The one table of exit codes.
//!
//! ripgrep's rule, for every command: a caller that only looks at the code must be able to tell
//! "nothing there" from "not everything was looked at". So an error beats a match, and only an
//! answer that is whole may say 0 or 1.

use std::process::ExitCode;

use crate::error::Kind;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Something matched, or what was asked for was printed.
    Match,
    /// `glob` or `grep` looked at everything and found nothing.
    NoMatch,
    /// The command failed, or an object was skipped, or the answer is incomplete.
    Error,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The number the shell sees. 130 is what a shell reports for a program that SIGINT ended.
    pub(super) fn code(self) -> u8 {
        match self {
            Exit::Match => 0,
            Exit::NoMatch => 1,
            Exit::Error => 2,
            Exit::Interrupted => 130,
        }
    }

    /// The end of a command that failed with an error of this kind.
    pub(super) fn of(kind: Kind) -> Exit {
        match kind {
            Kind::Cancelled => Exit::Interrupted,
            _ => Exit::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
