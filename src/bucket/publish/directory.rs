//! The files of an index in a directory.
//!
//! Writing a file in place shows readers half of it, and "look, then write" lets two publishers
//! look at the same moment. [`DirectoryWriter`] writes beside, brings it to the disk, and renames;
//! the look and the rename happen under one lock, that of a file which is there only while
//! somebody holds it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use tempfile::NamedTempFile;

use super::{Condition, Outcome, PART, Progress, own, unique};
use crate::{
    bucket::{
        Object, PEEK_BOUNDS,
        local::{etag, object},
        longer,
    },
    error::{Error, Kind, Result},
    platform::Platform,
};

/// The name of the lock: none that an index's file can have.
const LOCK: &str = ".lock";

/// Bytes copied at once.
const CHUNK: usize = 1 << 20;

/// See the module's head.
#[derive(Debug)]
pub(super) struct DirectoryWriter {
    place: Arc<Place>,
    platform: Platform,
}

#[derive(Debug)]
struct Place {
    dir: PathBuf,
    /// The directory is one below another that is not ours.
    reserved: bool,
}

impl DirectoryWriter {
    /// The directory `below` the one at `path`, or, where `below` is empty, that itself, which
    /// need not be there yet.
    pub(super) fn open(path: &Path, below: &str, platform: &Platform) -> Result<Self> {
        let reserved = !below.is_empty();
        if reserved && !path.is_dir() {
            return Err(Error::new(Kind::Config, "there is no such directory")
                .hint("check the path; a relative one starts at the working directory"));
        }
        let dir = path.join(below.trim_end_matches('/'));
        let place = Arc::new(Place { dir, reserved });
        Ok(Self { place, platform: platform.clone() })
    }

    async fn job<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Place) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.place.clone();
        let stopped = || Error::new(Kind::Cancelled, "the runtime is shutting down");
        self.platform.blocking(move || job(&place)).await.ok_or_else(stopped)?
    }

    pub(super) async fn put(
        &self,
        name: &str,
        bytes: Bytes,
        condition: &Condition,
    ) -> Result<Outcome> {
        let (name, condition) = (name.to_owned(), condition.clone());
        self.job(move |place| {
            let mut file = place.beside()?;
            file.write_all(&bytes).map_err(failed)?;
            place.publish(file, &name, &condition)
        })
        .await
    }

    pub(super) async fn put_file(
        &self,
        name: &str,
        path: &Path,
        condition: &Condition,
        progress: Progress<'_>,
    ) -> Result<Outcome> {
        let path = path.to_owned();
        let opened =
            self.job(move |place| Ok((File::open(path).map_err(failed)?, place.beside()?)));
        let (mut from, mut to) = opened.await?;
        loop {
            // A chunk a job, so that progress is told from where it was asked for.
            let (copied, files) = self
                .job(move |_| {
                    let copied = io::copy(&mut (&mut from).take(CHUNK as u64), &mut to);
                    Ok((copied.map_err(failed)?, (from, to)))
                })
                .await?;
            (from, to) = files;
            if copied == 0 {
                break;
            }
            progress(copied);
        }
        let (name, condition) = (name.to_owned(), condition.clone());
        self.job(move |place| place.publish(to, &name, &condition)).await
    }

    pub(super) async fn get(&self, name: &str, max: u64) -> Result<Option<(Object, Bytes)>> {
        if !PEEK_BOUNDS.contains(&max) {
            return Err(Error::new(Kind::InvalidArgument, "the bound is out of bounds")
                .hint("ask for 1 byte to 8 MiB"));
        }
        let name = name.to_owned();
        self.job(move |place| {
            let mut file = match File::open(place.dir.join(&name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                file => file.map_err(failed)?,
            };
            let metadata = file.metadata().map_err(failed)?;
            if metadata.len() > max {
                return Err(longer(max, Some(metadata.len())));
            }
            // Files here are replaced, never changed, so that an open one is whole.
            let mut bytes = vec![0; metadata.len() as usize];
            file.read_exact(&mut bytes).map_err(failed)?;
            // Of the file by its name: being replaced has given the old one another time.
            Ok(Some((object(name, &metadata), Bytes::from(bytes))))
        })
        .await
    }

    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.job(move |place| {
            let Some(_lock) = place.lock_if_there()? else { return Ok(()) };
            match fs::remove_file(place.dir.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
                _ => Ok(()),
            }
        })
        .await
    }

    pub(super) async fn list(&self) -> Result<Vec<Object>> {
        self.job(|place| {
            let entries = match fs::read_dir(&place.dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries.map_err(failed)?,
            };
            let mut all = Vec::new();
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                match entry.metadata() {
                    Ok(metadata) if metadata.is_file() => all.push(object(name, &metadata)),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            Ok(all)
        })
        .await
    }

    /// Whether there is a file that no index has, in a directory that was named for one.
    pub(super) async fn holds_others(&self) -> Result<bool> {
        self.job(|place| {
            let entries = match fs::read_dir(&place.dir) {
                _ if place.reserved => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                entries => entries.map_err(failed)?,
            };
            for entry in entries {
                let name = entry.map_err(failed)?.file_name();
                let ours = name.to_str().is_some_and(|name| name == LOCK || own(name).is_ok());
                if !ours {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    /// A directory has none.
    pub(super) async fn abort_uploads(&self, _: i64) -> Result<u64> {
        Ok(0)
    }
}

impl Place {
    /// A new file in the directory, which is made where it is not there.
    fn beside(&self) -> Result<NamedTempFile> {
        if self.reserved && fs::symlink_metadata(&self.dir).is_ok_and(|there| !there.is_dir()) {
            // A link would lead the index out of the directory that it belongs to.
            return Err(Error::new(Kind::Io, "the index's place is taken by something else")
                .hint("remove what is called .r2vfs and is no directory"));
        }
        fs::create_dir_all(&self.dir).map_err(failed)?;
        // Names of ours have no upper case, which tempfile's own have.
        let name = format!("{PART}{:032x}", unique());
        tempfile::Builder::new().prefix(&name).rand_bytes(0).tempfile_in(&self.dir).map_err(failed)
    }

    /// Gives the file its name, if the condition holds.
    fn publish(&self, file: NamedTempFile, name: &str, condition: &Condition) -> Result<Outcome> {
        file.as_file().sync_all().map_err(failed)?;
        let target = self.dir.join(name);
        let _lock = Lock::take(&self.dir)?;
        let there = match fs::symlink_metadata(&target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            metadata => Some(etag(&metadata.map_err(failed)?)),
        };
        let holds = match condition {
            Condition::Always => true,
            Condition::Absent => there.is_none(),
            Condition::Matches(version) => there.as_ref() == Some(version),
        };
        if !holds {
            return Ok(Outcome::Lost);
        }
        file.persist(&target).map_err(|error| failed(error.error))?;
        #[cfg(unix)]
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
        // Only now: a rename gives the file another time of change.
        Ok(Outcome::Done(etag(&fs::metadata(&target).map_err(failed)?)))
    }

    fn lock_if_there(&self) -> Result<Option<Lock>> {
        if self.dir.is_dir() { Lock::take(&self.dir).map(Some) } else { Ok(None) }
    }
}

/// The right to look and write, among all publishers of a directory.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(LOCK);
        loop {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            let file = options.open(&path).map_err(failed)?;
            file.lock().map_err(failed)?;
            // Whoever held it before has removed it: what is locked may be nobody's any more.
            if same(&file, &path) {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still locked. Where it cannot be removed it stays, and locks as well as before.
        if cfg!(unix) {
            drop(fs::remove_file(&self.path));
        }
    }
}

#[cfg(unix)]
fn same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(there)) => identity(file) == identity(there),
        _ => false,
    }
}

#[cfg(not(unix))]
fn same(_: &File, _: &Path) -> bool {
    true
}

fn failed(error: io::Error) -> Error {
    let (kind, what, next) = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
            Kind::Forbidden,
            "the index may not be written there",
            "give this user write permission on the directory, or publish to another place",
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
            Kind::Io,
            "the disk is full",
            "make room and publish again; the old index is untouched",
        ),
        io::ErrorKind::NotFound => {
            (Kind::Io, "a file of the index is gone", "build the index again")
        }
        io::ErrorKind::NotADirectory => (
            Kind::Config,
            "what is to be written to is a file, or lies below one",
            "name a directory: an empty one, or one that is not there yet",
        ),
        _ => (Kind::Io, "a file of the index cannot be read or written", "check the disk"),
    };
    Error::new(kind, what).hint(next).because(error)
}
