//! What an index is, without asking the bucket that it is of.

use std::collections::BTreeMap;

use r2vfs_index::{docs::State, index::Index, manifest::FORMAT, store::Store};
use serde::Serialize;

use super::{Target, fault::told};
use crate::{
    error::{Error, Kind, Result},
    platform::Platform,
    vfs::{Budget, IndexOptions},
};

/// What an index is.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// The version of its format.
    pub format: u32,
    /// Its name, which it got when it was begun.
    pub index: String,
    /// How many commits it has seen.
    pub generation: u64,
    /// When it was last written: milliseconds since the Unix epoch.
    pub written_at: i64,
    /// When the last full listing began that it agrees with; `None` before the first.
    pub listed_at: Option<i64>,
    /// Documents that it covers.
    pub documents: u64,
    /// Of these, objects that could not be read: a search looks at them in the bucket.
    pub unreadable: u64,
    /// Objects in an archive, which cannot be read.
    pub archived: u64,
    /// Documents that are hidden by newer ones, and tombstones: joining segments drops them.
    pub dead: u64,
    /// How many segments it has.
    pub segments: u64,
    /// The shares of the keys that it was built of, as `I/N`; none where it is of all keys.
    pub shards: Vec<String>,
    /// Bytes of text that it covers.
    pub text_bytes: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes of each kind of part.
    pub parts: BTreeMap<String, u64>,
    /// Whether it holds the text itself.
    pub pack: bool,
}

/// The index of a target that is on this machine.
///
/// # Errors
/// [`Kind::NotFound`] where there is none, and what is wrong with one that cannot be opened.
pub fn local(target: &Target) -> Result<Index> {
    Store::at(&target.dir).open().map_err(told)
}

/// Bytes of the index of a target on this machine, if there is one.
pub fn bytes(target: &Target) -> u64 {
    Store::at(&target.dir).manifest().map_or(0, |manifest| manifest.bytes())
}

/// The index of a target that is published at one of `places`, opened as a search opens it.
///
/// # Errors
/// [`Kind::NotFound`] where there is none, and what is wrong with one that cannot be opened.
pub async fn published(
    target: &Target,
    places: &IndexOptions,
    budget: Budget,
    platform: &Platform,
) -> Result<Index> {
    let vfs = target.vfs(platform, places)?;
    let (view, failure) = vfs.index_or_failure(&vfs.op(budget), 0).await;
    view.map(|view| view.index).ok_or_else(|| {
        failure.unwrap_or_else(|| {
            Error::new(Kind::NotFound, "there is no published index")
                .hint("run `r2vfs index publish`, or name the place with --index")
        })
    })
}

/// What `index` is.
pub fn standing(index: &Index) -> Standing {
    let (mut documents, mut unreadable, mut archived) = (0, 0, 0);
    for (_, doc) in index.live() {
        documents += 1;
        unreadable += u64::from(doc.state.has(State::UNREADABLE));
        archived += u64::from(doc.state.has(State::ARCHIVED));
    }
    let manifest = index.manifest();
    let rows: u64 = manifest.segments.iter().map(|segment| u64::from(segment.docs)).sum();
    let mut shards: Vec<_> = manifest.segments.iter().filter_map(|s| s.shard).collect();
    shards.sort_unstable();
    shards.dedup();
    Standing {
        format: FORMAT,
        index: manifest.index.clone(),
        generation: manifest.generation,
        written_at: manifest.written_at,
        listed_at: (manifest.listed_at != 0).then_some(manifest.listed_at),
        documents,
        unreadable,
        archived,
        dead: rows.saturating_sub(documents),
        segments: manifest.segments.len() as u64,
        shards: shards.into_iter().map(|(index, of)| format!("{index}/{of}")).collect(),
        text_bytes: manifest.segments.iter().map(|segment| segment.text_bytes).sum(),
        bytes: manifest.bytes(),
        parts: manifest.parts(),
        pack: manifest.settings.pack,
    }
}
