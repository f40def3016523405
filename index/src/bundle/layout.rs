//! The end of a bundle: which parts it has, the checksum of every page, and the footer.
//!
//! Every offset here comes from a file that may be damaged. [`Layout::parse`] takes none before the
//! checksums agree, and checks each against the file's length all the same: a checksum tells of
//! accidents, and a file that somebody put into a bucket may be no accident.

use std::ops::Range;

use crate::{
    coding::Decoder,
    fault::{Fault, FaultKind, Result},
    source::FileRef,
};

/// The version of the container. A reader refuses any other.
pub const FORMAT: u32 = 1;

/// Bytes that one checksum covers. Every read of a cold part is widened to these, so they are as
/// small as a request's own cost allows (at 30 ms and 100 MB/s, 32 KiB take a hundredth of it),
/// and four bytes for each is 0.01 % of the file.
pub const PAGE: u64 = 32 << 10;

/// What marks the end of a bundle.
pub(super) const MAGIC: [u8; 8] = *b"r2vfsbdl";

/// magic, format, page size, hot, directory bytes, pages, CRC of the hot bytes, CRC of the footer
pub(super) const FOOTER: usize = 8 + 4 + 4 + 8 + 4 + 4 + 4 + 4;

/// The hot bytes of one file are read at once and stay, so there is an end to them: documents
/// tables and dictionaries of some ten million documents.
const MAX_HOT: u64 = 1 << 30;

/// Parts of one file. A segment has about ten, and tantivy's files.
pub(super) const MAX_PARTS: usize = 1024;

/// Bytes of a part's name.
pub(super) const MAX_NAME: usize = 128;

/// A part's name and where it lies in the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) range: Range<u64>,
}

/// What the end of a bundle says.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) entries: Vec<Entry>,
    /// Where the cold parts end and the pages with them.
    cold: u64,
    /// The CRC-32 of each page.
    table: Vec<u32>,
}

/// The range to read when opening `file`.
pub(super) fn hot_range(file: &FileRef) -> Result<Range<u64>> {
    let hot = file.bytes.checked_sub(file.hot).filter(|hot| *hot >= FOOTER as u64);
    match hot {
        Some(hot) if hot <= MAX_HOT => Ok(file.hot..file.bytes),
        _ => Err(damaged(file, "the manifest gives it a length that no file has")),
    }
}

impl Layout {
    /// From the bytes that [`hot_range`] names.
    pub(super) fn parse(file: &FileRef, hot: &[u8]) -> Result<Self> {
        let Some((body, footer)) = hot.split_last_chunk::<FOOTER>() else {
            return Err(damaged(file, "it is too short"));
        };
        let footer_check = crc32fast::hash(&footer[..FOOTER - 4]);
        let mut decoder = Decoder::new(footer, "a footer");
        let magic = decoder.array::<8>()?;
        let format = decoder.u32()?;
        let page = decoder.u32()?;
        let cold = decoder.u64()?;
        let directory_len = decoder.u32()? as usize;
        let pages = decoder.u32()? as usize;
        let body_check = decoder.u32()?;
        if magic != MAGIC || decoder.u32()? != footer_check {
            return Err(damaged(file, "its footer is wrong"));
        }
        if format != FORMAT || u64::from(page) != PAGE {
            let detail = format!("{} of the index has format {format}, not {FORMAT}", file.name);
            return Err(Fault::new(FaultKind::Format, detail));
        }
        if footer_check != file.check {
            return Err(damaged(file, "it is another file than the manifest names"));
        }
        if cold != file.hot || crc32fast::hash(body) != body_check {
            return Err(damaged(file, "the checksum of its end is wrong"));
        }
        if cold.div_ceil(PAGE) != pages as u64 {
            return Err(damaged(file, "it has a checksum too many or too few"));
        }
        let table_at = pages.checked_mul(4).and_then(|len| body.len().checked_sub(len));
        let directory_at = table_at.and_then(|at| at.checked_sub(directory_len));
        let (Some(table_at), Some(directory_at)) = (table_at, directory_at) else {
            return Err(damaged(file, "its directory is longer than its end"));
        };
        let (quads, _) = body[table_at..].as_chunks::<4>();
        let table = quads.iter().map(|quad| u32::from_le_bytes(*quad)).collect();
        let entries = parse_directory(file, &body[directory_at..table_at], cold, directory_at)?;
        Ok(Self { entries, cold, table })
    }

    /// How many pages the cold parts take.
    pub(super) fn pages(&self) -> u64 {
        self.table.len() as u64
    }

    /// The bytes of some pages in the file; the last page ends with the cold parts.
    pub(super) fn page_bytes(&self, pages: Range<u64>) -> Range<u64> {
        pages.start * PAGE..(pages.end * PAGE).min(self.cold)
    }

    /// Checks the bytes of whole pages, the first of which is page `first`.
    pub(super) fn check(&self, file: &FileRef, first: u64, bytes: &[u8]) -> Result<()> {
        let table = self.table.get(first as usize..).unwrap_or_default();
        for (at, page) in bytes.chunks(PAGE as usize).enumerate() {
            if table.get(at) != Some(&crc32fast::hash(page)) {
                let page = first + at as u64;
                return Err(damaged(file, &format!("the checksum of page {page} is wrong")));
            }
        }
        Ok(())
    }
}

fn parse_directory(
    file: &FileRef,
    directory: &[u8],
    cold: u64,
    hot_len: usize,
) -> Result<Vec<Entry>> {
    let mut decoder = Decoder::new(directory, "a directory of parts");
    let count = decoder.count(4)?;
    if count > MAX_PARTS {
        return Err(damaged(file, "it has too many parts"));
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(count);
    for _ in 0..count {
        let name = decoder.str()?.to_owned();
        let (within, base) = match decoder.byte()? {
            0 => (cold, 0),
            1 => (hot_len as u64, cold),
            _ => return Err(decoder.damaged("a part is neither hot nor cold")),
        };
        let start = decoder.varint()?;
        let end = decoder.varint()?.checked_add(start);
        let Some(end) = end.filter(|end| *end <= within) else {
            return Err(decoder.damaged("a part reaches past the file"));
        };
        if name.len() > MAX_NAME || entries.iter().any(|entry| entry.name == name) {
            return Err(decoder.damaged("a part's name is too long or there twice"));
        }
        entries.push(Entry { name, range: base + start..base + end });
    }
    if !decoder.is_empty() {
        return Err(decoder.damaged("something follows the last part"));
    }
    Ok(entries)
}

fn damaged(file: &FileRef, how: &str) -> Fault {
    Fault::new(FaultKind::Damaged, format!("{} of the index is damaged: {how}", file.name))
}
