//! All segments of an index as one.
//!
//! Each segment is right about the documents it holds and knows nothing of what came later. An
//! [`Index`] lays them over each other: of a key that several hold, the newest decides, and a
//! tombstone there means that the index does not hold it.

#[cfg(test)]
#[cfg(feature = "build")]
mod tests;

use std::{cmp::Ordering, collections::BinaryHeap, sync::Arc};

use crate::{
    bundle::{KEPT, side_by_side},
    docs::{Doc, DocsIter, State},
    fault::{Fault, Result},
    manifest::{Manifest, SegmentRef},
    segment::Segment,
    source::{BoxFuture, Source},
};

/// The fewest pages that one of many segments keeps in memory, in bytes: a posting list and some
/// blocks of a term dictionary.
const KEPT_BY_ONE: usize = 1 << 20;

/// What stays in memory of the pages of each segment, in bytes.
fn kept_by_each(manifest: &Manifest) -> usize {
    (KEPT / manifest.segments.len().max(1)).max(KEPT_BY_ONE)
}

/// Which document of which segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocRef {
    /// Counted from the oldest segment.
    pub segment: u32,
    /// The document's number there.
    pub doc: u32,
}

/// See the [module](self). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Index {
    manifest: Arc<Manifest>,
    segments: Arc<[Segment]>,
}

impl Index {
    /// Opens all segments of `manifest` side by side: one round of one read each.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub async fn open(source: Arc<dyn Source>, manifest: Manifest) -> Result<Self> {
        let keep = kept_by_each(&manifest);
        let opening = manifest.segments.iter().map(|segment| -> BoxFuture<'_, Result<Segment>> {
            Box::pin(Segment::open_keeping(source.clone(), segment.clone(), keep))
        });
        let segments = side_by_side(opening.collect()).await?;
        Ok(Self { manifest: Arc::new(manifest), segments: segments.into() })
    }

    /// Opens those segments of `manifest` that can be opened, and says how the others cannot. The
    /// manifest is that of all of them.
    pub async fn open_what_opens(
        source: &Arc<dyn Source>,
        manifest: Manifest,
    ) -> (Self, Vec<(SegmentRef, Fault)>) {
        let keep = kept_by_each(&manifest);
        let (mut segments, mut closed) = (Vec::new(), Vec::new());
        for segment in &manifest.segments {
            match Segment::open_keeping(source.clone(), segment.clone(), keep).await {
                Ok(opened) => segments.push(opened),
                Err(fault) => closed.push((segment.clone(), fault)),
            }
        }
        (Self { manifest: Arc::new(manifest), segments: segments.into() }, closed)
    }

    /// The same index, read through another source from now on. What was fetched stays shared.
    ///
    /// # Errors
    /// As [`Segment::open`], which opening has ruled out.
    pub fn through(&self, source: &Arc<dyn Source>) -> Result<Self> {
        let segments: Result<Vec<_>> =
            self.segments.iter().map(|segment| segment.through(source.clone())).collect();
        Ok(Self { manifest: self.manifest.clone(), segments: segments?.into() })
    }

    /// The same without what is in these segments. The manifest stays: they are part of the index.
    #[must_use]
    pub fn without(&self, ids: &[&str]) -> Self {
        let kept = |segment: &&Segment| !ids.contains(&&*segment.reference().id);
        let segments = self.segments.iter().filter(kept).cloned().collect();
        Self { manifest: self.manifest.clone(), segments }
    }

    /// What it was opened from.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its segments, from the oldest to the newest.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// All documents that it holds, in key order: of each key the newest, tombstones left out.
    /// What is [`State::UNREADABLE`] or [`State::ARCHIVED`] is among them.
    pub fn live(&self) -> impl Iterator<Item = (DocRef, Doc)> + use<> {
        Merged::new(&self.segments).filter(|(_, doc)| !doc.state.has(State::GONE))
    }

    /// The document with that key, unless the newest that is known of it is that it is gone.
    pub fn find(&self, key: &str) -> Option<(DocRef, Doc)> {
        let newest = self.segments.iter().enumerate().rev();
        let found = newest.filter_map(|(segment, opened)| {
            let (doc, found) = opened.docs().find(key)?;
            Some((DocRef { segment: segment as u32, doc }, found))
        });
        found.take(1).find(|(_, doc)| !doc.state.has(State::GONE))
    }

    /// A document by where it is, hidden or not.
    pub fn get(&self, at: DocRef) -> Option<Doc> {
        self.segments.get(at.segment as usize)?.docs().get(at.doc)
    }
}

/// The documents of several segments in key order, of each key the newest, tombstones too.
#[derive(Debug)]
pub(crate) struct Merged {
    iters: Vec<DocsIter>,
    heads: BinaryHeap<Head>,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    at: DocRef,
    doc: Doc,
}

/// The greatest is taken first: the least key, and of equal keys the newest.
impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        other.doc.key.cmp(&self.doc.key).then(self.at.segment.cmp(&other.at.segment))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Merged {
    pub(crate) fn new(segments: &[Segment]) -> Self {
        let iters = segments.iter().map(|segment| segment.docs().iter()).collect();
        let mut merged = Self { iters, heads: BinaryHeap::with_capacity(segments.len()) };
        for segment in 0..segments.len() {
            merged.advance(segment as u32);
        }
        merged
    }

    fn advance(&mut self, segment: u32) {
        if let Some((number, doc)) = self.iters[segment as usize].next() {
            self.heads.push(Head { at: DocRef { segment, doc: number }, doc });
        }
    }
}

impl Iterator for Merged {
    type Item = (DocRef, Doc);

    fn next(&mut self) -> Option<(DocRef, Doc)> {
        let Head { at, doc } = self.heads.pop()?;
        self.advance(at.segment);
        while self.heads.peek().is_some_and(|head| head.doc.key == doc.key) {
            if let Some(hidden) = self.heads.pop() {
                self.advance(hidden.at.segment);
            }
        }
        Some((at, doc))
    }
}
