//! What `search` takes and gives, in builds with an index and without.
//!
//! A tool that is missing from the table where no index can be read would give an agent another
//! set of tools on each platform; it is the same everywhere, and only its answer differs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OneOrMany;

/// Hits of an answer unless the caller asks for another number.
pub(super) const DEFAULT_LIMIT: u64 = 10;

/// The most hits one answer may hold.
pub(super) const MAX_LIMIT: u64 = 1000;

/// Arguments of `search`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SearchArgs {
    /// A question in plain words. `"a phrase"`, `-word`, `title:word` and `path:word` work too.
    pub query: String,
    /// Directory or file to search below, or several. Everything if left out.
    pub path: OneOrMany,
    /// Only files that match this glob, or these; `!GLOB` excludes.
    pub glob: OneOrMany,
    /// At most this many hits (default 10, at most 1000).
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u64>,
}

/// One section of an article.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchHit {
    /// Canonical file path.
    pub path: String,
    /// Of the article.
    pub title: String,
    /// The headings that the section stands under, outermost first.
    pub heading: Vec<String>,
    /// The first and last line of the section, 1-based: `read` takes them.
    pub lines: [u64; 2],
    /// Higher is better; comparable only within one answer.
    pub score: f32,
    /// The passage that answers best.
    pub snippet: String,
    /// Byte ranges of the snippet that hold words of the question.
    pub marks: Vec<[usize; 2]>,
    /// The version that was ranked.
    pub etag: String,
    /// Milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
}

/// Answer of `search`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchResult {
    /// Best first.
    pub hits: Vec<SearchHit>,
}
