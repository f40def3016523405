//! The hits of a grep as they are found, one JSON object a line.
//!
//! An answer that is built first makes a program wait for the last hit before it sees the first,
//! and a stream that ends early looks like one that is whole. Here each line is an event of the
//! search, and the last one is always the envelope; a stream without it broke off.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream::unfold;
use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;
use crate::{
    sandbox::{Envelope, HitStream},
    server::{Front, Running, Tenant},
};

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

/// Starts the search and gives its events as they come. A client that leaves stops it.
pub(super) async fn grep(tenant: &Arc<Tenant>, arguments: Value) -> Result<Response, Problem> {
    let running = tenant.begin(Front::Http, "grep", &arguments)?;
    let sandbox = tenant.sandbox().billed(running.bill());
    let hits = match sandbox.start_hits(arguments).await {
        Ok(hits) => hits,
        Err(error) => {
            running.failed(&error);
            return Err(tenant.veiled(error).into());
        }
    };
    let lines = unfold(Some((hits, running)), |going| async move {
        let (line, going) = next(going?).await;
        Some((Ok::<_, Infallible>(line), going))
    });
    let mut response = Body::from_stream(lines).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    // Proxies must hand each line on.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

type Going = (HitStream, Running);

async fn next((mut hits, running): Going) -> (Bytes, Option<Going>) {
    if let Some(event) = hits.next().await {
        return (line(&event), Some((hits, running)));
    }
    let envelope = hits.envelope();
    running.ended(&envelope, None);
    (line(&Last { r#type: "envelope", envelope: &envelope }), None)
}

#[derive(Serialize)]
struct Last<'e> {
    r#type: &'static str,
    #[serde(flatten)]
    envelope: &'e Envelope,
}

fn line(value: &impl Serialize) -> Bytes {
    // Only maps with keys that are no strings fail, and there are none.
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    text.into()
}
