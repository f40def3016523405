//! One path, and one directory.
//!
//! A directory of a bucket is nothing but a shared prefix: it has no size, no time, and exists
//! only as long as something is in it. [`Stat`] makes nothing up, and [`Vfs::list_dir`] lists one
//! level with a delimiter only where no listing covers the directory yet.

use std::collections::BTreeMap;

use super::{
    Entry, Op, Target, Vfs,
    pins::{Ended, Pin},
};
use crate::{
    bucket::{ListRequest, Object, Pages},
    error::{Error, Kind, Result},
    tree::{self, Child, Report, Snapshot, SnapshotBuilder},
};

/// What is at a path.
#[derive(Clone, Debug)]
pub enum Stat {
    /// An object.
    File {
        /// The object at its place.
        entry: Entry,
        /// A directory of the same name exists too; it is spelled with a `/` at its end.
        also_dir: bool,
    },
    /// A directory, by its canonical path, which ends in `/`.
    Dir(String),
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListedEntry {
    /// An object.
    File(Entry),
    /// A directory, by its canonical path, which ends in `/`.
    Dir(String),
}

impl ListedEntry {
    /// The canonical path.
    pub fn path(&self) -> &str {
        match self {
            Self::File(entry) => &entry.path,
            Self::Dir(path) => path,
        }
    }
}

/// One level of a directory.
#[derive(Debug)]
pub struct Level {
    /// In raw key order. The object of the same name is not among them.
    pub entries: Vec<ListedEntry>,
    /// What a person should know about the listing.
    pub notes: Vec<String>,
    /// What cut the listing short after `entries`.
    pub failed: Option<Error>,
}

impl Vfs {
    /// What is at `path`.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the nearest names.
    pub async fn stat(&self, op: &Op, path: &str) -> Result<Stat> {
        match self.resolve(op, path).await? {
            Target::Above(path) => Ok(Stat::Dir(with_slash(path))),
            Target::File { entry, also_dir } => Ok(Stat::File { entry, also_dir }),
            Target::Dir { mount, prefix, known } => {
                let known =
                    known || prefix.is_empty() || self.dir_exists(op, mount, &prefix).await?;
                match known {
                    true => Ok(Stat::Dir(self.dir_path(mount, &prefix))),
                    false => Err(self.missing_dir(op, path).await),
                }
            }
        }
    }

    /// What earlier reads showed of a version, at no cost: its `Content-Type`, and its lines.
    pub(crate) fn seen(&self, entry: &Entry) -> (Option<String>, Option<u64>) {
        let (bucket, object) = (self.bucket(entry.mount), &entry.object);
        if !bucket.trusts(object) {
            return (None, None);
        }
        let headers = self.0.cache.headers(&**bucket, object);
        let content_type =
            headers.and_then(|headers| headers.content_type.as_deref().map(Into::into));
        let version = (bucket.id(), object.key.clone(), object.etag.clone());
        (content_type, self.marks().total(&version))
    }

    /// The canonical path of the directory that `path` names, ending in `/`.
    ///
    /// # Errors
    /// [`Kind::NotFound`], and [`Kind::WrongType`] for a file.
    pub async fn directory(&self, op: &Op, path: &str) -> Result<String> {
        match self.stat(op, path).await? {
            Stat::Dir(path) => Ok(path),
            Stat::File { .. } => {
                Err(Error::new(Kind::WrongType, "this is a file, not a directory")
                    .at(path)
                    .hint("name the directory that it is in"))
            }
        }
    }

    /// The object that `path` names.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the nearest names, and [`Kind::WrongType`] for a directory.
    pub async fn file(&self, op: &Op, path: &str) -> Result<Entry> {
        match self.resolve(op, path).await? {
            Target::File { entry, .. } => return Ok(entry),
            // Nobody has looked yet whether it exists; this does, and suggests names if not.
            Target::Dir { known: false, .. } => drop(self.stat(op, path).await?),
            Target::Above(_) | Target::Dir { .. } => {}
        }
        Err(Error::new(Kind::WrongType, "this is a directory, not a file")
            .at(path)
            .hint("list it instead"))
    }

    async fn dir_exists(&self, op: &Op, mount: usize, prefix: &str) -> Result<bool> {
        if let Some(snapshot) = self.fresh(op, mount, prefix) {
            return Ok(snapshot.has_dir(prefix));
        }
        if self.is_pinned_below(op, mount, prefix) {
            return Ok(true);
        }
        op.lists(mount, self.now_ms());
        let request =
            ListRequest { prefix: prefix.to_owned(), max_keys: Some(1), ..ListRequest::default() };
        let page = self.bucket_for(op, mount).list(&op.call, request).await?;
        Ok(!page.objects.is_empty() || !page.unaddressable.is_empty())
    }

    /// The entries of the directory `path`.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when nothing is there, [`Kind::WrongType`] for a file, and what listing
    /// fails with before it gave anything.
    pub async fn list_dir(&self, op: &Op, path: &str) -> Result<Level> {
        let (mount, prefix, known) = match self.resolve(op, path).await? {
            Target::Above(path) => {
                let children = self.0.table.children(&path);
                let base = with_slash(path);
                let entries = children.into_iter().map(|c| ListedEntry::Dir(format!("{base}{c}/")));
                let entries = entries.collect();
                return Ok(Level { entries, notes: Vec::new(), failed: None });
            }
            Target::File { .. } => {
                return Err(Error::new(Kind::WrongType, "this is a file, not a directory")
                    .at(path)
                    .hint("read it instead"));
            }
            Target::Dir { mount, prefix, known } => (mount, prefix, known),
        };
        let level = match self.pinned(op, mount, &prefix) {
            Some(_) => None,
            None => self.pinned_level(op, mount, &prefix),
        };
        let listed = if level.is_some() { None } else { self.fresh(op, mount, &prefix) };
        let (children, notes, failed) = match listed {
            Some(snapshot) => {
                let children: Vec<Child> = snapshot.children(&prefix).collect();
                let exists = snapshot.has_dir(&prefix);
                let lost = lost_below(&snapshot, &prefix);
                if !exists && !prefix.is_empty() && lost.is_none() {
                    return Err(self.missing_dir(op, path).await);
                }
                let pin = Pin::level(mount, snapshot.listed_at(), &prefix);
                op.pins_to(pin, &prefix, Some(Ended::Listing(snapshot)));
                (children, lost.into_iter().collect(), None)
            }
            None => match level {
                Some((pin, children)) => {
                    op.lists(mount, pin.listed_at);
                    let level = Ended::Level(prefix.clone(), children.clone());
                    op.pins_to(pin, &prefix, Some(level));
                    (children.to_vec(), Vec::new(), None)
                }
                None => self.one_level(op, mount, &prefix, path, known).await?,
            },
        };
        let entries = children
            .into_iter()
            .map(|child| match child {
                Child::File(object) => ListedEntry::File(self.entry(mount, object)),
                Child::Dir(prefix) => ListedEntry::Dir(self.dir_path(mount, &prefix)),
            })
            .collect();
        Ok(Level { entries, notes, failed })
    }

    /// One level by delimiter: as many requests as the directory has pages, not as the tree has.
    async fn one_level(
        &self,
        op: &Op,
        mount: usize,
        prefix: &str,
        path: &str,
        known: bool,
    ) -> Result<(Vec<Child>, Vec<String>, Option<Error>)> {
        let listed_at = self.now_ms();
        op.lists(mount, listed_at);
        let request =
            ListRequest { prefix: prefix.to_owned(), one_level: true, ..ListRequest::default() };
        let mut pages = Pages::new(self.bucket_for(op, mount), op.call.clone(), request);
        let mut lost: Vec<String> = Vec::new();
        let mut lost_count = 0;
        let mut failed = None;
        let mut seen_any = known || prefix.is_empty();
        // Keyed by raw key: directories with their `/`, so the map's order is the answer's.
        let mut children: BTreeMap<String, Child> = BTreeMap::new();
        loop {
            let page = match op.check_time(&self.0.platform) {
                Ok(()) => pages.next().await,
                Err(error) => Err(error),
            };
            let page = match page {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(error) if children.is_empty() => return Err(error),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            seen_any |= !page.objects.is_empty() || !page.prefixes.is_empty();
            for object in page.objects {
                if !is_marker(prefix, &object) {
                    children.insert(object.key.clone(), Child::File(object));
                }
            }
            for below in page.prefixes {
                children.insert(below.clone(), Child::Dir(below));
            }
            lost_count += page.unaddressable.len() as u64;
            let room = NAMED.saturating_sub(lost.len());
            lost.extend(page.unaddressable.into_iter().take(room));
        }
        if failed.is_some() && pages.notes().out_of_order > 0 {
            op.break_order();
        }
        if !seen_any && lost_count == 0 {
            return Err(self.missing_dir(op, path).await);
        }
        let notes = lost_note(lost_count, &lost).into_iter().collect();
        let children: Vec<Child> = children.into_values().collect();
        if op.is_paged() {
            // One that was cut off is not gone on in, but whoever does is told.
            let ended = failed.is_none();
            let level = ended.then(|| Ended::Level(prefix.to_owned(), children.as_slice().into()));
            op.pins_to(Pin::level(mount, listed_at, prefix), prefix, level);
        }
        Ok((children, notes, failed))
    }

    /// The canonical path of a directory of a mount, ending in `/`.
    pub fn dir_path(&self, mount: usize, prefix: &str) -> String {
        self.0.table.join(mount, &tree::encode_dir(prefix))
    }

    /// Counts what the listing of each mount under `path` holds.
    pub async fn report(&self, op: &Op, path: &str) -> Result<Vec<(String, Report)>> {
        let scopes = match self.resolve(op, path).await? {
            Target::Above(path) => self.mounts_below(&path),
            Target::Dir { mount, prefix, .. } => vec![super::Scope::new(mount, prefix)],
            Target::File { entry, .. } => {
                let mut builder = SnapshotBuilder::new();
                let key = entry.object.key.clone();
                builder.push(entry.object);
                let report = builder.finish(key, self.now_ms()).report();
                return Ok(vec![(entry.path, report)]);
            }
        };
        let mut reports = Vec::new();
        for scope in scopes {
            let mut walk = self.walk(op, vec![scope.clone()]);
            while walk.next().await?.is_some() {}
            if let Some(snapshot) = walk.snapshot() {
                let place = self.dir_path(scope.mount, &scope.prefix);
                reports.push((place, snapshot.report()));
            }
        }
        Ok(reports)
    }

    /// All keys of the mounts that lie below the synthetic directory `path`.
    pub fn mounts_below(&self, path: &str) -> Vec<super::Scope> {
        let base = with_slash(path.to_owned());
        (0..self.0.mounts.len())
            .filter(|mount| self.dir_path(*mount, "").starts_with(&base))
            .map(|mount| super::Scope::new(mount, ""))
            .collect()
    }
}

/// Keys that a note names; the others it counts.
const NAMED: usize = 3;

/// Says that `count` keys, of which `names` are the first, have no path.
pub(super) fn lost_note(count: u64, names: &[String]) -> Option<String> {
    let first = names.get(..NAMED).unwrap_or(names).join(", ");
    let more = if count > NAMED as u64 { " and others" } else { "" };
    (count > 0).then(|| {
        format!("{count} keys cannot be addressed: {first}{more}; `stat --report` counts them")
    })
}

/// The same of the keys below `prefix` in a listing that was kept.
fn lost_below(snapshot: &Snapshot, prefix: &str) -> Option<String> {
    if snapshot.prefix() == prefix {
        return lost_note(snapshot.report().unaddressable, snapshot.unaddressable());
    }
    let below = |key: &&String| plain_bytes(key).starts_with(prefix.as_bytes());
    let below: Vec<String> = snapshot.unaddressable().iter().filter(below).cloned().collect();
    lost_note(below.len() as u64, &below)
}

/// The bytes that a key in percent form stands for.
fn plain_bytes(key: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key;
    while let Some(at) = rest.find('%') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let digits = rest.get(at + 1..at + 3);
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[at + 3..];
            }
            None => {
                bytes.push(b'%');
                rest = &rest[at + 1..];
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// The zero-byte object that only makes its directory exist.
fn is_marker(prefix: &str, object: &Object) -> bool {
    object.is_marker() && object.key == prefix
}

fn with_slash(path: String) -> String {
    if path.ends_with('/') { path } else { path + "/" }
}
