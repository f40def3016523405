//! Blocks between their get and the disk.
//!
//! An unbounded queue before a slow disk is the memory of a whole bucket. There is one batch that
//! is filled and those that are sealed; [`Waiting::is_behind`] says when a block must wait or be
//! let go.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::super::{Block, BlockKey};

pub(super) type Batch = HashMap<BlockKey, Block>;

/// Blocks on their way to the disk. They are still found here.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) open: Batch,
    pub(super) bytes: usize,
    pub(super) sealed: VecDeque<Arc<Batch>>,
    /// A job is under way that writes until nothing sealed is left.
    pub(super) writing: bool,
    /// A reader has waited for it in vain.
    pub(super) late: bool,
}

impl Waiting {
    /// A block of this many bytes needs a new batch, and the last one is not written yet.
    pub(super) fn is_behind(&self, len: usize, batch: usize) -> bool {
        self.bytes + len > batch && !self.sealed.is_empty()
    }

    pub(super) fn seal(&mut self) {
        if !self.open.is_empty() {
            self.sealed.push_back(Arc::new(std::mem::take(&mut self.open)));
            self.bytes = 0;
        }
    }
}
