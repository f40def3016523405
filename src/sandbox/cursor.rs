//! Where to go on.
//!
//! An offset into results shifts when the bucket changes. A [`Cursor`] names the last path that
//! was given out and how much of it, and the time of the listing, so that whoever goes on in a
//! newer listing is told.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// A place in the results of one query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Binds it to one query: a digest of the tool and its arguments.
    pub(super) query: u64,
    /// The last path given out.
    pub(super) path: String,
    /// Results of that path given out already.
    pub(super) skip: u64,
    /// The listing that the results came from, milliseconds since the Unix epoch.
    pub(super) as_of: Option<i64>,
}

impl Cursor {
    /// Digest of a query; the cursor itself must not be part of it.
    pub(super) fn digest(tool: &str, arguments: &impl Serialize) -> u64 {
        let arguments = serde_json::to_string(arguments).unwrap_or_default();
        xxhash_rust::xxh3::xxh3_64(format!("{tool}\0{arguments}").as_bytes())
    }

    /// Opaque text: hexadecimal, so that it survives every shell and URL.
    pub(super) fn encode(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        json.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// # Errors
    /// [`Kind::InvalidArgument`] for text that is no cursor, or one of another query.
    pub(super) fn decode(text: &str, query: u64) -> Result<Self> {
        let wrong = || {
            Error::new(Kind::InvalidArgument, "the cursor is not one that was given out")
                .hint("leave it out to start again")
        };
        let bytes: Option<Vec<u8>> =
            (text.len().is_multiple_of(2) && text.is_ascii() && text.len() < 16 << 10)
                .then(|| (0..text.len()).step_by(2))
                .and_then(|at| at.map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect());
        let cursor: Self =
            bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(wrong)?;
        if cursor.query != query {
            return Err(Error::new(Kind::InvalidArgument, "the cursor belongs to another query")
                .hint("repeat the arguments of the call that gave it, or leave it out"));
        }
        Ok(cursor)
    }

    /// What to tell when the results go on from another listing than they began with.
    pub(super) fn note_if_newer(&self, as_of: Option<i64>) -> Option<String> {
        (as_of != self.as_of).then(|| {
            "the bucket was listed again since the first page: what was added or removed before \
             this page is not in it"
                .to_owned()
        })
    }
}
