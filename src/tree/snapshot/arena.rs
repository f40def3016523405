//! Sorted objects, front-coded in blocks, in chunks that never move.
//!
//! One growing buffer is copied whenever it is full, and holds its content twice while that
//! lasts: at a million keys the peak would be what the bound is broken by. [`Arena`] appends to
//! chunks that are allocated once. A block of [`BLOCK`] entries starts with a whole key, so that
//! binary search touches block starts only; [`Cursor`] reads on from there.

use std::ops::Range;

use super::codec::{self, Entry};
use crate::bucket::Object;

/// Entries a block. At 16, whole keys cost 60 / 16 = 4 bytes a key more than one endless block
/// would, and a lookup reads 8 entries on average behind its binary search.
pub(super) const BLOCK: usize = 16;

/// The size that chunks grow to, in bytes: large enough that the unused end of each (less than a
/// block, a KiB or two) is under one percent.
const CHUNK: usize = 256 << 10;

/// The size of the first chunk: a bucket of ten objects should not cost more than its keys.
const FIRST_CHUNK: usize = 1 << 10;

#[derive(Clone, Copy, Debug)]
struct Spot {
    chunk: u32,
    at: u32,
}

/// Sorted objects, immutable once written.
#[derive(Debug, Default)]
pub(super) struct Arena {
    chunks: Vec<Vec<u8>>,
    blocks: Vec<Spot>,
    len: usize,
}

impl Arena {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated.
    pub(super) fn resident_bytes(&self) -> usize {
        self.chunks.iter().map(Vec::capacity).sum::<usize>()
            + self.chunks.capacity() * size_of::<Vec<u8>>()
            + self.blocks.capacity() * size_of::<Spot>()
    }

    /// Frees what lies before the chunk that `cursor` reads: a merge needs no entry twice.
    pub(super) fn free_before(&mut self, cursor: &Cursor) {
        if cursor.ordinal < self.len {
            let chunk = self.blocks[cursor.ordinal / BLOCK].chunk as usize;
            if let Some(passed) = chunk.checked_sub(1) {
                self.chunks[passed] = Vec::new();
            }
        }
    }

    fn chunk(&self, ordinal: usize) -> &[u8] {
        &self.chunks[self.blocks[ordinal / BLOCK].chunk as usize]
    }

    /// How many of these blocks, which need not all exist, start with a key that is `before`.
    fn starts_before(&self, blocks: Range<usize>, before: &impl Fn(&[u8]) -> bool) -> usize {
        let end = blocks.end.min(self.blocks.len());
        let starts = &self.blocks[blocks.start.min(end)..end];
        starts.partition_point(|spot| {
            before(codec::first_key(&self.chunks[spot.chunk as usize], spot.at as usize))
        })
    }

    fn append_block(&mut self, block: &[u8]) {
        let room = self.chunks.last().map_or(0, |chunk| chunk.capacity() - chunk.len());
        if room < block.len() {
            let written: usize = self.chunks.iter().map(Vec::len).sum::<usize>().min(CHUNK);
            let capacity = written.clamp(FIRST_CHUNK, CHUNK).max(block.len());
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        // A chunk is 256 KiB, or one block of 16 entries; and 2^32 chunks do not fit in memory.
        self.blocks.push(Spot { chunk: number as u32, at: chunk.len() as u32 });
        chunk.extend_from_slice(block);
    }
}

/// Writes an arena in key order.
#[derive(Debug, Default)]
pub(super) struct Writer {
    arena: Arena,
    block: Vec<u8>,
    key: String,
    base: i64,
}

impl Writer {
    /// `object` sorts after everything pushed before.
    pub(super) fn push(&mut self, object: &Object) {
        if self.arena.len.is_multiple_of(BLOCK) {
            self.seal();
        }
        self.base = codec::write(&mut self.block, &self.key, self.base, object);
        self.key.clone_from(&object.key);
        self.arena.len += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.arena.len
    }

    /// The block that the object pushed last is in.
    pub(super) fn block(&self) -> usize {
        self.arena.len.saturating_sub(1) / BLOCK
    }

    pub(super) fn finish(mut self) -> Arena {
        self.seal();
        if let Some(last) = self.arena.chunks.last_mut() {
            last.shrink_to_fit();
        }
        self.arena.chunks.shrink_to_fit();
        self.arena.blocks.shrink_to_fit();
        self.arena
    }

    fn seal(&mut self) {
        if !self.block.is_empty() {
            self.arena.append_block(&self.block);
            self.block.clear();
        }
        self.key.clear();
        self.base = 0;
    }
}

/// One entry of an arena and the way to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    ordinal: usize,
    key: String,
    entry: Entry,
    base: i64,
}

impl Cursor {
    /// At the first entry of a block, or at the end.
    pub(super) fn at_block(arena: &Arena, block: usize) -> Self {
        let mut cursor = Self::default();
        cursor.enter(arena, block);
        cursor
    }

    /// At the first entry that is not `before`, a predicate that is true of the first keys and
    /// false of all behind them.
    pub(super) fn seek(arena: &Arena, before: impl Fn(&[u8]) -> bool) -> Self {
        let passed = arena.starts_before(0..arena.blocks.len(), &before);
        // The wanted entry is in the last block that starts before it, or is the next start.
        let mut cursor = Self::at_block(arena, passed.saturating_sub(1));
        cursor.step_while(arena, &before);
        cursor
    }

    /// How many entries lie before this one.
    pub(super) fn ordinal(&self) -> usize {
        self.ordinal
    }

    /// The key at this entry; `None` at the end.
    pub(super) fn key(&self, arena: &Arena) -> Option<&str> {
        (self.ordinal < arena.len).then_some(self.key.as_str())
    }

    /// The size of the object at this entry, in bytes; meaningless at the end.
    pub(super) fn size(&self) -> u64 {
        self.entry.size
    }

    /// The object at this entry; `None` at the end.
    pub(super) fn object(&self, arena: &Arena) -> Option<Object> {
        let key = self.key(arena)?.to_owned();
        Some(Object {
            key,
            size: self.entry.size,
            etag: self.entry.etag(arena.chunk(self.ordinal)),
            modified: self.entry.modified,
            archived: self.entry.archived,
        })
    }

    /// Goes to the next entry.
    pub(super) fn step(&mut self, arena: &Arena) {
        if self.ordinal >= arena.len {
            return;
        }
        self.ordinal += 1;
        if self.ordinal.is_multiple_of(BLOCK) {
            self.enter(arena, self.ordinal / BLOCK);
        } else if self.ordinal < arena.len {
            self.load(arena.chunk(self.ordinal), self.entry.end);
        }
    }

    /// Goes forward to the first entry that is not `before` (see [`seek`](Self::seek)).
    pub(super) fn skip(&mut self, arena: &Arena, before: impl Fn(&[u8]) -> bool) {
        // Most directories are small: searching the whole arena for the next one would cost more
        // than reading on, so the steps start at one block and double.
        let here = self.ordinal / BLOCK;
        let (mut low, mut reach) = (here, 1);
        while arena.starts_before(low + reach..low + reach + 1, &before) == 1 {
            low += reach;
            reach *= 2;
        }
        low += arena.starts_before(low + 1..low + reach, &before);
        if low > here {
            self.enter(arena, low);
        }
        self.step_while(arena, &before);
    }

    fn step_while(&mut self, arena: &Arena, before: &impl Fn(&[u8]) -> bool) {
        while self.ordinal < arena.len && before(self.key.as_bytes()) {
            self.step(arena);
        }
    }

    fn enter(&mut self, arena: &Arena, block: usize) {
        self.ordinal = (block * BLOCK).min(arena.len);
        self.key.clear();
        self.base = 0;
        if let Some(spot) = arena.blocks.get(block) {
            self.load(&arena.chunks[spot.chunk as usize], spot.at as usize);
        }
    }

    fn load(&mut self, chunk: &[u8], at: usize) {
        self.entry = codec::read(chunk, at, self.base);
        self.base = self.entry.modified.unwrap_or(self.base);
        self.key.truncate(self.entry.shared);
        // Only text is written; "lossy" because nothing here can fail.
        self.key.push_str(&String::from_utf8_lossy(&chunk[self.entry.suffix.clone()]));
    }
}
