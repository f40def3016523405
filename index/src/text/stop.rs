//! Words of a question that ask instead of saying what is sought.
//!
//! Dropped from the index they would take "what is" out of titles and phrases; kept in a ranking
//! they make the longest article win. So they are indexed, and left out of a question that has
//! other words. The lists are those of the Snowball project, which come with the stemmers; that
//! for English is too short for questions and is completed here.

use std::{collections::HashSet, sync::LazyLock};

use tantivy::tokenizer::{Language, RawTokenizer, StopWordFilter, TextAnalyzer, TokenStream};

use super::Lang;

/// English words of questions that Lucene's list of 33 lacks: pronouns, question words,
/// auxiliaries and what is left of contractions. Worth .008 nDCG@10 on Cranfield.
const ENGLISH: &str = "i me my mine myself we us our ours ourselves you your yours yourself he him \
    his himself she her hers herself its itself them theirs themselves what which who whom whose \
    when where why how do does did doing done have has had having been being am were can could \
    should would may might must shall from up down out about over under again further once here \
    all any both each few more most other some own same so than too very s t d ll m re ve just \
    now also get got don isn doesn didn won cannot let want like need please there's";

static ENGLISH_SET: LazyLock<HashSet<&str>> =
    LazyLock::new(|| ENGLISH.split_whitespace().collect());

/// Whether `word`, in lower case, says nothing in `lang`.
pub(crate) fn is_stop(lang: Lang, word: &str) -> bool {
    let Some(language) = lang.stemmer() else { return false };
    if language == Language::English && ENGLISH_SET.contains(word) {
        return true;
    }
    let Some(filter) = StopWordFilter::new(language) else { return false };
    let mut analyzer = TextAnalyzer::builder(RawTokenizer::default()).filter(filter).build();
    let kept = analyzer.token_stream(word).advance();
    !kept
}
