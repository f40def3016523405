//! Markdown to pieces.
//!
//! Splitting at lines that begin with `#` finds headings in shell comments. A parser knows code
//! from text, and it knows what is markup: link targets, reference definitions and tags are left
//! out, code is kept. Shortcodes of site generators are no Markdown; they are blanked out before
//! parsing, byte for byte, so that every range still holds.

use std::{borrow::Cow, ops::Range};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::{Piece, Pieces, front::front, html, plain::between_words};

/// A piece longer than this is cut, as in a plain text.
const LONG_PIECE: usize = 2_000;

pub(super) fn pieces(text: &str) -> Pieces {
    let front = front(text);
    let blanked = blanked(&text[front.end..]);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_GFM
        | Options::ENABLE_DEFINITION_LIST;
    let mut gather = Gather { text, base: front.end, ..Gather::default() };
    for (event, range) in Parser::new_ext(&blanked, options).into_offset_iter() {
        gather.event(event, range);
    }
    gather.flush(None);
    let heading = gather.pieces.iter().find(|piece| piece.heading.is_some());
    let title = front.title.or_else(|| heading.map(|piece| piece.text.clone()));
    Pieces { title, about: front.about, pieces: gather.pieces }
}

#[derive(Default)]
struct Gather<'a> {
    text: &'a str,
    /// Where what is parsed begins in the text.
    base: usize,
    pieces: Vec<Piece>,
    /// The piece that grows.
    now: String,
    range: Option<Range<usize>>,
    html: Option<String>,
}

impl Gather<'_> {
    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(Tag::Heading { .. }) => self.flush(None),
            Event::End(TagEnd::Heading(level)) => {
                self.covers(&range);
                self.flush(Some(level as u8));
            }
            // The language of a code block is a word that readers ask with: `csharp`, `yaml`.
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                if let Some(language) = info.split([' ', ',', '{']).next() {
                    self.now.push_str(language);
                    self.now.push('\n');
                }
            }
            Event::Start(Tag::HtmlBlock) => self.html = Some(String::new()),
            Event::End(TagEnd::HtmlBlock) => {
                if let Some(raw) = self.html.take() {
                    self.add(&html::text_of(&raw), &range);
                    self.flush(None);
                }
            }
            Event::Html(raw) => match &mut self.html {
                Some(html) => html.push_str(&raw),
                None => self.add(&html::text_of(&raw), &range),
            },
            Event::Text(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.add(&text, &range);
            }
            Event::Code(code) => self.add(&code, &range),
            Event::SoftBreak | Event::HardBreak => self.add("\n", &range),
            Event::InlineHtml(tag) if tag.starts_with("<br") => self.add("\n", &range),
            Event::End(TagEnd::TableCell) => self.add(" ", &range),
            Event::End(
                TagEnd::Paragraph
                | TagEnd::CodeBlock
                | TagEnd::Item
                | TagEnd::TableRow
                | TagEnd::TableHead
                | TagEnd::Table
                | TagEnd::FootnoteDefinition
                | TagEnd::DefinitionListTitle
                | TagEnd::DefinitionListDefinition,
            ) => {
                // The range of a list item reaches over the pieces inside it, which are out.
                self.flush(None);
            }
            _ => {}
        }
    }

    fn add(&mut self, text: &str, range: &Range<usize>) {
        self.now.extend(text.chars().filter(|char| *char != FILL));
        self.covers(range);
    }

    fn covers(&mut self, range: &Range<usize>) {
        // Where a letter was blanked, a range may begin inside it.
        let start = self.text.floor_char_boundary(self.base + range.start);
        let range = start..self.text.ceil_char_boundary(self.base + range.end);
        match &mut self.range {
            Some(now) => *now = now.start.min(range.start)..now.end.max(range.end),
            None => self.range = Some(range),
        }
    }

    fn flush(&mut self, heading: Option<u8>) {
        let text = std::mem::take(&mut self.now);
        let Some(bytes) = self.range.take() else { return };
        if text.trim().is_empty() {
            return;
        }
        let piece = Piece { bytes, text: text.trim_end().to_owned(), heading };
        if heading.is_some() {
            self.pieces.push(piece);
        } else {
            cut_long(self.text, piece, &mut self.pieces);
        }
    }
}

/// Cuts a long piece into several. Its text and its bytes differ by markup only, so a place in one
/// is about the same share of the other; bytes are cut behind a line.
fn cut_long(source: &str, mut piece: Piece, pieces: &mut Vec<Piece>) {
    while piece.text.len() > LONG_PIECE && piece.bytes.len() > LONG_PIECE {
        let at = between_words(&piece.text, LONG_PIECE / 2);
        let share = at as f64 / piece.text.len() as f64;
        let about = piece.bytes.start + (piece.bytes.len() as f64 * share) as usize;
        let about = source.floor_char_boundary(about.min(piece.bytes.end));
        let line = source[about..piece.bytes.end].find('\n').map_or(about, |end| about + end + 1);
        let rest = piece.text.split_off(at);
        let after = std::mem::replace(&mut piece.bytes.end, line);
        let next = Piece { bytes: line..after, text: rest, heading: None };
        pieces.push(std::mem::replace(&mut piece, next));
    }
    pieces.push(piece);
}

/// The text with shortcodes (`{{< … >}}`, `{{% … %}}`) and lines of attributes (`{.wide}`) blanked
/// but for what a reader sees of them: titles, captions, names of tabs.
fn blanked(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('{') {
        let open = at + found;
        let Some(end) = shortcode(text, open).or_else(|| attributes(text, open)) else {
            at = open + 1;
            continue;
        };
        out.push_str(&text[done..open]);
        // Blanks at the start of a line would make what follows code.
        let alone = text[end..].lines().next().is_none_or(|rest| rest.trim().is_empty());
        let shown = shown(&text[open..end]);
        let quiet = alone && shown.is_empty();
        let mut begins = !quiet;
        for (byte, char) in text[open..end].char_indices() {
            let seen = shown.iter().any(|shown| shown.contains(&byte));
            match char {
                '\n' => out.push('\n'),
                _ if seen => out.push(char),
                _ if begins => {
                    out.push(FILL);
                    out.push_str(SPACES[char.len_utf8() - 1]);
                }
                _ => out.push_str(SPACES[char.len_utf8()]),
            }
            begins = char == '\n' && !quiet;
        }
        done = end;
        at = end;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Stands where a shortcode began; taken out of the text again.
const FILL: char = '\u{1}';

/// Blanks of so many bytes.
const SPACES: [&str; 5] = ["", " ", "  ", "   ", "    "];

/// Arguments of shortcodes that a reader sees.
const SHOWN: [&str; 7] = ["title=", "caption=", "alt=", "header=", "name=", "text=", "summary="];

/// Where in a shortcode stand quoted texts that a reader sees: named as such, or not named.
fn shown(shortcode: &str) -> Vec<Range<usize>> {
    let mut shown = Vec::new();
    let mut at = 0;
    while let Some(open) = shortcode[at..].find('"').map(|found| at + found) {
        let Some(close) = shortcode[open + 1..].find('"').map(|found| open + 1 + found) else {
            break;
        };
        let before = &shortcode[..open];
        let link =
            shortcode[open..close].contains("://") || shortcode[open + 1..close].starts_with('/');
        if !link && (before.ends_with(' ') || SHOWN.iter().any(|name| before.ends_with(name))) {
            shown.push(open + 1..close);
        }
        at = close + 1;
    }
    shown
}

/// Shortcodes are short: a brace that is closed further away is something else.
const MAX_SHORTCODE: usize = 2_000;

fn shortcode(text: &str, open: usize) -> Option<usize> {
    let rest = &text[open..];
    let close = ["{{<", "{{%"].iter().position(|start| rest.starts_with(start))?;
    let window = &rest[..rest.floor_char_boundary(MAX_SHORTCODE)];
    let close = [">}}", "%}}"][close];
    // The closing brackets that are not inside a nested string are the first ones: generators
    // forbid them in arguments.
    window[3..].find(close).map(|at| open + 3 + at + close.len())
}

fn attributes(text: &str, open: usize) -> Option<usize> {
    let alone = open == 0 || text[..open].ends_with('\n');
    let line = text[open..].lines().next()?.trim_end();
    let is =
        alone && line.ends_with('}') && matches!(line.as_bytes().get(1), Some(b'.' | b'#' | b':'));
    is.then_some(open + line.len())
}
