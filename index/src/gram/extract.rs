//! The grams of a document.
//!
//! Collecting every gram and sorting takes longer than indexing may, and a hash set of them all
//! is a cache miss a character. Nearly all grams of nearly all texts are three ASCII characters:
//! for those an [`Extractor`] has one bit each, and a hash set for the others. It is fed in pieces
//! cut anywhere, and keeps no more than [`MAX_GRAMS`].

use super::{
    fold::fold,
    key::{NONE, key, single, window},
};

/// A document with more distinct grams is a candidate for everything. Text has some thousands;
/// 2^19 are 4 MiB here, and as many postings as a document of 8 MiB pays for at the usual rate.
pub const MAX_GRAMS: usize = 1 << 19;

/// The distinct grams of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grams {
    /// Each once, in no order.
    Distinct(Vec<u64>),
    /// Too many to list: the document may hold anything.
    Dense,
}

/// Bytes between two looks at how many there are.
const STEP: usize = 64 << 10;

/// Bits for the grams of three ASCII characters.
const ASCII: usize = 1 << 21;

/// Finds the grams of one document after the other. Making one is dearer than using it again.
#[derive(Debug)]
pub struct Extractor {
    grams: Vec<u64>,
    ascii: Box<[u64]>,
    /// The words of `ascii` that are not zero.
    touched: Vec<u16>,
    others: Seen,
    /// The two characters before, folded, or [`NONE`].
    before: (u32, u32),
    /// The front of a sequence that the last piece did not end.
    cut: Vec<u8>,
    dense: bool,
}

impl Default for Extractor {
    fn default() -> Self {
        Self::new()
    }
}

impl Extractor {
    /// Before the first document.
    pub fn new() -> Self {
        Self {
            grams: Vec::new(),
            ascii: vec![0; ASCII / 64].into_boxed_slice(),
            touched: Vec::new(),
            others: Seen::default(),
            before: (NONE, NONE),
            cut: Vec::new(),
            dense: false,
        }
    }

    /// Takes the next piece of a document, cut anywhere.
    pub fn feed(&mut self, piece: &[u8]) {
        // So that a document without end is found out in time.
        for piece in piece.chunks(STEP) {
            if self.grams.len() > MAX_GRAMS {
                self.dense = true;
                return;
            }
            self.step(piece);
        }
    }

    fn step(&mut self, piece: &[u8]) {
        let mut chunks = self.complete(piece).utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.text(chunk.valid());
            let invalid = chunk.invalid();
            let unfinished =
                |bytes| std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none());
            if chunks.peek().is_none() && unfinished(invalid) {
                self.cut.extend_from_slice(invalid);
            } else if !invalid.is_empty() {
                self.barrier();
            }
        }
    }

    /// Ends the document and begins the next.
    pub fn finish(&mut self) -> Grams {
        self.barrier();
        self.cut.clear();
        for word in self.touched.drain(..) {
            self.ascii[usize::from(word)] = 0;
        }
        self.others.clear();
        let grams = std::mem::take(&mut self.grams);
        if std::mem::take(&mut self.dense) || grams.len() > MAX_GRAMS {
            return Grams::Dense;
        }
        Grams::Distinct(grams)
    }

    /// Ends a sequence that was cut, and returns what follows it.
    fn complete<'a>(&mut self, mut piece: &'a [u8]) -> &'a [u8] {
        while !self.cut.is_empty()
            && let Some((&byte, rest)) = piece.split_first()
        {
            self.cut.push(byte);
            match std::str::from_utf8(&self.cut) {
                Ok(char) => {
                    let char = char.to_owned();
                    self.cut.clear();
                    self.text(&char);
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => {
                    // Without this byte it was the front of a sequence, so the byte is no part of
                    // it and may begin another.
                    self.cut.clear();
                    self.barrier();
                    break;
                }
            }
            piece = rest;
        }
        piece
    }

    fn text(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let ascii = rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
            let (run, others) = rest.split_at(ascii);
            self.ascii(run.as_bytes());
            let mut chars = others.chars();
            let mut after = others;
            while let Some(char) = chars.next()
                && !char.is_ascii()
            {
                after = chars.as_str();
                self.other(single(char));
                self.char(fold(char) as u32);
            }
            rest = after;
        }
    }

    /// A run of ASCII.
    fn ascii(&mut self, run: &[u8]) {
        let (head, tail) = run.split_at(run.len().min(2));
        head.iter().for_each(|byte| self.char(u32::from(byte.to_ascii_uppercase())));
        if tail.is_empty() {
            return;
        }
        // Two ASCII characters stand before the tail.
        let mut index = (self.before.0 << 7 | self.before.1) as usize;
        for &byte in tail {
            index = (index << 7 | usize::from(byte.to_ascii_uppercase() & 0x7F)) & (ASCII - 1);
            let word = &mut self.ascii[index / 64];
            let bit = 1 << (index % 64);
            if *word & bit == 0 {
                if *word == 0 {
                    self.touched.push((index / 64) as u16);
                }
                *word |= bit;
                let symbol = |shift: usize| (index >> shift) as u32 & 0x7F;
                self.grams.push(key(symbol(14), symbol(7), symbol(0)));
            }
        }
        self.before = ((index >> 7 & 0x7F) as u32, (index & 0x7F) as u32);
    }

    fn char(&mut self, symbol: u32) {
        let (a, b) = self.before;
        if a != NONE {
            self.window(a, b, symbol);
        }
        self.before = (b, symbol);
    }

    /// The end, or bytes that are no text.
    fn barrier(&mut self) {
        let (a, b) = self.before;
        if a != NONE {
            self.window(a, b, NONE);
        }
        self.before = (NONE, NONE);
    }

    fn window(&mut self, a: u32, b: u32, c: u32) {
        if (a | b | c) < 0x80 {
            let index = (a << 14 | b << 7 | c) as usize;
            let word = &mut self.ascii[index / 64];
            if *word == 0 {
                self.touched.push((index / 64) as u16);
            }
            if *word & 1 << (index % 64) == 0 {
                *word |= 1 << (index % 64);
                self.grams.push(key(a, b, c));
            }
        } else {
            self.other(window(a, b, c));
        }
    }

    fn other(&mut self, gram: u64) {
        if self.others.insert(gram) {
            self.grams.push(gram);
        }
    }
}

/// Odd and without pattern in its bits (the golden ratio), so that the upper bits of a product
/// depend on all bits of a key.
pub(super) const SCATTER: u64 = 0x9E37_79B9_7F4A_7C15;

/// A set of keys other than 0, which is emptied for each document.
#[derive(Debug, Default)]
struct Seen {
    slots: Vec<u64>,
    used: Vec<u32>,
}

impl Seen {
    /// Whether it is new.
    fn insert(&mut self, key: u64) -> bool {
        if self.used.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let at = self.find(key);
        if self.slots[at] == key {
            return false;
        }
        self.slots[at] = key;
        self.used.push(at as u32);
        true
    }

    /// Where `key` is or belongs.
    fn find(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (key.wrapping_mul(SCATTER) >> 40) as usize & mask;
        while self.slots[at] != 0 && self.slots[at] != key {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(1 << 10);
        let old = std::mem::replace(&mut self.slots, vec![0; size]);
        for used in &mut self.used {
            let key = old[*used as usize];
            let mask = size - 1;
            let mut at = (key.wrapping_mul(SCATTER) >> 40) as usize & mask;
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = key;
            *used = at as u32;
        }
    }

    fn clear(&mut self) {
        for at in self.used.drain(..) {
            self.slots[at as usize] = 0;
        }
    }
}
