//! Reads and greps of cached objects: beside `rg` on local disk, in one run.
//!
//! The corpus is the otel documentation where the shared data is at hand, else `fixtures/kb`. `rg`
//! starts a process for each search, as it does for everybody; listings are kept here, because a
//! new process and its listing are what `benches/compare.py` measures.

use std::{path::PathBuf, process::Command};

use criterion::Criterion;
use r2vfs::{
    sandbox::{ReadArgs, SandboxOptions, ScanEvent, VirtualSandbox},
    search::{HitMode, Hits},
    vfs::{Freshness, Mount},
};
use tokio::runtime::Runtime;

use crate::support::{
    TestServer,
    kit::{otel, request, s3_bucket, sandbox_with},
};

fn corpus() -> PathBuf {
    otel().unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/kb"))
}

async fn grep(sandbox: &VirtualSandbox, pattern: &str) -> u64 {
    let hits = Hits { mode: HitMode::Count, ..Hits::default() };
    let mut scan = sandbox.scan(request(pattern), hits).expect("a scan");
    let mut lines = 0;
    while let Some(event) = scan.next().await {
        if let ScanEvent::End { found, .. } = event {
            lines += found.lines;
        }
    }
    lines
}

/// Criterion's entry.
pub(crate) fn cached(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let root = corpus();
    let (_server, sandbox) = runtime.block_on(async {
        let server = TestServer::start().await;
        server.store().load(&root).expect("readable");
        let bucket = s3_bucket(&server, &server.location(""));
        let mounts = vec![Mount { point: "/".into(), bucket }];
        let options = SandboxOptions { freshness: Freshness::Snapshot, ..Default::default() };
        let sandbox = sandbox_with(mounts, options);
        grep(&sandbox, "the").await;
        (server, sandbox)
    });
    for pattern in ["memory_limiter", "the"] {
        let mut group = criterion.benchmark_group(format!("cached grep -c {pattern}"));
        group.sample_size(20);
        group.bench_function("r2vfs, from memory", |bencher| {
            bencher.iter(|| runtime.block_on(grep(&sandbox, pattern)));
        });
        group.bench_function("rg, on local disk", |bencher| {
            bencher.iter(|| {
                let flags = ["--no-config", "--no-mmap", "-uu", "-c", pattern];
                Command::new("rg").args(flags).arg(&root).output().map(|done| done.stdout.len())
            });
        });
        group.finish();
    }
    let path = runtime.block_on(async {
        let mut paths =
            sandbox.entries(&r2vfs::sandbox::ListArgs { recursive: true, ..Default::default() });
        loop {
            let entry = paths.next().await.expect("a file").expect("listed");
            if entry.size.is_some_and(|size| size > 1000) {
                return entry.path;
            }
        }
    });
    criterion.bench_function("cached read of one article", |bencher| {
        bencher.iter(|| {
            let args = ReadArgs { path: path.clone(), ..ReadArgs::default() };
            runtime.block_on(sandbox.read(args)).expect("a file").result.lines.len()
        });
    });
}
