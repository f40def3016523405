//! Turns the grams of documents round: from each gram to its documents.
//!
//! A map from grams to lists would be a million small vectors that grow. A [`GramWriter`] gives
//! every gram a number when it first comes up and keeps one long list of numbers, document by
//! document: four bytes a posting. Writing sorts the grams, not the postings, and collects the
//! documents of so many grams at a time as fit a fixed space.

use std::{
    io::{self, Seek, Write},
    path::Path,
};

use tempfile::SpooledTempFile;

use super::{
    ascii,
    block::BlockWriter,
    directory::{Directory, Sketch},
    extract::{Grams, SCATTER},
    read::{BLOCKS, DIRECTORY, LISTS},
};
use crate::{
    bundle::{BundleWriter, Heat},
    fault::Result,
};

/// Postings that are collected at a time: 16 MiB.
const COLLECTED: usize = 4 << 20;

/// Bytes of the dictionary that wait in memory until all lists are written.
const WAITING: usize = 16 << 20;

/// Collects the grams of one segment's documents.
#[derive(Debug, Default)]
pub struct GramWriter {
    numbers: Numbers,
    /// The grams of all documents, as numbers.
    grams: Vec<u32>,
    /// Each document, and where its grams end.
    documents: Vec<(u32, usize)>,
    dense: Vec<u32>,
}

impl GramWriter {
    /// Of no documents yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a document, in rising order. One that is never added is never a candidate.
    pub fn add(&mut self, document: u32, grams: &Grams) {
        match grams {
            Grams::Dense => self.dense.push(document),
            Grams::Distinct(grams) => {
                let numbers = &mut self.numbers;
                self.grams.extend(grams.ascii.iter().map(|gram| numbers.of_ascii(*gram)));
                self.grams.extend(grams.others.iter().map(|gram| numbers.of_other(*gram)));
                self.documents.push((document, self.grams.len()));
            }
        }
    }

    /// Bytes that it holds in memory. Writing takes about 40 MiB more.
    pub fn memory(&self) -> usize {
        self.grams.capacity() * 4 + self.documents.capacity() * 16 + self.numbers.memory()
    }

    /// Writes the parts.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn write(self, out: &mut BundleWriter) -> Result<()> {
        let of_lists = self.documents.last().map_or(0, |last| last.0 + 1);
        let universe = self.dense.last().map_or(0, |last| last + 1).max(of_lists);
        let mut grams: Vec<(u64, u32)> = self.numbers.keys.iter().copied().zip(0..).collect();
        grams.sort_unstable();
        let mut ranks = vec![0u32; grams.len()];
        for (rank, (_, number)) in grams.iter().enumerate() {
            ranks[*number as usize] = rank as u32;
        }
        let mut counts = vec![0u32; grams.len()];
        for number in &self.grams {
            counts[ranks[*number as usize] as usize] += 1;
        }
        let mut writer = DictionaryWriter::new(out.dir(), universe, grams.len() as u64);
        let mut lists = out.part(LISTS, Heat::Cold)?;
        let mut from = 0;
        while from < grams.len() {
            let (to, ends) = group(&counts, from);
            let mut documents = vec![0u32; ends.last().copied().unwrap_or(0)];
            let mut filled: Vec<usize> = [0].into_iter().chain(ends.iter().copied()).collect();
            let mut begin = 0;
            for &(document, end) in &self.documents {
                for number in &self.grams[begin..end] {
                    let rank = ranks[*number as usize] as usize;
                    if (from..to).contains(&rank) {
                        documents[filled[rank - from]] = document;
                        filled[rank - from] += 1;
                    }
                }
                begin = end;
            }
            let mut begin = 0;
            for (rank, end) in (from..to).zip(ends) {
                writer.put(grams[rank].0, &documents[begin..end], &mut lists)?;
                begin = end;
            }
            from = to;
        }
        writer.finish(self.dense, out)
    }
}

/// As many grams from `from` on as have at most [`COLLECTED`] postings, but at least one: where
/// they end, and where the postings of each end.
fn group(counts: &[u32], from: usize) -> (usize, Vec<usize>) {
    let mut ends = Vec::new();
    let mut sum = 0;
    for count in &counts[from..] {
        sum += *count as usize;
        if sum > COLLECTED && !ends.is_empty() {
            break;
        }
        ends.push(sum);
    }
    (from + ends.len(), ends)
}

/// Numbers for grams, from 0 in the order of their first use.
#[derive(Debug, Default)]
struct Numbers {
    /// For each gram of ASCII, its number + 1.
    ascii: Vec<u32>,
    /// Others and their numbers + 1; open addressing.
    slots: Vec<(u64, u32)>,
    others: usize,
    /// By number.
    keys: Vec<u64>,
}

impl Numbers {
    fn of_ascii(&mut self, gram: u32) -> u32 {
        if self.ascii.is_empty() {
            // 24 MiB of addresses; memory is taken where it is written to.
            self.ascii = vec![0; ascii::GRAMS];
        }
        let number = &mut self.ascii[gram as usize];
        if *number == 0 {
            self.keys.push(ascii::key(gram as usize));
            *number = self.keys.len() as u32;
        }
        *number - 1
    }

    fn of_other(&mut self, gram: u64) -> u32 {
        if self.others * 2 >= self.slots.len() {
            let size = (self.slots.len() * 2).max(1 << 12);
            for slot in std::mem::replace(&mut self.slots, vec![(0, 0); size]) {
                if slot.1 != 0 {
                    let at = find(&self.slots, slot.0);
                    self.slots[at] = slot;
                }
            }
        }
        let at = find(&self.slots, gram);
        if self.slots[at].1 == 0 {
            self.others += 1;
            self.keys.push(gram);
            self.slots[at] = (gram, self.keys.len() as u32);
        }
        self.slots[at].1 - 1
    }

    fn memory(&self) -> usize {
        let slots = self.slots.capacity() * size_of::<(u64, u32)>();
        self.ascii.len() * 4 + slots + self.keys.capacity() * 8
    }
}

fn find(slots: &[(u64, u32)], gram: u64) -> usize {
    let mask = slots.len() - 1;
    let mut at = (gram.wrapping_mul(SCATTER) >> 32) as usize & mask;
    while slots[at].1 != 0 && slots[at].0 != gram {
        at = (at + 1) & mask;
    }
    at
}

/// Writes grams in rising order with their documents.
pub(super) struct DictionaryWriter {
    directory: Directory,
    block: BlockWriter,
    /// The blocks so far: their part begins where that of the lists ends.
    blocks: SpooledTempFile,
    blocks_len: u64,
    lists_len: u64,
}

impl DictionaryWriter {
    /// Of about `grams` grams; all documents are below `universe`. What has to wait on disk does
    /// so in `dir`.
    pub(super) fn new(dir: &Path, universe: u32, grams: u64) -> Self {
        let sketch = Sketch::new(grams, universe);
        Self {
            directory: Directory {
                universe,
                grams: 0,
                dense: Vec::new(),
                blocks: Vec::new(),
                sketch,
            },
            block: BlockWriter::new(universe, 0),
            blocks: tempfile::spooled_tempfile_in(WAITING, dir),
            blocks_len: 0,
            lists_len: 0,
        }
    }

    /// Adds a gram with its documents, of which there is at least one. Long lists go to `lists`.
    pub(super) fn put(
        &mut self,
        gram: u64,
        documents: &[u32],
        lists: &mut impl Write,
    ) -> Result<()> {
        self.directory.grams += 1;
        self.directory.sketch.note(gram, documents.len() as u32);
        if let Some(list) = self.block.put(gram, documents) {
            self.lists_len += list.len() as u64;
            lists.write_all(&list)?;
        }
        if self.block.is_full() {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        let next = BlockWriter::new(self.directory.universe, self.lists_len);
        if let Some((first, bytes)) = std::mem::replace(&mut self.block, next).finish() {
            self.blocks.write_all(&bytes)?;
            self.blocks_len += bytes.len() as u64;
            self.directory.blocks.push((first, self.blocks_len));
        }
        Ok(())
    }

    /// Writes what waits. `dense` rises.
    pub(super) fn finish(mut self, dense: Vec<u32>, out: &mut BundleWriter) -> Result<()> {
        self.end_block()?;
        self.directory.dense = dense;
        self.blocks.rewind()?;
        io::copy(&mut self.blocks, &mut out.part(BLOCKS, Heat::Cold)?)?;
        out.whole(DIRECTORY, Heat::Hot, &self.directory.encode())
    }
}
