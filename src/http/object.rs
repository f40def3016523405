//! `GET /v1/object/PATH`: the stored bytes of a file, or a range of them.
//!
//! A proxy that passes a range on and forgets the version gives the first half of one file and the
//! second half of another. Here every answer is one version, named by its `ETag`; `If-Range` and
//! `If-None-Match` are compared with it, and a file that changes on the way breaks the answer off
//! before its announced end. What the bucket says of a file's type is passed on with headers that
//! keep a browser from running it.

use std::{io, ops::Range, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures_util::stream::unfold;
use serde_json::json;

use super::problem::Problem;
use crate::{
    cache::Use,
    error::{Error, Kind, Result},
    sandbox::{Share, VirtualSandbox, unshown},
    server::{Failure, Front, Running, Tenant, percent},
    tree::path::visible,
    vfs::{Budget, ByteStream, Content, Entry, Op, Vfs},
};

/// What stands before the path.
const PREFIX: &str = "/v1/object";

/// The first byte brings the block it is in and the headers that the bucket keeps with the file.
const FIRST: u64 = 1;

/// Gives a file. `HEAD` says what it would give.
pub(super) async fn get(
    Extension(tenant): Extension<Arc<Tenant>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let raw = uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let path = percent::decode(raw).ok_or_else(|| {
        Error::new(Kind::InvalidPath, "the path in the URL is not well encoded")
            .hint("percent-encode its UTF-8 bytes, each once")
    })?;
    let asked = json!({ "path": visible(&path), "range": text(&headers, header::RANGE) });
    let running = tenant.begin(Front::Http, "object", &asked)?;
    let sandbox = tenant.sandbox().billed(running.bill());
    let (content, share) = match open(&sandbox, &path, &headers, &method).await {
        Ok(Opened::Known(entry)) => {
            running.done(Ok(()));
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            set(response.headers_mut(), header::ETAG, etag(&entry).as_deref());
            return Ok(response);
        }
        Ok(Opened::Content(content, share)) => (content, share),
        Err(error) => {
            running.done(Err(&error));
            return Err(Failure::Failed(tenant.veiled(error)).into());
        }
    };
    Ok(answer(*content, share, &headers, &method, running))
}

enum Opened {
    /// The client has this version.
    Known(Entry),
    /// With what the session allows to be sent of it.
    Content(Box<Content>, Option<Share>),
}

/// Opens the file, if all that is asked for of it may be sent: an answer that breaks off when a
/// budget is spent would look like a network that is down.
async fn open(
    sandbox: &VirtualSandbox,
    path: &str,
    headers: &HeaderMap,
    method: &Method,
) -> Result<Opened> {
    let mut share = sandbox.share(0)?;
    let mut op = sandbox.op(Budget::default());
    let vfs = sandbox.vfs();
    let entry = named(vfs, &op, path).await?;
    if is_known(headers, &entry) {
        return Ok(Opened::Known(entry));
    }
    let size = entry.object.size;
    let length = match asked(headers, size, etag(&entry).as_deref()) {
        _ if method == Method::HEAD => 0,
        Ok(part) => part.map_or(size, |part| part.end - part.start),
        Err(()) => 0,
    };
    if let Some(most) = op.budget.bytes.filter(|most| length > *most) {
        let message = format!("a call may bring {most} bytes, and {length} were asked for");
        return Err(Error::new(Kind::Budget, message).at(path).hint("ask for a shorter Range"));
    }
    // What is bounded is what is sent: the rest of the blocks at both ends comes on top.
    op.budget.bytes = None;
    if let Some(share) = &mut share {
        share.hold(length)?;
    }
    let content = vfs.open(&op, entry, Use::Read, FIRST).await?;
    if let Some(share) = &share {
        share.take(1, 0)?;
    }
    Ok(Opened::Content(Box::new(content), share))
}

/// The file at `path`, which may be written as answers show it.
async fn named(vfs: &Vfs, op: &Op, path: &str) -> Result<Entry> {
    let Some(meant) = unshown(path) else { return vfs.file(op, path).await };
    match vfs.file(op, &meant).await {
        Err(error) if error.kind() == Kind::NotFound => vfs.file(op, path).await.map_err(|_| error),
        found => found,
    }
}

fn answer(
    content: Content,
    share: Option<Share>,
    headers: &HeaderMap,
    method: &Method,
    running: Running,
) -> Response {
    let size = content.entry.object.size;
    let etag = etag(&content.entry);
    let part = asked(headers, size, etag.as_deref());
    if part.is_err() {
        running.done(Ok(()));
        let problem = Problem::request(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "the range begins past the end",
            "the header Content-Range names the size",
        );
        let mut response = problem.into_response();
        set(response.headers_mut(), header::CONTENT_RANGE, Some(&format!("bytes */{size}")));
        return response;
    }
    let part = part.ok().flatten();
    let range = part.clone().unwrap_or(0..size);
    let kind = content.headers.content_type.as_deref().unwrap_or("application/octet-stream");
    let mut response = Response::default();
    let told = response.headers_mut();
    set(told, header::CONTENT_TYPE, Some(kind));
    set(told, header::CONTENT_ENCODING, content.headers.content_encoding.as_deref());
    set(told, header::ETAG, etag.as_deref());
    told.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    told.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // The file was written by others: no guessing of its type, no scripts, no cookies.
    told.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    told.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    told.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if part.is_some() {
        let told_range = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        set(told, header::CONTENT_RANGE, Some(&told_range));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let left = range.end - range.start;
    if method == Method::HEAD || left == 0 {
        running.done(Ok(()));
        return response;
    }
    let sending = Sending { stream: content.stored_part(range), left, share, running };
    *response.body_mut() =
        Body::from_stream(unfold(Some(sending), |sending| async move { sending?.next().await }));
    response
}

/// The rest of a body.
struct Sending {
    stream: ByteStream,
    /// Bytes that were announced and are not sent.
    left: u64,
    share: Option<Share>,
    running: Running,
}

impl Sending {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Option<Self>)> {
        match self.stream.next().await {
            Some(Ok(chunk)) => {
                let length = chunk.len() as u64;
                if let Some(share) = &mut self.share {
                    share.sent(length);
                }
                self.left = self.left.saturating_sub(length);
                // Whoever has the bytes that were announced does not ask whether there are more,
                // so the call ends with the last of them.
                if self.left > 0 {
                    return Some((Ok(chunk), Some(self)));
                }
                self.running.done(Ok(()));
                Some((Ok(chunk), None))
            }
            Some(Err(error)) => {
                self.running.done(Err(&error));
                // The connection ends before the length that was announced.
                Some((Err(io::Error::other("the file cannot be read on")), None))
            }
            None => {
                self.running.done(Ok(()));
                None
            }
        }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Values from the bucket that no header can hold are left out.
fn set(headers: &mut HeaderMap, name: header::HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}

fn etag(entry: &Entry) -> Option<String> {
    let tag = &*entry.object.etag.0;
    let plain = tag.bytes().all(|byte| byte == 0x21 || (0x23..=0x7e).contains(&byte));
    plain.then(|| format!("\"{tag}\""))
}

/// `If-None-Match` names this version.
fn is_known(headers: &HeaderMap, entry: &Entry) -> bool {
    let Some(tags) = text(headers, header::IF_NONE_MATCH) else { return false };
    let Some(own) = etag(entry) else { return tags.trim() == "*" };
    tags.trim() == "*"
        || tags.split(',').map(str::trim).any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == own)
}

/// The range that was asked for: `None` for all of it, also where what was asked for is several
/// ranges, another unit, or a range of another version. `Err`: it begins past the end.
fn asked(headers: &HeaderMap, size: u64, etag: Option<&str>) -> Result<Option<Range<u64>>, ()> {
    let Some(range) = text(headers, header::RANGE).and_then(parse) else { return Ok(None) };
    if text(headers, header::IF_RANGE).is_some_and(|tag| Some(tag.trim()) != etag) {
        return Ok(None);
    }
    match range {
        Asked::From(start, last) if start < size => {
            Ok(Some(start..last.map_or(size, |last| size.min(last.saturating_add(1)))))
        }
        Asked::Last(count) if count > 0 && size > 0 => Ok(Some(size.saturating_sub(count)..size)),
        Asked::From(..) | Asked::Last(_) => Err(()),
    }
}

#[derive(Debug, PartialEq)]
enum Asked {
    /// The first byte, and the last one if it was named.
    From(u64, Option<u64>),
    /// So many bytes at the end.
    Last(u64),
}

fn parse(text: &str) -> Option<Asked> {
    let (unit, range) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse::<u64>().ok(),
        false => None,
    };
    match (first, last) {
        ("", last) => number(last).map(Asked::Last),
        (first, "") => Some(Asked::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Asked::From(first, Some(last)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str, size: u64) -> Result<Option<Range<u64>>, ()> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, text.parse().expect("a header"));
        asked(&headers, size, Some("\"v1\""))
    }

    #[test]
    fn ranges_as_in_rfc_9110() {
        assert_eq!(range("bytes=0-4", 10), Ok(Some(0..5)));
        assert_eq!(range("bytes=5-", 10), Ok(Some(5..10)));
        assert_eq!(range("bytes=-3", 10), Ok(Some(7..10)));
        assert_eq!(range("bytes=-30", 10), Ok(Some(0..10)));
        assert_eq!(range("bytes=9-18446744073709551615", 10), Ok(Some(9..10)));
        for past in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert_eq!(range(past, 10), Err(()), "{past}");
        }
        assert_eq!(range("bytes=0-", 0), Err(()));
        for whole in ["bytes=4-2", "bytes=0-1,3-4", "lines=0-1", "bytes=+1-2", "bytes", "bytes=-"] {
            assert_eq!(range(whole, 10), Ok(None), "{whole}");
        }
    }

    #[test]
    fn a_range_of_another_version_gives_all_of_this_one() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-4"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"v2\""));
        assert_eq!(asked(&headers, 10, Some("\"v1\"")), Ok(None));
        assert_eq!(asked(&headers, 10, Some("\"v2\"")), Ok(Some(0..5)));
    }
}
