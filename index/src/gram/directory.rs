//! What of the grams every query reads: where each block of the dictionary begins, and roughly how
//! frequent each gram is.
//!
//! A literal of twenty characters has eighteen grams in as many blocks, and two or three of them
//! say nearly all that the others say. To know which, one would have to read the blocks. So the
//! directory holds a [`Sketch`]: four bits for about four grams, good enough to tell the rare from
//! the frequent.

use std::ops::Range;

use crate::{
    coding::{Decoder, put_varint},
    fault::{Fault, FaultKind, Result},
};

use super::{extract::SCATTER, fold};

/// The version of everything here: grams, blocks, lists.
const FORMAT: u64 = 1;

/// Blocks that are read at once by the largest query, times what no dictionary has.
const MAX_BLOCKS: usize = 1 << 24;

/// The hot part.
#[derive(Debug)]
pub(super) struct Directory {
    /// All documents of a list lie below it.
    pub(super) universe: u32,
    /// How many grams there are.
    pub(super) grams: u64,
    /// Documents with too many grams: candidates for everything. Sorted.
    pub(super) dense: Vec<u32>,
    /// First gram and end of each block.
    pub(super) blocks: Vec<(u64, u64)>,
    pub(super) sketch: Sketch,
}

impl Directory {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, FORMAT);
        put_varint(&mut out, u64::from(*fold::CHECK));
        put_varint(&mut out, u64::from(self.universe));
        put_varint(&mut out, self.grams);
        put_varint(&mut out, self.dense.len() as u64);
        let mut before = 0;
        for &document in &self.dense {
            put_varint(&mut out, u64::from(document - before));
            before = document;
        }
        put_varint(&mut out, self.blocks.len() as u64);
        let (mut first, mut end) = (0, 0);
        for block in &self.blocks {
            put_varint(&mut out, block.0 - first);
            put_varint(&mut out, block.1 - end);
            (first, end) = *block;
        }
        out.push(self.sketch.width as u8);
        out.push(self.sketch.offset as u8);
        out.extend_from_slice(&self.sketch.levels);
        out
    }

    /// `blocks_len` is the length of the part with the blocks.
    pub(super) fn parse(bytes: &[u8], blocks_len: u64) -> Result<Self> {
        let mut decoder = Decoder::new(bytes, "the directory of grams");
        if decoder.varint()? != FORMAT || decoder.varint()? != u64::from(*fold::CHECK) {
            let detail = "the n-grams of the index were written by another version of this program";
            return Err(Fault::new(FaultKind::Format, detail));
        }
        let universe = decoder.varint32()?;
        let grams = decoder.varint()?;
        let count = decoder.count(1)?;
        let mut dense = Vec::with_capacity(count);
        let mut document = 0u32;
        for at in 0..count {
            let next = document.checked_add(decoder.varint32()?);
            match next.filter(|next| *next < universe && (at == 0 || *next > document)) {
                Some(next) => document = next,
                None => return Err(decoder.damaged("its documents are out of order")),
            }
            dense.push(document);
        }
        let count = decoder.count(2)?;
        if count > MAX_BLOCKS {
            return Err(decoder.damaged("it has too many blocks"));
        }
        let mut blocks = Vec::with_capacity(count);
        let (mut first, mut end) = (0u64, 0u64);
        for at in 0..count {
            let gram = first.checked_add(decoder.varint()?);
            let to = end.checked_add(decoder.varint()?);
            match (gram, to) {
                (Some(gram), Some(to)) if to <= blocks_len && (at == 0 || gram > first) => {
                    (first, end) = (gram, to);
                }
                _ => return Err(decoder.damaged("its blocks are out of order")),
            }
            blocks.push((first, end));
        }
        if end != blocks_len {
            return Err(decoder.damaged("it does not name all blocks"));
        }
        let (width, offset) = (u32::from(decoder.byte()?), u32::from(decoder.byte()?));
        if width > Sketch::MAX_WIDTH || width == 0 || offset > 32 {
            return Err(decoder.damaged("its sketch has an odd size"));
        }
        let levels = decoder.take(1 << (width - 1))?.to_vec();
        if !decoder.is_empty() {
            return Err(decoder.damaged("something follows its end"));
        }
        Ok(Self { universe, grams, dense, blocks, sketch: Sketch { width, offset, levels } })
    }

    /// The blocks that hold what there is between two grams.
    pub(super) fn blocks_of(&self, first: u64, last: u64) -> Range<usize> {
        let behind = |gram: u64| self.blocks.partition_point(|(begin, _)| *begin <= gram);
        let end = behind(last);
        behind(first).saturating_sub(1).min(end)..end
    }

    /// The first gram of a block, and its bytes in the part.
    pub(super) fn block(&self, at: usize) -> (u64, Range<u64>) {
        let start = at.checked_sub(1).map_or(0, |before| self.blocks[before].1);
        (self.blocks[at].0, start..self.blocks[at].1)
    }
}

/// An upper bound for the documents of each gram, coarse but small. Grams share counters, which
/// keep the largest.
#[derive(Debug)]
pub(super) struct Sketch {
    /// 2^width counters.
    width: u32,
    /// A level is this much less than the bits of the count.
    offset: u32,
    /// Two a byte.
    levels: Vec<u8>,
}

impl Sketch {
    /// 64 KiB, which is what opening an index should cost at most for this.
    const MAX_WIDTH: u32 = 17;

    /// For about `grams` grams of an index of `universe` documents.
    pub(super) fn new(grams: u64, universe: u32) -> Self {
        let width = (grams / 4).max(2).ilog2().clamp(8, Self::MAX_WIDTH);
        let offset = (u32::BITS - universe.leading_zeros()).saturating_sub(15);
        Self { width, offset, levels: vec![0; 1 << (width - 1)] }
    }

    /// Notes that `gram` has `count` documents.
    pub(super) fn note(&mut self, gram: u64, count: u32) {
        let bits = u32::BITS - count.leading_zeros();
        let level = bits.saturating_sub(self.offset).clamp(1, 15) as u8;
        let (at, shift) = self.place(gram);
        if self.levels[at] >> shift & 15 < level {
            self.levels[at] = self.levels[at] & !(15 << shift) | level << shift;
        }
    }

    /// `gram` has at most this many documents; 0 where it is in none.
    pub(super) fn most(&self, gram: u64) -> u32 {
        let (at, shift) = self.place(gram);
        match u32::from(self.levels[at] >> shift & 15) {
            0 => 0,
            // A level of 15 has no upper bound.
            15 => u32::MAX,
            level => (1u64 << (level + self.offset).min(32)).min(u64::from(u32::MAX)) as u32,
        }
    }

    fn place(&self, gram: u64) -> (usize, u32) {
        let counter = (gram.wrapping_mul(SCATTER) >> (u64::BITS - self.width)) as usize;
        (counter / 2, (counter % 2) as u32 * 4)
    }
}
