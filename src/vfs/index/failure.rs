//! What it means for an answer that an index cannot be used, and what to do about it.
//!
//! A fault of the index says which file is wrong, and not whose it is: a build mends one on this
//! machine, and only publishing again one in a bucket.

use r2vfs_index::{Fault, FaultKind};

use crate::{
    error::{Error, Kind},
    vfs::Unused,
};

/// What is done without where a mount has an index and an answer does not go by it.
pub(super) const NOT_USED: &str = "the index is not used";

const LACKS: &str = "there is none at the place that was named for it";
const LACKS_NEXT: &str = "run `r2vfs index publish --to` that place, or leave --index out";

/// Somebody named a place, and there is no index.
pub(super) fn lacking() -> Unused {
    Unused::new(NOT_USED, LACKS, Some(LACKS_NEXT))
}

/// The same for who cannot do without.
pub(super) fn lacked() -> Error {
    Error::new(Kind::NoIndex, format!("the index cannot be used: {LACKS}"))
        .hint(format!("{LACKS_NEXT}, or use grep"))
}

/// The end of an operation's time or budget, where that is what a fault comes from: it ends the
/// operation and not only the use of the index.
pub(crate) fn ends_the_operation(fault: &Fault) -> Option<Error> {
    let error = std::error::Error::source(fault)?.downcast_ref::<Error>()?;
    matches!(error.kind(), Kind::Deadline | Kind::Budget | Kind::Cancelled).then(|| error.clone())
}

/// How the bucket failed, where that is what a fault comes from: the index itself may be sound. A
/// file that is gone, or another by now, is a fault of the index.
pub(super) fn failure_of_bucket(fault: &Fault) -> Option<Error> {
    let error = std::error::Error::source(fault)?.downcast_ref::<Error>()?;
    (!matches!(error.kind(), Kind::NotFound | Kind::Changed)).then(|| error.clone())
}

/// What somebody can do who keeps the index; `None` where it is not the index that failed.
pub(super) fn next(fault: &Fault, published: bool) -> Option<&'static str> {
    if failure_of_bucket(fault).is_some() {
        return None;
    }
    Some(match fault.kind() {
        _ if published => "run `r2vfs index publish` for the place that it is read from",
        FaultKind::Foreign => {
            "name another --index-dir, or run `r2vfs index drop --yes` and `r2vfs index build`"
        }
        _ => "run `r2vfs index build`, which makes anew what is damaged",
    })
}

/// The error for who cannot do without the index.
pub(super) fn unusable(fault: &Fault, published: bool) -> Error {
    if let Some(error) = failure_of_bucket(fault) {
        return error;
    }
    let next = next(fault, published).unwrap_or("look at the bucket");
    Error::new(Kind::NoIndex, format!("the index cannot be used: {}", fault.detail()))
        .hint(format!("{next}, or use grep"))
        .because(fault.clone())
}
