//! A segment's parts in one file.
//!
//! A file per part would cost a request per part before the first answer, and one checksum per
//! part would make a reader fetch all of a part to trust one block of it. A [`Bundle`] keeps what
//! every query needs (the hot parts, the directory, the checksums) at the end of one file, where
//! one ranged read brings it, and checks the rest page by page:
//!
//! ```text
//! cold parts │ hot parts │ directory │ page table │ footer
//! └ pages of 32 KiB ─────┘ hot: one read, one checksum
//! ```
//!
//! Reading is in two steps, because what searches is synchronous and what fetches is not:
//! [`fetch()`] brings ranges of many bundles into memory side by side, [`Part::get`] reads what is
//! there. The checksum of the footer covers that of the hot bytes, which covers the page table: the
//! four bytes that a manifest keeps ([`FileRef::check`]) pin the whole file.

#[cfg(feature = "build")]
mod ending;
mod fetch;
mod layout;
mod memory;
mod pages;
mod wait;
#[cfg(feature = "build")]
mod write;

#[cfg(test)]
#[cfg(feature = "build")]
mod tests;

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{
    fault::{Fault, FaultKind, Result},
    source::{FileRef, Source},
};

pub use fetch::{Held, fetch};
pub use layout::{FORMAT, PAGE};
pub use memory::Memory;
pub use wait::{at_once, side_by_side};
#[cfg(feature = "build")]
pub use write::{BundleWriter, PartWriter};

use layout::{Entry, Layout};
use pages::Pages;

/// When a part is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heat {
    /// By some queries, a range at a time.
    Cold,
    /// By every query, whole: it is read when the bundle is opened.
    Hot,
}

/// What stays in memory of the pages that were fetched from one bundle, in bytes: the posting
/// lists and term blocks of some dozens of queries, or sixteen rounds of a scan's 4 MiB ranges.
pub const KEPT: usize = 64 << 20;

/// An open file of parts. Cheap to clone; clones share what was fetched.
#[derive(Clone)]
pub struct Bundle {
    shared: Arc<Shared>,
    source: Arc<dyn Source>,
}

struct Shared {
    file: FileRef,
    layout: Layout,
    hot: Bytes,
    pages: Pages,
}

impl Bundle {
    /// Reads the end of `file` and checks it: one read of one range.
    ///
    /// # Errors
    /// What the source fails with; [`FaultKind::Damaged`] and [`FaultKind::Format`] where the file
    /// is not what the manifest says.
    pub async fn open(source: Arc<dyn Source>, file: FileRef) -> Result<Self> {
        Self::open_keeping(source, file, KEPT).await
    }

    /// The same with a budget of its own for what stays in memory of the pages that are fetched,
    /// in bytes: one of many bundles gets a share.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub async fn open_keeping(source: Arc<dyn Source>, file: FileRef, keep: usize) -> Result<Self> {
        let range = layout::hot_range(&file)?;
        let read = source.read(&file, std::slice::from_ref(&range)).await?;
        let hot = only(read, &file, &range)?;
        let layout = Layout::parse(&file, &hot)?;
        let pages = Pages::new(keep);
        Ok(Self { shared: Arc::new(Shared { file, layout, hot, pages }), source })
    }

    /// The same bundle, read through another source from now on: one that counts what a single
    /// query costs, for one. What was fetched stays shared.
    pub fn through(&self, source: Arc<dyn Source>) -> Self {
        Self { shared: Arc::clone(&self.shared), source }
    }

    /// A part by name, or none.
    pub fn part(&self, name: &str) -> Option<Part> {
        let at = self.shared.layout.entries.iter().position(|entry| entry.name == name)?;
        Some(Part { bundle: self.clone(), at })
    }

    /// A part that must be there.
    ///
    /// # Errors
    /// [`FaultKind::Damaged`] when it is not.
    pub fn need(&self, name: &str) -> Result<Part> {
        self.part(name).ok_or_else(|| {
            let detail = format!("{} of the index has no part {name}", self.shared.file.name);
            Fault::new(FaultKind::Damaged, detail)
        })
    }

    /// The names of all parts, cold ones first, each kind in the order written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shared.layout.entries.iter().map(|entry| &*entry.name)
    }

    /// Whether so many bytes are read whole by the first question that needs some of them: where a
    /// request costs more than they do, and they can stay in memory beside others.
    pub(crate) fn is_read_whole(&self, bytes: u64, most: u64) -> bool {
        let kept = self.shared.pages.budget() as u64 / 4;
        !self.source.is_near() && bytes <= most.min(kept)
    }

    /// The file it was opened from.
    pub fn file(&self) -> &FileRef {
        &self.shared.file
    }

    /// Bytes of fetched pages in memory, without the hot ones.
    pub fn kept_bytes(&self) -> usize {
        self.shared.pages.bytes()
    }

    /// Reads every page and checks it, a few MiB at a time; calls `go_on` with the bytes checked so
    /// far, which may end it there. What opening reads was checked by opening.
    ///
    /// # Errors
    /// What the source fails with; [`FaultKind::Damaged`] at the first page that is wrong.
    pub async fn check_pages(&self, mut go_on: impl FnMut(u64) -> bool) -> Result<()> {
        /// Pages in one read: 4 MiB.
        const AT_ONCE: u64 = 128;
        let shared = &*self.shared;
        let pages = shared.layout.pages();
        for first in (0..pages).step_by(AT_ONCE as usize) {
            let range = shared.layout.page_bytes(first..(first + AT_ONCE).min(pages));
            let read = self.source.read(&shared.file, std::slice::from_ref(&range)).await?;
            let bytes = only(read, &shared.file, &range)?;
            shared.layout.check(&shared.file, first, &bytes)?;
            if !go_on(range.end) {
                break;
            }
        }
        Ok(())
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("file", &self.shared.file).finish_non_exhaustive()
    }
}

/// A named range of a bundle. Cheap to clone.
#[derive(Clone)]
pub struct Part {
    bundle: Bundle,
    at: usize,
}

impl Part {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.entry().name
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.entry().range.end - self.entry().range.start
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is in memory as long as the bundle is open.
    pub fn heat(&self) -> Heat {
        if self.entry().range.start >= self.bundle.shared.file.hot { Heat::Hot } else { Heat::Cold }
    }

    /// The bundle it is a part of.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// `range` of the part as far as it is in memory: none when a page of it is not. Does not
    /// copy where the pages came in one read.
    ///
    /// # Errors
    /// [`FaultKind::Damaged`] when the range reaches past the part's end.
    pub fn get(&self, range: Range<u64>) -> Result<Option<Bytes>> {
        let range = self.in_file(range)?;
        let shared = &*self.bundle.shared;
        if range.is_empty() {
            return Ok(Some(Bytes::new()));
        }
        let hot = shared.file.hot;
        if range.start >= hot {
            // Inside the hot bytes: in_file has bounded it by an entry that parsing has bounded.
            let within = (range.start - hot) as usize..(range.end - hot) as usize;
            return Ok(Some(shared.hot.slice(within)));
        }
        Ok(shared.pages.get(range))
    }

    /// All of a hot part.
    ///
    /// # Errors
    /// [`FaultKind::Damaged`] when it was written as a cold one.
    pub fn hot(&self) -> Result<Bytes> {
        match self.get(0..self.len())? {
            Some(bytes) if self.heat() == Heat::Hot || self.is_empty() => Ok(bytes),
            _ => Err(self.damaged("it does not lie where every query reads")),
        }
    }

    /// `range` of the part, fetched where it is not in memory.
    ///
    /// # Errors
    /// As [`Part::get`] and [`fetch()`].
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if let Some(bytes) = self.get(range.clone())? {
            return Ok(bytes);
        }
        let held = fetch(&[(self.clone(), range.clone())], 0).await?;
        let bytes = self.get(range)?;
        drop(held);
        bytes.ok_or_else(|| self.damaged("what was read of it is not there"))
    }

    /// A fault that names the part.
    pub fn damaged(&self, how: &str) -> Fault {
        let (name, file) = (self.name(), &self.bundle.shared.file.name);
        Fault::new(FaultKind::Damaged, format!("part {name} of {file} is damaged: {how}"))
    }

    fn entry(&self) -> &Entry {
        &self.bundle.shared.layout.entries[self.at]
    }

    fn in_file(&self, range: Range<u64>) -> Result<Range<u64>> {
        if range.start > range.end || range.end > self.len() {
            return Err(self.damaged("a range of it reaches past its end"));
        }
        let start = self.entry().range.start;
        Ok(start + range.start..start + range.end)
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("name", &self.name()).field("len", &self.len()).finish()
    }
}

/// The one range that was asked for, if it is as long as it was asked for.
fn only(mut read: Vec<Bytes>, file: &FileRef, range: &Range<u64>) -> Result<Bytes> {
    match (read.pop(), read.is_empty()) {
        (Some(bytes), true) if bytes.len() as u64 == range.end - range.start => Ok(bytes),
        _ => Err(cut_short(file)),
    }
}

fn cut_short(file: &FileRef) -> Fault {
    Fault::new(FaultKind::Damaged, format!("{} of the index is cut short", file.name))
}
