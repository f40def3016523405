//! A text that is too long to be held.

use crate::{
    gram::{Extractor, Grams},
    pack::MAX_TEXT,
};

/// Takes a long text piece by piece: its n-grams are found while it is read, and only its first
/// [`MAX_TEXT`] bytes are kept for the full text.
#[derive(Debug)]
pub struct LongText {
    plain: bool,
    extractor: Extractor,
    head: Vec<u8>,
    len: u64,
    nul: Option<u64>,
    newlines: u64,
    last: Option<u8>,
}

/// What was found.
pub(super) struct Found {
    pub(super) plain: bool,
    pub(super) grams: Grams,
    /// The first bytes, no further than the first NUL.
    pub(super) head: Vec<u8>,
    pub(super) len: u64,
    pub(super) nul: Option<u64>,
    pub(super) lines: u64,
}

impl LongText {
    /// Of stored bytes without Content-Encoding and UTF-16 byte order mark: see
    /// [`NewContent::Plain`](super::NewContent::Plain).
    pub fn plain() -> Self {
        Self::new(true)
    }

    /// Of what a search decodes: see [`NewContent::Decoded`](super::NewContent::Decoded).
    pub fn decoded() -> Self {
        Self::new(false)
    }

    fn new(plain: bool) -> Self {
        Self {
            plain,
            extractor: Extractor::new(),
            head: Vec::new(),
            len: 0,
            nul: None,
            newlines: 0,
            last: None,
        }
    }

    /// Takes the next piece, cut anywhere.
    pub fn feed(&mut self, piece: &[u8]) {
        if self.nul.is_none() {
            let nul = memchr::memchr(0, piece);
            let covered = &piece[..nul.unwrap_or(piece.len())];
            self.nul = nul.map(|nul| self.len + nul as u64);
            self.extractor.feed(covered);
            let room = MAX_TEXT - self.head.len();
            self.head.extend_from_slice(&covered[..covered.len().min(room)]);
            self.newlines += memchr::memchr_iter(b'\n', covered).count() as u64;
        }
        self.len += piece.len() as u64;
        self.last = piece.last().copied().or(self.last);
    }

    /// Bytes that were fed.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none were.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn finish(mut self) -> Found {
        // The full text ends with a whole character, where there are characters.
        if self.len > self.head.len() as u64 && self.nul.is_none() {
            let cut = self.head.utf8_chunks().last().map_or(0, |last| last.invalid().len());
            self.head.truncate(self.head.len() - cut.min(3));
        }
        Found {
            plain: self.plain,
            grams: self.extractor.finish(),
            head: self.head,
            len: self.len,
            nul: self.nul,
            lines: self.newlines + u64::from(self.last.is_some_and(|last| last != b'\n')),
        }
    }
}
