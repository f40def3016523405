//! `mcp`: the tools for one client on standard input and output.
//!
//! Nothing but protocol may reach standard output; whatever else there is to say goes to standard
//! error.

use std::sync::Arc;

use super::super::{args::serve::Mcp, exit::Exit, failure::Stop};
use crate::{
    mcp,
    sandbox::{Format, SessionLimits, VirtualSandbox},
    server::{Tenant, WindowLimits, limits::Limits, tenant::Log},
};

/// Serves until the client closes the pipe.
pub(in crate::cli) async fn run(sandbox: &VirtualSandbox, mcp: Mcp) -> Result<Exit, Stop> {
    let format = if mcp.structured { Format::Structured } else { Format::Text };
    // One person's own client: what it may ask for is bounded by the machine.
    let limits = Limits { rate: 1000.0, burst: 1000, concurrency: 32 };
    let tenant = Tenant::new("local", sandbox.clone(), limits, Log::default());
    // The process is the session.
    let session = SessionLimits {
        calls: mcp.session_calls,
        requests: mcp.session_requests,
        bytes: mcp.session_bytes,
        ..SessionLimits::default()
    };
    let tenant = Arc::new(tenant.within(WindowLimits { limits: session, every: None }));
    mcp::serve_stdio(tenant, format).await?;
    Ok(Exit::Match)
}
