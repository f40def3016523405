//! How well articles and their sections match.
//!
//! Adding up the scores of sections counts a long article's repetition as relevance. An article's
//! words are added up instead, and BM25's saturation and length norm applied to the sum: as if it
//! were one document, with words of the title counted more than once (BM25F with one length). The
//! path, whose words a page need not have, adds its share apart. Beside it each section has a score
//! of its own, which only says where in the article the answer is.

use tantivy::{postings::BlockSegmentPostings, schema::IndexRecordOption};

use super::{
    reader::{TextReader, in_memory},
    schema::Zone,
    terms::Sought,
    weights::Weights,
};
use crate::fault::Result;

/// Articles of all segments numbered through, and their sections likewise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    /// The first article and the first section of each segment, and the end.
    pub(crate) first: Vec<(u32, u32)>,
    pub(crate) words: u64,
}

impl Numbers {
    pub(crate) fn of(readers: &[TextReader]) -> Self {
        let mut numbers = Self { first: vec![(0, 0)], words: 0 };
        let (mut articles, mut sections) = (0, 0);
        for reader in readers {
            articles += reader.articles().rows().len() as u32;
            sections += reader.articles().sections();
            numbers.words += reader.articles().words();
            numbers.first.push((articles, sections));
        }
        numbers
    }

    pub(crate) fn articles(&self) -> u32 {
        self.first.last().map_or(0, |(articles, _)| *articles)
    }

    pub(crate) fn sections(&self) -> u32 {
        self.first.last().map_or(0, |(_, sections)| *sections)
    }

    /// The segment of an article and its number there.
    pub(crate) fn segment_of(&self, article: u32) -> (usize, u32) {
        let segment = self.first.partition_point(|(first, _)| *first <= article) - 1;
        (segment, article - self.first[segment].0)
    }
}

/// How often one word occurs, by section and by article, over all segments.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// (section, words of its body), rising.
    pub(crate) sections: Vec<(u32, f32)>,
    /// (article, words of bodies and title, what its path adds), rising.
    pub(crate) articles: Vec<(u32, f32, f32)>,
}

/// Counts a word, in one zone or in all. None where postings were not in memory.
pub(crate) fn count(
    readers: &[TextReader],
    numbers: &Numbers,
    found: &Sought,
    zone: Option<Zone>,
    weights: &Weights,
) -> Result<Option<Counts>> {
    let mut counts = Counts::default();
    let mut complete = true;
    for ((reader, postings), first) in readers.iter().zip(&found.postings).zip(&numbers.first) {
        let mut hits: Vec<(u32, f32, f32, f32)> = Vec::new();
        let mut lists = 0;
        for posting in postings {
            if zone.is_some_and(|zone| zone != posting.zone) {
                continue;
            }
            let (weight, in_section, alone) = match posting.zone {
                Zone::Body => (1.0, 1.0, 0.0),
                Zone::Title => (weights.title, 0.0, 0.0),
                Zone::Path => (0.0, 0.0, weights.path),
            };
            let read = reader
                .tantivy()
                .terms
                .read_block_postings_from_terminfo(&posting.info, IndexRecordOption::WithFreqs);
            let Some(mut blocks) = in_memory(read)? else {
                complete = false;
                continue;
            };
            lists += 1;
            each(&mut blocks, |section, times| {
                let times = times as f32;
                hits.push((section, times * weight, times * in_section, alone));
            });
        }
        if lists > 1 {
            hits.sort_unstable_by_key(|(section, ..)| *section);
        }
        add_up(reader, *first, &hits, &mut counts);
    }
    Ok(complete.then_some(counts))
}

fn each(blocks: &mut BlockSegmentPostings, mut take: impl FnMut(u32, u32)) {
    while blocks.block_len() > 0 {
        for (section, times) in blocks.docs().iter().zip(blocks.freqs()) {
            take(*section, *times);
        }
        blocks.advance();
    }
}

fn add_up(
    reader: &TextReader,
    (first_article, first_section): (u32, u32),
    hits: &[(u32, f32, f32, f32)],
    counts: &mut Counts,
) {
    let articles = reader.articles();
    let mut article = 0;
    for (section, weighted, in_section, alone) in hits {
        // tantivy holds no document that the table does not count: opening has compared them.
        article = articles.of_section(*section, article);
        match counts.articles.last_mut() {
            Some((last, sum, more)) if *last == first_article + article => {
                *sum += weighted;
                *more += alone;
            }
            _ => counts.articles.push((first_article + article, *weighted, *alone)),
        }
        if *in_section > 0.0 {
            match counts.sections.last_mut() {
                Some((last, sum)) if *last == first_section + section => *sum += in_section,
                _ => counts.sections.push((first_section + section, *in_section)),
            }
        }
    }
}

/// Scores of all that any word was found in.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) articles: Vec<f32>,
    pub(crate) sections: Vec<f32>,
}

impl Tally {
    pub(crate) fn new(numbers: &Numbers) -> Self {
        Self {
            articles: vec![0.0; numbers.articles() as usize],
            sections: vec![0.0; numbers.sections() as usize],
        }
    }

    /// Adds a word.
    pub(crate) fn add(
        &mut self,
        readers: &[TextReader],
        numbers: &Numbers,
        counts: &Counts,
        worth: f32,
        weights: &Weights,
    ) {
        let saturated = |times: f32, length: f32, average: f32| {
            let norm = weights.k1 * (1.0 - weights.b + weights.b * length / average);
            times * (weights.k1 + 1.0) / (times + norm)
        };
        let words = numbers.words as f32;
        let average = words / numbers.articles().max(1) as f32;
        let mut lengths = Lengths { readers, numbers, segment: 0 };
        for (article, times, more) in &counts.articles {
            let length = lengths.of_article(*article);
            let score = saturated(*times, length, average) + more;
            self.articles[*article as usize] += worth * score;
        }
        let average = words / numbers.sections().max(1) as f32;
        let mut lengths = Lengths { readers, numbers, segment: 0 };
        for (section, times) in &counts.sections {
            let length = lengths.of_section(*section);
            self.sections[*section as usize] += worth * saturated(*times, length, average);
        }
    }
}

/// Lengths in words, for numbers that rise.
struct Lengths<'a> {
    readers: &'a [TextReader],
    numbers: &'a Numbers,
    segment: usize,
}

impl Lengths<'_> {
    fn of_article(&mut self, article: u32) -> f32 {
        while article >= self.numbers.first[self.segment + 1].0 {
            self.segment += 1;
        }
        let within = article - self.numbers.first[self.segment].0;
        self.readers[self.segment].articles().rows()[within as usize].words as f32
    }

    fn of_section(&mut self, section: u32) -> f32 {
        while section >= self.numbers.first[self.segment + 1].1 {
            self.segment += 1;
        }
        let within = section - self.numbers.first[self.segment].1;
        self.readers[self.segment].tantivy().norms.fieldnorm(within) as f32
    }
}

/// What a word says that stands in `count` of `all` articles: BM25's idf, never below nothing.
pub(crate) fn idf(count: usize, all: u32) -> f32 {
    let (count, all) = (count as f32, all as f32);
    (1.0 + (all - count + 0.5) / (count + 0.5)).ln()
}
