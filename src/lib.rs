//! A live, read-only file tree over an S3-compatible bucket.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests run where std does"))]

pub mod bucket;
pub mod cache;
#[cfg(feature = "cli")]
#[allow(clippy::disallowed_methods, reason = "a front end reads the environment")]
pub mod cli;
pub mod config;
pub mod error;
pub mod platform;
pub mod sandbox;
pub mod search;
pub mod tree;
pub mod vfs;

pub use error::{Error, Kind, Result};
