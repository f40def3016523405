//! What the command line means: values with their defaults, checked, and nothing of clap.
//!
//! This is the only place of the program that reads the environment; everything further in is
//! handed what it needs.

use std::path::PathBuf;

use super::{
    args::{Common, When},
    usage::wrong,
};
use crate::{config::Location, error::Result, vfs::Freshness};

pub(super) mod grep;
mod mounts;

pub(super) use mounts::{MountPlan, naming};

/// The budget of the disk cache unless `--disk-cache` says otherwise: 4 GiB, a bucket of a
/// million articles, on a disk that is seldom smaller than 64 GiB.
const DISK_CACHE: u64 = 4 << 30;

/// What every command needs to know.
#[derive(Debug)]
pub(super) struct Options {
    pub mounts: Vec<MountPlan>,
    pub cache: CachePlan,
    pub index: IndexPlan,
    pub freshness: Freshness,
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

/// Where indexes are.
#[derive(Debug)]
pub(super) struct IndexPlan {
    /// The directory with one index for each bucket and prefix; `None` without a home.
    pub dir: Option<PathBuf>,
    /// Which of the places are looked at.
    pub places: IndexPlaces,
}

/// `--index`.
#[derive(Debug)]
pub(super) enum IndexPlaces {
    /// A local one, else one that was published in the bucket.
    Auto,
    /// None at all.
    Off,
    /// The one that was published to this location, for the only mount.
    At(Location),
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
        Self::with_mounts(common, lookup, terminal, mounts::plan(common, lookup)?)
    }

    /// The same for mounts that something else plans.
    ///
    /// # Errors
    /// As [`new`](Self::new), but for the mounts.
    pub(super) fn with_mounts(
        common: &Common,
        lookup: &dyn Fn(&str) -> Option<String>,
        terminal: bool,
        mounts: Vec<MountPlan>,
    ) -> Result<Self> {
        let color = match common.color.unwrap_or_default() {
            When::Always | When::Ansi => true,
            When::Never => false,
            When::Auto => terminal && wants_color(lookup),
        };
        let places = index(common, mounts.len())?;
        let home = cache_home(common, lookup);
        let dir = common.index_dir.clone().or_else(|| home.map(|home| home.join("index/v1")));
        Ok(Self {
            mounts,
            index: IndexPlan { dir, places },
            freshness: common.freshness.unwrap_or(Freshness::Strict),
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
    let dir = cache_home(common, lookup);
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

/// Where this program keeps what it can make again; `None` without a home.
fn cache_home(common: &Common, lookup: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
    common
        .cache_dir
        .clone()
        .or_else(|| absolute("XDG_CACHE_HOME").map(|dir| dir.join("r2vfs")))
        .or_else(|| absolute("HOME").map(|home| home.join(".cache/r2vfs")))
}

fn index(common: &Common, mounts: usize) -> Result<IndexPlaces> {
    match common.index.as_deref() {
        None | Some("auto") => Ok(IndexPlaces::Auto),
        Some("off") => Ok(IndexPlaces::Off),
        Some(_) if mounts != 1 => Err(wrong("--index names one location for several mounts")
            .hint("name one bucket with -b, or let --index be auto or off")),
        Some(location) => Location::parse(location).map(IndexPlaces::At),
    }
}
