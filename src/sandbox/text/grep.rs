//! `grep` as text: `path:line:text` as ripgrep prints it, `path-line-text` for context, a `--`
//! between groups; or paths; or `path:count`.

use std::fmt::Write as _;

use super::{
    counted,
    footer::{DATA, Footer, again, argument, files, place},
    name,
};
use crate::sandbox::{Answer, Envelope, Estimate, FileHits, GrepResult, HitLine, arguments::Given};

/// One line, or each of those that a match spans.
pub(in crate::sandbox) fn line(path: &str, hit: &HitLine) -> String {
    let path = name(path);
    let mark = if hit.context { '-' } else { ':' };
    let text = hit.text.strip_suffix('\n').unwrap_or(&hit.text);
    let mut out = String::new();
    for (number, text) in (hit.line..).zip(text.split('\n')) {
        if !out.is_empty() {
            out.push('\n');
        }
        // Writing to a String cannot fail.
        let _ = write!(out, "{path}{mark}{number}{mark}{text}");
    }
    if hit.cut {
        out.push_str(" …[the rest of this line is left out]");
    }
    out
}

/// A file of the modes without lines.
pub(in crate::sandbox) fn file(file: &FileHits) -> String {
    match file.count {
        Some(count) => format!("{}:{count}", name(&file.path)),
        None => name(&file.path),
    }
}

pub(super) fn render(answer: &Answer<GrepResult>, given: &Given) -> String {
    let (result, envelope) = (&answer.result, &answer.envelope);
    if let Some(estimate) = &result.estimate {
        return dry_run(estimate, envelope, given);
    }
    let mut lines: Vec<String> = Vec::new();
    let has_context = result.files.iter().any(|file| file.lines.iter().any(|line| line.context));
    for hits in &result.files {
        if hits.lines.is_empty() {
            lines.push(file(hits));
        }
        let mut next = None;
        for hit in &hits.lines {
            // Lines that do not follow one another, as ripgrep separates them.
            if has_context && !lines.is_empty() && next != Some(hit.line) {
                lines.push("--".to_owned());
            }
            let text = hit.text.strip_suffix('\n').unwrap_or(&hit.text);
            next = Some(hit.line + text.matches('\n').count() as u64 + 1);
            lines.push(line(&hits.path, hit));
        }
    }
    let is_content = result.files.iter().any(|file| !file.lines.is_empty());
    let found = found(result, envelope, given, is_content);
    Footer::new()
        .say(found)
        .worth(envelope)
        .lacks(envelope)
        .goes_on(envelope, given)
        .say_if(is_content, DATA)
        .below(lines.join("\n"))
}

fn found(result: &GrepResult, envelope: &Envelope, given: &Given, is_content: bool) -> String {
    let n = result.files.len() as u64;
    let in_files = counted(n, "file", "files");
    if is_content {
        let matches = counted(result.len() as u64, "match", "matches");
        return format!("{matches} in {in_files}");
    }
    if n > 0 {
        let matches = if n == 1 { "matches" } else { "match" };
        return format!("{in_files} {matches}");
    }
    if given.arguments.contains_key("cursor") {
        return "no more matches".to_owned();
    }
    let narrowed: Vec<String> = ["glob", "type"]
        .into_iter()
        .filter_map(|what| Some(format!("{what} {}", argument(given, what)?)))
        .collect();
    let narrowed = match narrowed.as_slice() {
        [] => String::new(),
        some => format!(" ({})", some.join(", ")),
    };
    let known = envelope.index.map_or(0, |index| index.left_out);
    let looked_at = match (envelope.searched + known, envelope.listed) {
        (0, 0) if !envelope.complete => "nothing was searched".to_owned(),
        (0, 0) => format!("there is no file{}", place(given)),
        (0, listed) => format!("none of the {}{} was searched", files(listed), place(given)),
        (searched, _) => format!("{}{} searched", files(searched), place(given)),
    };
    let pattern = argument(given, "pattern").unwrap_or_default();
    // What was not looked at may hold one.
    let so_far = if envelope.complete { "" } else { " so far" };
    format!("no match{so_far} for {pattern}: {looked_at}{narrowed}")
}

fn dry_run(estimate: &Estimate, envelope: &Envelope, given: &Given) -> String {
    let Estimate { objects, bytes, list_requests, get_requests } = estimate;
    let mut text = format!(
        "this grep would search {} and fetch {bytes} B\nrequests: {list_requests} list (class A) \
         and {get_requests} get (class B)",
        files(*objects)
    );
    if let Some(index) = envelope.index.filter(|index| index.left_out > 0) {
        let _ = write!(text, "\nthe index leaves out {}", files(index.left_out));
    }
    let call = again(given, [], &["dry_run"]);
    Footer::new()
        .say("dry run: no file was read; what is cached, a limit and early matches make it cheaper")
        .worth(envelope)
        .lacks(envelope)
        .say(format!("run it with {call}"))
        .below(text)
}
