//! `index` and its commands.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Subcommand};

use super::{Common, With, bytes, seconds};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Index {
    /// Index the bucket, or go on where an earlier run ended
    Build(With<Build>),
    /// Fetch what changed, and drop what is gone
    Update(With<Update>),
    /// Write the index into the bucket, for every reader of it
    Publish(With<Publish>),
    /// Say how much of the bucket is indexed, and what the index takes
    Status(With<Status>),
    /// Read every page of the index and prove it
    Verify(With<Verify>),
    /// Join all segments into one
    Compact(With<Compact>),
    /// Delete published files that no manifest names
    Gc(With<Gc>),
    /// Delete the index
    Drop(With<Drop>),
}

impl Index {
    /// Takes the common options out.
    pub(super) fn take_common(&mut self) -> Common {
        std::mem::take(match self {
            Self::Build(with) => &mut with.common,
            Self::Update(with) => &mut with.common,
            Self::Publish(with) => &mut with.common,
            Self::Status(with) => &mut with.common,
            Self::Verify(with) => &mut with.common,
            Self::Compact(with) => &mut with.common,
            Self::Gc(with) => &mut with.common,
            Self::Drop(with) => &mut with.common,
        })
    }
}

/// Which of several mounts.
#[derive(Debug, Default, ClapArgs)]
pub(in crate::cli) struct Which {
    /// Only the mount at this point, of several
    #[arg(long, value_name = "POINT")]
    pub mount_point: Option<String>,
}

/// How much memory.
#[derive(Debug, Default, ClapArgs)]
pub(in crate::cli) struct Memory {
    /// How much memory the work may take, as in 1GiB [default: 512MiB]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub memory: Option<u64>,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Build {
    #[command(flatten)]
    pub which: Which,
    #[command(flatten)]
    pub memory: Memory,
    /// Leave the text itself out: a smaller index, and objects are read from the bucket
    #[arg(long)]
    pub no_pack: bool,
    /// Only the Ith of N shares of the keys, as in 2/8
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Only say what would be fetched and what it would cost
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Update {
    #[command(flatten)]
    pub which: Which,
    #[command(flatten)]
    pub memory: Memory,
    /// Look only at what this file names: a key a line, a /path, or R2 event notifications as JSON
    /// lines; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub changes: Option<PathBuf>,
    /// Only say what would be fetched and what it would cost
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Publish {
    #[command(flatten)]
    pub which: Which,
    /// Where to, instead of into the bucket itself
    #[arg(long, value_name = "LOCATION")]
    pub to: Option<String>,
    /// Nobody else publishes there: needed where the server ignores conditions on writes
    #[arg(long)]
    pub single_publisher: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Status {
    #[command(flatten)]
    pub which: Which,
    /// The index published in the bucket, not the local one; one that was published elsewhere is
    /// named by --index
    #[arg(long)]
    pub published: bool,
    /// List nothing: say only what the index is
    #[arg(long)]
    pub no_list: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Verify {
    #[command(flatten)]
    pub which: Which,
    /// Fetch every object too, and compare
    #[arg(long)]
    pub deep: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Compact {
    #[command(flatten)]
    pub which: Which,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Gc {
    #[command(flatten)]
    pub which: Which,
    /// Where the index was published to, if not into the bucket itself
    #[arg(long, value_name = "LOCATION")]
    pub to: Option<String>,
    /// Leave files alone that are younger than this
    #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "24h")]
    pub grace: Duration,
    /// Only say what would be deleted
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Drop {
    #[command(flatten)]
    pub which: Which,
    /// The published index, not the local one
    #[arg(long)]
    pub published: bool,
    /// Where the index was published to, if not into the bucket itself
    #[arg(long, value_name = "LOCATION", requires = "published")]
    pub to: Option<String>,
    /// Do delete
    #[arg(long)]
    pub yes: bool,
}
