//! Prints what a search finds exactly as ripgrep prints it.
//!
//! Formatting matches by hand ends in a hundred small differences (column with `-o`, separators
//! with `--passthru`, a replacement that spans lines). ripgrep's own printers do it instead, but
//! they write to one stream from one thread, while objects are searched side by side and must come
//! out in path order. So a [`Printer`] lets them write into memory and hands the bytes on in
//! [`Piece`]s; what stands *between* files is the business of whoever puts the pieces in order.

use std::{
    io::{self, Read, Write},
    sync::{Arc, Mutex, PoisonError},
};

use grep_matcher::Matcher;
use grep_printer::{JSONBuilder, StandardBuilder, Stats, SummaryBuilder};
use grep_searcher::{Searcher, Sink, SinkContext, SinkFinish, SinkMatch};
use termcolor::{Ansi, ColorSpec, WriteColor};

use crate::{
    search::{Fill, Found, Output, Pattern, Report},
    tree::path::visible,
};

/// How many bytes are printed into memory before they are handed on: as much as ripgrep's
/// searcher reads at once, so that printing holds no more than reading does.
const PIECE: usize = 64 << 10;

/// Which of ripgrep's three printers, set up.
#[derive(Clone, Debug)]
pub(super) enum Style {
    Lines(StandardBuilder),
    Summary(SummaryBuilder),
    Json(JSONBuilder),
}

/// Some of what is printed for one file.
#[derive(Debug)]
pub(super) struct Piece {
    pub bytes: Vec<u8>,
    /// Only the notice that a binary file matches: ripgrep puts no separator before it.
    pub bare: bool,
}

/// Prints searches; clones share [`Printer::totals`].
#[derive(Clone, Debug)]
pub(super) struct Printer {
    style: Style,
    color: bool,
    harmless: bool,
    totals: Arc<Mutex<Stats>>,
}

impl Printer {
    /// `harmless` is for a terminal: paths are printed with control characters made visible.
    pub(super) fn new(style: Style, color: bool, harmless: bool) -> Self {
        Self { style, color, harmless, totals: Arc::new(Mutex::new(Stats::new())) }
    }

    /// What all searches of a JSON printer counted, for ripgrep's `summary` message.
    pub(super) fn totals(&self) -> Stats {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn print<M: Matcher, R: Read>(
        &self,
        matcher: M,
        searcher: &mut Searcher,
        path: &str,
        mut haystack: R,
        out: &mut dyn Output<Piece>,
    ) -> io::Result<Found> {
        let shown = if self.harmless { visible(path) } else { path.to_owned() };
        let pieces = Pieces { bytes: Vec::new(), out, color: self.color };
        let (mut found, printed, pieces) = match &self.style {
            Style::Lines(builder) => {
                let mut printer = builder.build(pieces);
                let mut tally = Tally::new(printer.sink_with_path(&matcher, &shown));
                searcher.search_reader(&matcher, Fill(&mut haystack), &mut tally)?;
                let found = tally.found(tally.sink.has_match());
                (found, tally.printed, printer.into_inner())
            }
            Style::Summary(builder) => {
                let mut printer = builder.build(pieces);
                let mut tally = Tally::new(printer.sink_with_path(&matcher, &shown));
                searcher.search_reader(&matcher, Fill(&mut haystack), &mut tally)?;
                let found = tally.found(tally.sink.has_match());
                (found, true, printer.into_inner())
            }
            Style::Json(builder) => {
                let mut printer = builder.build(pieces);
                let mut tally = Tally::new(printer.sink_with_path(&matcher, &shown));
                searcher.search_reader(&matcher, Fill(&mut haystack), &mut tally)?;
                let stats = tally.sink.stats();
                *self.totals.lock().unwrap_or_else(PoisonError::into_inner) += stats;
                let found =
                    Found { matches: stats.matches(), ..tally.found(tally.sink.has_match()) };
                (found, true, printer.into_inner())
            }
        };
        found.limit_reached = searcher.max_matches().is_some_and(|limit| found.lines >= limit);
        pieces.finish(!printed)?;
        Ok(found)
    }
}

impl Report for Printer {
    type Chunk = Piece;

    fn search<R: Read>(
        &mut self,
        pattern: &Pattern,
        searcher: &mut Searcher,
        path: &str,
        haystack: R,
        out: &mut dyn Output<Piece>,
    ) -> io::Result<Found> {
        match pattern {
            Pattern::Regex(matcher) => self.print(matcher, searcher, path, haystack, out),
            Pattern::Literals(matcher) => self.print(matcher, searcher, path, haystack, out),
        }
    }
}

/// Counts what passes through one of ripgrep's sinks, because each of the three tells less or
/// other things about a finished search.
struct Tally<S> {
    sink: S,
    /// A line was printed, and with it what ripgrep prints before a file's first line.
    printed: bool,
    lines: u64,
    bytes: u64,
    binary_offset: Option<u64>,
}

impl<S: Sink<Error = io::Error>> Tally<S> {
    fn new(sink: S) -> Self {
        Self { sink, printed: false, lines: 0, bytes: 0, binary_offset: None }
    }

    fn found(&self, matched: bool) -> Found {
        Found {
            matched,
            lines: self.lines,
            matches: self.lines,
            searched_bytes: self.bytes,
            binary_offset: self.binary_offset,
            limit_reached: false,
        }
    }
}

impl<S: Sink<Error = io::Error>> Sink for Tally<S> {
    type Error = io::Error;

    fn matched(&mut self, searcher: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        self.lines += 1;
        let go_on = self.sink.matched(searcher, found)?;
        self.printed |= go_on;
        Ok(go_on)
    }

    fn context(&mut self, searcher: &Searcher, context: &SinkContext<'_>) -> io::Result<bool> {
        let go_on = self.sink.context(searcher, context)?;
        self.printed |= go_on;
        Ok(go_on)
    }

    fn context_break(&mut self, searcher: &Searcher) -> io::Result<bool> {
        self.sink.context_break(searcher)
    }

    fn binary_data(&mut self, searcher: &Searcher, offset: u64) -> io::Result<bool> {
        self.sink.binary_data(searcher, offset)
    }

    fn begin(&mut self, searcher: &Searcher) -> io::Result<bool> {
        self.sink.begin(searcher)
    }

    fn finish(&mut self, searcher: &Searcher, end: &SinkFinish) -> io::Result<()> {
        self.bytes = end.byte_count();
        self.binary_offset = end.binary_byte_offset();
        self.sink.finish(searcher, end)
    }
}

/// Where a printer writes: memory that is handed on when it is full.
struct Pieces<'o> {
    bytes: Vec<u8>,
    out: &'o mut dyn Output<Piece>,
    color: bool,
}

impl Pieces<'_> {
    /// Hands on whole lines, so that an object that fails later leaves no half of one.
    fn give_lines(&mut self) -> io::Result<()> {
        let rest = match memchr::memrchr(b'\n', &self.bytes) {
            Some(last) => self.bytes.split_off(last + 1),
            None => Vec::new(),
        };
        self.give(false)?;
        self.bytes = rest;
        Ok(())
    }

    fn give(&mut self, bare: bool) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        let length = bytes.len();
        self.out.give(Piece { bytes, bare }, length)
    }

    fn finish(mut self, bare: bool) -> io::Result<()> {
        if self.bytes.is_empty() { Ok(()) } else { self.give(bare) }
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE - self.bytes.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.bytes.extend_from_slice(taken);
        if self.bytes.len() == PIECE {
            self.give_lines()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteColor for Pieces<'_> {
    fn supports_color(&self) -> bool {
        self.color
    }

    fn set_color(&mut self, spec: &ColorSpec) -> io::Result<()> {
        if self.color { Ansi::new(self).set_color(spec) } else { Ok(()) }
    }

    fn reset(&mut self) -> io::Result<()> {
        if self.color { Ansi::new(self).reset() } else { Ok(()) }
    }
}
