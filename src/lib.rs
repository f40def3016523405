//! A live, read-only file tree over an S3-compatible bucket.

pub mod bucket;
pub mod cache;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod error;
pub mod platform;
pub mod sandbox;
pub mod search;
pub mod tree;
pub mod vfs;

pub use error::{Error, Kind, Result};
