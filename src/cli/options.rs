//! What the command line means: values with their defaults, checked, and nothing of clap.
//!
//! This is the only place of the program that reads the environment; everything further in is
//! handed what it needs.

use std::path::PathBuf;

use super::{
    args::{Common, When},
    usage::wrong,
};
use crate::error::Result;

pub(super) mod grep;
mod mounts;

pub(super) use mounts::MountPlan;

/// The budget of the disk cache unless `--disk-cache` says otherwise: 4 GiB, a bucket of a
/// million articles, on a disk that is seldom smaller than 64 GiB.
const DISK_CACHE: u64 = 4 << 30;

/// What every command needs to know.
#[derive(Debug)]
pub(super) struct Options {
    pub mounts: Vec<MountPlan>,
    pub cache: CachePlan,
    pub concurrency: Option<usize>,
    pub timeout: Option<std::time::Duration>,
    pub stats: bool,
    pub json: bool,
    pub color: bool,
    pub color_is_auto: bool,
}

/// Which caches there are.
#[derive(Debug)]
pub(super) struct CachePlan {
    /// Bytes; the library's default if `None`.
    pub memory: Option<u64>,
    /// Directory and bytes.
    pub disk: Option<(PathBuf, u64)>,
}

impl Options {
    /// `lookup` answers for one environment variable; `terminal`: a person reads the output.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config) where no bucket is named or a location is wrong.
    pub(super) fn new(
        common: &Common,
        lookup: &dyn Fn(&str) -> Option<String>,
        terminal: bool,
    ) -> Result<Self> {
        let color = match common.color.unwrap_or_default() {
            When::Always | When::Ansi => true,
            When::Never => false,
            When::Auto => terminal && wants_color(lookup),
        };
        Ok(Self {
            mounts: mounts::plan(common, lookup)?,
            cache: CachePlan { memory: common.memory_cache, disk: disk(common, lookup)? },
            concurrency: common.concurrency.map(usize::from),
            timeout: common.timeout,
            stats: common.stats,
            json: common.json,
            color,
            color_is_auto: common.color.unwrap_or_default() == When::Auto,
        })
    }
}

// As termcolor decides for ripgrep: NO_COLOR with any value, a dumb terminal, or none at all.
fn wants_color(lookup: &dyn Fn(&str) -> Option<String>) -> bool {
    lookup("NO_COLOR").is_none() && lookup("TERM").is_some_and(|term| term != "dumb")
}

fn disk(
    common: &Common,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<(PathBuf, u64)>> {
    if common.no_disk_cache || common.disk_cache == Some(0) {
        return Ok(None);
    }
    let budget = common.disk_cache.unwrap_or(DISK_CACHE);
    let absolute = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let dir = common
        .cache_dir
        .clone()
        .or_else(|| absolute("XDG_CACHE_HOME").map(|dir| dir.join("r2vfs")))
        .or_else(|| absolute("HOME").map(|home| home.join(".cache/r2vfs")));
    match dir {
        Some(dir) => Ok(Some((dir, budget))),
        // Without a home there is no place for it, which only matters where one was asked for.
        None if common.disk_cache.is_some() => {
            Err(wrong("--disk-cache has no directory: neither XDG_CACHE_HOME nor HOME is set")
                .hint("name one with --cache-dir"))
        }
        None => Ok(None),
    }
}
