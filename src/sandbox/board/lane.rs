//! What a searching thread holds of the board: where bytes come from, where results go, and what
//! happens when it breaks down.

use std::io;

use super::{Board, stopped};
use crate::{
    error::{Error, Kind},
    search::Output,
    vfs::Haystack,
};

/// The way of one object's results to the board.
pub(in crate::sandbox) struct Lane<'a, C> {
    pub(in crate::sandbox) board: &'a Board<C>,
    pub(in crate::sandbox) n: u64,
    /// The reader is told of each chunk; otherwise of the end, which is near.
    pub(in crate::sandbox) eager: bool,
}

impl<C> Output<C> for Lane<'_, C> {
    fn give(&mut self, chunk: C, bytes: usize) -> io::Result<()> {
        self.board.put(self.n, chunk, bytes, self.eager)
    }
}

/// Ends an object also when whoever works on it panics: without an end the scan would wait for
/// ever.
pub(in crate::sandbox) struct Guard<'a, C> {
    board: &'a Board<C>,
    n: Option<u64>,
}

impl<'a, C> Guard<'a, C> {
    pub(in crate::sandbox) fn new(board: &'a Board<C>, n: u64) -> Self {
        Self { board, n: Some(n) }
    }

    /// The work came to its own end.
    pub(in crate::sandbox) fn disarm(mut self) {
        self.n = None;
    }
}

impl<C> Drop for Guard<'_, C> {
    fn drop(&mut self) {
        if let Some(n) = self.n {
            let error = Error::new(Kind::Io, "the search of this object broke down");
            self.board.end(n, Err(error));
        }
    }
}

/// A haystack that ends in an error once everything is stopped, so that a search without matches
/// stops too.
pub(in crate::sandbox) struct Stoppable<'a, C> {
    pub(in crate::sandbox) board: &'a Board<C>,
    pub(in crate::sandbox) haystack: Haystack,
}

impl<C> io::Read for Stoppable<'_, C> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.board.is_cancelled() {
            return Err(stopped());
        }
        self.haystack.read(buf)
    }
}
