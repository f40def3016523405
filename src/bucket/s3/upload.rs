//! A file of any length, in parts.
//!
//! One PUT of a gigabyte starts again from its first byte when it breaks, and a file read whole
//! takes its own size of memory. [`S3Writer::put_file`] reads a few parts at a time, sends them
//! side by side as far as permits and memory go, and gives the upload up when one cannot be sent:
//! what is left of it would be billed and in no listing.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::write::{Answer, BASE, BINARY, Refusal, S3Writer, allowance, named};
use crate::{
    bucket::{
        Bucket, ETag, ListRequest, MAX_GET,
        publish::{Condition, Outcome, Progress},
    },
    error::{Error, Kind, Result},
};

/// A file up to this length is one PUT: it costs one request instead of four.
const ONE_PUT: u64 = 16 << 20;

/// What a part has, unless the file is so long that it would take too many. S3 wants at least
/// 5 MiB, R2 the same length for all but the last.
const PART: u64 = MAX_GET;

/// The most parts of an upload (S3's and R2's limit).
const MOST_PARTS: u64 = 10_000;

/// Bytes of parts in memory at once.
const MEMORY: u64 = 64 << 20;

impl S3Writer {
    pub(in crate::bucket) async fn put_file(
        &self,
        name: &str,
        path: &Path,
        condition: &Condition,
        progress: Progress<'_>,
    ) -> Result<Outcome> {
        let opened = path.to_owned();
        let size = self
            .blocking(move || {
                let metadata = std::fs::metadata(opened).map_err(unreadable)?;
                if metadata.is_file() { Ok(metadata.len()) } else { Err(no_file()) }
            })
            .await?;
        if size <= ONE_PUT {
            let bytes = self.read(path, 0, size).await?;
            let outcome = self.put(name, bytes, condition).await?;
            progress(if outcome == Outcome::Lost { 0 } else { size });
            return Ok(outcome);
        }
        let part = part_size(size)?;
        let key = self.key(name);
        let id = self.begin(&key).await?;
        let sent = async {
            let parts = self.parts(&key, &id, path, size, part, progress).await?;
            self.complete(name, &id, parts, size).await
        };
        match sent.await {
            Ok(etag) => Ok(Outcome::Done(etag)),
            Err(error) => {
                // The first error is the one to tell; what stays is found by `abort_uploads`.
                self.abort(&key, &id).await.ok();
                Err(error)
            }
        }
    }

    async fn begin(&self, key: &str) -> Result<String> {
        let begin = || {
            let begin = self.bucket.client.create_multipart_upload();
            begin.bucket(&self.bucket.bucket).key(key).content_type(BINARY).send()
        };
        let Answer::Done(output) = self.ask(BASE, |_| false, begin).await? else {
            return Err(nameless());
        };
        output.upload_id.filter(|id| !id.is_empty()).ok_or_else(nameless)
    }

    /// Sends all parts, in any order, and names them in theirs.
    async fn parts(
        &self,
        key: &str,
        id: &str,
        path: &Path,
        size: u64,
        part: u64,
        progress: Progress<'_>,
    ) -> Result<Vec<CompletedPart>> {
        let at_once = (MEMORY / part).clamp(1, self.bucket.permits.size() as u64) as usize;
        let one = |number: u64| async move {
            let start = number * part;
            let bytes = self.read(path, start, part.min(size - start)).await?;
            let length = bytes.len() as u64;
            // Parts are counted from 1, and there are at most MOST_PARTS.
            let number = number as i32 + 1;
            let send = || {
                let send = self.bucket.client.upload_part().bucket(&self.bucket.bucket).key(key);
                let body = ByteStream::from(bytes.clone());
                send.upload_id(id).part_number(number).body(body).send()
            };
            let Answer::Done(output) = self.ask(allowance(length), |_| false, send).await? else {
                return Err(nameless());
            };
            progress(length);
            let ETag(etag) = named(output.e_tag.as_deref())?;
            let etag = format!("\"{etag}\"");
            Ok(CompletedPart::builder().part_number(number).e_tag(etag).build())
        };
        // Boxed: the future of a PUT is large, and a stream of them is moved about.
        let sends = stream::iter((0..size.div_ceil(part)).map(|number| Box::pin(one(number))));
        sends.buffered(at_once).try_collect().await
    }

    async fn complete(
        &self,
        name: &str,
        id: &str,
        parts: Vec<CompletedPart>,
        size: u64,
    ) -> Result<ETag> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = || {
            let complete = self.bucket.client.complete_multipart_upload();
            let complete = complete.bucket(&self.bucket.bucket).key(self.key(name));
            complete.upload_id(id).multipart_upload(parts.clone()).send()
        };
        // No such upload, after a try that may have completed it.
        let completed = |refusal: &Refusal<'_>| refusal.status == 404 && refusal.unsure;
        match self.ask(allowance(size / 100), completed, complete).await? {
            Answer::Done(output) => named(output.e_tag.as_deref()),
            Answer::Refused { .. } => self.completed(name, size).await,
        }
    }

    /// The version of the object that a lost answer was about. Nothing else has its name: that is
    /// made of the content, or by chance.
    pub(super) async fn completed(&self, name: &str, size: u64) -> Result<ETag> {
        let request =
            ListRequest { prefix: name.to_owned(), max_keys: Some(1), ..ListRequest::default() };
        let page = self.bucket.list(&self.call, request).await?;
        let there = page.objects.into_iter().find(|object| object.key == name);
        match there.filter(|object| object.size == size) {
            Some(object) => Ok(object.etag),
            None => Err(Error::new(Kind::Unavailable, "the upload is gone and left no object")
                .hint("publish again")),
        }
    }

    /// `length` bytes of a file.
    async fn read(&self, path: &Path, start: u64, length: u64) -> Result<Bytes> {
        let path: PathBuf = path.to_owned();
        self.blocking(move || {
            let mut file = File::open(path).map_err(unreadable)?;
            // At most a part, or ONE_PUT.
            let mut bytes = vec![0; length as usize];
            file.seek(SeekFrom::Start(start))
                .and_then(|_| file.read_exact(&mut bytes))
                .map_err(unreadable)?;
            Ok(Bytes::from(bytes))
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let stopped = || Error::new(Kind::Cancelled, "the runtime is shutting down");
        self.bucket.platform.blocking(job).await.ok_or_else(stopped)?
    }
}

/// The length of the parts of a file.
fn part_size(size: u64) -> Result<u64> {
    let least = size.div_ceil(MOST_PARTS).next_multiple_of(1 << 20);
    let part = PART.max(least);
    if part > MEMORY {
        return Err(Error::new(Kind::TooLarge, "the file is too large to be uploaded")
            .hint("build the index in shards"));
    }
    Ok(part)
}

fn nameless() -> Error {
    Error::new(Kind::Protocol, "the server names no upload")
        .hint("check that the endpoint is an S3 server that knows multipart uploads")
}

fn no_file() -> Error {
    Error::new(Kind::Io, "what is to be uploaded is no file").hint("build the index again")
}

fn unreadable(error: std::io::Error) -> Error {
    Error::new(Kind::Io, "a file of the index cannot be read")
        .hint("check the disk; where the file is gone, build the index again")
        .because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_enough_and_fit_into_memory() {
        for (size, part) in [
            (ONE_PUT + 1, 8 << 20),
            (MOST_PARTS * PART, 8 << 20),
            (MOST_PARTS * PART + 1, 9 << 20),
            (MOST_PARTS * MEMORY, MEMORY),
        ] {
            assert_eq!(part_size(size).expect("a size"), part, "{size}");
            assert!(size.div_ceil(part) <= MOST_PARTS);
        }
        let error = part_size(MOST_PARTS * MEMORY + 1).expect_err("too large");
        assert_eq!(error.kind(), Kind::TooLarge);
    }
}
