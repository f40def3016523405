//! Ranked search over sections.
//!
//! BM25 over whole articles finds the right subject and, in a long article, the wrong place; over
//! sections it finds the place and misses what only the title says. So both are computed from one
//! index of sections: articles are ranked by what all their sections, their title and their path
//! hold together, and answered with the section that holds most.
//!
//! Postings, positions, the dictionary and the stored places are tantivy's. Its scorers are not
//! used: they rate a document by itself, and here a document is only a part of one. What they skip
//! is read here, which is what the shares of an article need: all postings of a question's words.
//!
//! tantivy reads synchronously, a bucket does not. A [`Searcher`] runs each step of a query over
//! the bytes in memory, notes what was not there, fetches that in one round for all segments, and
//! runs the step again: the dictionary, the postings, the places of the hits. Three rounds.

mod articles;
mod collapse;
mod proximity;
mod question;
mod reader;
mod rounds;
mod schema;
mod score;
mod search;
mod select;
mod shelf;
mod snippet;
mod terms;
mod typo;
mod weights;

#[cfg(feature = "build")]
mod merge;
#[cfg(feature = "build")]
mod writer;

#[cfg(test)]
mod tests;

#[cfg(feature = "build")]
pub use merge::merge;
pub use question::Question;
pub use reader::TextReader;
pub use search::{Found, Hit, SearchOptions, Searcher};
pub use snippet::{Snippet, snippet};
pub use weights::Weights;
#[cfg(feature = "build")]
pub use writer::TextWriter;
