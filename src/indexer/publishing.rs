//! An index in the bucket: put there, kept clean, taken away.
//!
//! Uploading over what is there shows every reader half of two indexes, and two publishers each
//! the other's. Here files have names that nothing else has and are there before anything names
//! them; then the manifest is replaced in one request, under the condition that it is the one that
//! was read at the start. Who loses is told, and has destroyed nothing.

use std::{collections::HashSet, path::Path, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use r2vfs_index::{
    manifest::{self, Manifest, SegmentRef, Settings},
    store::Store,
};
use serde::Serialize;

use super::{Target, fault::told};
use crate::{
    bucket::{
        ETag, MAX_GET, Object, Permits,
        publish::{Condition, Conditions, Outcome, Publisher},
    },
    config::{Location, Settings as Reach},
    error::{Error, Kind, Result},
    platform::Platform,
};

/// Files put side by side; each large one has several requests under way.
const SIDE_BY_SIDE: usize = 4;

/// How old a file may be that a killed publisher has left, to be taken as uploaded: old ones are
/// what `gc` is about to delete.
const REUSED: Duration = Duration::from_secs(60 * 60);

/// Where an index is published.
#[derive(Debug)]
pub struct Publishing {
    publisher: Publisher,
    platform: Platform,
}

/// What publishing came to.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Published {
    /// Segments of the published index.
    pub segments: u64,
    /// Of these, the ones of other shards, which stay.
    pub others: u64,
    /// Files that were put.
    pub put: u64,
    /// Their bytes.
    pub put_bytes: u64,
    /// Bytes of all its files.
    pub bytes: u64,
    /// How many manifests there were before this one.
    pub generation: u64,
    /// What is published is this index already: nothing was written.
    pub unchanged: bool,
}

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

impl Publishing {
    /// Into the bucket of `location` itself, or to the root of `to`.
    ///
    /// # Errors
    /// What opening a bucket there fails with.
    pub fn open(
        location: &Location,
        to: Option<&Location>,
        reach: &Reach,
        permits: &Permits,
        platform: &Platform,
    ) -> Result<Self> {
        let publisher = match to {
            None => Publisher::open(location, reach, permits, platform)?,
            Some(to) => Publisher::open_root(to, reach, permits, platform)?,
        };
        Ok(Self { publisher, platform: platform.clone() })
    }

    /// Publishes the index of `target`. `single`: nobody else publishes there. `sent` is told of
    /// bytes as they are through.
    ///
    /// # Errors
    /// [`Kind::Changed`] when another publisher was faster; [`Kind::Config`] where the server
    /// ignores conditions and `single` is not set, or what is there is the index of another
    /// bucket; what requests fail with.
    pub async fn publish(
        &self,
        target: &Target,
        single: bool,
        sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Published> {
        let origin = target.origin();
        // Held to the end, so that no file is joined away while it is read.
        let writer =
            Store::at(&target.dir).lock(Some(&origin), Settings::default()).map_err(told)?;
        let local = writer.manifest().clone();
        if local.generation == 0 {
            return Err(Error::new(Kind::NotFound, "there is no index to publish")
                .hint("run `r2vfs index build`"));
        }
        let honoured = self.publisher.probe_conditions().await? == Conditions::Honoured;
        if !honoured && !single {
            return Err(Error::new(
                Kind::Config,
                "the server ignores conditions on writes, so that two publishers would destroy \
                 each other's work",
            )
            .hint("add --single-publisher where there is only one"));
        }
        let remote = self.remote().await?;
        if let Some((_, there)) = &remote
            && there.origin != local.origin
        {
            return Err(Error::new(
                Kind::Config,
                "what is published there is the index of another bucket, prefix or endpoint",
            )
            .hint("publish to another place, or run `r2vfs index drop --published --yes` first"));
        }
        let mut next = joined(&local, remote.as_ref().map(|(_, there)| there));
        let others = (next.segments.len() - local.segments.len()) as u64;
        let (put, put_bytes) = self.upload(&mut next, remote.as_ref(), &target.dir, sent).await?;
        let mut published = Published {
            segments: next.segments.len() as u64,
            others,
            put,
            put_bytes,
            bytes: next.bytes(),
            generation: next.generation,
            unchanged: false,
        };
        if let Some((_, there)) = &remote
            && (&there.segments, there.listed_at) == (&next.segments, next.listed_at)
        {
            published.generation = there.generation;
            published.unchanged = true;
            return Ok(published);
        }
        next.written_at = self.now();
        let bytes = Bytes::from(next.to_bytes().map_err(told)?);
        let condition = match remote {
            _ if !honoured => Condition::Always,
            None => Condition::Absent,
            Some((etag, _)) => Condition::Matches(etag),
        };
        match self.publisher.put(manifest::NAME, bytes, condition).await? {
            Outcome::Done(_) => Ok(published),
            Outcome::Lost => Err(Error::new(
                Kind::Changed,
                "another publisher was faster: its index stays, and this one is not published",
            )
            .hint("run the same command again; what was uploaded is not uploaded twice")),
        }
    }

    /// The published manifest with its version.
    async fn remote(&self) -> Result<Option<(ETag, Manifest)>> {
        let Some((object, bytes)) = self.publisher.get(manifest::NAME, MAX_GET).await? else {
            return Ok(None);
        };
        let manifest = Manifest::parse(&bytes).map_err(|fault| {
            let what = format!("what is published there cannot be used: {}", fault.detail());
            Error::new(Kind::Undecodable, what)
                .because(fault)
                .hint("run `r2vfs index drop --published --yes`, and publish again")
        })?;
        Ok(Some((object.etag, manifest)))
    }

    /// Puts the files of `next` that are not there, and notes the versions of all.
    async fn upload(
        &self,
        next: &mut Manifest,
        remote: Option<&(ETag, Manifest)>,
        dir: &Path,
        sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(u64, u64)> {
        let there = remote.map(|(_, there)| there.segments.as_slice()).unwrap_or_default();
        let named = |segment: &SegmentRef| there.iter().find(|other| other.id == segment.id);
        let listed = match next.segments.iter().all(|segment| named(segment).is_some()) {
            true => Vec::new(),
            false => self.publisher.list().await?,
        };
        let since = self.now().saturating_sub(millis(REUSED));
        // A name is never given twice, and a file is there whole or not at all.
        let left = |segment: &SegmentRef| {
            let same = |object: &&Object| {
                object.key == segment.file.name && object.size == segment.file.bytes
            };
            let found = listed.iter().find(same)?;
            found.modified.is_some_and(|at| at >= since).then(|| found.etag.clone())
        };
        let mut missing = Vec::new();
        for segment in &mut next.segments {
            let etag = match named(segment) {
                Some(other) => other.file.etag.clone(),
                None => left(segment).map(|etag| etag.0.into()),
            };
            match etag {
                Some(etag) => segment.file.etag = Some(etag),
                None => missing.push(segment),
            }
        }
        let count = missing.len() as u64;
        let bytes = missing.iter().map(|segment| segment.file.bytes).sum();
        stream::iter(missing.into_iter().map(Ok))
            .try_for_each_concurrent(SIDE_BY_SIDE, |segment| async move {
                let name = segment.file.name.as_str();
                let etag = self.publisher.put_file(name, &dir.join(name), sent).await?;
                segment.file.etag = Some(etag.0.into());
                Ok(())
            })
            .await
            .map(|()| (count, bytes))
    }

    /// Deletes files that no manifest names and that are older than `grace`, and gives up uploads
    /// as old. `dry`: only counts.
    ///
    /// # Errors
    /// What requests fail with, and a manifest that cannot be read: then it is not known what it
    /// names.
    pub async fn collect(&self, grace: Duration, dry: bool) -> Result<Collected> {
        // Listed before the manifest is read: what a publisher puts meanwhile is not in the list.
        let listed = self.publisher.list().await?;
        let remote = self.remote().await?;
        let segments = remote.iter().flat_map(|(_, there)| &there.segments);
        let named: HashSet<&str> =
            segments.map(|segment| segment.file.name.as_str()).chain([manifest::NAME]).collect();
        let before = self.now().saturating_sub(millis(grace));
        let garbage = listed.iter().filter(|object| !named.contains(object.key.as_str()));
        let (old, young): (Vec<_>, Vec<_>) =
            garbage.partition(|object| object.modified.is_some_and(|at| at <= before));
        let mut collected = Collected {
            files: old.len() as u64,
            bytes: old.iter().map(|object| object.size).sum(),
            young: young.len() as u64,
            ..Collected::default()
        };
        if dry {
            return Ok(collected);
        }
        self.delete(old.into_iter().map(|object| object.key.as_str())).await?;
        match self.publisher.abort_uploads(before).await {
            Ok(uploads) => collected.uploads = uploads,
            Err(error) if error.kind() == Kind::Protocol => {
                collected.notes.push("the server does not list unfinished uploads".to_owned());
            }
            Err(error) => return Err(error),
        }
        Ok(collected)
    }

    /// Deletes what is published: the manifest first, so that no reader finds half of it. How many
    /// files there were.
    ///
    /// # Errors
    /// What requests fail with.
    pub async fn remove(&self) -> Result<u64> {
        let listed = self.publisher.list().await?;
        self.publisher.delete(manifest::NAME).await?;
        let others = listed.iter().map(|object| object.key.as_str());
        self.delete(others.filter(|name| *name != manifest::NAME)).await?;
        Ok(listed.len() as u64)
    }

    async fn delete<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<()> {
        let deletions = stream::iter(names.map(|name| self.publisher.delete(name)));
        deletions.buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await
    }

    fn now(&self) -> i64 {
        millis(self.platform.wall_clock())
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// What is published next: `local`, and of `remote` the shares that `local` has not. Those come
/// first, because they are as old as the last time they were published.
fn joined(local: &Manifest, remote: Option<&Manifest>) -> Manifest {
    let mut next = local.clone();
    let Some(remote) = remote else {
        next.generation = 1;
        return next;
    };
    next.generation = remote.generation + 1;
    let ours: Option<HashSet<_>> = local.segments.iter().map(|segment| segment.shard).collect();
    // An index of all keys replaces everything.
    let Some(ours) = ours.filter(|ours| !ours.is_empty()) else { return next };
    let mut segments: Vec<_> = remote
        .segments
        .iter()
        .filter(|segment| segment.shard.is_none_or(|shard| !ours.contains(&shard)))
        .cloned()
        .collect();
    segments.append(&mut next.segments);
    next.segments = segments;
    next.index.clone_from(&remote.index);
    // A listing of one share is none of the whole.
    next.listed_at = remote.listed_at;
    next
}

#[cfg(test)]
mod tests {
    use r2vfs_index::source::FileRef;

    use super::*;

    fn manifest(segments: &[(char, Option<(u32, u32)>)]) -> Manifest {
        let segments = segments.iter().map(|(name, shard)| {
            let id = name.to_string().repeat(32);
            let name = manifest::file_name(&id);
            SegmentRef {
                file: FileRef { name, bytes: 9, hot: 4, check: 7, etag: None },
                id,
                docs: 1,
                gone: 0,
                text_bytes: 3,
                parts: Default::default(),
                shard: *shard,
            }
        });
        Manifest {
            format: manifest::FORMAT,
            index: "0".repeat(32),
            generation: 5,
            origin: None,
            written_at: 0,
            listed_at: 0,
            settings: Settings::default(),
            segments: segments.collect(),
        }
    }

    fn names(local: &Manifest, remote: &Manifest) -> String {
        let next = joined(local, Some(remote));
        assert_eq!(next.generation, remote.generation + 1);
        next.segments.iter().filter_map(|segment| segment.id.chars().next()).collect()
    }

    #[test]
    fn shares_of_others_stay_and_an_index_of_all_keys_replaces_everything() {
        let (one, two, three) = (Some((1, 3)), Some((2, 3)), Some((3, 3)));
        let remote = manifest(&[('a', one), ('b', two), ('c', two)]);
        assert_eq!(names(&manifest(&[('d', three)]), &remote), "abcd");
        assert_eq!(names(&manifest(&[('d', two)]), &remote), "ad");
        assert_eq!(names(&manifest(&[('d', one), ('e', two)]), &remote), "de");
        assert_eq!(names(&manifest(&[('d', None)]), &remote), "d");
        assert_eq!(names(&manifest(&[('d', two), ('e', None)]), &remote), "de");
        // What was joined of all shares is older than a new run over one of them.
        assert_eq!(names(&manifest(&[('d', two)]), &manifest(&[('a', None)])), "ad");
        // An index that holds nothing is of all keys.
        assert_eq!(names(&manifest(&[]), &remote), "");
    }
}
