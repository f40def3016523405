//! An index in the bucket: put there, and kept whole.
//!
//! Uploading over what is there shows every reader half of two indexes, and two publishers each
//! the other's. Here files have names that nothing else has and are there before anything names
//! them; then the manifest is replaced in one request, under the condition that it is the one that
//! was read at the start. Who loses is told, and has destroyed nothing.
//!
//! A manifest says what was put once, and not what is there: a file may have been lost, or deleted
//! while the upload went on. So the place is listed, and listed again until nothing is missing,
//! right before the manifest is put.
//!
//! - [`succession`](super::succession): what is published next, decided from what is there
//! - [`garbage`](super::garbage): what is deleted, and when

use std::{path::Path, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use r2vfs_index::{
    bundle::{Bundle, at_once},
    manifest::{self, Manifest, Settings},
    source::FileRef,
    store::{Dir, Store},
};
use serde::Serialize;

use super::{Target, fault::told, placing, succession::Next};
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
pub(super) const SIDE_BY_SIDE: usize = 4;

/// How old a file may be that a killed publisher has left, to be taken as uploaded: old ones are
/// what `gc` is about to delete.
pub(super) const REUSED: Duration = Duration::from_secs(60 * 60);

/// How often the place is listed until no file is missing: a second time after an upload, and the
/// rest is for files that somebody deletes meanwhile.
const LISTINGS: usize = 4;

/// Where an index is published.
#[derive(Debug)]
pub struct Publishing {
    pub(super) publisher: Publisher,
    platform: Platform,
    /// Whether an index may be published there; one that is there may be deleted in any case.
    placed: Result<()>,
}

/// What publishing came to.
#[derive(Clone, Debug, Default, Serialize)]
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
    /// What a person should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
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
        let placed = to.map_or(Ok(()), |to| placing::outside(location, to));
        Ok(Self { publisher, platform: platform.clone(), placed })
    }

    /// Publishes the index of `target`. `single`: nobody else publishes there. `sent` is told of
    /// bytes as they are through.
    ///
    /// # Errors
    /// [`Kind::Changed`] when another publisher was faster, or files are deleted as they are put;
    /// [`Kind::Config`] where the server ignores conditions and `single` is not set, what is there
    /// is the index of another bucket or something else, or it is inside the bucket; what requests
    /// fail with.
    pub async fn publish(
        &self,
        target: &Target,
        single: bool,
        sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Published> {
        self.placed.clone()?;
        let origin = target.origin();
        // Held to the end, so that no file is joined away while it is read.
        let writer =
            Store::at(&target.dir).lock(Some(&origin), Settings::default()).map_err(told)?;
        let local = writer.manifest().clone();
        if local.generation == 0 {
            return Err(Error::new(Kind::NotFound, "there is no index to publish")
                .hint("run `r2vfs index build`"));
        }
        // An index beside other files is one that was put there before they were minded.
        if self.publisher.holds_others().await? && !matches!(self.remote().await, Ok(Some(_))) {
            return Err(Error::new(
                Kind::Config,
                "the directory to publish to has other files in it, and no index",
            )
            .hint("name an empty directory, or one that is not there yet"));
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
        let there = remote.as_ref().map(|(_, there)| there);
        if there.is_some_and(|there| there.origin != local.origin) {
            return Err(Error::new(
                Kind::Config,
                "what is published there is the index of another bucket, prefix or endpoint",
            )
            .hint("publish to another place, or run `r2vfs index drop --published --yes` first"));
        }
        let mut next = Next::of(&local, there)?;
        let (put, listed) = self.upload(&mut next, &target.dir, sent).await?;
        next.retire(there, &listed, self.now());
        let Next { manifest: mut next, ours, notes } = next;
        let mut published = Published {
            segments: next.segments.len() as u64,
            others: (next.segments.len() - ours.len()) as u64,
            put: put.files,
            put_bytes: put.bytes,
            bytes: next.bytes(),
            generation: next.generation,
            unchanged: false,
            notes,
        };
        if let Some(there) = there
            && (&there.segments, there.listed_at) == (&next.segments, next.listed_at)
        {
            published.generation = there.generation;
            published.unchanged = put.files == 0;
            return Ok(published);
        }
        next.written_at = self.now();
        let condition = match remote {
            _ if !honoured => Condition::Always,
            None => Condition::Absent,
            Some((etag, _)) => Condition::Matches(etag),
        };
        match self.put_manifest(&next, condition).await? {
            Outcome::Done(_) => Ok(published),
            Outcome::Lost => Err(Error::new(
                Kind::Changed,
                "another publisher was faster: its index stays, and this one is not published",
            )
            .hint("run the same command again; what was uploaded is not uploaded twice")),
        }
    }

    pub(super) async fn put_manifest(
        &self,
        next: &Manifest,
        condition: Condition,
    ) -> Result<Outcome> {
        let bytes = Bytes::from(next.to_bytes().map_err(told)?);
        self.publisher.put(manifest::NAME, bytes, condition).await
    }

    /// The published manifest with its version.
    pub(super) async fn remote(&self) -> Result<Option<(ETag, Manifest)>> {
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

    /// Puts the files of `next` that are not there, until a listing has them all; that listing.
    async fn upload(
        &self,
        next: &mut Next,
        dir: &Path,
        sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(Put, Vec<Object>)> {
        let mut put = Put::default();
        for _ in 0..LISTINGS {
            let listed = self.publisher.list().await?;
            let missing = next.compare(&listed, self.now().saturating_sub(millis(REUSED)));
            if missing.is_empty() {
                return Ok((put, listed));
            }
            let files = missing.iter().map(|(segment, _)| segment.file.clone()).collect();
            self.are_sound(dir, files).await?;
            let puts = missing.into_iter().map(|(segment, condition)| async move {
                let name = segment.file.name.as_str();
                let path = dir.join(name);
                let put = self.publisher.put_file(name, &path, &condition, sent).await?;
                // Where somebody else has put it meanwhile, the next listing tells the version.
                let Outcome::Done(etag) = put else { return Ok(0) };
                segment.file.etag = Some(etag.0.into());
                Ok::<_, Error>(segment.file.bytes)
            });
            let mut puts = pin!(stream::iter(puts).buffer_unordered(SIDE_BY_SIDE));
            while let Some(bytes) = puts.try_next().await? {
                put.files += u64::from(bytes > 0);
                put.bytes += bytes;
            }
        }
        Err(Error::new(Kind::Changed, "files of the index are deleted as soon as they are put")
            .hint("see that no `index gc` or `index drop` runs there, and publish again"))
    }

    /// Reads files of the local index against their checksums, before any is put: a reader finds out
    /// what is wrong with them, and can do nothing about it.
    async fn are_sound(&self, dir: &Path, files: Vec<FileRef>) -> Result<()> {
        // Whoever waits may leave, and nobody else can stop what blocks.
        let held = Arc::new(());
        let waiting = Arc::downgrade(&held);
        let source = Arc::new(Dir::new(dir));
        let work = self.platform.blocking(move || {
            at_once(async {
                for file in files {
                    let bundle = Bundle::open(source.clone(), file).await?;
                    bundle.check_pages(|_| waiting.strong_count() > 0).await?;
                }
                Ok(())
            })
        });
        let done = work.await;
        drop(held);
        let broke = || Error::new(Kind::Io, "checking the index broke down");
        done.ok_or_else(broke)?.map_err(told)
    }

    pub(super) fn now(&self) -> i64 {
        millis(self.platform.wall_clock())
    }
}

/// Files that were put.
#[derive(Clone, Copy, Debug, Default)]
struct Put {
    files: u64,
    bytes: u64,
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
