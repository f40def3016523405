//! Writes the table.

use crate::{
    block::{self, Method, Packer},
    bundle::{BundleWriter, Heat},
    coding::{put_bytes, put_varint},
    docs::{
        Doc, GROUP, MAX_ETAG, MAX_KEY, PART, State,
        read::{MAX_RATIO, MAX_ROWS},
        row,
    },
    fault::{Fault, FaultKind, Result},
};

/// Takes documents in rising key order. Full blocks of rows are compressed as they come.
#[derive(Debug)]
pub struct DocsWriter {
    packer: Packer,
    rows: Vec<u8>,
    packed: Vec<u8>,
    total: u64,
    before: row::Before,
    last: Option<String>,
    len: u32,
    gone: u32,
}

impl DocsWriter {
    /// Of an empty table.
    ///
    /// # Errors
    /// [`FaultKind::Io`] when there is no memory for an encoder.
    pub fn new() -> Result<Self> {
        Ok(Self {
            packer: Packer::new()?,
            rows: Vec::new(),
            packed: Vec::new(),
            total: 0,
            before: row::Before::default(),
            last: None,
            len: 0,
            gone: 0,
        })
    }

    /// How many documents were added.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many of them are tombstones.
    pub fn gone(&self) -> u32 {
        self.gone
    }

    /// What it holds in memory.
    pub fn bytes(&self) -> usize {
        self.rows.len() + self.packed.len()
    }

    /// Whether a document with this key and ETag could be added now.
    ///
    /// # Errors
    /// [`FaultKind::Invalid`] for a key that is not greater than the last, a key or an ETag that is
    /// too long, or a table that is full.
    pub fn check(&self, key: &str, etag: &str) -> Result<()> {
        /// No row is longer.
        const ROOM: u64 = 16 << 10;
        let full = self.total + self.rows.len() as u64 + ROOM > MAX_ROWS;
        let wrong = if self.last.as_deref().is_some_and(|last| last >= key) {
            "its key does not follow the last one"
        } else if key.len() > MAX_KEY || etag.len() > MAX_ETAG {
            "its key or its ETag is too long"
        } else if self.len == u32::MAX || full {
            "the segment is full"
        } else {
            return Ok(());
        };
        let detail = format!("{key:?} cannot be added to the index: {wrong}");
        Err(Fault::new(FaultKind::Invalid, detail))
    }

    /// Adds a document and returns its number. A fault leaves the table as it was.
    ///
    /// # Errors
    /// As [`DocsWriter::check`]; [`FaultKind::Invalid`] for a place without the flag or the flag
    /// without a place.
    pub fn add(&mut self, doc: &Doc) -> Result<u32> {
        self.check(&doc.key, &doc.etag)?;
        if doc.state.has(State::PACKED) != doc.place.is_some() {
            let detail = "a document has a place in the pack where it is packed, and only there";
            return Err(Fault::new(FaultKind::Invalid, detail));
        }
        if (self.len as usize).is_multiple_of(GROUP) {
            self.before.clear();
        }
        row::put(&mut self.rows, doc, &mut self.before);
        self.last = Some(doc.key.clone());
        self.len += 1;
        self.gone += u32::from(doc.state.has(State::GONE));
        while self.rows.len() >= block::MAX {
            self.pack(block::MAX)?;
        }
        Ok(self.len - 1)
    }

    /// Writes the part.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn write(mut self, out: &mut BundleWriter) -> Result<()> {
        if !self.rows.is_empty() {
            self.pack(self.rows.len())?;
        }
        let mut part = Vec::with_capacity(self.packed.len() + 16);
        put_varint(&mut part, u64::from(self.len));
        put_varint(&mut part, self.total);
        part.extend_from_slice(&self.packed);
        out.whole(PART, Heat::Hot, &part)
    }

    fn pack(&mut self, len: usize) -> Result<()> {
        let rows = &self.rows[..len];
        let (mut method, mut packed) = self.packer.pack(rows)?;
        if rows.len() / MAX_RATIO > packed.len() {
            (method, packed) = (Method::Stored, rows.to_vec());
        }
        put_varint(&mut self.packed, (len as u64) << 1 | u64::from(method == Method::Zstd));
        put_bytes(&mut self.packed, &packed);
        self.rows.drain(..len);
        self.total += len as u64;
        Ok(())
    }
}
