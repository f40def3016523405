//! The documents table: which keys at which versions a segment covers, and what is known of each.
//!
//! As structs with two strings each, a million documents take 200 MB before the first query. The
//! table stays in memory as it was encoded (`row`): rows in key order, each key without what it
//! shares with the one before, in groups of 16 that begin with a whole key. A document's
//! number is its rank.
//!
//! All rows are decoded once when the table is opened; what is handed out later was checked.

mod etag;
mod read;
mod row;
#[cfg(feature = "build")]
mod write;

#[cfg(test)]
#[cfg(feature = "build")]
mod tests;

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

pub use read::{Docs, DocsIter};
#[cfg(feature = "build")]
pub use write::DocsWriter;

/// Rows from one whole key to the next: a lookup decodes half of them, and a whole key for each 16
/// costs some 3 bytes a document.
const GROUP: usize = 16;

/// Bytes of a key. S3 has 1,024; a directory as a bucket can have paths of 4,096.
pub const MAX_KEY: usize = 4096;

/// Bytes of an ETag.
pub const MAX_ETAG: usize = 1024;

/// The name of the part.
pub const PART: &str = "docs";

/// One object at one version, as a segment knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doc {
    /// Its key in the bucket.
    pub key: String,
    /// Its ETag, without quotes; empty where it is gone.
    pub etag: String,
    /// Bytes stored under the key.
    pub size: u64,
    /// When it was last modified, in milliseconds since 1970.
    pub modified: Option<i64>,
    /// What the segment holds of it.
    pub state: State,
    /// Where its first NUL is, as a search tells it: not counting a UTF-8 byte order mark.
    pub nul: Option<u64>,
    /// Where its text is in the pack.
    pub place: Option<Place>,
    /// How many lines its text has.
    pub lines: Option<u64>,
}

impl Doc {
    /// Whether this is the version that a listing names. The time counts too, to the second, which
    /// is as fine as some servers tell it: an object that is given another Content-Encoding in
    /// place keeps its ETag and its size, and a search reads something else from then on.
    pub fn is_version(&self, etag: &str, size: u64, modified: Option<i64>) -> bool {
        let second = |time: Option<i64>| time.map(|ms| ms.div_euclid(1000));
        self.etag == etag && self.size == size && second(self.modified) == second(modified)
    }

    /// See [`oid`].
    pub fn oid(&self) -> u64 {
        oid(&self.key, &self.etag)
    }

    /// Stored bytes that its n-grams cover. What is stored encoded counts as it is stored.
    pub fn covered_bytes(&self) -> u64 {
        if self.state.has(State::GRAMS) { self.nul.unwrap_or(self.size).min(self.size) } else { 0 }
    }
}

/// Where a text is in the pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The block that it begins in.
    pub block: u32,
    /// Where in that block's text.
    pub offset: u32,
    /// Bytes of the text. Those that reach past the block are in the next ones.
    pub len: u32,
}

/// What a segment holds of a document: a set of flags.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct State(u16);

impl State {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// It was deleted: a tombstone that hides the key in older segments.
    pub const GONE: Self = Self(1);
    /// Its n-grams cover what a search with default options reads: all up to the first NUL.
    pub const GRAMS: Self = Self(1 << 1);
    /// A search under any options reads exactly the stored bytes: no NUL, no UTF-16 byte order
    /// mark, no Content-Encoding.
    pub const PLAIN: Self = Self(1 << 2);
    /// Its sections are in the full text.
    pub const TEXT: Self = Self(1 << 3);
    /// Its stored bytes are in the pack.
    pub const PACKED: Self = Self(1 << 4);
    /// It lies in an archive storage class and cannot be read.
    pub const ARCHIVED: Self = Self(1 << 5);
    /// Fetching it failed: not covered, to be tried again.
    pub const UNREADABLE: Self = Self(1 << 6);

    const ALL: u16 = (1 << 7) - 1;

    /// As it is stored.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// From [`State::bits`]; none for a flag that is not known.
    pub fn from_bits(bits: u16) -> Option<Self> {
        (bits & !Self::ALL == 0).then_some(Self(bits))
    }

    /// Whether all flags of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the flags of `other` too.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without the flags of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(State, &str); 7] = [
            (State::GONE, "GONE"),
            (State::GRAMS, "GRAMS"),
            (State::PLAIN, "PLAIN"),
            (State::TEXT, "TEXT"),
            (State::PACKED, "PACKED"),
            (State::ARCHIVED, "ARCHIVED"),
            (State::UNREADABLE, "UNREADABLE"),
        ];
        f.debug_set()
            .entries(NAMES.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, name)| name))
            .finish()
    }
}

/// The identity of a document across segments and merges: what the full text keeps of it.
pub fn oid(key: &str, etag: &str) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(key.as_bytes());
    hash.update(&[0]);
    hash.update(etag.as_bytes());
    hash.digest()
}
