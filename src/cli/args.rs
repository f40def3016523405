//! What was typed, and nothing about what it means.
//!
//! A parser that also opens files, reads the environment and decides defaults cannot be asked
//! for a man page without doing all of that. [`Args`] is only the shape of a command line;
//! [`options`](super::options) gives it a meaning. The options of [`Common`] may stand before and
//! after the command: clap's own `global` flag keeps only one of the two places and drops the
//! mounts of the other without a word, so each place has its own copy and
//! [`Common::merge`] joins them.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand, ValueEnum};

pub(super) mod grep;
pub(super) mod index;
#[cfg(feature = "server")]
pub(super) mod serve;
mod values;

pub(super) use values::{bytes, freshness, line, seconds, some, unescape};

use crate::vfs::Freshness;

/// A live, read-only file tree over an S3-compatible bucket: list, read, glob, grep and search it
/// without a copy.
#[derive(Debug, Parser)]
#[command(
    name = "r2vfs",
    version,
    max_term_width = 100,
    after_help = AFTER_HELP
)]
pub(super) struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Locations:
  r2://BUCKET/PREFIX   Cloudflare R2 (R2_ACCOUNT_ID, R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY)
  s3://BUCKET/PREFIX   AWS S3, MinIO, Garage, SeaweedFS (AWS_* variables, profiles, --endpoint)
  file:PATH or PATH    a local directory

Exit codes: 0 a match or success, 1 no match, 2 an error (also beside matches), 130 Ctrl-C.

Examples:
  r2vfs -b r2://support grep -i 'rate limit' /docs/
  r2vfs -b ./articles read /faq.md --offset 40 --limit 20";

/// The names of every command, for hints and tests.
pub(super) fn command() -> clap::Command {
    Args::command()
}

/// A command's own options beside the common ones.
#[derive(Debug, ClapArgs)]
pub(super) struct With<T: ClapArgs> {
    #[command(flatten)]
    pub own: T,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List a directory, or all that is below it
    Ls(With<Ls>),
    /// Draw the directories and files below a directory
    Tree(With<Tree>),
    /// Say what is known about a path
    Stat(With<Stat>),
    /// Print whole files or a byte range
    Cat(With<Cat>),
    /// Print a window of lines of a file
    Read(With<Read>),
    /// List the files whose path matches a pattern
    Glob(With<Glob>),
    /// Search file contents, with ripgrep's flags, output and exit codes
    Grep(Box<With<grep::Grep>>),
    /// Rank the articles that answer a question (needs an index; a small bucket gets one at once)
    Search(With<Search>),
    /// Make, publish and check an index of the bucket
    #[command(subcommand)]
    Index(index::Index),
    /// Check endpoint, credentials, permissions and clock, and say what is wrong
    Doctor(With<Doctor>),
    /// Run one tool with JSON arguments, as an agent does, and print its answer
    Tool(With<Tool>),
    /// Serve the tools to one MCP client on standard input and output
    #[cfg(feature = "server")]
    Mcp(With<serve::Mcp>),
    /// Serve the tools over HTTP: MCP at /mcp, a JSON API at /v1, raw objects, metrics
    #[cfg(feature = "server")]
    Serve(With<serve::Serve>),
    /// Make bearer tokens for the tenants of a server
    #[cfg(feature = "server")]
    Token(serve::Token),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page (roff)
    Man,
}

/// Which bucket, how to reach it, and how to print: accepted before and after the command.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(super) struct Common {
    /// The bucket or directory to read [env: R2VFS_BUCKET]
    #[arg(short, long, value_name = "LOCATION", help_heading = BUCKET)]
    pub bucket: Option<String>,
    /// Join a bucket to the tree at a path; repeat for more
    #[arg(long, value_name = "POINT=LOCATION", help_heading = BUCKET)]
    pub mount: Vec<String>,
    /// A TOML file with mount tables (point, location, endpoint, ...)
    #[arg(long, value_name = "FILE", help_heading = BUCKET)]
    pub config: Option<PathBuf>,
    /// The S3 endpoint, instead of the one the location and environment imply
    #[arg(long, value_name = "URL", help_heading = BUCKET)]
    pub endpoint: Option<String>,
    /// The region that requests are signed for
    #[arg(long, value_name = "NAME", help_heading = BUCKET)]
    pub region: Option<String>,
    /// The profile to take from the shared AWS files
    #[arg(long, value_name = "NAME", help_heading = BUCKET)]
    pub profile: Option<String>,
    /// Send unsigned requests (a public bucket)
    #[arg(long, help_heading = BUCKET)]
    pub anonymous: bool,
    /// Keep nothing on disk between runs
    #[arg(long, help_heading = LIMITS)]
    pub no_disk_cache: bool,
    /// Where the disk cache lives [default: the user's cache directory]
    #[arg(long, value_name = "DIR", help_heading = LIMITS)]
    pub cache_dir: Option<PathBuf>,
    /// Bytes of objects kept in memory, as in 64MiB [default: 128MiB]
    #[arg(long, value_name = "SIZE", value_parser = bytes, help_heading = LIMITS)]
    pub memory_cache: Option<u64>,
    /// Bytes of objects kept on disk, as in 10GiB [default: 4GiB]
    #[arg(long, value_name = "SIZE", value_parser = bytes, help_heading = LIMITS)]
    pub disk_cache: Option<u64>,
    /// How many requests may be under way at once [default: 96]
    #[arg(long, value_name = "NUM", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = LIMITS)]
    pub concurrency: Option<u16>,
    /// Where the index of the bucket is: `auto` (a local one, else one published in the bucket),
    /// `off`, or the location it was published to [default: auto]
    #[arg(long, value_name = "WHERE", help_heading = INDEX)]
    pub index: Option<String>,
    /// Where local indexes live [default: the user's cache directory]
    #[arg(long, value_name = "DIR", help_heading = INDEX)]
    pub index_dir: Option<PathBuf>,
    /// How old a listing may be: `strict` (list now), `bounded=SECONDS`, or `snapshot` (any that
    /// is there, as the index has one) [default: strict]
    #[arg(long, value_name = "HOW", value_parser = freshness, help_heading = INDEX)]
    pub freshness: Option<Freshness>,
    /// Stop the command after this long (30, 500ms, 2m); what was found is still printed
    #[arg(long, value_name = "TIME", value_parser = seconds, help_heading = LIMITS)]
    pub timeout: Option<Duration>,
    /// Say on standard error what was listed, searched and skipped, and what it cost
    #[arg(long, help_heading = PRINTING)]
    pub stats: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_enum, help_heading = PRINTING)]
    pub color: Option<When>,
    /// Print one JSON object a line, the last one the envelope
    #[arg(long, help_heading = PRINTING)]
    pub json: bool,
}

const BUCKET: &str = "Bucket";
const INDEX: &str = "Index and freshness";
const LIMITS: &str = "Cache and limits";
const PRINTING: &str = "Printing";

impl Common {
    /// Joins what stood before the command (`self`) with what stood after it. Lists add up, and
    /// of two values the later one holds, as with any flag given twice.
    pub(super) fn merge(mut self, after: Common) -> Common {
        self.mount.extend(after.mount);
        Common {
            bucket: after.bucket.or(self.bucket),
            mount: self.mount,
            config: after.config.or(self.config),
            endpoint: after.endpoint.or(self.endpoint),
            region: after.region.or(self.region),
            profile: after.profile.or(self.profile),
            anonymous: self.anonymous || after.anonymous,
            no_disk_cache: self.no_disk_cache || after.no_disk_cache,
            cache_dir: after.cache_dir.or(self.cache_dir),
            memory_cache: after.memory_cache.or(self.memory_cache),
            disk_cache: after.disk_cache.or(self.disk_cache),
            concurrency: after.concurrency.or(self.concurrency),
            index: after.index.or(self.index),
            index_dir: after.index_dir.or(self.index_dir),
            freshness: after.freshness.or(self.freshness),
            timeout: after.timeout.or(self.timeout),
            stats: self.stats || after.stats,
            color: after.color.or(self.color),
            json: self.json || after.json,
        }
    }
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Always (there is no other way than ANSI here)
    Ansi,
    /// Never
    Never,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Ls {
    /// The directory or file to list
    #[arg(default_value = "/")]
    pub path: String,
    /// Size and time before each path
    #[arg(short, long)]
    pub long: bool,
    /// Everything below, not only the next level
    #[arg(short = 'R', long)]
    pub recursive: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Tree {
    /// The directory to draw
    #[arg(default_value = "/")]
    pub path: String,
    /// How many levels to draw
    #[arg(short = 'L', long, value_name = "NUM", value_parser = clap::value_parser!(u32).range(1..))]
    pub level: Option<u32>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Stat {
    /// The paths to describe
    #[arg(value_name = "PATH", default_value = "/")]
    pub paths: Vec<String>,
    /// How many keys were listed, are reachable, hidden, escaped and unaddressable
    #[arg(long)]
    pub report: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Cat {
    /// The files to print, one after another
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<String>,
    /// Only the bytes from A to B, both included, counted from 0 (`0-99`; `100-` to the end)
    #[arg(long, value_name = "A-B", allow_hyphen_values = true)]
    pub range: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Read {
    /// The file to read
    pub path: String,
    /// The first line to print, counted from 1
    #[arg(long, value_name = "LINE", value_parser = line)]
    pub offset: Option<u64>,
    /// How many lines to print [default: 2000]
    #[arg(long, value_name = "NUM", value_parser = some)]
    pub limit: Option<u64>,
    /// The last lines instead
    #[arg(long, value_name = "NUM", conflicts_with_all = ["offset", "limit"], value_parser = some)]
    pub tail: Option<u64>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Glob {
    /// Patterns over the whole path without its leading `/`; `!PATTERN` excludes
    #[arg(value_name = "PATTERN", required = true)]
    pub patterns: Vec<String>,
    /// Letters match in either case
    #[arg(short = 'i', long)]
    pub ignore_case: bool,
    /// Match relative to this directory
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct Search {
    /// The question, as a person asks it; `"a phrase"`, `-word`, `title:word` and `path:word` too
    #[arg(required_unless_present = "batch")]
    pub question: Option<String>,
    /// Only files below these directories
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Only files that match this glob; `!GLOB` excludes; repeat for more
    #[arg(short, long, value_name = "GLOB")]
    pub glob: Vec<String>,
    /// How many hits to print [default: 10; with --batch 100]
    #[arg(long, value_name = "NUM", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub limit: Option<u64>,
    /// Answer every question of a file with lines {"id": ..., "text": ...} and write a run file
    #[arg(long, value_name = "FILE", requires = "run", conflicts_with = "question")]
    pub batch: Option<PathBuf>,
    /// Where the run file goes: query-id, document, rank and score, tab-separated
    #[arg(long, value_name = "FILE", requires = "batch")]
    pub run: Option<PathBuf>,
    /// Rank the documents of a file with lines {"id": ..., "title": ..., "text": ...} instead of
    /// a bucket's
    #[arg(long, value_name = "FILE", requires = "batch")]
    pub corpus: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Doctor {}

#[derive(Debug, ClapArgs)]
pub(super) struct Tool {
    /// The tool's name; without one, the tools are listed with what they take
    pub name: Option<String>,
    /// Its arguments as a JSON object; `-` reads them from standard input
    #[arg(value_name = "JSON", default_value = "{}")]
    pub arguments: String,
    /// Print the text that a model reads instead of JSON
    #[arg(long)]
    pub text: bool,
    /// List the tools as JSON, as the Model Context Protocol does
    #[arg(long, conflicts_with = "name")]
    pub schemas: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Parses a command line; `Err` also for `--help` and `--version`.
pub(super) fn parse(
    words: impl IntoIterator<Item = OsString>,
) -> Result<(Common, Command), clap::Error> {
    let mut args = Args::try_parse_from(words)?;
    let after = match &mut args.command {
        Command::Ls(with) => std::mem::take(&mut with.common),
        Command::Tree(with) => std::mem::take(&mut with.common),
        Command::Stat(with) => std::mem::take(&mut with.common),
        Command::Cat(with) => std::mem::take(&mut with.common),
        Command::Read(with) => std::mem::take(&mut with.common),
        Command::Glob(with) => std::mem::take(&mut with.common),
        Command::Grep(with) => std::mem::take(&mut with.common),
        Command::Search(with) => std::mem::take(&mut with.common),
        Command::Index(index) => index.take_common(),
        Command::Doctor(with) => std::mem::take(&mut with.common),
        Command::Tool(with) => std::mem::take(&mut with.common),
        #[cfg(feature = "server")]
        Command::Mcp(with) => std::mem::take(&mut with.common),
        #[cfg(feature = "server")]
        Command::Serve(with) => std::mem::take(&mut with.common),
        #[cfg(feature = "server")]
        Command::Token(_) => Common::default(),
        Command::Completions(_) | Command::Man => Common::default(),
    };
    Ok((args.common.merge(after), args.command))
}
