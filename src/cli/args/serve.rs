//! What was typed after `mcp`, `serve` and `token`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args as ClapArgs, Subcommand};

use super::bytes;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Mcp {
    /// Answer with structured content instead of text, unless a call asks for text
    #[arg(long)]
    pub structured: bool,
    /// Calls that the client may make in all; once they are spent, calls are refused and say so
    #[arg(long, value_name = "COUNT")]
    pub session_calls: Option<u64>,
    /// Requests to the bucket that all its calls may send together
    #[arg(long, value_name = "COUNT")]
    pub session_requests: Option<u64>,
    /// Bytes that all its calls may fetch together, as in 500M
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub session_bytes: Option<u64>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_SERVE)]
pub(in crate::cli) struct Serve {
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// MCP answers with structured content instead of text, unless a call asks for text
    #[arg(long)]
    pub structured: bool,
    /// Append a JSON object a call to this file; `-` is standard error
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
    /// Write the server's URL to this file once it listens
    #[arg(long, value_name = "FILE")]
    pub port_file: Option<PathBuf>,
    /// End when standard input is closed, so that a child ends with its parent
    #[arg(long)]
    pub exit_with_stdin: bool,
}

const AFTER_SERVE: &str = "\
Without tenants everybody who can connect reads the buckets, so only loopback addresses are
taken. Tenants, their tokens, mounts and limits are tables of the file that --config names (see
docs/SERVING.md); SIGHUP reads it again, SIGTERM ends the server when its calls have ended.";

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Token {
    #[command(subcommand)]
    pub command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Print a new token, for the client, and its digest, for the configuration
    New,
}
