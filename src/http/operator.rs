//! For whoever runs the server: is it alive, is it ready, what does it do.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{App, guard::bearer, problem::Problem};

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// It takes new work. Buckets are not asked: one tenant's broken bucket must not take the server
/// away from all others.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    match app.is_draining() {
        false => "ready\n".into_response(),
        true => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n").into_response(),
    }
}

/// Everything that is counted.
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !app.tenants.now().may_see_metrics(bearer(&headers)) {
        return Err(Problem::unauthorized());
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, app.log.metrics.text()).into_response())
}
