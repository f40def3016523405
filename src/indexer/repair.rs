//! Finds what the disk has damaged of an index that opens.
//!
//! Opening reads of each segment what every query needs. A page that few queries read stays unread,
//! and a build that compares versions alone would call the document on it unchanged for ever, while
//! every answer that needs the page goes to the bucket. [`damaged`] reads every page against its
//! checksum. A segment with a bad one counts for nothing in the comparison, so that the run builds
//! again what it held; it is taken out of the manifest when that is committed, and not before: what
//! ends the run early must not cost the sound rest of it, nor a share of the keys its name.

use r2vfs_index::{bundle::at_once, index::Index, manifest::SegmentRef, store::Writer};

use super::{fault::told, shard::Shard};
use crate::error::Result;

/// A segment that cannot be read to its end.
#[derive(Debug)]
pub(super) struct Damaged {
    pub(super) segment: SegmentRef,
    /// What is wrong with it.
    detail: String,
}

/// The segments of `known` that cannot be read to their ends, of those that a run over `shard`
/// builds again. `go_on` is told of the bytes that were read, and may end the reading.
pub(super) fn damaged(
    known: &Index,
    shard: Option<Shard>,
    mut go_on: impl FnMut(u64) -> bool,
) -> Vec<Damaged> {
    let mut damaged = Vec::new();
    let mut before = 0;
    let of = shard.map(|shard| (shard.index, shard.of));
    for segment in known.segments() {
        let reference = segment.reference();
        if of.is_some() && reference.shard != of {
            continue;
        }
        // A bad sector is a failed read, and a bad cable a wrong checksum: neither text can be had.
        if let Err(fault) = at_once(segment.bundle().check_pages(|bytes| go_on(before + bytes))) {
            let detail = fault.detail().to_owned();
            damaged.push(Damaged { segment: reference.clone(), detail });
        }
        before += reference.file.bytes;
        if !go_on(before) {
            break;
        }
    }
    damaged
}

/// Takes what was built again out of the index, and says so.
///
/// # Errors
/// What committing fails with.
pub(super) fn take_out(writer: &mut Writer, damaged: &[Damaged]) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for Damaged { segment, detail } in damaged {
        let others = || writer.manifest().segments.iter().filter(|other| other.id != segment.id);
        // Nothing else may tell that the index is of this share; its documents are all gone.
        if segment.shard.is_some() && others().all(|other| other.shard != segment.shard) {
            continue;
        }
        writer.commit(Vec::new(), std::slice::from_ref(&segment.id), None).map_err(told)?;
        notes.push(format!("{detail}: what that file held was indexed anew"));
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use std::{ops::Range, sync::Arc};

    use bytes::Bytes;
    use r2vfs_index::{
        Fault, FaultKind,
        manifest::Settings,
        segment::{NewContent, NewDoc, SegmentWriter},
        source::{BoxFuture, FileRef, Source},
        store::{Dir, Store},
    };

    use super::*;

    /// A disk that cannot read one of its sectors.
    #[derive(Debug)]
    struct BadSector(Dir, u64);

    impl Source for BadSector {
        fn read<'a>(
            &'a self,
            file: &'a FileRef,
            ranges: &'a [Range<u64>],
        ) -> BoxFuture<'a, r2vfs_index::Result<Vec<Bytes>>> {
            match ranges.iter().any(|range| range.contains(&self.1)) {
                true => Box::pin(async { Err(Fault::new(FaultKind::Io, "input/output error")) }),
                false => self.0.read(file, ranges),
            }
        }
    }

    #[test]
    fn a_segment_with_a_sector_that_cannot_be_read_is_built_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(dir.path());
        let mut writer = store.lock(None, Settings::default()).expect("a writer");
        for (key, shard) in [("a", (1, 2)), ("b", (2, 2))] {
            let settings = Settings::default();
            let mut segment = SegmentWriter::create(dir.path(), settings, 1 << 20).expect("one");
            let content = NewContent::Gone;
            let (key, etag) = (key.to_owned(), String::new());
            segment.add(NewDoc { key, etag, size: 0, modified: None, content }).expect("one");
            let mut segment = segment.finish().expect("one");
            segment.shard = Some(shard);
            writer.commit(vec![segment], &[], None).expect("a commit");
        }
        let open = |sector: u64| {
            let source = Arc::new(BadSector(Dir::new(dir.path().to_owned()), sector));
            at_once(Index::open(source, writer.manifest().clone())).expect("it opens")
        };
        let known = open(0);
        assert_eq!(damaged(&known, None, |_| true).len(), 2);
        assert_eq!(damaged(&open(u64::MAX), None, |_| true).len(), 0);
        assert_eq!(damaged(&known, None, |_| false).len(), 1, "it ends where it is told to");
        let second = damaged(&known, Some(Shard { index: 2, of: 2 }), |_| true);
        assert_eq!(second.len(), 1);
        assert_eq!(second[0].segment.shard, Some((2, 2)));
        assert_eq!(known.without(&[&second[0].segment.id]).segments().len(), 1);
        // Alone, it is all that tells of its share.
        assert!(take_out(&mut writer, &second).expect("it can be read").is_empty());
        assert_eq!(writer.manifest().segments.len(), 2);
    }
}
