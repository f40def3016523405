//! A directory as a source.

use std::{
    collections::HashMap,
    fs::File,
    io,
    ops::Range,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use crate::{
    fault::{Fault, FaultKind, Result},
    manifest::segment_of,
    source::{BoxFuture, FileRef, Source},
};

/// Reads the files of an index in a local directory, at once and on the caller's thread. Files stay
/// open, so that one which was opened is still read after a writer has removed its name.
#[derive(Debug)]
pub struct Dir {
    path: PathBuf,
    open: Mutex<HashMap<String, Arc<File>>>,
}

impl Dir {
    /// Of this directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), open: Mutex::default() }
    }

    fn file(&self, file: &FileRef) -> Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&file.name) {
            return Ok(file.clone());
        }
        // The name comes from a manifest: no path may be in it.
        if segment_of(&file.name).is_none() {
            return Err(Fault::new(FaultKind::Damaged, "a file of the index has no proper name"));
        }
        let opened = File::open(self.path.join(&file.name)).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                let detail = format!("{} of the index is not there", file.name);
                return Fault::new(FaultKind::Missing, detail);
            }
            error.into()
        })?;
        let len = opened.metadata()?.len();
        if len != file.bytes {
            let how = if len < file.bytes { "cut short" } else { "longer than it was written" };
            let detail = format!("{} of the index is {how}", file.name);
            return Err(Fault::new(FaultKind::Damaged, detail));
        }
        let opened = Arc::new(opened);
        open.insert(file.name.clone(), opened.clone());
        Ok(opened)
    }

    fn read_now(&self, file: &FileRef, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let open = self.file(file)?;
        let len = open.metadata()?.len();
        let mut read = Vec::with_capacity(ranges.len());
        for range in ranges {
            // Before anything is allocated for it.
            let wanted = range.end.checked_sub(range.start).filter(|_| range.end <= len);
            let Some(wanted) = wanted.and_then(|wanted| usize::try_from(wanted).ok()) else {
                let detail = format!("{} of the index is cut short", file.name);
                return Err(Fault::new(FaultKind::Damaged, detail));
            };
            let mut bytes = vec![0; wanted];
            read_at(&open, &mut bytes, range.start)?;
            read.push(bytes.into());
        }
        Ok(read)
    }
}

impl Source for Dir {
    fn is_near(&self) -> bool {
        true
    }

    fn read<'a>(
        &'a self,
        file: &'a FileRef,
        ranges: &'a [Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<Bytes>>> {
        Box::pin(async move { self.read_now(file, ranges) })
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                at += read as u64;
            }
        }
    }
    Ok(())
}
