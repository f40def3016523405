//! Raw bytes of a file, which no tool offers: what a person pipes on, an agent cannot use.

use std::ops::Range;

use super::VirtualSandbox;
use crate::{
    bucket::MAX_GET,
    cache::Use,
    error::Result,
    vfs::{ByteStream, Op},
};

/// Bytes that hold the magic number of any compression.
const MAGIC: u64 = 4;

impl VirtualSandbox {
    /// The content of a file, or a range of it, decoded as `read` decodes it. A range that
    /// begins past the end gives nothing. Several files can share the cost and time of one
    /// [operation](Self::op).
    ///
    /// # Errors
    /// [`NotFound`](crate::Kind::NotFound) with the nearest names,
    /// [`WrongType`](crate::Kind::WrongType) for a directory, and what reading fails with.
    pub async fn bytes(
        &self,
        path: &str,
        range: Option<Range<u64>>,
        op: &Op,
    ) -> Result<ByteStream> {
        let entry = self.vfs.file(op, path).await?;
        match range {
            None => {
                let content = self.vfs.open(op, entry, Use::Read, MAX_GET).await?;
                Ok(content.stream(true, MAX_GET))
            }
            Some(range) => {
                // Only a response tells how an object is encoded, and only its first bytes
                // whether a name tells the truth.
                let content = self.vfs.open(op, entry, Use::Read, MAGIC).await?;
                Ok(content.stream_part(range, true, MAX_GET))
            }
        }
    }
}
