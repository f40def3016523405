//! Which documents may match a regex, without their text.
//!
//! A regex cannot be looked up, but what every match of it must hold can: [`plan()`] takes it apart
//! into a [`Query`] over n-grams. An [`Extractor`] finds the grams of each document, a
//! [`GramWriter`] turns them round into posting lists, and a [`GramReader`] answers a query with
//! the documents that have what it asks for. They are candidates: whoever asked verifies them on
//! their bytes. What must never happen is that a document with a match is left out.
//!
//! Both sides see text the same way, and that is where exactness is decided:
//!
//! - Characters are [folded](mod@fold), so that a pattern that ignores case needs no other grams than
//!   one that does not.
//! - Bytes that are no UTF-8 are a border that no gram reaches over. Every complete sequence
//!   begins with a byte at which decoding starts afresh, so it decodes the same in a document as
//!   in a literal, whatever stands before it.
//! - What a gram is depends on three characters and nothing else ([`key`]).

mod ascii;
mod bits;
mod block;
mod choose;
mod directory;
mod extract;
mod fold;
mod key;
#[cfg(feature = "build")]
mod merge;
mod need;
mod plan;
mod postings;
mod query;
mod read;
mod tree;
mod walk;
#[cfg(feature = "build")]
mod write;

#[cfg(test)]
mod tests;

#[cfg(feature = "build")]
pub use merge::merge;
pub use read::{Candidates, GramReader};
#[cfg(feature = "build")]
pub use write::GramWriter;

pub use extract::{Distinct, Extractor, Grams, MAX_GRAMS as MAX_DOCUMENT};
pub use fold::fold;
pub use need::{Need, need};
pub use plan::{plan, plan_literal};
pub use query::{MAX_GRAMS as MAX_QUERY, Query};
