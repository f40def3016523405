//! Blocks of the dictionary: what is known of each of some thousand grams.
//!
//! A gram of few documents has its list right here, so that looking it up is all it takes; half of
//! all grams have one document. Longer lists lie in another part, in the order of the grams, and a
//! block says how long each is.

use super::{
    bits::{BitReader, BitWriter},
    key::{BITS, NONE, from_numbers, numbers},
    postings,
};
use crate::{
    coding::{Decoder, put_varint},
    fault::Result,
};

/// A gram of at most this many documents has them in the dictionary: 64 bytes at most. They are
/// nine of ten grams and a third of all postings.
pub(super) const INLINE: u32 = 32;

/// Bytes after which a block ends. It is read whole and walked for one gram (some 50 us), and a
/// bucket's answer is a page of 32 KiB in any case; smaller ones only make the directory longer.
const BLOCK: usize = 8 << 10;

/// Where a gram's documents are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Here.
    Inline(Vec<u32>),
    /// In the part of long lists.
    Long {
        /// How many documents.
        count: u32,
        /// Where it begins.
        start: u64,
        /// Its bytes.
        len: u64,
    },
}

impl List {
    /// How many documents it has.
    pub(super) fn count(&self) -> u32 {
        match self {
            Self::Inline(documents) => documents.len() as u32,
            Self::Long { count, .. } => *count,
        }
    }

    /// Bytes to fetch for it.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Inline(_) => 0,
            Self::Long { len, .. } => *len,
        }
    }
}

// Orders of the codes, by what is usual: the next gram differs in its last character and little;
// most symbols are ASCII; a long list has some dozens of bytes.
const NEAR: u32 = 1;
const SYMBOL: u32 = 5;
const LENGTH: u32 = 5;

/// One symbol on its own, of which "none" is frequent.
fn put_symbol(bits: &mut BitWriter, symbol: u32) {
    bits.put_number(if symbol == NONE { 0 } else { u64::from(symbol) + 1 }, SYMBOL);
}

fn get_symbol(bits: &mut BitReader<'_>) -> Option<u32> {
    match bits.number(SYMBOL)? {
        0 => Some(NONE),
        more => u32::try_from(more - 1).ok().filter(|symbol| *symbol < NONE),
    }
}

/// How a gram differs from the one before, which is smaller.
fn put_key(bits: &mut BitWriter, before: u64, gram: u64) {
    let ((a, b, c), (x, y, z)) = (numbers(before), numbers(gram));
    if (a, b) == (x, y) {
        bits.put(1, 1);
        bits.put_number(u64::from(z - c - 1), NEAR);
    } else if a == x {
        bits.put(0b10, 2);
        bits.put_number(u64::from(y - b - 1), NEAR);
        put_symbol(bits, z);
    } else {
        bits.put(0b00, 2);
        bits.put_number(u64::from(x - a - 1), NEAR);
        put_symbol(bits, y);
        put_symbol(bits, z);
    }
}

fn get_key(bits: &mut BitReader<'_>, before: u64) -> Option<u64> {
    let (a, b, c) = numbers(before);
    let later = |bits: &mut BitReader<'_>, symbol: u32| {
        let later = u64::from(symbol) + 1 + bits.number(NEAR)?;
        u32::try_from(later).ok().filter(|symbol| *symbol < 1 << BITS)
    };
    if bits.get(1)? == 1 {
        Some(from_numbers(a, b, later(bits, c)?))
    } else if bits.get(1)? == 1 {
        let y = later(bits, b)?;
        Some(from_numbers(a, y, get_symbol(bits)?))
    } else {
        let x = later(bits, a)?;
        let y = get_symbol(bits)?;
        Some(from_numbers(x, y, get_symbol(bits)?))
    }
}

/// Fills one block.
#[derive(Debug)]
pub(super) struct BlockWriter {
    universe: u32,
    first: Option<u64>,
    last: u64,
    entries: u64,
    lists_start: u64,
    bits: BitWriter,
}

impl BlockWriter {
    /// Of an index of `universe` documents, where the part of long lists ends at `lists` so far.
    pub(super) fn new(universe: u32, lists: u64) -> Self {
        let bits = BitWriter::default();
        Self { universe, first: None, last: 0, entries: 0, lists_start: lists, bits }
    }

    /// Adds a gram larger than the last. Returns the bytes of its list where that is long.
    pub(super) fn put(&mut self, gram: u64, documents: &[u32]) -> Option<Vec<u8>> {
        if self.first.is_none() {
            self.first = Some(gram);
        } else {
            put_key(&mut self.bits, self.last, gram);
        }
        self.last = gram;
        self.entries += 1;
        let count = documents.len() as u64;
        self.bits.put_number(count - 1, 0);
        if count <= u64::from(INLINE) {
            postings::put(&mut self.bits, documents, self.universe);
            return None;
        }
        let mut list = BitWriter::default();
        postings::put(&mut list, documents, self.universe);
        let list = list.finish();
        self.bits.put_number(list.len() as u64, LENGTH);
        Some(list)
    }

    pub(super) fn is_full(&self) -> bool {
        self.bits.len() >= BLOCK * 8
    }

    /// The first gram and the block, unless it is empty.
    pub(super) fn finish(self) -> Option<(u64, Vec<u8>)> {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, self.entries);
        put_varint(&mut bytes, self.lists_start);
        bytes.extend(self.bits.finish());
        self.first.map(|first| (first, bytes))
    }
}

/// Reads a block gram by gram.
#[derive(Debug)]
pub(super) struct BlockReader<'a> {
    universe: u32,
    decoder: Decoder<'a>,
    bits: BitReader<'a>,
    /// The first gram comes from the directory.
    next: Option<u64>,
    last: u64,
    left: u64,
    list: u64,
}

impl<'a> BlockReader<'a> {
    /// # Errors
    /// Damaged when it has no head.
    pub(super) fn new(bytes: &'a [u8], first: u64, universe: u32) -> Result<Self> {
        let mut decoder = Decoder::new(bytes, "a block of grams");
        let (left, list) = (decoder.varint()?, decoder.varint()?);
        let bits = BitReader::new(decoder.rest());
        Ok(Self { universe, decoder, bits, next: Some(first), last: 0, left, list })
    }

    /// The next gram and its documents; grams rise.
    ///
    /// # Errors
    /// Damaged when the bits cannot be a gram.
    pub(super) fn next(&mut self) -> Result<Option<(u64, List)>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.entry().map(Some).ok_or_else(|| self.decoder.damaged("it cannot be decoded"))
    }

    fn entry(&mut self) -> Option<(u64, List)> {
        let bits = &mut self.bits;
        let gram = match self.next.take() {
            Some(first) => first,
            None => get_key(bits, self.last)?,
        };
        self.last = gram;
        let count = u32::try_from(bits.number(0)? + 1).ok()?;
        if count <= INLINE {
            return Some((gram, List::Inline(postings::get(bits, count, self.universe)?)));
        }
        let (start, len) = (self.list, bits.number(LENGTH)?);
        self.list = start.checked_add(len)?;
        (count <= self.universe).then_some((gram, List::Long { count, start, len }))
    }
}

/// The documents of a long list.
pub(super) fn documents(list: &[u8], count: u32, universe: u32) -> Result<Vec<u32>> {
    postings::get(&mut BitReader::new(list), count, universe)
        .ok_or_else(|| Decoder::new(list, "a list of documents").damaged("it cannot be decoded"))
}
