//! The file format of the disk cache: one segment holds many blocks.
//!
//! A file per block costs an inode, an open and a close each: a million small objects are a
//! million files. A segment is written once and never changed; a block in it is read with one
//! positioned read and proves itself: checksum, then bucket, key, ETag and block number. Nothing
//! a file says is believed before that, so a torn write, a flipped bit or a stranger's file is
//! only a miss.
//!
//! ```text
//! segment  MAGIC, record…, footer, trailer                      integers are little-endian
//! record   bytes, bucket 16, block 8, key, etag, encoding, type, tail
//! tail     bytes 4, key 2, etag 2, encoding 2, type 2 (lengths; NONE = no such header), crc 4
//! footer   (digest 8, offset 4, length 4)…, by digest
//! trailer  count 4, crc of footer and count 4, MAGIC 8
//! ```
//! The bytes come first in a record so that cutting the rest off leaves them where they are.

use std::{
    fs::File,
    io::{self, Write},
    sync::Arc,
};

use bytes::Bytes;
use crc32fast::Hasher;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::super::{BLOCK, Block, BlockKey};
use crate::bucket::{Headers, MAX_KEY};

/// The name of the format and its version. A change of anything here changes [`FOLDER`] too.
const MAGIC: &[u8; 8] = b"r2vseg01";

/// The folder of this format inside the cache directory; other versions ignore it.
pub(super) const FOLDER: &str = "v1";

const TAIL: usize = 16;
const ENTRY: usize = 16;
const TRAILER: usize = 16;

/// No header, as opposed to an empty one.
const NONE: u16 = u16::MAX;

/// The longest ETag or header that is worth a place on disk; no honest server comes near.
const MAX_TEXT: usize = 1024;

/// The longest record there can be: what a footer may make a reader allocate.
const MAX_RECORD: usize = BLOCK as usize + 24 + MAX_KEY + 3 * MAX_TEXT + TAIL;

/// How much of the end of a segment is read at once: the footers of all but the fullest
/// segments fit, and 64 KiB cost one read.
const END: u64 = 64 << 10;

/// Why a segment or a record cannot be used.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not what was written: the file is of no more use.
    Corrupt,
    /// It could not be read.
    Unreadable,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Corrupt,
            _ => Self::Unreadable,
        }
    }
}

/// Where a block may be found. 64 bits are a hint; the record itself decides.
pub(super) fn digest(key: &BlockKey) -> u64 {
    let version = &key.version;
    let mut hash = Xxh3::new();
    hash.update(&version.bucket.0.to_le_bytes());
    hash.update(&key.block.to_le_bytes());
    hash.update(&(version.key.len() as u64).to_le_bytes());
    hash.update(version.key.as_bytes());
    hash.update(version.etag.0.as_bytes());
    hash.digest()
}

/// The length of the record of a block, or `None` for one that this format does not hold.
pub(super) fn record_len(key: &BlockKey, block: &Block) -> Option<usize> {
    let texts = [
        &*key.version.etag.0,
        block.headers.content_encoding.as_deref().unwrap_or_default(),
        block.headers.content_type.as_deref().unwrap_or_default(),
    ];
    let fits = key.version.key.len() <= MAX_KEY
        && block.bytes.len() as u64 <= BLOCK
        && texts.iter().all(|text| text.len() <= MAX_TEXT);
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    fits.then(|| block.bytes.len() + 24 + key.version.key.len() + texts + TAIL)
}

/// Where a record lies in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u32,
    pub(super) len: u32,
}

/// Which records a segment holds: 16 bytes each, resident while the segment is in use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Footer {
    digests: Vec<u64>,
    places: Vec<Place>,
}

impl Footer {
    pub(super) fn find(&self, digest: u64) -> Option<Place> {
        let at = self.digests.binary_search(&digest).ok()?;
        self.places.get(at).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.digests.len()
    }

    /// All records, in the order they lie in the file.
    pub(super) fn by_place(&self) -> Vec<(u64, Place)> {
        let mut all: Vec<_> =
            self.digests.iter().copied().zip(self.places.iter().copied()).collect();
        all.sort_unstable_by_key(|(_, place)| place.offset);
        all
    }
}

/// Writes a segment.
#[derive(Debug)]
pub(super) struct Writer<W> {
    out: W,
    at: usize,
    entries: Vec<(u64, Place)>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        Ok(Self { out, at: MAGIC.len(), entries: Vec::new() })
    }

    pub(super) fn block(&mut self, key: &BlockKey, block: &Block) -> io::Result<()> {
        let Some(len) = record_len(key, block) else { return Ok(()) };
        let mut rest = Vec::with_capacity(len - block.bytes.len());
        let version = &key.version;
        rest.extend_from_slice(&version.bucket.0.to_le_bytes());
        rest.extend_from_slice(&key.block.to_le_bytes());
        rest.extend_from_slice(version.key.as_bytes());
        rest.extend_from_slice(version.etag.0.as_bytes());
        let headers = [&block.headers.content_encoding, &block.headers.content_type];
        for text in headers.into_iter().flatten() {
            rest.extend_from_slice(text.as_bytes());
        }
        rest.extend_from_slice(&(block.bytes.len() as u32).to_le_bytes());
        rest.extend_from_slice(&(version.key.len() as u16).to_le_bytes());
        rest.extend_from_slice(&(version.etag.0.len() as u16).to_le_bytes());
        for text in headers {
            let len = text.as_ref().map_or(NONE, |text| text.len() as u16);
            rest.extend_from_slice(&len.to_le_bytes());
        }
        let mut crc = Hasher::new();
        crc.update(&block.bytes);
        crc.update(&rest);
        rest.extend_from_slice(&crc.finalize().to_le_bytes());
        self.out.write_all(&block.bytes)?;
        self.out.write_all(&rest)?;
        self.enter(digest(key), len);
        Ok(())
    }

    /// A record as it lies in another segment.
    pub(super) fn record(&mut self, digest: u64, record: &[u8]) -> io::Result<()> {
        self.out.write_all(record)?;
        self.enter(digest, record.len());
        Ok(())
    }

    fn enter(&mut self, digest: u64, len: usize) {
        self.entries.push((digest, Place { offset: self.at as u32, len: len as u32 }));
        self.at += len;
    }

    /// Ends the segment.
    pub(super) fn finish(mut self) -> io::Result<Finished<W>> {
        // Stable, so that of two records with one digest the first is found.
        self.entries.sort_by_key(|(digest, _)| *digest);
        self.entries.dedup_by_key(|(digest, _)| *digest);
        let mut end = Vec::with_capacity(self.entries.len() * ENTRY + TRAILER);
        for (digest, place) in &self.entries {
            end.extend_from_slice(&digest.to_le_bytes());
            end.extend_from_slice(&place.offset.to_le_bytes());
            end.extend_from_slice(&place.len.to_le_bytes());
        }
        end.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        end.extend_from_slice(&crc32fast::hash(&end).to_le_bytes());
        end.extend_from_slice(MAGIC);
        self.out.write_all(&end)?;
        let (digests, places) = self.entries.into_iter().unzip();
        Ok(Finished {
            out: self.out,
            footer: Footer { digests, places },
            len: (self.at + end.len()) as u64,
            name: xxh3_128(&end),
        })
    }
}

/// A segment that is written.
#[derive(Debug)]
pub(super) struct Finished<W> {
    pub(super) out: W,
    pub(super) footer: Footer,
    /// Bytes of the file.
    pub(super) len: u64,
    /// A digest of what it holds: processes that cache the same blocks write the same file.
    pub(super) name: u128,
}

/// Reads the footer of a segment of `len` bytes.
pub(super) fn read_footer(file: &File, len: u64) -> Result<Footer, Fault> {
    let from = len.saturating_sub(END);
    let mut end = vec![0; (len - from) as usize];
    read_exact_at(file, &mut end, from)?;
    let trailer = end.len().checked_sub(TRAILER).ok_or(Fault::Corrupt)?;
    let count = u32_at(&end, trailer)? as usize;
    let size = count.checked_mul(ENTRY).ok_or(Fault::Corrupt)?;
    if end[trailer + 8..] != MAGIC[..] || (size + TRAILER + MAGIC.len()) as u64 > len {
        return Err(Fault::Corrupt);
    }
    let records_end = len - (size + TRAILER) as u64;
    if size > trailer {
        end = vec![0; size + TRAILER];
        read_exact_at(file, &mut end, records_end)?;
    } else {
        end.drain(..trailer - size);
    }
    if crc32fast::hash(&end[..size + 4]) != u32_at(&end, size + 4)? {
        return Err(Fault::Corrupt);
    }
    let mut footer =
        Footer { digests: Vec::with_capacity(count), places: Vec::with_capacity(count) };
    for entry in end[..size].chunks_exact(ENTRY) {
        let place = Place { offset: u32_at(entry, 8)?, len: u32_at(entry, 12)? };
        let past = u64::from(place.offset) + u64::from(place.len);
        let in_order = footer.digests.last().is_none_or(|last| *last < u64_at(entry, 0));
        if past > records_end || place.len as usize > MAX_RECORD || !in_order {
            return Err(Fault::Corrupt);
        }
        footer.digests.push(u64_at(entry, 0));
        footer.places.push(place);
    }
    Ok(footer)
}

/// Whether a record is as it was written.
pub(super) fn sound(record: &[u8]) -> bool {
    let Some(at) = record.len().checked_sub(4) else { return false };
    u32_at(record, at).is_ok_and(|crc| crc == crc32fast::hash(&record[..at]))
}

/// The block of a record, if it is the one that is wanted, `len` bytes long. `Ok(None)` is a sound
/// record of another block (two digests were the same).
pub(super) fn open(mut record: Vec<u8>, want: &BlockKey, len: u64) -> Result<Option<Block>, Fault> {
    if !sound(&record) || record.len() < 24 + TAIL {
        return Err(Fault::Corrupt);
    }
    let tail = record.len() - TAIL;
    let size = u32_at(&record, tail)? as usize;
    let lens =
        [4, 6, 8, 10].map(|at| u16::from_le_bytes([record[tail + at], record[tail + at + 1]]));
    let mut at = size;
    let mut next = |len: usize| -> Result<&[u8], Fault> {
        let field = record.get(at..at + len).ok_or(Fault::Corrupt)?;
        at += len;
        Ok(field)
    };
    let header = |len: u16| (len != NONE).then_some(usize::from(len));
    let version = &want.version;
    let same = next(16)? == version.bucket.0.to_le_bytes()
        && next(8)? == want.block.to_le_bytes()
        && next(lens[0].into())? == version.key.as_bytes()
        && next(lens[1].into())? == version.etag.0.as_bytes();
    if !same || size as u64 != len {
        return Ok(None);
    }
    let mut text = |len: u16| -> Result<Option<Box<str>>, Fault> {
        let Some(len) = header(len) else { return Ok(None) };
        let text = std::str::from_utf8(next(len)?).map_err(|_| Fault::Corrupt)?;
        Ok(Some(text.into()))
    };
    let headers = Headers { content_encoding: text(lens[2])?, content_type: text(lens[3])? };
    if at != tail {
        return Err(Fault::Corrupt);
    }
    record.truncate(size);
    // Shrinks where it lies, with every allocator that matters.
    Ok(Some(Block { bytes: Bytes::from(record.into_boxed_slice()), headers: Arc::new(headers) }))
}

/// Reads a record if all of it is in the page cache, without ever waiting for the disk: a hop to
/// another thread costs several times the read itself.
#[cfg(target_os = "linux")]
pub(super) fn read_if_in_memory(file: &File, place: Place) -> Option<Vec<u8>> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let mut record = vec![0; place.len as usize];
    let mut parts = [io::IoSliceMut::new(&mut record)];
    let read = preadv2(file, &mut parts, u64::from(place.offset), ReadWriteFlags::NOWAIT).ok()?;
    (read == record.len()).then_some(record)
}

/// Other systems cannot tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn read_if_in_memory(_file: &File, _place: Place) -> Option<Vec<u8>> {
    None
}

/// Reads a record, waiting for the disk.
pub(super) fn read(file: &File, place: Place) -> io::Result<Vec<u8>> {
    let mut record = vec![0; place.len as usize];
    read_exact_at(file, &mut record, u64::from(place.offset))?;
    Ok(record)
}

/// Fills `buffer` from `offset` on; an earlier end is [`io::ErrorKind::UnexpectedEof`].
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            match std::os::windows::fs::FileExt::seek_read(file, &mut buffer[done..], at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => done += more,
            }
        }
        Ok(())
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Fault> {
    let field = bytes.get(at..at + 4).and_then(|field| field.try_into().ok());
    field.map(u32::from_le_bytes).ok_or(Fault::Corrupt)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|f| f.try_into().ok()).map_or(0, u64::from_le_bytes)
}
