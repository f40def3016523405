//! Which listing an operation may answer from, and what a path means in it.
//!
//! Asking the server about each path costs a round trip a path, and keeping one big listing goes
//! stale. [`Listings`] keeps a few snapshots per mount, each with the prefix it covers and the
//! moment it began; [`Vfs::resolve`] uses the newest that is fresh enough, and otherwise lists
//! exactly one page with the key as prefix, which tells both whether the object exists and what
//! lies below it.

use std::{sync::Arc, time::Duration};

use unicode_normalization::UnicodeNormalization;

use super::{Entry, Freshness, Op, Vfs, pins::Pins};
use crate::{
    bucket::{ListRequest, Milestones, Object},
    error::{Error, Kind, Result},
    tree::{self, Place, Snapshot, SnapshotBuilder},
};

/// Snapshots kept per mount; the oldest goes first. A session looks at few prefixes at a time.
const KEPT: usize = 8;

/// Directories above a missing path that are looked at for a suggestion, one list request each.
const CLIMB: usize = 3;

/// How many names an error suggests.
const SUGGESTIONS: usize = 3;

#[derive(Debug)]
pub(super) struct Listings {
    mounts: Vec<MountListings>,
}

#[derive(Debug, Default)]
struct MountListings {
    kept: Vec<Listed>,
    /// Where to split a listing below a prefix, as listings that are gone have taught; the oldest
    /// first.
    learned: Vec<(String, Milestones)>,
    /// The server was seen to list out of byte order: do not stream what it lists.
    disorderly: bool,
    pins: Pins,
}

/// A snapshot with the moment its listing began (monotonic clock).
#[derive(Clone, Debug)]
struct Listed {
    began: Duration,
    snapshot: Arc<Snapshot>,
}

impl Listings {
    pub(super) fn new(mounts: usize) -> Self {
        Self { mounts: (0..mounts).map(|_| MountListings::default()).collect() }
    }

    /// The snapshots that are kept of a mount.
    pub(super) fn snapshots(&self, mount: usize) -> impl Iterator<Item = &Arc<Snapshot>> {
        self.mounts[mount].kept.iter().map(|listed| &listed.snapshot)
    }

    pub(super) fn pins(&self, mount: usize) -> &Pins {
        &self.mounts[mount].pins
    }

    pub(super) fn pins_mut(&mut self, mount: usize) -> &mut Pins {
        &mut self.mounts[mount].pins
    }
}

/// What a path means.
#[derive(Clone, Debug)]
pub enum Target {
    /// A directory above the mount points; its children are mounts.
    Above(String),
    /// An object; `also_dir` when keys lie below the same name.
    File {
        /// The object at its place.
        entry: Entry,
        /// Whether a directory of the same name exists.
        also_dir: bool,
    },
    /// A directory of a mount. One that was named with a trailing `/` has not been looked for
    /// yet: an empty walk of it means that it does not exist.
    Dir {
        /// Index of the mount.
        mount: usize,
        /// The key prefix, empty or ending in `/`.
        prefix: String,
        /// Whether something is known to be in it.
        known: bool,
    },
}

impl Vfs {
    /// The snapshot that `op` goes on in, or else the newest that covers all keys starting with
    /// `prefix` and is fresh enough.
    pub(super) fn fresh(&self, op: &Op, mount: usize, prefix: &str) -> Option<Arc<Snapshot>> {
        let newest = || {
            let oldest = self.oldest(op);
            let listings = self.listings();
            let kept = &listings.mounts[mount].kept;
            kept.iter()
                .filter(|l| l.began >= oldest && prefix.starts_with(l.snapshot.prefix()))
                .max_by_key(|l| l.began)
                .map(|l| l.snapshot.clone())
        };
        let snapshot = self.pinned(op, mount, prefix).or_else(newest)?;
        op.lists(mount, snapshot.listed_at());
        Some(snapshot)
    }

    /// When a listing must have begun for `op` to answer from it.
    fn oldest(&self, op: &Op) -> Duration {
        match self.0.freshness {
            Freshness::Strict => op.started,
            Freshness::Bounded(age) => op.started.saturating_sub(age),
            Freshness::Snapshot => Duration::ZERO,
        }
    }

    /// Lets go of what a listing of `prefix` is about to replace and `op` cannot use: held until
    /// the new one is whole, both would be in memory.
    pub(super) fn make_room(&self, op: &Op, mount: usize, prefix: &str) {
        let oldest = self.oldest(op);
        let kept = &mut self.listings().mounts[mount].kept;
        kept.retain(|l| l.began >= oldest || !l.snapshot.prefix().starts_with(prefix));
    }

    /// Keeps a finished listing for later operations.
    pub(super) fn keep(&self, mount: usize, began: Duration, snapshot: Arc<Snapshot>) {
        let mut listings = self.listings();
        let kept = &mut listings.mounts[mount].kept;
        // What lies inside the new one and is older can only be staler.
        kept.retain(|l| !(l.began <= began && l.snapshot.prefix().starts_with(snapshot.prefix())));
        if kept.len() >= KEPT {
            let oldest = kept.iter().enumerate().min_by_key(|(_, l)| l.began).map(|(i, _)| i);
            if let Some(oldest) = oldest {
                kept.remove(oldest);
            }
        }
        kept.push(Listed { began, snapshot });
    }

    /// Where to split a listing of `prefix`, if that is known and worth it. Any listing will do,
    /// however old; what it taught is remembered when it is let go of.
    pub(super) fn milestones(&self, mount: usize, prefix: &str) -> Option<Milestones> {
        // A directory of this machine has no rounds to save.
        if !self.bucket(mount).worth_disk_cache() || self.disorderly(mount) {
            return None;
        }
        let newest = {
            let listings = self.listings();
            let kept = listings.mounts[mount].kept.iter();
            kept.filter(|l| prefix.starts_with(l.snapshot.prefix()))
                .max_by_key(|l| l.began)
                .map(|l| l.snapshot.clone())
        };
        if let Some(snapshot) = newest {
            let found = snapshot.milestones(prefix);
            self.learn(mount, prefix, found.clone());
            return Some(found).filter(Milestones::worth);
        }
        let listings = self.listings();
        let learned = listings.mounts[mount].learned.iter().rev();
        learned
            .filter(|(wide, _)| prefix.starts_with(wide.as_str()))
            .max_by_key(|(wide, _)| wide.len())
            .map(|(_, milestones)| milestones.below(prefix))
            .filter(Milestones::worth)
    }

    /// Tells where to split the next listings of a mount: a listing of any age, from wherever. It
    /// is not answered from, and not kept.
    pub fn hint_listing(&self, mount: usize, snapshot: &Snapshot) {
        self.learn(mount, snapshot.prefix(), snapshot.milestones(snapshot.prefix()));
    }

    fn learn(&self, mount: usize, prefix: &str, milestones: Milestones) {
        let learned = &mut self.listings().mounts[mount].learned;
        learned.retain(|(known, _)| known != prefix);
        if learned.len() >= KEPT {
            learned.remove(0);
        }
        learned.push((prefix.to_owned(), milestones));
    }

    pub(super) fn disorderly(&self, mount: usize) -> bool {
        self.listings().mounts[mount].disorderly
    }

    pub(super) fn note_disorder(&self, mount: usize) {
        self.listings().mounts[mount].disorderly = true;
    }

    /// What `path` means now. At most two list requests.
    ///
    /// # Errors
    /// [`Kind::InvalidPath`] for a path that is not canonical; [`Kind::NotFound`] with the
    /// nearest names.
    pub async fn resolve(&self, op: &Op, path: &str) -> Result<Target> {
        let (mount, inner) = match self.0.table.resolve(path)? {
            // With its slash, like every directory: whoever strips it from paths below relies on it.
            Place::Above if path.ends_with('/') => return Ok(Target::Above(path.to_owned())),
            Place::Above => return Ok(Target::Above(format!("{path}/"))),
            Place::Inside { mount, path } => (mount, path),
        };
        let decoded = tree::decode(&inner).map_err(|e| e.at(path))?;
        let Some(key) = decoded.file else {
            // Only a directory is spelled like this; whoever lists it will see whether it exists.
            let prefix = decoded.dir.unwrap_or_default();
            return Ok(Target::Dir { mount, prefix, known: false });
        };
        let (object, has_dir) =
            self.look_up(op, mount, &key, decoded.dir.as_deref()).await.map_err(|e| e.at(path))?;
        match (object, decoded.dir) {
            (Some(object), _) => {
                Ok(Target::File { entry: self.entry(mount, object), also_dir: has_dir })
            }
            (None, Some(prefix)) if has_dir => Ok(Target::Dir { mount, prefix, known: true }),
            _ => Err(self.not_found(op, mount, path, &key, tree::encode(&key)).await),
        }
    }

    /// Whether the object `key` and the directory `dir` exist.
    async fn look_up(
        &self,
        op: &Op,
        mount: usize,
        key: &str,
        dir: Option<&str>,
    ) -> Result<(Option<Object>, bool)> {
        if self.0.freshness != Freshness::Strict {
            Box::pin(self.learn_listing(op, mount, key)).await;
        }
        if let Some(snapshot) = self.fresh(op, mount, key) {
            return Ok((snapshot.get(key), dir.is_some_and(|dir| snapshot.has_dir(dir))));
        }
        // An earlier page has listed it as a directory.
        if dir.is_some_and(|dir| self.is_pinned_below(op, mount, dir)) {
            return Ok((None, true));
        }
        let (objects, truncated) = self.first_page(op, mount, key).await?;
        let object = objects.iter().find(|o| o.key == key).cloned();
        let Some(dir) = dir else {
            return Ok((object, false));
        };
        let mut has_dir = objects.iter().any(|o| o.key.starts_with(dir));
        if !has_dir && truncated {
            // Names such as `a-` sort between `a` and `a/` and can fill the whole page.
            let request =
                ListRequest { prefix: dir.to_owned(), max_keys: Some(1), ..ListRequest::default() };
            let page = self.bucket_for(op, mount).list(&op.call, request).await?;
            has_dir = !page.objects.is_empty() || !page.unaddressable.is_empty();
        }
        Ok((object, has_dir))
    }

    /// The first page of the keys that start with `prefix`, and whether there are more. A page
    /// that holds them all is kept as a snapshot.
    async fn first_page(&self, op: &Op, mount: usize, prefix: &str) -> Result<(Vec<Object>, bool)> {
        let (began, listed_at) = (self.0.platform.monotonic(), self.now_ms());
        op.lists(mount, listed_at);
        let request = ListRequest { prefix: prefix.to_owned(), ..ListRequest::default() };
        let page = self.bucket_for(op, mount).list(&op.call, request).await?;
        let truncated = page.truncated || page.next.is_some();
        if !truncated {
            let mut builder = SnapshotBuilder::new();
            page.objects.iter().cloned().for_each(|o| builder.push(o));
            page.unaddressable.into_iter().for_each(|key| builder.add_unaddressable(key));
            self.keep(mount, began, Arc::new(builder.finish(prefix.to_owned(), listed_at)));
        }
        Ok((page.objects, truncated))
    }

    /// The object as it is now, however fresh the snapshots are: after it was seen to change.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is gone.
    pub(crate) async fn look_again(&self, op: &Op, entry: &Entry) -> Result<Entry> {
        let request = ListRequest { prefix: entry.object.key.clone(), ..ListRequest::default() };
        let page = self.bucket_for(op, entry.mount).list(&op.call, request).await?;
        match page.objects.into_iter().find(|o| o.key == entry.object.key) {
            Some(object) => Ok(self.entry(entry.mount, object)),
            None => Err(Error::new(Kind::NotFound, "it was deleted after it was listed")
                .at(entry.path.as_str())),
        }
    }

    /// The error for a path that names nothing, with the names nearest to it. Costs list requests
    /// where nothing is listed yet: a good hint saves the caller several.
    ///
    /// `key` is the object's, or the directory's prefix, and `inner` its path in the mount.
    async fn not_found(
        &self,
        op: &Op,
        mount: usize,
        path: &str,
        key: &str,
        inner: String,
    ) -> Error {
        let mut names = self.other_spelling(op, mount, key).await;
        let mut parent = parent_of(key.trim_end_matches('/'));
        for _ in 0..CLIMB {
            if !names.is_empty() {
                break;
            }
            let Some(snapshot) = self.around(op, mount, parent).await else { break };
            if !snapshot.is_empty() {
                names = snapshot.nearest(&inner, SUGGESTIONS);
                break;
            }
            if parent.is_empty() {
                break;
            }
            // The directory is misspelled too: look at what is beside it.
            parent = parent_of(&parent[..parent.len() - 1]);
        }
        let names: Vec<String> =
            names.into_iter().map(|inner| self.0.table.join(mount, &inner)).collect();
        self.missing(path, &names)
    }

    /// The path of what differs from `key` only in its Unicode normal form. Asked for by its name,
    /// for in a large directory one page of its neighbours may not hold it. R2 stores keys in
    /// form NFC; a Mac hands in NFD.
    async fn other_spelling(&self, op: &Op, mount: usize, key: &str) -> Vec<String> {
        let spellings: [String; 2] = [key.nfc().collect(), key.nfd().collect()];
        for spelling in spellings.iter().filter(|spelling| *spelling != key) {
            let Ok((objects, _)) = self.first_page(op, mount, spelling).await else { break };
            if !spelling.ends_with('/') && objects.iter().any(|o| o.key == *spelling) {
                return vec![tree::encode(spelling)];
            }
            let dir = format!("{}/", spelling.trim_end_matches('/'));
            if objects.iter().any(|o| o.key.starts_with(&dir)) {
                return vec![tree::encode_dir(&dir)];
            }
        }
        Vec::new()
    }

    /// The error for the directory `path` that is not there, with the names nearest to it.
    pub(crate) async fn missing_dir(&self, op: &Op, path: &str) -> Error {
        match self.0.table.resolve(path) {
            Ok(Place::Inside { mount, path: inner }) => {
                let dir = tree::decode(&inner).ok().and_then(|decoded| decoded.dir);
                let prefix = dir.unwrap_or_default();
                self.not_found(op, mount, path, &prefix, tree::encode_dir(&prefix)).await
            }
            _ => self.missing(path, &[]),
        }
    }

    /// What is listed under `prefix`, as far as one page tells. `None` where listing fails: the
    /// hint is a courtesy, the answer "not found" stands without it.
    async fn around(&self, op: &Op, mount: usize, prefix: &str) -> Option<Arc<Snapshot>> {
        if let Some(snapshot) = self.fresh(op, mount, prefix) {
            return Some(snapshot);
        }
        let (objects, _) = self.first_page(op, mount, prefix).await.ok()?;
        let mut builder = SnapshotBuilder::new();
        objects.into_iter().for_each(|o| builder.push(o));
        Some(Arc::new(builder.finish(prefix.to_owned(), self.now_ms())))
    }

    /// "Nothing is here", with suggestions or with the command that shows what is.
    fn missing(&self, path: &str, names: &[String]) -> Error {
        let error = Error::new(Kind::NotFound, "there is no such file or directory").at(path);
        match names {
            [] => error.hint("list the directory above it to see what is there"),
            names => error.hint(format!("did you mean {}?", names.join(" or "))),
        }
    }
}

/// The directory of a key: empty, or ending in `/`.
fn parent_of(key: &str) -> &str {
    &key[..key.rfind('/').map_or(0, |slash| slash + 1)]
}
