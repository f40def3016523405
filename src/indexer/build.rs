//! Builds the segments of one batch, on a thread that may block.
//!
//! What a segment holds of an object must be what a search of the object would read, or a pattern
//! is narrowed by the wrong text: decompressed where the object says so, UTF-16 as UTF-8, and in
//! pieces where it is long. [`Builder`] reads each object once and decides which of these it is.

use std::{
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use encoding_rs_io::{DecodeReaderBytes, DecodeReaderBytesBuilder};
use r2vfs_index::{
    docs::State,
    index::Index,
    manifest::Settings,
    segment::{LongText, NewContent, NewDoc, SegmentWriter},
    store::Writer,
};
use tokio::sync::mpsc;

use super::{
    crew::Room,
    fault::told,
    fetch::{Fetched, Got, Item, ends_everything},
    report::Findings,
    shard::Shard,
    tally::Tally,
};
use crate::{
    bucket::{MAX_GET, Object},
    error::{Kind, Result},
    vfs::{Haystack, from_io},
};

/// Gets in a row that may fail: more are no coincidence, and each costs retries.
const IN_A_ROW: u64 = 64;

/// What is read at a time of an object that is too long to be held.
const PIECE: usize = 256 << 10;

/// Builds segments and commits them. Clones commit to the same index.
#[derive(Clone, Debug)]
pub(super) struct Builder {
    pub(super) dir: PathBuf,
    /// What the index held before.
    pub(super) known: Index,
    pub(super) settings: Settings,
    pub(super) room: Room,
    pub(super) shard: Option<Shard>,
    pub(super) store: Arc<Mutex<Writer>>,
    pub(super) tally: Arc<Tally>,
    pub(super) findings: Arc<Findings>,
}

/// A segment that is being written.
struct Open {
    writer: SegmentWriter,
    /// What it took in memory with its first object: its tables are made then.
    empty: usize,
    objects: u64,
    bytes: u64,
}

impl Builder {
    /// Takes what is fetched until there is no more, and commits it.
    pub(super) fn run(self, mut items: mpsc::UnboundedReceiver<Item>) -> Result<()> {
        let mut open = None;
        while let Some(item) = items.blocking_recv() {
            match item {
                Item::Object(fetched) => {
                    if let Err(error) = self.add(&mut open, *fetched) {
                        // What is sound is kept, unless keeping is what failed.
                        return match error.kind() {
                            Kind::Io => Err(error),
                            _ => self.commit(open).and(Err(error)),
                        };
                    }
                }
                Item::Commit => self.commit(open.take())?,
                Item::Over(error) => return self.commit(open).and(Err(error)),
            }
        }
        self.commit(open)
    }

    fn commit(&self, open: Option<Open>) -> Result<()> {
        let Some(Open { writer, objects, bytes, .. }) = open else { return Ok(()) };
        let mut segment = writer.finish().map_err(told)?;
        segment.shard = self.shard.map(|shard| (shard.index, shard.of));
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.commit(vec![segment], &[], None).map_err(told)?;
        self.tally.commit(objects, bytes);
        Ok(())
    }

    fn add(&self, holder: &mut Option<Open>, fetched: Fetched) -> Result<()> {
        let Fetched { entry, changed, got } = fetched;
        let (path, object) = (entry.path, entry.object);
        if changed {
            self.findings.moved();
        }
        let content = match got {
            Got::Bytes { haystack, decoded } => {
                self.findings.read();
                match content(*haystack, decoded, object.size) {
                    Ok(content) => content,
                    Err(error) if ends_everything(error.kind()) => return Err(error),
                    Err(error) => {
                        self.findings.unread(&path, &error);
                        NewContent::Unreadable
                    }
                }
            }
            Got::Archived => {
                self.findings.archived();
                if self.is_known(&object) {
                    self.tally.fetch(object.size);
                    return Ok(());
                }
                NewContent::Archived
            }
            Got::Gone => NewContent::Gone,
            Got::Failed(error) => {
                self.findings.unread(&path, &error);
                if self.findings.failed() > IN_A_ROW {
                    return Err(error);
                }
                NewContent::Unreadable
            }
        };
        let open = match holder {
            Some(open) => open,
            None => {
                let writer = SegmentWriter::create(&self.dir, self.settings, self.room.text)
                    .map_err(told)?;
                holder.insert(Open { writer, empty: 0, objects: 0, bytes: 0 })
            }
        };
        let size = object.size;
        let added = open.writer.add(NewDoc {
            key: object.key,
            etag: object.etag.0.into(),
            size,
            modified: object.modified,
            content,
        });
        added.map_err(told)?;
        open.objects += 1;
        open.bytes += size;
        self.tally.fetch(size);
        let taken = open.writer.memory();
        if open.objects == 1 {
            open.empty = taken;
        }
        let full = taken > open.empty + self.room.rest;
        if full { self.commit(holder.take()) } else { Ok(()) }
    }
}

impl Builder {
    /// Whether the index knows that this version is in an archive: a row more would say nothing.
    fn is_known(&self, object: &Object) -> bool {
        self.known.find(&object.key).is_some_and(|(_, doc)| {
            doc.state.has(State::ARCHIVED)
                && doc.is_version(&object.etag.0, object.size, object.modified)
        })
    }
}

/// What the index holds of an object of `size` stored bytes.
fn content(mut haystack: Haystack, decoded: bool, size: u64) -> Result<NewContent> {
    let head = take(&mut haystack, size.min(MAX_GET))?;
    if !is_utf16(&head) {
        return text(head, haystack, decoded);
    }
    let mut decoder = decoder(io::Cursor::new(head).chain(haystack));
    let head = take(&mut decoder, 0)?;
    text(head, decoder, true)
}

/// By its byte order mark, as a search with default options finds it out.
fn is_utf16(head: &[u8]) -> bool {
    head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff])
}

/// As grep-searcher sets it up for an encoding that is found out by itself.
fn decoder<R: Read>(bytes: R) -> DecodeReaderBytes<R, Vec<u8>> {
    DecodeReaderBytesBuilder::new()
        .utf8_passthru(true)
        .strip_bom(true)
        .bom_override(true)
        .bom_sniffing(true)
        .build(bytes)
}

/// A reader of the text, where the bytes are UTF-16.
pub(super) fn utf8(bytes: &[u8]) -> Option<impl Read> {
    is_utf16(bytes).then(|| decoder(bytes))
}

/// The same of text: its first bytes, and a reader of the rest.
fn text(head: Vec<u8>, mut rest: impl Read, decoded: bool) -> Result<NewContent> {
    if head.len() as u64 <= MAX_GET {
        let head = Bytes::from(head);
        return Ok(if decoded { NewContent::Decoded(head) } else { NewContent::Plain(head) });
    }
    let mut long = if decoded { LongText::decoded() } else { LongText::plain() };
    long.feed(&head);
    drop(head);
    let mut piece = vec![0; PIECE];
    loop {
        match rest.read(&mut piece) {
            Ok(0) => return Ok(NewContent::Long(Box::new(long))),
            Ok(read) => long.feed(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(from_io(error)),
        }
    }
}

/// The first bytes of a reader: one more than [`MAX_GET`] where there are more. `expected` is how
/// many there should be.
fn take(reader: &mut impl Read, expected: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(expected + 1).unwrap_or_default());
    reader.take(MAX_GET + 1).read_to_end(&mut bytes).map_err(from_io)?;
    Ok(bytes)
}
