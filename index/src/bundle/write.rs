//! Writes a bundle.
//!
//! Cold parts stream into the file as they come; hot ones wait in memory, since they must lie
//! behind the last cold one. Nothing is readable before [`BundleWriter::finish`] has written the
//! footer and the disk has it.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{
    bundle::{
        Heat,
        ending::{Placed, check_new_part, end_of_file},
        layout::PAGE,
    },
    fault::{Fault, FaultKind, Result},
    source::FileRef,
};

/// Bytes that gather before the file is written to.
const BUFFER: usize = 256 << 10;

/// Makes one file of parts. Dropped before it is finished, it takes the file away.
#[derive(Debug)]
pub struct BundleWriter {
    out: BufWriter<File>,
    path: PathBuf,
    name: String,
    parts: Vec<Placed>,
    hot: Vec<u8>,
    /// Bytes of cold parts so far, of which the last page is not in `table` yet.
    cold: u64,
    page: crc32fast::Hasher,
    table: Vec<u32>,
    failed: bool,
    finished: bool,
}

impl BundleWriter {
    /// Begins the file, which must not exist.
    ///
    /// # Errors
    /// [`FaultKind::Invalid`] for a path whose last part is no plain name, [`FaultKind::Io`] when
    /// the file is there or cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            Fault::new(FaultKind::Invalid, "a file of the index needs a plain name")
        })?;
        let name = name.to_owned();
        let file = File::create_new(path)?;
        Ok(Self {
            out: BufWriter::with_capacity(BUFFER, file),
            path: path.to_owned(),
            name,
            parts: Vec::new(),
            hot: Vec::new(),
            cold: 0,
            page: crc32fast::Hasher::new(),
            table: Vec::new(),
            failed: false,
            finished: false,
        })
    }

    /// Begins a part, which ends when the next one begins.
    ///
    /// # Errors
    /// [`FaultKind::Invalid`] when there is one of that name, or too many.
    pub fn part(&mut self, name: &str, heat: Heat) -> Result<PartWriter<'_>> {
        check_new_part(&self.parts, name)?;
        let start = match heat {
            Heat::Cold => self.cold,
            Heat::Hot => self.hot.len() as u64,
        };
        self.parts.push(Placed { name: name.to_owned(), heat, start, len: 0 });
        Ok(PartWriter { bundle: self, heat })
    }

    /// Goes on with the part that was begun last.
    ///
    /// # Errors
    /// [`FaultKind::Invalid`] when there is none.
    pub fn last_part(&mut self) -> Result<PartWriter<'_>> {
        let Some(last) = self.parts.last() else {
            return Err(Fault::new(FaultKind::Invalid, "no part of the segment was begun"));
        };
        let heat = last.heat;
        Ok(PartWriter { bundle: self, heat })
    }

    /// Writes a whole part.
    ///
    /// # Errors
    /// As [`BundleWriter::part`], and what writing fails with.
    pub fn whole(&mut self, name: &str, heat: Heat, bytes: &[u8]) -> Result<()> {
        self.part(name, heat)?.write_all(bytes)?;
        Ok(())
    }

    /// Where the file lies: what has to wait on disk finds room there if the file does.
    pub fn dir(&self) -> &Path {
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        dir.unwrap_or(Path::new("."))
    }

    /// The names and lengths of the parts so far.
    pub fn parts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.parts.iter().map(|part| (&*part.name, part.len))
    }

    /// Bytes of hot parts that wait in memory.
    pub fn hot_bytes(&self) -> usize {
        self.hot.len()
    }

    /// Ends the file and waits until the disk has it. Its directory is the caller's to sync.
    ///
    /// # Errors
    /// What writing fails with; also after a write to a part has failed.
    pub fn finish(mut self) -> Result<FileRef> {
        if self.failed {
            return Err(Fault::new(FaultKind::Io, "a segment could not be written in full"));
        }
        if !self.cold.is_multiple_of(PAGE) {
            self.table.push(std::mem::take(&mut self.page).finalize());
        }
        let mut hot_check = crc32fast::Hasher::new();
        hot_check.update(&self.hot);
        let (end, check) = end_of_file(&self.parts, &self.table, self.cold, &hot_check)?;
        self.out.write_all(&self.hot)?;
        self.out.write_all(&end)?;
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        self.finished = true;
        Ok(FileRef {
            name: std::mem::take(&mut self.name),
            bytes: self.cold + self.hot.len() as u64 + end.len() as u64,
            hot: self.cold,
            check,
            etag: None,
        })
    }

    fn write_cold(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        while !bytes.is_empty() {
            let room = (PAGE - self.cold % PAGE) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.page.update(now);
            self.cold += now.len() as u64;
            if self.cold.is_multiple_of(PAGE) {
                self.table.push(std::mem::take(&mut self.page).finalize());
            }
            bytes = later;
        }
        Ok(())
    }
}

impl Drop for BundleWriter {
    fn drop(&mut self) {
        if !self.finished {
            // On a full disk half a segment is in the way. Where removing fails too, the next
            // writer to lock the directory removes what no manifest names.
            std::fs::remove_file(&self.path).ok();
        }
    }
}

/// Appends to the part that was begun last.
#[derive(Debug)]
pub struct PartWriter<'a> {
    bundle: &'a mut BundleWriter,
    heat: Heat,
}

impl Write for PartWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.heat {
            Heat::Hot => self.bundle.hot.extend_from_slice(bytes),
            Heat::Cold => {
                if let Err(error) = self.bundle.write_cold(bytes) {
                    self.bundle.failed = true;
                    return Err(error);
                }
            }
        }
        if let Some(part) = self.bundle.parts.last_mut() {
            part.len += bytes.len() as u64;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
