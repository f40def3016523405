//! The grams of a document.
//!
//! Collecting every gram and sorting takes longer than indexing may, and a hash set of them all
//! is a cache miss a character. An [`Extractor`] has one bit for each gram of [`ascii`] and a hash
//! set for the others. It is fed in pieces cut anywhere, and keeps no more than [`MAX_GRAMS`].

use super::{
    ascii::{self, CLASSES, Three},
    fold::fold,
    key::{NONE, last, single, window},
};

/// A document with more distinct grams is a candidate for everything. Text has some thousands;
/// 2^19 are 4 MiB here, and as many postings as a document of 8 MiB pays for at the usual rate.
pub const MAX_GRAMS: usize = 1 << 19;

/// The grams of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grams {
    /// Each once.
    Distinct(Distinct),
    /// Too many to list: the document may hold anything.
    Dense,
}

/// Grams, each once, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distinct {
    /// Numbers of [`ascii`].
    pub(super) ascii: Vec<u32>,
    /// Keys.
    pub(super) others: Vec<u64>,
}

impl Distinct {
    /// How many.
    pub fn len(&self) -> usize {
        self.ascii.len() + self.others.len()
    }

    /// Whether there is none: a document of at most a character.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their keys, as a [`Query`](super::Query) names them.
    pub fn keys(&self) -> impl Iterator<Item = u64> {
        let ascii = self.ascii.iter().map(|number| ascii::key(*number as usize));
        ascii.chain(self.others.iter().copied())
    }
}

/// Bytes between two looks at how many there are.
const STEP: usize = 64 << 10;

/// Finds the grams of one document after the other. Making one is dearer than using it again.
#[derive(Debug)]
pub struct Extractor {
    /// A bit for each gram of ASCII.
    seen: Box<[u64]>,
    /// Those of which the bit is set, in front; behind them is room.
    ascii: Vec<u32>,
    found: usize,
    others: Seen,
    /// The three characters before, folded, or [`NONE`].
    before: [u32; 3],
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
            seen: vec![0; ascii::GRAMS / 64].into_boxed_slice(),
            ascii: Vec::new(),
            found: 0,
            others: Seen::default(),
            before: [NONE; 3],
            cut: Vec::new(),
            dense: false,
        }
    }

    /// Takes the next piece of a document, cut anywhere.
    pub fn feed(&mut self, piece: &[u8]) {
        // So that a document without end is found out in time.
        for piece in piece.chunks(STEP) {
            if self.found + self.others.keys.len() > MAX_GRAMS {
                self.dense = true;
                return;
            }
            self.step(piece);
        }
    }

    /// Ends the document and begins the next.
    pub fn finish(&mut self) -> Grams {
        self.barrier();
        self.cut.clear();
        let ascii = self.ascii[..self.found].to_vec();
        for number in &ascii {
            self.seen[*number as usize / 64] = 0;
        }
        self.found = 0;
        let others = self.others.take();
        if std::mem::take(&mut self.dense) || ascii.len() + others.len() > MAX_GRAMS {
            self.ascii = Vec::new();
            return Grams::Dense;
        }
        Grams::Distinct(Distinct { ascii, others })
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
                let folded = fold(char);
                if let Some(gram) = single(char, folded) {
                    self.others.insert(gram);
                }
                self.char(folded as u32);
            }
            rest = after;
        }
    }

    /// A run of ASCII.
    fn ascii(&mut self, run: &[u8]) {
        let (head, tail) = run.split_at(run.len().min(3));
        head.iter().for_each(|byte| self.char(u32::from(byte.to_ascii_uppercase())));
        if tail.is_empty() {
            return;
        }
        self.make_room(tail.len());
        // Three ASCII characters stand before the tail.
        let mut three = Three::new(&CLASSES, self.before);
        for byte in tail {
            let next = usize::from(byte.to_ascii_uppercase() & 0x7F);
            self.note(three.gram(next));
            three = three.before(next);
        }
        self.before = three.symbols();
    }

    /// For so many more numbers.
    fn make_room(&mut self, more: usize) {
        if self.ascii.len() < self.found + more {
            self.ascii.resize((self.found + more).next_power_of_two().max(1 << 12), 0);
        }
    }

    /// Every fifth gram is new, too seldom and too often for a branch: it is written down in any
    /// case, and over the one before if that was not new.
    #[inline]
    fn note(&mut self, number: usize) {
        let word = &mut self.seen[number / 64];
        let new = !*word >> (number % 64) & 1;
        *word |= 1 << (number % 64);
        self.ascii[self.found] = number as u32;
        self.found += new as usize;
    }

    fn char(&mut self, symbol: u32) {
        let [a, b, c] = self.before;
        if a != NONE {
            self.window(a, b, c, symbol);
        }
        self.before = [b, c, symbol];
    }

    /// The end, or bytes that are no text.
    fn barrier(&mut self) {
        let [a, b, c] = self.before;
        if a != NONE {
            self.window(a, b, c, NONE);
        }
        if b != NONE {
            self.window(b, c, NONE, NONE);
        }
        if let Some(gram) = last(c) {
            self.others.insert(gram);
        }
        self.before = [NONE; 3];
    }

    fn window(&mut self, a: u32, b: u32, c: u32, d: u32) {
        match ascii::number(a, b, c, d) {
            Some(number) => {
                self.make_room(1);
                self.note(number);
            }
            None => self.others.insert(window(a, b, c, d)),
        }
    }
}

/// Odd and without pattern in its bits (the golden ratio), so that the upper bits of a product
/// depend on all bits of a key.
pub(super) const SCATTER: u64 = 0x9E37_79B9_7F4A_7C15;

/// A set of keys other than 0, which is emptied for each document.
#[derive(Debug, Default)]
struct Seen {
    /// Open addressing; 0 is free.
    slots: Vec<u64>,
    keys: Vec<u64>,
}

impl Seen {
    fn insert(&mut self, key: u64) {
        if self.keys.len() * 2 >= self.slots.len() {
            self.slots = vec![0; (self.slots.len() * 2).max(1 << 10)];
            for at in 0..self.keys.len() {
                let slot = self.slot(self.keys[at]);
                self.slots[slot] = self.keys[at];
            }
        }
        let slot = self.slot(key);
        if self.slots[slot] == 0 {
            self.slots[slot] = key;
            self.keys.push(key);
        }
    }

    /// Where `key` is or belongs.
    #[inline]
    fn slot(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = (key.wrapping_mul(SCATTER) >> 40) as usize & mask;
        while self.slots[slot] != 0 && self.slots[slot] != key {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// Its keys; it is empty after.
    fn take(&mut self) -> Vec<u64> {
        let keys = self.keys.clone();
        if keys.len() * 64 < self.slots.len() && self.slots.len() > 1 << 12 {
            // What one large document needed is not emptied for each small one.
            self.slots = Vec::new();
        } else {
            self.slots.fill(0);
        }
        self.keys.clear();
        keys
    }
}
