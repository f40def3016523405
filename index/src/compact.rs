//! Many segments into one.
//!
//! A build commits a segment for each 64 MiB of text, an update one for some changed articles, and
//! each costs every query a read to open and a lookup more. To index their documents again would
//! fetch the bucket again. [`merge`] lays the segments over each other as an [`Index`] does, leaves
//! out what is hidden, and takes the rest over as it is: rows get other numbers, postings are
//! merged, blocks of the pack are copied as they are stored.
//!
//! Nothing is taken away here: a merge that was interrupted leaves a file that no manifest names.
//!
//! [`Index`]: crate::Index

use std::{collections::HashSet, path::Path};

use crate::{
    bundle::{BundleWriter, at_once},
    docs::{Doc, DocsWriter, Place, State},
    fault::{Fault, FaultKind, Result},
    index::{DocRef, Merged},
    manifest::{SegmentRef, Settings, file_name},
    pack::{PackReader, PackWriter},
    rank::TextReader,
    segment::Segment,
    store::{fresh_id, scratch},
};

/// What to make of the segments.
#[derive(Clone, Copy, Debug)]
pub struct Merge {
    /// What the new segment holds; what an old one lacks stays lacking.
    pub settings: Settings,
    /// Whether the oldest segment of the index is among them: then no tombstone has anything left
    /// to hide, and all are dropped.
    pub oldest: bool,
}

/// Writes one segment with what is live in `segments`, which are neighbours in their index, from
/// the oldest to the newest, and lie where reading does not wait.
///
/// # Errors
/// [`FaultKind::Damaged`] when one of them is; what reading and writing fail with.
pub fn merge(segments: &[Segment], dir: &Path, merge: Merge) -> Result<SegmentRef> {
    let plan = Plan::of(segments, merge.oldest)?;
    let id = fresh_id();
    let mut out = BundleWriter::create(&dir.join(file_name(&id)))?;
    let mut docs = DocsWriter::new()?;
    let mut pack = match merge.settings.pack {
        true => {
            Some(Texts { plan: &plan, moved: plan.unmoved(), out: PackWriter::begin(&mut out)? })
        }
        false => None,
    };
    let mut text_bytes = 0;
    for (at, mut doc) in Merged::new(segments) {
        if plan.number(at).is_none() {
            continue;
        }
        let segment = &segments[at.segment as usize];
        let place = match (doc.place, &mut pack, segment.pack()) {
            (Some(place), Some(texts), Some(reader)) => {
                Some(texts.take_over(at.segment as usize, reader, place, &mut out)?)
            }
            _ => None,
        };
        doc.place = place;
        if place.is_none() {
            doc.state = doc.state.without(State::PACKED);
        }
        if segment.grams().is_none() {
            doc.state = doc.state.without(State::GRAMS);
        }
        text_bytes += doc.covered_bytes();
        docs.add(&doc)?;
    }
    if let Some(texts) = pack {
        texts.out.finish(&mut out)?;
    }
    merge_grams(segments, &plan, &mut out)?;
    if merge.settings.text {
        merge_text(segments, &plan, dir, &mut out)?;
    }
    let (count, gone) = (docs.len(), docs.gone());
    docs.write(&mut out)?;
    let parts = out.parts().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    let file = out.finish()?;
    Ok(SegmentRef { id, file, docs: count, gone, text_bytes, parts, shard: None })
}

fn merge_grams(segments: &[Segment], plan: &Plan, out: &mut BundleWriter) -> Result<()> {
    let inputs: Vec<_> = segments
        .iter()
        .zip(&plan.numbers)
        .filter_map(|(segment, numbers)| Some((segment.grams()?.clone(), numbers.clone())))
        .collect();
    crate::gram::merge(&inputs, out)
}

fn merge_text(segments: &[Segment], plan: &Plan, dir: &Path, out: &mut BundleWriter) -> Result<()> {
    let mut readers = Vec::new();
    for (segment, numbers) in segments.iter().zip(&plan.numbers) {
        let Some(reader) = TextReader::open(segment.bundle())? else { continue };
        let stays = segment.docs().iter().filter(|(doc, _)| numbers[*doc as usize].is_some());
        let oids: HashSet<u64> = stays.map(|(_, doc)| doc.oid()).collect();
        readers.push((reader, oids));
    }
    let alive: Vec<_> = readers.iter().map(|(_, oids)| |oid: u64| oids.contains(&oid)).collect();
    let inputs: Vec<(TextReader, &dyn Fn(u64) -> bool)> = readers
        .iter()
        .zip(&alive)
        .map(|((reader, _), alive)| (reader.clone(), alive as &dyn Fn(u64) -> bool))
        .collect();
    crate::rank::merge(&inputs, &scratch(dir)?, out)
}

/// Which documents stay, and what stays of each block of the packs.
struct Plan {
    /// By segment and number there: the number in the new segment.
    numbers: Vec<Vec<Option<u32>>>,
    /// By segment and block: bytes of text that stay.
    live: Vec<Vec<u32>>,
}

impl Plan {
    fn of(segments: &[Segment], oldest: bool) -> Result<Self> {
        let numbers = segments.iter().map(|segment| vec![None; segment.docs().len() as usize]);
        let blocks = |segment: &Segment| segment.pack().map_or(0, PackReader::blocks) as usize;
        let live = segments.iter().map(|segment| vec![0; blocks(segment)]);
        let mut plan = Self { numbers: numbers.collect(), live: live.collect() };
        let mut next = 0u32;
        for (at, doc) in Merged::new(segments) {
            if oldest && doc.state.has(State::GONE) {
                continue;
            }
            plan.numbers[at.segment as usize][at.doc as usize] = Some(next);
            next = next.checked_add(1).ok_or_else(|| {
                Fault::new(FaultKind::Invalid, "one segment cannot hold so many documents")
            })?;
            plan.keep(&segments[at.segment as usize], at, &doc)?;
        }
        Ok(plan)
    }

    fn keep(&mut self, segment: &Segment, at: DocRef, doc: &Doc) -> Result<()> {
        let (Some(pack), Some(place)) = (segment.pack(), doc.place) else { return Ok(()) };
        let blocks = pack.blocks_of(place)?;
        let whole = blocks.len() > 1;
        for block in blocks {
            let live = &mut self.live[at.segment as usize][block as usize];
            let bytes = if whole { pack.raw_len(block)? } else { place.len };
            *live = live.saturating_add(bytes);
        }
        Ok(())
    }

    fn number(&self, at: DocRef) -> Option<u32> {
        self.numbers[at.segment as usize][at.doc as usize]
    }

    fn unmoved(&self) -> Vec<Vec<Option<u32>>> {
        self.live.iter().map(|blocks| vec![None; blocks.len()]).collect()
    }
}

/// The pack of the new segment.
struct Texts<'a> {
    plan: &'a Plan,
    /// By segment and block: the block in the new pack that is a copy.
    moved: Vec<Vec<Option<u32>>>,
    out: PackWriter,
}

impl Texts<'_> {
    /// Brings a text into the new pack: with its block, which its neighbours then have there too,
    /// or alone when more than half of the block is dead.
    fn take_over(
        &mut self,
        segment: usize,
        pack: &PackReader,
        place: Place,
        out: &mut BundleWriter,
    ) -> Result<Place> {
        let blocks = pack.blocks_of(place)?;
        if blocks.is_empty() {
            return self.out.add(&[], out);
        }
        let first = blocks.start as usize;
        let live = u64::from(self.plan.live[segment][first]);
        if blocks.len() == 1 && live * 2 < u64::from(pack.raw_len(blocks.start)?) {
            let text = at_once(pack.text(place))?;
            return self.out.add(&text, out);
        }
        let moved = &mut self.moved[segment];
        if moved[first].is_none() {
            for block in blocks.clone() {
                let (method, stored, raw) = at_once(pack.stored(block))?;
                moved[block as usize] = Some(self.out.copy(method, &stored, raw, out)?);
            }
        }
        // The blocks of a long text are its own and were copied one behind the other; a table that
        // says otherwise is no table of ours.
        match moved[first] {
            Some(start)
                if blocks.zip(start..).all(|(old, new)| moved[old as usize] == Some(new)) =>
            {
                Ok(Place { block: start, ..place })
            }
            _ => Err(Fault::new(FaultKind::Damaged, "texts of the pack overlap each other")),
        }
    }
}
