//! The one writer of a directory.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::UNIX_EPOCH,
};

use crate::{
    fault::{Fault, FaultKind, Result},
    manifest::{self, Manifest, SegmentRef},
    store::{NEW, Store, remove},
};

/// Holds the lock of a [`Store`] until it is dropped.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    /// The system lets go of the lock when the file is closed, also by a kill.
    _lock: File,
    manifest: Manifest,
    /// Segments that are known to be damaged.
    overlooked: Vec<String>,
}

impl Writer {
    pub(super) fn new(store: Store, lock: File, manifest: Manifest) -> Self {
        Self { store, _lock: lock, manifest, overlooked: Vec::new() }
    }

    /// The last commit, or an empty one before the first.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The directory, to make segments in.
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// Commits from now on although this segment is damaged, until it is taken out.
    pub fn overlook(&mut self, id: &str) {
        self.overlooked.push(id.to_owned());
    }

    /// Its store, to open what was committed.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Makes segments part of the index and takes others out of it, in one step. Where some are
    /// replaced, which must be neighbours, the new ones come in their place; else they are the
    /// newest. `listed_at` is when the listing began that the index now agrees with.
    ///
    /// A fault leaves the index as it was, and what was to be added in the directory until the next
    /// lock, except where only the disk's own confirmation failed.
    ///
    /// # Errors
    /// [`FaultKind::Invalid`] when a segment to replace is not there or no neighbour, or one to add
    /// is there already; [`FaultKind::Full`]; what else writing fails with.
    pub fn commit(
        &mut self,
        add: Vec<SegmentRef>,
        replace: &[String],
        listed_at: Option<i64>,
    ) -> Result<()> {
        let mut next = self.manifest.clone();
        let at = take_out(&mut next.segments, replace)?;
        next.segments.splice(at..at, add);
        next.generation += 1;
        next.written_at = now();
        next.listed_at = listed_at.unwrap_or(next.listed_at);
        let bytes = next.to_bytes()?;
        let minded = |segment: &&SegmentRef| !self.overlooked.contains(&segment.id);
        for segment in next.segments.iter().filter(minded) {
            let file = self.path().join(&segment.file.name);
            if fs::metadata(file)?.len() != segment.file.bytes {
                let detail = format!("{} of the index is cut short", segment.file.name);
                return Err(Fault::new(FaultKind::Damaged, detail));
            }
        }
        // The names of the segments must be on the disk before one that names them.
        self.store.sync()?;
        let new = self.path().join(NEW);
        if let Err(fault) = write(&new, &bytes) {
            remove(&new).ok();
            return Err(fault);
        }
        fs::rename(&new, self.path().join(manifest::NAME))?;
        let before = std::mem::replace(&mut self.manifest, next);
        self.store.sync()?;
        self.remove_replaced(&before);
        Ok(())
    }

    /// A reader that has the old manifest and not yet the file opens the manifest again. What
    /// cannot be removed (Windows keeps what is open) is left to the next lock.
    fn remove_replaced(&self, before: &Manifest) {
        for segment in &before.segments {
            if self.manifest.segments.iter().all(|kept| kept.id != segment.id) {
                fs::remove_file(self.path().join(&segment.file.name)).ok();
            }
        }
    }
}

/// Takes the segments with these names out and returns where they were; the end for none.
fn take_out(segments: &mut Vec<SegmentRef>, names: &[String]) -> Result<usize> {
    let named = |segment: &SegmentRef| names.contains(&segment.id);
    let Some(first) = segments.iter().position(named) else {
        if names.is_empty() {
            return Ok(segments.len());
        }
        return Err(Fault::new(FaultKind::Invalid, "a segment to replace is not in the index"));
    };
    let run = segments[first..].iter().take_while(|segment| named(segment)).count();
    if run != names.len() {
        let detail = "segments to replace must be in the index, side by side";
        return Err(Fault::new(FaultKind::Invalid, detail));
    }
    segments.drain(first..first + run);
    Ok(first)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}

/// Milliseconds since 1970; 0 for a clock that stands before it.
#[expect(clippy::disallowed_methods, reason = "what writes an index has a clock; a Worker reads")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
