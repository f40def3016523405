//! Blocks in memory, within a byte budget that a scan cannot spend on itself.
//!
//! A plain LRU loses everything it holds to one grep over the whole bucket: each object is touched
//! once and pushes out something that was read for a reason. [`Memory`] keeps two LRU lists. What
//! a reader asked for is *protected*, at most 80 % of the budget; what a scan brought is
//! *probationary* and may use all that the protected blocks leave free, so a scan evicts only
//! what scans left behind, and a repeated scan that fits is answered whole.
//!
//! The `lru` crate keeps order, not bytes: both lists are unbounded and the count is ours.

use std::sync::Arc;

use bytes::Bytes;
use lru::LruCache;

use super::Use;
use crate::bucket::{BucketId, ETag, Headers, Object};

/// One version of one object: what all of its blocks share.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) bucket: BucketId,
    pub(super) key: Box<str>,
    pub(super) etag: ETag,
}

impl Version {
    pub(super) fn of(bucket: BucketId, object: &Object) -> Self {
        Self { bucket, key: object.key.as_str().into(), etag: object.etag.clone() }
    }
}

/// One block of one version. Compared by content: a digest alone could be made to collide by
/// whoever chooses the keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct BlockKey {
    pub(super) version: Arc<Version>,
    pub(super) block: u64,
}

/// The bytes of one block, in an allocation of their own.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) bytes: Bytes,
    pub(super) headers: Arc<Headers>,
}

/// What an entry costs beside its strings and bytes, in bytes: list node 72, table slot up to 40,
/// `Version` 88, `Headers` 48, the shared part of `Bytes` 24, and 16 of the allocator's for each
/// of seven allocations. Blocks of one version share a `Version`; each is charged all the same.
const ENTRY: u64 = 384;

/// The share of the budget that protected blocks may fill: 4/5, the split that the SLRU papers
/// and Caffeine settled on.
const PROTECTED: (u64, u64) = (4, 5);

/// The bytes of memory that keeping this block takes.
pub(super) fn charge(key: &BlockKey, block: &Block) -> u64 {
    let headers = [&block.headers.content_encoding, &block.headers.content_type];
    let strings = key.version.key.len()
        + key.version.etag.0.len()
        + headers.into_iter().flatten().map(|text| text.len()).sum::<usize>();
    (block.bytes.len() + strings) as u64 + ENTRY
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Memory {
    budget: u64,
    protected: List,
    probationary: List,
}

#[derive(Debug)]
struct List {
    entries: LruCache<BlockKey, Block>,
    bytes: u64,
}

impl List {
    fn new() -> Self {
        Self { entries: LruCache::unbounded(), bytes: 0 }
    }

    fn put(&mut self, key: BlockKey, block: Block) {
        self.bytes += charge(&key, &block);
        if let Some((old_key, old)) = self.entries.push(key, block) {
            self.bytes -= charge(&old_key, &old);
        }
    }

    fn take(&mut self, key: &BlockKey) -> Option<(BlockKey, Block)> {
        let (key, block) = self.entries.pop_entry(key)?;
        self.bytes -= charge(&key, &block);
        Some((key, block))
    }

    fn take_oldest(&mut self) -> Option<(BlockKey, Block)> {
        let (key, block) = self.entries.pop_lru()?;
        self.bytes -= charge(&key, &block);
        Some((key, block))
    }
}

impl Memory {
    /// Keeps at most `budget` bytes, [`charge`]d with all they take.
    pub(super) fn new(budget: u64) -> Self {
        Self { budget, protected: List::new(), probationary: List::new() }
    }

    /// The bytes in use, all and protected.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.protected.bytes + self.probationary.bytes, self.protected.bytes)
    }

    /// A block that is kept. A read moves it to the head of the protected list; a scan leaves the
    /// protected list as it is, order included, for what it touches says nothing about what will
    /// be read again.
    pub(super) fn get(&mut self, key: &BlockKey, usage: Use) -> Option<Block> {
        match usage {
            Use::Scan => {
                let kept = self.protected.entries.peek(key);
                kept.or_else(|| self.probationary.entries.get(key)).cloned()
            }
            Use::Read => {
                if let Some(block) = self.protected.entries.get(key) {
                    return Some(block.clone());
                }
                let (key, block) = self.probationary.take(key)?;
                let answer = block.clone();
                self.protect(key, block);
                Some(answer)
            }
        }
    }

    /// Keeps a block, within the budget: one that does not fit beside the protected ones is let
    /// go at once.
    pub(super) fn insert(&mut self, key: BlockKey, block: Block, usage: Use) {
        match usage {
            Use::Read => {
                self.probationary.take(&key);
                self.protect(key, block);
            }
            Use::Scan => {
                if self.protected.entries.contains(&key) {
                    return;
                }
                self.probationary.put(key, block);
                self.evict();
            }
        }
    }

    fn protect(&mut self, key: BlockKey, block: Block) {
        self.protected.put(key, block);
        // Divided first: the budget may be u64::MAX.
        let limit = self.budget / PROTECTED.1 * PROTECTED.0;
        while self.protected.bytes > limit {
            let Some((key, block)) = self.protected.take_oldest() else { break };
            self.probationary.put(key, block);
        }
        self.evict();
    }

    fn evict(&mut self) {
        while self.protected.bytes + self.probationary.bytes > self.budget {
            if self.probationary.take_oldest().is_none() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(block: u64) -> BlockKey {
        let version = Version { bucket: BucketId(1), key: "k".into(), etag: ETag("e".into()) };
        BlockKey { version: Arc::new(version), block }
    }

    fn block(len: usize) -> Block {
        Block { bytes: Bytes::from(vec![7; len]), headers: Arc::default() }
    }

    /// The policy in the plainest words: two vectors, oldest first, of (block, cost).
    #[derive(Default)]
    struct Model {
        budget: u64,
        protected: Vec<(u64, u64)>,
        probationary: Vec<(u64, u64)>,
    }

    impl Model {
        fn total(list: &[(u64, u64)]) -> u64 {
            list.iter().map(|entry| entry.1).sum()
        }

        fn settle(&mut self) {
            while Self::total(&self.protected) > self.budget / 5 * 4 {
                let oldest = self.protected.remove(0);
                self.probationary.push(oldest);
            }
            while Self::total(&self.protected) + Self::total(&self.probationary) > self.budget
                && !self.probationary.is_empty()
            {
                self.probationary.remove(0);
            }
        }

        fn remove(list: &mut Vec<(u64, u64)>, block: u64) -> Option<(u64, u64)> {
            let at = list.iter().position(|entry| entry.0 == block)?;
            Some(list.remove(at))
        }

        fn get(&mut self, block: u64, usage: Use) -> bool {
            let protected = self.protected.iter().any(|entry| entry.0 == block);
            let found = match (usage, protected) {
                (Use::Scan, true) => return true,
                (Use::Scan, false) => Self::remove(&mut self.probationary, block),
                (Use::Read, true) => Self::remove(&mut self.protected, block),
                (Use::Read, false) => Self::remove(&mut self.probationary, block),
            };
            let Some(entry) = found else { return false };
            match usage {
                Use::Scan => self.probationary.push(entry),
                Use::Read => self.protected.push(entry),
            }
            self.settle();
            true
        }

        fn insert(&mut self, block: u64, cost: u64, usage: Use) {
            match usage {
                Use::Scan if self.protected.iter().any(|entry| entry.0 == block) => return,
                Use::Scan => {
                    Self::remove(&mut self.probationary, block);
                    self.probationary.push((block, cost));
                }
                Use::Read => {
                    Self::remove(&mut self.probationary, block);
                    Self::remove(&mut self.protected, block);
                    self.protected.push((block, cost));
                }
            }
            self.settle();
        }
    }

    fn oldest_first(list: &List) -> Vec<(u64, u64)> {
        list.entries.iter().rev().map(|(key, block)| (key.block, charge(key, block))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn does_what_the_model_does(
            budget in 0_u64..12_000,
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u64..12, 0_usize..3_000), 1..200),
        ) {
            let mut memory = Memory::new(budget);
            let mut model = Model { budget, ..Model::default() };
            for (insert, read, at, len) in steps {
                let usage = if read { Use::Read } else { Use::Scan };
                if insert {
                    memory.insert(key(at), block(len), usage);
                    model.insert(at, charge(&key(at), &block(len)), usage);
                } else {
                    prop_assert_eq!(memory.get(&key(at), usage).is_some(), model.get(at, usage));
                }
                prop_assert_eq!(oldest_first(&memory.protected), model.protected.clone());
                prop_assert_eq!(oldest_first(&memory.probationary), model.probationary.clone());
                let (all, protected) = memory.bytes();
                prop_assert_eq!(protected, Model::total(&model.protected));
                prop_assert_eq!(all - protected, Model::total(&model.probationary));
                prop_assert!(all <= budget);
            }
        }
    }

    #[test]
    fn a_scan_of_anything_evicts_nothing_that_was_read() {
        let mut memory = Memory::new(1 << 20);
        for at in 0..7 {
            memory.insert(key(at), block(100_000), Use::Read);
        }
        for at in 100..1_000 {
            memory.insert(key(at), block(100_000), Use::Scan);
            memory.get(&key(at), Use::Scan);
        }
        let lost: Vec<u64> =
            (0..7).filter(|at| memory.get(&key(*at), Use::Scan).is_none()).collect();
        assert_eq!(lost, [] as [u64; 0]);
    }

    #[test]
    fn a_scan_may_fill_what_the_protected_blocks_leave_free() {
        let mut memory = Memory::new(1 << 20);
        for _ in 0..2 {
            for at in 0..10 {
                if memory.get(&key(at), Use::Scan).is_none() {
                    memory.insert(key(at), block(100_000), Use::Scan);
                }
            }
        }
        let lost: Vec<u64> =
            (0..10).filter(|at| memory.get(&key(*at), Use::Scan).is_none()).collect();
        assert_eq!((lost, memory.bytes().1), (vec![], 0));
    }
}
