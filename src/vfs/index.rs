//! The index of a mount: found, opened, kept, and read through the cache.
//!
//! Opening an index for every question costs more than it saves; keeping it open answers from one
//! that was replaced. [`Indexes`] keeps what is open with the version of its manifest, and asks
//! whether that is still the one as often as the tree's freshness asks for a listing. An index
//! that cannot be used is a note of the operation and never its failure: whoever asked searches
//! the bucket itself.

mod failure;
mod listing;
mod source;

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use r2vfs_index::{
    Fault, FaultKind, Source,
    index::Index,
    manifest::{self, Manifest},
    rank::Searcher,
};

pub(crate) use self::failure::ends_the_operation;
use self::{
    failure::{NOT_USED, failure_of_bucket, lacked, lacking, next, unusable},
    source::{BucketSource, fault_of_manifest},
};
use super::{Freshness, Op, Unused, Vfs};
use crate::{
    bucket::{Bucket, ETag},
    error::Error,
};

/// Where a published index lies, below the root of its bucket.
pub(super) const RESERVED: &str = ".r2vfs/";

/// Where indexes are looked for. The first one found is used.
#[derive(Clone, Debug, Default)]
pub struct IndexOptions {
    /// The directory with one index for each bucket and prefix, named by the bucket's id.
    pub local: Option<PathBuf>,
    /// Under [`RESERVED`] of the bucket itself.
    pub published: bool,
    /// Other places that hold the index of a mount, by mount point: the root of this bucket.
    pub elsewhere: BTreeMap<String, Arc<dyn Bucket>>,
}

/// Where one mount's index may lie.
#[derive(Clone, Debug)]
enum Place {
    #[cfg(feature = "build")]
    Directory(PathBuf),
    Bucket {
        bucket: Arc<dyn Bucket>,
        prefix: &'static str,
    },
}

impl Place {
    fn is_published(&self) -> bool {
        matches!(self, Self::Bucket { .. })
    }

    /// Whether somebody said that the index lies there, and did not only allow to look.
    fn was_named(&self) -> bool {
        matches!(self, Self::Bucket { prefix, .. } if *prefix != RESERVED)
    }
}

/// The indexes of a tree.
#[derive(Debug)]
pub(super) struct Indexes {
    mounts: Vec<PerMount>,
}

#[derive(Debug)]
struct PerMount {
    places: Vec<Place>,
    kept: Mutex<Kept>,
    /// The manifest under [`RESERVED`]. Locked while it is fetched, so that a listing and a search
    /// that run side by side ask for it once.
    published: tokio::sync::Mutex<Published>,
}

#[derive(Debug, Default)]
struct Published {
    /// When it was asked for (monotonic clock).
    asked: Option<Duration>,
    found: Option<(ETag, Arc<Manifest>)>,
}

#[derive(Debug, Default)]
struct Kept {
    opened: Option<Arc<Opened>>,
    /// When a place was last asked whether there is one (monotonic clock).
    asked: Option<Duration>,
    /// There was none, and a place was named where it should be.
    lacks: bool,
}

/// An index that is open, as its manifest was when it was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    index: Index,
    version: Version,
    place: usize,
}

/// What tells one manifest from the next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    #[cfg(feature = "build")]
    Generation(String, u64),
    ETag(ETag),
}

/// An open index as one operation reads it: what it fetches is that operation's cost.
#[derive(Clone, Debug)]
pub(crate) struct IndexView {
    /// Its segments.
    pub(crate) index: Index,
    published: bool,
}

impl IndexView {
    /// Its manifest.
    pub(crate) fn manifest(&self) -> &Manifest {
        self.index.manifest()
    }

    /// The answer of `op` does without it: every object is searched.
    pub(crate) fn is_unused(&self, op: &Op, fault: &Fault) {
        self.lacks("the index is not used, every object is searched", op, fault);
    }

    /// The bucket has to give what the pack holds.
    pub(crate) fn text_is_unused(&self, op: &Op, fault: &Fault) {
        self.lacks("text of the index is not used", op, fault);
    }

    fn lacks(&self, what: &'static str, op: &Op, fault: &Fault) {
        op.does_without(Unused::new(what, fault.detail(), next(fault, self.published)));
    }

    /// The error for who cannot do without it.
    pub(crate) fn unusable(&self, fault: &Fault) -> Error {
        unusable(fault, self.published)
    }

    /// Its full text.
    ///
    /// # Errors
    /// [`FaultKind::Missing`] where it was built without.
    pub(crate) fn searcher(&self) -> Result<Searcher, Fault> {
        let segments = self.index.segments().iter();
        Searcher::open(segments.map(|segment| segment.bundle().clone()).collect())
    }
}

impl Version {
    #[cfg(feature = "build")]
    fn of(manifest: &Manifest) -> Self {
        Self::Generation(manifest.index.clone(), manifest.generation)
    }
}

impl Indexes {
    /// For mounts of these points and buckets, in order.
    pub(super) fn new(options: &IndexOptions, mounts: &[super::Mount]) -> Self {
        let places = |mount: &super::Mount| {
            let mut places = Vec::new();
            if let Some(bucket) = options.elsewhere.get(&mount.point) {
                places.push(Place::Bucket { bucket: bucket.clone(), prefix: "" });
            }
            #[cfg(feature = "build")]
            if let Some(dir) = &options.local {
                places.push(Place::Directory(dir.join(mount.bucket.id().to_string())));
            }
            if options.published {
                places.push(Place::Bucket { bucket: mount.bucket.clone(), prefix: RESERVED });
            }
            places
        };
        let mounts = mounts.iter().map(|mount| PerMount {
            places: places(mount),
            kept: Mutex::default(),
            published: tokio::sync::Mutex::default(),
        });
        Self { mounts: mounts.collect() }
    }
}

impl PerMount {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // The guarded value is replaced whole, so a panic elsewhere leaves it sound.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vfs {
    /// Whether an index of `mount` can be looked for without a request.
    pub(crate) fn index_is_near(&self, mount: usize) -> bool {
        match self.0.indexes.mounts[mount].places.first() {
            #[cfg(feature = "build")]
            Some(Place::Directory(dir)) => dir.join(manifest::NAME).exists(),
            Some(Place::Bucket { .. }) => self.0.indexes.mounts[mount].kept().opened.is_some(),
            None => false,
        }
    }

    /// Whether there is a place at all where `mount` may have an index.
    pub(crate) fn may_have_index(&self, mount: usize) -> bool {
        !self.0.indexes.mounts[mount].places.is_empty()
    }

    /// The index of `mount`, as current as the tree's freshness asks; `None` where there is none,
    /// and where it cannot be used, which becomes a note of `op`.
    pub(crate) async fn index(&self, op: &Op, mount: usize) -> Option<IndexView> {
        self.index_or_failure(op, mount).await.0
    }

    /// As [`Self::index`], for who cannot do without one: and where it cannot be used, the error
    /// to tell. That a bucket failed goes before what is wrong with an index.
    pub(crate) async fn index_or_failure(
        &self,
        op: &Op,
        mount: usize,
    ) -> (Option<IndexView>, Option<Error>) {
        let state = &self.0.indexes.mounts[mount];
        let (opened, asked, lacks) = {
            let kept = state.kept();
            (kept.opened.clone(), kept.asked, kept.lacks)
        };
        if self.is_fresh(op, asked) {
            if lacks {
                op.does_without(lacking());
            }
            return (opened.map(|opened| self.view(op, mount, &opened)), lacks.then(lacked));
        }
        let now = self.0.platform.monotonic();
        let (mut found, mut failed, mut failure) = (None, false, None);
        let mut lacks = false;
        for place in 0..state.places.len() {
            match self.open_at(op, mount, place, opened.as_ref()).await {
                Ok(Some(opened)) => {
                    found = Some(opened);
                    break;
                }
                Ok(None) => lacks |= state.places[place].was_named(),
                Err(fault) => {
                    failed = true;
                    let published = state.places[place].is_published();
                    if failure.is_none() || failure_of_bucket(&fault).is_some() {
                        failure = Some(unusable(&fault, published));
                    }
                    op.does_without(Unused::new(NOT_USED, fault.detail(), next(&fault, published)));
                }
            }
        }
        lacks &= found.is_none();
        if lacks {
            op.does_without(lacking());
            failure = failure.or_else(|| Some(lacked()));
        }
        let mut kept = state.kept();
        // What failed once may be there for the next question.
        let asked = (!failed || found.is_some()).then_some(now);
        *kept = Kept { opened: found.clone(), asked, lacks };
        drop(kept);
        (found.map(|opened| self.view(op, mount, &opened)), failure)
    }

    /// Whether what was asked for then may still answer `op`.
    fn is_fresh(&self, op: &Op, asked: Option<Duration>) -> bool {
        match (self.0.freshness, asked) {
            (_, None) => false,
            (Freshness::Strict, Some(asked)) => asked >= op.started,
            (Freshness::Bounded(age), Some(asked)) => asked >= op.started.saturating_sub(age),
            (Freshness::Snapshot, Some(_)) => true,
        }
    }

    /// The manifest at `key` of `bucket`; `None` where there is none.
    async fn fetch_manifest(
        &self,
        op: &Op,
        bucket: &Arc<dyn Bucket>,
        key: &str,
    ) -> Result<Option<(ETag, Arc<Manifest>)>, Fault> {
        let purse = self.purse(op, bucket.clone());
        let peeked = purse.peek(&op.call, key, manifest::MAX_BYTES as u64).await;
        match peeked.map_err(fault_of_manifest)? {
            Some((object, bytes)) => Ok(Some((object.etag, Arc::new(Manifest::parse(&bytes)?)))),
            None => Ok(None),
        }
    }

    /// The manifest that is published in the bucket of `mount` itself, asked for once for all that
    /// may answer from the same one.
    async fn published(
        &self,
        op: &Op,
        mount: usize,
    ) -> Result<Option<(ETag, Arc<Manifest>)>, Fault> {
        let mut published = self.0.indexes.mounts[mount].published.lock().await;
        if !self.is_fresh(op, published.asked) {
            let now = self.0.platform.monotonic();
            let key = format!("{RESERVED}{}", manifest::NAME);
            let found = self.fetch_manifest(op, self.bucket(mount), &key).await?;
            *published = Published { asked: Some(now), found };
        }
        Ok(published.found.clone())
    }

    /// A listing of `op` has the manifest in this version: where it is the one that is known, it
    /// need not be asked for.
    pub(super) async fn lists_manifest(&self, op: &Op, mount: usize, etag: &ETag) {
        let mut published = self.0.indexes.mounts[mount].published.lock().await;
        if published.found.as_ref().is_some_and(|(known, _)| known == etag) {
            published.asked = published.asked.max(Some(op.started));
        }
    }

    /// The keys of the index that is published in the bucket of `mount` itself. Only a manifest
    /// that holds tells which they are: without one nothing is hidden.
    pub(super) async fn reserved(&self, op: &Op, mount: usize, listed: &[&str]) -> HashSet<String> {
        let names = self.named(op, mount).await;
        if listed.iter().all(|key| names.contains(*key)) {
            return names;
        }
        // It may have been published anew since its manifest was read.
        let mut published = self.0.indexes.mounts[mount].published.lock().await;
        if published.asked.is_none_or(|asked| asked < op.started) {
            *published = Published::default();
            drop(published);
            return self.named(op, mount).await;
        }
        names
    }

    async fn named(&self, op: &Op, mount: usize) -> HashSet<String> {
        match self.published(op, mount).await {
            Ok(Some((_, manifest))) => {
                let names = manifest.files().chain([manifest::NAME.to_owned()]);
                names.map(|name| format!("{RESERVED}{name}")).collect()
            }
            Ok(None) => HashSet::new(),
            Err(fault) => {
                op.note(format!("what lies under {RESERVED} is shown: {}", fault.detail()));
                HashSet::new()
            }
        }
    }

    /// Forgets what is open: a file of it was gone, or damaged. The next question looks anew.
    pub(crate) async fn forget_index(&self, mount: usize) {
        let state = &self.0.indexes.mounts[mount];
        *state.published.lock().await = Published::default();
        *state.kept() = Kept::default();
    }

    /// The index at one place: the one that is open if it is still that one.
    async fn open_at(
        &self,
        op: &Op,
        mount: usize,
        place: usize,
        opened: Option<&Arc<Opened>>,
    ) -> Result<Option<Arc<Opened>>, Fault> {
        let same = |version: &Version| {
            opened.filter(|opened| opened.place == place && opened.version == *version)
        };
        match &self.0.indexes.mounts[mount].places[place] {
            #[cfg(feature = "build")]
            Place::Directory(dir) => {
                let store = r2vfs_index::store::Store::at(dir);
                let version = match store.manifest() {
                    Ok(manifest) => Version::of(&manifest),
                    Err(fault) if fault.kind() == FaultKind::Missing => return Ok(None),
                    Err(fault) => return Err(fault),
                };
                if let Some(opened) = same(&version) {
                    return Ok(Some(opened.clone()));
                }
                let index = store.open()?;
                self.own(mount, index.manifest())?;
                // A commit may have come between.
                let version = Version::of(index.manifest());
                Ok(Some(Arc::new(Opened { index, version, place })))
            }
            Place::Bucket { bucket, prefix } => {
                let found = match *prefix {
                    RESERVED => self.published(op, mount).await?,
                    _ => self.fetch_manifest(op, bucket, manifest::NAME).await?,
                };
                let Some((etag, manifest)) = found else { return Ok(None) };
                let version = Version::ETag(etag);
                if let Some(opened) = same(&version) {
                    return Ok(Some(opened.clone()));
                }
                self.own(mount, &manifest)?;
                let source = Arc::new(self.source(op, bucket.clone(), prefix));
                let index = Index::open(source, Manifest::clone(&manifest)).await?;
                Ok(Some(Arc::new(Opened { index, version, place })))
            }
        }
    }

    /// Whether the index of this manifest is one of `mount`'s bucket. Another's would be harmless
    /// where an ETag is made of the content, and not where it is made of times, counters or keys:
    /// nothing tells which.
    fn own(&self, mount: usize, manifest: &Manifest) -> Result<(), Fault> {
        let id = self.bucket(mount).id().to_string();
        if manifest.origin.as_deref() == Some(&*id) {
            return Ok(());
        }
        let foreign = "it is of another bucket, prefix or endpoint";
        Err(Fault::new(FaultKind::Foreign, foreign))
    }

    fn source(&self, op: &Op, bucket: Arc<dyn Bucket>, prefix: &'static str) -> BucketSource {
        // An index that is kept keeps its source, and not what the pages of an answer hold.
        let op = op.unpaged();
        let bucket = self.purse(&op, bucket);
        BucketSource { bucket, cache: self.0.cache.clone(), op, prefix }
    }

    /// `opened` with everything that it reads from now on paid by `op`.
    fn view(&self, op: &Op, mount: usize, opened: &Opened) -> IndexView {
        let index = match &self.0.indexes.mounts[mount].places[opened.place] {
            Place::Bucket { bucket, prefix } => {
                let source: Arc<dyn Source> = Arc::new(self.source(op, bucket.clone(), prefix));
                // Only what opening has ruled out can fail; then the index pays for itself.
                opened.index.through(&source).unwrap_or_else(|_| opened.index.clone())
            }
            #[cfg(feature = "build")]
            Place::Directory(_) => opened.index.clone(),
        };
        IndexView {
            index,
            published: self.0.indexes.mounts[mount].places[opened.place].is_published(),
        }
    }
}
