//! Answers a query from one segment.
//!
//! Looking up all grams of a pattern costs more than the documents it spares. A [`GramReader`]
//! reads in two rounds, each one coalesced fetch: first the dictionary blocks of the grams that
//! the directory's sketch takes for the rarest, then, with their true counts in hand, only those
//! lists that still leave out more than they cost ([`Tree::pruned`]). The answer may name more
//! documents than it had to, and never fewer.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use bytes::Bytes;

use super::{
    block::{BlockReader, List, documents},
    choose::chosen,
    directory::Directory,
    query::Query,
    tree::Tree,
};
use crate::{
    bundle::{Bundle, Held, Part, fetch},
    fault::Result,
};

/// The hot part.
pub(super) const DIRECTORY: &str = "gram.dir";
/// The dictionary.
pub(super) const BLOCKS: &str = "gram.blocks";
/// Lists too long for it.
pub(super) const LISTS: &str = "gram.lists";

/// Bytes of the n-grams of a segment that are read whole: those of 20 MB of text, which arrive in
/// about the time of two more requests.
const WHOLE: u64 = 4 << 20;

/// Two ranges this close are read as one: what a bucket sends in the time a request takes to come
/// back is more, and a request costs as much as some documents.
const JOINED: u64 = 256 << 10;

/// Which documents of a segment may match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidates {
    /// The index could not narrow.
    All,
    /// These and no others that were indexed; sorted.
    Docs(Vec<u32>),
}

/// The grams of one segment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GramReader {
    pub(super) directory: Arc<Directory>,
    blocks: Part,
    lists: Part,
}

impl GramReader {
    /// Takes the parts of an open bundle and reads nothing. None where there are no grams.
    ///
    /// # Errors
    /// [`Damaged`](crate::FaultKind::Damaged) when its directory is,
    /// [`Format`](crate::FaultKind::Format) when another version of this program wrote it.
    pub fn open(bundle: &Bundle) -> Result<Option<Self>> {
        let Some(directory) = bundle.part(DIRECTORY) else { return Ok(None) };
        let (blocks, lists) = (bundle.need(BLOCKS)?, bundle.need(LISTS)?);
        let directory = Directory::parse(&directory.hot()?, blocks.len())?;
        Ok(Some(Self { directory: Arc::new(directory), blocks, lists }))
    }

    /// The same grams, read through a bundle of the same file that has another source.
    ///
    /// # Errors
    /// [`Damaged`](crate::FaultKind::Damaged) for a bundle of another file.
    pub fn through(&self, bundle: &Bundle) -> Result<Self> {
        let (blocks, lists) = (bundle.need(BLOCKS)?, bundle.need(LISTS)?);
        Ok(Self { directory: self.directory.clone(), blocks, lists })
    }

    /// The documents that may satisfy `query`, of a segment with `docs` documents, in at most two
    /// rounds. Documents that were never added to the index are not named.
    ///
    /// # Errors
    /// What reading fails with; [`Damaged`](crate::FaultKind::Damaged) for bytes that cannot have
    /// been written. A search answers either by reading every document.
    pub async fn candidates(&self, query: &Query, docs: u32) -> Result<Candidates> {
        if self.directory.universe > docs {
            return Err(self.blocks.damaged("it names documents that are not there"));
        }
        let query = chosen(query, &self.directory);
        if query.is_all() {
            return Ok(Candidates::All);
        }
        let _whole = self.whole().await?;
        let found = self.look_up(&query).await?;
        let tree = Tree::new(&query, &found).pruned(self.directory.universe);
        let mut wanted = Vec::new();
        tree.long_lists(&mut |start, len| {
            wanted.push((self.lists.clone(), start..start.saturating_add(len)));
        });
        let _held = fetch(&wanted, JOINED).await?;
        let mut lists = BTreeMap::new();
        for (part, range) in wanted {
            let bytes = part.read(range.clone()).await?;
            lists.insert(range.start, bytes);
        }
        let long = |start: u64, count: u32| {
            let bytes = lists.get(&start).map(|bytes| &bytes[..]).unwrap_or_default();
            documents(bytes, count, self.directory.universe)
        };
        let Some(mut named) = tree.documents(&long)? else { return Ok(Candidates::All) };
        named.extend(&self.directory.dense);
        named.sort_unstable();
        named.dedup();
        Ok(Candidates::Docs(named))
    }

    /// All of a small dictionary with its lists, where a request costs more than its bytes: the
    /// first question takes one instead of two rounds, and the next none.
    async fn whole(&self) -> Result<Held> {
        let (blocks, lists) = (self.blocks.len(), self.lists.len());
        if !self.blocks.bundle().is_read_whole(blocks.saturating_add(lists), WHOLE) {
            return Ok(Held::default());
        }
        fetch(&[(self.blocks.clone(), 0..blocks), (self.lists.clone(), 0..lists)], JOINED).await
    }

    /// The entries of all grams that `query` names and the dictionary has.
    async fn look_up(&self, query: &Query) -> Result<BTreeMap<u64, List>> {
        let mut ranges = Vec::new();
        query.ranges(&mut ranges);
        ranges.sort_unstable();
        let mut wanted: BTreeMap<usize, Vec<(u64, u64)>> = BTreeMap::new();
        for (first, last) in ranges {
            for block in self.directory.blocks_of(first, last) {
                wanted.entry(block).or_default().push((first, last));
            }
        }
        let _held = self.fetch_blocks(wanted.keys().copied()).await?;
        let mut found = BTreeMap::new();
        for (at, ranges) in wanted {
            let (first, bytes) = self.block(at).await?;
            let mut reader = BlockReader::new(&bytes, first, self.directory.universe)?;
            let mut ranges = &ranges[..];
            while let Some((gram, list)) = reader.next()? {
                while let [(_, last), rest @ ..] = ranges
                    && *last < gram
                {
                    ranges = rest;
                }
                if ranges.is_empty() {
                    break;
                }
                if ranges.iter().any(|(first, last)| (*first..=*last).contains(&gram)) {
                    found.insert(gram, list);
                }
            }
        }
        Ok(found)
    }

    pub(super) async fn fetch_blocks(&self, blocks: impl Iterator<Item = usize>) -> Result<Held> {
        let wanted: Vec<(Part, Range<u64>)> =
            blocks.map(|at| (self.blocks.clone(), self.directory.block(at).1)).collect();
        fetch(&wanted, JOINED).await
    }

    /// A block and its first gram.
    pub(super) async fn block(&self, at: usize) -> Result<(u64, Bytes)> {
        let (first, range) = self.directory.block(at);
        Ok((first, self.blocks.read(range).await?))
    }

    /// The part of the dictionary.
    #[cfg(feature = "build")]
    pub(super) fn blocks(&self) -> &Part {
        &self.blocks
    }

    /// The part of the long lists.
    pub(super) fn lists(&self) -> &Part {
        &self.lists
    }
}
