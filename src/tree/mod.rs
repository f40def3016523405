//! Keys made into directories. Pure and synchronous: no bucket, no clock, no lock.
//!
//! A bucket has no directories, only keys in byte order; a tree of nodes costs some hundred bytes
//! a key and must still answer in that order. Here the sorted keys are the tree: a directory is
//! a range of them, found by binary search.
//!
//! - [`path`]: one spelling of a path for each key, and back.
//! - [`snapshot`]: an immutable listing: get, scan, children, what was odd about it.
//! - [`mounts`]: several snapshots under one root.

pub mod mounts;
pub mod path;
pub mod snapshot;

pub use mounts::{MountTable, Place};
pub use path::{Decoded, decode, encode, encode_dir, visible};
pub use snapshot::{Child, Report, Snapshot, SnapshotBuilder};
