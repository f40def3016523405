//! `list` as text: `file`, size, time and path in columns; `dir` and path.

use super::{
    counted,
    footer::{Footer, place},
    name,
};
use crate::sandbox::{Answer, ListEntry, ListResult, answer::utc, arguments::Given};

pub(in crate::sandbox) fn entry(entry: &ListEntry) -> String {
    let path = name(&entry.path);
    match entry.size {
        None => format!("dir  {path}"),
        Some(size) => {
            let time = entry.modified.map_or_else(|| "-".to_owned(), utc);
            format!("file  {size} B  {time}  {path}")
        }
    }
}

pub(super) fn render(answer: &Answer<ListResult>, given: &Given) -> String {
    let entries = &answer.result.entries;
    let envelope = &answer.envelope;
    let lines: Vec<String> = entries.iter().map(entry).collect();
    let found = match entries.len() {
        0 if given.arguments.contains_key("cursor") => "no more entries".to_owned(),
        0 => format!("there is nothing{}", place(given)),
        n => counted(n as u64, "entry", "entries"),
    };
    Footer::new()
        .say_if(given.tool.name == "read", "this is a directory: its entries")
        .say(found)
        .worth(envelope)
        .lacks(envelope)
        .goes_on(envelope, given)
        .below(lines.join("\n"))
}
