//! Joins segments, as [`compaction`](super::compaction) decides.

use r2vfs_index::{
    compact::{self, Merge},
    manifest::SegmentRef,
    store::Writer,
};

use super::{
    compaction::{Weight, next},
    fault::told,
    tally::Stop,
};
use crate::error::Result;

/// How much is to be joined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// A build ends here.
    pub(super) built: bool,
    /// Everything is to become one segment.
    pub(super) one: bool,
    /// Bytes that the full text may take.
    pub(super) memory: usize,
}

/// Joins until nothing is due, one commit each.
pub(super) fn join(writer: &mut Writer, effort: Effort, stop: &Stop) -> Result<()> {
    while !stop.asked() {
        let index = writer.store().open().map_err(told)?;
        let weights: Vec<Weight> = index.manifest().segments.iter().map(weigh).collect();
        let live = index.live().count() as u64;
        let Some(range) = next(&weights, live, effort.built, effort.one) else { break };
        let joined = &index.manifest().segments[range.clone()];
        let names: Vec<String> = joined.iter().map(|segment| segment.id.clone()).collect();
        let shard = joined.first().and_then(|first| first.shard);
        let shard = shard.filter(|shard| joined.iter().all(|s| s.shard == Some(*shard)));
        let merge = Merge {
            settings: writer.manifest().settings,
            memory: effort.memory,
            oldest: range.start == 0,
        };
        let segments = &index.segments()[range];
        let mut segment = compact::merge(segments, writer.path(), merge).map_err(told)?;
        segment.shard = shard;
        writer.commit(vec![segment], &names, None).map_err(told)?;
    }
    Ok(())
}

fn weigh(segment: &SegmentRef) -> Weight {
    Weight { text: segment.text_bytes, docs: segment.docs.into() }
}
