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
];

/// The program as it is called.
const PROGRAM: &str = "r2vfs";

/// Prints help and version, or tells what was wrong with the command line.
pub(super) fn show(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe (`--help | head`) is no failure.
            drop(error.print());
            Exit::Match
        }
        // Of the program itself it would be a page of options that every command has.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if called(error) != PROGRAM => {
            drop(error.print());
            Exit::Error
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
        let called = called(error);
        let known = SYNONYMS.iter().find(|(_, others)| called == PROGRAM && others.contains(&name));
        let near = match error.get(ContextKind::SuggestedSubcommand) {
            Some(ContextValue::Strings(names)) => names.first().map(String::as_str),
            _ => None,
        };
        let wrong = wrong(format!("there is no command `{name}`"));
        return match known.map(|(ours, _)| *ours).or(near) {
            Some(ours) => wrong.hint(format!("write `{called} {ours}`")),
            None => wrong.hint(format!("`{called} --help` lists the commands")),
        };
    }
    let text = error.render().to_string();
    let mut what = String::new();
    let mut next = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("tip: to pass '-") && !line.starts_with("tip: to pass '--") {
            // clap speaks of the first letter, and means all of what was typed.
            let tip = format!(
                "what begins with a dash and is no option goes behind `--`: `{} -- -…`",
                called(error)
            );
            join(&mut next, &tip, "; ");
        } else if let Some(tip) = line.strip_prefix("tip: ") {
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

/// The program and the commands that clap has understood, as its usage names them: `r2vfs index`.
fn called(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let usage = text.lines().find_map(|line| line.trim().strip_prefix("Usage: "));
    let words = usage.unwrap_or(PROGRAM).split_whitespace();
    let words: Vec<_> = words.take_while(|word| !word.starts_with(['[', '<', '-'])).collect();
    words.join(" ")
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
        assert_eq!(told(&["-b", "x", "index", "buidl"]).1, "write `r2vfs index build`");
        assert_eq!(told(&["index", "find"]).1, "`r2vfs index --help` lists the commands");
    }

    #[test]
    fn a_misspelled_option_and_a_number_out_of_bounds_are_named() {
        let (what, next) = told(&["grep", "--ignore-cas", "x"]);
        assert_eq!(what, "unexpected argument '--ignore-cas' found");
        assert!(next.contains("--ignore-case"), "{next}");
        let (_, next) = told(&["search", "-foo"]);
        assert!(next.ends_with("goes behind `--`: `r2vfs search -- -…`"), "{next}");
        let (_, next) = told(&["search", "--limit", "5", "-foo"]);
        assert!(next.ends_with("`r2vfs search -- -…`"), "{next}");
        let (what, _) = told(&["read", "/a", "--limit", "0"]);
        assert!(what.contains("'0'") && what.contains("--limit"), "{what}");
    }

    #[test]
    fn every_synonym_leads_to_a_command_that_exists() {
        let command = args::command();
        for (ours, others) in SYNONYMS {
            assert!(command.find_subcommand(ours).is_some(), "{ours}");
            for other in *others {
                assert!(command.find_subcommand(other).is_none(), "{other} is ours");
            }
        }
    }
}
