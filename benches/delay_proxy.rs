//! The delaying TCP proxy as a program.

#![allow(clippy::disallowed_methods, reason = "a program of its own")]

// The program needs a part of what the tests need.
#[allow(dead_code)]
mod proxy;

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use proxy::DelayProxy;

/// Listens on 127.0.0.1 and adds a round trip to everything on the way to a server.
#[derive(Parser)]
struct Arguments {
    /// The server, as ADDRESS:PORT.
    #[arg(long)]
    to: SocketAddr,
    /// The port to listen on; 0 is any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The round trip to add, in milliseconds.
    #[arg(long, default_value_t = 30)]
    rtt_ms: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let round_trip = Duration::from_millis(arguments.rtt_ms);
    let proxy = match DelayProxy::start(arguments.port, arguments.to, round_trip).await {
        Ok(proxy) => proxy,
        Err(error) => {
            eprintln!("cannot listen on port {}: {error}", arguments.port);
            return ExitCode::from(2);
        }
    };
    println!("http://{}", proxy.address());
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("cannot wait for Ctrl-C: {error}");
        return ExitCode::from(2);
    }
    eprintln!("{} connections", proxy.connections());
    ExitCode::SUCCESS
}
