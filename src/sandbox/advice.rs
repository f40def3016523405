//! Errors of patterns and selections in the words of a tool's arguments.
//!
//! The search below speaks of flags, as its command line does; a model has no flags, and does not
//! see its own pattern beside the answer. Here the pattern is quoted and the flag becomes the
//! argument that does the same.

use crate::{
    error::{Error, Kind},
    tree::path::visible,
};

/// Characters of a pattern that an error repeats.
const QUOTED: usize = 80;

/// What each advice about a flag is for an argument.
const ARGUMENTS: [(&str, &str); 6] = [
    (
        "use -F",
        "escape the character with a backslash, or set `literal` to true to search for the text \
         as it is",
    ),
    ("no -P", "this regex engine has neither look-around nor back-references: two greps often do"),
    ("--no-unicode", "use smaller repetition counts, or fewer patterns"),
    ("use -U", "set `multiline` to true to search across lines"),
    ("use -a", "leave it out: binary files are not searched past their first NUL"),
    ("--type-list", "use `glob` instead, as in \"*.md\""),
];

/// `error`, which a search with `patterns` began with, for who called the tool.
pub(super) fn of_search(error: Error, patterns: &[String]) -> Error {
    let message = match error.kind() {
        Kind::InvalidPattern => quoted(error.message(), patterns),
        Kind::InvalidArgument => error.message().to_owned(),
        _ => return error,
    };
    let advice = error.advice().map(|advice| {
        let argument = ARGUMENTS.iter().find(|(flag, _)| advice.contains(flag));
        argument.map_or(advice, |(_, argument)| argument).to_owned()
    });
    let told = Error::new(error.kind(), message);
    let told = match advice {
        Some(advice) => told.hint(advice),
        None => told,
    };
    told.because(error)
}

/// The message with the pattern that it is about in it.
fn quoted(message: &str, patterns: &[String]) -> String {
    if let (Some(rest), [pattern]) = (message.strip_prefix("the pattern "), patterns) {
        return format!("the pattern {} {rest}", shown(pattern, column(rest)));
    }
    let several = message.strip_prefix("pattern ").and_then(|rest| {
        let (n, behind) = rest.split_once(' ')?;
        let pattern = patterns.get(n.parse::<usize>().ok()?.checked_sub(1)?)?;
        let (_, what) = behind.split_once(" is ")?;
        Some(format!("the pattern {} is {what}", shown(pattern, column(what))))
    });
    several.unwrap_or_else(|| message.to_owned())
}

fn column(message: &str) -> usize {
    let digits = message.split_once("column ").map_or("", |(_, behind)| behind);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(1)
}

/// The pattern in quotes; of a long one the part about `column`.
fn shown(pattern: &str, column: usize) -> String {
    let from = column.saturating_sub(QUOTED / 2);
    let part: String = pattern.chars().skip(from).take(QUOTED).collect();
    let before = if from > 0 { "…" } else { "" };
    let behind = if pattern.chars().nth(from + QUOTED).is_some() { "…" } else { "" };
    format!("`{before}{}{behind}`", visible(&part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{PatternOptions, SelectionOptions};

    fn told(patterns: &[&str]) -> Error {
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let options = PatternOptions { patterns: patterns.clone(), ..PatternOptions::default() };
        // What it compiles to would be shown at a great length.
        let Err(error) = options.compile() else { panic!("{patterns:?} is not wrong") };
        of_search(error, &patterns)
    }

    #[test]
    fn a_pattern_is_quoted_and_no_flag_is_named() {
        let error = told(&["limit("]);
        assert_eq!(error.message(), "the pattern `limit(` is wrong at column 6: unclosed group");
        assert_eq!(error.advice(), Some(ARGUMENTS[0].1));
        let error = told(&["fine", "a{9"]);
        assert!(error.message().starts_with("the pattern `a{9` is wrong at column 2: "), "{error}");
        let long = format!("{}({}", "x".repeat(5000), "y".repeat(5000));
        let error = told(&[&long]);
        assert!(error.message().contains("xx(yy") && error.message().len() < 300, "{error}");
        let types = SelectionOptions { types: vec!["nonsense".into()], ..Default::default() };
        let errors = [
            told(&["(?=x)y"]),
            told(&[r"(x)\1"]),
            told(&["(?:\\w{1000}){1000}"]),
            told(&["a\\nb"]),
            told(&["\\x00"]),
            of_search(types.build().expect_err("it is wrong"), &[]),
        ];
        for error in errors {
            let advice = error.advice().expect("it says what to do");
            assert!(!format!(" {advice}").contains(" -"), "{advice}");
        }
    }
}
