//! One entry of a block: a key without what it shares with the key before it, and what a listing
//! says about the object.
//!
//! An ETag is most often an MD5 in hexadecimal and a time most often whole seconds: both are
//! stored as what they are (16 bytes for 32, a small difference for eight bytes) and only where
//! the text that comes back is the same byte for byte.

use std::ops::Range;

use crate::bucket::{ETag, Object};

const ETAG_TEXT: u8 = 0;
const ETAG_MD5: u8 = 1;
const ETAG_MULTIPART: u8 = 2;
const ETAG_BITS: u8 = 3;
const HAS_TIME: u8 = 1 << 2;
const WHOLE_SECONDS: u8 = 1 << 3;
const ARCHIVED: u8 = 1 << 4;

/// Where the parts of one entry are in its chunk.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// Bytes of the key before this one that this key starts with.
    pub(super) shared: usize,
    /// The rest of the key.
    pub(super) suffix: Range<usize>,
    pub(super) size: u64,
    pub(super) modified: Option<i64>,
    pub(super) archived: bool,
    /// Where the next entry starts.
    pub(super) end: usize,
    kind: u8,
    etag: Range<usize>,
    parts: u64,
}

/// Appends `object` to a block whose last key and time are `key` and `base` (empty and 0 at its
/// start). Answers the time that the next entry is relative to.
pub(super) fn write(out: &mut Vec<u8>, key: &str, base: i64, object: &Object) -> i64 {
    let shared = shared_prefix(key, &object.key);
    let suffix = &object.key[shared..];
    put_number(out, shared as u64);
    put_number(out, suffix.len() as u64);
    out.extend_from_slice(suffix.as_bytes());

    let etag: &str = &object.etag.0;
    let md5 = Md5::parse(etag);
    let step = object.modified.map(|time| time.wrapping_sub(base));
    let tag = match &md5 {
        None => ETAG_TEXT,
        Some(Md5 { parts: None, .. }) => ETAG_MD5,
        Some(Md5 { parts: Some(_), .. }) => ETAG_MULTIPART,
    };
    out.push(
        tag | if step.is_some() { HAS_TIME } else { 0 }
            | if step.is_some_and(|step| step % 1000 == 0) { WHOLE_SECONDS } else { 0 }
            | if object.archived { ARCHIVED } else { 0 },
    );
    match md5 {
        None => {
            put_number(out, etag.len() as u64);
            out.extend_from_slice(etag.as_bytes());
        }
        Some(Md5 { digest, parts }) => {
            out.extend_from_slice(&digest);
            if let Some(parts) = parts {
                put_number(out, u64::from(parts));
            }
        }
    }
    put_number(out, object.size);
    if let Some(step) = step {
        put_number(out, zigzag(if step % 1000 == 0 { step / 1000 } else { step }));
    }
    object.modified.unwrap_or(base)
}

/// Reads the entry at `at`; `base` is the time of the one before it.
pub(super) fn read(chunk: &[u8], mut at: usize, base: i64) -> Entry {
    let shared = take_length(chunk, &mut at);
    let suffix = take_range(chunk, &mut at);
    let tag = chunk[at];
    at += 1;
    let kind = tag & ETAG_BITS;
    let mut parts = 0;
    let etag = if kind == ETAG_TEXT {
        take_range(chunk, &mut at)
    } else {
        let digest = at..at + 16;
        at = digest.end;
        if kind == ETAG_MULTIPART {
            parts = take_number(chunk, &mut at);
        }
        digest
    };
    let size = take_number(chunk, &mut at);
    let modified = (tag & HAS_TIME != 0).then(|| {
        let step = unzigzag(take_number(chunk, &mut at));
        let scale = if tag & WHOLE_SECONDS != 0 { 1000 } else { 1 };
        base.wrapping_add(step.wrapping_mul(scale))
    });
    let archived = tag & ARCHIVED != 0;
    Entry { shared, suffix, size, modified, archived, end: at, kind, etag, parts }
}

/// The first key of a block, which shares nothing.
pub(super) fn first_key(chunk: &[u8], mut at: usize) -> &[u8] {
    take_length(chunk, &mut at);
    let range = take_range(chunk, &mut at);
    &chunk[range]
}

impl Entry {
    /// The ETag as it was listed.
    pub(super) fn etag(&self, chunk: &[u8]) -> ETag {
        let bytes = &chunk[self.etag.clone()];
        if self.kind == ETAG_TEXT {
            return ETag(String::from_utf8_lossy(bytes).into());
        }
        let mut text = String::with_capacity(32);
        for digit in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
            text.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
        }
        if self.kind == ETAG_MULTIPART {
            text.push('-');
            text.push_str(&self.parts.to_string());
        }
        ETag(text.into_boxed_str())
    }
}

/// An ETag of the two shapes that S3 itself makes.
struct Md5 {
    digest: [u8; 16],
    /// Of a multipart upload.
    parts: Option<u32>,
}

impl Md5 {
    fn parse(etag: &str) -> Option<Self> {
        let (hex, parts) = match etag.split_once('-') {
            None => (etag, None),
            Some((hex, text)) => {
                let parts: u32 = text.parse().ok()?;
                // `+7` and `007` parse too, and would come back as another text.
                if parts.to_string() != text {
                    return None;
                }
                (hex, Some(parts))
            }
        };
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let hex: &[u8; 32] = hex.as_bytes().try_into().ok()?;
        let mut digest = [0; 16];
        for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self { digest, parts })
    }
}

/// How many bytes two keys have in common at their start, whole characters only.
pub(super) fn shared_prefix(one: &str, other: &str) -> usize {
    let mut shared = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    while !other.is_char_boundary(shared) {
        shared -= 1;
    }
    shared
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Seven bits a byte, the lowest first, the top bit set on all but the last (LEB128).
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(chunk: &[u8], at: &mut usize) -> u64 {
    let mut number = 0;
    let mut shift = 0;
    loop {
        let byte = chunk[*at];
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
        shift += 7;
    }
}

/// Only lengths that were written from a `usize` are read back as one.
fn take_length(chunk: &[u8], at: &mut usize) -> usize {
    take_number(chunk, at) as usize
}

fn take_range(chunk: &[u8], at: &mut usize) -> Range<usize> {
    let len = take_length(chunk, at);
    let range = *at..*at + len;
    *at = range.end;
    range
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back_as_it_was() {
        let md5 = "0123456789abcdef0123456789abcdef";
        let etags = [
            md5.to_owned(),
            format!("{md5}-1"),
            format!("{md5}-10000"),
            format!("{md5}-007"),
            format!("{md5}-+7"),
            format!("{md5}-4294967296"),
            format!("{md5}-"),
            md5.to_uppercase(),
            format!("{md5}0"),
            String::new(),
            "-".to_owned(),
            "é".repeat(16),
        ];
        let times = [
            Some(1_700_000_000_000),
            Some(1_700_000_000_001),
            None,
            Some(0),
            Some(i64::MIN),
            Some(i64::MAX),
            Some(-1),
        ];
        let (mut block, mut key, mut base, mut objects) = (Vec::new(), String::new(), 0, vec![]);
        for (number, etag) in etags.iter().enumerate() {
            let object = Object {
                key: format!("a/{number:02}é"),
                size: [0, 127, 128, u64::MAX][number % 4],
                etag: ETag(etag.as_str().into()),
                modified: times[number % times.len()],
                archived: number % 3 == 0,
            };
            base = write(&mut block, &key, base, &object);
            key.clone_from(&object.key);
            objects.push(object);
        }
        let (mut at, mut base, mut key) = (0, 0, String::new());
        for object in objects {
            let entry = read(&block, at, base);
            key.truncate(entry.shared);
            key.push_str(&String::from_utf8_lossy(&block[entry.suffix.clone()]));
            let got = Object {
                key: key.clone(),
                size: entry.size,
                etag: entry.etag(&block),
                modified: entry.modified,
                archived: entry.archived,
            };
            assert_eq!(got, object);
            (at, base) = (entry.end, entry.modified.unwrap_or(base));
        }
        assert_eq!(at, block.len());
    }
}
