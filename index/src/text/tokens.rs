//! Text to terms.
//!
//! A tokenizer for prose splits `OTEL_EXPORTER_OTLP_ENDPOINT` or `service.name` and forgets that
//! the parts belonged together; one for code never finds `endpoint`. [`words`] gives both: the
//! parts at positions of their own, and the whole at the position of its first part, spelled
//! without what joins it, so that `java-agent`, `javaAgent` and `javaagent` meet. Scripts that
//! write no blanks are cut into pairs of characters.
//!
//! An [`Analyzer`] makes terms of words: lower case, one Unicode form, the stem of its language,
//! accents off. Accents go last, because stemmers of languages that have them need them.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use tantivy::tokenizer::{RawTokenizer, Stemmer, TextAnalyzer, TokenStream};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::Lang;

/// The longest term in bytes: what is longer is no word, and is known by its beginning.
pub const MAX_TERM: usize = 40;

/// Parts of one joined word; what has more is data.
const MAX_PARTS: usize = 8;

/// What a [`Word`] is of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word by itself.
    Plain,
    /// A part of a joined word.
    Part,
    /// A joined word, without what joins it.
    Whole,
    /// Two neighbouring characters of a script without blanks, or a single one that stands alone.
    Pair,
}

/// A word of a text, before it is made a term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// As it is written, but for a whole, which is joined.
    pub text: Cow<'a, str>,
    /// Where it lies in the text.
    pub bytes: Range<usize>,
    /// Its place in the order of words. A whole has that of its first part.
    pub position: u32,
    /// What it is.
    pub kind: Kind,
}

/// Calls `take` with each word of `text`, in order.
pub fn words<'a>(text: &'a str, mut take: impl FnMut(Word<'a>)) {
    let mut position = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((start, char)) = chars.next() {
        match class(char) {
            Class::Other => {
                // `.NET` has no letter before its dot, so that it is not joined to anything.
                let net = char == '.' && starts_word(text, start) && is_net(&text[start + 1..]);
                if net {
                    let bytes = start..start + 4;
                    take(Word { text: "dotnet".into(), bytes, position, kind: Kind::Whole });
                }
            }
            Class::Pairs => {
                let mut end = start + char.len_utf8();
                let mut starts = vec![start];
                while let Some((at, next)) =
                    chars.next_if(|(_, next)| class(*next) == Class::Pairs || voices(*next))
                {
                    if !voices(next) {
                        starts.push(at);
                    }
                    end = at + next.len_utf8();
                }
                pairs(text, &starts, end, &mut position, &mut take);
            }
            Class::Word => {
                let mut end = start + char.len_utf8();
                while let Some((at, next)) = chars.peek().copied() {
                    let joins = is_joiner(next)
                        && text[at + next.len_utf8()..]
                            .chars()
                            .next()
                            .is_some_and(|after| class(after) == Class::Word);
                    if class(next) != Class::Word && !joins {
                        break;
                    }
                    end = at + next.len_utf8();
                    chars.next();
                }
                chunk(text, start..end, &mut position, &mut take);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Pairs,
    Other,
}

fn class(char: char) -> Class {
    if char.is_ascii() {
        return if char.is_ascii_alphanumeric() { Class::Word } else { Class::Other };
    }
    if without_blanks(char) {
        Class::Pairs
    } else if char.is_alphanumeric() || is_combining_mark(char) {
        Class::Word
    } else {
        Class::Other
    }
}

/// Scripts whose words are not parted by blanks, or are with endings grown on (Hangul).
fn without_blanks(char: char) -> bool {
    matches!(u32::from(char),
        0x0E00..=0x0EFF // Thai, Lao
        | 0x0F40..=0x0FBC // Tibetan
        | 0x1000..=0x109F // Myanmar
        | 0x1100..=0x11FF // Hangul letters
        | 0x1780..=0x17DD // Khmer
        | 0x3005..=0x3007 | 0x3041..=0x3096 | 0x309D..=0x309F | 0x30A1..=0x30FA | 0x30FC..=0x30FF
        | 0x3131..=0x318E | 0x31F0..=0x31FF // Hangul letters, small Katakana
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF // Han
        | 0xAC00..=0xD7A3 // Hangul
        | 0xF900..=0xFAFF | 0xFF66..=0xFF9D // Han, half-wide Katakana
        | 0x20000..=0x323AF)
}

/// The voicing marks of kana, which in decomposed text stand behind their sign.
fn voices(char: char) -> bool {
    matches!(char, '\u{3099}' | '\u{309A}')
}

fn is_joiner(char: char) -> bool {
    matches!(char, '_' | '-' | '.' | '\u{2010}' | '\u{2011}')
}

fn starts_word(text: &str, at: usize) -> bool {
    text[..at].chars().next_back().is_none_or(|before| class(before) == Class::Other)
}

fn is_net(rest: &str) -> bool {
    rest.get(..3).is_some_and(|net| net == "NET" || net == "Net")
        && rest[3..].chars().next().is_none_or(|after| class(after) == Class::Other)
}

fn pairs<'a>(
    text: &'a str,
    starts: &[usize],
    end: usize,
    position: &mut u32,
    take: &mut impl FnMut(Word<'a>),
) {
    let after = |at: usize| starts.get(at).copied().unwrap_or(end);
    #[allow(clippy::needless_range_loop, reason = "the next start is looked at too")]
    for at in 0..starts.len().saturating_sub(1).max(1) {
        let bytes = starts[at]..after(at + 2);
        take(Word {
            text: Cow::Borrowed(&text[bytes.clone()]),
            bytes,
            position: *position,
            kind: Kind::Pair,
        });
        *position += 1;
    }
    // A gap, so that the next run is no neighbour of this one's last pair.
    *position += 1;
}

/// A run of letters, digits and what joins them.
fn chunk<'a>(
    text: &'a str,
    range: Range<usize>,
    position: &mut u32,
    take: &mut impl FnMut(Word<'a>),
) {
    let run = &text[range.clone()];
    if let Some(name) = with_symbols(text, &range) {
        take(Word { text: name.into(), bytes: range, position: *position, kind: Kind::Plain });
        *position += 1;
        return;
    }
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    let mut before: Option<char> = None;
    let mut chars = run.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        if is_joiner(char) {
            if start < at {
                parts.push(start..at);
            }
            start = at + char.len_utf8();
        } else if char.is_uppercase() && start < at {
            let next_is_small = chars.peek().is_some_and(|(_, next)| next.is_lowercase());
            // `fooBar` is cut at B; `HTTPServer` at S, since what follows it is small.
            let cut = before.is_some_and(|before| {
                before.is_lowercase() || (before.is_uppercase() && next_is_small)
            });
            if cut {
                parts.push(start..at);
                start = at;
            }
        }
        before = Some(char);
    }
    if start < run.len() {
        parts.push(start..run.len());
    }
    let numbers =
        parts.iter().all(|part| run[part.clone()].bytes().all(|byte| byte.is_ascii_digit()));
    let first = *position;
    let at = |part: &Range<usize>| range.start + part.start..range.start + part.end;
    match &parts[..] {
        [] => return,
        [part] => {
            let bytes = at(part);
            let text = Cow::Borrowed(&text[bytes.clone()]);
            take(Word { text, bytes, position: first, kind: Kind::Plain });
            *position += 1;
            return;
        }
        _ => {}
    }
    if parts.len() <= MAX_PARTS && run.len() <= MAX_TERM + MAX_PARTS {
        let whole = if numbers { run.to_owned() } else { run.replace(is_joiner, "") };
        take(Word { text: whole.into(), bytes: range.clone(), position: first, kind: Kind::Whole });
    }
    for part in &parts {
        // Digits of a version or a date one by one say nothing.
        if !(numbers && part.len() < 2) {
            let bytes = at(part);
            let text = Cow::Borrowed(&text[bytes.clone()]);
            take(Word { text, bytes, position: *position, kind: Kind::Part });
        }
        *position += 1;
    }
}

/// Names of which only a letter would be left: a search for `C#` would find `c`.
fn with_symbols(text: &str, range: &Range<usize>) -> Option<&'static str> {
    if range.len() != 1 {
        return None;
    }
    let letter = text.as_bytes()[range.start].to_ascii_lowercase();
    let rest = &text[range.end..];
    match letter {
        b'c' if rest.starts_with("++") => Some("cpp"),
        b'c' if rest.starts_with('#') => Some("csharp"),
        b'f' if rest.starts_with('#') => Some("fsharp"),
        _ => None,
    }
}

/// Makes terms of words, and remembers what it made: a text repeats its words.
pub struct Analyzer {
    stemmers: HashMap<Lang, Stems>,
    scratch: String,
}

struct Stems {
    stemmer: Option<TextAnalyzer>,
    known: HashMap<Box<str>, Box<str>>,
}

/// Words remembered per language, about 8 MiB; then it begins anew.
const MAX_KNOWN: usize = 100_000;

impl Default for Analyzer {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyzer").finish_non_exhaustive()
    }
}

impl Analyzer {
    /// Knowing no words yet.
    pub fn new() -> Self {
        Self { stemmers: HashMap::new(), scratch: String::new() }
    }

    /// The term of a word in a language.
    pub fn term(&mut self, lang: Lang, word: &Word<'_>) -> &str {
        lower(&word.text, &mut self.scratch);
        let stems = self.stemmers.entry(lang).or_insert_with(|| Stems {
            stemmer: lang.stemmer().map(|language| {
                TextAnalyzer::builder(RawTokenizer::default())
                    .filter(Stemmer::new(language))
                    .build()
            }),
            known: HashMap::new(),
        });
        let pair = word.kind == Kind::Pair;
        if stems.known.len() > MAX_KNOWN {
            stems.known.clear();
        }
        if !stems.known.contains_key(&*self.scratch) {
            let term = stems.make(&self.scratch, pair);
            stems.known.insert(self.scratch.as_str().into(), term);
        }
        stems.known.get(&*self.scratch).map_or("", |term| term)
    }
}

impl Stems {
    fn make(&mut self, word: &str, pair: bool) -> Box<str> {
        let stems = !pair && !word.bytes().any(|byte| byte.is_ascii_digit());
        let mut term = word.to_owned();
        if let (true, Some(stemmer)) = (stems, &mut self.stemmer) {
            let mut stream = stemmer.token_stream(word);
            if stream.advance() && !stream.token().text.is_empty() {
                term.clone_from(&stream.token().text);
            }
        }
        let mut term = if pair { term } else { without_accents(term) };
        term.truncate(term.floor_char_boundary(MAX_TERM));
        term.into()
    }
}

/// Lower case in the composed form.
fn lower(word: &str, out: &mut String) {
    out.clear();
    if word.is_ascii() {
        out.push_str(word);
        out.make_ascii_lowercase();
    } else {
        out.extend(word.nfkc().flat_map(char::to_lowercase).nfc());
    }
}

/// Latin, Greek and Cyrillic letters without accents; marks of other scripts are letters.
fn without_accents(word: String) -> String {
    if word.is_ascii() {
        return word;
    }
    let bare = word.nfd().filter(|char| !matches!(u32::from(*char), 0x300..=0x36F));
    let bare: String = bare.nfc().collect();
    bare.replace('ß', "ss")
        .replace('ø', "o")
        .replace('ł', "l")
        .replace('æ', "ae")
        .replace('œ', "oe")
}
