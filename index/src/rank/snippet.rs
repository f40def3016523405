//! The passage that shows why a section was found.
//!
//! The beginning of a section is mostly not it, and a whole section is too long for a list. The
//! window of the text with the most of the question's words is cut out at words, with the matched
//! words marked.

use std::{collections::HashSet, ops::Range};

use super::question::Question;
use crate::text::{Analyzer, Kind, Lang, Word, is_stop, words};

/// A passage of a section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snippet {
    /// One line of text, with `…` where it was cut.
    pub text: String,
    /// The matched words, as byte ranges of `text`, rising and apart.
    pub marks: Vec<Range<usize>>,
}

/// What is read of a section: some pages, more than any section has.
const MAX_READ: usize = 64 << 10;
/// Marks in one passage.
const MAX_MARKS: usize = 64;

/// The passage of `section_text` with the most of the question's words, in at most `max_chars`
/// characters.
pub fn snippet(question: &Question, section_text: &str, max_chars: usize) -> Snippet {
    let text = one_line(&section_text[..section_text.floor_char_boundary(MAX_READ)]);
    let matched = matched(question, &text);
    // The characters before each byte are counted once, over the borders that matter.
    let window = best_window(&text, &matched, max_chars.max(2) - 2);
    let mut out = Snippet::default();
    if window.start > 0 {
        out.text.push('…');
    }
    let before = out.text.len();
    out.text.push_str(&text[window.clone()]);
    if window.end < text.len() {
        out.text.push('…');
    }
    for (bytes, _) in matched {
        if bytes.start >= window.start && bytes.end <= window.end && out.marks.len() < MAX_MARKS {
            let mark = before + bytes.start - window.start..before + bytes.end - window.start;
            if out.marks.last().is_none_or(|last| last.end <= mark.start) {
                out.marks.push(mark);
            } else if let Some(last) = out.marks.last_mut() {
                last.end = last.end.max(mark.end);
            }
        }
    }
    out
}

/// Every run of white space and control characters as one blank.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.trim().chars() {
        if !char.is_whitespace() && !char.is_control() {
            out.push(char);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

/// The words of a text that the question has: where, and which of the question's.
fn matched(question: &Question, text: &str) -> Vec<(Range<usize>, u64)> {
    let mut langs = Lang::of_question(&question.text, &[]);
    let own = Lang::of(text);
    if !langs.contains(&own) {
        langs.push(own);
    }
    let mut analyzer = Analyzer::new();
    let mut asked: HashSet<String> = HashSet::new();
    let mut said: HashSet<String> = HashSet::new();
    for word in &question.words {
        let lower = word.text.to_lowercase();
        let stop = langs.iter().any(|lang| is_stop(*lang, &lower));
        for lang in &langs {
            let bytes = 0..word.text.len();
            let word =
                Word { text: word.text.as_str().into(), bytes, position: 0, kind: word.kind };
            let term = analyzer.term(*lang, &word).to_owned();
            if stop {
                said.insert(term)
            } else {
                asked.insert(term)
            };
        }
    }
    if asked.is_empty() {
        asked = said;
    }
    let mut matched: Vec<(Range<usize>, u64)> = Vec::new();
    words(text, |word| {
        for lang in &langs {
            let term = analyzer.term(*lang, &word);
            if asked.contains(term) {
                let which = xxhash_rust::xxh3::xxh3_64(term.as_bytes());
                let inside = word.kind == Kind::Part
                    && matched.last().is_some_and(|(last, _)| last.end >= word.bytes.end);
                if !inside {
                    matched.push((word.bytes.clone(), which));
                }
                break;
            }
        }
    });
    matched
}

/// The window of at most `max` characters with the most different words, then with the most words.
fn best_window(text: &str, matched: &[(Range<usize>, u64)], max: usize) -> Range<usize> {
    let mut best = 0..0;
    let mut most = (0, 0);
    // Characters are at least a byte, so a window of `max` bytes is at most as long as is allowed;
    // the passage is grown to `max` characters around it.
    let mut from = 0;
    for (at, (bytes, _)) in matched.iter().enumerate() {
        while text[matched[from].0.start..bytes.end].chars().count() > max && from < at {
            from += 1;
        }
        let inside = &matched[from..=at];
        let different: HashSet<u64> = inside.iter().map(|(_, which)| *which).collect();
        if (different.len(), inside.len()) > most {
            most = (different.len(), inside.len());
            best = matched[from].0.start..bytes.end;
        }
    }
    grown(text, best, max)
}

/// Grows a window to `max` characters, a third of what is left before it, cut at words.
fn grown(text: &str, window: Range<usize>, max: usize) -> Range<usize> {
    let inside = text[window.clone()].chars().count();
    if inside >= max {
        let end = text[window.start..]
            .char_indices()
            .nth(max)
            .map_or(text.len(), |(at, _)| window.start + at);
        return window.start..end;
    }
    let left = max - inside;
    let chars_before: Vec<usize> =
        text[..window.start].char_indices().rev().take(left).map(|(at, _)| at).collect();
    let chars_after = text[window.end..].chars().take(left).count();
    let before = (left / 3).max(left.saturating_sub(chars_after)).min(chars_before.len());
    let start = if before == 0 { window.start } else { chars_before[before - 1] };
    let after = left - before;
    let end =
        text[window.end..].char_indices().nth(after).map_or(text.len(), |(at, _)| window.end + at);
    // Half a word at either end goes, unless it is all there is.
    let start = match text[..start].ends_with(|char: char| !char.is_alphanumeric()) || start == 0 {
        true => start,
        false => text[start..window.start.max(start)].find(' ').map_or(start, |at| start + at + 1),
    };
    let whole = text[end..].starts_with(|char: char| !char.is_alphanumeric()) || end == text.len();
    let end = match whole {
        true => end,
        false => {
            text[window.end.min(end)..end].rfind(' ').map_or(end, |at| window.end.min(end) + at)
        }
    };
    start..end
}
