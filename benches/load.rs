//! Many clients on one server, for minutes: figures, and every answer checked.
//!
//! `cargo build --release --bin r2vfs --example load`, then
//! `target/release/examples/load --binary target/release/r2vfs`; with `--per-mille 25` one request
//! to the bucket in twenty fails, by a 503 or a reset.

#![allow(clippy::disallowed_methods, reason = "a program of its own")]

// The same as the short form in the tests; the program needs a part of what tests need.
#[allow(dead_code)]
#[path = "../tests/serving/load.rs"]
mod load;
#[allow(dead_code, unused_imports)]
#[path = "../tests/support/mod.rs"]
mod support;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use load::{Load, run};

#[derive(Parser)]
struct Arguments {
    /// The program that serves.
    #[arg(long)]
    binary: PathBuf,
    #[arg(long, default_value_t = 64)]
    clients: usize,
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Of a thousand requests to the bucket, so many meet a 503, and as many a reset.
    #[arg(long, default_value_t = 0)]
    per_mille: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let load = Load {
        clients: arguments.clients,
        tenants: 4,
        dirs: 30,
        lines: 160,
        calls: u64::MAX,
        time: Duration::from_secs(arguments.seconds),
        deadline: Duration::from_secs(20),
        per_mille: arguments.per_mille,
        indexed: 2,
    };
    let (home, binary) = match (tempfile::tempdir(), arguments.binary.canonicalize()) {
        (Ok(home), Ok(binary)) => (home, binary),
        (home, binary) => {
            eprintln!("cannot begin: {:?} {:?}", home.err(), binary.err());
            return ExitCode::from(2);
        }
    };
    let figures = run(load, &binary, home.path());
    let rate = figures.calls / arguments.seconds.max(1);
    println!(
        "{} clients, {} s: {} calls, {rate}/s",
        load.clients, arguments.seconds, figures.calls
    );
    for (tool, times) in &figures.times {
        let of = |per_mille| quantile(times, per_mille).as_secs_f64() * 1e3;
        println!(
            "  {tool:6} {:7} calls  p50 {:6.1} ms  p99 {:6.1} ms  max {:6.1} ms",
            times.len(),
            of(500),
            of(990),
            of(1000)
        );
    }
    let mut all: Vec<Duration> = figures.times.values().flatten().copied().collect();
    all.sort_unstable();
    let of = |per_mille| quantile(&all, per_mille).as_secs_f64() * 1e3;
    println!("  all    p50 {:.1} ms  p99 {:.1} ms  max {:.1} ms", of(500), of(990), of(1000));
    let (early, most) = figures.memory;
    println!("  memory {} MiB in the first quarter, {} MiB at most", early >> 10, most >> 10);
    let (sent, failed) = figures.bucket;
    println!("  bucket {sent} requests, {failed} met a fault");
    println!("  not complete {}, errors {:?}", figures.partial, figures.errors);
    println!("  wrong {}: {:#?}", figures.wrong.len(), figures.wrong);
    let failed = !figures.wrong.is_empty()
        || (arguments.per_mille == 0 && !figures.errors.is_empty())
        || most > early + early / 2 + (64 << 10);
    ExitCode::from(u8::from(failed))
}

/// The time that so many of a thousand stay below.
fn quantile(sorted: &[Duration], per_mille: usize) -> Duration {
    let at = (sorted.len() * per_mille / 1000).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}
