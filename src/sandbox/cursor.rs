//! Where to go on.
//!
//! An offset into results shifts when the bucket changes. A [`Cursor`] names the last path that
//! was given out and how much of it, and the time of the listing, so that whoever goes on in a
//! newer listing is told.

use serde::{Deserialize, Serialize};

use super::{Envelope, Reason};
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
    ///
    /// # Errors
    /// [`Kind::Io`] for arguments that JSON cannot hold.
    pub(super) fn digest(tool: &str, arguments: &impl Serialize) -> Result<u64> {
        let arguments = serde_json::to_string(arguments).map_err(unwritable)?;
        Ok(xxhash_rust::xxh3::xxh3_64(format!("{tool}\0{arguments}").as_bytes()))
    }

    /// Opaque text: hexadecimal, so that it survives every shell and URL.
    fn encode(&self) -> Result<String> {
        let json = serde_json::to_vec(self).map_err(unwritable)?;
        Ok(json.iter().map(|byte| format!("{byte:02x}")).collect())
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

    /// Tells in `envelope` where an answer that began at `earlier` goes on: at `place` where there
    /// is more, or where it was stopped before its end.
    pub(super) fn tell(
        envelope: &mut Envelope,
        (earlier, place): (Option<Self>, Option<Self>),
        order_broke: bool,
    ) -> Result<()> {
        if let Some(earlier) = &earlier
            && earlier.as_of != envelope.as_of
        {
            envelope.notes.push(
                "the bucket was listed again since the first page: what was added or removed \
                 before this page is not in it"
                    .to_owned(),
            );
        }
        if order_broke {
            // Keys that sort before the cursor but are listed after it were never given out.
            if earlier.is_some() {
                envelope.lacks(
                    Reason::Error,
                    "the server lists keys out of byte order: keys before the cursor may have \
                     been left out; start again without the cursor",
                );
            } else if place.is_some() {
                envelope.notes.push(
                    "the server lists keys out of byte order, which was seen too late for a \
                     cursor: ask again, or with a higher limit"
                        .to_owned(),
                );
            }
        } else if let Some(place) = place {
            let as_of = envelope.as_of;
            envelope.cursor = Some(Self { as_of, ..place }.encode()?);
        }
        envelope.settle();
        Ok(())
    }
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(Kind::Io, "the arguments cannot be written as JSON").because(error)
}
