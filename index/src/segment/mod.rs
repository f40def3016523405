//! A segment: the documents, n-grams, full text and pack of a set of (key, ETag), in one file.
//!
//! Its parts refer to each other by numbers (a document's rank, a block), so they are opened and
//! written together: a [`Segment`] reads, a [`SegmentWriter`] writes.

#[cfg(feature = "build")]
mod content;
#[cfg(feature = "build")]
mod long;
#[cfg(feature = "build")]
mod write;

#[cfg(test)]
#[cfg(feature = "build")]
mod tests;

use std::sync::Arc;

#[cfg(feature = "build")]
pub use content::{NewContent, NewDoc, Prepared, Preparer};
#[cfg(feature = "build")]
pub use long::LongText;
#[cfg(feature = "build")]
pub use write::SegmentWriter;

use crate::{
    bundle::{Bundle, KEPT},
    docs::Docs,
    fault::{Fault, FaultKind, Result},
    gram::GramReader,
    manifest::SegmentRef,
    pack::PackReader,
    source::Source,
};

/// Where a search says that the first NUL is, which `nul` has found in a text that begins with
/// `head`: a search skips a UTF-8 byte order mark and counts from behind it.
pub(crate) fn told_nul(head: &[u8], nul: Option<u64>) -> Option<u64> {
    let mark = if head.starts_with(UTF8_MARK) { UTF8_MARK.len() as u64 } else { 0 };
    nul.map(|nul| nul.saturating_sub(mark))
}

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// An open segment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Segment {
    reference: Arc<SegmentRef>,
    bundle: Bundle,
    docs: Docs,
    grams: Option<GramReader>,
    pack: Option<PackReader>,
}

impl Segment {
    /// Opens the file that a manifest names: one read.
    ///
    /// # Errors
    /// As [`Bundle::open`]; [`FaultKind::Damaged`] when a part that every query needs is.
    pub async fn open(source: Arc<dyn Source>, reference: SegmentRef) -> Result<Self> {
        Self::open_keeping(source, reference, KEPT).await
    }

    /// See [`Bundle::open_keeping`].
    pub(crate) async fn open_keeping(
        source: Arc<dyn Source>,
        reference: SegmentRef,
        keep: usize,
    ) -> Result<Self> {
        let bundle = Bundle::open_keeping(source, reference.file.clone(), keep).await?;
        let docs = Docs::open(&bundle)?;
        if (docs.len(), docs.gone()) != (reference.docs, reference.gone) {
            let name = &reference.file.name;
            let detail = format!("{name} of the index has other documents than the manifest says");
            return Err(Fault::new(FaultKind::Damaged, detail));
        }
        let grams = GramReader::open(&bundle)?;
        let pack = PackReader::open(&bundle)?;
        Ok(Self { reference: Arc::new(reference), bundle, docs, grams, pack })
    }

    /// The same segment, read through another source from now on. What was fetched stays shared.
    ///
    /// # Errors
    /// As [`Segment::open`], which opening has ruled out.
    pub fn through(&self, source: Arc<dyn Source>) -> Result<Self> {
        let bundle = self.bundle.through(source);
        let grams = self.grams.as_ref().map(|grams| grams.through(&bundle)).transpose()?;
        let pack = self.pack.as_ref().map(|pack| pack.through(&bundle)).transpose()?;
        let (reference, docs) = (self.reference.clone(), self.docs.clone());
        Ok(Self { reference, bundle, docs, grams, pack })
    }

    /// As the manifest names it.
    pub fn reference(&self) -> &SegmentRef {
        &self.reference
    }

    /// Its documents.
    pub fn docs(&self) -> &Docs {
        &self.docs
    }

    /// Its n-grams; without them every document is a candidate.
    pub fn grams(&self) -> Option<&GramReader> {
        self.grams.as_ref()
    }

    /// Its pack, unless it was built without.
    pub fn pack(&self) -> Option<&PackReader> {
        self.pack.as_ref()
    }

    /// Its file, for the full text.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }
}
