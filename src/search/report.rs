//! What a search hands on.
//!
//! A printer that returned its text only at the end would hold a whole answer in memory and could
//! not be stopped. A [`Report`] pushes chunks into an [`Output`], which may block until there is
//! room and may say stop, so that a limit saves work.

use std::io::{self, Read};

use grep_searcher::Searcher;
use serde::Serialize;

use super::Pattern;
use crate::{
    error::{Error, Kind},
    platform::MaybeSend,
};

/// What one search found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Whether the object counts as matching.
    pub matched: bool,
    /// Matching lines; in the two counting modes what `rg -c` prints (which is matches, not
    /// lines, where a pattern may span lines).
    pub lines: u64,
    /// Single matches; 0 in modes that have no need to find each one.
    pub matches: u64,
    /// Bytes the searcher consumed, after decoding.
    pub searched_bytes: u64,
    /// Where the first NUL was seen, when the search looked for one.
    pub binary_offset: Option<u64>,
    /// The object holds at least as many matches as `-m` allows: nothing after was searched.
    pub limit_reached: bool,
}

/// Where a search puts its chunks.
pub trait Output<C> {
    /// Takes a chunk of about `bytes` bytes. May block until there is room; an error stops the
    /// search.
    fn give(&mut self, chunk: C, bytes: usize) -> io::Result<()>;
}

impl<C> Output<C> for Vec<C> {
    fn give(&mut self, chunk: C, _: usize) -> io::Result<()> {
        self.push(chunk);
        Ok(())
    }
}

/// How results are made: typed ([`super::Hits`]) or printed as ripgrep prints.
pub trait Report: Clone + MaybeSend + 'static {
    /// What is given to the output.
    type Chunk: MaybeSend + 'static;

    /// Searches one object. `path` is its canonical path; `searcher` has its binary detection
    /// already set for this object ([`super::SearchOptions::binary_detection`]). The haystack is
    /// wrapped in [`super::Fill`] here.
    ///
    /// # Errors
    /// Those of the reader and of `out`, and a line or object beyond the heap limit; see
    /// [`error_of`].
    fn search<R: Read>(
        &mut self,
        pattern: &Pattern,
        searcher: &mut Searcher,
        path: &str,
        haystack: R,
        out: &mut dyn Output<Self::Chunk>,
    ) -> io::Result<Found>;
}

/// The crate's error in an error of a search: the one that a reader put in, or
/// [`Kind::TooLarge`] where the searcher's heap limit was reached, or [`Kind::Io`].
pub fn error_of(error: io::Error) -> Error {
    if let Some(inner) = error.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
        return inner.clone();
    }
    // grep-searcher has no type for this error, only this text; a test notices when it changes.
    if error.kind() == io::ErrorKind::Other
        && error.to_string().starts_with("configured allocation limit")
    {
        return Error::new(
            Kind::TooLarge,
            "a line, or the whole object in a multi-line search, is larger than the heap limit",
        )
        .hint("search without --multiline, or read the object by ranges")
        .because(error);
    }
    Error::new(Kind::Io, "the search could not go on").because(error)
}
