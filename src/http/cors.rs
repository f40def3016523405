//! Pages of other origins, where the configuration names them.
//!
//! A browser asks before it sends a token or JSON to another origin, without the token, so the
//! guard cannot know the tenant yet; and it shows a page nothing of an answer that does not name
//! the page's origin, errors included. Without names in the configuration nothing here answers.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

/// What a page may send.
const SENT: HeaderValue = HeaderValue::from_static(
    "accept, authorization, content-type, if-none-match, if-range, mcp-method, mcp-name, \
     mcp-protocol-version, range",
);

/// What a page may read beside what it always may.
const SHOWN: HeaderValue =
    HeaderValue::from_static("accept-ranges, content-length, content-range, etag, retry-after");

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST");

/// Seconds that a browser may remember the permission; a reload takes it away from others.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// An origin that the configuration names, for the answer.
#[derive(Clone, Debug)]
pub(super) struct Named(HeaderValue);

impl Named {
    /// The origin of the request if it is one of `origins`.
    pub(super) fn of(headers: &HeaderMap, origins: &[String]) -> Option<Self> {
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        origins.iter().any(|one| one.eq_ignore_ascii_case(text)).then(|| Self(origin.clone()))
    }

    /// The answer to a browser's question, if this is one.
    pub(super) fn permission(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        let asks = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        (method == Method::OPTIONS && asks).then(|| {
            let mut response = StatusCode::NO_CONTENT.into_response();
            let told = response.headers_mut();
            told.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            told.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, SENT);
            told.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
            response
        })
    }

    /// Lets the page read the answer. No cookies: a token is sent on purpose.
    pub(super) fn show(&self, mut response: Response) -> Response {
        let told = response.headers_mut();
        let pairs: [(HeaderName, HeaderValue); 3] = [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, self.0.clone()),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN),
            (header::VARY, HeaderValue::from_static("origin")),
        ];
        for (name, value) in pairs {
            told.insert(name, value);
        }
        response
    }
}
