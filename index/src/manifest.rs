//! What an index consists of.
//!
//! Segments never change, so all that a commit changes is this one file. JSON alone would let a
//! flipped bit pass as another number: the manifest carries the checksum of its own bytes, and each
//! [`FileRef`] in it that of a file's footer, which pins the rest.
//!
//! ```text
//! {"check":"89abcdef","manifest":{"format":1, ...}}
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    fault::{Fault, FaultKind, Result},
    source::FileRef,
};

/// The version of the manifest and of all that it names. A reader refuses any other.
pub const FORMAT: u32 = 1;

/// Its name in the index's directory or prefix.
pub const NAME: &str = "manifest.json";

/// Bytes of a manifest: some 15,000 segments, while a build makes one for each 64 MiB of text.
pub const MAX_BYTES: usize = 8 << 20;

/// Retired files that a manifest names: each takes some 60 bytes of what every reader fetches, and a
/// publish retires a few.
pub const MAX_RETIRED: usize = 256;

const HEAD: &[u8] = b"{\"check\":\"";
const MIDDLE: &[u8] = b"\",\"manifest\":";
const TAIL: &[u8] = b"}\n";

/// What segments hold beside documents and n-grams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The text itself.
    pub pack: bool,
    /// The ranked full text.
    pub text: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { pack: true, text: true }
    }
}

/// A segment, as a manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRef {
    /// 32 hex digits; nothing else has them.
    pub id: String,
    /// Its file, which is named `<id>.seg`.
    pub file: FileRef,
    /// How many documents it has, tombstones too.
    pub docs: u32,
    /// How many of them are tombstones.
    pub gone: u32,
    /// Stored bytes that its n-grams cover: the sum of [`Doc::covered_bytes`](crate::Doc::covered_bytes).
    pub text_bytes: u64,
    /// Bytes of each part.
    pub parts: BTreeMap<String, u64>,
    /// Which share of the keys it was built of, as `(share, shares)`, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<(u32, u32)>,
}

/// A segment that an earlier manifest named. Its file stays for readers of that one, and is still
/// the index's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retired {
    /// The segment's id.
    pub id: String,
    /// Since when no manifest names it, in milliseconds since 1970.
    pub at: i64,
}

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// 32 hex digits that this index got when it was begun.
    pub index: String,
    /// Rises by one with each commit.
    pub generation: u64,
    /// Which bucket and prefix it is the index of, in the words of who builds it.
    pub origin: Option<String>,
    /// When this was written, in milliseconds since 1970.
    pub written_at: i64,
    /// When the last full listing began that it agrees with, in milliseconds since 1970; 0 before
    /// the first.
    pub listed_at: i64,
    /// What its segments hold.
    pub settings: Settings,
    /// From the oldest to the newest: a key in a newer segment hides the same key in older ones.
    pub segments: Vec<SegmentRef>,
    /// What it took out of a published index and what is not deleted yet, at most [`MAX_RETIRED`].
    /// A local index has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<Retired>,
}

impl Manifest {
    /// Reads what [`Manifest::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`FaultKind::Format`] for another version, [`FaultKind::Damaged`] for anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_BYTES {
            return Err(damaged("it is larger than any"));
        }
        let body = bytes
            .strip_prefix(HEAD)
            .and_then(|rest| rest.split_first_chunk::<8>())
            .and_then(|(check, rest)| Some((check, rest.strip_prefix(MIDDLE)?)))
            .and_then(|(check, rest)| Some((check, rest.strip_suffix(TAIL)?)));
        let Some((check, body)) = body else {
            return Err(damaged("it does not begin and end as one"));
        };
        if *check != hex_check(body) {
            return Err(damaged("its checksum is wrong"));
        }
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let parsed = |error: serde_json::Error| damaged("it is no manifest").because(error);
        let Head { format } = serde_json::from_slice(body).map_err(parsed)?;
        if format != FORMAT {
            let detail = format!("the index has format {format}, not {FORMAT}: build it anew");
            return Err(Fault::new(FaultKind::Format, detail));
        }
        let manifest: Self = serde_json::from_slice(body).map_err(parsed)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// As a file holds it.
    ///
    /// # Errors
    /// [`FaultKind::Invalid`] when it has become too large or names what a reader would refuse.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let invalid = |detail: &str| Fault::new(FaultKind::Invalid, detail);
        self.check().map_err(|fault| invalid(fault.detail()))?;
        let body = serde_json::to_vec(self)
            .map_err(|error| invalid("the manifest cannot be written").because(error))?;
        let check = hex_check(&body);
        let bytes = [HEAD, &check, MIDDLE, &body, TAIL].concat();
        if bytes.len() > MAX_BYTES {
            return Err(invalid("the index has too many segments: compact it"));
        }
        Ok(bytes)
    }

    /// The names of all files that it speaks of: its segments', and those of retired ones.
    pub fn files(&self) -> impl Iterator<Item = String> {
        let retired = self.retired.iter().map(|retired| &retired.id);
        self.segments.iter().map(|segment| &segment.id).chain(retired).map(|id| file_name(id))
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.file.bytes).fold(0, u64::saturating_add)
    }

    /// Bytes of each part over all segments, for a status: those of the full text as one.
    pub fn parts(&self) -> BTreeMap<String, u64> {
        let mut parts = BTreeMap::new();
        for (name, bytes) in self.segments.iter().flat_map(|segment| &segment.parts) {
            let kind = name.split(['/', '.']).next().unwrap_or(name);
            let sum: &mut u64 = parts.entry(kind.to_owned()).or_default();
            *sum = sum.saturating_add(*bytes);
        }
        parts
    }

    fn check(&self) -> Result<()> {
        if !is_id(&self.index) {
            return Err(damaged("its index has no proper name"));
        }
        let mut ids = BTreeSet::new();
        for segment in &self.segments {
            let file = &segment.file;
            if !is_id(&segment.id) || file.name != file_name(&segment.id) {
                return Err(damaged("a segment has no proper name"));
            }
            if !ids.insert(&segment.id) {
                return Err(damaged("it names a segment twice"));
            }
            let shard = segment.shard.is_none_or(|(share, of)| 0 < share && share <= of);
            if file.hot > file.bytes || segment.gone > segment.docs || !shard {
                return Err(damaged("a segment's numbers contradict each other"));
            }
        }
        if self.retired.len() > MAX_RETIRED {
            return Err(damaged("it names more retired files than it may"));
        }
        for retired in &self.retired {
            if !is_id(&retired.id) || !ids.insert(&retired.id) {
                return Err(damaged("a retired segment has no proper name, or is none"));
            }
        }
        Ok(())
    }
}

/// The name of a segment's file.
pub fn file_name(id: &str) -> String {
    format!("{id}.seg")
}

/// The segment whose file has that name, if it is one.
pub fn segment_of(name: &str) -> Option<&str> {
    name.strip_suffix(".seg").filter(|id| is_id(id))
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex_check(body: &[u8]) -> [u8; 8] {
    let text = format!("{:08x}", crc32fast::hash(body));
    let mut check = [b'0'; 8];
    check.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    check
}

fn damaged(how: &str) -> Fault {
    Fault::new(FaultKind::Damaged, format!("the manifest of the index is damaged: {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let segment = |digit: char, shard| {
            let id = digit.to_string().repeat(32);
            let name = file_name(&id);
            SegmentRef {
                file: FileRef { name, bytes: 900, hot: 400, check: 7, etag: None },
                id,
                docs: 12,
                gone: 1,
                text_bytes: 3456,
                parts: [("docs", 80), ("gram.dir", 5), ("gram.blocks", 6), ("text/x.term", 9)]
                    .map(|(name, bytes)| (name.to_owned(), bytes))
                    .into(),
                shard,
            }
        };
        Manifest {
            format: FORMAT,
            index: "0123456789abcdef".repeat(2),
            generation: 5,
            origin: Some("s3 bucket / prefix".into()),
            written_at: 1_700_000_000_000,
            listed_at: 0,
            settings: Settings::default(),
            segments: vec![segment('a', None), segment('0', Some((2, 3)))],
            retired: vec![Retired { id: "b".repeat(32), at: 1_700_000_000_000 }],
        }
    }

    /// With a right checksum, whatever it says.
    fn sealed(body: &[u8]) -> Vec<u8> {
        [HEAD, &hex_check(body), MIDDLE, body, TAIL].concat()
    }

    #[test]
    fn it_comes_back_and_is_json() {
        let bytes = manifest().to_bytes().unwrap();
        assert_eq!(Manifest::parse(&bytes).unwrap(), manifest());
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["manifest"]["segments"][1]["shard"], serde_json::json!([2, 3]));
    }

    #[test]
    fn sizes_are_told_by_kind_of_part() {
        let parts = manifest().parts();
        let expected = [("docs", 160), ("gram", 22), ("text", 18)];
        assert_eq!(parts, expected.map(|(name, bytes)| (name.to_owned(), bytes)).into());
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_a_fault() {
        let bytes = manifest().to_bytes().unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(Manifest::parse(&flipped).is_err(), "bit {bit} of byte {at}");
            }
            assert!(Manifest::parse(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn another_format_is_told_apart_also_with_other_fields() {
        let fault = Manifest::parse(&sealed(br#"{"format":2,"news":[]}"#)).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Format);
    }

    #[test]
    fn contradictions_are_refused_by_reader_and_writer() {
        let wrong: [fn(&mut Manifest); 11] = [
            |manifest| manifest.index = "x".into(),
            |manifest| manifest.segments[0].id = "../../../etc/passwd".into(),
            |manifest| manifest.segments[0].file.name = "../a.seg".into(),
            |manifest| manifest.segments[1] = manifest.segments[0].clone(),
            |manifest| manifest.segments[0].file.hot = 901,
            |manifest| manifest.segments[0].gone = 13,
            |manifest| manifest.segments[1].shard = Some((4, 3)),
            |manifest| manifest.retired[0].id = "../readme.md".into(),
            |manifest| manifest.retired[0].id = manifest.segments[0].id.clone(),
            |manifest| manifest.retired.push(manifest.retired[0].clone()),
            |manifest| {
                let id = |n| format!("{n:032x}");
                manifest.retired = (1..=257).map(|n| Retired { id: id(n), at: 0 }).collect();
            },
        ];
        for (at, break_it) in wrong.iter().enumerate() {
            let mut manifest = manifest();
            break_it(&mut manifest);
            assert_eq!(manifest.to_bytes().unwrap_err().kind(), FaultKind::Invalid, "{at}");
            let body = serde_json::to_vec(&manifest).unwrap();
            assert_eq!(
                Manifest::parse(&sealed(&body)).unwrap_err().kind(),
                FaultKind::Damaged,
                "{at}"
            );
        }
    }
}
