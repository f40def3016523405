//! Joins segments, as [`compaction`](super::compaction) decides.

use r2vfs_index::{
    FaultKind,
    compact::{self, Merge},
    manifest::SegmentRef,
    store::{Store, Writer},
};

use super::{
    Target,
    compaction::{Weight, next},
    fault::told,
    tally::Halt,
};
use crate::error::Result;

/// How much is to be joined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// A build ends here, after which so much text becomes one segment.
    pub(super) small: Option<u64>,
    /// Everything is to become one segment.
    pub(super) one: bool,
}

/// Joins until nothing is due, one commit each.
pub(super) fn join(writer: &mut Writer, effort: Effort, halt: &Halt) -> Result<()> {
    while !halt.asked() {
        let index = writer.store().open().map_err(told)?;
        let weights: Vec<Weight> = index.manifest().segments.iter().map(weigh).collect();
        let live = index.live().count() as u64;
        let Some(range) = next(&weights, live, effort.small, effort.one) else { break };
        let joined = &index.manifest().segments[range.clone()];
        let names: Vec<String> = joined.iter().map(|segment| segment.id.clone()).collect();
        let shard = joined.first().and_then(|first| first.shard);
        let shard = shard.filter(|shard| joined.iter().all(|s| s.shard == Some(*shard)));
        let settings = writer.manifest().settings;
        let merge = Merge { settings, oldest: range.start == 0 };
        let segments = &index.segments()[range];
        let mut segment = compact::merge(segments, writer.path(), merge).map_err(told)?;
        segment.shard = shard;
        writer.commit(vec![segment], &names, None).map_err(told)?;
    }
    Ok(())
}

fn weigh(segment: &SegmentRef) -> Weight {
    Weight { text: segment.text_bytes, docs: segment.docs.into(), shard: segment.shard }
}

/// Joins all segments of an index into one. Blocks.
///
/// # Errors
/// [`Kind::NotFound`](crate::Kind::NotFound) where there is no index, and what writing fails with.
pub fn compact(target: &Target, halt: &Halt) -> Result<()> {
    let store = Store::at(&target.dir);
    // Before the lock, which makes the directory.
    let settings = store.manifest().map_err(told)?.settings;
    let mut writer = store.lock(Some(&target.origin()), settings).map_err(told)?;
    let effort = Effort { small: None, one: true };
    join(&mut writer, effort, halt)
}

/// Deletes the index of a target. Whether there was one.
///
/// # Errors
/// [`Kind::Unavailable`](crate::Kind::Unavailable) while another process writes it, and what
/// deleting fails with.
pub fn remove(target: &Target) -> Result<bool> {
    let store = Store::at(&target.dir);
    let was = !matches!(store.manifest(), Err(fault) if fault.kind() == FaultKind::Missing);
    store.remove().map_err(told)?;
    Ok(was)
}
