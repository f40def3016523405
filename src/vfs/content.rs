//! The bytes of one version of an object, a range at a time.
//!
//! Getting a whole object into memory fails at the first large one, and getting it as one long
//! stream ties a connection to the pace of whoever reads. [`Content`] fetches bounded ranges
//! through the cache, each pinned to the version that was listed. [`Haystack`] gives them to
//! synchronous code as a reader that waits for what has not arrived.

use std::{collections::VecDeque, io::Read, ops::Range, sync::Arc};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    Entry, Op, Vfs,
    decode::Compression,
    haystack::{Feed, Haystack, Stored, from_io},
};
use crate::{
    bucket::{Headers, MAX_GET},
    cache::{Blocks, Use},
    error::{Error, Kind, Result},
    platform::Task,
};

/// Bytes of each further range of a large object. A [`Haystack`] holds at most three: one being
/// read, one waiting, one arriving.
pub(crate) const STEP: u64 = 4 << 20;

/// What a caller is handed at a time by [`Bytes`] streams of decoded content.
const DECODED_CHUNK: usize = 64 << 10;

/// An opened object: its first range, and the way to the others.
#[derive(Debug)]
pub struct Content {
    vfs: Vfs,
    op: Op,
    usage: Use,
    /// The object in the version that is read: newer than the one asked for if `changed`.
    pub entry: Entry,
    /// The version listed was gone and the object was looked up anew.
    pub changed: bool,
    /// What the store said about the object; empty for an empty object.
    pub headers: Arc<Headers>,
    first: Vec<Bytes>,
}

impl Vfs {
    /// Opens `entry` by getting its first `first` bytes (at most [`MAX_GET`]); none for an empty
    /// object. When the listed version is gone, the object is looked up anew, once.
    pub async fn open(&self, op: &Op, entry: Entry, usage: Use, first: u64) -> Result<Content> {
        match self.open_version(op, &entry, usage, first).await {
            Err(error) if error.kind() == Kind::Changed => {
                let newer = self.look_again(op, &entry).await?;
                let mut content = self
                    .open_version(op, &newer, usage, first)
                    .await
                    .map_err(|e| e.at(entry.path.as_str()))?;
                content.changed = true;
                Ok(content)
            }
            opened => opened.map_err(|e| e.at(entry.path.as_str())),
        }
    }

    async fn open_version(
        &self,
        op: &Op,
        entry: &Entry,
        usage: Use,
        first: u64,
    ) -> Result<Content> {
        let end = entry.object.size.min(first.min(MAX_GET));
        let blocks = self.range(op, entry, 0..end, usage).await?;
        Ok(Content {
            vfs: self.clone(),
            op: op.clone(),
            usage,
            entry: entry.clone(),
            changed: false,
            headers: blocks.headers,
            first: blocks.chunks,
        })
    }

    /// An object whose stored bytes are here already, all of them; `None` if they are not.
    pub(crate) fn content_of(&self, op: &Op, entry: &Entry, bytes: Bytes) -> Option<Content> {
        (bytes.len() as u64 == entry.object.size).then(|| Content {
            vfs: self.clone(),
            op: op.clone(),
            usage: Use::Scan,
            entry: entry.clone(),
            changed: false,
            headers: Arc::default(),
            first: if bytes.is_empty() { Vec::new() } else { vec![bytes] },
        })
    }

    /// The stored bytes of a range of one version.
    pub(super) async fn range(
        &self,
        op: &Op,
        entry: &Entry,
        range: Range<u64>,
        usage: Use,
    ) -> Result<Blocks> {
        if range.is_empty() {
            return Ok(Blocks { headers: Arc::default(), chunks: Vec::new() });
        }
        op.check_time(&self.0.platform)?;
        let bucket = self.bucket_for(op, entry.mount);
        self.0.cache.range(&bucket, &op.call, &entry.object, range, usage).await
    }
}

impl Content {
    fn first_len(&self) -> u64 {
        self.first.iter().map(|chunk| chunk.len() as u64).sum()
    }

    /// The first bytes, as far as they lie in one piece.
    pub fn head(&self) -> &[u8] {
        self.first.first().map_or(&[], |chunk| chunk)
    }

    /// What must be undone before the bytes are text: the `Content-Encoding`, or, `by_name`, a
    /// `.gz` or `.zst` ending whose content really is such data.
    pub fn compression(&self, by_name: bool) -> Option<Compression> {
        // An object with both is one compressed stream: that is what the tools that set the
        // encoding by the ending upload.
        let stored = self.headers.content_encoding.as_deref().and_then(Compression::of_encoding);
        let named = || Compression::of_path(&self.entry.path).filter(|c| c.starts(self.head()));
        stored.or_else(|| by_name.then(named).flatten())
    }

    /// The stored bytes after the first range, as a task that feeds them.
    fn feed(&self) -> Feed {
        let left = self.entry.object.size - self.first_len();
        let (sender, receiver) = mpsc::channel(1);
        let (vfs, op, entry) = (self.vfs.clone(), self.op.clone(), self.entry.clone());
        let (usage, mut at, end) = (self.usage, self.first_len(), self.entry.object.size);
        let task = self.vfs.platform().spawn(async move {
            while at < end {
                let to = end.min(at + STEP);
                let blocks = vfs.range(&op, &entry, at..to, usage).await;
                let failed = blocks.is_err();
                let blocks = blocks.map(|b| b.chunks).map_err(|e| e.at(entry.path.as_str()));
                // A closed channel means that the reader has seen enough.
                if sender.send(blocks).await.is_err() || failed {
                    return;
                }
                at = to;
            }
        });
        Feed { receiver, left, _task: task }
    }

    /// A reader for code that may block.
    ///
    /// Without threads nothing may: there all bytes are fetched now, if they are at most `bound`.
    pub async fn haystack(self, by_name: bool, bound: u64) -> Result<Haystack> {
        let compression = self.compression(by_name);
        let whole = self.first_len() == self.entry.object.size;
        let stored = if whole {
            Stored { ready: self.first.into(), feed: None }
        } else if self.vfs.platform().has_threads() {
            let feed = Some(self.feed());
            Stored { ready: self.first.into(), feed }
        } else {
            Stored { ready: self.gather(bound).await?.into(), feed: None }
        };
        Ok(match compression {
            None => Haystack::Stored(stored),
            Some(compression) => Haystack::Compressed(Some((compression, stored))),
        })
    }

    async fn gather(self, bound: u64) -> Result<Vec<Bytes>> {
        if self.entry.object.size > bound {
            return Err(Error::new(
                Kind::TooLarge,
                format!("the object is larger than {bound} bytes and must fit in memory here"),
            )
            .at(self.entry.path.as_str()));
        }
        let mut ranges = self.ranges(STEP);
        let mut chunks = Vec::new();
        while let Some(blocks) = ranges.next().await? {
            chunks.extend(blocks);
        }
        Ok(chunks)
    }

    /// All stored bytes, `step` bytes a get after the first range, one get ahead of the caller.
    pub(super) fn ranges(self, step: u64) -> Ranges {
        let at = self.first_len();
        Ranges {
            end: self.entry.object.size,
            at,
            step,
            first: Some(self.first),
            ahead: None,
            vfs: self.vfs,
            op: self.op,
            entry: self.entry,
            usage: self.usage,
        }
    }

    /// The content as a person means it, decoded, in chunks.
    pub fn stream(self, by_name: bool, bound: u64) -> ByteStream {
        let whole = 0..u64::MAX;
        if self.compression(by_name).is_none() {
            return ByteStream::new(Streaming::stored(self.ranges(STEP)), whole);
        }
        ByteStream::new(Streaming::Opened(Some((Box::new(self), by_name, bound))), whole)
    }

    /// The bytes `part` of what [`stream`](Self::stream) gives, as far as there are any. Gets
    /// only that part where nothing has to be decoded; decodes from the start otherwise.
    pub fn stream_part(self, part: Range<u64>, by_name: bool, bound: u64) -> ByteStream {
        if self.compression(by_name).is_some() {
            return ByteStream { part, ..self.stream(by_name, bound) };
        }
        let size = self.entry.object.size;
        let at = part.start.min(size);
        let mut ranges = Ranges::from(&self.vfs, &self.op, &self.entry, self.usage, at, STEP);
        ranges.end = part.end.min(size);
        ByteStream::new(Streaming::stored(ranges), 0..u64::MAX)
    }
}

/// Ranges of one version in order, the next one fetched while the caller works on this one.
#[derive(Debug)]
pub(super) struct Ranges {
    vfs: Vfs,
    op: Op,
    entry: Entry,
    usage: Use,
    first: Option<Vec<Bytes>>,
    at: u64,
    end: u64,
    step: u64,
    ahead: Option<Task<Result<Blocks>>>,
}

impl Ranges {
    /// Ranges of `entry` from byte `at` on.
    pub(super) fn from(vfs: &Vfs, op: &Op, entry: &Entry, usage: Use, at: u64, step: u64) -> Self {
        Self {
            vfs: vfs.clone(),
            op: op.clone(),
            entry: entry.clone(),
            usage,
            first: None,
            at,
            end: entry.object.size,
            step,
            ahead: None,
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Vec<Bytes>>> {
        if let Some(first) = self.first.take()
            && !first.is_empty()
        {
            return Ok(Some(first));
        }
        let task = match self.ahead.take() {
            Some(task) => task,
            None if self.at >= self.end => return Ok(None),
            None => self.start(),
        };
        if self.at < self.end {
            self.ahead = Some(self.start());
        }
        match task.await {
            Some(blocks) => Ok(Some(blocks.map_err(|e| e.at(self.entry.path.as_str()))?.chunks)),
            None => Err(Error::new(Kind::Cancelled, "the read was stopped")),
        }
    }

    fn start(&mut self) -> Task<Result<Blocks>> {
        let range = self.at..self.end.min(self.at + self.step);
        self.at = range.end;
        let (vfs, op, entry, usage) =
            (self.vfs.clone(), self.op.clone(), self.entry.clone(), self.usage);
        self.vfs.platform().spawn(async move { vfs.range(&op, &entry, range, usage).await })
    }
}

/// Content in chunks, for callers that do not block.
#[derive(Debug)]
pub struct ByteStream {
    source: Streaming,
    /// What of the source's bytes is still wanted, counted from the next one.
    part: Range<u64>,
}

#[derive(Debug)]
enum Streaming {
    Stored { ranges: Box<Ranges>, ready: VecDeque<Bytes> },
    Opened(Option<(Box<Content>, bool, u64)>),
    Decoding(mpsc::Receiver<Result<Bytes>>),
}

impl Streaming {
    fn stored(ranges: Ranges) -> Self {
        Self::Stored { ranges: Box::new(ranges), ready: VecDeque::new() }
    }

    async fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            match self {
                Streaming::Stored { ranges, ready } => {
                    if let Some(chunk) = ready.pop_front() {
                        return Some(Ok(chunk));
                    }
                    match ranges.next().await {
                        Ok(Some(chunks)) => ready.extend(chunks),
                        Ok(None) => return None,
                        Err(error) => return Some(Err(error)),
                    }
                }
                Streaming::Opened(opened) => {
                    let (content, by_name, bound) = opened.take()?;
                    match decoding(*content, by_name, bound).await {
                        Ok(receiver) => *self = Streaming::Decoding(receiver),
                        Err(error) => return Some(Err(error)),
                    }
                }
                Streaming::Decoding(receiver) => return receiver.recv().await,
            }
        }
    }
}

impl ByteStream {
    fn new(source: Streaming, part: Range<u64>) -> Self {
        Self { source, part }
    }

    /// The next chunk, never empty, or `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        while !self.part.is_empty() {
            let mut chunk = match self.source.next().await? {
                Ok(chunk) => chunk,
                Err(error) => return Some(Err(error)),
            };
            let length = chunk.len() as u64;
            let Range { start, end } = self.part;
            self.part = start.saturating_sub(length)..end.saturating_sub(length);
            // Both fit: they are at most the length of a slice.
            chunk.truncate(end.min(length) as usize);
            let wanted = chunk.split_off(start.min(chunk.len() as u64) as usize);
            if !wanted.is_empty() {
                return Some(Ok(wanted));
            }
        }
        None
    }
}

/// Decodes on a thread that may block, or at once where there are none: then what comes out waits
/// in memory, at most [`MAX_GET`] bytes of it.
async fn decoding(
    content: Content,
    by_name: bool,
    bound: u64,
) -> Result<mpsc::Receiver<Result<Bytes>>> {
    let path = content.entry.path.clone();
    let platform = content.vfs.platform().clone();
    let threads = platform.has_threads();
    let mut haystack = content.haystack(by_name, bound).await?;
    // Without threads nobody takes chunks out while they are put in: make room for all, and for
    // the error that says that there are more.
    let most = if threads { usize::MAX } else { (MAX_GET as usize).div_ceil(DECODED_CHUNK) };
    let room = if threads { 4 } else { most + 1 };
    let (sender, receiver) = mpsc::channel(room);
    let send = move |chunk| match threads {
        true => sender.blocking_send(chunk).is_ok(),
        false => sender.try_send(chunk).is_ok(),
    };
    let job = move || {
        for sent in 0.. {
            // Filled to the end, so that their number bounds their bytes.
            let mut chunk = Vec::with_capacity(DECODED_CHUNK);
            let end = haystack.by_ref().take(DECODED_CHUNK as u64).read_to_end(&mut chunk);
            if !chunk.is_empty() && sent >= most {
                let message =
                    format!("it decodes to more than {MAX_GET} bytes and must fit in memory here");
                send(Err(Error::new(Kind::TooLarge, message).at(path)));
                return;
            }
            let whole = chunk.len() == DECODED_CHUNK;
            if !chunk.is_empty() && !send(Ok(chunk.into())) {
                return;
            }
            if let Err(error) = end {
                send(Err(from_io(error).at(path)));
                return;
            }
            if !whole {
                return;
            }
        }
    };
    // The job ends by itself when the receiver is gone.
    drop(platform.blocking(job));
    Ok(receiver)
}
