//! Which objects of a scan the index lets alone, and which it can hand over itself.
//!
//! Asking the index first and reading what it names would miss what it does not hold. [`Narrow`]
//! is asked about every object of the live listing: only one that the index holds in exactly the
//! version listed, and shows to hold no match, is left out; all others are searched, from the
//! index's pack where they are in it.

use std::{collections::HashMap, sync::Arc};

use r2vfs_index::{
    Fault,
    bundle::Held,
    docs::{Doc, Place, State},
    gram::{Candidates, Query},
    index::DocRef,
};

use super::{super::answer::IndexUse, ScanRequest};
use crate::{
    error::Result,
    search::narrow::{Reading, demand},
    vfs::{Compression, Content, Entry, IndexView, Op, Vfs, ends_the_operation},
};

/// Objects in one batch of a listing up to which a published index is not worth the five gets
/// that opening it and asking it cost.
const FEW: usize = 12;

/// Candidates up to which all are fetched from the pack in one round as soon as they are known.
const WARM: usize = 512;

/// Reads of the pack for a few candidates: with the manifest, what a further question in one
/// process costs where its n-grams were read whole (issue 3).
const READS: usize = 2;

/// Bytes of text that are brought from a pack at a time: several ranges side by side, and less
/// than a pack keeps in memory.
const GROUP: u64 = 16 << 20;

/// What is to be done with one object.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The index shows that it holds no match; a NUL ends it here.
    LeaveOut(Option<u64>),
    /// It is to be searched.
    Search(From),
}

/// Where the bytes of an object come from.
#[derive(Clone, Debug)]
pub(super) enum From {
    /// Its bucket.
    Bucket,
    /// The index's pack.
    Pack(Packed),
}

/// A document in a pack.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    view: Arc<IndexView>,
    doc: DocRef,
    place: Place,
    etag: Box<str>,
}

impl From {
    /// The content of `entry` where the index has it; `None` where the bucket is to be asked.
    pub(super) async fn content(&self, vfs: &Vfs, op: &Op, entry: &Entry) -> Option<Content> {
        let Self::Pack(packed) = self else { return None };
        // Of a version that was listed anew the pack knows nothing.
        if entry.object.etag.0 != packed.etag {
            return None;
        }
        match packed.view.index.text(packed.doc, packed.place).await {
            Ok(bytes) => vfs.content_of(op, entry, bytes),
            Err(fault) => {
                packed.view.text_is_unused(op, &fault);
                None
            }
        }
    }
}

/// What an index is to be asked for one request. Making it reads the pattern as compiling does,
/// and takes as long.
#[derive(Debug)]
pub(super) struct Plan {
    query: Query,
    reading: Reading,
}

impl Plan {
    pub(super) fn of(request: &ScanRequest) -> Self {
        let reading = match request.every {
            true => Reading { narrows: false, ..Reading::of(&request.search, request.search_zip) },
            false => Reading::of(&request.search, request.search_zip),
        };
        let query = if reading.narrows { demand(&request.pattern) } else { Query::All };
        Self { query, reading }
    }
}

/// The index's part in one scan.
pub(super) struct Narrow {
    vfs: Vfs,
    op: Op,
    plan: Plan,
    mounts: HashMap<usize, Option<Asked>>,
    /// Text of packs that is about to be searched.
    held: Held,
    used: Option<IndexUse>,
}

/// The index of one mount, asked.
struct Asked {
    view: Arc<IndexView>,
    /// For each segment.
    candidates: Vec<Candidates>,
}

impl Narrow {
    pub(super) fn new(vfs: &Vfs, op: &Op, plan: Plan) -> Self {
        Self {
            vfs: vfs.clone(),
            op: op.clone(),
            plan,
            mounts: HashMap::new(),
            held: Held::default(),
            used: None,
        }
    }

    /// Opens and asks the index of the mount that `batch` belongs to, where that pays.
    ///
    /// # Errors
    /// The end of the operation's time or budget.
    pub(super) async fn prepare(&mut self, batch: &[Entry]) -> Result<()> {
        let Some(mount) = batch.first().map(|entry| entry.mount) else { return Ok(()) };
        if self.mounts.contains_key(&mount) || !self.vfs.may_have_index(mount) {
            return Ok(());
        }
        if batch.len() <= FEW && !self.vfs.index_is_near(mount) {
            return Ok(());
        }
        let asked = match self.vfs.index(&self.op, mount).await {
            None => None,
            Some(view) => match self.ask(Arc::new(view.clone())).await {
                Ok(asked) => Some(asked),
                Err(fault) => {
                    self.give_up(mount, &view, &fault).await?;
                    None
                }
            },
        };
        self.mounts.insert(mount, asked);
        Ok(())
    }

    async fn ask(&mut self, view: Arc<IndexView>) -> Result<Asked, Fault> {
        let candidates = view.index.candidates(&self.plan.query).await?;
        let asked = Asked { view, candidates };
        self.used
            .get_or_insert_default()
            .asked(asked.view.manifest().listed_at, !matches!(self.plan.query, Query::All));
        let few: Option<Vec<DocRef>> = asked.few_candidates();
        if let Some(few) = few {
            self.held = asked.view.index.warm(&few, READS).await?;
        }
        Ok(asked)
    }

    /// The index cannot be used any further: everything is searched in the bucket.
    async fn give_up(&mut self, mount: usize, view: &IndexView, fault: &Fault) -> Result<()> {
        if let Some(error) = ends_the_operation(fault) {
            return Err(error);
        }
        self.vfs.forget_index(mount).await;
        view.is_unused(&self.op, fault);
        self.mounts.insert(mount, None);
        Ok(())
    }

    /// What is to be done with `entry`; `explicit`: it was named.
    pub(super) fn verdict(&mut self, entry: &Entry, explicit: bool) -> Verdict {
        let Some(Some(asked)) = self.mounts.get(&entry.mount) else {
            return Verdict::Search(From::Bucket);
        };
        let object = &entry.object;
        let Some((at, doc)) = asked
            .view
            .index
            .find(&object.key)
            .filter(|(_, doc)| doc.is_version(&object.etag.0, object.size, object.modified))
        else {
            self.used.get_or_insert_default().uncovered += 1;
            return Verdict::Search(From::Bucket);
        };
        if self.speaks_for(entry, &doc, explicit) && !asked.is_candidate(at) {
            return Verdict::LeaveOut(doc.nul);
        }
        // A directory's file is nearer than its copy in a pack.
        let packed = self.vfs.is_far(entry.mount) && doc.state.has(State::PACKED);
        match doc.place.filter(|_| packed) {
            Some(place) => {
                let (view, etag) = (asked.view.clone(), object.etag.0.clone());
                Verdict::Search(From::Pack(Packed { view, doc: at, place, etag }))
            }
            None => Verdict::Search(From::Bucket),
        }
    }

    /// What the index did so far, if one was asked.
    pub(super) fn used(&self) -> Option<IndexUse> {
        self.used
    }

    /// Whether nothing is gained by waiting for more objects before `group` is fetched.
    pub(super) fn is_enough(group: &[(Entry, From)]) -> bool {
        let packed = group.iter().filter(|(_, from)| matches!(from, From::Pack(_)));
        let bytes: u64 = packed.map(|(entry, _)| entry.object.size).sum();
        bytes == 0 || bytes >= GROUP
    }

    /// Brings the text of those of `group` that lie in a pack into memory, in few requests. What
    /// cannot be read from there is read from the bucket.
    ///
    /// # Errors
    /// The end of the operation's time or budget.
    pub(super) async fn warm(&mut self, group: &mut [(Entry, From)]) -> Result<()> {
        let mut views: Vec<(Arc<IndexView>, Vec<DocRef>)> = Vec::new();
        for (_, from) in group.iter() {
            let From::Pack(packed) = from else { continue };
            match views.last_mut().filter(|(view, _)| Arc::ptr_eq(view, &packed.view)) {
                Some((_, docs)) => docs.push(packed.doc),
                None => views.push((packed.view.clone(), vec![packed.doc])),
            }
        }
        for (view, docs) in views {
            match view.index.warm(&docs, READS).await {
                Ok(held) => self.held = held,
                Err(fault) => {
                    if let Some(error) = ends_the_operation(&fault) {
                        return Err(error);
                    }
                    view.text_is_unused(&self.op, &fault);
                    for (_, from) in group.iter_mut() {
                        *from = From::Bucket;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the grams of `doc` cover all that this search would read of it.
    fn speaks_for(&self, entry: &Entry, doc: &Doc, explicit: bool) -> bool {
        if !self.plan.reading.narrows || !doc.state.has(State::GRAMS) {
            return false;
        }
        if self.plan.reading.search_zip && Compression::of_path(&entry.path).is_some() {
            return false;
        }
        if doc.state.has(State::PLAIN) {
            return true;
        }
        // What lies behind a NUL was not indexed, and is searched where a file is named, or is
        // one line from end to end.
        let whole = doc.nul.is_none() || !(explicit || self.plan.reading.multiline);
        self.plan.reading.usual && whole
    }
}

impl Asked {
    fn is_candidate(&self, at: DocRef) -> bool {
        match self.candidates.get(at.segment as usize) {
            Some(Candidates::Docs(docs)) => docs.binary_search(&at.doc).is_ok(),
            _ => true,
        }
    }

    /// All candidates, unless they are many.
    fn few_candidates(&self) -> Option<Vec<DocRef>> {
        let mut few = Vec::new();
        for (segment, candidates) in (0..).zip(&self.candidates) {
            let Candidates::Docs(docs) = candidates else { return None };
            if few.len() + docs.len() > WARM {
                return None;
            }
            few.extend(docs.iter().map(|&doc| DocRef { segment, doc }));
        }
        Some(few)
    }
}
