//! Writes the pack.
//!
//! The blocks stream into the file while documents come, and the other parts are written after
//! them: a [`PackWriter`] holds no borrow of the bundle and is handed it at each call.

use std::io::Write;

use crate::{
    block::{self, Method, Packer},
    bundle::{BundleWriter, Heat},
    coding::put_varint,
    docs::Place,
    fault::{Fault, FaultKind, Result},
    pack::{DIRECTORY, MAX_TEXT, PART},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct PackWriter {
    packer: Packer,
    /// The text of the block that is being filled.
    open: Vec<u8>,
    directory: Vec<u8>,
    blocks: u32,
}

impl PackWriter {
    /// Begins the part, which must be the bundle's last until [`PackWriter::finish`].
    pub(crate) fn begin(out: &mut BundleWriter) -> Result<Self> {
        out.part(PART, Heat::Cold)?;
        let open = Vec::with_capacity(block::MAX);
        Ok(Self { packer: Packer::new()?, open, directory: Vec::new(), blocks: 0 })
    }

    /// What it holds in memory.
    pub(crate) fn bytes(&self) -> usize {
        block::MAX + self.directory.len()
    }

    /// Appends a text of at most [`MAX_TEXT`] bytes.
    pub(crate) fn add(&mut self, text: &[u8], out: &mut BundleWriter) -> Result<Place> {
        if text.len() > MAX_TEXT {
            return Err(Fault::new(FaultKind::Invalid, "a text is too long for the pack"));
        }
        let len = text.len() as u32;
        if self.open.len() + text.len() > block::MAX {
            self.close(out)?;
        }
        if text.len() <= block::MAX {
            let place = Place { block: self.blocks, offset: self.open.len() as u32, len };
            self.open.extend_from_slice(text);
            return Ok(place);
        }
        let place = Place { block: self.blocks, offset: 0, len };
        for piece in text.chunks(block::MAX) {
            self.open.extend_from_slice(piece);
            self.close(out)?;
        }
        Ok(place)
    }

    /// Appends a block as another pack stores it and returns its number.
    pub(crate) fn copy(
        &mut self,
        method: Method,
        stored: &[u8],
        raw: u32,
        out: &mut BundleWriter,
    ) -> Result<u32> {
        self.close(out)?;
        self.put(method, stored, raw as usize, out)?;
        Ok(self.blocks - 1)
    }

    /// Ends the part and writes its directory.
    pub(crate) fn finish(mut self, out: &mut BundleWriter) -> Result<()> {
        self.close(out)?;
        let mut directory = Vec::with_capacity(self.directory.len() + 5);
        put_varint(&mut directory, u64::from(self.blocks));
        directory.extend_from_slice(&self.directory);
        out.whole(DIRECTORY, Heat::Hot, &directory)
    }

    fn close(&mut self, out: &mut BundleWriter) -> Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        let (method, stored) = self.packer.pack(&self.open)?;
        self.put(method, &stored, self.open.len(), out)?;
        self.open.clear();
        Ok(())
    }

    fn put(
        &mut self,
        method: Method,
        stored: &[u8],
        raw: usize,
        out: &mut BundleWriter,
    ) -> Result<()> {
        let blocks = self.blocks.checked_add(1).ok_or_else(|| {
            Fault::new(FaultKind::Invalid, "the pack of a segment has too many blocks")
        })?;
        out.last_part()?.write_all(stored)?;
        put_varint(&mut self.directory, (raw as u64) << 1 | u64::from(method == Method::Zstd));
        // What is stored as it is has the length it had.
        if method == Method::Zstd {
            put_varint(&mut self.directory, stored.len() as u64);
        }
        self.blocks = blocks;
        Ok(())
    }
}
