//! The kinds of bucket that a contract test runs over, each filled and opened in the same way.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Instant, SystemTime},
};

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation},
    primitives::ByteStream,
};
use r2vfs::{
    bucket::{Bucket, Permits},
    config::{Location, Settings, open},
    platform::{Hooks, Platform},
};
use tempfile::TempDir;

use super::server::{ACCESS_KEY, BUCKET, SECRET_KEY, TestServer};

/// The endpoint of a running SeaweedFS that knows the credentials of the loopback server;
/// `.ci/seaweedfs start` prints one.
pub(crate) const SEAWEEDFS: &str = "R2VFS_TEST_SEAWEEDFS";

/// The bucket on SeaweedFS. One for all tests: each new bucket costs it seven volumes.
const SHARED: &str = "contract";

/// A bucket that a test may fill and change behind the reader's back.
#[derive(Debug)]
pub(crate) enum World {
    Loopback(TestServer),
    Directory(TempDir),
    SeaweedFs { endpoint: String, prefix: String, client: Box<Client> },
}

impl World {
    pub(crate) async fn loopback() -> Option<Self> {
        Some(Self::Loopback(TestServer::start().await))
    }

    pub(crate) async fn directory() -> Option<Self> {
        Some(Self::Directory(TempDir::new().expect("a temporary directory")))
    }

    /// `None`, and a line that says so, where none is running.
    pub(crate) async fn seaweedfs() -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let Some(endpoint) = std::env::var(SEAWEEDFS).ok().filter(|e| !e.is_empty()) else {
            eprintln!("SKIPPED over SeaweedFS: {SEAWEEDFS} is not set (see .ci/seaweedfs)");
            return None;
        };
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&endpoint)
            .region(Region::new("us-east-1"))
            .force_path_style(true)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
            .build();
        let client = Box::new(Client::from_conf(config));
        // It is there already when another test was first.
        client.create_bucket().bucket(SHARED).send().await.ok();
        let prefix = format!("run-{}-{}/", std::process::id(), NEXT.fetch_add(1, Relaxed));
        Some(Self::SeaweedFs { endpoint, prefix, client })
    }

    /// Whether this kind can hold an object of this key beside any other. A file system has no
    /// empty, `.` or `..` segments; neither has SeaweedFS, which is one inside.
    pub(crate) fn holds(&self, key: &str) -> bool {
        let plain = |key: &str| {
            key.split('/').all(|s| !s.is_empty() && s != "." && s != ".." && s.len() <= 255)
        };
        match self {
            Self::Loopback(_) => true,
            Self::Directory(_) => plain(key) && !key.contains('\0'),
            // It stores `a\b` as `a/b`, and a control byte breaks the XML of its own listings.
            Self::SeaweedFs { .. } => {
                plain(key) && !key.chars().any(|c| c == '\\' || c.is_control())
            }
        }
    }

    /// Whether an object may have the name of a directory beside it.
    pub(crate) fn holds_twins(&self) -> bool {
        matches!(self, Self::Loopback(_))
    }

    /// Whether it lists in byte order, as S3 promises.
    pub(crate) fn lists_in_byte_order(&self) -> bool {
        !matches!(self, Self::SeaweedFs { .. })
    }

    /// Puts an object, or a new version of it.
    pub(crate) async fn put(&self, key: &str, content: &[u8]) {
        match self {
            Self::Loopback(server) => server.store().put(key, content.to_vec()),
            Self::Directory(dir) => write_file(dir.path(), key, content),
            Self::SeaweedFs { prefix, client, .. } => {
                let put = client.put_object().bucket(SHARED).key(format!("{prefix}{key}"));
                put.body(ByteStream::from(content.to_vec())).send().await.expect("a put");
            }
        }
    }

    /// Puts many.
    pub(crate) async fn fill<K: AsRef<str>, C: AsRef<[u8]>>(
        &self,
        objects: impl IntoIterator<Item = (K, C)>,
    ) {
        for (key, content) in objects {
            self.put(key.as_ref(), content.as_ref()).await;
        }
    }

    /// Removes an object.
    pub(crate) async fn delete(&self, key: &str) {
        match self {
            Self::Loopback(server) => assert!(server.store().delete(key), "no {key}"),
            Self::Directory(dir) => {
                std::fs::remove_file(dir.path().join(key)).expect("a file");
            }
            Self::SeaweedFs { prefix, client, .. } => {
                let delete = client.delete_object().bucket(SHARED).key(format!("{prefix}{key}"));
                delete.send().await.expect("a deletion");
            }
        }
    }

    /// Opens it, or what is below a prefix (empty, or ending in `/`).
    pub(crate) fn open(&self, below: &str, permits: &Permits) -> Arc<dyn Bucket> {
        let (location, endpoint) = self.place(below);
        open_at(&location, &endpoint, permits, &Platform::tokio())
    }

    /// The location of what is below a prefix, and its endpoint.
    pub(crate) fn place(&self, below: &str) -> (String, String) {
        match self {
            Self::Loopback(server) => (format!("s3://{BUCKET}/{below}"), server.url()),
            Self::Directory(dir) => {
                (format!("file:{}", dir.path().join(below).display()), String::new())
            }
            Self::SeaweedFs { endpoint, prefix, .. } => {
                (format!("s3://{SHARED}/{prefix}{below}"), endpoint.clone())
            }
        }
    }
}

/// Opens a location at an endpoint with the credentials of the tests and nothing of the machine's
/// own environment.
pub(crate) fn open_at(
    location: &str,
    endpoint: &str,
    permits: &Permits,
    platform: &Platform,
) -> Arc<dyn Bucket> {
    let location = Location::parse(location).expect("a location");
    open(&location, &settings_of(endpoint), permits, platform).expect("a bucket")
}

/// The settings of the tests for an endpoint.
pub(crate) fn settings_of(endpoint: &str) -> Settings {
    Settings::from_env(&|name: &str| match name {
        "AWS_ENDPOINT_URL_S3" => Some(endpoint.to_owned()),
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ACCESS_KEY_ID" => Some(ACCESS_KEY.to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some(SECRET_KEY.to_owned()),
        _ => None,
    })
}

/// The tokio platform with clocks that run `times` as fast, for what takes minutes in earnest.
pub(crate) fn hurried(times: u32) -> Platform {
    let (runtime, start) = (tokio::runtime::Handle::current(), Instant::now());
    let blocking = runtime.clone();
    Platform::new(Hooks {
        sleep: Box::new(move |duration| Box::pin(tokio::time::sleep(duration / times))),
        spawn: Box::new(move |future| drop(runtime.spawn(future))),
        wall_clock: Box::new(|()| {
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
        }),
        monotonic: Box::new(move |()| start.elapsed() * times),
        run_blocking: Some(Box::new(move |job| drop(blocking.spawn_blocking(job)))),
        run_worker: Some(Box::new(|job| drop(std::thread::spawn(job)))),
        parallelism: 2,
    })
}

/// A new version is a new file under the old name: one written in place within a tick of the
/// clock could not be told from the old.
fn write_file(root: &Path, key: &str, content: &[u8]) {
    let path = root.join(key);
    let dir = path.parent().expect("a directory");
    std::fs::create_dir_all(dir).expect("a directory");
    let mut file = tempfile::NamedTempFile::new_in(dir).expect("a file");
    std::io::Write::write_all(&mut file, content).expect("room on the disk");
    file.persist(path).expect("a rename");
}
