//! The full text of one segment, open.

use std::{collections::HashMap, fmt, io, ops::Range, sync::Arc};

use bytes::Bytes;
use tantivy::{
    Index, TantivyDocument, fieldnorm::FieldNormReader, index::InvertedIndexReader, schema::Value,
    store::StoreReader,
};

use super::{
    articles::Articles,
    rounds::guarded,
    schema::{Stored, stored_field, terms_field},
    shelf::{FILES, Shelf, Wanted, meta},
};
use crate::{
    bundle::{Bundle, Part},
    coding::{Decoder, put_bytes, put_varint},
    fault::{Fault, FaultKind, Result},
};

/// The hot part with the table of articles.
pub(crate) const ARTICLES: &str = "text/articles";
/// The hot part with what opening reads of tantivy's files.
pub(crate) const OPENING: &str = "text/opening";

/// The part of a file of tantivy.
pub(crate) fn part_name(file: &str) -> String {
    format!("text/{file}")
}

/// The full text of one segment. Cheap to clone.
#[derive(Clone)]
pub struct TextReader {
    shared: Arc<Shared>,
}

struct Shared {
    parts: HashMap<&'static str, Part>,
    shelf: Shelf,
    articles: Articles,
    open: Open,
}

/// What tantivy keeps open of a segment.
pub(crate) struct Open {
    pub(crate) terms: Arc<InvertedIndexReader>,
    pub(crate) norms: FieldNormReader,
    pub(crate) store: StoreReader,
}

impl Open {
    /// Opens the segment that lies on a shelf.
    pub(crate) fn of(shelf: &Shelf) -> tantivy::Result<Self> {
        let index = Index::open(shelf.clone())?;
        let segments = index.searchable_segments()?;
        let [segment] = &segments[..] else {
            return Err(tantivy::TantivyError::SystemError("not one segment".to_owned()));
        };
        let reader = tantivy::SegmentReader::open(segment)?;
        Ok(Self {
            terms: reader.inverted_index(terms_field())?,
            norms: reader.get_fieldnorms_reader(terms_field())?,
            store: reader.get_store_reader(STORE_BLOCKS)?,
        })
    }
}

/// Decompressed blocks of places kept per segment: 16 KiB each.
const STORE_BLOCKS: usize = 16;

impl TextReader {
    /// Opens the full text of a segment; none where it has none. Reads nothing: all that opening
    /// needs is hot.
    ///
    /// # Errors
    /// [`FaultKind::Damaged`] when a part is missing or is not what it should be.
    pub fn open(bundle: &Bundle) -> Result<Option<Self>> {
        let Some(table) = bundle.part(ARTICLES) else { return Ok(None) };
        let articles = Articles::decode(&table.hot()?)?;
        let mut parts = HashMap::new();
        let mut lengths = HashMap::new();
        for file in FILES {
            let part = bundle.need(&part_name(file))?;
            let len = usize::try_from(part.len()).map_err(|_| part.damaged("it is too long"))?;
            lengths.insert(file, len);
            parts.insert(file, part);
        }
        let shelf = Shelf::new(meta(articles.sections())?, lengths);
        let opening = bundle.need(OPENING)?;
        for (file, start, bytes) in decode_opening(&opening.hot()?)? {
            shelf.keep(file, start, bytes);
        }
        let open = guarded(|| {
            Open::of(&shelf).map_err(|error| {
                opening.damaged("the full text cannot be opened with it").because(error)
            })
        })?;
        if open.norms.num_docs() != articles.sections() {
            return Err(table.damaged("it counts other sections than the full text"));
        }
        Ok(Some(Self { shared: Arc::new(Shared { parts, shelf, articles, open }) }))
    }

    pub(crate) fn articles(&self) -> &Articles {
        &self.shared.articles
    }

    pub(crate) fn tantivy(&self) -> &Open {
        &self.shared.open
    }

    pub(crate) fn shelf(&self) -> &Shelf {
        &self.shared.shelf
    }

    /// The parts of tantivy's files.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.shared.parts.values()
    }

    #[cfg(feature = "build")]
    pub(crate) fn part(&self, file: &'static str) -> Option<&Part> {
        self.shared.parts.get(file)
    }

    /// What was not in memory since the last call, as ranges of parts.
    pub(crate) fn missing(&self) -> Vec<(Wanted, Part)> {
        let missing = self.shared.shelf.missing();
        let part =
            |wanted: Wanted| Some((wanted.clone(), self.shared.parts.get(wanted.0)?.clone()));
        missing.into_iter().filter_map(part).collect()
    }

    /// Lays fetched bytes where tantivy finds them.
    pub(crate) fn lay(&self, wanted: &Wanted, bytes: &Bytes) {
        self.shared.shelf.lay(wanted.0, wanted.1.start, bytes);
    }

    /// The place of a section; none when it is not in memory.
    pub(crate) fn stored(&self, section: u32) -> Result<Option<Stored>> {
        let document: TantivyDocument = match self.shared.open.store.get(section) {
            Ok(document) => document,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(damaged(error)),
        };
        let bytes = document.get_first(stored_field()).and_then(|value| value.as_bytes());
        let bytes = bytes.ok_or_else(|| {
            Fault::new(FaultKind::Damaged, "the full text of the index lacks a section's place")
        })?;
        Stored::decode(bytes).map(Some)
    }
}

impl fmt::Debug for TextReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let articles = self.shared.articles.rows().len();
        f.debug_struct("TextReader").field("articles", &articles).finish_non_exhaustive()
    }
}

/// What was read, or none where it was not in memory.
pub(crate) fn in_memory<T>(read: io::Result<T>) -> Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(damaged(error)),
    }
}

pub(crate) fn is_missing(error: &tantivy::TantivyError) -> bool {
    let would_block = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
    match error {
        tantivy::TantivyError::IoError(error) => would_block(error),
        tantivy::TantivyError::OpenReadError(
            tantivy::directory::error::OpenReadError::IoError { io_error, .. },
        ) => would_block(io_error),
        _ => false,
    }
}

pub(crate) fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::new(FaultKind::Damaged, "the full text of the index cannot be read").because(error)
}

/// Encodes ranges of tantivy's files.
#[cfg_attr(not(feature = "build"), expect(dead_code, reason = "only a writer has files"))]
pub(crate) fn encode_opening(ranges: &[(&'static str, Range<usize>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, ranges.len() as u64);
    for (file, range, bytes) in ranges {
        let at = FILES.iter().position(|name| name == file).unwrap_or_default();
        out.push(at as u8);
        put_varint(&mut out, range.start as u64);
        put_bytes(&mut out, bytes);
    }
    out
}

fn decode_opening(bytes: &[u8]) -> Result<Vec<(&'static str, usize, Vec<u8>)>> {
    let mut decoder = Decoder::new(bytes, "what opens the full text");
    let count = decoder.count(3)?;
    let mut ranges = Vec::with_capacity(count);
    for _ in 0..count {
        let at = decoder.byte()? as usize;
        let file = FILES.get(at).copied().ok_or_else(|| decoder.damaged("it names no file"))?;
        let start = decoder.varint32()? as usize;
        ranges.push((file, start, decoder.bytes()?.to_vec()));
    }
    Ok(ranges)
}
