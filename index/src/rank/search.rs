//! Asks a question of all segments of an index.

use std::{
    collections::HashSet,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    proximity::phrase,
    question::{Clause, Question},
    reader::TextReader,
    rounds::{until, whole},
    schema::Zone,
    score::{Counts, Numbers, Tally, count},
    select::{Candidate, Place, Scores, worth},
    terms::{self, Sought},
    typo,
    weights::Weights,
};
use crate::{
    bundle::Bundle,
    fault::Result,
    text::{Kind, Lang},
};

/// The full text of an index: that of all its segments, with one statistic.
#[derive(Debug)]
pub struct Searcher {
    readers: Vec<TextReader>,
    numbers: Numbers,
    /// The languages of its articles, the commonest first.
    langs: Vec<Lang>,
    weights: Weights,
    running: AtomicUsize,
}

/// How much of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchOptions {
    /// Hits at most.
    pub limit: usize,
    /// Sections of one article at most; none for distinct articles, each by its best section.
    pub per_article: Option<usize>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The best first.
    pub hits: Vec<Hit>,
    /// What a reader should know about how the question was understood.
    pub notes: Vec<String>,
    /// Whether more articles match.
    pub more: bool,
}

/// A section that answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The identity of its article.
    pub oid: u64,
    /// The key of its article.
    pub key: String,
    /// The title of its article.
    pub title: String,
    /// The headings that lead to it.
    pub trail: Vec<String>,
    /// Its lines, counted from 1, the end not among them.
    pub lines: Range<u64>,
    /// Its bytes in the text.
    pub bytes: Range<u64>,
    /// How well it matches: comparable within one answer only.
    pub score: f32,
}

/// Words of a question that are ranked by: the rarest. The fiftieth rarest word of a pasted page
/// changes nothing but the time it takes.
const MAX_RANKED: usize = 48;
/// Postings read for one question in bytes, beside those of the rarest word.
const MAX_POSTINGS: u64 = 16 << 20;
/// Positions read for one question in bytes: of the words with the fewest.
const MAX_POSITIONS: u64 = 4 << 20;
/// Bytes on the shelf of a segment after which it is emptied when no question runs.
const MAX_SHELF: usize = 32 << 20;
/// Candidates that are looked at closely beside those that are wanted.
const SPARE: usize = 200;

impl Searcher {
    /// Opens the full text of all segments of an index; those without any are passed over. Reads
    /// nothing.
    ///
    /// # Errors
    /// [`FaultKind::Damaged`](crate::FaultKind::Damaged) when a part is missing or is not what it should be.
    pub fn open(bundles: Vec<Bundle>) -> Result<Self> {
        let mut readers = Vec::new();
        for bundle in &bundles {
            readers.extend(TextReader::open(bundle)?);
        }
        Ok(Self::of(readers))
    }

    /// Over open segments.
    pub fn of(readers: Vec<TextReader>) -> Self {
        let numbers = Numbers::of(&readers);
        let mut counts: Vec<(Lang, usize)> = Vec::new();
        for (lang, count) in readers.iter().flat_map(|reader| reader.articles().languages()) {
            match counts.iter_mut().find(|(known, _)| *known == lang) {
                Some((_, sum)) => *sum += count,
                None => counts.push((lang, count)),
            }
        }
        counts.sort_by_key(|(lang, count)| (std::cmp::Reverse(*count), *lang));
        let langs = counts.into_iter().map(|(lang, _)| lang).collect();
        let weights = Weights::default();
        Self { readers, numbers, langs, weights, running: AtomicUsize::new(0) }
    }

    /// With other weights, to measure them.
    #[must_use]
    pub fn weighing(mut self, weights: Weights) -> Self {
        self.weights = weights;
        self
    }

    /// How many articles it holds, dead ones among them.
    pub fn articles(&self) -> u32 {
        self.numbers.articles()
    }

    /// Answers a question with sections of articles that `admit` lets in.
    ///
    /// # Errors
    /// What reading the index fails with.
    pub async fn search(
        &self,
        question: &Question,
        admit: &(dyn Fn(u64) -> bool + Sync),
        options: SearchOptions,
    ) -> Result<Found> {
        let _running = Running::new(self);
        let mut found = Found { notes: question.notes.clone(), ..Found::default() };
        if self.readers.is_empty() || question.is_empty() || options.limit == 0 {
            return Ok(found);
        }
        let _whole = whole(&self.readers).await?;
        let langs = Lang::of_question(&question.text, &self.langs);
        let (mut words, mut clauses) = terms::of_question(question, &langs);
        until(&self.readers, || {
            let all = words.iter_mut().chain(clauses.iter_mut().flatten());
            Ok(terms::look_up(&self.readers, all)?.then_some(()))
        })
        .await?;
        self.mend(&mut words, &mut found.notes).await?;
        let chosen = choose(&words);
        let lang = Lang::asked_in(&question.text, &self.langs);
        let ranking = Ranking { searcher: self, admit, options, lang, words: &chosen };
        let ranked = until(&self.readers, || ranking.run(&question.clauses, &clauses)).await?;
        found.notes.extend(ranked.notes);
        found.more = ranked.more;
        let places = ranked.places;
        let hits = until(&self.readers, || {
            let hits: Vec<Option<Hit>> =
                places.iter().map(|place| self.hit(place)).collect::<Result<_>>()?;
            Ok(hits.into_iter().collect::<Option<Vec<Hit>>>())
        })
        .await?;
        found.hits = hits;
        Ok(found)
    }

    /// Replaces words that are nowhere by near ones: two rounds for all of them.
    async fn mend(&self, words: &mut [Sought], notes: &mut Vec<String>) -> Result<()> {
        let unknown = typo::unknown(words);
        if unknown.is_empty() {
            return Ok(());
        }
        let near = until(&self.readers, || {
            let near: Vec<Option<Vec<String>>> = unknown
                .iter()
                .map(|at| typo::near(&self.readers, &words[*at]))
                .collect::<Result<_>>()?;
            Ok(near.into_iter().collect::<Option<Vec<_>>>())
        })
        .await?;
        for (at, near) in unknown.iter().zip(near) {
            let word = &mut words[*at];
            if near.is_empty() {
                notes.push(format!("no article has {:?}", word.word.text));
                continue;
            }
            if word.word.kind != Kind::Pair {
                let quoted: Vec<String> = near.iter().map(|term| format!("{term:?}")).collect();
                let (asked, quoted) = (&word.word.text, quoted.join(", "));
                notes.push(format!("no article has {asked:?}; searched for {quoted} instead"));
            }
            typo::stand_in(word, near);
        }
        until(&self.readers, || {
            let mended = words.iter_mut().enumerate().filter(|(at, _)| unknown.contains(at));
            Ok(terms::look_up(&self.readers, mended.map(|(_, word)| word))?.then_some(()))
        })
        .await
    }

    fn hit(&self, place: &Place) -> Result<Option<Hit>> {
        let Some(stored) = self.readers[place.segment].stored(place.section)? else {
            return Ok(None);
        };
        let (_, within) = self.numbers.segment_of(place.article);
        let row = self.readers[place.segment].articles().rows()[within as usize];
        Ok(Some(Hit {
            oid: row.oid,
            key: stored.key,
            title: stored.title,
            trail: stored.trail,
            lines: stored.lines,
            bytes: stored.bytes,
            score: place.score,
        }))
    }
}

/// Counts running questions, so that the shelves are emptied between them.
struct Running<'a> {
    searcher: &'a Searcher,
}

impl<'a> Running<'a> {
    fn new(searcher: &'a Searcher) -> Self {
        searcher.running.fetch_add(1, Ordering::AcqRel);
        Self { searcher }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.searcher.running.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        for reader in &self.searcher.readers {
            if reader.shelf().warm_bytes() > MAX_SHELF {
                reader.shelf().clear();
            }
        }
    }
}

/// The words to rank by: those that say something, or all when none does; the rarest of too many.
fn choose(words: &[Sought]) -> Vec<&Sought> {
    let known = |sought: &&Sought| sought.is_known();
    let mut chosen: Vec<&Sought> =
        words.iter().filter(known).filter(|sought| !sought.stop).collect();
    if chosen.is_empty() {
        chosen = words.iter().filter(known).collect();
    }
    chosen.sort_by_key(|sought| sought.bytes());
    chosen.truncate(MAX_RANKED);
    let mut bytes = 0;
    let mut first = true;
    chosen.retain(|sought| {
        bytes += sought.bytes();
        std::mem::take(&mut first) || bytes <= MAX_POSTINGS
    });
    chosen.sort_by_key(|sought| sought.word.position);
    chosen
}

/// One run over postings.
struct Ranking<'a> {
    searcher: &'a Searcher,
    admit: &'a (dyn Fn(u64) -> bool + Sync),
    options: SearchOptions,
    lang: Option<Lang>,
    words: &'a [&'a Sought],
}

struct Ranked {
    places: Vec<Place>,
    notes: Vec<String>,
    more: bool,
}

impl Ranking<'_> {
    fn run(&self, clauses: &[Clause], sought: &[Vec<Sought>]) -> Result<Option<Ranked>> {
        let Searcher { readers, numbers, weights, .. } = self.searcher;
        let mut counts: Vec<Option<Counts>> = Vec::new();
        for word in self.words {
            counts.push(count(readers, numbers, word, None, weights)?);
        }
        let mut matches = Vec::new();
        for (clause, sought) in clauses.iter().zip(sought) {
            matches.push(self.matches(clause.zone, sought)?);
        }
        let near = self.near_words();
        let mut complete = true;
        for (segment, reader) in readers.iter().enumerate() {
            complete &= super::proximity::warm(reader, segment, &near)?;
        }
        let counts: Option<Vec<Counts>> = counts.into_iter().collect();
        let matches: Option<Vec<Vec<u32>>> = matches.into_iter().collect();
        let (Some(counts), Some(matches), true) = (counts, matches, complete) else {
            return Ok(None);
        };
        let mut tally = Tally::new(numbers);
        let mut worths = Vec::new();
        for (word, counts) in self.words.iter().zip(&counts) {
            let worth = worth(word, counts, numbers);
            tally.add(readers, numbers, counts, worth, weights);
            worths.push((*word, worth));
        }
        let mut notes = Vec::new();
        let allowed = allowed(clauses, &matches, &mut notes);
        let scores = Scores { readers, numbers, tally: &tally, weights, lang: self.lang };
        let (mut candidates, more) = self.admitted(scores.candidates(), &allowed);
        let near: Vec<(&Sought, f32)> = worths
            .into_iter()
            .filter(|(word, _)| near.iter().any(|near| std::ptr::eq(*near, *word)))
            .collect();
        if scores.raise(&near, &mut candidates)?.is_none() {
            return Ok(None);
        }
        scores.collapse(&mut candidates);
        let mut places = scores.places(&candidates, self.options.per_article.unwrap_or(1));
        let more = more || places.len() > self.options.limit;
        places.truncate(self.options.limit);
        Ok(Some(Ranked { places, notes, more }))
    }

    /// The words whose positions are read.
    fn near_words(&self) -> Vec<&Sought> {
        let bytes = |word: &Sought| -> u64 {
            let body = word.postings.iter().flatten().filter(|posting| posting.zone == Zone::Body);
            body.map(|posting| posting.info.positions_range.len() as u64).sum()
        };
        let mut near: Vec<&Sought> = self.words.to_vec();
        near.sort_by_key(|word| bytes(word));
        let mut sum = 0;
        near.retain(|word| {
            sum += bytes(word);
            sum <= MAX_POSITIONS
        });
        near.sort_by_key(|word| word.word.position);
        near
    }

    /// The articles in which a clause holds, rising.
    fn matches(&self, zone: Option<Zone>, sought: &[Sought]) -> Result<Option<Vec<u32>>> {
        let Searcher { readers, numbers, weights, .. } = self.searcher;
        if let [word] = sought {
            let counts = count(readers, numbers, word, zone, weights)?;
            return Ok(counts
                .map(|counts| counts.articles.into_iter().map(|(article, ..)| article).collect()));
        }
        let mut articles = Vec::new();
        let mut complete = true;
        for (segment, reader) in readers.iter().enumerate() {
            let Some(sections) = phrase(reader, segment, sought, zone)? else {
                complete = false;
                continue;
            };
            let mut article = 0;
            for section in sections {
                article = reader.articles().of_section(section, article);
                articles.push(numbers.first[segment].0 + article);
            }
        }
        articles.dedup();
        Ok(complete.then_some(articles))
    }

    /// The best candidates that are let in, each article once, and whether there are more.
    fn admitted(
        &self,
        candidates: Vec<Candidate>,
        allowed: &dyn Fn(u32) -> bool,
    ) -> (Vec<Candidate>, bool) {
        let Searcher { readers, numbers, .. } = self.searcher;
        let most = self.options.limit.saturating_mul(2).saturating_add(SPARE);
        let mut seen = HashSet::new();
        let mut admitted = Vec::new();
        for candidate in candidates {
            let (segment, within) = numbers.segment_of(candidate.article);
            let oid = readers[segment].articles().rows()[within as usize].oid;
            // An object can be held by two segments, of which either serves.
            if !allowed(candidate.article) || !(self.admit)(oid) || !seen.insert(oid) {
                continue;
            }
            if admitted.len() == most {
                return (admitted, true);
            }
            admitted.push(candidate);
        }
        (admitted, false)
    }
}

/// Whether an article holds to the clauses. A phrase that no article has is told and let go; its
/// words still rank.
fn allowed<'a>(
    clauses: &[Clause],
    matches: &'a [Vec<u32>],
    notes: &mut Vec<String>,
) -> impl Fn(u32) -> bool + use<'a> {
    let mut must: Vec<&Vec<u32>> = Vec::new();
    let mut not: Vec<&Vec<u32>> = Vec::new();
    for (clause, matches) in clauses.iter().zip(matches) {
        if clause.not {
            not.push(matches);
        } else if matches.is_empty() {
            notes.push(format!("no article has {}; searched for its words", clause.text));
        } else {
            must.push(matches);
        }
    }
    move |article| {
        must.iter().all(|articles| articles.binary_search(&article).is_ok())
            && !not.iter().any(|articles| articles.binary_search(&article).is_ok())
    }
}
