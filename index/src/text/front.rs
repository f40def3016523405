//! Front matter: what an author wrote about an article before its text.
//!
//! A YAML parser would fail on the templates and tabs that real front matter has, and lose the
//! title with the rest. Only four values are wanted, so each line is read for itself; what is not
//! understood is left out.

/// What of it is searched.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Front {
    pub(super) title: Option<String>,
    /// A second title, a description, a summary: words that readers look for.
    pub(super) about: String,
    /// Where the text begins, in bytes.
    pub(super) end: usize,
}

/// Front matter longer than this is text that begins with a rule.
const MAX: usize = 64 << 10;

/// Reads YAML between `---` and TOML between `+++` at the start of a text.
pub(super) fn front(text: &str) -> Front {
    let start = text.len() - text.trim_start_matches('\u{feff}').len();
    let mut lines = text[start..].split_inclusive('\n');
    let Some(fence) = lines.next().map(str::trim_end).filter(|line| matches!(*line, "---" | "+++"))
    else {
        return Front { end: start, ..Front::default() };
    };
    let begin = start + text[start..].find('\n').map_or(text.len() - start, |at| at + 1);
    let mut at = begin;
    for line in lines {
        let ends = line.trim_end() == fence || (fence == "---" && line.trim_end() == "...");
        if ends {
            let mut front = read(&text[begin..at], if fence == "---" { ':' } else { '=' });
            front.end = at + line.len();
            return front;
        }
        at += line.len();
        if at - start > MAX {
            break;
        }
    }
    Front { end: start, ..Front::default() }
}

fn read(matter: &str, separator: char) -> Front {
    let mut front = Front::default();
    let mut lines = matter.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, value)) = line.split_once(separator) else { continue };
        let name = name.trim_end().to_ascii_lowercase();
        let title = name == "title";
        if !title && !matches!(name.as_str(), "linktitle" | "description" | "summary" | "keywords")
        {
            continue;
        }
        let mut value = value.trim().to_owned();
        if matches!(value.as_str(), ">" | "|" | ">-" | "|-" | ">+" | "|+") {
            value.clear();
        }
        let quoted = value.starts_with(['"', '\'']);
        if !quoted || !closed(&value) {
            // A value goes on over the lines that are further in.
            while let Some(more) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
                value.push(' ');
                value.push_str(more.trim());
            }
        }
        let value = unquoted(value.trim());
        if value.is_empty() {
            continue;
        }
        if title && front.title.is_none() {
            front.title = Some(value);
        } else if !title {
            if !front.about.is_empty() {
                front.about.push('\n');
            }
            front.about.push_str(&value);
        }
    }
    front
}

fn closed(value: &str) -> bool {
    let mut chars = value.chars();
    let first = chars.next();
    value.len() > 1 && chars.next_back() == first
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            let doubled: String = [quote, quote].iter().collect();
            return inner
                .replace(&format!("\\{quote}"), &quote.to_string())
                .replace(&doubled, &quote.to_string());
        }
    }
    value.trim_matches(['[', ']']).trim().to_owned()
}
