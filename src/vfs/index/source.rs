//! The files of an index in a bucket, read through the cache.
//!
//! An index knows files and ranges, a cache objects in a version; a [`BucketSource`] makes the one
//! of the other, by the version that the manifest names, and pays with the operation's purse.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::future::try_join_all;
use r2vfs_index::{BoxFuture, Fault, FaultKind, FileRef, Source};

use crate::{
    bucket::{Bucket, ETag, MAX_GET, Object},
    cache::{Cache, Use},
    error::{Error, Kind},
    vfs::Op,
};

/// See the module's head.
#[derive(Debug)]
pub(super) struct BucketSource {
    pub(super) bucket: Arc<dyn Bucket>,
    pub(super) cache: Cache,
    pub(super) op: Op,
    pub(super) prefix: &'static str,
}

impl BucketSource {
    async fn range(&self, object: &Object, range: Range<u64>) -> Result<Bytes, Fault> {
        let mut starts = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + MAX_GET);
            starts.push(at..end);
            at = end;
        }
        let parts = starts
            .into_iter()
            .map(|part| self.cache.range(&self.bucket, &self.op.call, object, part, Use::Read));
        let blocks = try_join_all(parts).await.map_err(fault_of_file)?;
        let mut chunks: Vec<Bytes> = blocks.into_iter().flat_map(|blocks| blocks.chunks).collect();
        if let [_] = chunks.as_slice() {
            return Ok(chunks.pop().unwrap_or_default());
        }
        Ok(chunks.concat().into())
    }
}

impl Source for BucketSource {
    fn read<'a>(
        &'a self,
        file: &'a FileRef,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>, Fault>> {
        Box::pin(async move {
            let Some(etag) = &file.etag else {
                let detail = "its manifest does not say which version of a file it names";
                return Err(Fault::new(FaultKind::Damaged, detail));
            };
            let object = Object {
                key: format!("{}{}", self.prefix, file.name),
                size: file.bytes,
                etag: ETag(etag.as_str().into()),
                modified: None,
                archived: false,
            };
            try_join_all(ranges.iter().map(|range| self.range(&object, range.clone()))).await
        })
    }
}

/// A failed read of the index's own files, without the error of the bucket being lost.
fn fault_of_file(error: Error) -> Fault {
    let (kind, detail) = match error.kind() {
        // An ETag may be made of times, or of how a file was uploaded, which a copy has anew.
        Kind::Changed => (
            FaultKind::Missing,
            "a published file is in another version than the manifest names, as in a copy: it \
             must be published again"
                .to_owned(),
        ),
        Kind::NotFound => (
            FaultKind::Missing,
            "a published file is not there any more: it must be published again".to_owned(),
        ),
        _ => (FaultKind::Io, format!("a file of it cannot be read: {}", error.message())),
    };
    Fault::new(kind, detail).because(error)
}

/// The same for its manifest.
pub(super) fn fault_of_manifest(error: Error) -> Fault {
    let detail = format!("its manifest cannot be read: {}", error.message());
    Fault::new(FaultKind::Io, detail).because(error)
}
