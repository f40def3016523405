//! Glob and grep over bytes handed in: pure, synchronous, and never the caller of a bucket.
//!
//! Writing a second grep that is "nearly ripgrep" is easy and useless: what differs is found by
//! the user. So matching is done by ripgrep's own crates, and this folder decides only what they
//! leave to the program around them: which objects are asked ([`Selection`], [`Globs`]), what the
//! patterns become ([`PatternOptions`] → [`Pattern`]), how bytes reach the searcher ([`Fill`]),
//! and what a search hands on ([`Report`], of which [`Hits`] is the typed one).

mod fault;
pub mod fill;
pub mod glob;
mod heads;
pub mod hits;
pub mod literal;
#[cfg(feature = "index")]
pub(crate) mod narrow;
pub mod options;
pub mod pattern;
pub mod report;
pub mod selection;

pub use fill::Fill;
pub use glob::{GlobOptions, Globs};
pub use hits::{Hit, HitKind, HitMode, Hits};
pub use literal::LiteralMatcher;
pub use options::{Binary, Encoding, SearchOptions};
pub use pattern::{Case, Pattern, PatternOptions};
pub use report::{Found, Output, Report};
pub use selection::{Selection, SelectionOptions, type_list};
