//! How sections lie in tantivy.
//!
//! A field per zone (title, path, body) would cost a dictionary per zone, and a remote
//! query reads blocks of each. Here all terms are in one field, and a zone is one byte behind the
//! term: a word's three terms are neighbours in one block of one dictionary, and their postings
//! neighbours in one file.

use tantivy::{
    IndexSettings,
    schema::{BytesOptions, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
};

use crate::{
    coding::{Decoder, put_bytes, put_varint},
    fault::Result,
};

/// Where in a section a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Zone {
    /// With the heading above it.
    Body,
    /// Only the first section of an article has these.
    Title,
    /// Only the first section of an article has these.
    Path,
}

/// Below every byte of a term, so that `term + zone` follows `term` before any longer term.
const LAST_ZONE: u8 = 2;

impl Zone {
    /// The byte behind a term of this zone.
    pub(crate) fn suffix(self) -> Option<char> {
        match self {
            Self::Body => None,
            Self::Title => Some('\u{1}'),
            Self::Path => Some('\u{2}'),
        }
    }

    /// The zone of a key of the dictionary that begins with a term; none when it is another term.
    pub(crate) fn of_key(key: &[u8], term: &[u8]) -> Option<Self> {
        match key.strip_prefix(term)? {
            [] => Some(Self::Body),
            [1] => Some(Self::Title),
            [2] => Some(Self::Path),
            _ => None,
        }
    }
}

/// The first key of the dictionary behind all zones of a term.
pub(crate) fn behind(term: &str) -> Vec<u8> {
    let mut key = term.as_bytes().to_vec();
    key.push(LAST_ZONE + 1);
    key
}

/// The one field of terms, the first of the schema.
pub(crate) fn terms_field() -> Field {
    Field::from_field_id(0)
}

/// The one stored field: an encoded [`Stored`].
pub(crate) fn stored_field() -> Field {
    Field::from_field_id(1)
}

pub(crate) fn schema() -> Schema {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_fieldnorms(true)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    schema.add_text_field("t", TextOptions::default().set_indexing_options(indexing));
    schema.add_bytes_field("s", BytesOptions::default().set_stored());
    schema.build()
}

pub(crate) fn settings() -> IndexSettings {
    IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() }
}

/// What a hit tells of its section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) title: String,
    pub(crate) trail: Vec<String>,
    pub(crate) lines: std::ops::Range<u64>,
    pub(crate) bytes: std::ops::Range<u64>,
}

impl Stored {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, self.key.as_bytes());
        put_bytes(&mut out, self.title.as_bytes());
        put_varint(&mut out, self.trail.len() as u64);
        for heading in &self.trail {
            put_bytes(&mut out, heading.as_bytes());
        }
        for range in [&self.lines, &self.bytes] {
            put_varint(&mut out, range.start);
            put_varint(&mut out, range.end.saturating_sub(range.start));
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut decoder = Decoder::new(bytes, "a place in the full text");
        let key = decoder.str()?.to_owned();
        let title = decoder.str()?.to_owned();
        let count = decoder.count(1)?;
        let trail = (0..count).map(|_| Ok(decoder.str()?.to_owned())).collect::<Result<_>>()?;
        let mut range = || -> Result<std::ops::Range<u64>> {
            let start = decoder.varint()?;
            let len = decoder.varint()?;
            Ok(start..start.saturating_add(len))
        };
        Ok(Self { key, title, trail, lines: range()?, bytes: range()? })
    }
}
