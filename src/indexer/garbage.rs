//! What is deleted of a published index, and when.
//!
//! "Unnamed and old" is not enough to delete a file: a publisher may be about to name it, a reader
//! may have the manifest of a minute ago, and a manifest that is read once says nothing of the
//! moment of the deletion. So a file that was named keeps its grace from when it was retired; the
//! place is looked at again right before each deletion; and no grace may be shorter than what a
//! publisher counts on.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use r2vfs_index::manifest::{self, Manifest};
use serde::Serialize;

use super::publishing::{Publishing, REUSED, SIDE_BY_SIDE, millis};
use crate::{
    bucket::{
        ETag, Object,
        publish::{Condition, Conditions, Outcome},
    },
    error::{Error, Kind, Result},
};

/// The shortest grace: a publisher takes files of up to [`REUSED`] as its own, and has as long
/// again until it looks for them a last time.
const LEAST_GRACE: Duration = Duration::from_secs(2 * REUSED.as_secs());

/// How long an unfinished upload is left alone at least: one file may take hours over a slow line.
const UPLOADING: Duration = Duration::from_secs(24 * 60 * 60);

/// Files that are deleted between one look and the next.
const BATCH: usize = 64;

/// What collecting garbage came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Collected {
    /// Files that were deleted, or would be.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that no manifest names and that are too young.
    pub young: u64,
    /// Unfinished uploads that were given up.
    pub uploads: u64,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// What is there, looked at once.
struct Look {
    remote: Option<(ETag, Manifest)>,
    listed: Vec<Object>,
    old: Vec<Object>,
    young: u64,
}

impl Publishing {
    /// Deletes files that no manifest has named for `grace`, and gives up uploads that are as old
    /// and older than a day. `dry`: only counts.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for a grace that could cost a publisher its files,
    /// [`Kind::Changed`] where a publisher names what was deleted, what requests fail with, and a
    /// manifest that cannot be read: then it is not known what it names.
    pub async fn collect(&self, grace: Duration, dry: bool) -> Result<Collected> {
        if grace < LEAST_GRACE {
            let hours = LEAST_GRACE.as_secs() / 3600;
            return Err(Error::new(
                Kind::InvalidArgument,
                "so short a grace could delete files that are just being published or read",
            )
            .hint(format!("take {hours}h or more; the default is 24h")));
        }
        let before = self.now().saturating_sub(millis(grace));
        let look = self.look(before).await?;
        let mut collected = Collected { young: look.young, ..Collected::default() };
        if dry {
            collected.count(&look.old);
            return Ok(collected);
        }
        let mut deleted = HashSet::new();
        for batch in look.old.chunks(BATCH) {
            let batch: HashSet<_> = batch.iter().map(|object| &object.key).collect();
            // What was put again or named since is no garbage any more.
            let mut still = self.look(before).await?.old;
            still.retain(|object| batch.contains(&object.key));
            self.delete(still.iter().map(|object| object.key.as_str())).await?;
            collected.count(&still);
            deleted.extend(still.into_iter().map(|object| object.key));
        }
        if look.remote.is_some_and(|(_, there)| !there.retired.is_empty()) {
            self.clear(&mut collected).await?;
        }
        self.is_whole(&deleted).await?;
        let before = before.min(self.now().saturating_sub(millis(UPLOADING)));
        match self.publisher.abort_uploads(before).await {
            Ok(uploads) => collected.uploads = uploads,
            Err(error) if error.kind() == Kind::Protocol => {
                collected.notes.push("the server does not list unfinished uploads".to_owned());
            }
            Err(error) => return Err(error),
        }
        Ok(collected)
    }

    /// What is there, and what of it has been garbage since `before`.
    async fn look(&self, before: i64) -> Result<Look> {
        // Listed before the manifest is read: what a publisher puts meanwhile is not in the list.
        let listed = self.publisher.list().await?;
        let remote = self.remote().await?;
        let there = remote.as_ref().map(|(_, there)| there);
        let (old, young) = garbage(&listed, there, before);
        Ok(Look { remote, listed, old, young })
    }

    /// Takes what is gone out of what the manifest has retired.
    async fn clear(&self, collected: &mut Collected) -> Result<()> {
        let Look { remote, listed, .. } = self.look(0).await?;
        let Some((etag, mut there)) = remote else { return Ok(()) };
        let files: HashSet<&str> = listed.iter().map(|object| object.key.as_str()).collect();
        let retired = there.retired.len();
        there.retired.retain(|r| files.contains(manifest::file_name(&r.id).as_str()));
        if there.retired.len() == retired {
            return Ok(());
        }
        if self.publisher.probe_conditions().await? == Conditions::Ignored {
            // Written over blindly it could take a publisher's work with it.
            return Ok(());
        }
        there.generation += 1;
        there.written_at = self.now();
        if self.put_manifest(&there, Condition::Matches(etag)).await? == Outcome::Lost {
            collected.notes.push("the index was published anew meanwhile".to_owned());
        }
        Ok(())
    }

    /// Whether the manifest names none of the files that were `deleted`.
    async fn is_whole(&self, deleted: &HashSet<String>) -> Result<()> {
        if deleted.is_empty() {
            return Ok(());
        }
        let remote = self.remote().await?;
        let mut named = remote.iter().flat_map(|(_, there)| &there.segments);
        if !named.any(|segment| deleted.contains(&segment.file.name)) {
            return Ok(());
        }
        Err(Error::new(Kind::Changed, "a file was deleted that was published at the same moment")
            .hint("publish again: only what is missing is uploaded"))
    }

    /// Deletes what is published: the manifest first, so that no reader finds half of it. How many
    /// other files there were.
    ///
    /// # Errors
    /// [`Kind::Changed`] where somebody publishes at the same time, and what requests fail with.
    pub async fn remove(&self) -> Result<u64> {
        self.publisher.delete(manifest::NAME).await?;
        // Listed only now: a publisher that read the manifest before loses by its condition.
        let listed = self.publisher.list().await?;
        self.still_gone().await?;
        self.delete(listed.iter().map(|object| object.key.as_str())).await?;
        self.still_gone().await?;
        Ok(listed.len() as u64)
    }

    async fn still_gone(&self) -> Result<()> {
        let listed = self.publisher.list().await?;
        if listed.iter().all(|object| object.key != manifest::NAME) {
            return Ok(());
        }
        Err(Error::new(Kind::Changed, "the index was published anew while it was deleted")
            .hint("run the same command again, or publish again to keep it"))
    }

    async fn delete<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<()> {
        let deletions = stream::iter(names.map(|name| self.publisher.delete(name)));
        deletions.buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await
    }
}

impl Collected {
    fn count(&mut self, files: &[Object]) {
        self.files += files.len() as u64;
        self.bytes += files.iter().map(|object| object.size).sum::<u64>();
    }
}

/// What of `listed` no manifest has named since `before`, and how much is unnamed and younger.
fn garbage(listed: &[Object], there: Option<&Manifest>, before: i64) -> (Vec<Object>, u64) {
    let segments = there.into_iter().flat_map(|there| &there.segments);
    let named: HashSet<&str> =
        segments.map(|segment| segment.file.name.as_str()).chain([manifest::NAME]).collect();
    let retired: HashMap<String, i64> = there
        .into_iter()
        .flat_map(|there| &there.retired)
        .map(|retired| (manifest::file_name(&retired.id), retired.at))
        .collect();
    let unnamed = listed.iter().filter(|object| !named.contains(object.key.as_str()));
    let (old, young): (Vec<&Object>, Vec<&Object>) = unnamed.partition(|object| {
        // It may have been put again after it was retired.
        let since = object.modified.map(|at| at.max(*retired.get(&object.key).unwrap_or(&at)));
        since.is_some_and(|since| since <= before)
    });
    (old.into_iter().cloned().collect(), young.len() as u64)
}
