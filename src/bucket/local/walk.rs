//! Keys below a directory in the byte order of the whole key, a page at a time.
//!
//! Sorting each directory by name and descending gives the wrong order: the keys of the directory
//! `a` start with `a/`, which sorts after `a-` and `a.` and before `a0`. So a directory's name
//! is compared with its `/`. And a page must not cost the whole tree: a [`Walk`] holds the names
//! of the directories on the path it stands at and no others, and finds its place again from
//! the last key alone.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
};

use super::{MAX_KEY, object, percent};
use crate::{
    bucket::{ListPage, ListRequest, Object},
    error::{Error, Kind, Result},
};

/// A place in a listing: what follows is greater than this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) key: String,
    /// The key is a folded prefix, and all keys below it are behind.
    pub(super) whole: bool,
}

impl Position {
    pub(super) fn at(key: String) -> Self {
        Self { key, whole: false }
    }
}

/// What a directory is, whatever path leads to it.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = PathBuf;

#[cfg(unix)]
pub(super) fn identity(_path: &Path, metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
pub(super) fn identity(path: &Path, _metadata: &Metadata) -> Identity {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[derive(Debug)]
enum Item {
    Object(Object),
    Prefix(String),
    Unaddressable(String),
}

#[derive(Debug)]
struct Level {
    /// Empty or ending in `/`.
    prefix: String,
    path: PathBuf,
    /// The next one is last.
    names: Vec<Name>,
}

#[derive(Debug)]
struct Name {
    name: OsString,
    directory: bool,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Walk {
    root: PathBuf,
    prefix: String,
    one_level: bool,
    after: Option<Position>,
    levels: Vec<Level>,
    /// The directories from the root to where the walk stands: none is entered twice.
    path: Vec<Identity>,
    /// What a folded directory came to.
    folded: VecDeque<Item>,
    /// Read already and due on the next page.
    ahead: VecDeque<Item>,
    /// The last key or prefix given.
    last: Option<Position>,
}

impl Walk {
    /// A walk over what `request` asks for, from `after` on.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] or [`Kind::Io`] when the directory that the prefix names cannot be read.
    /// One that is not there has no keys.
    pub(super) fn start(
        root: &Path,
        request: &ListRequest,
        after: Option<Position>,
    ) -> Result<Self> {
        let mut walk = Self {
            root: root.to_owned(),
            prefix: request.prefix.clone(),
            one_level: request.one_level,
            after,
            levels: Vec::new(),
            path: Vec::new(),
            folded: VecDeque::new(),
            ahead: VecDeque::new(),
            last: None,
        };
        let dir = &request.prefix[..request.prefix.rfind('/').map_or(0, |at| at + 1)];
        match walk.descend(dir) {
            Err(error) if !gone(&error) => {
                let kind = match error.kind() {
                    io::ErrorKind::PermissionDenied => Kind::Forbidden,
                    _ => Kind::Io,
                };
                Err(Error::new(kind, format!("the directory `{dir}` may not be listed"))
                    .hint("give this user read and search permission on it")
                    .because(error))
            }
            _ => Ok(walk),
        }
    }

    /// Whether this is a walk for such a request.
    pub(super) fn lists(&self, request: &ListRequest) -> bool {
        self.prefix == request.prefix && self.one_level == request.one_level
    }

    /// Where the next page starts, if there is one.
    pub(super) fn more(&self) -> Option<&Position> {
        if self.ahead.is_empty() { None } else { self.last.as_ref() }
    }

    /// The next `max` keys and prefixes, with what is unaddressable between them.
    pub(super) fn page(&mut self, max: usize) -> ListPage {
        let mut page = ListPage::default();
        while page.objects.len() + page.prefixes.len() < max {
            let Some(item) = self.ahead.pop_front().or_else(|| self.next()) else { return page };
            match item {
                Item::Object(object) => {
                    self.last = Some(Position::at(object.key.clone()));
                    page.objects.push(object);
                }
                Item::Prefix(prefix) => {
                    self.last = Some(Position { key: prefix.clone(), whole: true });
                    page.prefixes.push(prefix);
                }
                Item::Unaddressable(name) => page.unaddressable.push(name),
            }
        }
        // A page is the last one unless another key is seen to follow.
        while !self.ahead.iter().any(|item| !matches!(item, Item::Unaddressable(_))) {
            let Some(item) = self.next() else {
                let rest = self.ahead.drain(..);
                page.unaddressable.extend(rest.filter_map(|item| match item {
                    Item::Unaddressable(name) => Some(name),
                    _ => None,
                }));
                return page;
            };
            self.ahead.push_back(item);
        }
        page
    }

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.folded.pop_front() {
                return Some(item);
            }
            let level = self.levels.last_mut()?;
            let Some(Name { name, directory }) = level.names.pop() else {
                self.levels.pop();
                self.path.pop();
                continue;
            };
            let path = level.path.join(&name);
            let slash = if directory { "/" } else { "" };
            let Some(key) = name.to_str().map(|name| format!("{}{name}{slash}", level.prefix))
            else {
                let mut bytes = level.prefix.clone().into_bytes();
                bytes.extend_from_slice(name.as_encoded_bytes());
                return Some(Item::Unaddressable(percent(&bytes) + slash));
            };
            if key.len() > MAX_KEY {
                return Some(Item::Unaddressable(percent(key.as_bytes())));
            }
            if !directory {
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => {
                        return Some(Item::Object(object(key, &metadata)));
                    }
                    Ok(_) => continue,
                    Err(error) if gone(&error) => continue,
                    Err(_) => return Some(Item::Unaddressable(percent(key.as_bytes()))),
                }
            }
            if self.one_level {
                self.fold(key, path);
                continue;
            }
            match self.enter(key.clone(), path) {
                Err(error) if !gone(&error) => {
                    return Some(Item::Unaddressable(percent(key.as_bytes())));
                }
                _ => {}
            }
        }
    }

    /// A directory as one prefix, if there is a key in it, as a bucket has it.
    fn fold(&mut self, key: String, path: PathBuf) {
        let mut below = Self {
            root: self.root.clone(),
            prefix: key.clone(),
            one_level: false,
            after: self.after.clone(),
            levels: Vec::new(),
            path: self.path.clone(),
            folded: VecDeque::new(),
            ahead: VecDeque::new(),
            last: None,
        };
        if let Err(error) = below.enter(key.clone(), path) {
            if !gone(&error) {
                self.folded.push_back(Item::Unaddressable(percent(key.as_bytes())));
            }
            return;
        }
        while let Some(item) = below.next() {
            match item {
                Item::Unaddressable(_) => self.folded.push_back(item),
                Item::Object(_) | Item::Prefix(_) => {
                    self.folded.clear();
                    self.folded.push_back(Item::Prefix(key));
                    return;
                }
            }
        }
    }

    /// Goes to the directory of a prefix, by the rules of the walk.
    fn descend(&mut self, dir: &str) -> io::Result<()> {
        if dir.is_empty() {
            return self.enter(String::new(), self.root.clone());
        }
        // No file has a key with an empty, `.` or `..` segment, so none is below such a prefix.
        let plain = dir.strip_suffix('/').filter(|dir| !dir.is_empty());
        let Some(path) = plain.and_then(|dir| path_of(&self.root, dir)) else { return Ok(()) };
        let mut above = self.root.clone();
        self.path.push(identity(&above, &fs::metadata(&above)?));
        let mut segments = dir.trim_end_matches('/').split('/').peekable();
        while let Some(segment) = segments.next() {
            above.push(segment);
            if fs::symlink_metadata(&above)?.is_symlink() && !inside(&self.root, &above) {
                return Ok(());
            }
            if segments.peek().is_some() {
                let metadata = fs::metadata(&above)?;
                let identity = identity(&above, &metadata);
                if !metadata.is_dir() || self.path.contains(&identity) {
                    return Ok(());
                }
                self.path.push(identity);
            }
        }
        self.enter(dir.to_owned(), path)
    }

    /// Reads the names of a directory that belong to the listing.
    fn enter(&mut self, prefix: String, path: PathBuf) -> io::Result<()> {
        let metadata = fs::metadata(&path)?;
        let identity = identity(&path, &metadata);
        if !metadata.is_dir() || self.path.contains(&identity) {
            return Ok(());
        }
        let mut names = Vec::new();
        let mut full = prefix.clone().into_bytes();
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            let name = entry.file_name();
            let mut kind = match entry.file_type() {
                Err(error) if gone(&error) => continue,
                kind => kind?,
            };
            if kind.is_symlink() {
                let path = entry.path();
                match fs::metadata(&path) {
                    Ok(metadata) if inside(&self.root, &path) => kind = metadata.file_type(),
                    _ => continue,
                }
            }
            if !kind.is_dir() && !kind.is_file() {
                continue;
            }
            full.truncate(prefix.len());
            full.extend_from_slice(name.as_encoded_bytes());
            if kind.is_dir() {
                full.push(b'/');
            }
            if full.starts_with(self.prefix.as_bytes()) && self.is_due(&full) {
                names.push(Name { name, directory: kind.is_dir() });
            }
        }
        names.sort_unstable_by(|a, b| b.order().cmp(a.order()));
        self.path.push(identity);
        self.levels.push(Level { prefix, path, names });
        Ok(())
    }

    /// Whether a key, or a key below a directory, lies after where the listing starts.
    fn is_due(&self, full: &[u8]) -> bool {
        let Some(after) = &self.after else { return true };
        let start = after.key.as_bytes();
        let below = full.ends_with(b"/") && start.starts_with(full);
        full > start || (below && !(after.whole && full == start))
    }
}

impl Name {
    /// The bytes that decide its place among its neighbours.
    fn order(&self) -> impl Iterator<Item = &u8> {
        let slash: &[u8] = if self.directory { b"/" } else { b"" };
        self.name.as_encoded_bytes().iter().chain(slash)
    }
}

/// The path of a key, or `None` for one that no file can have. Never outside the root by itself.
pub(super) fn path_of(root: &Path, key: &str) -> Option<PathBuf> {
    let mut path = root.to_owned();
    for segment in key.split('/') {
        let mut parts = Path::new(segment).components();
        let plain =
            matches!(parts.next(), Some(std::path::Component::Normal(part)) if part == segment);
        if !plain || parts.next().is_some() || segment.contains('\0') {
            return None;
        }
        path.push(segment);
    }
    Some(path)
}

fn inside(root: &Path, path: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| path.starts_with(root))
}

/// Another program deleted or replaced it meanwhile: no error, and nothing to list.
pub(super) fn gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
