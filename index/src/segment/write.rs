//! Writes a segment.

use std::path::Path;

use crate::{
    bundle::BundleWriter,
    docs::{DocsWriter, State},
    fault::Result,
    gram::GramWriter,
    manifest::{SegmentRef, Settings, file_name},
    pack::PackWriter,
    rank::TextWriter,
    segment::{NewDoc, Prepared, Preparer},
    store::{fresh_id, scratch},
};

/// Takes documents in rising key order. Their text goes to the file at once; documents, n-grams and
/// full text wait in memory.
#[derive(Debug)]
pub struct SegmentWriter {
    id: String,
    out: BundleWriter,
    preparer: Preparer,
    docs: DocsWriter,
    grams: GramWriter,
    text: Option<TextWriter>,
    pack: Option<PackWriter>,
    covered: u64,
    raw: u64,
}

impl SegmentWriter {
    /// Begins a segment in a directory of which the caller is the
    /// [`Writer`](crate::store::Writer). The full text may take `memory` bytes.
    ///
    /// # Errors
    /// What making its file fails with.
    pub fn create(dir: &Path, settings: Settings, memory: usize) -> Result<Self> {
        let id = fresh_id();
        let mut out = BundleWriter::create(&dir.join(file_name(&id)))?;
        let pack = settings.pack.then(|| PackWriter::begin(&mut out)).transpose()?;
        let text = match settings.text {
            true => Some(TextWriter::new(&scratch(dir)?, memory)?),
            false => None,
        };
        Ok(Self {
            id,
            out,
            preparer: Preparer::new(settings),
            docs: DocsWriter::new()?,
            grams: GramWriter::new(),
            text,
            pack,
            covered: 0,
            raw: 0,
        })
    }

    /// Prepares a document and adds it.
    ///
    /// # Errors
    /// As [`Preparer::prepare`] and [`SegmentWriter::add_prepared`].
    pub fn add(&mut self, new: NewDoc) -> Result<()> {
        let prepared = self.preparer.prepare(new)?;
        self.add_prepared(prepared)
    }

    /// Adds a document that was prepared with the same settings.
    ///
    /// # Errors
    /// [`FaultKind::Invalid`](crate::FaultKind::Invalid) for a key that does not follow the last
    /// one, which leaves the segment as it was; what writing fails with.
    pub fn add_prepared(&mut self, prepared: Prepared) -> Result<()> {
        let Prepared { mut doc, grams, sections, packed, raw } = prepared;
        self.docs.check(&doc.key, &doc.etag)?;
        if let (Some(pack), Some(text)) = (&mut self.pack, packed) {
            doc.place = Some(pack.add(&text, &mut self.out)?);
            doc.state = doc.state.with(State::PACKED);
        }
        let number = self.docs.add(&doc)?;
        if let Some(grams) = grams {
            self.grams.add(number, &grams);
        }
        if let Some(text) = &mut self.text
            && !sections.is_empty()
        {
            text.add(&doc.key, doc.oid(), &sections)?;
        }
        self.covered += doc.covered_bytes();
        self.raw += raw;
        Ok(())
    }

    /// How many documents were added.
    pub fn docs(&self) -> u32 {
        self.docs.len()
    }

    /// Bytes that were read of them.
    pub fn raw_bytes(&self) -> u64 {
        self.raw
    }

    /// Bytes that it holds in memory, beside those that the full text was given. Ending it takes
    /// about 40 MiB more.
    pub fn memory(&self) -> usize {
        let pack = self.pack.as_ref().map_or(0, PackWriter::bytes);
        self.docs.bytes() + self.grams.memory() + pack + self.out.hot_bytes()
    }

    /// Ends the segment and waits until the disk has it.
    ///
    /// # Errors
    /// What writing fails with; the file is removed then.
    pub fn finish(self) -> Result<SegmentRef> {
        let mut out = self.out;
        if let Some(pack) = self.pack {
            pack.finish(&mut out)?;
        }
        let (docs, gone) = (self.docs.len(), self.docs.gone());
        self.grams.write(&mut out)?;
        if let Some(text) = self.text {
            text.write(&mut out)?;
        }
        self.docs.write(&mut out)?;
        let parts = out.parts().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        let file = out.finish()?;
        Ok(SegmentRef {
            id: self.id,
            file,
            docs,
            gone,
            text_bytes: self.covered,
            parts,
            shard: None,
        })
    }
}
