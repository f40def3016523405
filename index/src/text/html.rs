//! HTML to pieces.
//!
//! Cutting tags out with a pattern leaves scripts, styles and entities in the text and fails on
//! the first attribute with a `>`. A tokenizer follows the standard; of its tokens only those are
//! used that make or part text. Nothing here trusts that elements are closed.

use std::ops::Range;

use html5gum::{DefaultEmitter, HtmlString, StartTag, Token, Tokenizer};

use super::{Piece, Pieces};

/// A block without an end is cut at this many bytes.
const LONG_PIECE: usize = 2_000;

pub(super) fn pieces(text: &str) -> Pieces {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let mut gather = Gather { text, ..Gather::default() };
    for token in Tokenizer::new_with_emitter(text, emitter).flatten() {
        match token {
            Token::StartTag(tag) => gather.start(&tag),
            Token::EndTag(tag) => gather.end(&tag.name, &(tag.span.start..tag.span.end)),
            Token::String(string) => {
                gather.string(&string.value, &(string.span.start..string.span.end));
            }
            _ => {}
        }
    }
    gather.flush();
    let found = |level: u8| {
        gather
            .pieces
            .iter()
            .find(|piece| piece.heading == Some(level))
            .map(|piece| piece.text.clone())
    };
    let title = Some(gather.title.trim().to_owned()).filter(|title| !title.is_empty());
    let title = title.or_else(|| found(1)).or_else(|| found(2));
    Pieces { title, about: gather.about, pieces: gather.pieces }
}

/// The text of a fragment, such as a block of HTML in Markdown.
pub(super) fn text_of(fragment: &str) -> String {
    let pieces = pieces(fragment).pieces;
    pieces.into_iter().map(|piece| piece.text).collect::<Vec<_>>().join("\n")
}

#[derive(Default)]
struct Gather<'a> {
    text: &'a str,
    pieces: Vec<Piece>,
    title: String,
    about: String,
    now: String,
    range: Option<Range<usize>>,
    heading: Option<u8>,
    /// The element whose inside is left out, and how deep in elements of that name.
    skipped: Option<(Vec<u8>, usize)>,
    in_title: bool,
    preformatted: bool,
}

/// Elements whose inside is no text of the article.
const SKIPPED: &[&[u8]] = &[b"script", b"style", b"template", b"svg", b"nav", b"math", b"iframe"];

/// Elements that do not part text.
const INLINE: &[&[u8]] = &[
    b"a", b"abbr", b"b", b"bdi", b"bdo", b"big", b"cite", b"code", b"data", b"del", b"dfn", b"em",
    b"font", b"i", b"ins", b"kbd", b"label", b"mark", b"q", b"rp", b"rt", b"ruby", b"s", b"samp",
    b"small", b"span", b"strike", b"strong", b"sub", b"sup", b"time", b"tt", b"u", b"var", b"wbr",
    b"img",
];

impl Gather<'_> {
    fn start(&mut self, tag: &StartTag<usize>) {
        let name: &[u8] = &tag.name;
        if let Some((skipped, depth)) = &mut self.skipped {
            if skipped == name && !tag.self_closing {
                *depth += 1;
            }
            return;
        }
        let range = tag.span.start..tag.span.end;
        if SKIPPED.contains(&name) && !tag.self_closing {
            self.flush();
            self.skipped = Some((name.to_vec(), 1));
            return;
        }
        match name {
            b"title" => self.in_title = self.title.is_empty(),
            b"meta" => self.meta(tag),
            b"br" => self.add("\n", &range),
            b"td" | b"th" => self.add(" ", &range),
            b"img" => {
                if let Some(alt) = attribute(tag, b"alt") {
                    self.add(&alt, &range);
                }
            }
            _ if INLINE.contains(&name) => {}
            _ => {
                self.flush();
                self.heading = level(name);
                self.preformatted |= name == b"pre";
                if self.heading.is_some() {
                    self.range = Some(range);
                }
            }
        }
    }

    fn end(&mut self, name: &HtmlString, range: &Range<usize>) {
        let name: &[u8] = name;
        if let Some((skipped, depth)) = &mut self.skipped {
            if skipped == name {
                *depth -= 1;
                if *depth == 0 {
                    self.skipped = None;
                }
            }
            return;
        }
        match name {
            b"title" => self.in_title = false,
            b"td" | b"th" => self.add(" ", range),
            _ if INLINE.contains(&name) => {}
            _ => {
                if self.range.is_some() {
                    self.covers(range);
                }
                self.flush();
                self.heading = None;
                self.preformatted &= name != b"pre";
            }
        }
    }

    fn string(&mut self, string: &[u8], range: &Range<usize>) {
        if self.skipped.is_some() {
            return;
        }
        let string = String::from_utf8_lossy(string);
        if self.in_title {
            push_spaced(&mut self.title, &string);
        } else if self.preformatted {
            self.add(&string, range);
        } else if !string.trim().is_empty() {
            push_spaced(&mut self.now, &string);
            self.covers(range);
        } else if !self.now.is_empty() && !self.now.ends_with(char::is_whitespace) {
            self.now.push(' ');
        }
        if self.heading.is_none() && self.now.len() > LONG_PIECE {
            self.flush();
        }
    }

    fn meta(&mut self, tag: &StartTag<usize>) {
        let Some(name) = attribute(tag, b"name") else { return };
        if !matches!(name.to_ascii_lowercase().as_str(), "description" | "keywords") {
            return;
        }
        if let Some(content) = attribute(tag, b"content") {
            if !self.about.is_empty() {
                self.about.push('\n');
            }
            self.about.push_str(&content);
        }
    }

    fn add(&mut self, text: &str, range: &Range<usize>) {
        self.now.push_str(text);
        if self.range.is_some() || !text.trim().is_empty() {
            self.covers(range);
        }
    }

    fn covers(&mut self, range: &Range<usize>) {
        // A span of the tokenizer is never trusted to lie in the text or on its characters.
        let start = self.text.floor_char_boundary(range.start);
        let end = self.text.ceil_char_boundary(range.end.min(self.text.len())).max(start);
        match &mut self.range {
            Some(now) => *now = now.start.min(start)..now.end.max(end),
            None => self.range = Some(start..end),
        }
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.now);
        let Some(bytes) = self.range.take() else { return };
        let text = text.trim();
        if !text.is_empty() {
            self.pieces.push(Piece { bytes, text: text.to_owned(), heading: self.heading });
        }
    }
}

fn level(name: &[u8]) -> Option<u8> {
    match name {
        [b'h', digit @ b'1'..=b'6'] => Some(digit - b'0'),
        _ => None,
    }
}

fn attribute(tag: &StartTag<usize>, name: &[u8]) -> Option<String> {
    let value = tag.attributes.get(name)?;
    Some(String::from_utf8_lossy(value).trim().to_owned()).filter(|value| !value.is_empty())
}

/// Appends with every run of white space as one blank.
fn push_spaced(out: &mut String, text: &str) {
    for char in text.chars() {
        if !char.is_whitespace() {
            out.push(char);
        } else if !out.is_empty() && !out.ends_with(char::is_whitespace) {
            out.push(' ');
        }
    }
}
