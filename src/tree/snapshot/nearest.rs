//! "Did you mean": the names nearest to one that is not there.
//!
//! Comparing a missing path with a million keys takes seconds, and a typing error must not cost
//! that. [`Snapshot::nearest`] goes down the tree as the path does and looks only at the
//! children of the directories on its way, at most [`VISITS`] of them. Before that it looks for
//! another Unicode spelling of the whole key, which is exact and costs a lookup: R2 stores keys in
//! form NFC, so what was typed on a Mac is often there under other bytes.

use unicode_normalization::UnicodeNormalization;

use super::{
    Child, Snapshot,
    arena::{BLOCK, Cursor},
    children::Children,
    report::spelling_hash,
};
use crate::tree::path;

/// The most children that one question looks at.
const VISITS: usize = 4096;

/// Children looked at from one starting point; three starting points for each directory.
const WINDOW: usize = 1024;

/// The most work spent on edit distances, in cells of their tables: about 20 ms.
const CELLS: usize = 8 << 20;

/// Directories that are followed at once where the exact one is missing.
const BEAM: usize = 3;

/// The most answers, whatever is asked for.
const ANSWERS: usize = 20;

impl Snapshot {
    /// Paths that may have been meant by one that is not there, the likeliest first, at most
    /// `limit` (and 20). Nothing for a path that is not canonical: its error names the right one.
    ///
    /// The order: keys that differ in Unicode normal form only, names in the same directory by
    /// edit distance, the same name in a directory nearby. The work is bounded, so in a directory
    /// of thousands a name may be missed.
    pub fn nearest(&self, path: &str, limit: usize) -> Vec<String> {
        let Ok(decoded) = path::decode(path) else { return Vec::new() };
        let mut search = Search {
            snapshot: self,
            wants_dir: decoded.file.is_none(),
            visits: VISITS,
            cells: CELLS,
            found: Vec::new(),
        };
        if let Some(key) = &decoded.file {
            search.found.extend(self.other_spellings(key).iter().map(|key| path::encode(key)));
        }
        let wanted = decoded.dir.as_deref().map(|dir| dir.strip_suffix('/').unwrap_or(dir));
        if let Some(wanted) = wanted.or(decoded.file.as_deref()) {
            search.walk(wanted);
        }
        search.found.retain(|found| found != path);
        search.found.truncate(limit.min(ANSWERS));
        search.found
    }

    /// The keys that differ from `key` only in their Unicode normal form.
    pub fn other_spellings(&self, key: &str) -> Vec<String> {
        let nfc: String = key.nfc().collect();
        let mut keys = Vec::new();
        if nfc != key && self.contains(&nfc) {
            keys.push(nfc.clone());
        }
        let hash = spelling_hash(&nfc);
        let spellings = &self.0.spellings;
        let first = spellings.partition_point(|spelling| spelling.hash < hash);
        let mut blocks: Vec<u32> = spellings[first..]
            .iter()
            .take_while(|spelling| spelling.hash == hash)
            .map(|spelling| spelling.block)
            .take(ANSWERS)
            .collect();
        blocks.dedup();
        for block in blocks {
            let mut cursor = Cursor::at_block(&self.0.arena, block as usize);
            for _ in 0..BLOCK {
                let Some(other) = cursor.key(&self.0.arena) else { break };
                if other != key && other != nfc && other.nfc().eq(nfc.chars()) {
                    keys.push(other.to_owned());
                }
                cursor.step(&self.0.arena);
            }
        }
        keys
    }

    /// How many keys have another spelling beside them.
    pub(super) fn count_nfc_twins(&self) -> u64 {
        let mut twins = 0;
        for group in self.0.spellings.chunk_by(|a, b| a.hash == b.hash) {
            let mut cursor = Cursor::at_block(&self.0.arena, group[0].block as usize);
            let mut composed = false;
            for _ in 0..BLOCK {
                let Some(key) = cursor.key(&self.0.arena) else { break };
                let nfc: String = key.nfc().collect();
                if nfc != key && spelling_hash(&nfc) == group[0].hash {
                    composed = self.contains(&nfc);
                    break;
                }
                cursor.step(&self.0.arena);
            }
            let spelled = group.len() as u64 + u64::from(composed);
            if spelled > 1 {
                twins += spelled;
            }
        }
        twins
    }
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    wants_dir: bool,
    visits: usize,
    cells: usize,
    found: Vec<String>,
}

impl Search<'_> {
    /// Goes down to the directory of `wanted` (a key, or a prefix without its last `/`), by the
    /// likeliest names where one is missing.
    fn walk(&mut self, wanted: &str) {
        let (dirs, name) =
            wanted.rsplit_once('/').map_or((None, wanted), |(dirs, name)| (Some(dirs), name));
        let mut beam = vec![String::new()];
        for segment in dirs.into_iter().flat_map(|dirs| dirs.split('/')) {
            let mut below = Vec::new();
            for base in &beam {
                let exact = format!("{base}{segment}/");
                if self.snapshot.has_dir(&exact) {
                    below.push(exact);
                } else {
                    let similar = self.similar(base, segment, true);
                    below.extend(similar.into_iter().filter_map(|child| match child {
                        Child::Dir(dir) => Some(dir),
                        Child::File(_) => None,
                    }));
                }
            }
            below.truncate(BEAM);
            if below.is_empty() {
                // This far the path was right: better than nothing.
                for base in beam.iter().filter(|base| !base.is_empty()) {
                    self.add(path::encode_dir(base));
                }
                return;
            }
            beam = below;
        }
        for base in &beam {
            let exact = format!("{base}{name}");
            if !self.wants_dir && self.snapshot.contains(&exact) {
                self.add(path::encode(&exact));
            }
            let dir = format!("{exact}/");
            if self.snapshot.has_dir(&dir) {
                self.add(path::encode_dir(&dir));
            }
        }
        for base in &beam {
            for child in self.similar(base, name, self.wants_dir) {
                self.add(child_path(&child));
            }
        }
        if !name.is_empty() {
            for base in &beam {
                self.elsewhere(base, name);
            }
        }
    }

    /// The children of `base` with a name like `name`, the likeliest first.
    fn similar(&mut self, base: &str, name: &str, dirs_first: bool) -> Vec<Child> {
        let wanted = Name::new(name);
        let mut scored: Vec<(usize, Child)> = Vec::new();
        // As far as any name agrees, it is probably right; else at least its first half. Where
        // the directory is small, the last of the three starting points sees all of it.
        let half = head(name, name.chars().count().div_ceil(2));
        let mut starts = vec![self.agreed(base, name), half, ""];
        starts.dedup();
        for start in starts {
            let from = format!("{base}{start}");
            for child in Children::starting(self.snapshot, base, &from).take(WINDOW) {
                let Some(left) = self.visits.checked_sub(1) else { break };
                if !child.key().starts_with(&from) {
                    break;
                }
                self.visits = left;
                let is_dir = matches!(child, Child::Dir(_));
                let other = child.key()[base.len()..].trim_end_matches('/');
                if let Some(score) = wanted.score(other, &mut self.cells) {
                    scored.push((2 * score + usize::from(is_dir != dirs_first), child));
                }
            }
        }
        scored.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.key().cmp(other.key())));
        scored.dedup_by(|(_, one), (_, other)| one.key() == other.key());
        scored.into_iter().map(|(_, child)| child).take(ANSWERS).collect()
    }

    /// The longest start of `name` that any name in `base` has too.
    fn agreed<'a>(&self, base: &str, name: &'a str) -> &'a str {
        let ends: Vec<usize> = name.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
        let known = ends.partition_point(|end| {
            self.snapshot.scan(&format!("{base}{}", &name[..*end]), None).key().is_some()
        });
        known.checked_sub(1).map_or("", |last| &name[..ends[last]])
    }

    /// The object `name` in the directories above `base`, in those inside it, and beside it.
    fn elsewhere(&mut self, base: &str, name: &str) {
        let parent = parent(base);
        for holder in [Some(base), parent].into_iter().flatten() {
            for child in self.snapshot.children(holder).take(WINDOW) {
                let Some(left) = self.visits.checked_sub(1) else { return };
                self.visits = left;
                if let Child::Dir(dir) = child {
                    self.add_file(&dir, name);
                }
            }
        }
        let mut above = parent;
        while let Some(dir) = above {
            self.add_file(dir, name);
            above = self::parent(dir);
        }
    }

    fn add_file(&mut self, dir: &str, name: &str) {
        let key = format!("{dir}{name}");
        if self.snapshot.contains(&key) {
            self.add(path::encode(&key));
        }
    }

    fn add(&mut self, path: String) {
        if self.found.len() < ANSWERS && !self.found.contains(&path) {
            self.found.push(path);
        }
    }
}

fn child_path(child: &Child) -> String {
    match child {
        Child::File(object) => path::encode(&object.key),
        Child::Dir(prefix) => path::encode_dir(prefix),
    }
}

/// The prefix of the directory that holds the one with this prefix; `None` for the root.
fn parent(prefix: &str) -> Option<&str> {
    let inner = prefix.strip_suffix('/')?;
    Some(inner.rfind('/').map_or("", |at| &inner[..=at]))
}

fn head(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(at, _)| &text[..at])
}

/// A name as names are compared: composed, and without case.
struct Name {
    composed: String,
    folded: String,
    length: usize,
}

impl Name {
    fn new(name: &str) -> Self {
        let composed: String = name.nfc().collect();
        let folded = composed.to_lowercase();
        let length = folded.chars().count();
        Self { composed, folded, length }
    }

    /// How unlike another name is; `None` when it is another altogether.
    fn score(&self, other: &str, cells: &mut usize) -> Option<usize> {
        let other = Self::new(other);
        if self.composed == other.composed {
            return Some(0);
        }
        if self.folded == other.folded {
            return Some(1);
        }
        // The file's extension was left out, or one added.
        let (short, long) =
            if self.length < other.length { (self, &other) } else { (&other, self) };
        if short.length > 0
            && long.folded.strip_prefix(&short.folded).is_some_and(|rest| rest.starts_with('.'))
        {
            return Some(2);
        }
        // A third of the letters wrong: what rustc calls similar.
        let most = (self.length / 3).max(1);
        if long.length - short.length > most {
            return None;
        }
        *cells = cells.checked_sub(self.length * other.length)?;
        let distance = strsim::osa_distance(&self.folded, &other.folded);
        (distance <= most).then_some(1 + distance)
    }
}
