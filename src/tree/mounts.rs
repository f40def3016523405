//! Several buckets under one root.
//!
//! Letting a mount lie inside another, as file systems do, would hide the keys beneath it, and a
//! hidden key is a lost one. [`MountTable`] refuses that: every path belongs to one mount, or to
//! a directory above them that holds nothing else.

use super::path;
use crate::error::{Error, Kind, Result};

/// Where the mounts are. A mount is known by its number: its place in what
/// [`new`](Self::new) was given.
#[derive(Clone, Debug)]
pub struct MountTable {
    /// Canonical, ending in `/`.
    points: Vec<String>,
    /// Numbers in byte order of the points.
    order: Vec<usize>,
}

/// What a path belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Inside a mount.
    Inside {
        /// The mount's number.
        mount: usize,
        /// The path as the mount's own root sees it. Its spelling is canonical; it may still be
        /// longer than a key can be.
        path: String,
    },
    /// A directory above the mounts, which lists those below it.
    Above,
}

impl MountTable {
    /// Mount points are canonical directory paths; the last `/` may be left out.
    ///
    /// # Errors
    /// [`Kind::Config`] when there is none, one is not canonical, or one is another or inside it.
    pub fn new(points: Vec<String>) -> Result<Self> {
        if points.is_empty() {
            return Err(Error::new(Kind::Config, "there is nothing to mount")
                .hint("name a bucket, or a mount as PATH=LOCATION"));
        }
        let points: Vec<String> =
            points.into_iter().map(|point| directory(&point)).collect::<Result<_>>()?;
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by(|a, b| points[*a].cmp(&points[*b]));
        for pair in order.windows(2) {
            let (outer, inner) = (&points[pair[0]], &points[pair[1]]);
            // In byte order, what is inside a directory follows it without a gap.
            if inner.starts_with(outer.as_str()) {
                let message = if inner == outer {
                    "two mounts have the same path".to_owned()
                } else {
                    format!("this mount lies inside the mount {}", path::visible(outer))
                };
                return Err(Error::new(Kind::Config, message)
                    .at(path::visible(inner))
                    .hint("give each mount a path that is not inside another"));
            }
        }
        Ok(Self { points, order })
    }

    /// How many mounts there are; at least one.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// The mounts' numbers in the order in which answers list them: byte order of their paths.
    pub fn in_order(&self) -> impl Iterator<Item = usize> + '_ {
        self.order.iter().copied()
    }

    /// The mount's path without its last `/`: empty for one that is the root.
    pub fn point(&self, mount: usize) -> &str {
        let point = &self.points[mount];
        &point[..point.len() - 1]
    }

    /// The whole path of a path that the mount's own root sees as `inner`.
    pub fn join(&self, mount: usize, inner: &str) -> String {
        format!("{}{inner}", self.point(mount))
    }

    /// What a path belongs to.
    ///
    /// # Errors
    /// [`Kind::InvalidPath`] when it is not spelled canonically, [`Kind::NotFound`] when it lies
    /// beside the mounts.
    pub fn resolve(&self, path: &str) -> Result<Place> {
        let longest = self.points.iter().map(String::len).max().unwrap_or_default();
        if path.len() > longest + path::MAX_PATH {
            return Err(path::too_long(path));
        }
        path::check_spelling(path)?;
        for (mount, point) in self.points.iter().enumerate() {
            let inner = match path.strip_prefix(point.as_str()) {
                Some(inner) => inner,
                None if path == self.point(mount) => "",
                None => continue,
            };
            return Ok(Place::Inside { mount, path: format!("/{inner}") });
        }
        if self.names(path).next().is_some() {
            return Ok(Place::Above);
        }
        Err(self.beside(path))
    }

    /// The names in a directory above the mounts (escaped as in a path, without `/`), each once,
    /// in the order of [`in_order`](Self::in_order). Every one is a directory.
    pub fn children(&self, dir: &str) -> Vec<String> {
        let mut names: Vec<String> = self.names(dir).map(str::to_owned).collect();
        names.dedup();
        names
    }

    /// The next segment of each mount below `dir`. Mounts with the same one follow each other.
    fn names<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let dir = dir.strip_suffix('/').unwrap_or(dir);
        self.in_order().filter_map(move |mount| {
            let below = self.points[mount].strip_prefix(dir)?.strip_prefix('/')?;
            below.split_once('/').map(|(name, _)| name)
        })
    }

    fn beside(&self, path: &str) -> Error {
        // A list of hundreds helps nobody: the nearest few do.
        let mut points: Vec<&str> = self.in_order().map(|mount| &*self.points[mount]).collect();
        points.sort_by_cached_key(|point| {
            let start: String = path.chars().take(point.len()).collect();
            strsim::osa_distance(&start, point)
        });
        points.truncate(5);
        Error::new(Kind::NotFound, "nothing is mounted here")
            .at(path::visible(path))
            .hint(format!("paths start with {}", path::visible(&points.join(" or "))))
    }
}

fn directory(point: &str) -> Result<String> {
    let prefix = path::decode(point)
        .and_then(|decoded| {
            decoded.dir.ok_or_else(|| {
                Error::new(Kind::InvalidPath, "this path is a file's").hint("leave out the `%@`")
            })
        })
        .map_err(|error| {
            let config =
                Error::new(Kind::Config, format!("a mount's path is wrong: {}", error.message()))
                    .at(path::visible(point))
                    .hint(error.advice().unwrap_or("write it as in /kb"));
            config.because(error)
        })?;
    Ok(path::encode_dir(&prefix))
}
