//! With an index, in whatever state, every answer is the one without.

mod elsewhere;
mod foreign;
mod property;
mod requests;
mod retrieval;
mod sums;
mod workload;

use std::{path::Path, process::Command, sync::Arc};

use r2vfs::{
    bucket::Bucket,
    sandbox::{SandboxOptions, VirtualSandbox},
    vfs::{IndexOptions, Mount},
};

use crate::support::kit::sandbox_with;

/// Runs the program over `bucket` (a location), with an environment that holds nothing of this
/// machine but `env`. Its index lies in `dir`.
pub(crate) fn r2vfs(dir: &Path, bucket: &str, env: &[(&str, String)], words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_r2vfs"))
        .args(words)
        .env_clear()
        .env("R2VFS_BUCKET", bucket)
        .env("HOME", dir)
        .envs(env.iter().map(|(name, value)| (*name, value)))
        .args([format!("--index-dir={}", dir.display())])
        .output()
        .expect("the program starts");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{words:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// A sandbox over `bucket` that uses the index in `dir`.
pub(crate) fn with_local_index(bucket: Arc<dyn Bucket>, dir: &Path) -> VirtualSandbox {
    let index = IndexOptions { local: Some(dir.to_owned()), ..IndexOptions::default() };
    let options = SandboxOptions { index, ..SandboxOptions::default() };
    sandbox_with(vec![Mount { point: "/".into(), bucket }], options)
}

/// A sandbox over `bucket` that uses the index published in it.
pub(crate) fn with_published_index(bucket: Arc<dyn Bucket>) -> VirtualSandbox {
    let index = IndexOptions { published: true, ..IndexOptions::default() };
    let options = SandboxOptions { index, ..SandboxOptions::default() };
    sandbox_with(vec![Mount { point: "/".into(), bucket }], options)
}
