//! A small object whose version nobody knows yet.
//!
//! Listing it first costs a request and a round before the bytes, and what was listed may be gone
//! when they are asked for. [`S3Bucket::small`] asks for the start of whatever is there now: the
//! answer's own headers say which version it is and how long, so that one GET tells all.

use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::Bytes;

use super::{
    S3Bucket,
    errors::{self, Asked, Failure},
    get::{BASE, IDLE, LEAST, content_range},
    list::bare_etag,
};
use crate::{
    bucket::{Call, ETag, Object, PEEK_BOUNDS, deadline::within, longer},
    error::{Error, Kind, Result},
};

/// What one attempt saw.
enum Seen {
    Whole(Object, Bytes),
    /// Nothing is there.
    Absent,
    /// 416: there is an object, and it has no first byte.
    NoRange,
    /// It is longer than asked for: this many bytes, where the server tells.
    Longer(Option<u64>),
}

impl S3Bucket {
    /// See [`Bucket::peek`](crate::bucket::Bucket::peek).
    pub(super) async fn small(
        &self,
        call: &Call,
        key: &str,
        max: u64,
    ) -> Result<Option<(Object, Bytes)>> {
        if !PEEK_BOUNDS.contains(&max) {
            return Err(Error::new(Kind::InvalidArgument, "the bound of a peek is out of bounds")
                .hint("ask for 1 byte to 8 MiB"));
        }
        let mut tries = self.tries(call);
        // A range of an empty object cannot be satisfied: it is then asked for without one.
        let (mut ranged, mut failed) = (true, false);
        loop {
            let permit = tries.permit(&self.permits).await?;
            call.meter.get();
            if failed {
                call.meter.retry();
            }
            match self.peek_once(call, key, max, ranged).await {
                Ok(Seen::Whole(object, bytes)) => return Ok(Some((object, bytes))),
                Ok(Seen::Absent) => return Ok(None),
                Ok(Seen::Longer(size)) => return Err(longer(max, size)),
                Ok(Seen::NoRange) => (ranged, failed) = (false, false),
                Err(failure) => {
                    failed = true;
                    drop(permit);
                    tries.again(self.for_anonymous(failure)).await?;
                }
            }
        }
    }

    async fn peek_once(
        &self,
        call: &Call,
        key: &str,
        max: u64,
        ranged: bool,
    ) -> Result<Seen, Failure> {
        let start = self.platform.monotonic();
        let cap = |until: Duration| call.deadline.map_or(until, |deadline| deadline.min(until));
        let ask = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .set_range(ranged.then(|| format!("bytes=0-{}", max - 1)));
        let sent = Box::pin(self.send_get(ask, key));
        let mut output = match within(&self.platform, Some(cap(start + BASE)), sent).await {
            None => return Err(Failure::soon("the server did not answer in time")),
            Some(Ok(output)) => output,
            Some(Err(error)) => {
                let status = error.raw_response().map(|response| response.status().as_u16());
                if ranged && status == Some(416) {
                    return Ok(Seen::NoRange);
                }
                let failure = errors::from_sdk(error, Asked::Bytes, self.now());
                return match failure.error.kind() {
                    Kind::NotFound => Ok(Seen::Absent),
                    _ => Err(failure),
                };
            }
        };
        let Some(etag) = output.e_tag.as_deref().map(bare_etag).filter(|etag| !etag.is_empty())
        else {
            let nameless = Failure::never(
                Kind::Protocol,
                "the answer names no version of the object",
                "check that the endpoint is an S3 server",
            );
            return Err(self.explain(output, nameless).await);
        };
        let etag = ETag(etag.into());
        let size = whole_length(&output, max)?;
        if let Some(size) = size.filter(|size| *size > max) {
            return Ok(Seen::Longer(Some(size)));
        }
        let mut bytes = Vec::new();
        let until = start + BASE + Duration::from_secs(size.unwrap_or(max) / LEAST);
        let how = loop {
            let idle = self.platform.monotonic() + IDLE;
            let next = within(&self.platform, Some(cap(until.min(idle))), output.body.next()).await;
            let chunk = match next {
                Some(Some(Ok(chunk))) => chunk,
                Some(Some(Err(_))) => break "broke",
                Some(None) => break "ended",
                None => break "stalled",
            };
            call.meter.received(chunk.len() as u64);
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > size.unwrap_or(max) {
                return match size {
                    None => Ok(Seen::Longer(None)),
                    Some(_) => Err(other_length()),
                };
            }
        };
        let arrived = bytes.len() as u64;
        // Where no length was named, only an orderly end says that this is all.
        if size.map_or(how != "ended", |size| size != arrived) {
            return Err(Failure::soon(format!("the connection {how} after {arrived} bytes")));
        }
        let object = Object {
            key: key.to_owned(),
            size: arrived,
            etag,
            modified: output.last_modified.and_then(|time| time.to_millis().ok()),
            archived: false,
        };
        Ok(Seen::Whole(object, bytes.into()))
    }
}

/// How long the object is by the headers; `None` where they do not say.
fn whole_length(output: &GetObjectOutput, max: u64) -> Result<Option<u64>, Failure> {
    let length = output.content_length.and_then(|length| u64::try_from(length).ok());
    let Some(text) = output.content_range.as_deref() else {
        // The whole object, as a server may answer a range that covers it, or any.
        return Ok(length);
    };
    match content_range(text) {
        Some((0, end, total)) if end == total.min(max) => {
            if length.is_some_and(|length| length != end) {
                return Err(other_length());
            }
            Ok(Some(total))
        }
        _ => Err(Failure::never(
            Kind::Protocol,
            "the server sends another range than the one asked for",
            "check that the endpoint, and any proxy before it, supports ranges",
        )),
    }
}

fn other_length() -> Failure {
    Failure::never(
        Kind::Undecodable,
        "the server sends the object with another length than it names",
        "it probably decompresses it on the way: store the object without Content-Encoding",
    )
}
