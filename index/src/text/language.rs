//! Languages: which one a text is in, and how its words are cut down to stems.

use tantivy::tokenizer::Language;
use whatlang::Script;

/// A language, or none that is known. Stored as one byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lang(u8);

/// ISO 639-1 code, what detects it, what stems it. The position is what an index stores: append.
const TABLE: &[(&str, Option<whatlang::Lang>, Option<Language>)] = {
    use whatlang::Lang as W;
    &[
        ("", None, None),
        ("en", Some(W::Eng), Some(Language::English)),
        ("de", Some(W::Deu), Some(Language::German)),
        ("fr", Some(W::Fra), Some(Language::French)),
        ("es", Some(W::Spa), Some(Language::Spanish)),
        ("pt", Some(W::Por), Some(Language::Portuguese)),
        ("it", Some(W::Ita), Some(Language::Italian)),
        ("nl", Some(W::Nld), Some(Language::Dutch)),
        ("da", Some(W::Dan), Some(Language::Danish)),
        ("sv", Some(W::Swe), Some(Language::Swedish)),
        ("no", Some(W::Nob), Some(Language::Norwegian)),
        ("fi", Some(W::Fin), Some(Language::Finnish)),
        ("hu", Some(W::Hun), Some(Language::Hungarian)),
        ("ro", Some(W::Ron), Some(Language::Romanian)),
        ("ru", Some(W::Rus), Some(Language::Russian)),
        ("tr", Some(W::Tur), Some(Language::Turkish)),
        ("el", Some(W::Ell), Some(Language::Greek)),
        ("ar", Some(W::Ara), Some(Language::Arabic)),
        ("ta", Some(W::Tam), Some(Language::Tamil)),
        ("pl", Some(W::Pol), None),
        ("uk", Some(W::Ukr), None),
        ("cs", Some(W::Ces), None),
        ("sk", Some(W::Slk), None),
        ("bg", Some(W::Bul), None),
        ("sr", Some(W::Srp), None),
        ("hr", Some(W::Hrv), None),
        ("he", Some(W::Heb), None),
        ("fa", Some(W::Pes), None),
        ("hi", Some(W::Hin), None),
        ("bn", Some(W::Ben), None),
        ("th", Some(W::Tha), None),
        ("vi", Some(W::Vie), None),
        ("id", Some(W::Ind), None),
        ("ko", Some(W::Kor), None),
        ("ja", Some(W::Jpn), None),
        ("zh", Some(W::Cmn), None),
    ]
};

impl Lang {
    /// Not known, or mixed.
    pub const NONE: Self = Self(0);
    /// English, in which code and identifiers are written whatever surrounds them.
    pub const ENGLISH: Self = Self(1);

    /// Its ISO 639-1 code; empty for none.
    pub fn code(self) -> &'static str {
        TABLE.get(self.0 as usize).map_or("", |entry| entry.0)
    }

    /// The language of an ISO 639-1 code.
    pub fn from_code(code: &str) -> Option<Self> {
        let at = TABLE.iter().position(|entry| !code.is_empty() && entry.0 == code)?;
        Some(Self(at as u8))
    }

    /// The most likely language of a text. Latin letters of which trigrams cannot tell the language
    /// are mostly code, names and numbers, and are taken for English.
    pub fn of(text: &str) -> Self {
        let Some(info) = detect(text) else { return Self::NONE };
        if info.script() == Script::Latin && !info.is_reliable() {
            return Self::ENGLISH;
        }
        Self::known(info.lang())
    }

    /// The language of a text where it shows.
    pub fn sure_of(text: &str) -> Option<Self> {
        let info = detect(text).filter(|info| info.is_reliable())?;
        Some(Self::known(info.lang())).filter(|lang| *lang != Self::NONE)
    }

    pub(crate) fn byte(self) -> u8 {
        self.0
    }

    pub(crate) fn from_byte(byte: u8) -> Self {
        if (byte as usize) < TABLE.len() { Self(byte) } else { Self::NONE }
    }

    pub(super) fn stemmer(self) -> Option<Language> {
        TABLE.get(self.0 as usize).and_then(|entry| entry.2)
    }

    /// The languages that a word of a question may have been stemmed in, most likely first.
    /// English is among them wherever it may surround what is asked for, and so are the commonest
    /// of an index where the question's own cannot be told.
    pub(crate) fn of_question(text: &str, held: &[Lang]) -> Vec<Lang> {
        let mut langs = Vec::new();
        match Self::asked_in(text, held) {
            Some(lang) => langs.push(lang),
            None => {
                langs.push(Self::of(text));
                langs.extend(held.iter().filter(|lang| lang.stems_latin()).take(MAX_GUESSES));
            }
        }
        langs.push(Self::ENGLISH);
        let mut seen = Vec::new();
        langs.retain(|lang| {
            let new = !seen.contains(lang);
            seen.push(*lang);
            new
        });
        langs
    }

    /// The language a question is in, where that can be told: by its letters, by its trigrams where
    /// it is long, or by at least two words that say nothing in that language alone.
    pub(crate) fn asked_in(text: &str, held: &[Lang]) -> Option<Self> {
        let info = detect(text)?;
        let likely = Self::known(info.lang());
        if info.script() != Script::Latin || (info.is_reliable() && held.contains(&likely)) {
            return Some(likely).filter(|lang| *lang != Self::NONE);
        }
        let lower = text.to_lowercase();
        let words: Vec<&str> = lower.split(|char: char| !char.is_alphabetic()).collect();
        let mut best = (1, None);
        for lang in held.iter().filter(|lang| lang.stems_latin()).take(MAX_GUESSES + 1) {
            let said = words.iter().filter(|word| super::is_stop(*lang, word)).count();
            if said > best.0 {
                best = (said, Some(*lang));
            } else if said == best.0 {
                best.1 = None;
            }
        }
        best.1
    }

    fn known(found: whatlang::Lang) -> Self {
        let at = TABLE.iter().position(|entry| entry.1 == Some(found));
        Self(at.unwrap_or_default() as u8)
    }

    fn stems_latin(self) -> bool {
        self.stemmer().is_some_and(|stemmer| {
            !matches!(
                stemmer,
                Language::Russian | Language::Greek | Language::Arabic | Language::Tamil
            )
        })
    }
}

/// Stems of a word are looked up in at most so many languages beside the likely one.
const MAX_GUESSES: usize = 4;

/// Detects the language of a text by the letters that are not Latin, where a tenth are not: what is
/// Latin in such a text is code and names, of which there may be more than of anything else.
fn detect(text: &str) -> Option<whatlang::Info> {
    let latin = |char: char| u32::from(char) < 0x250 || matches!(u32::from(char), 0x1E00..=0x1EFF);
    let letters = text.chars().filter(|char| char.is_alphabetic());
    let (mut all, mut other) = (0usize, 0usize);
    for letter in letters {
        all += 1;
        other += usize::from(!latin(letter));
    }
    if other * 10 < all || other == all {
        return whatlang::detect(text);
    }
    let rest: String =
        text.chars().filter(|char| !(char.is_alphabetic() && latin(*char))).collect();
    whatlang::detect(&rest)
}
