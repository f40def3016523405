//! The index of r2vfs: what narrows a regex, ranks articles, and holds their text in blocks.
//!
//! An index that answers by itself is wrong as soon as the bucket moves on. This one only narrows:
//! it covers a known set of (key, ETag), says for each object whether a pattern may match in it,
//! and leaves every other object to be searched. It knows keys, versions and text; where its files
//! lie is the business of a [`Source`].

// A reader uses less of what reading and writing share.
#![cfg_attr(not(feature = "build"), allow(dead_code, unused_imports))]

mod ask;
pub mod block;
pub mod bundle;
pub mod coding;
#[cfg(feature = "build")]
pub mod compact;
pub mod docs;
pub mod fault;
pub mod gram;
pub mod index;
pub mod manifest;
pub mod pack;
pub mod rank;
pub mod segment;
pub mod source;
#[cfg(feature = "build")]
pub mod store;
pub mod text;
pub mod verify;

pub use bundle::{Bundle, Heat, Part};
pub use docs::{Doc, Docs, Place, State, oid};
pub use fault::{Fault, FaultKind, Result};
pub use index::{DocRef, Index};
pub use manifest::{Manifest, SegmentRef, Settings};
pub use pack::PackReader;
pub use segment::Segment;
#[cfg(feature = "build")]
pub use segment::{LongText, NewContent, NewDoc, SegmentWriter};
pub use source::{BoxFuture, FileRef, Source};
#[cfg(feature = "build")]
pub use store::Store;
