//! Words of a question that stand together, and phrases.
//!
//! Reading positions of all postings would double what a query reads; those of the sections that
//! lead are enough to put the right ones first.

use tantivy::{
    DocSet, TERMINATED,
    postings::{Postings, SegmentPostings},
    schema::IndexRecordOption,
};

use super::{
    reader::{TextReader, in_memory},
    schema::Zone,
    terms::{Posting, Sought},
};
use crate::fault::Result;

/// Positions of one word in one zone of one segment, read forward.
struct Cursor {
    lists: Vec<SegmentPostings>,
    scratch: Vec<u32>,
}

impl Cursor {
    /// None where positions were not in memory.
    fn open<'a>(
        reader: &TextReader,
        postings: impl Iterator<Item = &'a Posting>,
    ) -> Result<Option<Self>> {
        let mut lists = Vec::new();
        let mut complete = true;
        for posting in postings {
            let read = reader.tantivy().terms.read_postings_from_terminfo(
                &posting.info,
                IndexRecordOption::WithFreqsAndPositions,
            );
            match in_memory(read)? {
                Some(list) => lists.push(list),
                None => complete = false,
            }
        }
        Ok(complete.then_some(Self { lists, scratch: Vec::new() }))
    }

    /// Where the word stands in a section, rising. Sections must be asked for in order.
    fn at(&mut self, section: u32, out: &mut Vec<u32>) {
        out.clear();
        for list in &mut self.lists {
            if list.doc() < section {
                list.seek(section);
            }
            if list.doc() == section {
                list.positions(&mut self.scratch);
                out.extend_from_slice(&self.scratch);
            }
        }
        if self.lists.len() > 1 {
            out.sort_unstable();
            out.dedup();
        }
    }
}

/// Notes what positions of `words` are missing. Whether none are.
pub(crate) fn warm(reader: &TextReader, segment: usize, words: &[&Sought]) -> Result<bool> {
    let mut complete = true;
    for word in words {
        let body = word.postings[segment].iter().filter(|posting| posting.zone == Zone::Body);
        complete &= Cursor::open(reader, body)?.is_some();
    }
    Ok(complete)
}

/// How often neighbours of the question stand together in each of `sections`, which rise: for each
/// pair of neighbours, the sum of the nearness of their meetings.
pub(crate) fn together(
    reader: &TextReader,
    segment: usize,
    words: &[&Sought],
    sections: &[u32],
    window: u32,
) -> Result<Option<Vec<Vec<f32>>>> {
    let mut cursors = Vec::new();
    for word in words {
        let body = word.postings[segment].iter().filter(|posting| posting.zone == Zone::Body);
        let Some(cursor) = Cursor::open(reader, body)? else { return Ok(None) };
        cursors.push(cursor);
    }
    let mut places = vec![Vec::new(); words.len()];
    let mut all = Vec::with_capacity(sections.len());
    for section in sections {
        for (cursor, places) in cursors.iter_mut().zip(&mut places) {
            cursor.at(*section, places);
        }
        let pairs = places.windows(2).map(|pair| nearness(&pair[0], &pair[1], window)).collect();
        all.push(pairs);
    }
    Ok(Some(all))
}

/// For each place of one word, how near the other's nearest place is: 1 for neighbours.
fn nearness(a: &[u32], b: &[u32], window: u32) -> f32 {
    let mut sum = 0.0;
    let mut from = 0;
    for at in a {
        while from < b.len() && b[from] + window < *at {
            from += 1;
        }
        let near = b[from..].iter().take_while(|other| **other <= at + window);
        let nearest = near.map(|other| other.abs_diff(*at)).filter(|apart| *apart > 0).min();
        sum += nearest.map_or(0.0, |apart| 1.0 / apart as f32);
    }
    sum
}

/// The sections of a segment in which the words stand one behind the other in one zone. None where
/// positions were not in memory.
pub(crate) fn phrase(
    reader: &TextReader,
    segment: usize,
    words: &[Sought],
    zone: Option<Zone>,
) -> Result<Option<Vec<u32>>> {
    let mut all = Vec::new();
    let mut complete = true;
    for at in [Zone::Body, Zone::Title, Zone::Path] {
        if zone.is_some_and(|zone| zone != at) {
            continue;
        }
        let mut cursors = Vec::new();
        for word in words {
            let here = word.postings[segment].iter().filter(|posting| posting.zone == at);
            match Cursor::open(reader, here)? {
                Some(cursor) => cursors.push(cursor),
                None => complete = false,
            }
        }
        if complete && cursors.len() == words.len() {
            in_zone(words, &mut cursors, &mut all);
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(complete.then_some(all))
}

fn in_zone(words: &[Sought], cursors: &mut [Cursor], all: &mut Vec<u32>) {
    let Some((first, rest)) = cursors.split_first_mut() else { return };
    let begin = words[0].word.position;
    let mut places = Vec::new();
    let mut others = Vec::new();
    let mut section = 0;
    loop {
        let next = first
            .lists
            .iter_mut()
            .map(|list| if list.doc() < section { list.seek(section) } else { list.doc() });
        let Some(here) = next.min().filter(|here| *here != TERMINATED) else { return };
        first.at(here, &mut places);
        for (cursor, word) in rest.iter_mut().zip(&words[1..]) {
            if places.is_empty() {
                break;
            }
            cursor.at(here, &mut others);
            let apart = word.word.position.saturating_sub(begin);
            places.retain(|place| others.binary_search(&(place + apart)).is_ok());
        }
        if !places.is_empty() {
            all.push(here);
        }
        section = here + 1;
    }
}
