//! Finds what the disk has damaged of an index, for a build to make it again.
//!
//! A build that compares versions alone would call the document on a damaged page unchanged for
//! ever, while every answer that needs the page goes to the bucket; and one that begins anew where a
//! file is missing fetches everything for the sake of a part. [`damaged`] reads every page of every
//! segment against its checksum. A segment with a bad one, or that does not open at all, counts for
//! nothing in the comparison, so that the run builds again what it held; it is taken out of the
//! manifest when that is committed, and not before: what ends the run early must not cost the sound
//! rest of it, nor a share of the keys its name.

use r2vfs_index::{
    Fault, FaultKind,
    bundle::at_once,
    index::Index,
    manifest::SegmentRef,
    segment::{Segment, SegmentWriter},
    store::Writer,
};

use super::{
    fault::told,
    shard::{Division, Shard},
};
use crate::error::Result;

/// A segment that cannot be read to its end, and why.
pub(super) type Damaged = (SegmentRef, Fault);

/// The segments of `known` that cannot be read to their ends, of those that a run over `shard`
/// builds again. `go_on` is told of the bytes that were read, and may end the reading.
///
/// # Errors
/// Where nothing of several segments can be read: then it is not they that are damaged.
pub(super) fn damaged(
    known: &Index,
    shard: Option<Shard>,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Vec<Damaged>> {
    let (mut damaged, mut before, mut read) = (Vec::new(), 0, 0);
    for segment in known.segments() {
        let reference = segment.reference();
        if !is_of(reference, shard) {
            continue;
        }
        read += 1;
        let mut check = |segment: &Segment| {
            at_once(segment.bundle().check_pages(|bytes| go_on(before + bytes)))
        };
        let failed = check(segment).err().and_then(|fault| match fault.kind() {
            // A bad sector is read badly again, and what was a hiccup of the disk is not.
            FaultKind::Io => check(segment).err(),
            _ => Some(fault),
        });
        damaged.extend(failed.map(|fault| (reference.clone(), fault)));
        before += reference.file.bytes;
        if !go_on(before) {
            break;
        }
    }
    let is_read = |(_, fault): &Damaged| fault.kind() != FaultKind::Io;
    match damaged.first() {
        Some((_, fault)) if read > 1 && damaged.len() == read && !damaged.iter().any(is_read) => {
            Err(told(fault.clone()))
        }
        _ => Ok(damaged),
    }
}

/// Whether a run over `shard`, or over all that is there, builds again what this segment holds.
pub(super) fn is_of(segment: &SegmentRef, shard: Option<Shard>) -> bool {
    shard.is_none_or(|shard| segment.shard == Some((shard.index, shard.of)))
}

/// Takes what was built again out of the index, and says so. `text`: bytes of memory for the text
/// of a segment.
///
/// # Errors
/// What writing and committing fail with.
pub(super) fn take_out(
    writer: &mut Writer,
    damaged: &[Damaged],
    text: usize,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for (segment, fault) in damaged {
        let all = || writer.manifest().segments.iter();
        let others = || all().filter(|other| other.id != segment.id);
        let mut instead = Vec::new();
        // Of a share whose objects are gone nothing was built, and nothing else may have its name.
        if Division::of(all()) != Division::of(others()) {
            let settings = writer.manifest().settings;
            let empty = SegmentWriter::create(writer.path(), settings, text).map_err(told)?;
            let empty = empty.finish().map_err(told)?;
            instead.push(SegmentRef { shard: segment.shard, ..empty });
        }
        writer.commit(instead, std::slice::from_ref(&segment.id), None).map_err(told)?;
        notes.push(format!("{}: what that file held was indexed anew", fault.detail()));
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use std::{ops::Range, sync::Arc};

    use bytes::Bytes;
    use r2vfs_index::{
        manifest::Settings,
        segment::{NewContent, NewDoc},
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
            let text = Bytes::from_static(b"an article about nothing");
            let (key, etag, size) = (key.to_owned(), "1".to_owned(), text.len() as u64);
            let content = NewContent::Plain(text);
            segment.add(NewDoc { key, etag, size, modified: None, content }).expect("one");
            let mut segment = segment.finish().expect("one");
            segment.shard = Some(shard);
            writer.commit(vec![segment], &[], None).expect("a commit");
        }
        let open = |sector: u64| {
            let source = Arc::new(BadSector(Dir::new(dir.path().to_owned()), sector));
            at_once(Index::open(source, writer.manifest().clone())).expect("it opens")
        };
        let known = open(0);
        let all = |known: &Index| damaged(known, None, |_| true).expect("it can be read");
        assert_eq!(all(&open(u64::MAX)).len(), 0);
        assert!(damaged(&known, None, |_| true).is_err(), "it is the disk that is gone");
        let second = damaged(&known, Some(Shard { index: 2, of: 2 }), |_| true).expect("one");
        assert_eq!(second.len(), 1);
        assert_eq!(second[0].0.shard, Some((2, 2)));
        assert_eq!(known.without(&[&second[0].0.id]).segments().len(), 1);
        let one = damaged(&known, None, |_| false).expect("one");
        assert_eq!(one.len(), 1, "it ends where it is told to");
        // All that tells of its share is one that holds nothing.
        assert_eq!(take_out(&mut writer, &second, 1 << 20).expect("it is taken out").len(), 1);
        let shards: Vec<_> = writer.manifest().segments.iter().map(|s| (s.shard, s.docs)).collect();
        assert_eq!(shards, [(Some((1, 2)), 1), (Some((2, 2)), 0)]);
        let index = store.open().expect("it opens");
        assert_eq!(index.segments().len(), 2);
    }
}
