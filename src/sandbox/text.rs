//! Answers as text made for models.
//!
//! JSON pays for its quotes and keys in every line, and a bare list does not say whether it is all
//! there is. Each tool has one renderer here: results first, in the forms that models know from
//! ripgrep, `ls` and `cat -n`, then one line in brackets: complete or not, what was skipped and
//! why, and the exact call that goes on. No line of a file's content can look like that last line,
//! because each is printed behind its path or its number.
//!
//! Names are made visible ([`visible`]), content stays as it is.

mod footer;
pub(super) mod glob;
pub(super) mod grep;
pub(super) mod list;
pub(super) mod read;
pub(super) mod search;
mod stat;

use super::{answer::counted, arguments::Given, call::AnyAnswer, room::MAX_CHARS};
use crate::{error::Error, tree::path::visible};

/// The text of an answer to the call `given`.
pub(super) fn of_answer(answer: &AnyAnswer, given: &Given) -> String {
    let text = match answer {
        AnyAnswer::List(answer) => list::render(answer, given),
        AnyAnswer::Stat(answer) => stat::render(answer, given),
        AnyAnswer::Read(answer) => read::render(answer, given),
        AnyAnswer::Glob(answer) => glob::render(answer, given),
        AnyAnswer::Grep(answer) => grep::render(answer, given),
        AnyAnswer::Search(answer) => search::render(answer, given),
    };
    bounded(text)
}

/// An error for a model: what was wrong and where, and in the second line what to do next.
pub fn of_error(error: &Error) -> String {
    let mut text = String::from("error: ");
    if let Some(path) = error.path() {
        text.push_str(&visible(path));
        text.push_str(": ");
    }
    text.push_str(&visible(error.message()));
    if let Some(advice) = error.advice() {
        text.push_str("\nnext: ");
        text.push_str(&visible(advice));
    }
    bounded(text)
}

/// A path or a name as a model reads it.
pub(super) fn name(path: &str) -> String {
    visible(path)
}

/// `text` within the hard cap: its end stays, for that is where it says what it lacks.
fn bounded(text: String) -> String {
    let count = text.chars().count();
    if count <= MAX_CHARS {
        return text;
    }
    const MARK: &str = "\n[the middle of this answer was left out]\n";
    let tail = MAX_CHARS / 2;
    let head: String = text.chars().take(MAX_CHARS - tail - MARK.len()).collect();
    let tail: String = text.chars().skip(count - tail).collect();
    format!("{head}{MARK}{tail}")
}

/// The beginning of `text`, with a mark where it goes on.
fn clipped(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn an_error_is_two_lines_of_visible_text() {
        let error = Error::new(Kind::NotFound, "there is no such file")
            .at("/a\u{202e}b")
            .hint("did you mean /ab?");
        assert_eq!(
            of_error(&error),
            "error: /a\\u{202e}b: there is no such file\nnext: did you mean /ab?"
        );
    }

    #[test]
    fn nothing_passes_the_cap_and_the_end_stays() {
        let long = format!("{}END", "é".repeat(3 * MAX_CHARS));
        let text = bounded(long);
        assert_eq!(text.chars().count(), MAX_CHARS);
        assert!(text.ends_with("éEND") && text.contains("left out"));
        assert_eq!(bounded("short".to_owned()), "short");
    }
}
