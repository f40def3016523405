//! The files of one segment's full text as tantivy reads them, in memory or not at all.
//!
//! A file handle that waited for a bucket would block a thread per read and be impossible where
//! there are none. A [`Shelf`] answers at once: with the bytes, or with an error after noting
//! which were wanted. Who called fetches all that was noted, lays it on the shelf, and calls
//! again.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tantivy::{
    Directory, HasLen,
    directory::{
        FileHandle, OwnedBytes, WatchCallback, WatchHandle, WritePtr,
        error::{DeleteError, OpenReadError, OpenWriteError},
    },
};

/// A range of a file, by the extension of its name.
pub(crate) type Wanted = (&'static str, Range<usize>);

/// The files of a segment, by extension.
pub(crate) const FILES: [&str; 6] = ["term", "idx", "pos", "store", "fast", "fieldnorm"];

/// A tantivy directory of one segment. Cheap to clone; clones share what lies on it.
#[derive(Clone)]
pub(crate) struct Shelf {
    shared: Arc<Shared>,
}

struct Shared {
    meta: Vec<u8>,
    lengths: HashMap<&'static str, usize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What opening reads; stays.
    hot: BTreeMap<(&'static str, usize), OwnedBytes>,
    /// What queries have read.
    warm: BTreeMap<(&'static str, usize), OwnedBytes>,
    warm_bytes: usize,
    missing: Vec<Wanted>,
}

impl Shelf {
    /// Of files of these lengths, with tantivy's `meta.json`.
    pub(crate) fn new(meta: Vec<u8>, lengths: HashMap<&'static str, usize>) -> Self {
        Self { shared: Arc::new(Shared { meta, lengths, state: Mutex::default() }) }
    }

    /// Lays bytes down that stay.
    pub(crate) fn keep(&self, file: &'static str, start: usize, bytes: Vec<u8>) {
        self.state().hot.insert((file, start), OwnedBytes::new(bytes));
    }

    /// Lays bytes down for the queries that run.
    pub(crate) fn lay(&self, file: &'static str, start: usize, bytes: &Bytes) {
        let mut state = self.state();
        state.warm_bytes += bytes.len();
        let laid = OwnedBytes::new(bytes.to_vec());
        if let Some(before) = state.warm.insert((file, start), laid) {
            state.warm_bytes -= before.len();
        }
    }

    /// Bytes that lie here beside those that stay.
    pub(crate) fn warm_bytes(&self) -> usize {
        self.state().warm_bytes
    }

    /// Takes away what does not stay.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.warm.clear();
        state.warm_bytes = 0;
    }

    /// What was wanted and not here since the last call.
    pub(crate) fn missing(&self) -> Vec<Wanted> {
        std::mem::take(&mut self.state().missing)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, file: &'static str, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.is_empty() {
            return Ok(OwnedBytes::empty());
        }
        let mut state = self.state();
        for laid in [&state.hot, &state.warm] {
            let before = laid.range(..=(file, range.start)).next_back();
            if let Some(((of, start), bytes)) = before
                && *of == file
                && start + bytes.len() >= range.end
            {
                return Ok(bytes.slice(range.start - start..range.end - start));
            }
        }
        state.missing.push((file, range));
        Err(io::Error::from(io::ErrorKind::WouldBlock))
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Handle {
    shelf: Shelf,
    file: &'static str,
    len: usize,
}

impl HasLen for Handle {
    fn len(&self) -> usize {
        self.len
    }
}

impl FileHandle for Handle {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        self.shelf.read(self.file, range)
    }
}

fn extension(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?;
    FILES.iter().find(|file| **file == extension).copied()
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "an index is only read here")
}

impl Directory for Shelf {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let gone = || OpenReadError::FileDoesNotExist(path.to_owned());
        let file = extension(path).ok_or_else(gone)?;
        let len = *self.shared.lengths.get(file).ok_or_else(gone)?;
        Ok(Arc::new(Handle { shelf: self.clone(), file, len }))
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        let held = extension(path).is_some_and(|file| self.shared.lengths.contains_key(file));
        Ok(held || path == Path::new("meta.json"))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        if path == Path::new("meta.json") {
            return Ok(self.shared.meta.clone());
        }
        Err(OpenReadError::FileDoesNotExist(path.to_owned()))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn atomic_write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

/// tantivy's `meta.json` for one segment of `sections` documents. Its name is the same in every
/// index, so that equal texts make equal files.
pub(crate) fn meta(sections: u32) -> io::Result<Vec<u8>> {
    let meta = serde_json::json!({
        "index_settings": super::schema::settings(),
        "segments": [{ "segment_id": SEGMENT, "max_doc": sections, "deletes": null }],
        "schema": super::schema::schema(),
        "opstamp": 0,
    });
    Ok(serde_json::to_vec(&meta)?)
}

const SEGMENT: &str = "00000000-0000-0000-0000-000000000000";

/// The path of a file of the one segment.
pub(crate) fn path(file: &str) -> PathBuf {
    PathBuf::from(format!("{}.{file}", SEGMENT.replace('-', "")))
}
