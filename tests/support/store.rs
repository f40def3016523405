//! An exact object store in memory.
//!
//! A store made of files cannot hold `a//b`, `a/../b` or a control byte, and takes `a` and `a/b`
//! for rivals. [`Store`] keeps keys as opaque bytes in a sorted map: it lists what was put, in
//! byte order, and merges nothing. Keys that are no UTF-8 or too long can be put as well, because
//! a listing may be forged.

use std::{
    collections::BTreeMap,
    ops::{Bound, Range},
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use md5::{Digest, Md5};

/// The most keys of one page, as S3 documents it.
pub(crate) const PAGE: usize = 1000;

/// What an object is made of.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Bytes),
    /// Lines of `width` bytes, the newline included, each its own 1-based number padded with
    /// zeros: an object of a gibibyte that takes no memory and knows what each line must say.
    Numbered {
        width: usize,
        lines: u64,
    },
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Numbered { width, lines } => *width as u64 * lines,
        }
    }

    /// The bytes of a range that lies inside.
    pub(crate) fn slice(&self, range: Range<u64>) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes.slice(range.start as usize..range.end as usize),
            Self::Numbered { width, .. } => {
                let unit = *width as u64;
                let mut out = Vec::with_capacity((range.end - range.start) as usize + 2 * width);
                for line in range.start / unit..range.end.div_ceil(unit) {
                    out.extend_from_slice(format!("{:0w$}\n", line + 1, w = width - 1).as_bytes());
                }
                let skip = (range.start % unit) as usize;
                let len = (range.end - range.start) as usize;
                Bytes::from(out).slice(skip..skip + len)
            }
        }
    }
}

/// One stored object.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) content: Content,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) modified: SystemTime,
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) storage_class: String,
    pub(crate) restored: bool,
    pub(crate) metadata: Vec<(String, String)>,
}

impl Stored {
    /// An object as a plain upload makes it: the ETag is the MD5 of the content.
    pub(crate) fn new(content: impl Into<Bytes>) -> Self {
        let bytes = content.into();
        let etag = hex(&Md5::digest(&bytes));
        Self { etag, ..Self::of(Content::Bytes(bytes)) }
    }

    /// Numbered lines, see [`Content::Numbered`].
    pub(crate) fn numbered(width: usize, lines: u64) -> Self {
        let etag = hex(&Md5::digest(format!("{width} {lines}")));
        Self { etag, ..Self::of(Content::Numbered { width, lines }) }
    }

    fn of(content: Content) -> Self {
        Self {
            content,
            etag: String::new(),
            // S3 tells whole seconds in `Last-Modified`; more would differ between list and get.
            modified: whole_seconds(SystemTime::now()),
            content_type: Some("binary/octet-stream".into()),
            content_encoding: None,
            storage_class: "STANDARD".into(),
            restored: false,
            metadata: Vec::new(),
        }
    }

    pub(crate) fn etag(mut self, etag: &str) -> Self {
        self.etag = etag.into();
        self
    }

    /// An ETag as a multipart upload makes it: no digest of the content.
    pub(crate) fn multipart(self, parts: usize) -> Self {
        let etag = format!("{}-{parts}", hex(&Md5::digest(&self.etag)));
        self.etag(&etag)
    }

    pub(crate) fn content_type(mut self, value: &str) -> Self {
        self.content_type = Some(value.into());
        self
    }

    pub(crate) fn content_encoding(mut self, value: &str) -> Self {
        self.content_encoding = Some(value.into());
        self
    }

    /// `GLACIER` and `DEEP_ARCHIVE` cannot be read.
    pub(crate) fn storage_class(mut self, value: &str) -> Self {
        self.storage_class = value.into();
        self
    }

    pub(crate) fn modified(mut self, at: SystemTime) -> Self {
        self.modified = whole_seconds(at);
        self
    }

    /// A readable copy of an archived object, under the class of the archive.
    pub(crate) fn restored(mut self) -> Self {
        self.restored = true;
        self
    }

    pub(crate) fn archived(&self) -> bool {
        !self.restored && matches!(self.storage_class.as_str(), "GLACIER" | "DEEP_ARCHIVE")
    }
}

/// The order in which a server lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// As S3 says: by bytes.
    #[default]
    Bytes,
    /// By path components, as SeaweedFS does: `foo/x` before `foo-bar`.
    Components,
    /// Backwards, so that every page is before the one it should follow.
    Reversed,
    /// As a hash table would.
    Shuffled,
}

/// Where a page starts.
#[derive(Clone, Debug, Default)]
pub(crate) enum Start {
    #[default]
    First,
    /// Keys after this one.
    After(Vec<u8>),
    /// A continuation token of ours.
    Token(String),
}

/// What a page is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) prefix: Vec<u8>,
    pub(crate) delimiter: Vec<u8>,
    pub(crate) start: Start,
    pub(crate) max_keys: usize,
    pub(crate) order: Order,
}

/// One page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub(crate) objects: Vec<(Vec<u8>, Arc<Stored>)>,
    pub(crate) prefixes: Vec<Vec<u8>>,
    /// The token of the next page.
    pub(crate) next: Option<String>,
    /// The last key or prefix of this page (the marker of the first version of listing).
    pub(crate) last: Option<Vec<u8>>,
}

/// One line of a listing.
enum Item {
    Object(Vec<u8>, Arc<Stored>),
    Prefix(Vec<u8>),
}

impl Item {
    fn name(&self) -> &[u8] {
        match self {
            Self::Object(name, _) | Self::Prefix(name) => name,
        }
    }
}

type Objects = BTreeMap<Vec<u8>, Arc<Stored>>;

/// The objects of one bucket. Cheap to clone; every clone is the same bucket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store(Arc<RwLock<Objects>>);

impl Store {
    fn read(&self) -> RwLockReadGuard<'_, Objects> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts plain content.
    pub(crate) fn put(&self, key: impl AsRef<[u8]>, content: impl Into<Bytes>) {
        self.put_object(key, Stored::new(content));
    }

    /// Puts an object with headers of its own.
    pub(crate) fn put_object(&self, key: impl AsRef<[u8]>, object: Stored) {
        self.write().insert(key.as_ref().to_vec(), Arc::new(object));
    }

    /// Puts an object if what is there (its ETag, or nothing) is as `admits` wants it: looked at
    /// and put in one step. Whether it was put.
    pub(crate) fn put_if(
        &self,
        key: impl AsRef<[u8]>,
        object: Stored,
        admits: impl FnOnce(Option<&Stored>) -> bool,
    ) -> bool {
        let mut map = self.write();
        let admitted = admits(map.get(key.as_ref()).map(Arc::as_ref));
        if admitted {
            map.insert(key.as_ref().to_vec(), Arc::new(object));
        }
        admitted
    }

    /// Puts many.
    pub(crate) fn fill<K: AsRef<[u8]>, C: Into<Bytes>>(
        &self,
        objects: impl IntoIterator<Item = (K, C)>,
    ) {
        let mut map = self.write();
        for (key, content) in objects {
            map.insert(key.as_ref().to_vec(), Arc::new(Stored::new(content)));
        }
    }

    /// Puts every regular file below `root`; keys are the relative paths.
    pub(crate) fn load(&self, root: &Path) -> std::io::Result<usize> {
        let mut found = 0;
        let mut todo = vec![root.to_path_buf()];
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(&dir)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                let path = entry.path();
                if kind.is_dir() {
                    todo.push(path);
                } else if kind.is_file() {
                    let key = path.strip_prefix(root).map_err(std::io::Error::other)?;
                    let modified = entry.metadata()?.modified()?;
                    let object = Stored::new(std::fs::read(&path)?).modified(modified);
                    self.put_object(key.as_os_str().as_encoded_bytes(), object);
                    found += 1;
                }
            }
        }
        Ok(found)
    }

    /// Removes one; whether it was there.
    pub(crate) fn delete(&self, key: impl AsRef<[u8]>) -> bool {
        self.write().remove(key.as_ref()).is_some()
    }

    pub(crate) fn get(&self, key: impl AsRef<[u8]>) -> Option<Arc<Stored>> {
        self.read().get(key.as_ref()).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.read().len()
    }

    /// All keys, in byte order.
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        self.read().keys().cloned().collect()
    }

    /// One page. Keys are filtered by `start` first and folded by the delimiter then, so a prefix
    /// appears while any key below it is still to come.
    ///
    /// # Errors
    /// A sentence, when the token is none of ours.
    pub(crate) fn list(&self, query: &Query) -> Result<Listing, String> {
        let max = query.max_keys.min(PAGE);
        if max == 0 {
            return Ok(Listing::default());
        }
        let (items, next) = match query.order {
            Order::Bytes => self.page_in_byte_order(query, max)?,
            _ => self.page_in_other_order(query, max)?,
        };
        let mut listing = Listing { next, ..Listing::default() };
        listing.last = items.last().map(|item| item.name().to_vec());
        for item in items {
            match item {
                Item::Object(key, object) => listing.objects.push((key, object)),
                Item::Prefix(prefix) => listing.prefixes.push(prefix),
            }
        }
        Ok(listing)
    }

    fn page_in_byte_order(
        &self,
        query: &Query,
        max: usize,
    ) -> Result<(Vec<Item>, Option<String>), String> {
        let mut from = match &query.start {
            Start::First => Bound::Included(query.prefix.clone()),
            Start::After(key) if *key < query.prefix => Bound::Included(query.prefix.clone()),
            Start::After(key) => Bound::Excluded(key.clone()),
            // The token is where the next page starts; it holds the key in hex so that nobody
            // mistakes it for a key.
            Start::Token(token) => Bound::Included(
                token.strip_prefix("at-").and_then(unhex).ok_or("no token of this server")?,
            ),
        };
        let map = self.read();
        let mut items = Vec::new();
        loop {
            let Some((key, object)) = map
                .range::<[u8], _>((from.as_ref().map(Vec::as_slice), Bound::Unbounded))
                .next()
                .filter(|(key, _)| key.starts_with(&query.prefix))
            else {
                return Ok((items, None));
            };
            if items.len() == max {
                return Ok((items, Some(format!("at-{}", hex(key)))));
            }
            match folded(key, query) {
                None => {
                    items.push(Item::Object(key.clone(), object.clone()));
                    from = Bound::Excluded(key.clone());
                }
                Some(prefix) => {
                    items.push(Item::Prefix(prefix.to_vec()));
                    match successor(prefix) {
                        Some(next) => from = Bound::Included(next),
                        None => return Ok((items, None)),
                    }
                }
            }
        }
    }

    fn page_in_other_order(
        &self,
        query: &Query,
        max: usize,
    ) -> Result<(Vec<Item>, Option<String>), String> {
        let (after, skip) = match &query.start {
            Start::First => (None, 0),
            Start::After(key) => (Some(ordered(query.order, key)), 0),
            Start::Token(token) => {
                let index = token.strip_prefix("nr-").and_then(|n| n.parse::<usize>().ok());
                (None, index.ok_or("no token of this server")?)
            }
        };
        let mut items: BTreeMap<(u64, Vec<u8>), Item> = BTreeMap::new();
        for (key, object) in self.read().iter().filter(|(key, _)| key.starts_with(&query.prefix)) {
            let rank = ordered(query.order, key);
            if after.as_ref().is_some_and(|after| rank <= *after) {
                continue;
            }
            match folded(key, query) {
                None => items.insert(rank, Item::Object(key.clone(), object.clone())),
                Some(prefix) => {
                    items.insert(ordered(query.order, prefix), Item::Prefix(prefix.to_vec()))
                }
            };
        }
        let next = (items.len() > skip + max).then(|| format!("nr-{}", skip + max));
        Ok((items.into_values().skip(skip).take(max).collect(), next))
    }
}

/// The prefix that a key is folded into, if it is.
fn folded<'k>(key: &'k [u8], query: &Query) -> Option<&'k [u8]> {
    let rest = &key[query.prefix.len()..];
    if query.delimiter.is_empty() {
        return None;
    }
    let at = rest.windows(query.delimiter.len()).position(|w| w == query.delimiter)?;
    Some(&key[..query.prefix.len() + at + query.delimiter.len()])
}

/// The first name after everything that starts with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.last_mut() {
        if let Some(more) = last.checked_add(1) {
            *last = more;
            return Some(next);
        }
        next.pop();
    }
    None
}

/// A name as another order sees it: sorting by this is listing in that order.
fn ordered(order: Order, name: &[u8]) -> (u64, Vec<u8>) {
    match order {
        Order::Bytes => (0, name.to_vec()),
        // The separator changes places with the bytes below it, so that it sorts before all others.
        Order::Components => {
            let swap = |b: &u8| match *b {
                b'/' => 0,
                below @ 0..b'/' => below + 1,
                above => above,
            };
            (0, name.iter().map(swap).collect())
        }
        // 255 ends the name, so that a longer name still comes before a shorter one.
        Order::Reversed => (0, name.iter().map(|b| 255 - b).chain([255]).collect()),
        Order::Shuffled => (xxhash_rust::xxh3::xxh3_64(name), name.to_vec()),
    }
}

fn whole_seconds(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(listing: &Listing) -> Vec<String> {
        listing.objects.iter().map(|(k, _)| String::from_utf8_lossy(k).into_owned()).collect()
    }

    fn query(prefix: &str, delimiter: &str, max_keys: usize) -> Query {
        Query { prefix: prefix.into(), delimiter: delimiter.into(), max_keys, ..Query::default() }
    }

    fn odd() -> Store {
        let store = Store::default();
        let names =
            ["a", "a-", "a.", "a/", "a/b", "a//b", "a/../b", "a0", "\u{1}", "é", "/", "//x"];
        store.fill(names.map(|k| (k, k.to_owned())));
        store.put([0xff, b'/', 0xfe], "bytes");
        store
    }

    #[test]
    fn every_page_size_and_delimiter_agrees_with_a_filter_over_the_sorted_keys() {
        let store = odd();
        for prefix in ["", "a", "a/", "a//", "/", "zz"] {
            for delimiter in ["", "/", "b"] {
                let mut want: Vec<Vec<u8>> = Vec::new();
                for key in store.keys().iter().filter(|k| k.starts_with(prefix.as_bytes())) {
                    let rest = &key[prefix.len()..];
                    let cut = (!delimiter.is_empty())
                        .then(|| rest.iter().position(|b| *b == delimiter.as_bytes()[0]))
                        .flatten();
                    let name = cut.map_or(key.clone(), |at| key[..=prefix.len() + at].to_vec());
                    if want.last() != Some(&name) {
                        want.push(name);
                    }
                }
                for max in [1, 2, 3, 1000] {
                    let mut query = query(prefix, delimiter, max);
                    let mut got = Vec::new();
                    loop {
                        let page = store.list(&query).expect("a page");
                        assert!(page.objects.len() + page.prefixes.len() <= max);
                        let mut names: Vec<_> = page.objects.iter().map(|o| o.0.clone()).collect();
                        names.extend(page.prefixes.clone());
                        names.sort();
                        got.extend(names);
                        match page.next {
                            Some(token) => query.start = Start::Token(token),
                            None => break,
                        }
                    }
                    assert_eq!(got, want, "prefix {prefix:?} delimiter {delimiter:?} max {max}");
                }
            }
        }
    }

    #[test]
    fn other_orders_hold_the_same_keys() {
        let store = Store::default();
        store.fill(["foo-bar", "foo/x", "foo"].map(|k| (k, "")));
        let mut query = query("", "", 1000);
        query.order = Order::Components;
        assert_eq!(keys(&store.list(&query).expect("a page")), ["foo", "foo/x", "foo-bar"]);
        query.order = Order::Reversed;
        assert_eq!(keys(&store.list(&query).expect("a page")), ["foo/x", "foo-bar", "foo"]);
        query.max_keys = 2;
        query.start = Start::Token("nr-2".into());
        assert_eq!(keys(&store.list(&query).expect("a page")), ["foo"]);
    }

    #[test]
    fn start_after_is_exclusive_and_needs_no_such_key() {
        let store = odd();
        let mut query = query("a/", "", 1000);
        query.start = Start::After(b"a/".to_vec());
        assert_eq!(keys(&store.list(&query).expect("a page")), ["a/../b", "a//b", "a/b"]);
        query.start = Start::After(b"a/.z".to_vec());
        assert_eq!(keys(&store.list(&query).expect("a page")), ["a//b", "a/b"]);
        query.start = Start::After(b"A".to_vec());
        assert_eq!(store.list(&query).expect("a page").objects.len(), 4);
    }

    #[test]
    fn numbered_lines_are_what_they_say_at_any_offset() {
        let content = Content::Numbered { width: 8, lines: 1000 };
        let whole = content.slice(0..content.len());
        assert_eq!(&whole[8 * 41..8 * 42], b"0000042\n");
        for (start, end) in [(0, 1), (7, 9), (15, 16), (13, 200), (7999, 8000)] {
            assert_eq!(content.slice(start..end), whole.slice(start as usize..end as usize));
        }
    }
}
