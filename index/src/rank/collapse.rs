//! Which articles say the same.
//!
//! A site in eleven languages answers a question with eleven translations of one page, and a site
//! in one with last year's copy of it. Both are known without reading them: a translation has the
//! path of its original but for the language in it, a copy has nearly the same words.

use xxhash_rust::xxh3::xxh3_64;

use super::articles::Article;
use crate::text::Lang;

/// Two-letter codes that name a language in a path beside those that are detected.
const MORE_CODES: &[&str] =
    &["et", "lv", "lt", "sl", "ca", "eu", "gl", "nb", "nn", "is", "ka", "kk"];

/// Hashes a path without the language in it: `content/ja/a.md`, `docs/pt-br/a.md`, `a.fr.md`.
/// 0 when there is none.
pub(crate) fn shape(key: &str) -> u32 {
    let mut found = false;
    let mut bare = String::with_capacity(key.len());
    let (folders, name) = key.rsplit_once('/').unwrap_or(("", key));
    for folder in folders.split('/') {
        if is_language(folder) && !found {
            found = true;
            bare.push_str("*/");
        } else {
            bare.push_str(folder);
            bare.push('/');
        }
    }
    for (at, part) in name.split('.').enumerate() {
        if at > 0 && !found && is_language(part) {
            found = true;
            continue;
        }
        bare.push_str(part);
        bare.push('.');
    }
    if found { (xxh3_64(bare.as_bytes()) as u32).max(1) } else { 0 }
}

fn is_language(part: &str) -> bool {
    let (code, region) = part.split_once(['-', '_']).map_or((part, None), |(c, r)| (c, Some(r)));
    let code = code.to_ascii_lowercase();
    let known = Lang::from_code(&code).is_some() || MORE_CODES.contains(&code.as_str());
    let is_region = |region: &str| {
        matches!(region.len(), 2..=4) && region.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    known && code.len() == 2 && region.is_none_or(is_region)
}

/// Gathers the words of a text into a hash that is near for near texts (Charikar's simhash).
#[derive(Debug, Default)]
pub(crate) struct Likeness {
    counts: [i32; 32],
    words: u32,
}

/// Texts of fewer words are alike by chance.
const TELLS: u32 = 40;

/// Bits of 32 that may differ between two copies.
const NEAR: u32 = 2;

impl Likeness {
    #[cfg_attr(not(feature = "build"), expect(dead_code, reason = "only a writer has words"))]
    pub(crate) fn word(&mut self, word: &str) {
        let hash = xxh3_64(word.as_bytes()) as u32;
        for (bit, count) in self.counts.iter_mut().enumerate() {
            *count += if hash >> bit & 1 == 1 { 1 } else { -1 };
        }
        self.words += 1;
    }

    #[cfg_attr(not(feature = "build"), expect(dead_code, reason = "only a writer has words"))]
    pub(crate) fn finish(&self) -> u32 {
        if self.words < TELLS {
            return 0;
        }
        let bits = self.counts.iter().enumerate();
        bits.fold(0, |hash, (bit, count)| hash | u32::from(*count > 0) << bit).max(1)
    }
}

/// Whether one is the other in another language, or a copy of it.
pub(crate) fn same(a: &Article, b: &Article) -> bool {
    let copies = a.likeness != 0
        && b.likeness != 0
        && (a.likeness ^ b.likeness).count_ones() <= NEAR
        && a.words.abs_diff(b.words) <= a.words.max(b.words) / 10;
    // Two folders of code, `ts` and `cs`, have codes of languages for names; their pages differ in
    // text and not in language.
    let translations = a.shape != 0 && a.shape == b.shape && a.lang != b.lang;
    copies || translations
}
