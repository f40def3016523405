//! `POST /v1/{tool}`: a tool's arguments in, its answer out.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{problem::Problem, stream};
use crate::{
    sandbox::{Body, Format, Tool},
    server::{Failure, Front, Tenant},
};

/// Runs the tool. A `format` asks for what a model gets, text or JSON and of its size; without one,
/// the answer is the whole typed one.
pub(super) async fn call(
    Extension(tenant): Extension<Arc<Tenant>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let Some(tool) = Tool::find(&name) else { return Err(Problem::nowhere()) };
    let arguments = arguments(&headers, &body)?;
    if tool.name == "grep" && stream::is_wanted(&headers) {
        return stream::grep(&tenant, arguments).await;
    }
    if arguments.get("format").is_none_or(Value::is_null) {
        let (answer, pass) = tenant.call(Front::Http, tool, arguments).await?;
        let mut response = Json(answer).into_response();
        // Its place is taken until the answer is sent.
        response.extensions_mut().insert(Arc::new(pass));
        return Ok(response);
    }
    let output = tenant.call_text(Front::Http, tool, arguments, Format::Text).await?;
    let complete = output.envelope.complete;
    Ok(match output.body.map_err(Failure::Failed)? {
        Body::Text(text) => Json(json!({ "text": text, "complete": complete })),
        Body::Structured(answer) => Json(answer),
    }
    .into_response())
}

fn arguments(headers: &HeaderMap, body: &[u8]) -> Result<Value, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    // Also what keeps a form on a foreign page from calling: it cannot send this type.
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::request(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body is not said to be JSON",
            "send the header Content-Type: application/json",
        ));
    }
    let wrong = |message: &str| {
        Problem::request(
            StatusCode::BAD_REQUEST,
            message,
            r#"send one JSON object, as in {"path": "/"}"#,
        )
    };
    // It stops at 128 levels by itself.
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| wrong(&format!("the body is not JSON: {error}")))?;
    match value.is_object() {
        true => Ok(value),
        false => Err(wrong("the body is JSON, but no object")),
    }
}
