//! Writes the full text of one segment.
//!
//! tantivy's index writer has threads, a merge policy and names by chance, none of which a segment
//! that is written once and never changed can use. A [`TextWriter`] fills one tantivy segment after
//! another on disk as far as its memory goes, merges them at the end, and copies the files into a
//! bundle. The same sections make the same bytes.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use tantivy::{
    Index, IndexBuilder, SingleSegmentIndexWriter, TantivyDocument,
    directory::MmapDirectory,
    indexer::merge_indices,
    tokenizer::{PreTokenizedString, Token},
};

use super::{
    articles::{Article, Articles},
    collapse::{Likeness, shape},
    reader::{ARTICLES, OPENING, Open, encode_opening, is_missing, part_name},
    schema::{Stored, Zone, schema, settings, stored_field, terms_field},
    shelf::{FILES, Shelf, meta},
};
use crate::{
    bundle::{BundleWriter, Heat},
    fault::{Fault, FaultKind, Result},
    text::{Analyzer, Lang, Section, words},
};

/// Gathers the sections of articles.
pub struct TextWriter {
    dir: tempfile::TempDir,
    memory: usize,
    open: Option<SingleSegmentIndexWriter>,
    /// Folder and index of each segment that is full.
    full: Vec<(PathBuf, Index)>,
    articles: Articles,
    analyzer: Analyzer,
}

impl std::fmt::Debug for TextWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextWriter").field("articles", &self.articles.rows().len()).finish()
    }
}

/// Tantivy takes no less, and its empty tables are of a size that goes by it: counted against less,
/// they are full after each article.
const LEAST_MEMORY: usize = 15_000_000;

impl TextWriter {
    /// Will hold about `memory` bytes of postings before they go to files, which lie in a folder of
    /// their own in `scratch` until it is dropped.
    ///
    /// # Errors
    /// What making the folder fails with.
    pub fn new(scratch: &Path, memory: usize) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("text-").tempdir_in(scratch)?;
        Ok(Self {
            dir,
            memory: memory.max(LEAST_MEMORY),
            open: None,
            full: Vec::new(),
            articles: Articles::default(),
            analyzer: Analyzer::new(),
        })
    }

    /// How many articles it has.
    pub fn articles(&self) -> usize {
        self.articles.rows().len()
    }

    /// Takes the sections of one article. One without any is left out.
    ///
    /// # Errors
    /// What writing files fails with.
    pub fn add(&mut self, key: &str, oid: u64, sections: &[Section]) -> Result<()> {
        let Some(first) = sections.first() else { return Ok(()) };
        let mut likeness = Likeness::default();
        let mut count = 0u32;
        for (at, section) in sections.iter().enumerate() {
            let mut tokens = Tokens { analyzer: &mut self.analyzer, tokens: Vec::new() };
            if at == 0 {
                tokens.zone(Zone::Title, first.lang, &first.title);
                tokens.zone(Zone::Path, Lang::ENGLISH, key);
            }
            let head = tokens.tokens.len();
            match section.trail.last() {
                Some(heading) => {
                    let text = format!("{heading}\n{}", section.body);
                    tokens.zone(Zone::Body, section.lang, &text);
                }
                None => tokens.zone(Zone::Body, section.lang, &section.body),
            }
            let tokens = tokens.tokens;
            for token in &tokens[head..] {
                likeness.word(&token.text);
            }
            count = count.saturating_add(tokens.len() as u32);
            let stored = Stored {
                key: key.to_owned(),
                title: section.title.clone(),
                trail: section.trail.clone(),
                lines: section.lines.clone(),
                bytes: section.bytes.clone(),
            };
            let mut document = TantivyDocument::default();
            let text = PreTokenizedString { text: String::new(), tokens };
            document.add_pre_tokenized_text(terms_field(), text);
            document.add_bytes(stored_field(), &stored.encode());
            self.writer()?.add_document(document).map_err(unwritten)?;
        }
        self.articles.push(Article {
            oid,
            sections: sections.len() as u32,
            words: count,
            lang: first.lang,
            shape: shape(key),
            likeness: likeness.finish(),
        });
        if self.open.as_ref().is_some_and(|open| open.mem_usage() > self.memory) {
            self.close()?;
        }
        Ok(())
    }

    fn writer(&mut self) -> Result<&mut SingleSegmentIndexWriter> {
        if self.open.is_none() {
            let directory = directory(&self.folder())?;
            let writer = IndexBuilder::new()
                .schema(schema())
                .settings(settings())
                .single_segment_index_writer(directory, self.memory)
                .map_err(unwritten)?;
            self.open = Some(writer);
        }
        self.open.as_mut().ok_or_else(|| Fault::new(FaultKind::Invalid, "there is no text writer"))
    }

    fn close(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            let folder = self.folder();
            self.full.push((folder, open.finalize().map_err(unwritten)?));
        }
        Ok(())
    }

    /// Of the segment that is open, or next.
    fn folder(&self) -> PathBuf {
        self.dir.path().join(self.full.len().to_string())
    }

    /// Writes the parts of the full text. Without articles there are none.
    ///
    /// # Errors
    /// What reading and writing files fails with.
    pub fn write(mut self, out: &mut BundleWriter) -> Result<()> {
        self.close()?;
        if self.articles.rows().is_empty() {
            return Ok(());
        }
        let (folder, index) = match self.full.len() {
            1 => self.full.remove(0),
            _ => {
                let folder = self.folder();
                let indexes: Vec<Index> =
                    self.full.iter().map(|(_, index)| index.clone()).collect();
                let merged = merge_indices(&indexes, directory(&folder)?).map_err(unwritten)?;
                (folder, merged)
            }
        };
        write_parts(&index, &folder, &self.articles, out)
    }
}

/// A new folder as tantivy sees it.
pub(super) fn directory(folder: &Path) -> Result<MmapDirectory> {
    std::fs::create_dir(folder)?;
    MmapDirectory::open(folder).map_err(|error| unwritten(error.into()))
}

/// The terms of one section.
struct Tokens<'a> {
    analyzer: &'a mut Analyzer,
    tokens: Vec<Token>,
}

impl Tokens<'_> {
    fn zone(&mut self, zone: Zone, lang: Lang, text: &str) {
        words(text, |word| {
            let term = self.analyzer.term(lang, &word);
            if term.is_empty() {
                return;
            }
            let mut text = String::with_capacity(term.len() + 1);
            text.push_str(term);
            text.extend(zone.suffix());
            self.tokens.push(Token {
                offset_from: 0,
                offset_to: 0,
                position: word.position as usize,
                text,
                position_length: 1,
            });
        });
    }
}

/// Copies the files of an index of one segment into a bundle, with what opening reads of them in a
/// hot part.
pub(super) fn write_parts(
    index: &Index,
    folder: &Path,
    articles: &Articles,
    out: &mut BundleWriter,
) -> Result<()> {
    let metas = index.searchable_segment_metas().map_err(unwritten)?;
    let [segment] = &metas[..] else {
        return Err(Fault::new(
            FaultKind::Invalid,
            "the full text was not merged into one segment",
        ));
    };
    let mut files = HashMap::new();
    let mut lengths = HashMap::new();
    for name in FILES {
        // From the disk: tantivy's directory hands files out without the footer that it reads.
        let mut file = File::open(folder.join(format!("{}.{name}", segment.id().uuid_string())))?;
        let mut part = out.part(&part_name(name), Heat::Cold)?;
        let len = std::io::copy(&mut file, &mut part)?;
        lengths.insert(name, usize::try_from(len).unwrap_or(usize::MAX));
        files.insert(name, file);
    }
    // Open it as a reader will until nothing is missing any more: what was, is hot.
    let shelf = Shelf::new(meta(articles.sections())?, lengths);
    let mut opening = Vec::new();
    while let Err(error) = Open::of(&shelf) {
        let missing = shelf.missing();
        if !is_missing(&error) || missing.is_empty() {
            return Err(unwritten(error));
        }
        for (name, range) in missing {
            let Some(file) = files.get_mut(name) else { continue };
            let mut bytes = vec![0; range.len()];
            file.seek(SeekFrom::Start(range.start as u64))?;
            file.read_exact(&mut bytes)?;
            shelf.keep(name, range.start, bytes.clone());
            opening.push((name, range, bytes));
        }
    }
    out.whole(OPENING, Heat::Hot, &encode_opening(&opening))?;
    out.whole(ARTICLES, Heat::Hot, &articles.encode())?;
    Ok(())
}

/// A fault of tantivy's while writing; a full disk stays one.
pub(super) fn unwritten(error: tantivy::TantivyError) -> Fault {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut kind = FaultKind::Io;
    while let Some(now) = source {
        let io = now.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::StorageFull) {
            kind = FaultKind::Full;
        }
        source = now.source();
    }
    if let tantivy::TantivyError::IoError(io) = &error
        && io.kind() == std::io::ErrorKind::StorageFull
    {
        kind = FaultKind::Full;
    }
    let detail = match kind {
        FaultKind::Full => "there is no room left on the disk for the full text",
        _ => "the full text cannot be written",
    };
    Fault::new(kind, detail).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::sections;

    #[test]
    fn little_memory_makes_no_segment_of_each_article() {
        let scratch = tempfile::tempdir().unwrap();
        let mut writer = TextWriter::new(scratch.path(), 1).unwrap();
        for n in 0..50_u64 {
            let key = format!("{n}.md");
            writer
                .add(&key, n, &sections(&key, &format!("# Retry {n}\n\nWait and try again.\n")))
                .unwrap();
        }
        assert!(writer.full.is_empty(), "{} segments", writer.full.len());
    }
}
