//! What was asked.
//!
//! A query language with errors turns away the customer who pasted a message with a colon in it.
//! Every text is a question: what looks like an operator and can be one is one, anything else is
//! words. `"…"` is a phrase that must occur, `-word` one that must not, `title:` and `path:` name
//! where a word must stand.

use crate::text::{Kind, Lang, is_stop, words};

use super::schema::Zone;

/// What is read of a question, in bytes: a page of text.
const MAX_BYTES: usize = 6_000;
/// Different words looked up.
const MAX_WORDS: usize = 200;
/// Operators obeyed.
const MAX_CLAUSES: usize = 32;
/// Words of one phrase.
const MAX_PHRASE: usize = 32;

/// A question, ready to be asked of any index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// As typed, bounded.
    pub(crate) text: String,
    /// Words to rank by, in order. Those of phrases and of fields are among them.
    pub(crate) words: Vec<Asked>,
    pub(crate) clauses: Vec<Clause>,
    pub(crate) notes: Vec<String>,
}

/// A word of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) text: String,
    pub(crate) kind: Kind,
    /// Its place among the words: neighbours differ by one.
    pub(crate) position: u32,
    /// How often it was said.
    pub(crate) times: u32,
}

/// What must or must not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clause {
    pub(crate) not: bool,
    /// Where; anywhere when none.
    pub(crate) zone: Option<Zone>,
    /// Words that stand one behind the other.
    pub(crate) phrase: Vec<Asked>,
    /// As typed.
    pub(crate) text: String,
}

impl Question {
    /// Reads a question. Never fails; of more than a page only the first page is read.
    pub fn parse(text: &str) -> Self {
        let mut question = Self {
            text: text[..text.floor_char_boundary(MAX_BYTES)].to_owned(),
            words: Vec::new(),
            clauses: Vec::new(),
            notes: Vec::new(),
        };
        if question.text.len() < text.len() {
            question
                .notes
                .push(format!("only the first {MAX_BYTES} bytes of the question were read"));
        }
        let typed = question.text.clone();
        let mut position = 0;
        for item in items(&typed) {
            question.take(&item, &mut position);
        }
        if question.is_empty() && !text.trim().is_empty() {
            question.notes.push("the question has no word to look for".to_owned());
        }
        if question.words.is_empty() && !question.clauses.is_empty() {
            let note = "the question says only what must not occur: add a word to look for";
            question.notes.push(note.to_owned());
        }
        question
    }

    /// Whether nothing can be looked for.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.clauses.is_empty()
    }

    fn take(&mut self, item: &Item<'_>, position: &mut u32) {
        let asked = asked(item.text);
        let operator = item.not || item.phrase || item.zone.is_some();
        if operator && !asked.is_empty() && self.clauses.len() < MAX_CLAUSES {
            let text = item.typed.to_owned();
            let phrase = phrase(&asked, item.phrase);
            self.clauses.push(Clause { not: item.not, zone: item.zone, phrase, text });
        }
        if item.flag {
            self.notes.push(format!(
                "{} stands inside a sentence and was looked for; to leave a word out, put it at the \
                 end",
                item.typed
            ));
        }
        if item.not {
            return;
        }
        let base = *position;
        for word in asked {
            *position = (*position).max(base + word.position + 1);
            let same = |known: &&mut Asked| known.text == word.text && known.kind == word.kind;
            if let Some(known) = self.words.iter_mut().find(same) {
                known.times += 1;
            } else if self.words.len() < MAX_WORDS {
                self.words.push(Asked { position: base + word.position, ..word });
            }
        }
    }
}

/// The words of a clause. A joined word stands for its parts, unless it is part of a phrase.
fn phrase(asked: &[Asked], quoted: bool) -> Vec<Asked> {
    let part_of = |whole: &Asked| {
        asked.iter().any(|word| word.kind == Kind::Part && word.position == whole.position)
    };
    let whole = asked.iter().find(|word| word.kind == Kind::Whole);
    match whole {
        Some(whole) if !quoted => vec![whole.clone()],
        _ => {
            let kept = asked.iter().filter(|word| word.kind != Kind::Whole || !part_of(word));
            kept.take(MAX_PHRASE).cloned().collect()
        }
    }
}

fn asked(text: &str) -> Vec<Asked> {
    let mut asked = Vec::new();
    words(text, |word| {
        asked.push(Asked {
            text: word.text.into_owned(),
            kind: word.kind,
            position: word.position,
            times: 1,
        });
    });
    asked
}

/// A piece of a question between blanks or quotes.
#[derive(Clone, Debug)]
struct Item<'a> {
    typed: &'a str,
    text: &'a str,
    not: bool,
    phrase: bool,
    zone: Option<Zone>,
    /// Led by a dash and yet a word.
    flag: bool,
}

const FIELDS: [(&str, Zone); 2] = [("title:", Zone::Title), ("path:", Zone::Path)];

fn items(text: &str) -> Vec<Item<'_>> {
    let lang = Lang::of(text);
    let mut items = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start().len();
        if blank > 0 {
            at += blank;
            continue;
        }
        let item = item(rest, || says_more(&text[at..], lang));
        at += item.typed.len().max(1);
        at = text.ceil_char_boundary(at);
        items.push(item);
    }
    items
}

fn item<'a>(rest: &'a str, sentence_follows: impl Fn() -> bool) -> Item<'a> {
    let mut body = rest;
    let mut not = false;
    let dash = body
        .strip_prefix('-')
        .filter(|after| after.starts_with(|char: char| char.is_alphanumeric() || char == '"'));
    if let Some(after) = dash {
        not = true;
        body = after;
    }
    let mut zone = None;
    for (name, of) in FIELDS {
        let named = body.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let value = body.get(name.len()..).unwrap_or_default();
        if named && value.starts_with(|char: char| !char.is_whitespace()) {
            zone = Some(of);
            body = value;
            break;
        }
    }
    let begun = rest.len() - body.len();
    for (open, close) in [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('「', '」')]
    {
        let Some(inner) = body.strip_prefix(open) else { continue };
        if let Some(end) = inner.find(close).filter(|end| !inner[..*end].trim().is_empty()) {
            let typed = &rest[..begun + open.len_utf8() + end + close.len_utf8()];
            return Item { typed, text: &inner[..end], not, phrase: true, zone, flag: false };
        }
    }
    let end = body.find(char::is_whitespace).unwrap_or(body.len());
    let typed = &rest[..begun + end];
    // In a sentence a dash leads a flag: "where to put -javaagent in Tomcat". One that leaves a
    // word out stands among words that all say something.
    if not && zone.is_none() && sentence_follows() {
        return Item {
            typed,
            text: &body[..end],
            not: false,
            phrase: false,
            zone: None,
            flag: true,
        };
    }
    Item { typed, text: &body[..end], not, phrase: false, zone, flag: false }
}

/// Whether what follows the first word is the rest of a sentence, which has words that say nothing.
fn says_more(rest: &str, lang: Lang) -> bool {
    rest.split_whitespace().skip(1).any(|word| {
        let word = word.to_lowercase();
        is_stop(Lang::ENGLISH, &word) || is_stop(lang, &word)
    })
}
