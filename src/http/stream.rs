//! The hits of a grep as they are found, one JSON object a line.

use std::sync::Arc;

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use serde_json::Value;

use super::problem::Problem;
use crate::server::Tenant;

/// The type of a stream of lines.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// Whether the client asked for one.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|one| {
            one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(NDJSON)
        })
    })
}

/// Starts the stream.
pub(super) fn grep(_: &Arc<Tenant>, _: Value) -> Result<Response, Problem> {
    Err(Problem::request(StatusCode::NOT_ACCEPTABLE, "not yet", ""))
}
