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

    /// What is left of `scope` from the canonical file path `start` on, in the order of a walk.
    pub fn scope_from(&self, mut scope: Scope, start: &str) -> Option<Scope> {
        let Ok(Place::Inside { mount, path }) = self.0.table.resolve(start) else {
            return Some(scope);
        };
        let Some(key) = tree::decode(&path).ok().and_then(|decoded| decoded.file) else {
            return Some(scope);
        };
        match scope.mount.cmp(&mount) {
            Ordering::Less => return None,
            Ordering::Greater => return Some(scope),
            Ordering::Equal => {}
        }
        let over = scope.prefix < key && !key.starts_with(&scope.prefix);
        scope.from = Some(Bound::Included(key));
        (!over).then_some(scope)
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
