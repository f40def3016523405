//! Text without headings.

use super::{Piece, Pieces};

/// A paragraph longer than this is cut between words, and lines are gathered up to it: a third of
/// the longest section, so that the pieces fill it well.
const PIECE: usize = 1_000;

/// Pieces at blank lines.
pub(super) fn paragraphs(text: &str) -> Pieces {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            push(text, start..at, &mut pieces);
            start = at + line.len();
        }
        at += line.len();
    }
    push(text, start..at, &mut pieces);
    Pieces { pieces, ..Pieces::default() }
}

/// Pieces of whole lines.
pub(super) fn lines(text: &str) -> Pieces {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        if at - start >= PIECE {
            push(text, start..at, &mut pieces);
            start = at;
        }
    }
    push(text, start..at, &mut pieces);
    Pieces { pieces, ..Pieces::default() }
}

/// A range of the text as one piece, or several where it is long.
fn push(text: &str, range: std::ops::Range<usize>, pieces: &mut Vec<Piece>) {
    let mut start = range.start;
    while start < range.end {
        let rest = &text[start..range.end];
        let end =
            start + if rest.len() <= 2 * PIECE { rest.len() } else { between_words(rest, PIECE) };
        let piece = &text[start..end];
        if !piece.trim().is_empty() {
            pieces.push(Piece { bytes: start..end, text: piece.to_owned(), heading: None });
        }
        start = end;
    }
}

/// Where to cut `text` after about `at` bytes: behind white space, or between characters.
pub(super) fn between_words(text: &str, at: usize) -> usize {
    let least = text.floor_char_boundary(at);
    let most = text.floor_char_boundary(at + 200);
    match text[least..most].find(char::is_whitespace) {
        Some(space) => text.ceil_char_boundary(least + space + 1),
        None => most.max(text.ceil_char_boundary(1)),
    }
}
