//! The loopback S3 server as a program, for benchmarks and trials by hand.

#![allow(clippy::disallowed_methods, reason = "a program of its own")]

// The server's own files and not all of what tests share: the rest needs to be a test. Of these the
// program needs a part.
#[allow(dead_code)]
#[path = "../tests/support/counts.rs"]
mod counts;
#[allow(dead_code)]
#[path = "../tests/support/faults.rs"]
mod faults;
#[path = "../tests/support/protocol.rs"]
mod protocol;
#[allow(dead_code)]
#[path = "../tests/support/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "../tests/support/store.rs"]
mod store;
#[allow(dead_code)]
#[path = "../tests/support/uploads.rs"]
mod uploads;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use faults::Quirk;
use server::{ACCESS_KEY, BUCKET, SECRET_KEY, TestServer};

/// Serves a directory over the S3 protocol on 127.0.0.1 and prints what was asked at the end.
#[derive(Parser)]
struct Arguments {
    /// The directory whose files are the objects.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Makes this many small objects instead of, or beside, the directory's.
    #[arg(long, default_value_t = 0)]
    objects: u64,
    /// The port; 0 is any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Milliseconds that each request waits for its answer.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Takes any signature, or none.
    #[arg(long)]
    open: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let server = match TestServer::listen(arguments.port) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("cannot listen on port {}: {error}", arguments.port);
            return ExitCode::from(2);
        }
    };
    if let Some(dir) = &arguments.dir
        && let Err(error) = server.store().load(dir)
    {
        eprintln!("cannot load {}: {error}", dir.display());
        return ExitCode::from(2);
    }
    server.store().fill((0..arguments.objects).map(|n| {
        (format!("made/{:03}/{n:07}.txt", n % 100), format!("object {n}\nneedle {}\n", n % 7))
    }));
    server.faults().delay(Duration::from_millis(arguments.delay_ms));
    if arguments.open {
        server.faults().quirk(Quirk::Open);
    }
    println!("export AWS_ENDPOINT_URL_S3={}", server.url());
    println!("export AWS_ACCESS_KEY_ID={ACCESS_KEY}");
    println!("export AWS_SECRET_ACCESS_KEY={SECRET_KEY}");
    println!("export AWS_REGION=us-east-1");
    println!("export R2VFS_BUCKET=s3://{BUCKET}");
    eprintln!("{} objects; Ctrl-C ends it", server.store().len());
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("cannot wait for Ctrl-C: {error}");
        return ExitCode::from(2);
    }
    eprintln!("{:#?}", server.counts());
    ExitCode::SUCCESS
}
