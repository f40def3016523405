//! `glob` as text: one path a line.

use super::{
    counted,
    footer::{Footer, argument, files, place},
    name,
};
use crate::sandbox::{Answer, GlobResult, arguments::Given};

pub(super) fn render(answer: &Answer<GlobResult>, given: &Given) -> String {
    let envelope = &answer.envelope;
    let lines: Vec<String> = answer.result.paths.iter().map(|path| name(path)).collect();
    let found = match lines.len() {
        0 if given.arguments.contains_key("cursor") => {
            format!("no more files match{}", if envelope.complete { "" } else { " so far" })
        }
        0 => format!(
            "no file matches {}{} among the {}{}",
            argument(given, "pattern").unwrap_or_default(),
            if envelope.complete { "" } else { " so far" },
            files(envelope.listed),
            place(given)
        ),
        n => counted(n as u64, "file", "files"),
    };
    Footer::new()
        .say(found)
        .worth(envelope)
        .lacks(envelope)
        .goes_on(envelope, given)
        .below(lines.join("\n"))
}
