//! From the literal head of a path to the keys that can match.
//!
//! Cutting the head of a glob off and listing "the directory" of it lists too much, and with
//! escapes in the way lists the wrong thing. [`Vfs::scopes_of_head`] turns a head into the
//! longest key prefix that every match must have.

use std::{cmp::Ordering, ops::Bound};

use super::{Scope, Vfs};
use crate::tree::{self, Place};

impl Vfs {
    /// The scopes that hold every path starting with `head`, itself the start of a canonical path.
    pub fn scopes_of_head(&self, head: &str) -> Vec<Scope> {
        let mut scopes = Vec::new();
        for mount in 0..self.0.mounts.len() {
            let root = self.dir_path(mount, "");
            if let Some(inner) = head.strip_prefix(root.trim_end_matches('/'))
                && inner.starts_with('/')
            {
                scopes.push(Scope::new(mount, key_prefix(inner)));
            } else if root.starts_with(head) {
                scopes.push(Scope::new(mount, ""));
            }
        }
        scopes
    }

    /// What is left of `scope` from the canonical path `start` on, in the order of a walk.
    pub fn scope_from(&self, mut scope: Scope, start: &str) -> Option<Scope> {
        let Some(place) = self.place_of(start) else { return Some(scope) };
        if place.is_past(scope.mount, &scope.prefix) {
            return None;
        }
        if place.mount == scope.mount {
            scope.from = Some(Bound::Included(place.key));
        }
        Some(scope)
    }

    /// The place of a canonical path in a walk; `None` above the mounts.
    pub(super) fn place_of(&self, path: &str) -> Option<WalkPlace> {
        let Ok(Place::Inside { mount, path }) = self.0.table.resolve(path) else { return None };
        let decoded = tree::decode(&path).ok()?;
        let key = decoded.file.or(decoded.dir)?;
        Some(WalkPlace { mount, key })
    }
}

/// Where a walk has come to.
#[derive(Debug)]
pub(super) struct WalkPlace {
    mount: usize,
    /// Of the object, or the prefix of the directory.
    key: String,
}

impl WalkPlace {
    /// Whether all keys of `mount` that start with `prefix` lie behind it.
    pub(super) fn is_before(&self, mount: usize, prefix: &str) -> bool {
        (self.mount, &*self.key) < (mount, prefix)
    }

    /// Whether it lies behind all keys of `mount` that start with `prefix`.
    pub(super) fn is_past(&self, mount: usize, prefix: &str) -> bool {
        match mount.cmp(&self.mount) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => *prefix < *self.key && !self.key.starts_with(prefix),
        }
    }
}

/// The longest key prefix shared by all keys whose path starts with `head`.
fn key_prefix(head: &str) -> String {
    let mut end = head.len();
    loop {
        let slash = head[..end].rfind('/').unwrap_or(0);
        let (dir, partial) = (&head[..=slash], &head[slash + 1..]);
        match tree::decode(dir).ok().and_then(|decoded| decoded.dir) {
            Some(mut prefix) => {
                // An escape may be cut in half by the head: text before it is plain.
                let plain = partial.split(['%', '/']).next().unwrap_or_default();
                if end == head.len() {
                    prefix.push_str(plain);
                }
                return prefix;
            }
            // No canonical path has this directory: nothing will match below it, and listing
            // the one above keeps the rule simple.
            None if slash == 0 => return String::new(),
            None => end = slash,
        }
    }
}
