//! Where an index's files are read from.
//!
//! A file handle per platform would bring paths, S3 and threads in here. A [`Source`] reads byte
//! ranges of named files and nothing else: of a local directory here, of a bucket in the crate
//! that knows buckets.

use std::{fmt, ops::Range};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::fault::Result;

// `Send` where there are threads, nothing where there are none: what reads a bucket inside a
// Worker cannot be sent.
#[cfg(not(target_family = "wasm"))]
mod maybe {
    #![allow(missing_docs, reason = "documented where they are re-exported")]
    pub trait MaybeSend: Send {}
    impl<T: Send + ?Sized> MaybeSend for T {}
    pub trait MaybeSync: Sync {}
    impl<T: Sync + ?Sized> MaybeSync for T {}
    pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;
}
#[cfg(target_family = "wasm")]
mod maybe {
    #![allow(missing_docs, reason = "documented where they are re-exported")]
    pub trait MaybeSend {}
    impl<T: ?Sized> MaybeSend for T {}
    pub trait MaybeSync {}
    impl<T: ?Sized> MaybeSync for T {}
    pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + 'a>>;
}
pub use maybe::{BoxFuture, MaybeSend, MaybeSync};

/// A file of an index, as its manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// Its name in the index's directory or prefix: ASCII letters, digits, `-` and `.`.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Where its hot part begins: from here to the end is all that opening it needs.
    pub hot: u64,
    /// CRC-32 of its footer, so that a manifest never joins a file of another build.
    pub check: u32,
    /// The ETag under which it lies in a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// Reads ranges of an index's files. Side by side where the source can.
pub trait Source: fmt::Debug + MaybeSend + MaybeSync {
    /// The bytes of each of `ranges`, in the order asked, each exactly as long as its range.
    ///
    /// # Errors
    /// [`FaultKind::Missing`](crate::FaultKind::Missing) when the file is gone or another version,
    /// and what reading fails with.
    fn read<'a>(
        &'a self,
        file: &'a FileRef,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>>>;

    /// Whether a read costs as little as one of a file on this machine: then nothing is read that
    /// was not asked for.
    fn is_near(&self) -> bool {
        false
    }
}
