//! `search` as text: a numbered hit with its lines and headings, its passage below, indented.

use super::{
    clipped, counted,
    footer::{DATA, Footer, argument, files, place},
    name,
};
use crate::sandbox::{Answer, SearchHit, SearchResult, arguments::Given};

/// Characters of a title and its headings.
const HEADING: usize = 200;

/// Characters of a line of a passage.
const LINE: usize = 500;

fn hit(rank: usize, hit: &SearchHit) -> String {
    let [first, last] = hit.lines;
    let mut trail: Vec<&str> = vec![&hit.title];
    trail.extend(hit.heading.iter().map(String::as_str).filter(|heading| *heading != hit.title));
    trail.retain(|heading| !heading.is_empty());
    let trail = clipped(&name(&trail.join(" > ")), HEADING);
    let mut out = format!("{rank}. {}:{first}-{last}  {trail}", name(&hit.path));
    for line in hit.snippet.lines() {
        out.push_str("\n   | ");
        out.push_str(&clipped(line, LINE));
    }
    out
}

pub(super) fn render(answer: &Answer<SearchResult>, given: &Given, room: usize) -> String {
    let (hits, envelope) = (&answer.result.hits, &answer.envelope);
    let mut text = String::new();
    let mut shown = 0;
    for (n, one) in hits.iter().enumerate() {
        let one = hit(n + 1, one);
        if n > 0 && text.chars().count() + one.chars().count() > room {
            break;
        }
        text.push_str(&one);
        text.push('\n');
        shown += 1;
    }
    let found = match hits.len() {
        0 => format!(
            "no hit for {}: {} {} ranked",
            argument(given, "query").unwrap_or_default(),
            files(envelope.searched),
            place(given)
        ),
        n => counted(n as u64, "hit", "hits"),
    };
    Footer::new()
        .say(found)
        .say_if(shown < hits.len(), format!("the best {shown} are shown; narrow path or query"))
        .worth(envelope)
        .lacks(envelope)
        .say_if(!hits.is_empty(), "read the lines for more")
        .say_if(!hits.is_empty(), DATA)
        .below(text)
}
