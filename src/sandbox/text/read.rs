//! `read` as text: `cat -n`, the number in six columns and a tab.

use super::footer::{DATA, Footer};
use crate::sandbox::{Answer, ReadLine, ReadResult, arguments::Given};

pub(in crate::sandbox) fn line(line: &ReadLine) -> String {
    let number = line.number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let cut = match line.cut {
        0 => String::new(),
        cut => format!(" …[{cut} bytes of this line left out; see max_line]"),
    };
    format!("{number:>6}\t{}{cut}", line.text)
}

pub(super) fn render(answer: &Answer<ReadResult>, given: &Given) -> String {
    let read = &answer.result;
    let lines: Vec<String> = read.lines.iter().map(line).collect();
    let numbers = |line: Option<&ReadLine>| line.and_then(|line| line.number);
    let range = match (numbers(read.lines.first()), numbers(read.lines.last())) {
        (Some(first), Some(last)) => format!("lines {first}-{last}"),
        _ => format!("the last {} lines", read.lines.len()),
    };
    let place = match (read.lines.as_slice(), read.total_lines) {
        ([], _) => "the file is empty".to_owned(),
        (_, Some(total)) => format!("{range} of {total}"),
        (_, None) if read.next_offset.is_some() => format!("{range}, and there are more"),
        _ => range,
    };
    let tail = given.arguments.contains_key("tail");
    let incomplete = answer.envelope.incomplete.iter();
    let why: Vec<&str> = incomplete.map(|lack| lack.detail.as_str()).collect();
    let next = read.next_offset.filter(|_| !tail);
    Footer::new()
        .say(place)
        .say_if(tail && !why.is_empty(), why.join("; "))
        .say_if(next.is_some(), format!("read on with offset={}", next.unwrap_or_default()))
        .say_if(read.binary, "it holds a NUL byte: this is probably no text")
        .lacks(&answer.envelope)
        .say_if(!lines.is_empty(), DATA)
        .below(lines.join("\n"))
}
