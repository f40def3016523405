//! Where to go on.
//!
//! An offset into results shifts when the bucket changes. A cursor names the last path that was
//! given out and how much of it, and the listings that it was found in: the next page goes on in
//! the same ones, or where they are not kept any more, says that it is from newer ones. It is
//! sealed: see [`Seal`].

use serde::Serialize;

use super::{Envelope, Reason, VirtualSandbox, seal::Seal};
use crate::{
    error::{Error, Kind, Result},
    vfs::{Budget, Op, Pin, Pinned},
};

/// The first byte of what a cursor of this kind holds.
const VERSION: u8 = 2;

/// The longest text that can be a cursor: the longest path twice over.
const LONGEST: usize = 16 << 10;

/// A place in the results of one query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The last path given out.
    pub(super) path: String,
    /// Results of that path given out already.
    pub(super) skip: u64,
    /// The listings that it was found in.
    pinned: Pinned,
}

/// A page of a query: where it begins, and what the cursor to the next is bound to.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Where an earlier page stopped.
    pub(super) from: Option<Cursor>,
    seal: Seal,
    query: [u8; 8],
}

impl Cursor {
    pub(super) fn at(path: impl Into<String>, skip: u64) -> Self {
        Self { path: path.into(), skip, pinned: Pinned::default() }
    }

    fn to_bytes(&self, query: [u8; 8]) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&query);
        push(&mut bytes, self.skip);
        push(&mut bytes, u64::from(self.pinned.more));
        push(&mut bytes, self.pinned.pins.len() as u64);
        for Pin { mount, listed_at, scope } in &self.pinned.pins {
            push(&mut bytes, *mount as u64);
            push(&mut bytes, listed_at.cast_unsigned());
            push(&mut bytes, u64::from(*scope));
        }
        bytes.extend_from_slice(self.path.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<([u8; 8], Self)> {
        let (&VERSION, bytes) = bytes.split_first()? else { return None };
        let (query, mut bytes) = bytes.split_first_chunk()?;
        let skip = pull(&mut bytes)?;
        let more = pull(&mut bytes)? != 0;
        let count = pull(&mut bytes)?;
        let mut pins = Vec::new();
        for _ in 0..count {
            let mount = usize::try_from(pull(&mut bytes)?).ok()?;
            let listed_at = pull(&mut bytes)?.cast_signed();
            pins.push(Pin { mount, listed_at, scope: u32::try_from(pull(&mut bytes)?).ok()? });
        }
        let path = std::str::from_utf8(bytes).ok()?.to_owned();
        Some((*query, Self { path, skip, pinned: Pinned { pins, more } }))
    }
}

impl VirtualSandbox {
    /// The page of a query that `cursor` begins, or the first. `arguments` leave out what may
    /// differ from page to page.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for a text that this sandbox gave to nobody, or for another query.
    pub(super) fn page(
        &self,
        tool: &str,
        arguments: &impl Serialize,
        cursor: Option<&str>,
    ) -> Result<Page> {
        let arguments = serde_json::to_string(arguments).map_err(|error| {
            Error::new(Kind::Io, "the arguments cannot be written as JSON").because(error)
        })?;
        let query = self.seal.query(tool, &arguments);
        let from = cursor.map(|text| open(&self.seal, text, query)).transpose()?;
        Ok(Page { from, seal: self.seal.clone(), query })
    }

    /// The operation of a page: it answers from the listings of the page before it. `one_dir` says
    /// that the query is about nothing but one directory.
    pub(super) fn op_of(&self, page: &Page, budget: Budget, one_dir: bool) -> Op {
        let from = page.from.as_ref().map(|from| from.pinned.clone()).unwrap_or_default();
        self.op(budget).in_pages(from, one_dir)
    }
}

fn open(seal: &Seal, text: &str, query: [u8; 8]) -> Result<Cursor> {
    let bytes = Some(text).filter(|text| text.len() <= LONGEST).and_then(|text| seal.open(text));
    let Some((own, cursor)) = bytes.and_then(|bytes| Cursor::from_bytes(&bytes)) else {
        return Err(Error::new(Kind::InvalidArgument, "the cursor is not one that was given out")
            .hint("leave it out to start again"));
    };
    if own != query {
        return Err(Error::new(Kind::InvalidArgument, "the cursor belongs to another query")
            .hint("repeat the arguments of the call that gave it, or leave it out"));
    }
    Ok(cursor)
}

impl Page {
    /// Tells in `envelope` where the answer goes on: at `place` where there is more, or where it
    /// was stopped before its end, if that is further on than where this page began. What `op`
    /// answered from is kept for the next page.
    pub(super) fn tell(
        self,
        sandbox: &VirtualSandbox,
        envelope: &mut Envelope,
        place: Option<Cursor>,
        op: &Op,
    ) {
        let lost = |from: &Cursor| sandbox.vfs.lost_its_place(op, &from.path);
        if self.from.as_ref().is_some_and(lost) {
            envelope.notes.push(
                "the bucket was listed again since the page before: what was added or removed \
                 meanwhile, in the part that pages before this one showed, is not seen"
                    .to_owned(),
            );
        }
        // The cursor of a page that got nowhere would be the one that it came from, for ever.
        let moved = |place: &Cursor| {
            let from = self.from.as_ref();
            from.is_none_or(|from| (&from.path, from.skip) != (&place.path, place.skip))
        };
        let place = place.filter(moved);
        if envelope.was_stopped() && place.is_none() {
            envelope.notes.push(
                "it was stopped before the first result of this page, and would be again: name a \
                 narrower path, or allow the call more"
                    .to_owned(),
            );
        }
        if op.order_broke() {
            // Keys that sort before the cursor but are listed after it were never given out.
            if self.from.is_some() {
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
            let pinned = sandbox.vfs.keep_pinned(op, &place.path);
            let cursor = Cursor { pinned, ..place };
            envelope.cursor = Some(self.seal.close(&cursor.to_bytes(self.query)));
        }
        envelope.settle();
    }
}

/// A number in groups of seven bits, the lowest first.
fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn pull(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_comes_back(
            path in ".{0,100}",
            skip in any::<u64>(),
            pins in proptest::collection::vec((any::<u32>(), any::<i64>(), any::<u32>()), 0..5),
            more in any::<bool>(),
        ) {
            let pin = |(mount, listed_at, scope): (u32, i64, u32)| {
                Pin { mount: mount as usize, listed_at, scope }
            };
            let pins = pins.into_iter().map(pin).collect();
            let cursor = Cursor { path, skip, pinned: Pinned { pins, more } };
            let bytes = cursor.to_bytes([7; 8]);
            prop_assert_eq!(Cursor::from_bytes(&bytes), Some(([7; 8], cursor)));
        }

        #[test]
        fn nothing_else_is_a_place_or_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Cursor::from_bytes(&bytes);
        }
    }
}
