//! `search`: the sections that answer a question, best first.

mod batch;

use std::ops::Range;

use super::super::{
    args::Search,
    exit::Exit,
    failure::{Failures, Stop, say},
    options::Options,
    output::Out,
    wait::Waiter,
};
use super::close;
use crate::{
    error::Kind,
    sandbox::{OneOrMany, SearchArgs, SearchHit, VirtualSandbox},
};

/// What marks a word of the question on a terminal: bold, as in a search engine's snippets.
const BOLD: (&str, &str) = ("\x1b[1m", "\x1b[0m");

/// Columns that a snippet is wrapped to.
const WIDTH: usize = 96;

/// Answers one question.
pub(in crate::cli) async fn run(
    sandbox: &VirtualSandbox,
    options: &Options,
    search: Search,
    out: &mut Out,
) -> Result<Exit, Stop> {
    if let (Some(questions), Some(run)) = (&search.batch, &search.run) {
        return Box::pin(batch::over_bucket(sandbox, options, &search, (questions, run), out))
            .await;
    }
    let mut waiter = Waiter::new("searching");
    let unquoted = unquoted(&search);
    let arguments = SearchArgs {
        query: search.question.unwrap_or_default(),
        path: OneOrMany::Many(search.paths),
        glob: OneOrMany::Many(search.glob),
        limit: search.limit,
    };
    let answer = waiter.until(out, sandbox.search(arguments)).await?;
    let answer = answer.map_err(|error| match (error.kind(), unquoted) {
        (Kind::NotFound | Kind::InvalidPath, Some(question)) => {
            error.hint(format!("what follows the question is a path; was it meant as {question}?"))
        }
        _ => error,
    })?;
    for (n, hit) in (1..).zip(&answer.result.hits) {
        if options.json {
            out.flat("hit", hit)?;
        } else {
            print(out, options, n, hit)?;
        }
    }
    if !options.stats && !options.json && answer.result.hits.is_empty() {
        say("r2vfs: no article was found; --stats says what was looked at");
    }
    let mut failures = Failures::default();
    close(options, out, &mut failures, &answer.envelope)?;
    match answer.result.hits.is_empty() && !answer.envelope.complete {
        // The article may be among what was not looked at.
        true => Ok(Exit::Error),
        false => Ok(failures.exit(!answer.result.hits.is_empty())),
    }
}

/// The question and its paths as one question, where no path looks like one.
fn unquoted(search: &Search) -> Option<String> {
    let question = search.question.as_ref().filter(|_| !search.paths.is_empty())?;
    let words = || std::iter::once(question).chain(&search.paths);
    let plain = words().all(|word| !word.contains(['/', '\'']));
    plain.then(|| format!("'{}'", words().cloned().collect::<Vec<_>>().join(" ")))
}

/// Answers the questions of a file over the documents of another, without a bucket.
pub(in crate::cli) fn corpus(search: &Search) -> Result<Exit, Stop> {
    match (&search.batch, &search.run, &search.corpus) {
        (Some(batch), Some(run), Some(corpus)) => batch::over_corpus(search, (batch, run, corpus)),
        // The parser asks for all three.
        _ => Ok(Exit::Error),
    }
}

/// A hit in a few lines: where it is, what it is called, what it says.
fn print(out: &mut Out, options: &Options, n: usize, hit: &SearchHit) -> Result<(), Stop> {
    if n > 1 {
        out.line("")?;
    }
    let (bold, plain) = if options.color { BOLD } else { ("", "") };
    let [first, last] = hit.lines;
    let path = out.shown(&hit.path).into_owned();
    let title = out.shown(&hit.title).into_owned();
    out.line(format_args!("{n}. {bold}{path}{plain}:{first}-{last}  {title}  ({:.2})", hit.score))?;
    if !hit.heading.is_empty() {
        let trail = hit.heading.join(" > ");
        let trail = out.shown(&trail).into_owned();
        out.line(format_args!("   {trail}"))?;
    }
    for line in wrapped(&hit.snippet, &hit.marks, options.color) {
        let line = if options.color { line } else { out.shown(&line).into_owned() };
        out.line(format_args!("   {line}"))?;
    }
    Ok(())
}

/// The snippet on lines of at most [`WIDTH`] characters, cut at spaces, its marks in bold.
fn wrapped(text: &str, marks: &[[usize; 2]], color: bool) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut width = 0;
    let mut at = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        let range = at..at + word.len();
        at = range.end;
        let word = word.trim_end();
        if word.is_empty() {
            continue;
        }
        let chars = word.chars().count();
        if width > 0 && width + 1 + chars > WIDTH {
            lines.push(String::new());
            width = 0;
        }
        let Some(line) = lines.last_mut() else { break };
        if width > 0 {
            line.push(' ');
            width += 1;
        }
        width += chars;
        let word = crate::tree::path::visible(word);
        match color && marked(&range, marks) {
            true => line.push_str(&format!("{}{word}{}", BOLD.0, BOLD.1)),
            false => line.push_str(&word),
        }
    }
    lines
}

fn marked(word: &Range<usize>, marks: &[[usize; 2]]) -> bool {
    marks.iter().any(|&[start, end]| start < word.end && end > word.start)
}
