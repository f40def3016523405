//! Pieces to sections.
//!
//! A heading alone says where a section may begin, not where it should: a reference page has a
//! heading a line, a changelog one in ten thousand. Sections that are too short to be told apart
//! by their words are joined with what follows, and those that are too long for their words to
//! belong together are cut between pieces.

use std::ops::Range;

use super::{Lang, Piece, Pieces, Section};

/// A section goes on through the next heading until it has this many bytes of text: about 60
/// words, less than which rank by chance.
const SHORT: usize = 400;

/// A section is cut at the first piece after this many bytes of text: about 500 words, where
/// ranking and a reader's screen both lose the thread.
const LONG: usize = 3_000;

/// Headings longer than this are text by mistake.
const MAX_HEADING: usize = 200;

/// Sections of one article; what follows them joins the last. An object of 8 MiB has about 2,800
/// of [`LONG`]; only one that is all headings comes near.
const MAX_SECTIONS: usize = 20_000;

/// What has less text than this takes the language of its article: trigrams need about two
/// hundred letters to tell neighbours such as Portuguese and Spanish.
const TELLS_LANGUAGE: usize = 300;

/// How much of an article's text tells its language.
const LANGUAGE_SAMPLE: usize = 8_000;

pub(super) fn sections(text: &str, title: &str, cut: Pieces) -> Vec<Section> {
    let title = clipped(title, MAX_HEADING);
    let mut cutter = Cutter { title, trail: Vec::new(), open: None, done: Vec::new() };
    for piece in cut.pieces {
        cutter.take(piece);
    }
    cutter.close();
    let mut done = cutter.done;
    let about = clipped(&cut.about, LONG);
    match done.first_mut() {
        Some(first) if !about.is_empty() => first.body = format!("{about}\n{}", first.body),
        None if cut.title.is_some() || !about.is_empty() => {
            done.push(Open { trail: Vec::new(), bytes: 0..0, body: about.to_owned() });
        }
        _ => {}
    }
    finish(text, title, done)
}

/// A section that is still growing.
struct Open {
    trail: Vec<String>,
    bytes: Range<usize>,
    body: String,
}

struct Cutter<'a> {
    title: &'a str,
    /// The headings that hold here, with their levels.
    trail: Vec<(u8, String)>,
    open: Option<Open>,
    done: Vec<Open>,
}

impl Cutter<'_> {
    fn take(&mut self, piece: Piece) {
        match piece.heading {
            Some(level) => self.heading(level, piece),
            None => self.text(piece),
        }
    }

    fn heading(&mut self, level: u8, piece: Piece) {
        let heading = clipped(&piece.text, MAX_HEADING).to_owned();
        self.trail.retain(|(above, _)| *above < level);
        let title = heading.trim().is_empty() || heading == self.title;
        if !title {
            self.trail.push((level, heading.clone()));
        }
        let joins = self.open.as_ref().is_some_and(|open| open.body.len() < SHORT);
        if joins || self.done.len() >= MAX_SECTIONS {
            if let Some(open) = &mut self.open {
                open.bytes.end = piece.bytes.end;
                append(&mut open.body, &heading);
            }
            return;
        }
        self.close();
        self.open = Some(Open { trail: self.headings(), bytes: piece.bytes, body: String::new() });
    }

    fn text(&mut self, piece: Piece) {
        let full = self
            .open
            .as_ref()
            .is_some_and(|open| !open.body.is_empty() && open.body.len() + piece.text.len() > LONG);
        if full && self.done.len() < MAX_SECTIONS {
            self.close();
        }
        match &mut self.open {
            Some(open) => {
                open.bytes.end = open.bytes.end.max(piece.bytes.end);
                append(&mut open.body, &piece.text);
            }
            None => {
                let trail = self.headings();
                self.open = Some(Open { trail, bytes: piece.bytes, body: piece.text });
            }
        }
    }

    fn headings(&self) -> Vec<String> {
        self.trail.iter().map(|(_, heading)| heading.clone()).collect()
    }

    /// Ends the open section. A short one at the end of a longer one's trail goes with that.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        match self.done.last_mut() {
            Some(last) if open.body.len() < SHORT / 2 && last.body.len() < LONG => {
                last.bytes.end = open.bytes.end;
                if let Some(heading) = open.trail.last() {
                    append(&mut last.body, heading);
                }
                append(&mut last.body, &open.body);
            }
            _ => self.done.push(open),
        }
    }
}

fn append(body: &mut String, text: &str) {
    if !body.is_empty() {
        body.push('\n');
    }
    body.push_str(text);
}

fn finish(text: &str, title: &str, done: Vec<Open>) -> Vec<Section> {
    let mut sample = String::new();
    for open in &done {
        let left = LANGUAGE_SAMPLE.saturating_sub(sample.len());
        append(&mut sample, clipped(&open.body, left));
    }
    append(&mut sample, title);
    let article = Lang::of(&sample);
    let mut line = Lines { text: text.as_bytes(), at: 0, line: 1 };
    done.into_iter()
        .map(|open| {
            let first = line.of(open.bytes.start);
            let last = line.of(open.bytes.end.saturating_sub(1).max(open.bytes.start));
            let lang = match open.body.len() {
                0..TELLS_LANGUAGE => article,
                _ => Lang::sure_of(&open.body).unwrap_or(article),
            };
            Section {
                title: title.to_owned(),
                trail: open.trail,
                lines: first..last + u64::from(!open.bytes.is_empty()),
                bytes: open.bytes.start as u64..open.bytes.end as u64,
                body: open.body,
                lang,
            }
        })
        .collect()
}

/// Counts lines once over a text, for places that mostly rise.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, byte: usize) -> u64 {
        let byte = byte.min(self.text.len());
        if byte >= self.at {
            self.line += memchr::memchr_iter(b'\n', &self.text[self.at..byte]).count() as u64;
        } else {
            self.line -= memchr::memchr_iter(b'\n', &self.text[byte..self.at]).count() as u64;
        }
        self.at = byte;
        self.line
    }
}

/// At most `max` bytes of `text`, cut between characters.
pub(super) fn clipped(text: &str, max: usize) -> &str {
    if text.len() <= max { text } else { &text[..text.floor_char_boundary(max)] }
}
