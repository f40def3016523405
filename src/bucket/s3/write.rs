//! Small objects written, deleted and listed under one prefix.
//!
//! A failed PUT may have been carried out: its repeat then meets its own work, and a client that
//! reads 412 as "another was faster" reports a loss that is none. [`S3Writer`] remembers whether
//! an earlier try can have come through, and compares what is there before it gives up a win.

use std::{future::Future, sync::Arc, time::Duration};

use aws_sdk_s3::{operation::put_object::builders::PutObjectFluentBuilder, types::MultipartUpload};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;

use super::{
    S3Bucket,
    errors::{self, Asked, Failure},
    list::bare_etag,
};
use crate::{
    bucket::{
        Bucket, Call, ETag, ListRequest, MAX_GET, Object, Pages, Permits,
        deadline::within,
        publish::{Condition, Outcome},
    },
    config::{Location, Settings},
    error::{Error, Kind, Result},
    platform::Platform,
};

/// Time to an answer, beside the time that the bytes take. A server that joins the parts of a
/// large upload answers late.
pub(super) const BASE: Duration = Duration::from_secs(30);

/// The least throughput of one PUT, in bytes a second: twice a GET's, for nothing tells a stalled
/// one before its time is over.
pub(super) const LEAST: u64 = 20_000;

/// Uploads that are looked at when they are given up: as many pages as a listing of files that
/// nobody wrote on purpose can need.
const MOST_PAGES: u32 = 100;

/// Writes under one prefix. The bucket in it is its own: its client has the publisher's keys.
#[derive(Debug)]
pub(in crate::bucket) struct S3Writer {
    pub(super) bucket: Arc<S3Bucket>,
    pub(super) call: Call,
}

/// What a request came to.
pub(super) enum Answer<T> {
    Done(T),
    /// The server refused it by one of the answers that the caller reads itself. `unsure` says
    /// that an earlier try may have been carried out.
    Refused {
        unsure: bool,
    },
}

/// What of a refusal a caller looks at.
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    pub(super) code: &'a str,
    pub(super) unsure: bool,
}

impl S3Writer {
    pub(in crate::bucket) fn open(
        location: &Location,
        settings: &Settings,
        permits: &Permits,
        platform: &Platform,
    ) -> Result<Self> {
        let bucket = S3Bucket::open(location, settings, permits.clone(), platform)?;
        Ok(Self { bucket: bucket.into(), call: Call::default() })
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.bucket.root)
    }

    /// Sends a request as often as it takes. `reads` tells which refusals the caller reads itself.
    pub(super) async fn ask<T, E, F>(
        &self,
        allowance: Duration,
        reads: impl Fn(&Refusal<'_>) -> bool,
        send: impl Fn() -> F,
    ) -> Result<Answer<T>>
    where
        E: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let bucket = &self.bucket;
        let mut tries = bucket.tries(&self.call);
        let mut unsure = false;
        loop {
            let permit = tries.permit(&bucket.permits).await?;
            let until = bucket.platform.monotonic() + allowance;
            let sent = Box::pin(send());
            let failure = match within(&bucket.platform, Some(until), sent).await {
                Some(Ok(output)) => return Ok(Answer::Done(output)),
                Some(Err(error)) => {
                    let (status, code) = errors::told(&error);
                    if reads(&Refusal { status, code: &code, unsure }) {
                        return Ok(Answer::Refused { unsure });
                    }
                    errors::from_sdk(error, Asked::Write, bucket.now())
                }
                None => Failure::soon("the server did not answer in time"),
            };
            unsure = true;
            drop(permit);
            tries.again(self.for_writers(failure)).await?;
        }
    }

    fn for_writers(&self, mut failure: Failure) -> Failure {
        if self.bucket.anonymous && failure.error.kind() == Kind::Forbidden {
            failure.error =
                failure.error.hint("publishing needs credentials: leave --anonymous out");
        }
        failure
    }

    fn put_of(&self, name: &str, bytes: &Bytes) -> PutObjectFluentBuilder {
        let kind = if name.ends_with(".json") { "application/json" } else { BINARY };
        self.bucket
            .client
            .put_object()
            .bucket(&self.bucket.bucket)
            .key(self.key(name))
            .content_type(kind)
            .body(ByteStream::from(bytes.clone()))
    }

    pub(in crate::bucket) async fn put(
        &self,
        name: &str,
        bytes: Bytes,
        condition: &Condition,
    ) -> Result<Outcome> {
        let conditional = *condition != Condition::Always;
        let reads = |refusal: &Refusal<'_>| {
            conditional
                && match refusal.status {
                    412 => true,
                    // The version that was to be replaced is gone.
                    404 => refusal.code == "NoSuchKey",
                    // It may be this PUT's own first try that is still under way: the next
                    // answer will tell.
                    409 => refusal.code == CONFLICT && !refusal.unsure,
                    _ => false,
                }
        };
        let answer = self
            .ask(allowance(bytes.len() as u64), reads, || {
                let put = self.put_of(name, &bytes);
                match condition {
                    Condition::Always => put,
                    Condition::Absent => put.if_none_match("*"),
                    Condition::Matches(etag) => put.if_match(format!("\"{}\"", etag.0)),
                }
                .send()
            })
            .await?;
        match answer {
            Answer::Done(output) => named(output.e_tag.as_deref()).map(Outcome::Done),
            Answer::Refused { unsure: false } => Ok(Outcome::Lost),
            Answer::Refused { unsure: true } => self.compare(name, &bytes).await,
        }
    }

    /// Whether what is there is what was to be put.
    async fn compare(&self, name: &str, bytes: &Bytes) -> Result<Outcome> {
        let max = (bytes.len() as u64).max(1);
        if max > MAX_GET {
            // A file, whose name nothing else has: its length tells enough.
            return self.completed(name, max).await.map(Outcome::Done);
        }
        match self.bucket.peek(&self.call, name, max).await {
            Ok(Some((object, there))) if there == *bytes => Ok(Outcome::Done(object.etag)),
            Ok(_) => Ok(Outcome::Lost),
            Err(error) if error.kind() == Kind::TooLarge => Ok(Outcome::Lost),
            Err(error) => Err(error),
        }
    }

    pub(in crate::bucket) async fn get(
        &self,
        name: &str,
        max: u64,
    ) -> Result<Option<(Object, Bytes)>> {
        self.bucket.peek(&self.call, name, max).await
    }

    pub(in crate::bucket) async fn delete(&self, name: &str) -> Result<()> {
        let gone = |refusal: &Refusal<'_>| refusal.status == 404 && refusal.code != NO_BUCKET;
        let delete = || {
            let delete = self.bucket.client.delete_object().bucket(&self.bucket.bucket);
            delete.key(self.key(name)).send()
        };
        self.ask(BASE, gone, delete).await.map(|_| ())
    }

    /// Everything right below the prefix.
    pub(in crate::bucket) async fn list(&self) -> Result<Vec<Object>> {
        let bucket: Arc<dyn Bucket> = self.bucket.clone();
        let request = ListRequest { one_level: true, ..ListRequest::default() };
        let mut pages = Pages::new(bucket, self.call.clone(), request);
        let mut all = Vec::new();
        while let Some(page) = pages.next().await? {
            all.extend(page.objects);
        }
        Ok(all)
    }

    pub(in crate::bucket) async fn abort_uploads(&self, before: i64) -> Result<u64> {
        let (mut key, mut id) = (None, None);
        let mut old: Vec<(String, String)> = Vec::new();
        for _ in 0..MOST_PAGES {
            let answer = self
                .ask(
                    BASE,
                    |_| false,
                    || {
                        let list = self.bucket.client.list_multipart_uploads();
                        list.bucket(&self.bucket.bucket)
                            .prefix(&self.bucket.root)
                            .set_key_marker(key.clone())
                            .set_upload_id_marker(id.clone())
                            .send()
                    },
                )
                .await?;
            let Answer::Done(page) = answer else { break };
            old.extend(page.uploads().iter().filter_map(|upload| self.stale(upload, before)));
            if !page.is_truncated.unwrap_or(false) || page.next_key_marker.is_none() {
                break;
            }
            (key, id) = (page.next_key_marker, page.next_upload_id_marker);
        }
        for (key, id) in &old {
            self.abort(key, id).await?;
        }
        Ok(old.len() as u64)
    }

    /// Key and id of an upload of ours that began before this moment.
    fn stale(&self, upload: &MultipartUpload, before: i64) -> Option<(String, String)> {
        let key = upload.key().filter(|key| {
            let name = key.strip_prefix(&self.bucket.root);
            name.is_some_and(|name| crate::bucket::publish::own(name).is_ok())
        })?;
        let begun = upload.initiated().and_then(|time| time.to_millis().ok())?;
        (begun < before).then(|| Some((key.to_owned(), upload.upload_id()?.to_owned())))?
    }

    /// Gives an upload up; that there is none is no error.
    pub(super) async fn abort(&self, key: &str, id: &str) -> Result<()> {
        let gone = |refusal: &Refusal<'_>| refusal.status == 404 && refusal.code != NO_BUCKET;
        let abort = || {
            let abort = self.bucket.client.abort_multipart_upload();
            abort.bucket(&self.bucket.bucket).key(key).upload_id(id).send()
        };
        self.ask(BASE, gone, abort).await.map(|_| ())
    }
}

pub(super) const BINARY: &str = "application/octet-stream";
const CONFLICT: &str = "ConditionalRequestConflict";
const NO_BUCKET: &str = "NoSuchBucket";

/// How long a PUT of so many bytes may take.
pub(super) fn allowance(bytes: u64) -> Duration {
    BASE + Duration::from_secs(bytes / LEAST)
}

/// The version that an answer names.
pub(super) fn named(etag: Option<&str>) -> Result<ETag> {
    let etag = etag.map(bare_etag).filter(|etag| !etag.is_empty());
    etag.map(|etag| ETag(etag.into())).ok_or_else(|| {
        Error::new(Kind::Protocol, "the server names no version of what was written")
            .hint("check that the endpoint is an S3 server")
    })
}
