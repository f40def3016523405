//! The listing that an index was built from, as one to answer by or to split the next one at.

use std::{sync::Arc, time::Duration};

use r2vfs_index::{docs::State, manifest::Manifest};

use super::IndexView;
use crate::{
    bucket::{ETag, Object},
    tree::{Snapshot, SnapshotBuilder},
    vfs::{Freshness, Op, Vfs},
};

/// Documents of an index from which its listing is worth reading for where to split the next: three
/// pages in a row are listed as soon as it is read.
const WORTH_SPLITTING: u64 = 3000;

impl Vfs {
    /// Takes over what the index of `mount` was built from, before `prefix` is listed: as a listing
    /// that may answer, if the tree's freshness allows its age, and else to tell where to split
    /// the next one.
    pub(in crate::vfs) async fn learn_listing(&self, op: &Op, mount: usize, prefix: &str) {
        if !self.may_have_index(mount) || self.fresh(op, mount, prefix).is_some() {
            return;
        }
        let strict = self.0.freshness == Freshness::Strict;
        let useless = || {
            let known = self.0.indexes.mounts[mount].kept().opened.clone();
            let small = known.is_some_and(|known| docs(known.index.manifest()) <= WORTH_SPLITTING);
            small || !self.index_is_near(mount) || self.milestones(mount, prefix).is_some()
        };
        if strict && useless() {
            return;
        }
        let Some(view) = self.index(op, mount).await else { return };
        let manifest = view.index.manifest();
        let docs = docs(manifest);
        let age = self.now_ms().saturating_sub(manifest.listed_at);
        let age = u64::try_from(age).unwrap_or(0);
        let age = Duration::from_millis(age);
        let answers = match self.0.freshness {
            Freshness::Strict => false,
            Freshness::Bounded(most) => age <= most,
            Freshness::Snapshot => true,
        };
        // A share of the keys, or a build that has not come to its end, is no listing.
        let whole = manifest.listed_at > 0
            && manifest.segments.iter().all(|segment| segment.shard.is_none());
        if answers && whole {
            let began = self.0.platform.monotonic().saturating_sub(age);
            self.keep(mount, began, Arc::new(listing_of(&view)));
        } else if docs > WORTH_SPLITTING && self.milestones(mount, prefix).is_none() {
            self.hint_listing(mount, &listing_of(&view));
        }
    }
}

fn docs(manifest: &Manifest) -> u64 {
    manifest.segments.iter().map(|segment| u64::from(segment.docs)).sum()
}

/// The documents of an index as a listing.
fn listing_of(view: &IndexView) -> Snapshot {
    let mut builder = SnapshotBuilder::new();
    for (_, doc) in view.index.live() {
        builder.push(Object {
            key: doc.key,
            size: doc.size,
            etag: ETag(doc.etag.into()),
            modified: doc.modified,
            archived: doc.state.has(State::ARCHIVED),
        });
    }
    builder.finish(String::new(), view.index.manifest().listed_at)
}
