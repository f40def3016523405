//! The virtual sandbox: one read-only toolset over the tree, the same for every front end.
//!
//! When CLI, server and library each join paths, limits and errors in their own way, they answer
//! differently, and an agent learns three dialects. [`VirtualSandbox`] has one method per tool
//! with typed arguments and a typed answer, and one dispatch by name ([`VirtualSandbox::call`]);
//! front ends only translate. No type here can write to a bucket.

mod answer;
mod board;
mod bytes;
mod cursor;
mod glob;
mod grep;
mod list;
mod read;
mod scan;
#[cfg(feature = "index")]
mod search;
mod stat;

use std::time::Duration;

pub use answer::{
    Answer, Envelope, Incomplete, IndexUse, NAMED_SKIPS, Reason, SkipReason, Skipped, utc,
};
pub use board::ScanEvent;
pub use glob::{GlobArgs, GlobResult, OneOrMany, Paths};
pub use grep::{FileHits, GrepArgs, GrepResult, HitLine, OutputMode};
pub use list::{Entries, ListArgs, ListEntry, ListResult};
pub use read::{ReadArgs, ReadLine, ReadResult};
pub use scan::{Scan, ScanRequest};
#[cfg(feature = "index")]
pub use search::{RankedHit, Ranking, SearchArgs, SearchHit, SearchResult};
pub use stat::{StatArgs, StatResult};

use crate::{
    cache::{Cache, CacheOptions},
    error::{Error, Kind, Result},
    platform::Platform,
    search::Report,
    vfs::{Budget, Freshness, IndexOptions, Mount, Op, Vfs},
};

/// Names of the tools, in the order they are offered.
pub const TOOLS: &[&str] = &[
    "list",
    "stat",
    "read",
    "glob",
    "grep",
    #[cfg(feature = "index")]
    "search",
];

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Where object bytes are kept.
    pub cache: CacheOptions,
    /// How old a listing may be.
    pub freshness: Freshness,
    /// Where indexes are looked for; nowhere by default.
    pub index: IndexOptions,
    /// Bytes of objects and search buffers that one grep may hold, beside the cache.
    pub scan_bytes: u64,
    /// What one call may cost; a call can ask for less, not for more.
    pub budget: Budget,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            cache: CacheOptions::default(),
            freshness: Freshness::Strict,
            index: IndexOptions::default(),
            // Two large objects at once with their 16 MiB search buffers, or all of a window
            // of small ones. With results (16 MiB) and the process itself this stays below the
            // 150 MiB that a grep may take over any bucket (issue 2).
            scan_bytes: 64 << 20,
            budget: Budget::default(),
        }
    }
}

/// The read-only toolset over some buckets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VirtualSandbox {
    vfs: Vfs,
    scan_bytes: u64,
    budget: Budget,
}

/// Joins `mounts` into one tree and hands out its toolset.
///
/// # Errors
/// [`Kind::Config`] for mount points that are malformed, doubled or inside one another.
pub fn get_virtual_sandbox(
    mounts: Vec<Mount>,
    platform: Platform,
    options: SandboxOptions,
) -> Result<VirtualSandbox> {
    let cache = Cache::new(options.cache, platform.clone());
    let vfs = Vfs::new(mounts, cache, platform, options.freshness, &options.index)?;
    Ok(VirtualSandbox { vfs, scan_bytes: options.scan_bytes, budget: options.budget })
}

impl VirtualSandbox {
    /// The tree below the tools, for what no tool offers (raw bytes).
    pub fn vfs(&self) -> &Vfs {
        &self.vfs
    }

    /// Runs the tool `name` with `arguments`, a JSON object.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for an unknown tool or argument, and what the tool fails with.
    pub async fn call(
        &self,
        name: &str,
        arguments: serde_json::Value,
    ) -> Result<serde_json::Value> {
        match name {
            "list" => to_json(self.list(from_json(name, arguments)?).await?),
            "stat" => to_json(self.stat(from_json(name, arguments)?).await?),
            "read" => to_json(self.read(from_json(name, arguments)?).await?),
            "glob" => to_json(self.glob(from_json(name, arguments)?).await?),
            "grep" => to_json(self.grep(from_json(name, arguments)?).await?),
            #[cfg(feature = "index")]
            "search" => to_json(self.search(from_json(name, arguments)?).await?),
            _ => Err(Error::new(Kind::InvalidArgument, format!("there is no tool {name:?}"))
                .hint(format!("the tools are {}", TOOLS.join(", ")))),
        }
    }

    /// Starts a grep whose results `report` forms, in path order.
    ///
    /// # Errors
    /// [`Kind::InvalidPattern`] or [`Kind::InvalidArgument`]; paths that name nothing are
    /// events of the scan.
    pub fn scan<R: Report>(&self, request: ScanRequest, report: R) -> Result<Scan<R::Chunk>> {
        let request = ScanRequest { budget: self.within(request.budget), ..request };
        scan::start(&self.vfs, request, report, self.scan_bytes)
    }

    /// The smaller of what the caller and the sandbox allow.
    fn within(&self, asked: Budget) -> Budget {
        fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        Budget {
            time: least(asked.time, self.budget.time),
            requests: least(asked.requests, self.budget.requests),
            bytes: least(asked.bytes, self.budget.bytes),
        }
    }

    /// An operation with the sandbox's own budget, for raw access through [`Self::vfs`].
    pub fn op(&self, budget: Budget) -> Op {
        self.vfs.op(self.within(budget))
    }
}

/// Adds cost and time to an envelope and settles it.
fn close(envelope: &mut Envelope, vfs: &Vfs, op: &Op) {
    envelope.cost = op.call.meter.cost();
    envelope.as_of = op.as_of();
    envelope.notes.extend(op.notes());
    let elapsed: Duration = vfs.platform().monotonic().saturating_sub(op.started);
    envelope.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    envelope.settle();
}

fn from_json<T: serde::de::DeserializeOwned>(name: &str, value: serde_json::Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| {
        Error::new(Kind::InvalidArgument, format!("the arguments of {name} are wrong: {error}"))
            .because(error)
    })
}

fn to_json<T: serde::Serialize>(answer: T) -> Result<serde_json::Value> {
    serde_json::to_value(answer).map_err(|error| {
        Error::new(Kind::Io, "the answer cannot be written as JSON").because(error)
    })
}
