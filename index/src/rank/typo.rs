//! Words that no article has, and those that look like them.
//!
//! Looking for near words always would rank `port` under every question with `post`. So only a word
//! that is in no dictionary is replaced, by the commonest terms at the least distance. The first
//! letter is taken as right: typing errors rarely hit it, and it bounds what must be read of a
//! dictionary.
//!
//! A single sign of a script without blanks is in the dictionary only where it stands alone; the
//! pairs that begin with it stand in for it.

use super::{
    reader::{TextReader, in_memory},
    schema::Zone,
    terms::Sought,
};
use crate::{fault::Result, text::Kind};

/// Shorter words are near everything.
const SHORTEST: usize = 4;
/// From here on two letters may be wrong.
const TWO_FROM: usize = 8;
/// Near terms that stand in for a word.
const MOST: usize = 3;
/// Pairs that stand in for a sign.
const PAIRS: usize = 24;
/// Words of one question that are replaced.
const MAX_WORDS: usize = 4;
/// Terms of one dictionary that are compared with a word: the size of those with one first letter
/// in an index of some 100,000 articles.
const MAX_COMPARED: u64 = 200_000;
/// What a stand-in counts of the word itself.
const SHARE: f32 = 0.7;

/// The words that need replacing.
pub(crate) fn unknown(words: &[Sought]) -> Vec<usize> {
    let wanting = words.iter().enumerate().filter(|(_, found)| {
        let letters = found.word.text.chars().count();
        let sign = found.word.kind == Kind::Pair && letters == 1;
        sign || !found.is_known()
            && !found.stop
            && (SHORTEST..=32).contains(&letters)
            && matches!(found.word.kind, Kind::Plain | Kind::Part)
            && !found.word.text.bytes().any(|byte| byte.is_ascii_digit())
    });
    wanting.map(|(at, _)| at).take(MAX_WORDS).collect()
}

/// Terms near to a word over all segments, the best first; none where a dictionary was not in
/// memory.
pub(crate) fn near(readers: &[TextReader], word: &Sought) -> Result<Option<Vec<String>>> {
    let Some(stem) = word.stems.first() else { return Ok(Some(Vec::new())) };
    // A letter left out at the end of a word can cost its stem two: `acces` has the stem `acce`,
    // `access` is its own.
    let mut forms: Vec<Vec<char>> = vec![stem.chars().collect(), word.word.text.chars().collect()];
    forms.dedup();
    let first = forms[0].first().copied().unwrap_or_default();
    let mut end = first.to_string().into_bytes();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    let sign = word.word.kind == Kind::Pair;
    let mut found: Vec<(usize, std::cmp::Reverse<u32>, String)> = Vec::new();
    let mut complete = true;
    for reader in readers {
        let range = reader.tantivy().terms.terms().range().ge(first.to_string()).lt(&end);
        let range = range.limit(MAX_COMPARED);
        let Some(mut stream) = in_memory(range.into_stream())? else {
            complete = false;
            continue;
        };
        while stream.advance() {
            let Ok(term) = std::str::from_utf8(stream.key()) else { continue };
            if Zone::of_key(term.as_bytes(), term.trim_end_matches(ZONES).as_bytes())
                != Some(Zone::Body)
            {
                continue;
            }
            let edits = |form: &Vec<char>| {
                let most = if form.len() >= TWO_FROM { 2 } else { 1 };
                distance(form, term, most)
            };
            let near = if sign { Some(0) } else { forms.iter().filter_map(edits).min() };
            if let Some(distance) = near {
                let count = stream.value().doc_freq;
                match found.iter_mut().find(|(_, _, known)| known == term) {
                    Some((_, known, _)) => known.0 += count,
                    None => found.push((distance, std::cmp::Reverse(count), term.to_owned())),
                }
            }
        }
    }
    if !complete {
        return Ok(None);
    }
    found.sort();
    let least = found.first().map_or(0, |(distance, ..)| *distance);
    let near = found.into_iter().filter(|(distance, ..)| *distance == least);
    Ok(Some(near.map(|(.., term)| term).take(if sign { PAIRS } else { MOST }).collect()))
}

const ZONES: [char; 2] = ['\u{1}', '\u{2}'];

/// Makes near terms stand in for a word.
pub(crate) fn stand_in(word: &mut Sought, near: Vec<String>) {
    word.stems = near;
    word.share = if word.word.kind == Kind::Pair { 1.0 } else { SHARE };
}

/// The edits between a word and a term where there are at most `most`: letters wrong, missing, too
/// many, or two swapped.
fn distance(word: &[char], term: &str, most: usize) -> Option<usize> {
    let term: Vec<char> = term.chars().take(word.len() + most + 1).collect();
    if word.len().abs_diff(term.len()) > most {
        return None;
    }
    let mut before = vec![0; term.len() + 1];
    let mut last: Vec<usize> = (0..=term.len()).collect();
    let mut now = vec![0; term.len() + 1];
    for (row, a) in word.iter().enumerate() {
        now[0] = row + 1;
        for (column, b) in term.iter().enumerate() {
            let wrong = last[column] + usize::from(a != b);
            let mut least = wrong.min(last[column + 1] + 1).min(now[column] + 1);
            let swapped = row > 0 && column > 0 && *a == term[column - 1] && word[row - 1] == *b;
            if swapped {
                least = least.min(before[column - 1] + 1);
            }
            now[column + 1] = least;
        }
        if now.iter().all(|edits| *edits > most) {
            return None;
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut now);
    }
    Some(last[term.len()]).filter(|edits| *edits <= most)
}
