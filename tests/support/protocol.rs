//! The store behind s3s: which answer S3 gives to what.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use http_body_util::BodyExt;
use s3s::{Body, S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, dto::*, s3_error};

use super::{
    faults::{Faults, Quirk},
    store::{Listing, Query, Start, Store, Stored},
    uploads::Uploads,
};

/// The buckets of one server.
#[derive(Debug, Default)]
pub(super) struct Buckets(RwLock<BTreeMap<String, Store>>);

impl Buckets {
    /// The bucket of this name, made if it is not there.
    pub(super) fn make(&self, name: &str) -> Store {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        map.entry(name.to_owned()).or_default().clone()
    }

    pub(super) fn find(&self, name: &str) -> Option<Store> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

/// The S3 operations that a reader and a sync tool use.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) buckets: Arc<Buckets>,
    pub(super) faults: Arc<Faults>,
    pub(super) uploads: Uploads,
}

impl Service {
    fn bucket(&self, name: &str) -> S3Result<Store> {
        self.buckets.find(name).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    fn object(&self, bucket: &str, key: &str) -> S3Result<Arc<Stored>> {
        self.bucket(bucket)?.get(key).ok_or_else(|| s3_error!(NoSuchKey))
    }

    /// Stores an object if the conditions of its PUT hold, and as far as this server looks at them.
    fn store_if(
        &self,
        store: &Store,
        key: &str,
        object: Stored,
        (if_match, if_none_match): (Option<ETagCondition>, Option<ETagCondition>),
    ) -> S3Result<()> {
        let asked = if_match.is_some() || if_none_match.is_some();
        if asked && self.faults.has(Quirk::NoPutConditions) {
            return Err(s3_error!(NotImplemented));
        }
        let ignored = self.faults.has(Quirk::IgnorePutConditions);
        let is = |condition: &ETagCondition, there: Option<&Stored>| {
            there.is_some_and(|there| {
                condition.is_any()
                    || condition.as_etag().is_some_and(|tag| tag.value() == there.etag)
            })
        };
        let mut absent = false;
        let admitted = store.put_if(key, object, |there| {
            absent = there.is_none();
            ignored
                || if_match.as_ref().is_none_or(|condition| is(condition, there))
                    && !if_none_match.as_ref().is_some_and(|condition| is(condition, there))
        });
        match admitted {
            true => Ok(()),
            // As AWS documents it: If-Match of what is not there.
            false if absent && if_match.is_some() => Err(s3_error!(NoSuchKey)),
            false if self.faults.has(Quirk::ConflictIs409) => {
                Err(s3_error!(ConditionalRequestConflict))
            }
            false => Err(s3_error!(PreconditionFailed)),
        }
    }

    fn page(&self, bucket: &str, query: &Query, sent: Option<&str>) -> S3Result<Page> {
        let store = self.bucket(bucket)?;
        let bad = |what: String| S3Error::with_message(S3ErrorCode::InvalidArgument, what);
        let mut query = query.clone();
        query.order = self.faults.order();
        let started = matches!(query.start, Start::After(_));
        if started && self.faults.has(Quirk::IgnoreStartAfter) {
            query.start = Start::First;
        }
        if self.faults.has(Quirk::EmptyPages) {
            let nth = sent.and_then(|t| t.strip_prefix("empty-")).and_then(|n| n.parse().ok());
            let next = Some(format!("empty-{}", nth.unwrap_or(0_u64) + 1));
            return Ok(Page { listing: Listing { next, ..Listing::default() }, truncated: true });
        }
        let mut listing = store.list(&query).map_err(bad)?;
        let truncated = listing.next.is_some();
        if started && self.faults.has(Quirk::StartAfterLoses) {
            listing.objects.drain(..listing.objects.len().min(3));
        }
        if self.faults.has(Quirk::DoubledKeys) {
            if let Some(last) = listing.objects.last().cloned() {
                listing.objects.push(last);
            }
            if let Some(first) = listing.objects.first().cloned() {
                let before = store.keys().into_iter().rfind(|key| {
                    sent.is_some() && *key < first.0 && key.starts_with(&query.prefix)
                });
                listing.objects.insert(0, first);
                if let Some((key, object)) =
                    before.and_then(|key| Some((key.clone(), store.get(key)?)))
                {
                    listing.objects.insert(0, (key, object));
                }
            }
        }
        if let Some(sent) = sent.filter(|_| truncated) {
            if self.faults.has(Quirk::RepeatedToken) {
                listing.next = Some(sent.to_owned());
            }
            if self.faults.has(Quirk::TokenCycle) {
                let again = Query { start: Start::First, ..query.clone() };
                listing.next = match store.list(&again).map_err(bad)?.next {
                    Some(first) if first != sent => Some(first),
                    _ => listing.next,
                };
            }
        }
        if self.faults.has(Quirk::NoToken) {
            listing.next = None;
        }
        Ok(Page { listing, truncated })
    }

    /// What of the answer is encoded, and how.
    fn spelling(&self, asked: Option<&EncodingType>) -> Spelling {
        let url = asked.is_some_and(|e| e.as_str() == EncodingType::URL);
        Spelling { url: url && !self.faults.has(Quirk::NoUrlEncoding) }
    }
}

struct Page {
    listing: Listing,
    truncated: bool,
}

#[derive(Clone, Copy)]
struct Spelling {
    url: bool,
}

impl Spelling {
    fn of(self, name: &[u8]) -> String {
        if self.url { url_encode(name) } else { String::from_utf8_lossy(name).into_owned() }
    }

    fn echo(self) -> Option<EncodingType> {
        self.url.then(|| EncodingType::from_static(EncodingType::URL))
    }

    fn objects(self, listing: &Listing) -> Vec<Object> {
        let object = |(key, stored): &(Vec<u8>, Arc<Stored>)| Object {
            key: Some(self.of(key)),
            size: i64::try_from(stored.content.len()).ok(),
            e_tag: Some(ETag::Strong(stored.etag.clone())),
            last_modified: Some(stored.modified.into()),
            storage_class: Some(ObjectStorageClass::from(stored.storage_class.clone())),
            ..Object::default()
        };
        listing.objects.iter().map(object).collect()
    }

    fn prefixes(self, listing: &Listing) -> Option<Vec<CommonPrefix>> {
        let prefix = |p: &Vec<u8>| CommonPrefix { prefix: Some(self.of(p)) };
        (!listing.prefixes.is_empty()).then(|| listing.prefixes.iter().map(prefix).collect())
    }
}

/// As AWS answers `encoding-type=url`: a space is `+`, and `/` stays.
fn url_encode(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The limit of a page that was asked for.
fn page_size(asked: Option<i32>) -> S3Result<usize> {
    usize::try_from(asked.unwrap_or(1000)).map_err(|_| s3_error!(InvalidArgument, "max-keys"))
}

/// The conditions of RFC 9110, section 13.2.2, in their order; times by the second.
fn check_conditions(
    stored: &Stored,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    if_modified_since: Option<Timestamp>,
    if_unmodified_since: Option<Timestamp>,
) -> S3Result<()> {
    let is = |condition: &ETagCondition| {
        condition.is_any() || condition.as_etag().is_some_and(|tag| tag.value() == stored.etag)
    };
    let newer_than = |time: Timestamp| Timestamp::from(stored.modified) > time;
    let failed = match (if_match, if_unmodified_since) {
        (Some(condition), _) => !is(condition),
        (None, Some(time)) => newer_than(time),
        (None, None) => false,
    };
    if failed {
        return Err(s3_error!(PreconditionFailed));
    }
    let unchanged = match (if_none_match, if_modified_since) {
        (Some(condition), _) => is(condition),
        (None, Some(time)) => !newer_than(time),
        (None, None) => false,
    };
    if unchanged {
        let mut error = s3_error!(NotModified);
        let mut headers = hyper::HeaderMap::new();
        if let Ok(value) = format!("\"{}\"", stored.etag).parse() {
            headers.insert(hyper::header::ETAG, value);
        }
        error.set_headers(headers);
        return Err(error);
    }
    Ok(())
}

fn metadata(stored: &Stored) -> Option<Metadata> {
    (!stored.metadata.is_empty()).then(|| stored.metadata.iter().cloned().collect())
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        let start = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => Start::Token(token.clone()),
            (None, Some(key)) => Start::After(key.clone().into_bytes()),
            (None, None) => Start::First,
        };
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default().into_bytes(),
            delimiter: input.delimiter.clone().unwrap_or_default().into_bytes(),
            start,
            max_keys: page_size(input.max_keys)?,
            ..Query::default()
        };
        let page = self.page(&input.bucket, &query, input.continuation_token.as_deref())?;
        let spelling = self.spelling(input.encoding_type.as_ref());
        let count = page.listing.objects.len() + page.listing.prefixes.len();
        let echo = |text: Option<String>| text.map(|t| spelling.of(t.as_bytes()));
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(echo(input.prefix).unwrap_or_default()),
            delimiter: echo(input.delimiter),
            start_after: echo(input.start_after),
            continuation_token: input.continuation_token,
            max_keys: Some(input.max_keys.unwrap_or(1000)),
            key_count: i32::try_from(count).ok(),
            is_truncated: Some(page.truncated),
            contents: Some(spelling.objects(&page.listing)),
            common_prefixes: spelling.prefixes(&page.listing),
            encoding_type: spelling.echo(),
            next_continuation_token: page.listing.next,
            ..ListObjectsV2Output::default()
        }))
    }

    // Some sync tools still list by the first version.
    async fn list_objects(
        &self,
        req: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = req.input;
        // A marker may be a folded prefix, and then everything below it is behind it.
        let start = match &input.marker {
            None => Start::First,
            Some(m) if input.delimiter.as_ref().is_some_and(|d| m.ends_with(d.as_str())) => {
                Start::After([m.as_bytes(), &[0xff]].concat())
            }
            Some(marker) => Start::After(marker.clone().into_bytes()),
        };
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default().into_bytes(),
            delimiter: input.delimiter.clone().unwrap_or_default().into_bytes(),
            start,
            max_keys: page_size(input.max_keys)?,
            ..Query::default()
        };
        let page = self.page(&input.bucket, &query, None)?;
        let spelling = self.spelling(input.encoding_type.as_ref());
        let echo = |text: Option<String>| text.map(|t| spelling.of(t.as_bytes()));
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(echo(input.prefix).unwrap_or_default()),
            marker: Some(echo(input.marker).unwrap_or_default()),
            delimiter: echo(input.delimiter),
            max_keys: Some(input.max_keys.unwrap_or(1000)),
            is_truncated: Some(page.truncated),
            contents: Some(spelling.objects(&page.listing)),
            common_prefixes: spelling.prefixes(&page.listing),
            encoding_type: spelling.echo(),
            next_marker: page
                .truncated
                .then(|| page.listing.last.as_deref().map(|m| spelling.of(m)))
                .flatten(),
            ..ListObjectsOutput::default()
        }))
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        let stored = self.object(&input.bucket, &input.key)?;
        let if_match = input.if_match.filter(|_| !self.faults.has(Quirk::IgnoreIfMatch));
        check_conditions(
            &stored,
            if_match.as_ref(),
            input.if_none_match.as_ref(),
            input.if_modified_since,
            input.if_unmodified_since,
        )?;
        if stored.archived() {
            return Err(s3_error!(InvalidObjectState));
        }
        let size = stored.content.len();
        let asked = input.range.filter(|_| !self.faults.has(Quirk::IgnoreRange));
        let range = match asked {
            Some(range) => range.check(size)?,
            None => 0..size,
        };
        let content_range =
            asked.map(|_| format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1)));
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            content_length: i64::try_from(range.end - range.start).ok(),
            content_range,
            content_type: stored.content_type.clone(),
            content_encoding: stored.content_encoding.clone(),
            e_tag: Some(ETag::Strong(stored.etag.clone())),
            last_modified: Some(stored.modified.into()),
            metadata: metadata(&stored),
            body: Some(StreamingBlob::from(Body::from(stored.content.slice(range)))),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        let stored = self.object(&input.bucket, &input.key)?;
        check_conditions(
            &stored,
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
            input.if_modified_since,
            input.if_unmodified_since,
        )?;
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            content_length: i64::try_from(stored.content.len()).ok(),
            content_type: stored.content_type.clone(),
            content_encoding: stored.content_encoding.clone(),
            e_tag: Some(ETag::Strong(stored.etag.clone())),
            last_modified: Some(stored.modified.into()),
            metadata: metadata(&stored),
            ..HeadObjectOutput::default()
        }))
    }

    async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = req.input;
        let store = self.bucket(&input.bucket)?;
        let content = match input.body {
            Some(body) => {
                Body::from(body).collect().await.map_err(|_| s3_error!(IncompleteBody))?.to_bytes()
            }
            None => bytes::Bytes::new(),
        };
        let mut object = Stored::new(content);
        object.content_type = input.content_type.or(object.content_type);
        object.content_encoding = input.content_encoding;
        object.metadata = input.metadata.unwrap_or_default().into_iter().collect();
        if let Some(class) = input.storage_class {
            object.storage_class = class.as_str().into();
        }
        let etag = object.etag.clone();
        let conditions = (input.if_match, input.if_none_match);
        self.store_if(&store, &input.key, object, conditions)?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(etag)),
            ..PutObjectOutput::default()
        }))
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        // To delete what is not there is no error in S3.
        self.bucket(&req.input.bucket)?.delete(&req.input.key);
        Ok(S3Response::with_status(DeleteObjectOutput::default(), hyper::StatusCode::NO_CONTENT))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        self.bucket(&input.bucket)?;
        let content_type = input.content_type;
        let id = self.uploads.begin(&input.bucket, &input.key, content_type);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = req.input;
        let content = match input.body {
            Some(body) => {
                Body::from(body).collect().await.map_err(|_| s3_error!(IncompleteBody))?.to_bytes()
            }
            None => bytes::Bytes::new(),
        };
        let etag = self
            .uploads
            .part(&input.upload_id, &input.key, input.part_number, content)
            .ok_or_else(|| s3_error!(NoSuchUpload))?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(etag)),
            ..UploadPartOutput::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = req.input;
        let store = self.bucket(&input.bucket)?;
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let named: Vec<(i32, String)> = parts
            .into_iter()
            .filter_map(|part| Some((part.part_number?, part.e_tag?.value().to_owned())))
            .collect();
        let object =
            self.uploads.complete(&input.upload_id, &input.key, &named).map_err(|code| {
                let mut error = S3Error::new(S3ErrorCode::Custom(code.into()));
                let status = if code == "NoSuchUpload" { 404 } else { 400 };
                error.set_status_code(hyper::StatusCode::from_u16(status).expect("a status"));
                error
            })?;
        let etag = object.etag.clone();
        store.put_object(&input.key, object);
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(etag)),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        if !self.uploads.abort(&req.input.upload_id) {
            return Err(s3_error!(NoSuchUpload));
        }
        let output = AbortMultipartUploadOutput::default();
        Ok(S3Response::with_status(output, hyper::StatusCode::NO_CONTENT))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let uploads = self.uploads.open().into_iter();
        let mut uploads: Vec<(String, String, MultipartUpload)> = uploads
            .filter(|(_, upload)| upload.bucket == input.bucket && upload.key.starts_with(&prefix))
            .map(|(id, upload)| {
                let listed = MultipartUpload {
                    key: Some(upload.key.clone()),
                    upload_id: Some(id.clone()),
                    initiated: Some(upload.begun.into()),
                    ..MultipartUpload::default()
                };
                (upload.key, id, listed)
            })
            .collect();
        uploads.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        let after = (
            input.key_marker.clone().unwrap_or_default(),
            input.upload_id_marker.clone().unwrap_or_default(),
        );
        uploads.retain(|(key, id, _)| (key, id) > (&after.0, &after.1));
        let max = page_size(input.max_uploads)?.min(1000);
        let truncated = uploads.len() > max;
        uploads.truncate(max);
        let last = uploads.last().filter(|_| truncated);
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(prefix),
            is_truncated: Some(truncated),
            next_key_marker: last.map(|last| last.0.clone()),
            next_upload_id_marker: last.map(|last| last.1.clone()),
            uploads: Some(uploads.into_iter().map(|upload| upload.2).collect()),
            ..ListMultipartUploadsOutput::default()
        }))
    }

    async fn create_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.buckets.make(&req.input.bucket);
        Ok(S3Response::new(CreateBucketOutput::default()))
    }

    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket(&req.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn list_buckets(
        &self,
        _: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let bucket = |name| Bucket { name: Some(name), ..Bucket::default() };
        let buckets = Some(self.buckets.names().into_iter().map(bucket).collect());
        Ok(S3Response::new(ListBucketsOutput { buckets, ..ListBucketsOutput::default() }))
    }
}
