//! The toolset as a model meets it.

mod bounds;
mod costs;
mod cursors;
mod errors;
mod pages;
#[cfg(feature = "cli")]
mod ranked;
mod texts;

use std::{path::Path, time::Duration, time::SystemTime};

use r2vfs::{
    sandbox::{CallOptions, SandboxOptions, ToolOutput, VirtualSandbox},
    vfs::Mount,
};
use serde_json::Value;

use crate::support::{
    Stored, TestServer,
    kit::{s3_bucket, sandbox_with},
};

/// 2026-06-01T10:00:00Z, for every object: texts hold times.
fn then() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_308_000)
}

async fn articles() -> TestServer {
    let server = TestServer::start().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/kb");
    let mut dirs = vec![root.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let key = path.strip_prefix(&root).expect("it is below").to_str().expect("UTF-8");
            let bytes = std::fs::read(&path).expect("a file");
            server.store().put_object(key, Stored::new(bytes).modified(then()));
        }
    }
    server
}

fn options(server: &TestServer, options: SandboxOptions) -> VirtualSandbox {
    let bucket = s3_bucket(server, &server.location(""));
    sandbox_with(vec![Mount { point: "/".into(), bucket }], options)
}

async fn say(sandbox: &VirtualSandbox, tool: &str, arguments: Value) -> ToolOutput {
    sandbox.call_text(tool, arguments, &CallOptions::default()).await
}
