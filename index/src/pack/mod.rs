//! The text of documents, so that candidates and snippets need not be fetched object by object.
//!
//! One compressed stream would have to be read from its start, and one stream per document makes
//! small articles shrink half as much. Texts lie one behind the other in blocks of
//! [`block::MAX`](crate::block::MAX) bytes that are compressed by themselves; in key order, so that
//! a directory's articles are neighbours. A text that fits a block is never cut in two; a longer
//! one has blocks of its own.

mod read;
#[cfg(feature = "build")]
mod write;

#[cfg(test)]
#[cfg(feature = "build")]
mod tests;

pub use read::PackReader;
#[cfg(feature = "build")]
pub(crate) use write::PackWriter;

/// The part with the blocks.
pub const PART: &str = "pack";

/// The part that tells where each block is.
pub const DIRECTORY: &str = "pack.dir";

/// The longest text that is packed: what is longer is read from the bucket in windows, and a
/// decoded text is one piece of memory.
pub const MAX_TEXT: usize = 8 << 20;
