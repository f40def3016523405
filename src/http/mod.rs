//! The server: MCP, the JSON API, raw objects and what operators need, on one port.
//!
//! A framework's defaults serve a friendly client: any `Host`, any body, headers that never end,
//! as many connections as come. Here a request passes [`guard`] before anything reads it, a
//! connection is held by [`listen`] only while it is of use, and handlers translate: what a tool
//! may do, and for whom, is decided in [`server`](crate::server) alone.
//!
//! - [`guard`]: host, origin, token, size; finds the tenant
//! - [`cors`]: pages of other origins, if any are named
//! - [`api`]: `POST /v1/{tool}`; [`stream`]: its answer line by line
//! - [`object`]: `GET /v1/object/PATH`
//! - [`openapi`](mod@openapi): the description of both, from the table of tools
//! - [`operator`]: `/healthz`, `/readyz`, `/metrics`
//! - [`problem`]: errors as JSON, and the one table of status codes
//! - [`listen`]: connections: bounds, timeouts, shutdown
//!
//! TLS and HTTP/2 are for a proxy in front.

#![expect(
    clippy::disallowed_methods,
    reason = "servers run on tokio and have a clock; only the program has this part"
)]

mod api;
mod cors;
mod guard;
pub mod listen;
mod object;
mod openapi;
mod operator;
mod problem;
mod stall;
mod stream;

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{any_service, get, post},
};
use rmcp::{
    ServerHandler,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};

pub use guard::Rules;
pub use openapi::document as openapi;

use crate::{
    mcp,
    sandbox::Format,
    server::{Tenants, tenant::Log},
};

/// The most bytes of a request's body: 1 MiB. Arguments are a few names and patterns.
pub const MAX_BODY: usize = 1 << 20;

/// What all requests share.
#[derive(Debug)]
pub struct App {
    /// Whom is served.
    pub tenants: Tenants,
    /// Where requests are recorded.
    pub log: Log,
    rules: RwLock<Arc<Rules>>,
    draining: AtomicBool,
    format: Format,
}

impl App {
    /// A server of these tenants; `format` is how MCP answers unless a call asks for the other.
    pub fn new(tenants: Tenants, log: Log, rules: Rules, format: Format) -> Arc<Self> {
        let rules = RwLock::new(Arc::new(rules));
        Arc::new(Self { tenants, log, rules, draining: AtomicBool::new(false), format })
    }

    /// Who may call it from now on.
    pub fn set_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// It will end soon: `/readyz` says so, that no new work is sent here.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }
}

/// Every route behind its guard.
pub fn router(app: &Arc<App>) -> Router {
    let format = app.format;
    router_with(app, move || mcp::Server::http(format))
}

/// The same with another MCP server at `/mcp`: conformance suites bring tools of their own, and
/// are to meet this guard and this transport.
pub fn router_with<S: ServerHandler>(
    app: &Arc<App>,
    make: impl Fn() -> S + Send + Sync + 'static,
) -> Router {
    // Requests bring everything with them, also the older revisions': a session would tie a
    // client to one process and hold memory for those who never come back. Host, origin and size
    // were looked at by the guard, for all routes alike.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_BODY)
        .disable_allowed_hosts();
    let mcp = StreamableHttpService::new(
        move || Ok(make()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    Router::new()
        .route("/mcp", any_service(mcp))
        .route("/v1/{tool}", post(api::call))
        .route("/v1/object/", get(object::get))
        .route("/v1/object/{*path}", get(object::get))
        .route("/openapi.json", get(openapi::get))
        .route("/healthz", get(operator::healthz))
        .route("/readyz", get(operator::readyz))
        .route("/metrics", get(operator::metrics))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(from_fn_with_state(Arc::clone(app), guard::guard))
        .with_state(Arc::clone(app))
}
