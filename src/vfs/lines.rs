//! Some lines of an object.
//!
//! `readFile` and a split make line 2,000,000 of a gigabyte cost a gigabyte of memory.
//! [`Vfs::lines`] scans ranges for line feeds, keeps only the lines of the window, and remembers
//! sparse marks, so that the next window starts near its first line.

use std::{collections::VecDeque, io::Read, ops::ControlFlow};

use encoding_rs_io::DecodeReaderBytesBuilder;

use super::{
    Content, Entry, Op, Vfs,
    content::Ranges,
    haystack::from_io,
    marks::{Mark, Version},
};
use crate::{
    bucket::MAX_GET,
    cache::{BLOCK, Use},
    error::Result,
};

/// Bytes of a get while scanning for lines: two are held, one scanned and one arriving.
const STEP: u64 = 1 << 20;

/// A UTF-8 byte order mark: no part of the first line's text.
const BOM: &[u8] = &[0xef, 0xbb, 0xbf];

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
    /// A tail holds fewer lines than were asked for and exist: more would pass `max_bytes`.
    pub shortened: bool,
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
        // Without threads the stored bytes wait in memory, as many as one get may bring.
        let haystack = content.haystack(request.by_name, MAX_GET).await?;
        let scan = self.platform().blocking(move || {
            let mut splitter = Splitter::new(request, Mark::default());
            // As ripgrep does: UTF-16 is decoded by its byte order mark, a UTF-8 mark is left
            // out, and all else stays as it is.
            let mut reader = DecodeReaderBytesBuilder::new()
                .bom_sniffing(true)
                .utf8_passthru(true)
                .strip_bom(true)
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
        let bucket = self.bucket(entry.mount);
        // The next version of an object that is not trusted may have the same ETag.
        let version = bucket
            .trusts(&entry.object)
            .then(|| (bucket.id(), entry.object.key.clone(), entry.object.etag.clone()));
        let version = version.as_ref();
        let scanned = if request.tail {
            self.tail(op, &entry, request, version).await?
        } else {
            let before = |version| self.marks().before(version, request.offset);
            let start = version.map_or_else(Mark::default, before);
            let ranges = match start.offset {
                0 => content.ranges(STEP),
                at => Ranges::from(self, op, &entry, Use::Scan, at, STEP),
            };
            self.scan_lines(ranges, request, start, entry.object.size, version).await?
        };
        let mut window = scanned.window(entry);
        window.changed = changed;
        window.total = window.total.or_else(|| self.marks().total(version?));
        Ok(window)
    }

    async fn scan_lines(
        &self,
        mut ranges: Ranges,
        request: WindowRequest,
        start: Mark,
        size: u64,
        version: Option<&Version>,
    ) -> Result<Scanned> {
        let mut splitter = Splitter::new(request, start);
        while let Some(chunks) = ranges.next().await? {
            for chunk in chunks {
                let step = splitter.push(&chunk);
                // A mark at the end would be one in a line that does not exist.
                if let Some(version) = version
                    && splitter.place.offset < size
                {
                    self.marks().add(version, splitter.place);
                }
                if step.is_break() {
                    return Ok(splitter.finish(false));
                }
            }
        }
        let scanned = splitter.finish(true);
        if let (Some(version), Some(total)) = (version, scanned.total) {
            self.marks().set_total(version, total);
        }
        Ok(scanned)
    }

    /// The last lines, from ranges that go backwards until there are enough line feeds, or as
    /// many bytes as the answer may hold.
    async fn tail(
        &self,
        op: &Op,
        entry: &Entry,
        request: WindowRequest,
        version: Option<&Version>,
    ) -> Result<Scanned> {
        let size = entry.object.size;
        let mut start = size;
        let mut breaks = 0;
        let mut ends_in_feed = false;
        let floor = size.saturating_sub(request.max_bytes as u64 + STEP);
        while start > floor && breaks <= request.limit {
            let from = start.saturating_sub(BLOCK) / BLOCK * BLOCK;
            let blocks = self.range(op, entry, from..start, Use::Read).await?;
            if start == size {
                ends_in_feed = blocks.chunks.last().is_some_and(|chunk| chunk.ends_with(b"\n"));
            }
            breaks += blocks.chunks.iter().map(|chunk| count(chunk)).sum::<u64>();
            start = from;
        }
        let total = version.and_then(|version| self.marks().total(version));
        let mut scanned = if start > 0 && breaks <= u64::from(ends_in_feed) {
            self.long_last_line(op, entry, request, start).await?
        } else {
            let mut splitter = Splitter::new(request, Mark { breaks: 0, offset: start });
            let mut ranges = Ranges::from(self, op, entry, Use::Read, start, STEP);
            while let Some(chunks) = ranges.next().await? {
                for chunk in chunks {
                    splitter.tail_push(&chunk);
                }
            }
            splitter.finish(true)
        };
        let counted = if start == 0 { scanned.total } else { total };
        let first = counted.map(|total| (total + 1).saturating_sub(scanned.lines.len() as u64));
        for (line, at) in scanned.lines.iter_mut().zip(0..) {
            line.number = first.map(|first| first + at);
        }
        scanned.total = counted;
        Ok(scanned)
    }

    /// The last line of an object, which begins before byte `within`. Its start is looked for
    /// backwards and its middle is never held, so that what is cut off can be counted.
    async fn long_last_line(
        &self,
        op: &Op,
        entry: &Entry,
        request: WindowRequest,
        within: u64,
    ) -> Result<Scanned> {
        let size = entry.object.size;
        let mut start = within;
        while start > 0 {
            let from = start.saturating_sub(STEP);
            let chunks = self.range(op, entry, from..start, Use::Scan).await?.chunks;
            let mut end = start;
            let feed = chunks.iter().rev().find_map(|chunk| {
                end -= chunk.len() as u64;
                memchr::memrchr(b'\n', chunk).map(|at| end + at as u64 + 1)
            });
            start = feed.unwrap_or(from);
            if feed.is_some() {
                break;
            }
        }
        let place = Mark { breaks: u64::from(start > 0), offset: start };
        let mut line = OpenLine::new(None, start == 0);
        let end = self.range(op, entry, size.saturating_sub(2)..size, Use::Scan).await?.chunks;
        let end = end.concat();
        let text_end = size - u64::from(end.ends_with(b"\n"));
        let to = text_end.min(start + MAX_GET.min((request.max_line + BOM.len()) as u64));
        for chunk in self.range(op, entry, start..to, Use::Scan).await?.chunks {
            line.add(&chunk, request.max_line);
        }
        line.cut += text_end - to;
        line.ends_in_return = end.strip_suffix(b"\n").unwrap_or(&end).ends_with(b"\r");
        let binary = memchr::memchr(0, &line.text).is_some();
        let lines = vec![line.close(request.max_line)];
        let shortened = request.limit > 1 && place.breaks > 0;
        Ok(Scanned { lines, next: None, shortened, total: None, binary })
    }
}

fn is_utf16(head: &[u8]) -> bool {
    head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff])
}

fn count(chunk: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', chunk).count() as u64
}

/// The line under way.
#[derive(Debug)]
struct OpenLine {
    number: Option<u64>,
    /// The first of the object: it may begin with a byte order mark.
    first: bool,
    text: Vec<u8>,
    cut: u64,
    /// Its last byte so far is a carriage return: no text if a line feed follows.
    ends_in_return: bool,
}

impl OpenLine {
    fn new(number: Option<u64>, first: bool) -> Self {
        Self { number, first, text: Vec::new(), cut: 0, ends_in_return: false }
    }

    fn add(&mut self, bytes: &[u8], max_line: usize) {
        // A byte order mark goes away in the end and needs room until then.
        let most = max_line + if self.first { BOM.len() } else { 0 };
        let room = most.saturating_sub(self.text.len()).min(bytes.len());
        self.text.extend_from_slice(&bytes[..room]);
        self.cut += (bytes.len() - room) as u64;
        if let Some(last) = bytes.last() {
            self.ends_in_return = *last == b'\r';
        }
    }

    fn close(mut self, max_line: usize) -> Line {
        if self.ends_in_return {
            match self.cut {
                0 => drop(self.text.pop()),
                _ => self.cut -= 1,
            }
        }
        if self.first && self.text.starts_with(BOM) {
            self.text.drain(..BOM.len());
        }
        self.cut += self.text.len().saturating_sub(max_line) as u64;
        self.text.truncate(max_line);
        Line { number: self.number, text: self.text, cut: self.cut }
    }
}

/// Cuts chunks into lines and keeps those of the window.
struct Splitter {
    request: WindowRequest,
    /// Line feeds and bytes before the next chunk.
    place: Mark,
    kept: VecDeque<Line>,
    kept_bytes: usize,
    /// The line that the last chunk ended in, if it belongs to the window.
    open: Option<OpenLine>,
    /// Bytes of the line under way, kept or not: whether a last line without a feed exists.
    partial: bool,
    /// A tail began inside a line: it is passed over, for it is no line without its start.
    headless: bool,
    next: Option<u64>,
    binary: bool,
}

/// What a scan found.
struct Scanned {
    lines: Vec<Line>,
    next: Option<u64>,
    shortened: bool,
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
            shortened: self.shortened,
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
            headless: request.tail && place.offset > 0,
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
            if self.kept.len() as u64 >= self.request.limit && self.open.is_none() {
                self.next = Some(self.place.breaks + 1);
            } else {
                rest = self.take_line(rest);
            }
            if self.next.is_some() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Keeps the last lines instead of the first.
    fn tail_push(&mut self, mut chunk: &[u8]) {
        if self.headless {
            let end = memchr::memchr(b'\n', chunk);
            let passed = end.map_or(chunk.len(), |at| at + 1);
            self.advance(&chunk[..passed], u64::from(end.is_some()));
            self.headless = end.is_none();
            chunk = &chunk[passed..];
        }
        while !chunk.is_empty() {
            chunk = self.take_line(chunk);
        }
    }

    /// Adds the bytes up to the next line feed to the line under way; answers what is left.
    fn take_line<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        let (bytes, rest, ended) = match memchr::memchr(b'\n', chunk) {
            Some(at) => (&chunk[..at], &chunk[at + 1..], true),
            None => (chunk, &chunk[chunk.len()..], false),
        };
        self.binary |= memchr::memchr(0, bytes).is_some();
        let number = self.place.breaks + 1;
        let line = self.open.get_or_insert_with(|| OpenLine::new(Some(number), number == 1));
        line.add(bytes, self.request.max_line);
        // Too long even if its last byte is a return that goes away: no need to see its end.
        let passes = self.kept_bytes + line.text.len() > self.request.max_bytes + 1;
        self.advance(&chunk[..bytes.len() + usize::from(ended)], u64::from(ended));
        if ended {
            self.close();
        } else if passes && !self.request.tail && !self.kept.is_empty() {
            self.next = Some(number);
            self.open = None;
        }
        rest
    }

    /// The line under way is whole: it is kept, or ends the window because it does not fit.
    fn close(&mut self) {
        let Some(line) = self.open.take() else { return };
        let line = line.close(self.request.max_line);
        let bytes = self.kept_bytes + line.text.len();
        if !self.request.tail && bytes > self.request.max_bytes && !self.kept.is_empty() {
            self.next = line.number;
            return;
        }
        self.kept_bytes = bytes;
        self.kept.push_back(line);
        while self.request.tail
            && (self.kept.len() as u64 > self.request.limit
                || self.kept_bytes > self.request.max_bytes && self.kept.len() > 1)
            && let Some(first) = self.kept.pop_front()
        {
            self.kept_bytes -= first.text.len();
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
        // A tail that began inside a line counted that one, too, so this holds for it as well.
        let there = total.unwrap_or(u64::MAX).min(self.request.limit);
        let shortened = self.request.tail && (self.kept.len() as u64) < there;
        let Self { kept, next, binary, .. } = self;
        Scanned { lines: kept.into(), next, shortened, total, binary }
    }
}
