//! Keys at even distances.
//!
//! Going through a million keys to find fifteen takes as long as a page of a listing. Blocks know
//! their rank, so that [`Snapshot::milestones`] reads one key of a few blocks.

use super::{
    Snapshot,
    arena::{BLOCK, Cursor},
};
use crate::bucket::Milestones;

impl Snapshot {
    /// Where to split a listing of the keys that start with `prefix`.
    pub fn milestones(&self, prefix: &str) -> Milestones {
        let arena = &self.0.arena;
        let bytes = prefix.as_bytes();
        let first = Cursor::seek(arena, |key| key < bytes).ordinal();
        let end = Cursor::seek(arena, |key| key < bytes || key.starts_with(bytes)).ordinal();
        let count = end - first;
        let stretches = Milestones::stretches(count as u64) as usize;
        let keys = (1..stretches).filter_map(|stretch| {
            // A block's first key is as good as the one that is meant, and costs no reading on.
            let at = first + stretch * count / stretches;
            let cursor = Cursor::at_block(arena, at / BLOCK);
            let key = cursor.key(arena).filter(|key| key.starts_with(prefix))?;
            Some(key.to_owned())
        });
        Milestones::new(count as u64, keys.collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        bucket::{ETag, Object},
        tree::SnapshotBuilder,
    };

    #[test]
    fn they_part_what_lies_below_a_prefix_evenly() {
        let mut builder = SnapshotBuilder::new();
        for n in 0..30_000 {
            let key = format!("{}/{n:06}", if n < 10_000 { "a" } else { "b" });
            let etag = ETag(format!("{n:032x}").into());
            builder.push(Object { key, size: 1, etag, modified: None, archived: false });
        }
        let snapshot = builder.finish(String::new(), 0);
        for (prefix, first, count) in [("", 0, 30_000), ("b/", 10_000, 20_000), ("a", 0, 10_000)] {
            let milestones = snapshot.milestones(prefix);
            assert_eq!(milestones.count(), count);
            let keys = milestones.keys();
            assert!(keys.len() > 200 && milestones.worth(), "{} for {prefix:?}", keys.len());
            for (n, key) in (1..).zip(keys) {
                assert!(key.starts_with(prefix));
                let rank: u64 = key[2..].parse().expect("a number");
                let even = first + n * count / (keys.len() as u64 + 1);
                assert!(rank.abs_diff(even) <= 16, "{prefix:?}: {n} is {rank}, not {even}");
            }
        }
        assert!(!snapshot.milestones("c").worth());
        assert!(!snapshot.milestones("a/00000").worth());
    }
}
