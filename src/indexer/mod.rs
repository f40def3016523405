//! Makes an index of a bucket and keeps it: the bulk job, publishing, and what proves either.
//!
//! A job that lists, fetches and writes in one long run is lost with the process, and one that
//! notes what it has done beside what it writes can be wrong about it. Here the index itself is
//! the note: what a commit holds is never fetched again, and "build", "update" and "go on after a
//! kill" are one job that compares the listing with the index and fetches the rest.
//!
//! - [`Job`]: the comparison ([`plan`]), the fetches ([`fetch`]), the segments ([`build`]), and
//!   when they are joined ([`compaction`])
//! - [`Changes`](read_changes) and [`Shard`]: less than the whole bucket
//! - [`Publishing`]: an index in the bucket, and its garbage
//! - [`Job::survey`], [`standing()`] and [`verify()`]: what an index is worth
//!
//! Reached from the command line only; the sandbox knows nothing of it.

mod bench;
mod build;
mod changes;
mod compaction;
mod crew;
mod fault;
mod feed;
mod fetch;
mod garbage;
mod job;
mod join;
mod placing;
mod plan;
mod publishing;
mod repair;
mod report;
mod shard;
mod standing;
mod succession;
mod survey;
mod tally;
mod verify;

use std::path::PathBuf;

pub use changes::{Change, read_changes};
pub use garbage::Collected;
pub use job::{Job, JobOptions};
pub use join::{compact, remove};
pub use publishing::{Published, Publishing};
pub use report::{Report, Unread};
pub use shard::Shard;
pub use standing::{Standing, bytes, local, published, standing};
pub use survey::Survey;
pub use tally::{Halt, Progress, Tally};
pub use verify::{Proof, verify};

use crate::{
    cache::{Cache, CacheOptions},
    error::Result,
    platform::Platform,
    vfs::{Freshness, IndexOptions, Mount, Vfs},
};

/// A bucket and where its index lies on this machine.
#[derive(Clone, Debug)]
pub struct Target {
    /// The bucket at its place in the tree.
    pub mount: Mount,
    /// What every key of the mount begins with in the whole bucket: empty, or ending in `/`.
    pub prefix: String,
    /// The directory of this index alone.
    pub dir: PathBuf,
}

impl Target {
    /// Of the directory that holds one index for each bucket and prefix.
    pub fn new(mount: Mount, prefix: String, indexes: &std::path::Path) -> Self {
        let dir = indexes.join(mount.bucket.id().to_string());
        Self { mount, prefix, dir }
    }

    /// Whose index it is, in the manifest.
    fn origin(&self) -> String {
        self.mount.bucket.id().to_string()
    }

    /// The tree of this mount alone. Nothing that a job reads once is worth a cache.
    fn vfs(&self, platform: &Platform, index: &IndexOptions) -> Result<Vfs> {
        let cache = Cache::new(CacheOptions { memory: 0, disk: None }, platform.clone());
        Vfs::new(vec![self.mount.clone()], cache, platform.clone(), Freshness::Strict, index)
    }
}
