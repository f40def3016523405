//! Some lines of an object.
//!
//! `readFile` and a split make line 2,000,000 of a gigabyte cost a gigabyte of memory.
//! [`Vfs::lines`] scans ranges for line feeds, keeps only the lines of the window, and remembers
//! sparse marks, so that the next window starts near its first line.

use std::{collections::VecDeque, io::Read, ops::ControlFlow};

use encoding_rs_io::DecodeReaderBytesBuilder;

use super::{
    Content, Entry, Op, Vfs,
    content::{Ranges, from_io},
    marks::{Mark, Version},
};
use crate::{
    cache::{BLOCK, Use},
    error::Result,
};

/// Bytes of a get while scanning for lines: two are held, one scanned and one arriving.
const STEP: u64 = 1 << 20;

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRequest {
    /// First line, 1-based. Ignored with `tail`.
    pub offset: u64,
    /// At most this many lines.
    pub limit: u64,
    /// The last `limit` lines instead.
    pub tail: bool,
    /// At most this many bytes of text in all; the window ends before the line that would pass
    /// it, but holds at least one line.
    pub max_bytes: usize,
    /// A line is cut after this many bytes.
    pub max_line: usize,
    /// Decode `.gz` and `.zst` files.
    pub by_name: bool,
}

/// One line, without its line feed (and carriage return).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// 1-based; `None` in the tail of an object whose lines nobody has counted.
    pub number: Option<u64>,
    /// At most `max_line` bytes.
    pub text: Vec<u8>,
    /// Bytes of the line that are left out of `text`.
    pub cut: u64,
}

/// Some lines of one version of an object.
#[derive(Clone, Debug)]
pub struct LineWindow {
    /// The object in the version that was read.
    pub entry: Entry,
    /// The version listed was gone; this is a newer one.
    pub changed: bool,
    /// The lines, in order.
    pub lines: Vec<Line>,
    /// The first line after the window, if there is one.
    pub next: Option<u64>,
    /// Lines in the whole object, where that is known.
    pub total: Option<u64>,
    /// A NUL byte was seen: this is probably no text.
    pub binary: bool,
}

impl Vfs {
    /// Reads a window of lines of `entry`.
    pub async fn lines(&self, op: &Op, entry: Entry, request: WindowRequest) -> Result<LineWindow> {
        let content = self.open(op, entry, Use::Read, STEP).await?;
        if content.compression(request.by_name).is_none() && !is_utf16(content.head()) {
            return self.stored_lines(op, content, request).await;
        }
        let (entry, changed) = (content.entry.clone(), content.changed);
        let haystack = content.haystack(request.by_name, super::MAX_DECODED).await?;
        let scan = self.platform().blocking(move || {
            let mut splitter = Splitter::new(request, Mark::default());
            // ripgrep decodes UTF-16 by its byte order mark and leaves all else as it is.
            let mut reader = DecodeReaderBytesBuilder::new()
                .bom_sniffing(true)
                .utf8_passthru(true)
                .strip_bom(false)
                .build(haystack);
            let mut chunk = vec![0; BLOCK as usize];
            loop {
                match reader.read(&mut chunk) {
                    Ok(0) => return Ok(splitter.finish(true)),
                    Ok(n) if splitter.push(&chunk[..n]).is_break() => {
                        return Ok(splitter.finish(false));
                    }
                    Ok(_) => {}
                    Err(error) => return Err(from_io(error)),
                }
            }
        });
        let scanned = scan.await.unwrap_or_else(|| {
            Err(crate::Error::new(crate::Kind::Cancelled, "the read was stopped"))
        });
        let mut window = scanned.map_err(|e| e.at(entry.path.as_str()))?.window(entry);
        window.changed = changed;
        Ok(window)
    }

    async fn stored_lines(
        &self,
        op: &Op,
        content: Content,
        request: WindowRequest,
    ) -> Result<LineWindow> {
        let (entry, changed) = (content.entry.clone(), content.changed);
        let version =
            (self.bucket(entry.mount).id(), entry.object.key.clone(), entry.object.etag.clone());
        let mut window = if request.tail {
            self.tail(op, &entry, request, &version).await?.window(entry)
        } else {
            let start = self.marks().before(&version, request.offset);
            let ranges = match start.offset {
                0 => content.ranges(STEP),
                at => Ranges::from(self, op, &entry, Use::Scan, at, STEP),
            };
            self.scan_lines(ranges, request, start, &version).await?.window(entry)
        };
        window.changed = changed;
        window.total = window.total.or_else(|| self.marks().total(&version));
        Ok(window)
    }

    async fn scan_lines(
        &self,
        mut ranges: Ranges,
        request: WindowRequest,
        start: Mark,
        version: &Version,
    ) -> Result<Scanned> {
        let mut splitter = Splitter::new(request, start);
        while let Some(chunks) = ranges.next().await? {
            for chunk in chunks {
                let step = splitter.push(&chunk);
                self.marks().add(version, splitter.place);
                if step.is_break() {
                    return Ok(splitter.finish(false));
                }
            }
        }
        let scanned = splitter.finish(true);
        if let Some(total) = scanned.total {
            self.marks().set_total(version, total);
        }
        Ok(scanned)
    }

    /// The last lines, from ranges that go backwards until there are enough line feeds.
    async fn tail(
        &self,
        op: &Op,
        entry: &Entry,
        request: WindowRequest,
        version: &Version,
    ) -> Result<Scanned> {
        let mut start = entry.object.size;
        let mut breaks = 0;
        let floor = entry.object.size.saturating_sub(request.max_bytes as u64 + STEP);
        while start > floor && breaks <= request.limit {
            let from = start.saturating_sub(BLOCK) / BLOCK * BLOCK;
            let blocks = self.range(op, entry, from..start, Use::Read).await?;
            breaks += blocks.chunks.iter().map(|chunk| count(chunk)).sum::<u64>();
            start = from;
        }
        let total = self.marks().total(version);
        let mut splitter = Splitter::new(request, Mark { breaks: 0, offset: start });
        let mut ranges = Ranges::from(self, op, entry, Use::Read, start, STEP);
        while let Some(chunks) = ranges.next().await? {
            for chunk in chunks {
                splitter.tail_push(&chunk);
            }
        }
        let from_start = start == 0;
        let mut scanned = splitter.finish(true);
        let counted = if from_start { scanned.total } else { total };
        let first = counted.map(|total| total + 1 - scanned.lines.len() as u64);
        for (line, at) in scanned.lines.iter_mut().zip(0..) {
            line.number = first.map(|first| first + at);
        }
        scanned.total = counted;
        Ok(scanned)
    }
}

fn is_utf16(head: &[u8]) -> bool {
    head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff])
}

fn count(chunk: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', chunk).count() as u64
}

/// Cuts chunks into lines and keeps those of the window.
struct Splitter {
    request: WindowRequest,
    /// Line feeds and bytes before the next chunk.
    place: Mark,
    kept: VecDeque<Line>,
    kept_bytes: usize,
    /// The line that the last chunk ended in, if it belongs to the window.
    open: Option<Line>,
    /// Bytes of the line under way, kept or not: whether a last line without a feed exists.
    partial: bool,
    next: Option<u64>,
    binary: bool,
}

/// What a scan found.
struct Scanned {
    lines: Vec<Line>,
    next: Option<u64>,
    total: Option<u64>,
    binary: bool,
}

impl Scanned {
    fn window(self, entry: Entry) -> LineWindow {
        LineWindow {
            entry,
            changed: false,
            lines: self.lines,
            next: self.next,
            total: self.total,
            binary: self.binary,
        }
    }
}

impl Splitter {
    fn new(request: WindowRequest, place: Mark) -> Self {
        Self {
            request,
            place,
            kept: VecDeque::new(),
            kept_bytes: 0,
            open: None,
            partial: place.offset > 0,
            next: None,
            binary: false,
        }
    }

    /// Breaks once everything after `chunk` is of no interest.
    fn push(&mut self, chunk: &[u8]) -> ControlFlow<()> {
        if self.request.tail {
            self.tail_push(chunk);
            return ControlFlow::Continue(());
        }
        // Lines before the window only need counting.
        let mut rest = chunk;
        let wanted = self.request.offset.saturating_sub(1);
        if self.place.breaks < wanted {
            let skip = usize::try_from(wanted - self.place.breaks).unwrap_or(usize::MAX);
            match memchr::memchr_iter(b'\n', rest).nth(skip - 1) {
                Some(at) => {
                    rest = &rest[at + 1..];
                    self.advance(&chunk[..=at], wanted - self.place.breaks);
                }
                None => {
                    self.advance(chunk, count(chunk));
                    return ControlFlow::Continue(());
                }
            }
        }
        while !rest.is_empty() {
            let number = self.place.breaks + 1;
            let full = self.kept.len() as u64 >= self.request.limit
                || self.kept_bytes >= self.request.max_bytes && !self.kept.is_empty();
            if full && self.open.is_none() {
                self.next = Some(number);
                return ControlFlow::Break(());
            }
            rest = self.take_line(rest, Some(number));
        }
        ControlFlow::Continue(())
    }

    /// Keeps the last lines instead of the first.
    fn tail_push(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            let number = self.place.breaks + 1;
            chunk = self.take_line(chunk, Some(number));
            self.trim_tail();
        }
    }

    fn trim_tail(&mut self) {
        let held = self.kept.len() as u64 + u64::from(self.open.is_some());
        let over = held > self.request.limit || self.kept_bytes > self.request.max_bytes;
        if over && let Some(line) = self.kept.pop_front() {
            self.kept_bytes -= line.text.len();
        }
    }

    /// Adds the bytes up to the next line feed to the line under way; answers what is left.
    fn take_line<'a>(&mut self, chunk: &'a [u8], number: Option<u64>) -> &'a [u8] {
        let (bytes, rest, ended) = match memchr::memchr(b'\n', chunk) {
            Some(at) => (&chunk[..at], &chunk[at + 1..], true),
            None => (chunk, &chunk[chunk.len()..], false),
        };
        self.binary |= memchr::memchr(0, bytes).is_some();
        let line = self.open.get_or_insert_with(|| Line { number, text: Vec::new(), cut: 0 });
        let room = self.request.max_line.saturating_sub(line.text.len()).min(bytes.len());
        line.text.extend_from_slice(&bytes[..room]);
        line.cut += (bytes.len() - room) as u64;
        self.advance(&chunk[..bytes.len() + usize::from(ended)], u64::from(ended));
        if ended {
            self.close();
        }
        rest
    }

    fn close(&mut self) {
        if let Some(mut line) = self.open.take() {
            if line.cut == 0 && line.text.last() == Some(&b'\r') {
                line.text.pop();
            }
            self.kept_bytes += line.text.len();
            self.kept.push_back(line);
        }
    }

    fn advance(&mut self, bytes: &[u8], breaks: u64) {
        self.place.offset += bytes.len() as u64;
        self.place.breaks += breaks;
        self.partial = bytes.last().is_some_and(|byte| *byte != b'\n');
    }

    fn finish(mut self, at_end: bool) -> Scanned {
        let total = at_end.then(|| self.place.breaks + u64::from(self.partial));
        if at_end {
            self.close();
        }
        while self.request.tail && self.kept.len() as u64 > self.request.limit {
            self.kept.pop_front();
        }
        Scanned { lines: self.kept.into(), next: self.next, total, binary: self.binary }
    }
}
