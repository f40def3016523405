//! Finds what the disk has damaged of an index that opens.
//!
//! Opening reads of each segment what every query needs. A page that few queries read stays unread,
//! and a build that compares versions alone would call the document on it unchanged for ever, while
//! every answer that needs the page goes to the bucket. [`take_out_damaged`] reads every page
//! against its checksum, which is all that a disk can do to it (`index verify` proves what was
//! written, too), and takes out of the manifest the segments with a bad one: what they held is then
//! new to the build, or gone, or a version that an older segment had.

use r2vfs_index::{FaultKind, bundle::at_once, index::Index, store::Writer};

use super::{fault::told, tally::Halt};
use crate::error::Result;

/// Takes the damaged segments of `known` out of the index and says which; reads until it is asked
/// to stop.
///
/// # Errors
/// What reading fails with, other than damage, and what committing fails with.
pub(super) fn take_out_damaged(
    writer: &mut Writer,
    known: &Index,
    halt: &Halt,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for segment in known.segments().iter().take_while(|_| !halt.asked()) {
        match at_once(segment.bundle().check_pages(|_| ())) {
            Ok(()) => {}
            Err(fault) if fault.kind() == FaultKind::Damaged => {
                // Without it the index agrees with no listing.
                let id = segment.reference().id.clone();
                writer.commit(Vec::new(), &[id], Some(0)).map_err(told)?;
                notes.push(format!("{}: what that file held is indexed anew", fault.detail()));
            }
            Err(fault) => return Err(told(fault)),
        }
    }
    Ok(notes)
}
