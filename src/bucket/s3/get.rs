//! Bytes of one version of one object.
//!
//! A GET with a range and a condition is only as good as the server's reading of both: some
//! ignore `If-Match`, some ignore `Range`, some decompress on the way, and every connection can
//! break in the middle. [`S3Bucket::bytes`] holds each response against what the listing said,
//! and takes a broken body up again where it broke.

use std::{sync::Arc, time::Duration};

use aws_sdk_s3::operation::get_object::{
    GetObjectError, GetObjectOutput, builders::GetObjectFluentBuilder,
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;

use super::{
    S3Bucket,
    errors::{self, Answer, Asked, Failure},
    list::bare_etag,
};
use crate::{
    bucket::{Call, GetRequest, Got, Headers, MAX_GET, deadline::within},
    error::{Error, Kind, Result},
};

/// Time to the first byte, and the base of the whole allowance.
pub(super) const BASE: Duration = Duration::from_secs(10);

/// The least throughput of one get, in bytes a second: a slow line shared by all permits of the
/// pool, not a stalled connection.
pub(super) const LEAST: u64 = 10_000;

/// The longest gap between two chunks: a connection that stalls is found long before the whole
/// allowance has passed.
pub(super) const IDLE: Duration = Duration::from_secs(10);

/// What has arrived so far, over all attempts.
struct Body {
    bytes: Vec<u8>,
    headers: Option<Arc<Headers>>,
}

impl S3Bucket {
    pub(super) async fn bytes(&self, call: &Call, request: &GetRequest) -> Result<Got> {
        let range = &request.range;
        if range.is_empty() || range.end > request.object.size || range.end - range.start > MAX_GET
        {
            return Err(Error::new(Kind::InvalidArgument, "the range is empty or out of bounds")
                .hint("ask for 1 byte to 8 MiB inside the object"));
        }
        let mut body = Body { bytes: Vec::new(), headers: None };
        let mut tries = self.tries(call);
        loop {
            let permit = tries.permit(&self.permits).await?;
            call.meter.get();
            if tries.repeats() {
                call.meter.retry();
            }
            let before = body.bytes.len();
            let failure = match self.attempt(call, request, &mut body).await {
                Ok(headers) => return Ok(Got { bytes: Bytes::from(body.bytes), headers }),
                Err(failure) => self.for_anonymous(failure),
            };
            drop(permit);
            if body.bytes.len() > before {
                tries.got_further();
            }
            tries.again(failure).await?;
        }
    }

    /// Asks for what is missing and adds what comes.
    async fn attempt(
        &self,
        call: &Call,
        request: &GetRequest,
        body: &mut Body,
    ) -> Result<Arc<Headers>, Failure> {
        let expected = Expected::of(request, body.bytes.len() as u64);
        let start = self.platform.monotonic();
        let allowance = BASE + Duration::from_secs(expected.length() / LEAST);
        let cap = |until: Duration| call.deadline.map_or(until, |deadline| deadline.min(until));
        let sent = Box::pin(self.ask_bytes(request, &expected));
        let mut output = match within(&self.platform, Some(cap(start + BASE)), sent).await {
            None => return Err(Failure::soon("the server did not answer in time")),
            Some(Err(failure)) => return Err(failure),
            Some(Ok(output)) => output,
        };
        if let Err(mismatch) = expected.check(&output) {
            return Err(self.explain(output, mismatch).await);
        }
        let headers = match &body.headers {
            Some(headers) => headers.clone(),
            None => body.headers.insert(Arc::new(headers(&output))).clone(),
        };
        if body.bytes.capacity() == 0 {
            // Bounded by MAX_GET, and only once a server has answered for so many.
            body.bytes.reserve_exact(expected.length() as usize);
        }
        let until = start + allowance;
        let missing =
            |body: &Body| request.range.end - request.range.start - body.bytes.len() as u64;
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
            if chunk.len() as u64 > missing(body) {
                body.bytes.clear();
                return Err(expected.other_length());
            }
            body.bytes.extend_from_slice(&chunk);
        };
        // A body may break behind its last byte (a lost end of a chunked one): nothing is left to
        // ask for.
        if missing(body) == 0 { Ok(headers) } else { Err(broken(body, request, how)) }
    }

    async fn ask_bytes(
        &self,
        request: &GetRequest,
        expected: &Expected<'_>,
    ) -> Result<GetObjectOutput, Failure> {
        let ask = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .if_match(format!("\"{}\"", request.object.etag.0))
            .set_range(expected.header());
        let sent = self.send_get(ask, &request.object.key).await;
        sent.map_err(|error| errors::from_sdk(error, Asked::Bytes, self.now()))
    }

    /// Sends a get for a key relative to the root.
    pub(super) async fn send_get(
        &self,
        ask: GetObjectFluentBuilder,
        key: &str,
    ) -> Result<GetObjectOutput, SdkError<GetObjectError, HttpResponse>> {
        let key = format!("{}{key}", self.root);
        if key.trim().is_empty() {
            // The SDK takes a key of nothing but white space for a missing one. It is given a
            // stand-in, and the path is put right before the request is signed.
            let path: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
            ask.key(STAND_IN)
                .customize()
                .mutate_request(move |request| {
                    let uri = request.uri().replace(STAND_IN, &path);
                    if request.set_uri(uri).is_err() {
                        // Percent form is always a valid path; a stand-in that stays is 404.
                        debug_assert!(false, "percent form is a valid path");
                    }
                })
                .send()
                .await
        } else {
            ask.key(key).send().await
        }
    }

    /// A success that does not fit is often an error document or a web page: look before blaming
    /// the object.
    pub(super) async fn explain(&self, output: GetObjectOutput, mismatch: Failure) -> Failure {
        let foreign = output.e_tag.is_none();
        if !foreign {
            return mismatch;
        }
        let mut headers = aws_smithy_runtime_api::http::Headers::new();
        if let Some(kind) = &output.content_type {
            drop(headers.try_insert("content-type", kind.clone()));
        }
        let reading = start_of(output.body);
        let until = self.platform.monotonic() + BASE;
        let start = within(&self.platform, Some(until), reading).await.unwrap_or_default();
        let document = start.windows(6).any(|window| window == b"<Error");
        let page = output.content_type.is_some_and(|kind| kind.starts_with("text/html"));
        if document || page {
            let answer = Answer { status: 200, headers: &headers, body: &start, now: self.now() };
            return errors::classify(&answer, Asked::Bytes);
        }
        mismatch
    }
}

const STAND_IN: &str = "r2vfs-blank-key";

/// The first KiB of a body.
async fn start_of(mut body: ByteStream) -> Vec<u8> {
    let mut start = Vec::new();
    while start.len() < 1024 {
        match body.next().await {
            Some(Ok(chunk)) => start.extend_from_slice(&chunk[..chunk.len().min(1024)]),
            Some(Err(_)) | None => break,
        }
    }
    start
}

fn broken(body: &Body, request: &GetRequest, how: &str) -> Failure {
    let length = request.range.end - request.range.start;
    Failure::soon(format!("the connection {how} after {} of {length} bytes", body.bytes.len()))
}

fn headers(output: &GetObjectOutput) -> Headers {
    // A list: `aws-chunked,gzip` is what SDKs leave behind on servers that store it as sent.
    let encoding: Vec<String> = output
        .content_encoding
        .iter()
        .flat_map(|list| list.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !matches!(name.as_str(), "" | "identity" | "aws-chunked"))
        .collect();
    Headers {
        content_encoding: (!encoding.is_empty()).then(|| encoding.join(",").into()),
        content_type: output.content_type.as_deref().map(Into::into),
    }
}

/// What a response must say to be about the bytes that were asked for.
struct Expected<'a> {
    etag: &'a str,
    size: u64,
    start: u64,
    end: u64,
}

impl<'a> Expected<'a> {
    fn of(request: &'a GetRequest, arrived: u64) -> Self {
        Self {
            etag: &request.object.etag.0,
            size: request.object.size,
            start: request.range.start + arrived,
            end: request.range.end,
        }
    }

    fn length(&self) -> u64 {
        self.end - self.start
    }

    /// The Range header; none for a whole object, which every cache and proxy serves best.
    fn header(&self) -> Option<String> {
        let whole = self.start == 0 && self.end == self.size;
        (!whole).then(|| format!("bytes={}-{}", self.start, self.end - 1))
    }

    fn check(&self, output: &GetObjectOutput) -> Result<(), Failure> {
        let Some(etag) = output.e_tag.as_deref() else {
            return Err(Failure::never(
                Kind::Protocol,
                "the answer names no version of the object",
                "check that the endpoint is an S3 server",
            ));
        };
        if bare_etag(etag) != self.etag {
            return Err(errors::changed());
        }
        let length = output.content_length.and_then(|length| u64::try_from(length).ok());
        match output.content_range.as_deref().map(content_range) {
            None if self.header().is_some() => Err(Failure::never(
                Kind::Protocol,
                "the server ignores the range and sends the whole object",
                "check that the endpoint, and any proxy before it, supports ranges",
            )),
            // Missing where the length is not known beforehand; then the bytes are counted.
            None if length.is_some_and(|length| length != self.size) => Err(self.other_length()),
            None => Ok(()),
            Some(None) => Err(Failure::never(
                Kind::Protocol,
                "the answer's Content-Range cannot be read",
                "check that the endpoint is an S3 server",
            )),
            Some(Some((_, _, total))) if total != self.size => Err(self.other_length()),
            Some(Some((start, end, _))) if (start, end) != (self.start, self.end) => {
                Err(Failure::never(
                    Kind::Protocol,
                    "the server sends another range than the one asked for",
                    "check that the endpoint, and any proxy before it, supports ranges",
                ))
            }
            Some(Some(_)) if length.is_some_and(|length| length != self.length()) => {
                Err(self.other_length())
            }
            Some(Some(_)) => Ok(()),
        }
    }

    /// The same version with another length: it was decoded on the way (R2 does this to objects
    /// stored with `Content-Encoding: gzip`), so no range of it means what the listing means.
    fn other_length(&self) -> Failure {
        Failure::never(
            Kind::Undecodable,
            "the server sends the object with another length than it lists",
            "it probably decompresses it on the way: store the object without Content-Encoding",
        )
    }
}

/// `bytes 0-9/100` as start, end (exclusive) and total.
pub(super) fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    Some((number(start)?, number(last)?.checked_add(1)?, number(total)?))
}
