//! Typed results of a search.
//!
//! ripgrep's printers make text; an agent wants lines, offsets and ranges. What is easily lost in
//! between is what the printers decide on their own: a match in a binary object counts but is
//! not shown, a counting mode takes back what it counted when a NUL comes late, an empty match at
//! a line's end is none. [`Hits`] decides each of them as grep-printer does.

use std::{
    io::{self, Read},
    mem,
    ops::Range,
};

use grep_matcher::{LineTerminator, Matcher};
use grep_searcher::{Searcher, Sink, SinkContext, SinkFinish, SinkMatch};

use super::{Fill, Found, Output, Pattern, Report};

/// A chunk is given on at about this size: large enough that the queue behind costs nothing,
/// small enough that a result is not kept waiting.
const CHUNK: usize = 64 << 10;

/// The ranges kept for one hit. A line of the heap limit's length with a match at every byte
/// would otherwise take 16 times its size.
const MAX_SUBMATCHES: usize = 10_000;

/// grep-printer looks this far past a multi-line match for what its look-ahead needs.
const LOOK_AHEAD: usize = 128;

/// What is wanted of each object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HitMode {
    /// The hits themselves.
    #[default]
    Content,
    /// `-l`: only whether there is a match; the search stops at the first.
    FilesWithMatches,
    /// `--files-without-match`: likewise; the caller turns it round. A binary object that was
    /// left is neither.
    FilesWithoutMatch,
    /// `-c`: how many lines.
    Count,
    /// `--count-matches`: how many matches.
    CountMatches,
}

/// What a hit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HitKind {
    /// Lines that match.
    Match,
    /// A line shown for its neighbour's sake.
    Context,
    /// Lines were left out between the hit before and the one after.
    Break,
}

/// One line, or several where a match spans them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub kind: HitKind,
    /// The number of its first line, from 1, if lines are counted.
    pub line: Option<u64>,
    /// Where `text` begins in the object, in bytes after decoding.
    pub offset: u64,
    /// The bytes of the lines without the last line end, or with `-o` exactly those of the match;
    /// not always UTF-8.
    pub text: Vec<u8>,
    /// Where in `text` the matches are; at most the first 10,000.
    pub submatches: Vec<Range<usize>>,
    /// `text` is a part of the line: the match and what is near it.
    pub cut: bool,
}

impl Hit {
    fn break_at(offset: u64) -> Self {
        let (text, submatches) = (Vec::new(), Vec::new());
        Self { kind: HitKind::Break, line: None, offset, text, submatches, cut: false }
    }

    fn bytes(&self) -> usize {
        mem::size_of::<Self>() + self.text.len() + mem::size_of_val(self.submatches.as_slice())
    }
}

/// The typed report.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    /// What is wanted of each object.
    pub mode: HitMode,
    /// The most bytes of a hit's text; a longer one is cut round its first match.
    pub max_line_bytes: Option<usize>,
    /// `-o`: a hit for each match rather than for each line.
    pub only_matching: bool,
}

impl Report for Hits {
    type Chunk = Vec<Hit>;

    fn search<R: Read>(
        &mut self,
        pattern: &Pattern,
        searcher: &mut Searcher,
        _path: &str,
        haystack: R,
        out: &mut dyn Output<Vec<Hit>>,
    ) -> io::Result<Found> {
        match pattern {
            Pattern::Regex(matcher) => self.run(matcher, searcher, haystack, out),
            Pattern::Literals(matcher) => self.run(matcher, searcher, haystack, out),
        }
    }
}

impl Hits {
    fn run<M: Matcher, R: Read>(
        &self,
        matcher: &M,
        searcher: &mut Searcher,
        haystack: R,
        out: &mut dyn Output<Vec<Hit>>,
    ) -> io::Result<Found> {
        // ripgrep does not search at all then; the searcher would show one line of `-v`.
        if searcher.max_matches() == Some(0) {
            return Ok(Found { limit_reached: true, ..Found::default() });
        }
        let mut sink = HitSink {
            hits: self,
            matcher,
            batch: Batch { out, hits: Vec::new(), bytes: 0, broken: false },
            found: Found::default(),
        };
        searcher.search_reader(matcher, Fill(haystack), &mut sink)?;
        let HitSink { mut batch, mut found, .. } = sink;
        batch.give()?;
        let count = found.lines.max(found.matches);
        found.limit_reached = searcher.max_matches().is_some_and(|max| count >= max);
        Ok(found)
    }
}

struct Batch<'a> {
    out: &'a mut dyn Output<Vec<Hit>>,
    hits: Vec<Hit>,
    bytes: usize,
    /// A break is due before the next hit; without a next one there is nothing to set apart.
    broken: bool,
}

impl Batch<'_> {
    fn push(&mut self, hit: Hit) -> io::Result<()> {
        if mem::take(&mut self.broken) {
            self.hits.push(Hit::break_at(hit.offset));
        }
        self.bytes += hit.bytes();
        self.hits.push(hit);
        if self.bytes >= CHUNK { self.give() } else { Ok(()) }
    }

    fn give(&mut self) -> io::Result<()> {
        if self.hits.is_empty() {
            return Ok(());
        }
        self.out.give(mem::take(&mut self.hits), mem::take(&mut self.bytes))
    }
}

struct HitSink<'a, M> {
    hits: &'a Hits,
    matcher: &'a M,
    batch: Batch<'a>,
    found: Found,
}

/// Lines as the searcher hands them over.
struct Lines<'a> {
    kind: HitKind,
    line: Option<u64>,
    offset: u64,
    /// What holds the lines; look-around may see beyond them.
    buffer: &'a [u8],
    range: Range<usize>,
}

impl<M: Matcher> HitSink<'_, M> {
    /// Gives on `lines` whole, or match by match with `-o`. `mark` says whether matches are
    /// looked for; the answer is how many there were.
    fn show(&mut self, searcher: &Searcher, lines: &Lines<'_>, mark: bool) -> io::Result<u64> {
        let whole = &lines.buffer[lines.range.clone()];
        let text = &whole[..whole.len() - line_end(whole, searcher.line_terminator())];
        let (batch, hits) = (&mut self.batch, self.hits);
        let mut matches = 0;
        let mut submatches = Vec::new();
        let mut line = lines.line;
        let mut counted = 0;
        if mark {
            each_match(self.matcher, searcher, lines, |m| {
                matches += 1;
                if hits.only_matching {
                    let ends = count_byte(&whole[counted..m.start], searcher);
                    line = line.map(|n| n + ends);
                    counted = m.start;
                    let part = &whole[m.clone()];
                    return batch.push(hits.hit(lines, line, m.start, part, vec![0..part.len()]));
                }
                if submatches.len() < MAX_SUBMATCHES {
                    submatches.push(m.start.min(text.len())..m.end.min(text.len()));
                }
                Ok(())
            })?;
        }
        // Without any match the line is shown even with `-o`: it is one of `-v`, of a context,
        // or its only match is the empty one after its end.
        if matches == 0 || !hits.only_matching {
            batch.push(hits.hit(lines, lines.line, 0, text, submatches))?;
        }
        Ok(matches)
    }
}

impl Hits {
    /// A hit for `text`, which lies `at` bytes into `lines`, cut to the limit.
    fn hit(
        &self,
        lines: &Lines<'_>,
        line: Option<u64>,
        at: usize,
        text: &[u8],
        mut submatches: Vec<Range<usize>>,
    ) -> Hit {
        let max = self.max_line_bytes.unwrap_or(usize::MAX);
        let part = window(text, submatches.first(), max);
        let cut = part.len() < text.len();
        if cut {
            submatches.retain_mut(|m| {
                let inside = m.start < part.end && m.end > part.start;
                *m = m.start.max(part.start) - part.start
                    ..m.end.min(part.end).max(part.start) - part.start;
                inside
            });
        }
        Hit {
            kind: lines.kind,
            line,
            offset: lines.offset + (at + part.start) as u64,
            text: text[part].to_vec(),
            submatches,
            cut,
        }
    }
}

impl<M: Matcher> Sink for HitSink<'_, M> {
    type Error = io::Error;

    fn matched(&mut self, searcher: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        // The searcher goes on for the context after the last match of `-m`, and what matches
        // in there is shown as a match; it must not be counted as one.
        if self.hits.mode != HitMode::Content
            && searcher.max_matches().is_some_and(|max| self.found.lines >= max)
        {
            return Ok(false);
        }
        self.found.matched = true;
        let lines = Lines {
            kind: HitKind::Match,
            line: found.line_number(),
            offset: found.absolute_byte_offset(),
            buffer: found.buffer(),
            range: found.bytes_range_in_buffer(),
        };
        let spans = searcher.multi_line_with_matcher(self.matcher);
        match self.hits.mode {
            HitMode::FilesWithMatches | HitMode::FilesWithoutMatch => {
                self.found.lines += 1;
                return Ok(false);
            }
            HitMode::Count if !spans => self.found.lines += 1,
            HitMode::Count | HitMode::CountMatches => {
                let mut count = 0;
                each_match(self.matcher, searcher, &lines, |_| {
                    count += 1;
                    Ok(())
                })?;
                // Cut off from its look-around a match may not be found again; it is one still.
                count = count.max(1);
                self.found.matches += count;
                self.found.lines += if spans { count } else { 1 };
            }
            HitMode::Content => {
                self.found.lines += found.lines().count() as u64;
                // After a NUL the lines of a binary object count and are not shown.
                if self.found.binary_offset.is_some() && converts(searcher) {
                    return Ok(false);
                }
                self.found.matches += self.show(searcher, &lines, !searcher.invert_match())?;
            }
        }
        Ok(true)
    }

    fn context(&mut self, searcher: &Searcher, context: &SinkContext<'_>) -> io::Result<bool> {
        if self.hits.mode != HitMode::Content {
            return Ok(true);
        }
        if self.found.binary_offset.is_some() && converts(searcher) {
            return Ok(false);
        }
        let lines = Lines {
            kind: HitKind::Context,
            line: context.line_number(),
            offset: context.absolute_byte_offset(),
            buffer: context.bytes(),
            range: 0..context.bytes().len(),
        };
        self.show(searcher, &lines, searcher.invert_match())?;
        Ok(true)
    }

    fn context_break(&mut self, _: &Searcher) -> io::Result<bool> {
        self.batch.broken = self.hits.mode == HitMode::Content;
        Ok(true)
    }

    fn binary_data(&mut self, _: &Searcher, offset: u64) -> io::Result<bool> {
        self.found.binary_offset = Some(offset);
        Ok(true)
    }

    fn finish(&mut self, searcher: &Searcher, end: &SinkFinish) -> io::Result<()> {
        self.found.searched_bytes = end.byte_count();
        self.found.binary_offset = self.found.binary_offset.or(end.binary_byte_offset());
        // An object that was left at its NUL is filtered out, not half counted. Hits that were
        // already shown cannot be taken back.
        let left =
            self.found.binary_offset.is_some() && searcher.binary_detection().quit_byte().is_some();
        if left && self.hits.mode != HitMode::Content {
            self.found.matched = false;
            self.found.lines = 0;
            self.found.matches = 0;
        }
        Ok(())
    }
}

fn converts(searcher: &Searcher) -> bool {
    searcher.binary_detection().convert_byte().is_some()
}

/// Calls `each` with every match in `lines`, relative to their start.
fn each_match<M: Matcher>(
    matcher: &M,
    searcher: &Searcher,
    lines: &Lines<'_>,
    mut each: impl FnMut(Range<usize>) -> io::Result<()>,
) -> io::Result<()> {
    let Range { start, end } = lines.range;
    // A single line is searched without its end, which a look-around could see; lines of a
    // multi-line match with a little of what follows, which it may need to see.
    let buffer = if searcher.multi_line_with_matcher(matcher) {
        &lines.buffer[..lines.buffer.len().min(end + LOOK_AHEAD)]
    } else {
        &lines.buffer[..end - line_end(&lines.buffer[start..end], searcher.line_terminator())]
    };
    let mut result = Ok(());
    matcher
        .find_iter_at(buffer, start, |m| {
            if m.start() >= end {
                return false;
            }
            result = each(m.start() - start..m.end().min(end) - start);
            result.is_ok()
        })
        .map_err(|error| io::Error::other(error.to_string()))?;
    result
}

/// At most `max` bytes of `text`: its beginning where that holds the first match, otherwise a
/// part that begins a little before it. Never within a UTF-8 character.
fn window(text: &[u8], first: Option<&Range<usize>>, max: usize) -> Range<usize> {
    if text.len() <= max {
        return 0..text.len();
    }
    let inside = |at: &usize| text.get(*at).is_some_and(|b| (0x80..0xC0).contains(b));
    let mut start = match first {
        Some(m) if m.end > max => m.start.saturating_sub(max / 4).min(text.len() - max),
        _ => 0,
    };
    let mut end = start + max;
    // Bytes that are not UTF-8 may all look like the middle of a character: 3 steps are enough.
    for _ in 0..3 {
        start += usize::from(inside(&start));
        end -= usize::from(end > start && inside(&end));
    }
    start..end.max(start)
}

fn count_byte(text: &[u8], searcher: &Searcher) -> u64 {
    let byte = searcher.line_terminator().as_byte();
    text.iter().filter(|&&b| b == byte).count() as u64
}

/// How many bytes at the end of `lines` are their last line end.
fn line_end(lines: &[u8], terminator: LineTerminator) -> usize {
    if !terminator.is_suffix(lines) {
        0
    } else if terminator.is_crlf() && lines.ends_with(b"\r\n") {
        2
    } else {
        1
    }
}

#[cfg(test)]
mod tests;
