//! Text as it is searched: articles cut into sections, sections into terms.
//!
//! An article ranked as one long text answers with a path and leaves the reader to find the place;
//! a paragraph ranked alone has lost its subject, which stands in the headings above it. A
//! [`Section`] is what lies under one heading, with the article's title and the headings that lead
//! to it. [`sections`] cuts Markdown and HTML at their headings and anything else by size.
//!
//! What is markup to a format is no text: link targets, tags, comments, shortcodes and front
//! matter are left out of a body, code is kept. Ranges refer to the text as it was handed in, so
//! that a reader can be sent to the lines.

mod cut;
mod front;
mod html;
mod language;
mod markdown;
mod plain;
mod stop;
mod tokens;

#[cfg(test)]
mod tests;

use std::ops::Range;

pub use language::Lang;
pub(crate) use stop::is_stop;
pub use tokens::{Analyzer, Kind, MAX_TERM, Word, words};

/// A part of an article, under one heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The title of the article: of its front matter, its first heading, or its name made readable.
    pub title: String,
    /// The headings that lead to it, outermost first, without one that repeats the title.
    pub trail: Vec<String>,
    /// Its lines, counted from 1, the end not among them.
    pub lines: Range<u64>,
    /// Its bytes in the text.
    pub bytes: Range<u64>,
    /// Its text without markup; of the first section, behind what its author says of the article,
    /// such as a description.
    pub body: String,
    /// The language of its text, or of its article where it is short.
    pub lang: Lang,
}

/// Cuts the text of the object `key` into sections. An empty text has none.
pub fn sections(key: &str, text: &str) -> Vec<Section> {
    let cut = match format_of(key, text) {
        Format::Markdown => markdown::pieces(text),
        Format::Html => html::pieces(text),
        Format::Lines => plain::lines(text),
        Format::Prose => plain::paragraphs(text),
    };
    let title = cut.title.clone().unwrap_or_else(|| readable(key));
    cut::sections(text, &title, cut)
}

/// Cuts a plain text that has a title of its own, such as a document of a test collection.
pub fn titled(title: &str, text: &str) -> Vec<Section> {
    let mut sections = cut::sections(text, title, plain::paragraphs(text));
    if sections.is_empty() && !title.is_empty() {
        sections.push(Section {
            title: title.to_owned(),
            trail: Vec::new(),
            lines: 1..1,
            bytes: 0..0,
            body: String::new(),
            lang: Lang::of(title),
        });
    }
    sections
}

/// A run of text between two places where an article may be cut.
#[derive(Clone, Debug)]
struct Piece {
    /// Where it lies in the text.
    bytes: Range<usize>,
    /// Without markup.
    text: String,
    /// The level of a heading, 1 to 6; none for text.
    heading: Option<u8>,
}

/// What a format found in a text.
#[derive(Clone, Debug, Default)]
struct Pieces {
    title: Option<String>,
    /// Told about the article and not part of its text, such as a description.
    about: String,
    pieces: Vec<Piece>,
}

enum Format {
    Markdown,
    Html,
    /// A line is a unit: CSV, JSON, logs, code.
    Lines,
    Prose,
}

fn format_of(key: &str, text: &str) -> Format {
    let name = key.rsplit('/').next().unwrap_or(key);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("md" | "markdown" | "mdx" | "mkd" | "mdown") => Format::Markdown,
        Some("html" | "htm" | "xhtml") => Format::Html,
        Some("txt" | "text" | "rst" | "adoc" | "asciidoc" | "org" | "tex") => Format::Prose,
        Some(_) => Format::Lines,
        None if looks_like_html(text) => Format::Html,
        None => Format::Prose,
    }
}

fn looks_like_html(text: &str) -> bool {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let is =
        |tag: &str| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    is("<!doctype html") || is("<html")
}

/// A title from a key: its name without extension, or the folder's where the name says nothing.
fn readable(key: &str) -> String {
    let mut parts = key.rsplit('/').filter(|part| !part.is_empty());
    let name = parts.next().unwrap_or(key);
    let stem =
        name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem });
    let says_nothing = matches!(stem.to_ascii_lowercase().as_str(), "index" | "_index" | "readme");
    let said = if says_nothing { parts.next().unwrap_or(stem) } else { stem };
    let spaced = said.replace(['-', '_', '+'], " ");
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}
