//! Makes a snapshot of a listing that may come in any order.
//!
//! Collecting all objects to sort them holds every key twice, and most listings are sorted
//! already. [`SnapshotBuilder`] writes a key that sorts after the last one straight into its
//! place. The others wait in sorted runs of their own and are merged at the end, which frees
//! each run as it is read.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use super::{
    Inner, Snapshot,
    arena::{Arena, Cursor, Writer},
    report::{Report, Tally},
};
use crate::{
    bucket::{MAX_KEY, Object, percent},
    tree::path,
};

/// Late objects that are held as they came before they become a run: 4 MiB or so of memory, and
/// 61 runs for a million keys in the worst order.
const RUN: usize = 16 << 10;

/// Unaddressable keys that are kept by name; all are counted.
const NAMED: usize = 1000;

/// Takes a listing and makes a [`Snapshot`] of it.
#[derive(Debug, Default)]
pub struct SnapshotBuilder {
    sorted: Writer,
    tally: Tally,
    /// The last of the sorted ones, not written yet: the next page may list it again.
    held: Option<Object>,
    late: Vec<Object>,
    /// In the order they came in, so that of two objects with one key the later run's wins.
    runs: Vec<Arena>,
    notes: Report,
    unaddressable: Vec<String>,
}

impl SnapshotBuilder {
    /// An empty listing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an object. Of several with one key the last counts. A key longer than a path can
    /// name is counted as unaddressable.
    pub fn push(&mut self, object: Object) {
        if object.key.len() > MAX_KEY {
            return self.add_unaddressable(percent(object.key.as_bytes()));
        }
        let Some(held) = &mut self.held else {
            self.held = Some(object);
            return;
        };
        match object.key.cmp(&held.key) {
            Ordering::Greater => {
                let done = std::mem::replace(held, object);
                write(&mut self.sorted, &mut self.tally, &done);
            }
            Ordering::Equal => {
                self.notes.duplicates += 1;
                *held = object;
            }
            Ordering::Less => {
                self.notes.out_of_order += 1;
                self.late.push(object);
                if self.late.len() >= RUN {
                    self.close_run();
                }
            }
        }
    }

    /// Adds a key that no request can name, in percent form.
    pub fn add_unaddressable(&mut self, key: String) {
        self.notes.unaddressable += 1;
        if self.unaddressable.len() < NAMED {
            let shown = key.chars().take(path::MAX_PATH).collect();
            self.unaddressable.push(shown);
        }
    }

    /// Adds what an earlier listing held: its objects, its unaddressable keys also where they
    /// have no names any more, and its count of doubled keys.
    pub fn absorb(&mut self, listing: &Snapshot) {
        listing.scan("", None).for_each(|object| self.push(object));
        let named = listing.unaddressable();
        named.iter().for_each(|key| self.add_unaddressable(key.clone()));
        self.notes.unaddressable += listing.report().unaddressable - named.len() as u64;
        self.notes.duplicates += listing.report().duplicates;
    }

    /// Says how many keys the server listed after a greater one, where they were sorted before
    /// they were added.
    pub fn set_out_of_order(&mut self, keys: u64) {
        self.notes.out_of_order = keys;
    }

    /// Objects added so far, doubled ones included.
    pub fn len(&self) -> usize {
        self.sorted.len()
            + usize::from(self.held.is_some())
            + self.late.len()
            + self.runs.iter().map(Arena::len).sum::<usize>()
    }

    /// Whether no object was added.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The snapshot of what was listed under `prefix` when the clock said `listed_at`
    /// (milliseconds since the Unix epoch).
    pub fn finish(mut self, prefix: String, listed_at: i64) -> Snapshot {
        if let Some(held) = self.held.take() {
            write(&mut self.sorted, &mut self.tally, &held);
        }
        self.close_run();
        let (arena, tally) = if self.runs.is_empty() {
            (self.sorted.finish(), self.tally)
        } else {
            // The sorted ones come first: a key can only be late after it was in order.
            self.runs.insert(0, self.sorted.finish());
            merge(self.runs, &mut self.notes.duplicates)
        };
        let digest = tally.digest();
        let report = Report {
            listed: tally.report.reachable + self.notes.unaddressable,
            unaddressable: self.notes.unaddressable,
            duplicates: self.notes.duplicates,
            out_of_order: self.notes.out_of_order,
            ..tally.report
        };
        let mut spellings = tally.spellings;
        spellings.sort_unstable();
        Snapshot::new(Inner {
            arena,
            spellings,
            report,
            unaddressable: self.unaddressable,
            digest,
            prefix,
            listed_at,
        })
    }

    fn close_run(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let mut objects = std::mem::take(&mut self.late);
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        let mut run = Writer::default();
        let mut latest = Latest::default();
        for object in objects {
            if let Some(done) = latest.replace(object, &mut self.notes.duplicates) {
                run.push(&done);
            }
        }
        if let Some(done) = latest.0 {
            run.push(&done);
        }
        self.runs.push(run.finish());
    }
}

fn write(writer: &mut Writer, tally: &mut Tally, object: &Object) {
    writer.push(object);
    tally.count(object, writer.block());
}

/// Of objects in key order, holds the latest until another key comes.
#[derive(Default)]
struct Latest(Option<Object>);

impl Latest {
    fn replace(&mut self, object: Object, duplicates: &mut u64) -> Option<Object> {
        let last = self.0.replace(object)?;
        if self.0.as_ref().is_some_and(|object| object.key == last.key) {
            *duplicates += 1;
            return None;
        }
        Some(last)
    }
}

fn merge(mut runs: Vec<Arena>, duplicates: &mut u64) -> (Arena, Tally) {
    let mut cursors: Vec<Cursor> = runs.iter().map(|run| Cursor::at_block(run, 0)).collect();
    let mut heads: BinaryHeap<Reverse<(String, usize)>> = cursors
        .iter()
        .zip(&runs)
        .enumerate()
        .filter_map(|(number, (cursor, run))| Some(Reverse((cursor.key(run)?.to_owned(), number))))
        .collect();
    let (mut writer, mut tally, mut latest) =
        (Writer::default(), Tally::default(), Latest::default());
    while let Some(Reverse((mut key, number))) = heads.pop() {
        let (cursor, run) = (&mut cursors[number], &mut runs[number]);
        let object = cursor.object(run);
        cursor.step(run);
        run.free_before(cursor);
        if let Some(next) = cursor.key(run) {
            key.clear();
            key.push_str(next);
            heads.push(Reverse((key, number)));
        }
        if let Some(done) = object.and_then(|object| latest.replace(object, duplicates)) {
            write(&mut writer, &mut tally, &done);
        }
    }
    if let Some(done) = latest.0 {
        write(&mut writer, &mut tally, &done);
    }
    (writer.finish(), tally)
}
