//! An index in a local directory.
//!
//! Rewriting files in place leaves half of each when the machine stops. Here a file is written
//! once under a name that nothing had before, and only then named by a manifest that is replaced
//! in one step: write, sync, rename, sync the directory. Stopped at any moment, the directory holds
//! the last commit; what it holds beside it is removed by the next [`Writer`].
//!
//! Readers take no lock. One whose file was compacted away meanwhile opens the manifest again.
//!
//! ```text
//! manifest.json        what there is
//! <32 hex>.seg         segments
//! lock                 held by the one writer
//! manifest.json.new    a manifest that is being written
//! scratch/             what a segment in the making puts aside
//! ```

mod dir;
mod id;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

pub use dir::Dir;
pub(crate) use id::fresh_id;
pub use writer::Writer;

use crate::{
    bundle::at_once,
    fault::{Fault, FaultKind, Result},
    index::Index,
    manifest::{self, Manifest, SegmentRef, Settings, segment_of},
    source::Source,
};

const LOCK: &str = "lock";
const NEW: &str = "manifest.json.new";
const SCRATCH: &str = "scratch";

/// How often a reader whose file is gone opens the manifest again. A writer would have to compact
/// as often while it opens a few files.
const TRIES: usize = 5;

/// A directory that holds an index, or will.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// Of this directory, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last commit.
    ///
    /// # Errors
    /// [`FaultKind::Missing`] before the first; as [`Manifest::parse`].
    pub fn manifest(&self) -> Result<Manifest> {
        let file =
            File::open(self.path.join(manifest::NAME)).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Fault::new(FaultKind::Missing, "there is no index yet"),
                _ => error.into(),
            })?;
        let mut bytes = Vec::new();
        file.take(manifest::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Manifest::parse(&bytes)
    }

    /// Opens the last commit for reading.
    ///
    /// # Errors
    /// As [`Store::manifest`] and [`Index::open`].
    pub fn open(&self) -> Result<Index> {
        let mut manifest = self.manifest()?;
        for _ in 1..TRIES {
            let opened = self.open_one(&manifest);
            match opened {
                Err(fault) if fault.kind() == FaultKind::Missing => {
                    let newer = self.manifest()?;
                    if newer.index == manifest.index && newer.generation == manifest.generation {
                        return Err(fault);
                    }
                    manifest = newer;
                }
                _ => return opened,
            }
        }
        self.open_one(&manifest)
    }

    /// Opens of the last commit what can be opened, and says how the rest cannot: for its one
    /// writer, that makes the rest anew.
    ///
    /// # Errors
    /// As [`Store::manifest`].
    pub fn open_what_opens(&self) -> Result<(Index, Vec<(SegmentRef, Fault)>)> {
        let manifest = self.manifest()?;
        let dir: Arc<dyn Source> = Arc::new(Dir::new(self.path.clone()));
        at_once(async { Ok(Index::open_what_opens(&dir, manifest).await) })
    }

    fn open_one(&self, manifest: &Manifest) -> Result<Index> {
        let dir = Arc::new(Dir::new(self.path.clone()));
        at_once(Index::open(dir, manifest.clone()))
    }

    /// Becomes its one writer: of the index that is there, or of a new one with `settings`. Removes
    /// what an earlier writer left behind.
    ///
    /// # Errors
    /// [`FaultKind::Locked`] while there is another writer; [`FaultKind::Foreign`] when the index
    /// is of another `origin`; [`FaultKind::Damaged`] and [`FaultKind::Format`] where only
    /// [`Store::renew`] helps.
    pub fn lock(&self, origin: Option<&str>, settings: Settings) -> Result<Writer> {
        let lock = self.take_lock()?;
        let manifest = match self.manifest() {
            Ok(manifest) => {
                if manifest.origin.as_deref() != origin {
                    return Err(Fault::new(
                        FaultKind::Foreign,
                        "the directory holds the index of another bucket or prefix: name another \
                         directory",
                    ));
                }
                manifest
            }
            Err(fault) if fault.kind() == FaultKind::Missing => empty(origin, settings),
            Err(fault) => return Err(fault),
        };
        self.sweep(&manifest)?;
        Ok(Writer::new(self.clone(), lock, manifest))
    }

    /// Becomes the one writer of a new index, whatever the directory holds: an index that is there
    /// stays readable until the first commit, and its files until the writer is done with it.
    ///
    /// # Errors
    /// [`FaultKind::Locked`] while there is another writer.
    pub fn renew(&self, origin: Option<&str>, settings: Settings) -> Result<Writer> {
        let lock = self.take_lock()?;
        match self.manifest() {
            Ok(old) => self.sweep(&old)?,
            Err(fault) if fault.kind() == FaultKind::Io => return Err(fault),
            Err(_) => {}
        }
        Ok(Writer::new(self.clone(), lock, empty(origin, settings)))
    }

    /// Removes the index: its manifest first, so that no reader finds half of it.
    ///
    /// # Errors
    /// [`FaultKind::Locked`] while there is a writer; what removing fails with.
    pub fn remove(&self) -> Result<()> {
        if !self.path.try_exists()? {
            return Ok(());
        }
        let lock = self.take_lock()?;
        remove(&self.path.join(manifest::NAME))?;
        self.sync()?;
        self.sweep(&empty(None, Settings::default()))?;
        drop(lock);
        remove(&self.path.join(LOCK))?;
        // Other files than an index's are not ours to remove, nor the directory with them.
        fs::remove_dir(&self.path).ok();
        Ok(())
    }

    fn take_lock(&self) -> Result<File> {
        create_private(&self.path)?;
        let path = self.path.join(LOCK);
        let lock = File::options().create(true).truncate(false).write(true).open(path)?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => {
                Err(Fault::new(FaultKind::Locked, "another process is writing this index"))
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Removes segments that `manifest` does not name, half a manifest, and what was put aside.
    fn sweep(&self, manifest: &Manifest) -> Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let left = match segment_of(name) {
                Some(id) => manifest.segments.iter().all(|segment| segment.id != id),
                None => name == NEW,
            };
            if left {
                remove(&entry.path())?;
            } else if name == SCRATCH && entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// Waits until the disk has the directory's names.
    fn sync(&self) -> Result<()> {
        // Windows syncs no directory, and needs it not: its journal has the names.
        if cfg!(unix) {
            File::open(&self.path)?.sync_all()?;
        }
        Ok(())
    }
}

fn empty(origin: Option<&str>, settings: Settings) -> Manifest {
    Manifest {
        format: manifest::FORMAT,
        index: fresh_id(),
        generation: 0,
        origin: origin.map(str::to_owned),
        written_at: 0,
        listed_at: 0,
        settings,
        segments: Vec::new(),
        retired: Vec::new(),
    }
}

/// Where a segment that is made in `dir` may put something aside: on the same disk, and removed by
/// the next writer when this one is killed.
pub(crate) fn scratch(dir: &Path) -> Result<PathBuf> {
    let path = dir.join(SCRATCH);
    create_private(&path)?;
    Ok(path)
}

/// An index holds the text of a bucket, which is nobody else's to read.
fn create_private(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    Ok(builder.create(path)?)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
