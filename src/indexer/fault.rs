//! What a fault of the index means to whoever runs a command.

use r2vfs_index::{Fault, FaultKind};

use crate::error::{Error, Kind};

/// The error to tell. What was committed before stays, whatever it is.
pub(super) fn told(fault: Fault) -> Error {
    let (kind, hint) = match fault.kind() {
        FaultKind::Missing => (Kind::NotFound, "run `r2vfs index build`"),
        FaultKind::Damaged | FaultKind::Format => {
            (Kind::Undecodable, "run `r2vfs index build`, which makes it anew")
        }
        FaultKind::Foreign => (Kind::Config, "name another directory with --index-dir"),
        FaultKind::Locked => (Kind::Unavailable, "wait until the other process is done, or end it"),
        FaultKind::Full => (
            Kind::Io,
            "the index is as it was at its last commit: make room, or name another directory with \
             --index-dir, and run the same command again",
        ),
        FaultKind::Invalid => (Kind::InvalidArgument, "this is a mistake of r2vfs: report it"),
        _ => (Kind::Io, "look at the directory of the index, and run the same command again"),
    };
    Error::new(kind, fault.detail()).hint(hint).because(fault)
}
