//! Fetched bytes for code that reads synchronously.
//!
//! A reader that ends early looks like a short object: a search over it would miss matches and
//! call itself whole. [`Haystack`] knows how many bytes must come and fails when they do not.

use std::{
    collections::VecDeque,
    io::{self, Read},
};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use super::decode::{Compression, Decoder, MAX_DECODED, decoder};
use crate::{
    error::{Error, Kind, Result},
    platform::Task,
};

/// The ranges after the first, as they are fetched.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) receiver: mpsc::Receiver<Result<Vec<Bytes>>>,
    /// Bytes that have not come yet: a feed that ends before them has broken down.
    pub(super) left: u64,
    pub(super) _task: Task<()>,
}

/// Stored bytes as a blocking reader.
#[derive(Debug)]
pub struct Stored {
    pub(super) ready: VecDeque<Bytes>,
    pub(super) feed: Option<Feed>,
}

impl Read for Stored {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(chunk) = self.ready.front_mut() {
                let n = chunk.len().min(buf.len());
                chunk.copy_to_slice(&mut buf[..n]);
                if chunk.is_empty() {
                    self.ready.pop_front();
                }
                if n > 0 || buf.is_empty() {
                    return Ok(n);
                }
                continue;
            }
            let Some(feed) = self.feed.as_mut().filter(|feed| feed.left > 0) else {
                return Ok(0);
            };
            match feed.receiver.blocking_recv() {
                Some(Ok(chunks)) => {
                    let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
                    feed.left = feed.left.saturating_sub(bytes);
                    self.ready.extend(chunks);
                }
                Some(Err(error)) => return Err(into_io(error)),
                None => {
                    let error = Error::new(Kind::Cancelled, "the read was stopped");
                    return Err(into_io(error));
                }
            }
        }
    }
}

/// The decoded content of an object as a reader for synchronous search. Dropping it stops the
/// fetching.
#[derive(Debug)]
pub enum Haystack {
    /// As stored.
    Stored(Stored),
    /// To be decompressed on the way. The decoder reads a header as soon as it is made, which
    /// may block: it is made by the first read.
    Compressed(Option<(Compression, Stored)>),
    /// Decompressed on the way.
    Decoded(Box<Decoder<Stored>>),
}

impl Read for Haystack {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Self::Compressed(source) = self
            && let Some((compression, stored)) = source.take()
        {
            *self = Self::Decoded(Box::new(decoder(compression, stored, MAX_DECODED)));
        }
        match self {
            Self::Stored(stored) => stored.read(buf),
            Self::Compressed(_) => Ok(0),
            Self::Decoded(decoder) => decoder.read(buf),
        }
    }
}

/// An error as it travels through synchronous readers; [`from_io`] takes it out again.
pub(crate) fn into_io(error: Error) -> io::Error {
    io::Error::other(error)
}

/// The crate's error inside `error`, or a [`Kind::Io`] one around it.
pub(crate) fn from_io(error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(inner) => inner.clone(),
        None => Error::new(Kind::Io, format!("reading failed: {error}")).because(error),
    }
}
