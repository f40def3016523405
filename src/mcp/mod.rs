//! The toolset over the Model Context Protocol, for standard input and output and for HTTP.
//!
//! Macros of the SDK would make a second table of tools, with schemas of their own and an answer
//! in two forms that clients print twice. [`Server`] translates and nothing more: it lists what
//! the sandbox's table lists, hands arguments on as they came, and gives back text or structured
//! content, never both. The SDK speaks every revision from 2024-11-05 to 2026-07-28; which one is
//! the client's choice.

#![expect(clippy::disallowed_methods, reason = "the SDK runs on tokio, and so does this")]

mod progress;
mod resources;
mod uri;

use std::{pin::pin, sync::Arc};

use futures_util::future::{Either, select};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
        DiscoverResult, Implementation, ListResourceTemplatesResult, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
        ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};
use serde_json::Value;

use crate::{
    error::{Error, Kind, Result},
    sandbox::{self, Body, Format, INSTRUCTIONS, TOOLS, ToolOutput, error_text},
    server::{Failure, Front, Tenant},
    tree::path::visible,
};

/// How long a client may keep what does not change while the server runs: an hour. `private`
/// because a proxy must not hand one tenant's answers to another, even if they are the same.
const LASTING_MS: u64 = 3_600_000;

/// How a server speaks, and to whom.
#[derive(Clone, Debug)]
pub struct Server {
    who: Who,
    front: Front,
    format: Format,
}

#[derive(Clone, Debug)]
enum Who {
    /// Whoever is at the other end of the pipe.
    One(Arc<Tenant>),
    /// The tenant that the HTTP server found for the request's token.
    Bearer,
}

impl Server {
    /// For one client on standard input and output.
    pub fn stdio(tenant: Arc<Tenant>, format: Format) -> Self {
        Self { who: Who::One(tenant), front: Front::Stdio, format }
    }

    /// For requests over HTTP that carry their tenant as an extension.
    pub fn http(format: Format) -> Self {
        Self { who: Who::Bearer, front: Front::Mcp, format }
    }

    fn tenant(&self, context: &RequestContext<RoleServer>) -> Result<Arc<Tenant>, ErrorData> {
        match &self.who {
            Who::One(tenant) => Ok(Arc::clone(tenant)),
            Who::Bearer => context
                .extensions
                .get::<axum::http::request::Parts>()
                .and_then(|parts| parts.extensions.get::<Arc<Tenant>>())
                .cloned()
                .ok_or_else(|| ErrorData::internal_error("the request has no tenant", None)),
        }
    }
}

/// Serves one client until its end of standard input, which is how a client says good-bye.
///
/// # Errors
/// [`Kind::Protocol`] where the client does not begin as it must; [`Kind::Io`] where the pipe
/// breaks.
pub async fn serve_stdio(tenant: Arc<Tenant>, format: Format) -> Result<()> {
    let server = Server::stdio(tenant, format);
    let running = match rmcp::serve_server(server, rmcp::transport::stdio()).await {
        Ok(running) => running,
        // A client that only looked whether the program starts.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => {
            let what = visible(&error.to_string());
            return Err(Error::new(Kind::Protocol, format!("the MCP client began badly: {what}"))
                .hint("start `r2vfs mcp` from an MCP client, not by hand"));
        }
    };
    running.waiting().await.map(drop).map_err(|error| {
        Error::new(Kind::Io, format!("the connection to the MCP client broke: {error}"))
            .because(error)
    })
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        let about = Implementation::new("r2vfs", env!("CARGO_PKG_VERSION"))
            .with_title("r2vfs: read-only files in object storage");
        ServerConfig::new(capabilities).with_server_info(about).with_instructions(INSTRUCTIONS)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info()).with_ttl_ms(LASTING_MS))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = TOOLS.iter().filter_map(listed).collect();
        Ok(ListToolsResult::with_all_items(tools)
            .with_ttl_ms(LASTING_MS)
            .with_cache_scope(CacheScope::Private))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        sandbox::Tool::find(name).and_then(listed)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tenant = self.tenant(&context)?;
        let Some(tool) = sandbox::Tool::find(&request.name) else {
            let names: Vec<_> = TOOLS.iter().map(|tool| tool.name).collect();
            let name: String = visible(&request.name).chars().take(100).collect();
            return Err(ErrorData::invalid_params(
                format!("there is no tool {name:?}; the tools are {}", names.join(", ")),
                None,
            ));
        };
        let arguments =
            request.arguments.map_or_else(|| Value::Object(serde_json::Map::new()), Value::Object);
        let work = pin!(tenant.call_text(self.front, tool, arguments, self.format));
        let beside = pin!(progress::until_cancelled(&context, tool.name));
        match select(work, beside).await {
            Either::Left((done, _)) => Ok(result(done).into()),
            // Dropping the work stops its requests; nobody waits for this answer.
            Either::Right(((), _)) => {
                Err(ErrorData::internal_error("the call was cancelled by the client", None))
            }
        }
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let tenant = self.tenant(&context)?;
        let cursor = request.and_then(|request| request.cursor);
        let work = pin!(resources::list(&tenant, self.front, cursor));
        let beside = pin!(context.ct.cancelled());
        match select(work, beside).await {
            Either::Left((done, _)) => done,
            Either::Right(((), _)) => Err(cancelled()),
        }
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(vec![resources::template()])
            .with_ttl_ms(LASTING_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let tenant = self.tenant(&context)?;
        let work = pin!(resources::read(&tenant, self.front, &request.uri));
        let beside = pin!(context.ct.cancelled());
        match select(work, beside).await {
            Either::Left((done, _)) => done,
            Either::Right(((), _)) => Err(cancelled()),
        }
    }
}

fn cancelled() -> ErrorData {
    ErrorData::internal_error("the request was cancelled by the client", None)
}

/// A tool of the table in the SDK's form. The table is made of literals, so that one that does not
/// fit is seen by the first test that lists it.
fn listed(tool: &sandbox::Tool) -> Option<Tool> {
    serde_json::from_value(tool.listed()).ok()
}

/// What the client gets: text, or structured content, or an error that says what to do next.
fn result(done: Result<ToolOutput, Failure>) -> CallToolResult {
    let text = |text: String| vec![ContentBlock::text(text)];
    match done {
        Err(busy) => CallToolResult::error(text(error_text(&busy.into_error()))),
        Ok(output) if output.is_error() => CallToolResult::error(text(output.text().into_owned())),
        Ok(ToolOutput { body: Ok(Body::Structured(value)), .. }) => {
            let mut result = CallToolResult::success(Vec::new());
            result.structured_content = Some(value);
            result
        }
        Ok(output) => CallToolResult::success(text(output.text().into_owned())),
    }
}
