//! Reads the pack.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};

use crate::{
    block::{self, Method},
    bundle::{Bundle, Held, Part, fetch},
    coding::Decoder,
    docs::Place,
    fault::{Fault, Result},
    pack::{DIRECTORY, MAX_TEXT, PART},
};

/// Decoded blocks that stay in memory, 4 MiB of them: a scan in key order meets each block's
/// documents one after the other, side by side on some threads.
const DECODED: usize = 32;

/// See the [module](super). Cheap to clone; clones share the decoded blocks.
#[derive(Clone, Debug)]
pub struct PackReader {
    part: Part,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    blocks: Vec<Block>,
    /// The one used last is at the back.
    decoded: Mutex<VecDeque<(u32, Bytes)>>,
}

#[derive(Debug)]
struct Block {
    at: u64,
    stored: u32,
    raw: u32,
    method: Method,
}

impl PackReader {
    /// The pack of a segment, or none where it was built without. Reads nothing.
    ///
    /// # Errors
    /// [`FaultKind::Damaged`](crate::FaultKind::Damaged) when its directory does not fit it.
    pub fn open(bundle: &Bundle) -> Result<Option<Self>> {
        let Some(directory) = bundle.part(DIRECTORY) else { return Ok(None) };
        let part = bundle.need(PART)?;
        let blocks = parse(&directory.hot()?, part.len())?;
        let decoded = Mutex::new(VecDeque::with_capacity(DECODED));
        Ok(Some(Self { part, shared: Arc::new(Shared { blocks, decoded }) }))
    }

    /// The same pack, read through a bundle of the same file that has another source.
    ///
    /// # Errors
    /// [`FaultKind::Damaged`](crate::FaultKind::Damaged) for a bundle of another file.
    pub fn through(&self, bundle: &Bundle) -> Result<Self> {
        Ok(Self { part: bundle.need(PART)?, shared: self.shared.clone() })
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> u32 {
        self.shared.blocks.len() as u32
    }

    /// The blocks that a text lies in.
    ///
    /// # Errors
    /// [`FaultKind::Damaged`](crate::FaultKind::Damaged) when the place is outside the pack.
    pub fn blocks_of(&self, place: Place) -> Result<Range<u32>> {
        let damaged = || self.part.damaged("a document lies outside of it");
        if place.len as usize > MAX_TEXT {
            return Err(damaged());
        }
        if place.len == 0 {
            return Ok(0..0);
        }
        let mut left = u64::from(place.offset) + u64::from(place.len);
        let mut end = place.block as usize;
        while left > 0 {
            let block = self.shared.blocks.get(end).ok_or_else(damaged)?;
            if end == place.block as usize && place.offset >= block.raw {
                return Err(damaged());
            }
            left = left.saturating_sub(u64::from(block.raw));
            end += 1;
        }
        Ok(place.block..end as u32)
    }

    /// Where in the part the blocks of a text lie: how many bytes reading it costs, and how far
    /// one is from the next.
    ///
    /// # Errors
    /// As [`PackReader::blocks_of`].
    pub fn range_of(&self, place: Place) -> Result<Range<u64>> {
        let blocks = self.blocks_of(place)?;
        let blocks = &self.shared.blocks[blocks.start as usize..blocks.end as usize];
        match (blocks.first(), blocks.last()) {
            (Some(first), Some(last)) => Ok(first.at..last.at + u64::from(last.stored)),
            _ => Ok(0..0),
        }
    }

    /// Brings the blocks of many texts into memory: one round. Those with at most `gap` bytes
    /// between them are read together.
    ///
    /// # Errors
    /// As [`PackReader::blocks_of`] and [`fetch()`].
    pub async fn warm(&self, places: &[Place], gap: u64) -> Result<Held> {
        fetch(&self.wanted(places)?, gap).await
    }

    /// What [`PackReader::warm`] fetches, to be fetched with what else is wanted.
    ///
    /// # Errors
    /// As [`PackReader::blocks_of`].
    pub fn wanted(&self, places: &[Place]) -> Result<Vec<(Part, Range<u64>)>> {
        let range = |place: &Place| Ok((self.part.clone(), self.range_of(*place)?));
        places.iter().map(range).collect()
    }

    /// A text, if its blocks are in memory. Decodes: some 4 ms a MB.
    ///
    /// # Errors
    /// [`FaultKind::Damaged`](crate::FaultKind::Damaged) when there is no such text.
    pub fn get(&self, place: Place) -> Result<Option<Bytes>> {
        let blocks = self.blocks_of(place)?;
        let single = blocks.len() == 1;
        let mut skip = place.offset as usize;
        let mut text = BytesMut::new();
        for number in blocks {
            let Some(raw) = self.block(number)? else { return Ok(None) };
            let take = (place.len as usize - text.len()).min(raw.len() - skip);
            let piece = raw.slice(skip..skip + take);
            if single {
                return Ok(Some(piece));
            }
            text.extend_from_slice(&piece);
            skip = 0;
        }
        Ok(Some(text.freeze()))
    }

    /// A text, fetched where it is not in memory.
    ///
    /// # Errors
    /// As [`PackReader::get`] and [`fetch()`].
    pub async fn text(&self, place: Place) -> Result<Bytes> {
        let held = self.warm(&[place], 0).await?;
        let text = self.get(place)?;
        drop(held);
        text.ok_or_else(|| self.lost())
    }

    /// A block as it is stored, for another pack.
    #[cfg(feature = "build")]
    pub(crate) async fn stored(&self, number: u32) -> Result<(Method, Bytes, u32)> {
        let block = self.find(number)?;
        let range = block.at..block.at + u64::from(block.stored);
        Ok((block.method, self.part.read(range).await?, block.raw))
    }

    /// Bytes of a block's text.
    #[cfg(feature = "build")]
    pub(crate) fn raw_len(&self, number: u32) -> Result<u32> {
        Ok(self.find(number)?.raw)
    }

    fn find(&self, number: u32) -> Result<&Block> {
        let block = self.shared.blocks.get(number as usize);
        block.ok_or_else(|| self.part.damaged("it has no such block"))
    }

    fn block(&self, number: u32) -> Result<Option<Bytes>> {
        let kept = || self.shared.decoded.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = kept();
            if let Some(at) = kept.iter().position(|(kept, _)| *kept == number)
                && let Some(entry) = kept.remove(at)
            {
                let raw = entry.1.clone();
                kept.push_back(entry);
                return Ok(Some(raw));
            }
        }
        let block = self.find(number)?;
        let range = block.at..block.at + u64::from(block.stored);
        let Some(stored) = self.part.get(range)? else { return Ok(None) };
        let raw = Bytes::from(block::unpack(block.method, &stored, block.raw as usize)?);
        let mut kept = kept();
        if kept.len() >= DECODED {
            kept.pop_front();
        }
        kept.push_back((number, raw.clone()));
        Ok(Some(raw))
    }

    fn lost(&self) -> Fault {
        self.part.damaged("what was read of it is not there")
    }
}

fn parse(directory: &[u8], len: u64) -> Result<Vec<Block>> {
    let mut decoder = Decoder::new(directory, "the directory of the pack");
    let count = decoder.count(1)?;
    let mut blocks = Vec::with_capacity(count);
    let mut at = 0u64;
    for _ in 0..count {
        let head = decoder.varint()?;
        let raw = head >> 1;
        if raw == 0 || raw > block::MAX as u64 {
            return Err(decoder.damaged("a block has an impossible length"));
        }
        let (method, stored) = match head & 1 {
            0 => (Method::Stored, raw),
            _ => (Method::Zstd, decoder.varint()?),
        };
        if stored > raw {
            return Err(decoder.damaged("a block is stored longer than it is"));
        }
        blocks.push(Block { at, stored: stored as u32, raw: raw as u32, method });
        at += stored;
    }
    if at != len || !decoder.is_empty() {
        return Err(decoder.damaged("it does not fit the pack"));
    }
    Ok(blocks)
}
