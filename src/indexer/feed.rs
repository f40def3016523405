//! What is to be fetched: from a listing beside the index, or from a list of changes.

use std::pin::pin;

use futures_util::{StreamExt, stream};
use r2vfs_index::{
    docs::{Doc, State},
    index::Index,
    manifest::Manifest,
};

use super::{
    changes::{self, Change},
    crew::Crew,
    job::Job,
    plan::{Join, Known, Verdict, each_gone},
    report::Report,
    shard::{Division, KeyRange, Shard},
};
use crate::{
    bucket::{ETag, Object},
    error::{Kind, Result},
    tree::Snapshot,
    vfs::{Entry, Scope},
};

/// Keys of a list of changes that are looked up side by side.
const LOOKS: usize = 64;

impl From<Doc> for Known {
    fn from(doc: Doc) -> Self {
        let second = doc.modified.map(|ms| ms.div_euclid(1000));
        let unread = doc.state.has(State::UNREADABLE);
        let archived = doc.state.has(State::ARCHIVED);
        Self { unread, archived, second, key: doc.key, etag: doc.etag }
    }
}

/// Decides about one object after the other.
pub(super) struct Judge<'j> {
    known: Option<&'j Index>,
    range: &'j KeyRange,
    join: Join<Box<dyn Iterator<Item = Known> + Send + 'j>>,
}

impl<'j> Judge<'j> {
    /// Of the keys in `range`.
    pub(super) fn new(known: Option<&'j Index>, range: &'j KeyRange) -> Self {
        let live = known.into_iter().flat_map(|known| known.live());
        let live = Box::new(live.map(|(_, doc)| Known::from(doc)));
        Self { known, range, join: Join::new(live) }
    }

    /// What is to be done about an object of the listing; `None` for what is no document of this
    /// run.
    pub(super) fn judge(&mut self, object: &Object) -> Option<Verdict> {
        if object.is_marker() || !self.range.contains(&object.key) {
            return None;
        }
        let known = self.known;
        let find = |key: &str| known?.find(key).map(|(_, doc)| Known::from(doc));
        Some(self.join.judge(object, find))
    }

    /// Calls `gone` for each document that is no longer listed, in key order.
    pub(super) fn each_gone(&self, known: &Index, listed: &Snapshot, gone: impl FnMut(String)) {
        let live = known.live().map(|(_, doc)| doc.key).filter(|key| self.range.contains(key));
        let objects = listed.scan("", None).filter(|object| !object.is_marker());
        each_gone(live, objects.map(|object| object.key), gone);
    }
}

impl Job {
    /// The shares that this run is about, each with its keys: the one that was asked for, or those
    /// that the index holds where it does not hold all.
    pub(super) async fn shares(
        &self,
        known: Option<&Index>,
    ) -> Result<Vec<(Option<Shard>, KeyRange)>> {
        let shards = self.shards(known);
        if shards.is_empty() {
            return Ok(vec![(None, KeyRange::default())]);
        }
        // The walk that follows takes this listing over.
        let mut walk = self.vfs.walk(&self.op, vec![Scope::new(0, "")]);
        while walk.next().await?.is_some() {}
        let Some(listed) = walk.snapshot() else { return Ok(Vec::new()) };
        let objects = || listed.scan("", None).filter(|object| !object.is_marker());
        let keys = || objects().map(|object| (object.key, object.size));
        Ok(shards.into_iter().map(|shard| (Some(shard), shard.keys(keys))).collect())
    }

    fn shards(&self, known: Option<&Index>) -> Vec<Shard> {
        match self.options.shard {
            Some(shard) => vec![shard],
            None => known.map(|known| shards_of(known.manifest())).unwrap_or_default(),
        }
    }

    /// Lists, compares, and hands what is to be fetched to the crew. When the listing that it went
    /// by began, once it is whole.
    pub(super) async fn feed(
        &self,
        known: &Index,
        crew: &mut Crew<'_>,
        report: &mut Report,
    ) -> Result<Option<i64>> {
        let mut listed_at = None;
        let shares = self.shares(Some(known)).await?;
        let mut left = shares.len();
        for (shard, range) in shares {
            left -= 1;
            crew.of(shard);
            let mut judge = Judge::new(Some(known), &range);
            let mut walk = self.vfs.walk(&self.op, vec![Scope::new(0, "")]);
            while let Some(entries) = walk.next().await? {
                for entry in entries {
                    if self.halt.asked() {
                        return Ok(None);
                    }
                    if let Some(verdict) = judge.judge(&entry.object) {
                        crew.take(verdict, entry, report).await?;
                    }
                }
            }
            report.notes.extend(walk.take_notes());
            if left == 0 {
                self.tally.list_ended();
            }
            crew.flush().await?;
            let Some(listed) = walk.snapshot() else { return Ok(None) };
            let mut gone = Vec::new();
            judge.each_gone(known, &listed, |key| gone.push(key));
            crew.drop_gone(gone, report).await?;
            // A share of the keys makes no listing that a reader could go by.
            listed_at = shard.is_none().then(|| listed.listed_at());
        }
        Ok(listed_at)
    }

    /// The same for keys that somebody named.
    pub(super) async fn feed_changes(
        &self,
        known: &Index,
        changes: &[Change],
        crew: &mut Crew<'_>,
        report: &mut Report,
    ) -> Result<()> {
        crew.of(self.shards(Some(known)).first().copied());
        let (keys, foreign) = changes::keys(changes, &self.target)?;
        if foreign > 0 {
            report.notes.push(format!("{foreign} changes lie outside of what is mounted"));
        }
        let mut gone = Vec::new();
        let looks = stream::iter(keys).map(|(key, etag)| async move {
            let held = known.find(&key).map(|(_, doc)| doc);
            let covered = held.as_ref().is_some_and(|doc| {
                let unread = doc.state.has(State::UNREADABLE) || doc.state.has(State::ARCHIVED);
                etag.is_some_and(|etag| etag == doc.etag) && !unread
            });
            if covered {
                // What was written is what the index has: nothing is asked about it.
                return Ok((key, held, None, true));
            }
            match self.vfs.look_again(&self.op, &self.unlisted(&key)).await {
                Ok(entry) => Ok((key, held, Some(entry), false)),
                Err(error) if error.kind() == Kind::NotFound => Ok((key, held, None, false)),
                Err(error) => Err(error),
            }
        });
        // In the order of their keys, which segments need.
        let mut looks = pin!(looks.buffered(LOOKS));
        while let Some(look) = looks.next().await {
            if self.halt.asked() {
                return Ok(());
            }
            let (key, held, entry, covered) = look?;
            match entry {
                Some(entry) if !entry.object.is_marker() => {
                    let held = held.map(Known::from);
                    let verdict = Verdict::of(held.as_ref(), &entry.object);
                    crew.take(verdict, entry, report).await?;
                }
                _ if covered => {
                    report.listed += 1;
                    report.unchanged += 1;
                    self.tally.list(1);
                    self.tally.hold();
                }
                _ => {
                    report.listed += 1;
                    self.tally.list(1);
                    gone.extend(held.map(|_| key));
                }
            }
        }
        self.tally.list_ended();
        crew.flush().await?;
        crew.drop_gone(gone, report).await
    }

    /// An entry for a key that was not listed yet.
    fn unlisted(&self, key: &str) -> Entry {
        let object = Object {
            key: key.to_owned(),
            size: 0,
            etag: ETag("".into()),
            modified: None,
            archived: false,
        };
        self.vfs.entry(0, object)
    }
}

/// The shares that an index holds, where it holds only some.
fn shards_of(manifest: &Manifest) -> Vec<Shard> {
    match Division::of(&manifest.segments) {
        Division::Shares { of, shares } => {
            shares.into_iter().map(|index| Shard { index, of }).collect()
        }
        Division::Whole | Division::Mixed => Vec::new(),
    }
}
