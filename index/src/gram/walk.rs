//! All grams of a segment, for whoever checks them.

use std::ops::Range;

use super::{
    GramReader,
    block::{BlockReader, List, documents},
};
use crate::{
    bundle::{Part, fetch},
    fault::Result,
};

/// Blocks of the dictionary that are read at a time, with their lists.
const AT_ONCE: usize = 64;

/// Lists this close are read as one: a walk reads them all.
const JOINED: u64 = 1 << 20;

impl GramReader {
    /// Calls `each` with every gram and its documents, grams and documents in rising order. Those
    /// that may hold anything are not among the documents: see [`GramReader::dense`].
    ///
    /// # Errors
    /// What reading fails with; [`Damaged`](crate::FaultKind::Damaged) for bytes that cannot have
    /// been written.
    pub async fn walk(&self, mut each: impl FnMut(u64, &[u32])) -> Result<()> {
        let directory = &self.directory;
        let blocks: Vec<usize> = (0..directory.blocks.len()).collect();
        for blocks in blocks.chunks(AT_ONCE) {
            let held = self.fetch_blocks(blocks.iter().copied()).await?;
            let mut entries = Vec::new();
            for at in blocks {
                let (first, bytes) = self.block(*at).await?;
                let mut reader = BlockReader::new(&bytes, first, directory.universe)?;
                while let Some(entry) = reader.next()? {
                    entries.push(entry);
                }
            }
            drop(held);
            let wanted: Vec<(Part, Range<u64>)> = entries
                .iter()
                .filter_map(|(_, list)| match list {
                    List::Inline(_) => None,
                    List::Long { start, len, .. } => {
                        Some((self.lists().clone(), *start..start.saturating_add(*len)))
                    }
                })
                .collect();
            let held = fetch(&wanted, JOINED).await?;
            for (gram, list) in entries {
                match list {
                    List::Inline(documents) => each(gram, &documents),
                    List::Long { count, start, len } => {
                        let range = start..start.saturating_add(len);
                        let bytes = self.lists().read(range).await?;
                        each(gram, &documents(&bytes, count, directory.universe)?);
                    }
                }
            }
            drop(held);
        }
        Ok(())
    }

    /// The documents whose grams were too many to list, in rising order.
    pub fn dense(&self) -> &[u32] {
        &self.directory.dense
    }
}
