//! What changed, as somebody says: a list of keys or paths, or R2's event notifications.
//!
//! A notification may be late, doubled or lost, and says what was true when it was sent. So it
//! only names a key to look at: what the bucket holds under it now is what counts.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io::{BufRead, Read},
};

use serde::Deserialize;

use super::Target;
use crate::{
    bucket::MAX_KEY,
    error::{Error, Kind, Result},
    tree,
};

/// The most changes of one run: beyond that a listing costs less.
const MAX_CHANGES: usize = 1 << 20;

/// The longest line: a notification whose key and copy source are escaped byte by byte.
const MAX_LINE: u64 = 64 << 10;

/// A key that may have changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A canonical path of the tree.
    Path(String),
    /// A key below the location's prefix.
    Key(String),
    /// A key of the whole bucket, and the version that was written, if one was.
    Event {
        /// The key with the location's prefix.
        key: String,
        /// Of a write; `None` of a deletion.
        etag: Option<String>,
    },
}

/// R2's notification, as far as it matters here.
#[derive(Deserialize)]
struct Notification {
    action: String,
    object: Noted,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Noted {
    key: String,
    e_tag: Option<String>,
}

/// Reads a list of changes: a key a line; a path, if it begins with `/`; a notification, if it
/// begins with `{`. Empty lines count for nothing.
///
/// # Errors
/// [`Kind::InvalidArgument`] with the number of the line that is none of them, and
/// [`Kind::Io`] where reading fails.
pub fn read_changes(mut from: impl BufRead) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    let mut line = Vec::new();
    for number in 1_usize.. {
        line.clear();
        let read = from.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|error| {
            Error::new(Kind::Io, format!("the list of changes cannot be read: {error}"))
                .because(error)
        })?;
        if read == 0 {
            break;
        }
        let refused = |what: &str| {
            Error::new(Kind::InvalidArgument, format!("line {number} of the changes {what}")).hint(
                "give one key a line, a path with its leading `/`, or a notification of R2 as JSON",
            )
        };
        if line.len() as u64 > MAX_LINE {
            return Err(refused("is longer than 64 KiB"));
        }
        if changes.len() == MAX_CHANGES {
            return Err(Error::new(
                Kind::InvalidArgument,
                format!("there are more than {MAX_CHANGES} changes"),
            )
            .hint("leave --changes out: listing the bucket costs less"));
        }
        let text = std::str::from_utf8(&line).map_err(|_| refused("is not UTF-8"))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let change = match text.as_bytes().first() {
            None => continue,
            Some(b'/') => Change::Path(text.to_owned()),
            Some(b'{') => {
                let note: Notification = serde_json::from_str(text)
                    .map_err(|error| refused("is no notification of R2").because(error))?;
                let deleted = note.action.contains("Delet");
                let etag = note.object.e_tag.map(|etag| etag.trim_matches('"').to_owned());
                Change::Event { key: note.object.key, etag: etag.filter(|_| !deleted) }
            }
            Some(_) => Change::Key(text.to_owned()),
        };
        match &change {
            Change::Key(key) | Change::Event { key, .. } if key.len() > MAX_KEY => {
                return Err(refused("names a key of more than 1,024 bytes"));
            }
            _ => changes.push(change),
        }
    }
    Ok(changes)
}

/// A key, and the ETag that is said to be its newest.
type Named = (String, Option<String>);

/// The keys of a mount that `changes` name, each once in rising order, with the version that all of
/// its notifications say was written; and how many changes are about something else.
///
/// # Errors
/// [`Kind::InvalidPath`] for a path that is not canonical or is a directory's.
pub(super) fn keys(changes: &[Change], target: &Target) -> Result<(Vec<Named>, u64)> {
    let mut keys: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut foreign = 0;
    let point = target.mount.point.trim_end_matches('/');
    for change in changes {
        let (key, etag) = match change {
            Change::Key(key) => (Some(key.clone()), None),
            Change::Path(path) => match path.strip_prefix(point) {
                Some(inner) if inner.starts_with('/') => {
                    let decoded = tree::decode(inner).map_err(|error| error.at(path.as_str()))?;
                    let key = decoded.file.ok_or_else(|| {
                        Error::new(Kind::InvalidPath, "it is the path of a directory")
                            .at(path.as_str())
                            .hint("name the files in it, or run an update without --changes")
                    })?;
                    (Some(key), None)
                }
                _ => (None, None),
            },
            Change::Event { key, etag } => {
                (key.strip_prefix(&target.prefix).map(str::to_owned), etag.clone())
            }
        };
        match key.map(|key| keys.entry(key)) {
            None => foreign += 1,
            Some(Entry::Vacant(entry)) => drop(entry.insert(etag)),
            // Which of two versions came last nobody can tell.
            Some(Entry::Occupied(mut entry)) if *entry.get() != etag => drop(entry.insert(None)),
            Some(Entry::Occupied(_)) => {}
        }
    }
    Ok((keys.into_iter().collect(), foreign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Change>> {
        read_changes(text.as_bytes())
    }

    #[test]
    fn each_line_is_a_key_a_path_or_a_notification() {
        let put = r#"{"account":"a","action":"PutObject","bucket":"b","object":{"key":"kb/x y","size":3,"eTag":"\"abc\""},"eventTime":"t"}"#;
        let deleted = r#"{"action":"LifecycleDeletion","object":{"key":"kb/gone","eTag":"old"}}"#;
        let text = format!("docs/a.md\r\n\n/docs/b.md\n{put}\n{deleted}");
        let event = |key: &str, etag: Option<&str>| Change::Event {
            key: key.into(),
            etag: etag.map(Into::into),
        };
        assert_eq!(
            read(&text).expect("all are known"),
            [
                Change::Key("docs/a.md".into()),
                Change::Path("/docs/b.md".into()),
                event("kb/x y", Some("abc")),
                event("kb/gone", None),
            ]
        );
    }

    #[test]
    fn a_line_that_is_neither_is_named() {
        let long = "k".repeat(1025);
        for (text, number) in [("a\n{\"action\":1}\n", 2), (long.as_str(), 1), ("a\nb\n{]", 3)] {
            let error = read(text).expect_err("it is wrong");
            assert!(error.message().contains(&format!("line {number} ")), "{error}");
        }
        let endless = "x".repeat(70_000);
        assert_eq!(read(&endless).expect_err("too long").kind(), Kind::InvalidArgument);
    }
}
