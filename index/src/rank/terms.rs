//! Words of a question as terms of the dictionary.
//!
//! A word has been stemmed in the language of the section it stands in, which a question does not
//! know. So each word is looked up under its stems in the languages that the question may be in;
//! they are one word to the ranking, whose counts are added up.

use tantivy::postings::TermInfo;

use super::{
    question::{Asked, Question},
    reader::{TextReader, in_memory},
    schema::{Zone, behind},
};
use crate::{
    fault::Result,
    text::{Analyzer, Kind, Lang, Word, is_stop},
};

/// Where a term of a word is posted in one segment.
#[derive(Clone, Debug)]
pub(crate) struct Posting {
    pub(crate) zone: Zone,
    pub(crate) info: TermInfo,
}

/// A word of a question with where it is found.
#[derive(Clone, Debug)]
pub(crate) struct Sought {
    pub(crate) word: Asked,
    /// Its stems, the likeliest first.
    pub(crate) stems: Vec<String>,
    /// Says nothing in one of the question's languages.
    pub(crate) stop: bool,
    /// By segment.
    pub(crate) postings: Vec<Vec<Posting>>,
    /// What of a full hit it is worth: less when a similar word stands in for it.
    pub(crate) share: f32,
}

impl Sought {
    pub(crate) fn new(word: &Asked, langs: &[Lang], analyzer: &mut Analyzer) -> Self {
        let mut stems: Vec<String> = Vec::new();
        for lang in langs {
            let stem = stem(word, *lang, analyzer);
            if !stem.is_empty() && !stems.contains(&stem) {
                stems.push(stem);
            }
        }
        let lower = word.text.to_lowercase();
        let stop = word.kind != Kind::Pair && langs.iter().any(|lang| is_stop(*lang, &lower));
        Self { word: word.clone(), stems, stop, postings: Vec::new(), share: 1.0 }
    }

    /// Whether it is in the dictionary of any segment.
    pub(crate) fn is_known(&self) -> bool {
        self.postings.iter().any(|postings| !postings.is_empty())
    }

    /// Bytes of its postings in all segments.
    pub(crate) fn bytes(&self) -> u64 {
        let infos = self.postings.iter().flatten();
        infos.map(|posting| posting.info.postings_range.len() as u64).sum()
    }
}

fn stem(word: &Asked, lang: Lang, analyzer: &mut Analyzer) -> String {
    let bytes = 0..word.text.len();
    let word = Word { text: word.text.as_str().into(), bytes, position: 0, kind: word.kind };
    analyzer.term(lang, &word).to_owned()
}

/// The words of a question and of its clauses, not looked up yet.
pub(crate) fn of_question(question: &Question, langs: &[Lang]) -> (Vec<Sought>, Vec<Vec<Sought>>) {
    let mut analyzer = Analyzer::new();
    let words = question.words.iter().map(|word| Sought::new(word, langs, &mut analyzer)).collect();
    let clauses = question
        .clauses
        .iter()
        .map(|clause| {
            clause.phrase.iter().map(|word| Sought::new(word, langs, &mut analyzer)).collect()
        })
        .collect();
    (words, clauses)
}

/// Looks words up in the dictionaries of all segments. Whether all that was needed was in memory;
/// if not, the readers have noted what was missing.
pub(crate) fn look_up<'a>(
    readers: &[TextReader],
    words: impl Iterator<Item = &'a mut Sought>,
) -> Result<bool> {
    let mut complete = true;
    for word in words {
        word.postings.clear();
        for reader in readers {
            let mut postings = Vec::new();
            for stem in &word.stems {
                complete &= zones(reader, stem, &mut postings)?;
            }
            word.postings.push(postings);
        }
    }
    Ok(complete)
}

/// The zones of a stem in one segment: neighbours in one dictionary.
fn zones(reader: &TextReader, stem: &str, postings: &mut Vec<Posting>) -> Result<bool> {
    let range = reader.tantivy().terms.terms().range().ge(stem).lt(behind(stem));
    let Some(mut stream) = in_memory(range.into_stream())? else { return Ok(false) };
    while stream.advance() {
        if let Some(zone) = Zone::of_key(stream.key(), stem.as_bytes()) {
            postings.push(Posting { zone, info: stream.value().clone() });
        }
    }
    Ok(true)
}
