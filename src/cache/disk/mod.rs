//! Blocks on disk, so that a second command starts warm.
//!
//! Writing each block as it comes makes a reader wait for the disk and leaves a file per block;
//! keeping an index file ties all processes to one lock. [`Disk`] gathers blocks in memory and
//! writes a few MiB of them as one `segment`, by a temporary file and a rename, so that a segment
//! is there whole or not at all; each segment says itself what it holds. Processes share the
//! directory without locks: the worst they do to each other is a miss.
//!
//! Nothing is synced. After a crash a torn segment fails its checksums and is deleted.
//!
//! The disk is never a reason to fail a reader. Trouble is told once, as a notice.

#![expect(
    clippy::disallowed_methods,
    reason = "file times are the machine's own, and so is a disk"
)]

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::select;

use super::{Block, BlockKey};
use crate::platform::Platform;

mod catalog;
mod place;
mod segment;
#[cfg(test)]
mod tests;
mod waiting;

use catalog::{Catalog, Found, Location, TEMPORARY};
use place::private_dir;
use segment::{FOLDER, Fault, Finished, Writer};
use waiting::{Batch, Waiting};

/// Where the cache on disk is and how large it may be.
#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// Made, readable by its owner only, if it is not there. Several processes may share it.
    pub dir: PathBuf,
    /// Bytes, at least a few MiB to be of use. A block of less than 1 KiB counts as 1 KiB, so that
    /// what is resident for the index stays below 1/64 of the budget. A segment being written, at
    /// most 4 MiB, comes on top.
    pub budget: u64,
}

/// Bytes of blocks in one segment: 4 MiB, so that the batch being filled and the one being
/// written together hold 8 MiB of memory.
const BATCH: usize = 4 << 20;

/// How long a reader's block waits for a disk that writes more slowly than the bucket answers.
/// Then blocks are not kept on disk, and nobody waits, until the batch is written: 4 MiB in this
/// time is 20 MB/s, what a slow disk of today writes.
const PATIENCE: Duration = Duration::from_millis(200);

/// See the module's head.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    platform: Platform,
    dir: PathBuf,
    budget: u64,
    batch: usize,
    catalog: Mutex<Catalog>,
    waiting: Mutex<Waiting>,
    // Only one reader of a crowd reads a footer or the directory; the others find it done.
    looking: tokio::sync::Mutex<()>,
    // One segment is written at a time. Locked on blocking threads only.
    writing: Mutex<()>,
    /// Nothing sealed waits any more.
    written: tokio::sync::Notify,
    trouble: Mutex<Trouble>,
}

type Output = Writer<BufWriter<File>>;

#[derive(Debug, Default)]
struct Trouble {
    unreadable: bool,
    unwritable: bool,
    notice: Option<String>,
}

impl Disk {
    /// The cache in a directory. One that cannot be used answers nothing and keeps nothing.
    pub(super) fn open(options: DiskOptions, platform: Platform) -> Self {
        let DiskOptions { dir, budget } = options;
        let dir = dir.join(FOLDER);
        let made = private_dir(&dir);
        let disk = Self(Arc::new(Shared {
            platform,
            catalog: Mutex::new(Catalog::new(dir.clone())),
            dir,
            budget,
            // A small budget holds several segments too, or the newest would evict all others.
            batch: BATCH.min(usize::try_from(budget / 4).unwrap_or(BATCH)),
            waiting: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            writing: Mutex::default(),
            written: tokio::sync::Notify::new(),
            trouble: Mutex::default(),
        }));
        if let Err(error) = made {
            disk.0.trouble().unreadable = true;
            disk.0.stop_writing("cannot be used", &error);
        }
        disk
    }

    /// The blocks that are here, each in the place of its key, whose length comes with it.
    pub(super) async fn read(&self, wanted: &[(BlockKey, u64)]) -> Vec<Option<Block>> {
        let mut blocks: Vec<Option<Block>> = vec![None; wanted.len()];
        if self.0.trouble().unreadable {
            return blocks;
        }
        let mut slow = Vec::new();
        for (at, (key, len)) in wanted.iter().enumerate() {
            blocks[at] = self.0.find_waiting(key);
            if blocks[at].is_some() {
                continue;
            }
            let Some(location) = self.locate(segment::digest(key)).await else { continue };
            let record = location
                .file
                .as_ref()
                .and_then(|file| segment::read_if_in_memory(file, location.place));
            match record {
                Some(record) => blocks[at] = self.0.accept(&location.name, record, key, *len),
                None => slow.push((at, key.clone(), *len, location)),
            }
        }
        if !slow.is_empty() {
            let shared = Arc::clone(&self.0);
            let read = self.0.platform.blocking(move || {
                let read = |(at, key, len, location): (usize, BlockKey, u64, Location)| {
                    (at, shared.read(&location, &key, len))
                };
                slow.into_iter().map(read).collect::<Vec<_>>()
            });
            for (at, block) in read.await.unwrap_or_default() {
                blocks[at] = block;
            }
        }
        blocks
    }

    /// Where a block should be. Reads footers, newest first, until one names it.
    async fn locate(&self, digest: u64) -> Option<Location> {
        let first = self.0.catalog().find(digest);
        let mut step = match first {
            Found::Here(location) => return Some(location),
            Found::Absent => return None,
            Found::Load(_) | Found::Scan => {
                let looking = self.0.looking.lock().await;
                (self.0.catalog().find(digest), looking)
            }
        };
        loop {
            let shared = Arc::clone(&self.0);
            match step.0 {
                Found::Here(location) => return Some(location),
                Found::Absent => return None,
                Found::Load(names) => {
                    let load = move || {
                        for name in names {
                            let opened = catalog::load(&shared.dir, &name);
                            shared.catalog().loaded(&name, opened);
                        }
                    };
                    self.0.platform.blocking(load).await?;
                }
                Found::Scan => self.0.platform.blocking(move || shared.scan()).await?,
            }
            step.0 = self.0.catalog().find(digest);
        }
    }

    /// Keeps a block, some time soon. Waits only for a disk that is behind, and not for long.
    pub(super) async fn put(&self, key: BlockKey, block: Block) {
        let Some(len) = segment::record_len(&key, &block) else { return };
        // Counted as the budget counts it, or a batch of tiny blocks would be more than fits.
        let len = catalog::weight(len as u64, 1) as usize;
        if self.0.trouble().unwritable {
            return;
        }
        // Listened to before the look: the writer may end between the look and the waiting.
        let mut written = std::pin::pin!(self.0.written.notified());
        written.as_mut().enable();
        let (behind, late) = {
            let waiting = self.0.waiting();
            (waiting.is_behind(len, self.0.batch), waiting.late)
        };
        if behind && late {
            return;
        }
        if behind {
            select(written, self.0.platform.sleep(PATIENCE)).await;
        }
        let mut waiting = self.0.waiting();
        if waiting.is_behind(len, self.0.batch) {
            waiting.late = true;
            return;
        }
        let full = waiting.bytes + len > self.0.batch;
        if full {
            waiting.seal();
        }
        waiting.bytes += len;
        if waiting.open.insert(key, block).is_some() {
            waiting.bytes -= len;
        }
        let start = full && !std::mem::replace(&mut waiting.writing, true);
        drop(waiting);
        if start {
            // The job goes on by itself.
            drop(self.write_sealed());
        }
    }

    fn write_sealed(&self) -> crate::platform::Task<()> {
        let shared = Arc::clone(&self.0);
        self.0.platform.blocking(move || shared.write_sealed())
    }

    /// Writes all that waits.
    pub(super) async fn flush(&self) {
        self.0.waiting().seal();
        // `None`: the runtime is shutting down; `drain` has the last word.
        let _stopped: Option<()> = self.write_sealed().await;
    }

    /// Writes all that waits, in the caller's thread.
    pub(super) fn drain(&self) {
        self.0.waiting().seal();
        self.0.write_sealed();
    }

    /// Bytes of all segments, as last seen, and of the blocks that wait.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        let waiting = self.0.waiting();
        let blocks = waiting.sealed.iter().flat_map(|batch| batch.values());
        let waiting: usize = blocks.chain(waiting.open.values()).map(|b| b.bytes.len()).sum();
        self.0.catalog().bytes() + waiting as u64
    }

    /// What went wrong, once.
    pub(super) fn notice(&self) -> Option<String> {
        self.0.trouble().notice.take()
    }
}

impl Shared {
    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find_waiting(&self, key: &BlockKey) -> Option<Block> {
        let waiting = self.waiting();
        let open = waiting.open.get(key);
        open.or_else(|| waiting.sealed.iter().find_map(|batch| batch.get(key))).cloned()
    }

    fn stop_writing(&self, what: &str, error: &io::Error) {
        let mut trouble = self.trouble();
        if !trouble.unwritable {
            trouble.unwritable = true;
            // The kind alone: the text of an error may name a path of this machine.
            trouble.notice = Some(format!(
                "the disk cache {what}, so later runs start cold: {}; free space, check the \
                 directory's owner and mode, or turn the disk cache off",
                error.kind()
            ));
        }
        drop(trouble);
        *self.waiting() = Waiting::default();
        self.written.notify_waiters();
    }

    fn scan(&self) {
        match catalog::scan(&self.dir) {
            Ok(listed) => self.catalog().refresh(listed),
            Err(error) => {
                // Looked at all the same, or a reader would ask for ever.
                self.catalog().refresh(Vec::new());
                self.stop_writing("cannot be read", &error);
            }
        }
    }

    fn accept(&self, name: &Arc<str>, record: Vec<u8>, key: &BlockKey, len: u64) -> Option<Block> {
        match segment::open(record, key, len) {
            Ok(block) => block,
            Err(_) => {
                self.catalog().discard(name);
                None
            }
        }
    }

    fn read(&self, location: &Location, key: &BlockKey, len: u64) -> Option<Block> {
        let record = match &location.file {
            Some(file) => segment::read(file, location.place),
            None => File::open(self.dir.join(&*location.name))
                .and_then(|file| segment::read(&file, location.place)),
        };
        match record {
            Ok(record) => self.accept(&location.name, record, key, len),
            Err(error) => {
                self.catalog().loaded(&location.name, Err(Fault::from(error)));
                None
            }
        }
    }

    fn write_sealed(&self) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let batch = {
                let mut waiting = self.waiting();
                match waiting.sealed.front() {
                    Some(batch) => Arc::clone(batch),
                    None => {
                        (waiting.writing, waiting.late) = (false, false);
                        self.written.notify_waiters();
                        return;
                    }
                }
            };
            if let Err(error) = self.write(&batch).and_then(|()| self.merge()) {
                self.stop_writing("cannot be written", &error);
                return;
            }
            self.waiting().sealed.pop_front();
        }
    }

    fn write(&self, batch: &Batch) -> io::Result<()> {
        let mut blocks: Vec<(&BlockKey, &Block)> = batch.iter().collect();
        // Objects that are listed together are read together.
        blocks.sort_unstable_by_key(|(key, _)| *key);
        let fill = |writer: &mut Output| {
            blocks.iter().try_for_each(|(key, block)| writer.block(key, block))
        };
        self.publish(fill, &[])
    }

    /// Makes one segment of many small ones.
    fn merge(&self) -> io::Result<()> {
        let names = self.catalog().to_merge(self.batch as u64);
        if names.is_empty() {
            return Ok(());
        }
        let fill = |writer: &mut Output| {
            for name in &names {
                // One that cannot be read is gone or corrupt: its blocks are misses.
                let Ok(opened) = catalog::load(&self.dir, name) else { continue };
                for (digest, record) in opened.records() {
                    writer.record(digest, &record)?;
                }
            }
            Ok(())
        };
        self.publish(fill, &names)
    }

    /// Writes a segment in the place of others, and makes room for it. A process that is killed
    /// between the two leaves neither, which is a miss, rather than both, which is over the budget.
    fn publish(
        &self,
        fill: impl FnOnce(&mut Output) -> io::Result<()>,
        replaced: &[Arc<str>],
    ) -> io::Result<()> {
        let (file, path) =
            tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(&self.dir)?.into_parts();
        let mut writer = Writer::new(BufWriter::with_capacity(256 << 10, file))?;
        fill(&mut writer)?;
        let Finished { mut out, footer, len, name } = writer.finish()?;
        out.flush()?;
        let weight = catalog::weight(len, footer.len() as u64);
        replaced.iter().for_each(|name| self.catalog().discard(name));
        if footer.len() == 0 || weight > self.budget {
            return Ok(());
        }
        let listed = catalog::scan(&self.dir)?;
        let mut catalog = self.catalog();
        catalog.refresh(listed);
        catalog.make_room(weight, self.budget)?;
        let name = catalog::file_name(name, footer.len());
        let path = path.keep()?;
        let target = self.dir.join(&name);
        if let Err(error) = fs::rename(&path, &target) {
            catalog::remove(&path)?;
            return Err(error);
        }
        catalog.add(name.into(), len, footer, File::open(target)?);
        Ok(())
    }
}
