//! What a segment says of a document, decided from its bytes.
//!
//! An index may claim to cover a document only if its n-grams hold all that a search would read,
//! and what a search reads depends on the bytes: it stops at the first NUL, decodes what begins
//! with a UTF-16 byte order mark, and skips a UTF-8 one. These rules stand here and nowhere else.
//! A [`Preparer`] applies them, on any thread: it does all the work that one document needs.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{
    docs::{Doc, State},
    fault::{Fault, FaultKind, Result},
    gram::{Extractor, Grams},
    manifest::Settings,
    pack::MAX_TEXT,
    segment::{long::LongText, told_nul},
    text::{Section, sections},
};

/// A NUL this near to the start makes an object a binary one, which has no full text and is not
/// packed. Git looks at as much.
pub(super) const BINARY_HEAD: u64 = 8 << 10;

/// A text with more bytes than this in a hundred that are no UTF-8 has no full text. Measured:
/// articles in Spanish, French and Portuguese have at most 4.1 in Latin-1; compressed files and
/// pictures have 19 to 45, and Japanese and Chinese in their older encodings 22 to 55.
const MOST_INVALID: u64 = 10;

/// An object to be indexed.
#[derive(Debug)]
pub struct NewDoc {
    /// Its key.
    pub key: String,
    /// Its ETag, without quotes.
    pub etag: String,
    /// Bytes stored under the key.
    pub size: u64,
    /// When it was last modified, in milliseconds since 1970.
    pub modified: Option<i64>,
    /// What was found under the key.
    pub content: NewContent,
}

/// What was found under a key.
#[derive(Debug)]
pub enum NewContent {
    /// Nothing any more.
    Gone,
    /// Fetching it failed.
    Unreadable,
    /// It lies in an archive storage class.
    Archived,
    /// The stored bytes, all of them, without a Content-Encoding and without a UTF-16 byte order
    /// mark.
    Plain(Bytes),
    /// What a search with default options reads of an object with a Content-Encoding or in UTF-16,
    /// all of it.
    Decoded(Bytes),
    /// Either of the two when it is longer than [`MAX_TEXT`].
    Long(Box<LongText>),
}

/// A document that is ready to be written.
#[derive(Debug)]
pub struct Prepared {
    pub(super) doc: Doc,
    pub(super) grams: Option<Grams>,
    pub(super) sections: Vec<Section>,
    /// What the pack shall hold.
    pub(super) packed: Option<Bytes>,
    /// Bytes that were read.
    pub(super) raw: u64,
}

impl Prepared {
    /// What the segment will say of the document; its place in the pack is not known yet.
    pub fn doc(&self) -> &Doc {
        &self.doc
    }

    /// Bytes that were read of it.
    pub fn raw_bytes(&self) -> u64 {
        self.raw
    }
}

/// Prepares one document after the other. Each thread has its own.
#[derive(Debug)]
pub struct Preparer {
    settings: Settings,
    extractor: Extractor,
}

impl Preparer {
    /// For segments with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, extractor: Extractor::new() }
    }

    /// Finds n-grams and sections of a document.
    ///
    /// # Errors
    /// [`FaultKind::Invalid`] when what was read is not as long as the object.
    pub fn prepare(&mut self, new: NewDoc) -> Result<Prepared> {
        let NewDoc { key, etag, size, modified, content } = new;
        let doc = Doc {
            key,
            etag,
            size,
            modified,
            state: State::NONE,
            nul: None,
            place: None,
            lines: None,
        };
        match content {
            NewContent::Gone => Ok(nothing(Doc {
                etag: String::new(),
                size: 0,
                modified: None,
                state: State::GONE,
                ..doc
            })),
            NewContent::Unreadable => Ok(nothing(Doc { state: State::UNREADABLE, ..doc })),
            NewContent::Archived => Ok(nothing(Doc { state: State::ARCHIVED, ..doc })),
            NewContent::Plain(stored) => self.plain(doc, stored),
            NewContent::Decoded(text) => Ok(self.read(doc, &text, None)),
            NewContent::Long(long) => self.long(doc, *long),
        }
    }

    fn plain(&mut self, doc: Doc, stored: Bytes) -> Result<Prepared> {
        check_len(&doc, stored.len() as u64)?;
        if is_utf16(&stored) {
            // A search decodes it, so grams of these bytes would leave matches out. Its caller was
            // to hand it in decoded; not covered, it is searched directly.
            return Ok(nothing(doc));
        }
        Ok(self.read(doc, &stored, Some(&stored)))
    }

    /// `text` is what a default search reads, up to its first NUL; `stored` are the same bytes
    /// where they are what is stored.
    fn read(&mut self, mut doc: Doc, text: &[u8], stored: Option<&Bytes>) -> Prepared {
        let nul = memchr::memchr(0, text);
        let covered = &text[..nul.unwrap_or(text.len())];
        self.extractor.feed(covered);
        let grams = self.extractor.finish();
        doc.nul = told_nul(text, nul.map(|nul| nul as u64));
        doc.state = State::GRAMS;
        if let (Some(stored), None) = (stored, nul) {
            doc.state = doc.state.with(State::PLAIN);
            doc.lines = Some(lines(stored));
        }
        let sections = self.sections(&mut doc, covered);
        let binary = doc.nul.is_some_and(|nul| nul < BINARY_HEAD);
        let packed = stored
            .filter(|stored| self.settings.pack && !binary && stored.len() <= MAX_TEXT)
            .cloned();
        Prepared { doc, grams: Some(grams), sections, packed, raw: text.len() as u64 }
    }

    fn long(&mut self, mut doc: Doc, long: LongText) -> Result<Prepared> {
        let long = long.finish();
        if long.plain {
            check_len(&doc, long.len)?;
            if is_utf16(&long.head) {
                return Ok(nothing(doc));
            }
        }
        doc.nul = told_nul(&long.head, long.nul);
        doc.state = State::GRAMS;
        if long.plain && long.nul.is_none() {
            doc.state = doc.state.with(State::PLAIN);
            doc.lines = Some(long.lines);
        }
        let sections = self.sections(&mut doc, &long.head);
        let grams = Some(long.grams);
        Ok(Prepared { doc, grams, sections, packed: None, raw: long.len })
    }

    /// The sections of a text, unless there shall be none or it is a binary one.
    fn sections(&self, doc: &mut Doc, covered: &[u8]) -> Vec<Section> {
        let binary = doc.nul.is_some_and(|nul| nul < BINARY_HEAD);
        if !self.settings.text || binary {
            return Vec::new();
        }
        let mut end = covered.len().min(MAX_TEXT);
        // Not in the midst of a character.
        while end < covered.len() && end > 0 && covered[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        let Some(text) = readable(&covered[..end]) else { return Vec::new() };
        doc.state = doc.state.with(State::TEXT);
        sections(&doc.key, &text)
    }
}

/// What begins so is decoded by a search.
fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])
}

fn nothing(doc: Doc) -> Prepared {
    Prepared { doc, grams: None, sections: Vec::new(), packed: None, raw: 0 }
}

fn check_len(doc: &Doc, len: u64) -> Result<()> {
    if doc.size == len {
        return Ok(());
    }
    let detail = format!("{:?} has {} bytes and {len} were read: list it anew", doc.key, doc.size);
    Err(Fault::new(FaultKind::Invalid, detail))
}

/// How many lines a text has; the last need not end.
fn lines(text: &[u8]) -> u64 {
    let ends = memchr::memchr_iter(b'\n', text).count() as u64;
    ends + u64::from(text.last().is_some_and(|last| *last != b'\n'))
}

/// A text in which each byte that is no UTF-8 is a question mark, so that offsets stay what they
/// are; none where those are too many.
fn readable(text: &[u8]) -> Option<Cow<'_, str>> {
    if let Ok(text) = std::str::from_utf8(text) {
        return Some(Cow::Borrowed(text));
    }
    let mut readable = String::with_capacity(text.len());
    let mut invalid = 0;
    for chunk in text.utf8_chunks() {
        readable.push_str(chunk.valid());
        readable.extend(chunk.invalid().iter().map(|_| '?'));
        invalid += chunk.invalid().len() as u64;
    }
    (invalid * 100 <= MOST_INVALID * text.len() as u64).then_some(Cow::Owned(readable))
}
