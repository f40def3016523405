//! What one page of an answer goes on in, and what the next page will.
//!
//! Naming every listing that a page has used fails where it has used a thousand, and naming the
//! last few where the work runs ahead of the reader: those that the reader has passed are of no
//! use, and the others count from the one that it stopped in. [`Pinned`] holds the first few of
//! these, and whether there were more.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    Op, Vfs,
    pins::{Ended, Held, Pin},
};

/// Listings that a cursor names.
const NAMED: usize = 8;

/// Listings that a page remembers.
const USED: usize = 256;

/// The listings that a page goes on in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pinned {
    pub(crate) pins: Vec<Pin>,
    /// There were more.
    pub(crate) more: bool,
}

/// Of an operation that is a page of an answer.
#[derive(Debug, Default)]
pub(super) struct Paging {
    from: Pinned,
    /// The answer is about one directory, which was one when the first page was made.
    one_dir: bool,
    used: Mutex<Vec<Used>>,
}

#[derive(Clone, Debug)]
struct Used {
    pin: Pin,
    prefix: String,
    ended: Option<Ended>,
}

impl Op {
    /// The same operation as one page of an answer. `one_dir` says that the answer is about
    /// nothing but one directory.
    pub(crate) fn in_pages(mut self, from: Pinned, one_dir: bool) -> Self {
        self.pages = Some(Arc::new(Paging { from, one_dir, ..Paging::default() }));
        self
    }

    /// The same operation for what outlives its answer.
    #[cfg(feature = "index")]
    pub(super) fn unpaged(&self) -> Self {
        Self { pages: None, ..self.clone() }
    }

    pub(super) fn is_paged(&self) -> bool {
        self.pages.is_some()
    }

    pub(super) fn is_of_one_dir(&self) -> bool {
        self.pages.as_ref().is_some_and(|pages| pages.one_dir)
    }

    /// The listings that it goes on in.
    pub(super) fn pins(&self) -> &[Pin] {
        self.pages.as_ref().map_or(&[], |pages| &pages.from.pins)
    }

    /// It uses the listing of `prefix`, which has come to its end where that is known.
    pub(super) fn pins_to(&self, pin: Pin, prefix: &str, ended: Option<Ended>) {
        let Some(pages) = &self.pages else { return };
        let mut used = pages.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|known| !known.pin.is_like(&pin));
        used.push(Used { pin, prefix: prefix.to_owned(), ended });
        if used.len() > USED {
            // Work runs ahead of its reader by less.
            used.remove(0);
        }
    }

    fn used(&self) -> Vec<Used> {
        let used =
            |pages: &Arc<Paging>| pages.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.pages.as_ref().map(used).unwrap_or_default()
    }
}

impl Vfs {
    /// Whether `op`, which goes on at the canonical path `place`, had to list anew what pages before
    /// it have shown a part of.
    pub(crate) fn lost_its_place(&self, op: &Op, place: &str) -> bool {
        let Some(pages) = &op.pages else { return false };
        let place = self.place_of(place);
        let unseen = |used: &Used| {
            place.as_ref().is_some_and(|place| place.is_before(used.pin.mount, &used.prefix))
        };
        let is_new = |used: &Used| {
            let like = pages.from.pins.iter().find(|pin| pin.is_like(&used.pin));
            like.map_or(pages.from.more, |pin| *pin != used.pin)
        };
        op.used().iter().any(|used| !unseen(used) && is_new(used))
    }

    /// Keeps the listings that `op` answered from, for whoever goes on at the canonical path
    /// `place`.
    pub(crate) fn keep_pinned(&self, op: &Op, place: &str) -> Pinned {
        let place = self.place_of(place);
        let passed = |used: &Used| {
            place.as_ref().is_some_and(|place| place.is_past(used.pin.mount, &used.prefix))
        };
        let mut used = op.used();
        used.retain(|used| !passed(used));
        let more = used.len() > NAMED;
        used.truncate(NAMED);
        let pins = used.iter().map(|used| used.pin).collect();
        // The one to go on in last: it is then the last to be let go of.
        for Used { pin, ended, .. } in used.into_iter().rev() {
            if let Some(ended) = ended {
                self.pin(pin, Held::Ended(ended));
            }
        }
        Pinned { pins, more }
    }
}
