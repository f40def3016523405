//! Errors as JSON, and the one table from kinds to status codes.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    error::{Error, Kind},
    sandbox::error_json,
    server::{Failure, call::kind_name},
};

/// The status of an error. What a client did wrong is 4xx, what a repeat may cure is 5xx.
pub(super) fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::InvalidPath | Kind::InvalidPattern | Kind::InvalidArgument | Kind::WrongType => {
            StatusCode::BAD_REQUEST
        }
        // The bucket's refusal, not the server's: that is 401.
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        // The bucket is not in the state that the call needs.
        Kind::Changed | Kind::Archived | Kind::NoIndex => StatusCode::CONFLICT,
        Kind::TooLarge | Kind::Budget => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Undecodable => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Deadline => StatusCode::GATEWAY_TIMEOUT,
        Kind::Config
        | Kind::NoBucket
        | Kind::Credentials
        | Kind::Unavailable
        | Kind::Protocol
        | Kind::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Io => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error in JSON: `{"error": {"kind", "message", "path"?, "hint"?}}`. The kind may be one that
/// only a server has.
fn body(kind: &str, error: &Error) -> Value {
    let mut told = error_json(error);
    if let Some(told) = told.as_object_mut() {
        told.insert("kind".to_owned(), kind.into());
    }
    json!({ "error": told })
}

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    error: Error,
    retry_after: Option<u64>,
}

impl Problem {
    /// What was wrong with a request itself; the hint says what to send instead.
    pub(super) fn request(status: StatusCode, message: &str, hint: &str) -> Self {
        let error = Error::new(Kind::InvalidArgument, message).hint(hint);
        Self { status, kind: kind_name(Kind::InvalidArgument), error, retry_after: None }
    }

    /// No token, or not a good one: the same answer for both, for every path.
    pub(super) fn unauthorized() -> Self {
        Self {
            kind: "unauthorized",
            ..Self::request(
                StatusCode::UNAUTHORIZED,
                "there is no token, or not a good one",
                "send the header Authorization: Bearer TOKEN",
            )
        }
    }

    /// A route that is not there.
    pub(super) fn nowhere() -> Self {
        let error = Error::new(Kind::NotFound, "there is no such route")
            .hint("GET /openapi.json lists what there is");
        Self::from(Failure::Failed(error))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Failed(error) => Self {
                status: status(error.kind()),
                kind: kind_name(error.kind()),
                error,
                retry_after: None,
            },
            Failure::Busy(wait) => Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                kind: "rate-limited",
                retry_after: Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
                error: failure.into_error(),
            },
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Failure::Failed(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(body(self.kind, &self.error))).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// For a path without a route.
pub(super) async fn no_route() -> Problem {
    Problem::nowhere()
}

/// For a route that takes another method; the `Allow` header is added by the router.
pub(super) async fn no_method() -> Problem {
    Problem::request(
        StatusCode::METHOD_NOT_ALLOWED,
        "this route takes another method",
        "the header Allow names it; GET /openapi.json lists what there is",
    )
}
