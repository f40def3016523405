//! Pages of keys.
//!
//! XML cannot hold every key (no control bytes), so keys are asked for in percent form, and the
//! SDK hands them on as they come: in the spelling of AWS (a space is `+`), of Garage (`%20`), or
//! not encoded at all. [`Spelling`] is what the page itself tells of it, and an entry that nothing
//! can read is reported, not dropped, and costs the others nothing.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use aws_sdk_s3::{
    operation::list_objects_v2::ListObjectsV2Output,
    types::{EncodingType, Object as Listed, ObjectStorageClass},
};
use unicode_normalization::UnicodeNormalization;

use super::{
    S3Bucket,
    errors::{self, Asked, Failure},
};
use crate::{
    bucket::{Call, ETag, ListPage, ListRequest, MAX_KEY, Object, deadline::within, percent},
    error::{Error, Kind, Result},
};

/// How long one page may take. Servers that walk a file system for it (MinIO) take seconds where
/// AWS takes 100 ms.
const PAGE: Duration = Duration::from_secs(60);

/// How a page spells its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// As they are: the server ignored `encoding-type`.
    Raw,
    /// In percent form.
    Percent {
        /// `+` is itself and not a space.
        plus: bool,
    },
}

impl S3Bucket {
    pub(super) async fn page(&self, call: &Call, request: &ListRequest) -> Result<ListPage> {
        let output = self.output(call, request).await?;
        let spelling = self.spelling(&output);
        read(output, spelling, &self.root, request)
    }

    /// One page as the SDK gives it, after as many tries as it takes.
    async fn output(&self, call: &Call, request: &ListRequest) -> Result<ListObjectsV2Output> {
        let mut tries = self.tries(call);
        loop {
            let permit = tries.permit(&self.permits).await?;
            call.meter.list();
            if tries.repeats() {
                call.meter.retry();
            }
            let until = self.platform.monotonic() + PAGE;
            let until = call.deadline.map_or(until, |deadline| deadline.min(until));
            let sent = Box::pin(self.ask(request).send());
            let failure = match within(&self.platform, Some(until), sent).await {
                Some(Ok(output)) => return Ok(output),
                Some(Err(error)) => errors::from_sdk(error, Asked::Page, self.now()),
                None => Failure::soon("the server did not list in time"),
            };
            drop(permit);
            tries.again(self.for_anonymous(failure)).await?;
        }
    }

    fn ask(
        &self,
        request: &ListRequest,
    ) -> aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2FluentBuilder {
        let absolute = |key: &str| format!("{}{key}", self.root);
        let prefix = absolute(&request.prefix);
        let start_after = request.start_after.as_deref().filter(|_| request.token.is_none());
        self.client
            .list_objects_v2()
            .bucket(&self.bucket)
            .encoding_type(EncodingType::Url)
            .set_prefix(Some(prefix).filter(|prefix| !prefix.is_empty()))
            .set_delimiter(request.one_level.then(|| "/".to_owned()))
            .set_start_after(start_after.map(absolute))
            .set_continuation_token(request.token.clone())
            .set_max_keys(request.max_keys.map(|n| i32::try_from(n).unwrap_or(i32::MAX)))
    }

    /// A refusal of an anonymous request has another remedy.
    pub(super) fn for_anonymous(&self, mut failure: Failure) -> Failure {
        if self.anonymous && failure.error.kind() == Kind::Forbidden {
            failure.error = failure
                .error
                .hint("the bucket is not public: give credentials, and leave --anonymous out");
        }
        failure
    }

    /// AWS, MinIO and SeaweedFS write a space as `+`, Garage and Ceph as `%20`. One `%20` tells
    /// for good, and without one a `+` is taken as AWS means it.
    fn spelling(&self, output: &ListObjectsV2Output) -> Spelling {
        if output.encoding_type != Some(EncodingType::Url) {
            return Spelling::Raw;
        }
        if texts(output).any(|text| text.contains("%20")) {
            self.plain_plus.store(true, Relaxed);
        }
        Spelling::Percent { plus: self.plain_plus.load(Relaxed) }
    }
}

fn texts(output: &ListObjectsV2Output) -> impl Iterator<Item = &str> {
    let keys = output.contents().iter().filter_map(|object| object.key.as_deref());
    let prefixes = output.common_prefixes().iter().filter_map(|prefix| prefix.prefix.as_deref());
    keys.chain(prefixes)
}

fn read(
    output: ListObjectsV2Output,
    spelling: Spelling,
    root: &str,
    request: &ListRequest,
) -> Result<ListPage> {
    let mut page = ListPage {
        truncated: output.is_truncated.unwrap_or(false),
        next: output.next_continuation_token.filter(|token| !token.is_empty()),
        ..Default::default()
    };
    if !page.truncated {
        // Some servers repeat the token on the last page.
        page.next = None;
    }
    let listed = output.contents.unwrap_or_default();
    page.objects.reserve_exact(listed.len());
    for object in listed {
        let Some(text) = object.key.as_deref() else {
            return Err(broken("an entry has no key"));
        };
        match relative(text, spelling, root, &request.prefix)? {
            Name::Key(key) => match etag(&object) {
                Some(etag) => page.objects.push(entry(key, etag, &object)?),
                // No read of it could be pinned to a version.
                None => page.unaddressable.push(percent(key.as_bytes())),
            },
            Name::Percent(text) => page.unaddressable.push(text),
            Name::Elsewhere => {}
        }
    }
    for prefix in output.common_prefixes.unwrap_or_default() {
        let Some(text) = prefix.prefix.as_deref() else {
            return Err(broken("a common prefix has no name"));
        };
        match relative(text, spelling, root, &request.prefix)? {
            Name::Key(key) => page.prefixes.push(key),
            Name::Percent(text) => page.unaddressable.push(text),
            Name::Elsewhere => {}
        }
    }
    Ok(page)
}

fn etag(object: &Listed) -> Option<ETag> {
    let etag = object.e_tag.as_deref().map(bare_etag).filter(|etag| !etag.is_empty())?;
    Some(ETag(etag.into()))
}

fn entry(key: String, etag: ETag, object: &Listed) -> Result<Object> {
    let Some(size) = object.size.and_then(|size| u64::try_from(size).ok()) else {
        return Err(broken("an entry has no size"));
    };
    Ok(Object {
        key,
        size,
        etag,
        modified: object.last_modified.and_then(|time| time.to_millis().ok()),
        // Restored copies are readable and still carry the class; only a GET would tell.
        archived: matches!(
            object.storage_class,
            Some(ObjectStorageClass::Glacier | ObjectStorageClass::DeepArchive)
        ),
    })
}

/// An ETag without its quotes and without the `W/` of a server that thinks of compressing.
pub(super) fn bare_etag(text: &str) -> &str {
    let text = text.strip_prefix("W/").unwrap_or(text);
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

enum Name {
    Key(String),
    /// No request can name it, or it was not asked for.
    Percent(String),
    /// In the directory that is the same in another normal form: it has its place there.
    Elsewhere,
}

/// A listed text as a key relative to the root.
fn relative(text: &str, spelling: Spelling, root: &str, asked: &str) -> Result<Name> {
    let bytes = match spelling {
        Spelling::Raw => text.as_bytes().to_vec(),
        Spelling::Percent { plus } => decode(text, plus),
    };
    let below = bytes
        .strip_prefix(root.as_bytes())
        .ok_or_else(|| broken("it lists a key outside of the location"))?;
    let text = std::str::from_utf8(below);
    if !below.starts_with(asked.as_bytes()) {
        // R2 looks in NFC for a prefix in any form, and lists what it finds.
        let asked: String = asked.nfc().collect();
        return Ok(match text {
            Ok(text) if text.nfc().collect::<String>().starts_with(&asked) => Name::Elsewhere,
            _ => Name::Percent(percent(below)),
        });
    }
    Ok(match text {
        // No server would take a longer one in a request, so a listing that has it is forged.
        Ok(_) if bytes.len() <= MAX_KEY => {
            let mut bytes = bytes;
            bytes.drain(..root.len());
            // Checked just now; a copy in percent form is the honest fallback all the same.
            String::from_utf8(bytes)
                .map_or_else(|error| Name::Percent(percent(error.as_bytes())), Name::Key)
        }
        _ => Name::Percent(percent(below)),
    })
}

/// Undoes percent form. A `%` that begins no escape stands for itself: some server wrote it so.
fn decode(text: &str, plus: bool) -> Vec<u8> {
    let hex = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = match bytes[at] {
            b'%' => {
                bytes.get(at + 1..at + 3).and_then(|two| Some(hex(two[0])? << 4 | hex(two[1])?))
            }
            _ => None,
        };
        match (bytes[at], escape) {
            (_, Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) if !plus => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    out
}

fn broken(what: &str) -> Error {
    Error::new(Kind::Protocol, format!("the listing cannot be trusted: {what}"))
        .hint("check that the endpoint is an S3 server, and report it to whoever runs it")
}
