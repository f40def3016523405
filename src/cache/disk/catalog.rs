//! Which segments there are, which is read next, and which goes first.
//!
//! An index of all blocks that is loaded at the start makes every command pay for the largest
//! cache there ever was. [`Catalog`] knows only names and sizes from one look at the directory;
//! footers are read when a block is not in those read already, the segments used last first, so
//! that a warm command reads few of them.
//!
//! Resident: 16 bytes a record. A record counts as at least [`MIN_WEIGHT`] bytes of the budget,
//! so that is at most 1/64 of it, however small the objects are.

use std::{
    cmp::Reverse,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::segment::{self, Fault, Footer, Place};

/// What a record costs of the budget at least, in bytes: 64 times its place in a footer.
const MIN_WEIGHT: u64 = 1024;

/// Footers read in one go. A command whose blocks lie in the segments used last needs no more.
const AT_ONCE: usize = 8;

/// Files held open: well below the 1,024 descriptors that many systems allow a process.
const MAX_OPEN: usize = 64;

/// How soon the directory is looked at again for what other processes wrote.
const RESCAN: Duration = Duration::from_secs(1);

/// How often a use is noted in a file's time.
const TOUCH: Duration = Duration::from_secs(60);

/// A temporary file this old was left by a process that died; a write takes seconds.
const ABANDONED: Duration = Duration::from_secs(600);

/// Segments below this share of a full one are merged...
const SMALL: u64 = 2;
/// ...once there are this many of them: short commands leave small ones.
const MANY: usize = 16;

/// How the names of temporary files start.
pub(super) const TEMPORARY: &str = "tmp-";

/// The budget that a segment uses up.
pub(super) fn weight(len: u64, records: u64) -> u64 {
    len.max(records.saturating_mul(MIN_WEIGHT))
}

#[derive(Debug)]
struct Segment {
    name: Arc<str>,
    len: u64,
    records: u64,
    used: SystemTime,
    touched: Option<Instant>,
    file: Option<Arc<File>>,
    footer: Option<Footer>,
}

/// A segment that was opened and read.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    footer: Footer,
}

/// Where a block is.
#[derive(Debug)]
pub(super) enum Found {
    /// In this segment, perhaps; the record decides.
    Here(Location),
    /// Read these footers and ask again.
    Load(Vec<Arc<str>>),
    /// Look at the directory and ask again.
    Scan,
    /// Nowhere.
    Absent,
}

/// A place in a segment.
#[derive(Clone, Debug)]
pub(super) struct Location {
    pub(super) name: Arc<str>,
    /// `None` when too many are open: open it by name.
    pub(super) file: Option<Arc<File>>,
    pub(super) place: Place,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Catalog {
    dir: PathBuf,
    // The one used last comes first.
    segments: Vec<Segment>,
    scanned: Option<Instant>,
}

/// A segment file as the directory shows it.
#[derive(Debug)]
pub(super) struct Listed {
    name: Arc<str>,
    len: u64,
    records: u64,
    used: SystemTime,
}

impl Catalog {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, segments: Vec::new(), scanned: None }
    }

    /// Bytes of all segments, as last seen.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// Records of all segments.
    #[cfg(test)]
    pub(super) fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    /// The next step towards a block. Reads and writes nothing but a file's time.
    pub(super) fn find(&mut self, digest: u64) -> Found {
        if self.scanned.is_none() {
            return Found::Scan;
        }
        for at in 0..self.segments.len() {
            let Some(footer) = &self.segments[at].footer else {
                let unread = self.segments[at..].iter().filter(|s| s.footer.is_none());
                return Found::Load(unread.take(AT_ONCE).map(|s| Arc::clone(&s.name)).collect());
            };
            let Some(place) = footer.find(digest) else { continue };
            self.segments[..=at].rotate_right(1);
            let segment = &mut self.segments[0];
            segment.touch();
            let (name, file) = (Arc::clone(&segment.name), segment.file.clone());
            return Found::Here(Location { name, file, place });
        }
        match self.scanned {
            Some(scanned) if scanned.elapsed() < RESCAN => Found::Absent,
            _ => Found::Scan,
        }
    }

    /// Takes in what [`scan`] saw.
    pub(super) fn refresh(&mut self, mut listed: Vec<Listed>) {
        self.scanned = Some(Instant::now());
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let seen = |name: &str| listed.binary_search_by(|l| (*l.name).cmp(name)).ok();
        let mut known = vec![false; listed.len()];
        self.segments.retain_mut(|segment| {
            let Some(at) = seen(&segment.name) else { return false };
            known[at] = true;
            segment.used = segment.used.max(listed[at].used);
            true
        });
        let mut known = known.into_iter();
        listed.retain(|_| !known.next().unwrap_or(false));
        listed.sort_by_key(|listed| Reverse(listed.used));
        self.segments.splice(..0, listed.into_iter().map(Segment::from));
    }

    /// Takes in a footer that was asked for, or lets go of a segment that has none.
    pub(super) fn loaded(&mut self, name: &Arc<str>, opened: Result<Opened, Fault>) {
        match opened {
            Ok(Opened { file, footer }) => {
                if let Some(segment) = self.segments.iter_mut().find(|s| s.name == *name) {
                    segment.file = Some(Arc::new(file));
                    segment.footer = Some(footer);
                }
                self.close_some();
            }
            Err(Fault::Corrupt) => self.discard(name),
            Err(Fault::Unreadable) => self.segments.retain(|segment| segment.name != *name),
        }
    }

    /// Takes in a segment that this process wrote.
    pub(super) fn add(&mut self, name: Arc<str>, len: u64, footer: Footer, file: File) {
        self.segments.retain(|segment| segment.name != name);
        let records = footer.len() as u64;
        let segment = Segment {
            name,
            len,
            records,
            used: SystemTime::now(),
            touched: Some(Instant::now()),
            file: Some(Arc::new(file)),
            footer: Some(footer),
        };
        self.segments.insert(0, segment);
        self.close_some();
    }

    /// Deletes a segment that is not what was written. The next get brings its blocks back.
    pub(super) fn discard(&mut self, name: &Arc<str>) {
        self.segments.retain(|segment| segment.name != *name);
        // One that cannot be deleted is found corrupt again, which costs time and nothing else.
        drop(fs::remove_file(self.dir.join(&**name)));
    }

    /// Deletes the segments used longest ago until `weight` more fits into `budget`.
    pub(super) fn make_room(&mut self, weight: u64, budget: u64) -> io::Result<()> {
        self.segments.sort_by_key(|segment| Reverse(segment.used));
        let mut total: u64 = self.segments.iter().map(Segment::weight).sum();
        while total.saturating_add(weight) > budget {
            let Some(oldest) = self.segments.pop() else { break };
            total -= oldest.weight();
            remove(&self.dir.join(&*oldest.name))?;
        }
        Ok(())
    }

    /// Small segments to be made one of at most `full` bytes, if there are many.
    pub(super) fn to_merge(&self, full: u64) -> Vec<Arc<str>> {
        let mut small: Vec<&Segment> =
            self.segments.iter().filter(|segment| segment.weight() < full / SMALL).collect();
        if small.len() < MANY {
            return Vec::new();
        }
        small.sort_by_key(|segment| segment.weight());
        let mut total = 0;
        small
            .into_iter()
            .take_while(|segment| {
                total += segment.weight();
                total <= full
            })
            .map(|segment| Arc::clone(&segment.name))
            .collect()
    }

    fn close_some(&mut self) {
        let open = self.segments.iter().filter(|segment| segment.file.is_some()).count();
        let unused = self.segments.iter_mut().rev().filter(|segment| segment.file.is_some());
        for segment in unused.take(open.saturating_sub(MAX_OPEN)) {
            segment.file = None;
        }
    }
}

impl Segment {
    fn weight(&self) -> u64 {
        weight(self.len, self.records)
    }

    /// Tells other processes, by the file's time, that it is in use.
    fn touch(&mut self) {
        if self.touched.is_some_and(|touched| touched.elapsed() < TOUCH) {
            return;
        }
        self.touched = Some(Instant::now());
        self.used = SystemTime::now();
        if let Some(file) = &self.file {
            // On a read-only file system nothing is deleted either.
            drop(file.set_modified(self.used));
        }
    }
}

impl From<Listed> for Segment {
    fn from(listed: Listed) -> Self {
        let Listed { name, len, records, used } = listed;
        Self { name, len, records, used, touched: None, file: None, footer: None }
    }
}

/// The name of a segment file. The number of records is in it so that the budget is kept without
/// opening every file.
pub(super) fn file_name(digest: u128, records: usize) -> String {
    format!("{digest:032x}-{records:x}.seg")
}

fn records_of(name: &str) -> Option<u64> {
    let (digest, records) = name.strip_suffix(".seg")?.split_once('-')?;
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if digest.len() != 32 || !hex(digest) || !hex(records) {
        return None;
    }
    u64::from_str_radix(records, 16).ok()
}

/// The segments in the directory. What dead processes left half-written is deleted.
pub(super) fn scan(dir: &Path) -> io::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let records = records_of(&name);
        if records.is_none() && !name.starts_with(TEMPORARY) {
            continue;
        }
        // Another process may have deleted it since.
        let Ok(metadata) = entry.metadata() else { continue };
        if !metadata.is_file() {
            continue;
        }
        let used = metadata.modified()?;
        match records {
            Some(records) => {
                listed.push(Listed { name: name.into(), len: metadata.len(), records, used });
            }
            None if used.elapsed().is_ok_and(|age| age > ABANDONED) => remove(&entry.path())?,
            None => {}
        }
    }
    Ok(listed)
}

/// Opens a segment and reads its footer.
pub(super) fn load(dir: &Path, name: &str) -> Result<Opened, Fault> {
    let file = File::open(dir.join(name))?;
    let footer = segment::read_footer(&file, file.metadata()?.len())?;
    if records_of(name) != Some(footer.len() as u64) {
        return Err(Fault::Corrupt);
    }
    Ok(Opened { file, footer })
}

impl Opened {
    /// All sound records in the order they lie in the file.
    pub(super) fn records(&self) -> impl Iterator<Item = (u64, Vec<u8>)> {
        self.footer.by_place().into_iter().filter_map(|(digest, place)| {
            let record = segment::read(&self.file, place).ok()?;
            segment::sound(&record).then_some((digest, record))
        })
    }
}

/// Deletes a file that another process may delete at the same time.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
