//! From scores to what is shown.
//!
//! The best N by score would show five translations of one page, and one page five times. So the
//! leaders are looked at once more: those whose words stand together rise, those that say what a
//! better one has said go behind all others, and of one article at most some sections are shown.

use super::{
    collapse::same,
    proximity::together,
    question::Asked,
    reader::TextReader,
    score::{Counts, Numbers, Tally},
    terms::Sought,
    weights::Weights,
};
use crate::{
    fault::Result,
    text::{Kind, Lang},
};

/// Leaders whose positions are read.
const READ: usize = 100;

/// A section that is shown beside a better one of its article must score this share of it.
const SECOND: f32 = 0.7;

/// An article in question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) article: u32,
    /// Its best section.
    pub(crate) section: u32,
    pub(crate) score: f32,
}

/// A section to be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) segment: usize,
    /// Its number in the segment.
    pub(crate) section: u32,
    pub(crate) article: u32,
    pub(crate) score: f32,
}

/// What scores are made of.
pub(crate) struct Scores<'a> {
    pub(crate) readers: &'a [TextReader],
    pub(crate) numbers: &'a Numbers,
    pub(crate) tally: &'a Tally,
    pub(crate) weights: &'a Weights,
    /// The language of the question where it is known.
    pub(crate) lang: Option<Lang>,
}

impl Scores<'_> {
    /// All articles that match, the best first.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let mut all: Vec<Candidate> = (0..self.numbers.articles())
            .filter(|article| self.tally.articles[*article as usize] > 0.0)
            .map(|article| Candidate {
                article,
                section: self.best_section(article),
                score: self.tally.articles[article as usize],
            })
            .collect();
        sort(&mut all);
        all
    }

    fn row(&self, article: u32) -> &super::articles::Article {
        let (segment, within) = self.numbers.segment_of(article);
        &self.readers[segment].articles().rows()[within as usize]
    }

    fn sections_of(&self, article: u32) -> std::ops::Range<u32> {
        let (segment, within) = self.numbers.segment_of(article);
        let first = self.numbers.first[segment].1;
        let sections = self.readers[segment].articles().sections_of(within);
        first + sections.start..first + sections.end
    }

    /// The first of the best sections.
    fn best_section(&self, article: u32) -> u32 {
        let sections = self.sections_of(article);
        let mut best = (sections.start, 0.0);
        for section in sections {
            let score = self.tally.sections[section as usize];
            if score > best.1 {
                best = (section, score);
            }
        }
        best.0
    }

    /// Raises the leaders by what stands together in their best sections. None where positions
    /// were not in memory.
    pub(crate) fn raise(
        &self,
        words: &[(&Sought, f32)],
        leaders: &mut [Candidate],
    ) -> Result<Option<()>> {
        let count = leaders.len().min(READ);
        let leaders = &mut leaders[..count];
        let neighbours = neighbours(words);
        if neighbours.len() < 2 {
            return Ok(Some(()));
        }
        let found: Vec<&Sought> = neighbours.iter().map(|(word, _)| *word).collect();
        let worth: Vec<f32> = neighbours.windows(2).map(|pair| pair[0].1.min(pair[1].1)).collect();
        let words = self.numbers.words as f32 / self.numbers.sections().max(1) as f32;
        for (segment, reader) in self.readers.iter().enumerate() {
            let (first, behind) =
                (self.numbers.first[segment].1, self.numbers.first[segment + 1].1);
            let mut here: Vec<&mut Candidate> = leaders
                .iter_mut()
                .filter(|leader| (first..behind).contains(&leader.section))
                .collect();
            here.sort_by_key(|leader| leader.section);
            let sections: Vec<u32> = here.iter().map(|leader| leader.section - first).collect();
            let Some(pairs) = together(reader, segment, &found, &sections, self.weights.window)?
            else {
                return Ok(None);
            };
            for (leader, pairs) in here.into_iter().zip(pairs) {
                let length = reader.tantivy().norms.fieldnorm(leader.section - first) as f32;
                let weights = self.weights;
                let norm = weights.k1 * (1.0 - weights.b + weights.b * length / words);
                let sum: f32 = pairs
                    .iter()
                    .zip(&worth)
                    .map(|(near, worth)| worth * near * (weights.k1 + 1.0) / (near + norm))
                    .sum();
                leader.score += weights.proximity * sum;
            }
        }
        sort(leaders);
        Ok(Some(()))
    }

    /// Puts behind all others what says the same as a better one. Of two that do, the one in the
    /// question's language stands where the better one stood.
    pub(crate) fn collapse(&self, candidates: &mut Vec<Candidate>) {
        let mut kept: Vec<Candidate> = Vec::with_capacity(candidates.len());
        let mut behind: Vec<Candidate> = Vec::new();
        for candidate in candidates.drain(..) {
            let row = self.row(candidate.article);
            let said = kept.iter_mut().find(|other| same(self.row(other.article), row));
            match said {
                None => kept.push(candidate),
                Some(other) => {
                    let asked = |article: u32| Some(self.row(article).lang) == self.lang;
                    if asked(candidate.article) && !asked(other.article) {
                        let better = Candidate { score: other.score, ..candidate };
                        behind.push(std::mem::replace(other, better));
                    } else {
                        behind.push(candidate);
                    }
                }
            }
        }
        let least = kept.last().map_or(0.0, |last| last.score);
        for candidate in &mut behind {
            candidate.score = candidate.score.min(least);
        }
        kept.append(&mut behind);
        *candidates = kept;
    }

    /// The sections to show: the best of each article, and further ones of it that come near.
    pub(crate) fn places(&self, candidates: &[Candidate], per_article: usize) -> Vec<Place> {
        let mut places = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let (segment, _) = self.numbers.segment_of(candidate.article);
            let first = self.numbers.first[segment].1;
            let place = |section: u32, score: f32| Place {
                segment,
                section: section - first,
                article: candidate.article,
                score,
            };
            places.push(place(candidate.section, candidate.score));
            if per_article < 2 {
                continue;
            }
            let best = self.tally.sections[candidate.section as usize];
            let mut more: Vec<(u32, f32)> = self
                .sections_of(candidate.article)
                .filter(|section| *section != candidate.section)
                .map(|section| (section, self.tally.sections[section as usize]))
                .filter(|(_, score)| *score > 0.0 && *score >= SECOND * best)
                .collect();
            more.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            for (section, score) in more.into_iter().take(per_article - 1) {
                places.push(place(section, candidate.score * SECOND * score / best));
            }
        }
        // Stable: what was put behind on purpose has the score of those before it.
        places.sort_by(|a, b| b.score.total_cmp(&a.score));
        places
    }
}

/// The words that can stand together, in the order of the question.
fn neighbours<'a>(words: &[(&'a Sought, f32)]) -> Vec<(&'a Sought, f32)> {
    let alone = |word: &Asked| word.kind != Kind::Whole;
    words.iter().filter(|(found, _)| alone(&found.word)).copied().collect()
}

fn sort(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.article.cmp(&b.article)));
}

/// What a word is worth in a question, from how many articles have it.
pub(crate) fn worth(sought: &Sought, counts: &Counts, numbers: &Numbers) -> f32 {
    /// A word said more often than this is a slip of the tongue, or an attack.
    const MOST: u32 = 3;
    let said = sought.word.times.min(MOST) as f32;
    super::score::idf(counts.articles.len(), numbers.articles()) * said * sought.share
}
