//! What a listing held, counted while its keys go by in order.
//!
//! "Listed = reachable + unaddressable" is a promise that only numbers can keep; and an object
//! beside a directory of its name, or two spellings of one name, are what people ask about.
//! [`Tally`] sees each key once, keeps nothing that grows with their number except sixteen bytes
//! for each key that is not in Unicode's form NFC, and answers the [`Report`].

use unicode_normalization::{UnicodeNormalization, is_nfc};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use super::codec::shared_prefix;
use crate::{bucket::Object, tree::path};

/// What a listing held. `listed` is always `reachable + unaddressable`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub struct Report {
    /// Different keys that the server listed.
    pub listed: u64,
    /// Objects that a path names.
    pub reachable: u64,
    /// Of the reachable: zero-byte objects whose key ends in `/` or is empty. They make a directory exist and
    /// are not listed in it; `%@` reads them.
    pub hidden_markers: u64,
    /// Of the reachable: those whose path is not their key behind a `/`.
    pub escaped: u64,
    /// Names that are both an object and a directory.
    pub twins: u64,
    /// Objects whose key another object's differs from only in its Unicode normal form.
    pub nfc_twins: u64,
    /// Keys that no path or no request can name (not UTF-8, or longer than a key may be), or
    /// that have no ETag to pin a read to.
    pub unaddressable: u64,
    /// Listings of a key beyond its first.
    pub duplicates: u64,
    /// Keys that came after a greater one.
    pub out_of_order: u64,
}

/// A key that is not in NFC: where to look when its NFC spelling is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spelling {
    /// Of the key's NFC form.
    pub(super) hash: u64,
    pub(super) block: u32,
}

/// Keys are hashed in their NFC form.
pub(super) fn spelling_hash(nfc: &str) -> u64 {
    xxh3_64(nfc.as_bytes())
}

#[derive(Default)]
pub(super) struct Tally {
    pub(super) report: Report,
    pub(super) spellings: Vec<Spelling>,
    digest: Xxh3Default,
    last: String,
    /// Lengths of the keys seen that `last` starts with, itself included.
    open: Vec<usize>,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally").field("report", &self.report).finish_non_exhaustive()
    }
}

impl Tally {
    /// Counts `object`, which sorts after all before it and was written to `block`.
    pub(super) fn count(&mut self, object: &Object, block: usize) {
        let key = object.key.as_str();
        self.report.reachable += 1;
        self.report.hidden_markers += u64::from(object.is_marker());
        self.report.escaped += u64::from(!path::is_plain(key));
        self.report.twins += self.new_twins(key);
        for part in [key, &object.etag.0] {
            // With its length before it, no two sequences of parts make the same bytes.
            self.digest.update(&(part.len() as u64).to_le_bytes());
            self.digest.update(part.as_bytes());
        }
        if !is_nfc(key)
            && let Ok(block) = u32::try_from(block)
        {
            let nfc: String = key.nfc().collect();
            self.spellings.push(Spelling { hash: spelling_hash(&nfc), block });
        }
        self.last.clear();
        self.last.push_str(key);
    }

    /// How many directories start at this key whose name is an object's too. In byte order an
    /// object may be long past when its directory comes (`a`, `a-`, `a.b`, `a/b`), but everything
    /// between the two starts with its key.
    fn new_twins(&mut self, key: &str) -> u64 {
        let shared = shared_prefix(&self.last, key);
        while self.open.last().is_some_and(|len| *len > shared) {
            self.open.pop();
        }
        let mut twins = 0;
        for (at, byte) in key.bytes().enumerate().skip(shared) {
            // `a/` is the marker in `a/`, not an object beside `a//`.
            let named = at > 0 && key.as_bytes()[at - 1] != b'/';
            if byte == b'/' && named && self.open.binary_search(&at).is_ok() {
                twins += 1;
            }
        }
        self.open.push(key.len());
        twins
    }

    /// A digest of all keys and ETags.
    pub(super) fn digest(&self) -> u128 {
        self.digest.digest128()
    }
}
