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
        let blocks = try_join_all(parts).await.map_err(|error| fault_of(error, "a file of it"))?;
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
pub(super) fn fault_of(error: Error, what: &str) -> Fault {
    let kind = match error.kind() {
        Kind::NotFound | Kind::Changed => FaultKind::Missing,
        _ => FaultKind::Io,
    };
    let detail = match kind {
        FaultKind::Missing => format!("{what} is not there any more"),
        _ => format!("{what} cannot be read: {}", error.message()),
    };
    Fault::new(kind, detail).because(error)
}

/// The end of an operation's time or budget, where that is what a fault comes from: it ends the
/// operation and not only the use of the index.
pub(crate) fn ends_the_operation(fault: &Fault) -> Option<Error> {
    let error = std::error::Error::source(fault)?.downcast_ref::<Error>()?;
    matches!(error.kind(), Kind::Deadline | Kind::Budget | Kind::Cancelled).then(|| error.clone())
}

/// How the bucket failed, where that is what a fault comes from: the index itself may be sound. A
/// file that is gone, or another by now, is a fault of the index.
pub(crate) fn failure_of_bucket(fault: &Fault) -> Option<Error> {
    let error = std::error::Error::source(fault)?.downcast_ref::<Error>()?;
    (!matches!(error.kind(), Kind::NotFound | Kind::Changed)).then(|| error.clone())
}
