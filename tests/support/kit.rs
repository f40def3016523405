//! A sandbox in one line, over the loopback server or a directory.

use std::{path::Path, process::Command, sync::Arc};

use r2vfs::{
    bucket::{Bucket, Permits},
    config::{Location, Settings, open},
    platform::Platform,
    sandbox::{
        Envelope, SandboxOptions, ScanEvent, ScanRequest, VirtualSandbox, get_virtual_sandbox,
    },
    search::{Found, Hit, Hits, PatternOptions, SearchOptions, SelectionOptions},
    vfs::{Budget, Mount},
};

use super::TestServer;

/// The bucket at a location of the loopback server.
pub(crate) fn s3_bucket(server: &TestServer, location: &str) -> Arc<dyn Bucket> {
    let env = server.env();
    let settings = Settings::from_env(&|name| {
        env.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
    });
    let location = Location::parse(location).expect("a location");
    open(&location, &settings, &Permits::new(64), &Platform::tokio()).expect("a bucket")
}

/// The bucket of a directory.
pub(crate) fn dir_bucket(path: &Path) -> Arc<dyn Bucket> {
    let location = Location::Directory { path: path.to_owned() };
    let settings = Settings::from_env(&|_| None);
    open(&location, &settings, &Permits::new(64), &Platform::tokio()).expect("a bucket")
}

/// A sandbox with `bucket` at `/` and no disk cache. It has no deadline: a large corpus in a build
/// for debugging on a busy machine takes its time.
pub(crate) fn sandbox(bucket: Arc<dyn Bucket>) -> VirtualSandbox {
    let options = SandboxOptions { budget: Budget::default(), ..SandboxOptions::default() };
    sandbox_with(vec![Mount { point: "/".into(), bucket }], options)
}

pub(crate) fn sandbox_with(mounts: Vec<Mount>, options: SandboxOptions) -> VirtualSandbox {
    get_virtual_sandbox(mounts, Platform::tokio(), options).expect("a sandbox")
}

/// A sandbox over the whole bucket of the server.
pub(crate) fn served(server: &TestServer) -> VirtualSandbox {
    sandbox(s3_bucket(server, &server.location("")))
}

/// A grep for one regex over everything.
pub(crate) fn request(pattern: &str) -> ScanRequest {
    ScanRequest {
        paths: Vec::new(),
        pattern: PatternOptions { patterns: vec![pattern.into()], ..PatternOptions::default() },
        search: SearchOptions { line_number: true, ..SearchOptions::default() },
        selection: SelectionOptions::default(),
        search_zip: false,
        budget: Budget::default(),
        every: false,
        start: None,
        dry_run: false,
    }
}

/// What a scan gave, whole.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) hits: Vec<(String, Hit)>,
    pub(crate) found: Vec<(String, Found)>,
    pub(crate) failed: Vec<(String, String)>,
    pub(crate) envelope: Envelope,
}

impl Scanned {
    /// `path:line` of each hit, as given.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.hits.iter().map(|(path, hit)| format!("{path}:{}", hit.line.unwrap_or(0))).collect()
    }

    /// Paths that matched, as given.
    pub(crate) fn matching(&self) -> Vec<&str> {
        self.found.iter().filter(|(_, f)| f.matched).map(|(path, _)| path.as_str()).collect()
    }
}

pub(crate) async fn scan(sandbox: &VirtualSandbox, request: ScanRequest) -> Scanned {
    scan_hits(sandbox, request, Hits::default()).await
}

pub(crate) async fn scan_hits(
    sandbox: &VirtualSandbox,
    request: ScanRequest,
    hits: Hits,
) -> Scanned {
    let mut scan = sandbox.scan(request, hits).expect("a scan");
    let mut scanned = Scanned::default();
    while let Some(event) = scan.next().await {
        match event {
            ScanEvent::Chunk { path, chunk } => {
                scanned.hits.extend(chunk.into_iter().map(|hit| (path.to_string(), hit)));
            }
            ScanEvent::End { path, found } => scanned.found.push((path.to_string(), found)),
            ScanEvent::Failed { path, error, .. } => {
                scanned.failed.push((path.to_string(), error.to_string()));
            }
        }
    }
    scanned.envelope = scan.envelope();
    scanned
}

/// A folder of the shared data, or `None` (said aloud) where a user's clone has none.
pub(crate) fn shared(what: &str) -> Option<std::path::PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(what);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: shared/{what} is not here");
    None
}

/// The otel corpus, unpacked once per target directory; `None` (said aloud) where it is absent.
pub(crate) fn otel() -> Option<std::path::PathBuf> {
    use std::sync::Mutex;
    static ONE: Mutex<()> = Mutex::new(());
    let archive = shared("corpora/otel-docs.tar.zst")?;
    let _one = ONE.lock().expect("no panic while unpacking");
    // Only set for tests; the helpers are part of example programs too.
    let target = Path::new(option_env!("CARGO_TARGET_TMPDIR").unwrap_or("target/tmp"));
    let root = target.join("otel");
    if !root.exists() {
        // Unpacked beside and renamed, so that a killed test leaves no half corpus.
        let part = target.join(format!("otel-{}", std::process::id()));
        std::fs::create_dir_all(&part).expect("a folder");
        let status =
            Command::new("tar").args(["--zstd", "-xf"]).arg(&archive).arg("-C").arg(&part).status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: tar and zstd are needed to unpack the otel corpus");
            return None;
        }
        std::fs::rename(part.join("otel"), &root).expect("renaming within a folder");
        std::fs::remove_dir_all(&part).expect("removing an empty folder");
    }
    Some(root)
}
