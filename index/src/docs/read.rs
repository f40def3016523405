//! The table in memory.

use std::sync::Arc;

use crate::{
    block::{self, Method},
    bundle::Bundle,
    coding::Decoder,
    docs::{Doc, GROUP, PART, State, row},
    fault::Result,
};

const WHAT: &str = "the documents table";

/// Bytes of all rows. 32-bit group offsets allow four times as much; a segment of ten million
/// documents has some 600 MB.
pub(super) const MAX_ROWS: u64 = 1 << 30;

/// How far a block of rows may shrink: a table takes memory in proportion to its file, whoever made
/// it. Zstd alone would let 120 KB become a gigabyte. What shrinks further is stored as it is.
pub(super) const MAX_RATIO: usize = 256;

/// See the [module](super). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Docs {
    table: Arc<Table>,
}

#[derive(Debug)]
struct Table {
    rows: Vec<u8>,
    /// Where each group of rows begins.
    groups: Vec<u32>,
    len: u32,
    gone: u32,
}

impl Docs {
    /// The table of a segment. Reads nothing: the part is hot.
    ///
    /// # Errors
    /// [`FaultKind::Damaged`](crate::FaultKind::Damaged) when it is missing, or a row is impossible
    /// or out of order.
    pub fn open(bundle: &Bundle) -> Result<Self> {
        Self::parse(&bundle.need(PART)?.hot()?)
    }

    /// From the bytes of the part.
    ///
    /// # Errors
    /// As [`Docs::open`].
    pub fn parse(part: &[u8]) -> Result<Self> {
        let mut decoder = Decoder::new(part, WHAT);
        let len = decoder.varint32()?;
        let total = decoder.varint()?;
        if total > MAX_ROWS {
            return Err(decoder.damaged("it claims to be larger than any"));
        }
        let mut rows = Vec::new();
        while !decoder.is_empty() {
            let head = decoder.varint()?;
            let method = if head & 1 == 0 { Method::Stored } else { Method::Zstd };
            let raw = usize::try_from(head >> 1).unwrap_or(usize::MAX);
            let stored = decoder.bytes()?;
            if raw / MAX_RATIO > stored.len() {
                return Err(decoder.damaged("it grows more than any"));
            }
            rows.extend_from_slice(&block::unpack(method, stored, raw)?);
            if rows.len() as u64 > total {
                return Err(decoder.damaged("it is longer than it says"));
            }
        }
        if rows.len() as u64 != total {
            return Err(decoder.damaged("it is shorter than it says"));
        }
        rows.shrink_to_fit();
        let mut decoder = Decoder::new(&rows, WHAT);
        let mut groups = Vec::with_capacity((len as usize).min(rows.len()).div_ceil(GROUP));
        let mut before = row::Before::default();
        let mut last: Option<String> = None;
        let mut gone = 0;
        for at in 0..len {
            if (at as usize).is_multiple_of(GROUP) {
                groups.push((rows.len() - decoder.rest().len()) as u32);
                before.clear();
            }
            let doc = row::get(&mut decoder, &mut before)?;
            if last.as_ref().is_some_and(|last| *last >= doc.key) {
                return Err(decoder.damaged("its keys are out of order"));
            }
            gone += u32::from(doc.state.has(State::GONE));
            last = Some(doc.key);
        }
        if !decoder.is_empty() {
            return Err(decoder.damaged("it has more rows than it says"));
        }
        Ok(Self { table: Arc::new(Table { rows, groups, len, gone }) })
    }

    /// How many documents it has, tombstones too.
    pub fn len(&self) -> u32 {
        self.table.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them are tombstones.
    pub fn gone(&self) -> u32 {
        self.table.gone
    }

    /// What it takes in memory.
    pub fn bytes(&self) -> usize {
        self.table.rows.len() + self.table.groups.len() * 4
    }

    /// All documents, in key order, with their numbers.
    pub fn iter(&self) -> DocsIter {
        self.iter_from(0)
    }

    /// The documents whose numbers are at least `first`.
    pub fn iter_from(&self, first: u32) -> DocsIter {
        let group = first as usize / GROUP;
        let at = self.table.groups.get(group).map_or(self.table.rows.len(), |at| *at as usize);
        let next = ((group * GROUP) as u32).min(self.len());
        let mut iter = DocsIter { docs: self.clone(), at, next, before: row::Before::default() };
        while iter.next < first && iter.next().is_some() {}
        iter
    }

    /// A document by number.
    pub fn get(&self, number: u32) -> Option<Doc> {
        let (at, doc) = self.iter_from(number).next()?;
        (at == number).then_some(doc)
    }

    /// A document by key, with its number.
    pub fn find(&self, key: &str) -> Option<(u32, Doc)> {
        let (number, doc) = self.seek(key).next()?;
        (doc.key == key).then_some((number, doc))
    }

    /// The documents whose keys are not less than `key`.
    pub fn seek(&self, key: &str) -> DocsIter {
        let table = &*self.table;
        // The last group that does not begin behind the key, if there is any.
        let group = table.groups.partition_point(|at| {
            let mut decoder = Decoder::new(&table.rows[*at as usize..], WHAT);
            let mut before = row::Before::default();
            row::skip(&mut decoder, &mut before).is_ok() && *before.key <= *key
        });
        let first = group.saturating_sub(1) * GROUP;
        let mut decoder = match table.groups.get(first / GROUP) {
            Some(at) => Decoder::new(&table.rows[*at as usize..], WHAT),
            None => return self.iter_from(self.len()),
        };
        let mut before = row::Before::default();
        let mut number = first as u32;
        let end = (number + GROUP as u32).min(self.len());
        while number < end && row::skip(&mut decoder, &mut before).is_ok() && *before.key < *key {
            number += 1;
        }
        self.iter_from(number)
    }
}

/// Documents in key order, with their numbers. See [`Docs::iter`].
#[derive(Clone, Debug)]
pub struct DocsIter {
    docs: Docs,
    at: usize,
    next: u32,
    before: row::Before,
}

impl Iterator for DocsIter {
    type Item = (u32, Doc);

    fn next(&mut self) -> Option<(u32, Doc)> {
        if self.next >= self.docs.len() {
            return None;
        }
        if (self.next as usize).is_multiple_of(GROUP) {
            self.before.clear();
        }
        let rows = &self.docs.table.rows;
        let mut decoder = Decoder::new(&rows[self.at..], WHAT);
        // Opening has decoded every row, so there is no fault to tell of.
        let doc = row::get(&mut decoder, &mut self.before).ok()?;
        self.at = rows.len() - decoder.rest().len();
        self.next += 1;
        Some((self.next - 1, doc))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.docs.len() - self.next) as usize;
        (left, Some(left))
    }
}

impl IntoIterator for &Docs {
    type Item = (u32, Doc);
    type IntoIter = DocsIter;

    fn into_iter(self) -> DocsIter {
        self.iter()
    }
}
