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

/// The end of an operation's time or budget, where that is what a fault comes from: it ends the
/// operation and not only the use of the index.
pub(crate) fn ends_the_operation(fault: &Fault) -> Option<Error> {
    let error = std::error::Error::source(fault)?.downcast_ref::<Error>()?;
    matches!(error.kind(), Kind::Deadline | Kind::Budget | Kind::Cancelled).then(|| error.clone())
}

/// How the bucket failed, where that is what a fault comes from: the index itself may be sound. A
/// file that is gone, or another by now, is a fault of the index.
pub(super) fn failure_of_bucket(fault: &Fault) -> Option<Error> {
    let error = std::error::Error::source(fault)?.downcast_ref::<Error>()?;
    (!matches!(error.kind(), Kind::NotFound | Kind::Changed)).then(|| error.clone())
}

/// The error for who cannot do without the index.
pub(crate) fn unusable(fault: &Fault) -> Error {
    if let Some(error) = failure_of_bucket(fault) {
        return error;
    }
    // That it was published is told by the bucket's error: a local one is read from files.
    let published =
        std::error::Error::source(fault).is_some_and(<dyn std::error::Error>::is::<Error>);
    let next = match published {
        true => "run `r2vfs index publish` for the place that it is read from, or use grep",
        // An update compares versions only, and would find nothing to do.
        false => "run `r2vfs index build`, which makes anew what is damaged, or use grep",
    };
    Error::new(Kind::NoIndex, format!("the index cannot be used: {}", fault.detail()))
        .hint(next)
        .because(fault.clone())
}
