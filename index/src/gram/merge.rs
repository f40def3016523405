//! One dictionary out of several.
//!
//! Documents get new numbers, perhaps in another order, so lists cannot be joined as they are. But
//! grams rise in every dictionary: one gram at a time is all that [`merge`] holds, with a window of
//! each input.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    ops::Range,
};

use bytes::Bytes;

use super::{
    GramReader,
    block::{BlockReader, List, documents},
    read::LISTS,
    write::DictionaryWriter,
};
use crate::{
    bundle::{BundleWriter, Heat, Part, at_once, fetch},
    fault::{Fault, FaultKind, Result},
};

/// Bytes that are read of an input at a time.
const WINDOW: u64 = 1 << 20;

/// Writes the parts of a segment that joins `inputs`, each with the new number of each of its
/// documents, or none for one that is gone. No two documents get the same number.
///
/// # Errors
/// What reading and writing fail with; [`FaultKind::Invalid`] when the inputs are not in a local
/// directory, or the numbers are fewer than the documents.
pub fn merge(inputs: &[(GramReader, Vec<Option<u32>>)], out: &mut BundleWriter) -> Result<()> {
    let mut universe = 0;
    let mut dense = Vec::new();
    for (reader, numbers) in inputs {
        if numbers.len() < reader.directory.universe as usize {
            let detail = "a merge of n-grams was given too few documents";
            return Err(Fault::new(FaultKind::Invalid, detail));
        }
        let last = numbers.iter().flatten().max();
        universe = universe.max(last.map_or(0, |last| last + 1));
        dense.extend(renumbered(&reader.directory.dense, numbers));
    }
    dense.sort_unstable();
    let grams =
        inputs.iter().map(|(reader, _)| reader.directory.grams).fold(0, u64::saturating_add);
    let mut writer = DictionaryWriter::new(out.dir(), universe, grams);
    let mut lists = out.part(LISTS, Heat::Cold)?;
    let mut streams: Vec<Stream<'_>> =
        inputs.iter().map(|(reader, _)| Stream::new(reader)).collect();
    let mut next = BinaryHeap::new();
    for (at, stream) in streams.iter_mut().enumerate() {
        next.extend(stream.next()?.map(|(gram, list)| Reverse((gram, at, list))));
    }
    let mut joined = Vec::new();
    while let Some(Reverse((gram, at, list))) = next.pop() {
        joined.extend(renumbered(&list, &inputs[at].1));
        next.extend(streams[at].next()?.map(|(gram, list)| Reverse((gram, at, list))));
        let more = next.peek().is_some_and(|Reverse((other, ..))| *other == gram);
        if !more && !joined.is_empty() {
            joined.sort_unstable();
            joined.dedup();
            writer.put(gram, &joined, &mut lists)?;
            joined.clear();
        }
    }
    writer.finish(dense, out)
}

fn renumbered(documents: &[u32], numbers: &[Option<u32>]) -> impl Iterator<Item = u32> {
    documents.iter().filter_map(|document| numbers.get(*document as usize).copied().flatten())
}

/// All grams of one input in their order.
struct Stream<'a> {
    reader: &'a GramReader,
    /// The next block.
    block: usize,
    blocks: Window<'a>,
    lists: Window<'a>,
    /// The rest of the block before.
    entries: VecDeque<(u64, List)>,
}

impl<'a> Stream<'a> {
    fn new(reader: &'a GramReader) -> Self {
        Self {
            reader,
            block: 0,
            blocks: Window::new(reader.blocks()),
            lists: Window::new(reader.lists()),
            entries: VecDeque::new(),
        }
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<u32>)>> {
        let directory = &self.reader.directory;
        while self.entries.is_empty() && self.block < directory.blocks.len() {
            let (first, range) = directory.block(self.block);
            let bytes = self.blocks.get(range)?;
            let mut entries = BlockReader::new(&bytes, first, directory.universe)?;
            while let Some(entry) = entries.next()? {
                self.entries.push_back(entry);
            }
            self.block += 1;
        }
        Ok(match self.entries.pop_front() {
            None => None,
            Some((gram, List::Inline(documents))) => Some((gram, documents)),
            Some((gram, List::Long { count, start, len })) => {
                let bytes = self.lists.get(start..start.saturating_add(len))?;
                Some((gram, documents(&bytes, count, directory.universe)?))
            }
        })
    }
}

/// Reads a part from its beginning to its end.
struct Window<'a> {
    part: &'a Part,
    range: Range<u64>,
    bytes: Bytes,
}

impl<'a> Window<'a> {
    fn new(part: &'a Part) -> Self {
        Self { part, range: 0..0, bytes: Bytes::new() }
    }

    fn get(&mut self, range: Range<u64>) -> Result<Bytes> {
        if range.start < self.range.start || range.end > self.range.end {
            let end = range.end.max(range.start.saturating_add(WINDOW).min(self.part.len()));
            let wanted = range.start..end;
            let held = at_once(fetch(&[(self.part.clone(), wanted.clone())], 0))?;
            self.bytes = at_once(self.part.read(wanted.clone()))?;
            self.range = wanted;
            drop(held);
        }
        let within =
            (range.start - self.range.start) as usize..(range.end - self.range.start) as usize;
        Ok(self.bytes.slice(within))
    }
}
