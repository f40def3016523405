//! A live, read-only file tree over an S3-compatible bucket: list, read, glob and grep it
//! without a copy.
//!
//! A mount makes a bucket look like a disk and each stray `stat` a request; a copy is stale when
//! it is done. Here the tools themselves know the bucket: [`VirtualSandbox`] lists in pages, gets
//! what a question needs and no more, and says with every answer what it is worth.
//!
//! # The data's way
//!
//! Each folder uses only those before it; [`config::open`] alone picks the kind of bucket.
//!
//! | | |
//! |---|---|
//! | [`config`] | locations and settings; opens a bucket |
//! | [`bucket`] | lists and gets, and cannot write: S3, or a local directory |
//! | [`tree`] | keys become paths and directories; pure |
//! | [`cache`] | object bytes by key, ETag and block, in memory and on disk |
//! | [`vfs`] | joins the three: what a path means now, bytes, lines, walks |
//! | [`search`] | glob and grep over bytes handed in; ripgrep's own crates; pure |
//! | `r2vfs_index` | what narrows a grep and ranks articles; a crate of its own, knows no bucket |
//! | [`sandbox`] | one typed method a tool, one envelope around every answer |
#![cfg_attr(
    feature = "build",
    doc = "| [`indexer`] | makes an index of a bucket and publishes it |"
)]
#![cfg_attr(feature = "cli", doc = "| [`cli`] | the `r2vfs` program |")]
//!
//! [`platform`] is what they all stand on: clock, tasks and threads, handed in. [`error`] is the
//! one error.
//!
//! # Example
//!
//! ```
//! # #[cfg(not(feature = "local"))]
//! # fn main() {}
//! # #[cfg(feature = "local")]
//! # #[tokio::main]
//! # async fn main() -> r2vfs::Result<()> {
//! use r2vfs::{
//!     GrepArgs, Location, Mount, OneOrMany, Permits, Platform, SandboxOptions, Settings,
//!     config, get_virtual_sandbox,
//! };
//!
//! // A bucket would be r2://BUCKET/PREFIX, with Settings::from_env.
//! let location = Location::parse("fixtures/kb")?;
//! let platform = Platform::tokio();
//! let bucket = config::open(&location, &Settings::default(), &Permits::new(96), &platform)?;
//!
//! let mounts = vec![Mount { point: "/".to_owned(), bucket }];
//! let sandbox = get_virtual_sandbox(mounts, platform, SandboxOptions::default())?;
//!
//! let pattern = OneOrMany::One("SlowDown".to_owned());
//! let answer = sandbox.grep(GrepArgs { pattern, ..GrepArgs::default() }).await?;
//! assert!(answer.envelope.complete);
//! assert!(answer.result.files.iter().any(|file| file.path == "/troubleshooting/slow-down.md"));
//! # Ok(())
//! # }
//! ```
//!
//! # Words
//!
//! - **bucket**: a flat map from keys to objects, on a server or made of a directory
//! - **key**: an object's name in its bucket, any text of 1 to 1,024 bytes
//! - **path**: a key's one canonical spelling in the tree; a directory's ends in `/`
//! - **location**: where a bucket is and which prefix of it is the root (`r2://BUCKET/PREFIX`)
//! - **mount**: a bucket at a place in the tree
//! - **listing**, **snapshot**: the pages of a bucket's keys; what was listed, frozen, with its time
//! - **marker**: the object whose key ends in `/`; without content it only makes a directory exist
//! - **version**: an object's content as its ETag names it; every get is pinned to one
//! - **block**: 256 KiB of a version, the unit of caching
//! - **flight**: a get under way that several readers share
//! - **scope**: the keys below one prefix that a walk goes through
//! - **haystack**: the decoded bytes of one version, for a search
//! - **hit**: a matching line
//! - **tool**: an operation of the sandbox: list, stat, read, glob, grep
//! - **envelope**: what an answer says about itself: complete or not, skipped, cost, as of when
//! - **cursor**: where an answer that stopped goes on
//! - **budget**: what an operation may cost in time, requests and bytes
//! - **permit**: the right to have one request under way

// A module's header is its map, and what it points at is mostly private.
#![allow(rustdoc::private_intra_doc_links)]
// What an index has to say needs a place in answers where there is none, too.
#![cfg_attr(not(feature = "index"), allow(dead_code))]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests run where std does"))]

pub mod bucket;
pub mod cache;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod error;
#[cfg(feature = "build")]
pub mod indexer;
pub mod platform;
pub mod sandbox;
pub mod search;
pub mod tree;
pub mod vfs;

pub use bucket::{Bucket, Permits};
pub use cache::CacheOptions;
pub use config::{Location, Settings};
pub use error::{Error, Kind, Result};
pub use platform::Platform;
pub use sandbox::{
    Answer, Envelope, GlobArgs, GrepArgs, ListArgs, OneOrMany, ReadArgs, SandboxOptions, StatArgs,
    VirtualSandbox, get_virtual_sandbox,
};
pub use vfs::{Budget, Freshness, Mount};
