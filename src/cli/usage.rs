//! Turns what clap says about a wrong command line into our own two lines.
//!
//! clap knows options that look alike, but not that `find` is called `glob` here; and its usage
//! block buries the one sentence that helps.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{exit::Exit, failure};
use crate::error::{Error, Kind};

/// Commands of other programs that do what one of ours does.
const SYNONYMS: &[(&str, &[&str])] = &[
    ("ls", &["dir", "list", "ll"]),
    ("stat", &["info", "head-object", "file"]),
    ("cat", &["get", "cp", "download", "print", "show", "zcat", "type"]),
    ("read", &["head", "tail", "less", "more", "view", "open"]),
    ("glob", &["find", "fd", "files", "locate"]),
    ("grep", &["rg", "egrep", "fgrep", "ag", "ack", "zgrep"]),
    ("doctor", &["check", "ping", "test", "verify"]),
    ("completions", &["completion", "complete"]),
    ("--help", &["help"]),
];

/// Prints help and version, or tells what was wrong with the command line.
pub(super) fn show(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe (`--help | head`) is no failure.
            drop(error.print());
            Exit::Match
        }
        _ => {
            failure::tell(&explain(error));
            Exit::Error
        }
    }
}

fn explain(error: &clap::Error) -> Error {
    let command = |kind| match error.get(kind) {
        Some(ContextValue::String(name)) => Some(name.as_str()),
        _ => None,
    };
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        || error.kind() == ErrorKind::MissingSubcommand
    {
        return wrong("no command was given")
            .hint("write `r2vfs --help`, or start with `r2vfs -b LOCATION ls`");
    }
    if let (ErrorKind::InvalidSubcommand, Some(name)) =
        (error.kind(), command(ContextKind::InvalidSubcommand))
    {
        let known = SYNONYMS.iter().find(|(_, others)| others.contains(&name));
        let near = match error.get(ContextKind::SuggestedSubcommand) {
            Some(ContextValue::Strings(names)) => names.first().map(String::as_str),
            _ => None,
        };
        let wrong = wrong(format!("there is no command `{name}`"));
        return match known.map(|(ours, _)| *ours).or(near) {
            Some(ours) => wrong.hint(format!("write `r2vfs {ours}`")),
            None => wrong.hint("`r2vfs --help` lists the commands"),
        };
    }
    let text = error.render().to_string();
    let mut what = String::new();
    let mut next = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            join(&mut next, tip, "; ");
        } else if line.starts_with("Usage:") {
            break;
        } else if line.starts_with("For more information") {
            continue;
        } else {
            join(&mut what, line.strip_prefix("error: ").unwrap_or(line), " ");
        }
    }
    if next.is_empty() {
        next.push_str("add --help to the command to see what it takes");
    }
    wrong(what).hint(next)
}

fn join(text: &mut String, more: &str, between: &str) {
    if !text.is_empty() {
        text.push_str(between);
    }
    text.push_str(more);
}

/// An error about the command line.
pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::{super::args, *};

    fn told(words: &[&str]) -> (String, String) {
        let words = std::iter::once("r2vfs").chain(words.iter().copied()).map(Into::into);
        let error = explain(&args::parse(words).expect_err("the command line is wrong"));
        (error.message().to_owned(), error.advice().unwrap_or_default().to_owned())
    }

    #[test]
    fn a_command_of_another_program_is_answered_with_ours() {
        assert_eq!(
            told(&["find", "/"]),
            ("there is no command `find`".to_owned(), "write `r2vfs glob`".to_owned())
        );
        assert_eq!(told(&["gerp", "x"]).1, "write `r2vfs grep`");
        assert_eq!(told(&["zzzz"]).1, "`r2vfs --help` lists the commands");
    }

    #[test]
    fn a_misspelled_option_and_a_number_out_of_bounds_are_named() {
        let (what, next) = told(&["grep", "--ignore-cas", "x"]);
        assert_eq!(what, "unexpected argument '--ignore-cas' found");
        assert!(next.contains("--ignore-case"), "{next}");
        let (what, _) = told(&["read", "/a", "--limit", "0"]);
        assert!(what.contains("'0'") && what.contains("--limit"), "{what}");
    }

    #[test]
    fn every_synonym_leads_to_a_command_that_exists() {
        let command = args::command();
        for (ours, others) in SYNONYMS.iter().filter(|(ours, _)| !ours.starts_with('-')) {
            assert!(command.find_subcommand(ours).is_some(), "{ours}");
            for other in *others {
                assert!(command.find_subcommand(other).is_none(), "{other} is ours");
            }
        }
    }
}
