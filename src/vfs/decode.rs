//! Compressed content as plain bytes, within a bound.
//!
//! A few kilobytes of gzip can hold gigabytes, and a zstd frame may ask for any window. A
//! [`Decoder`] gives at most [`MAX_DECODED`] bytes and refuses windows above [`MAX_WINDOW`]:
//! beyond either the object is too large, which is said, instead of the process being killed.
//! Both codecs are read by pure Rust, so that a Worker can do it too.

use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use super::content::{from_io, into_io};
use crate::error::{Error, Kind};

/// The most bytes one object may decode to: 1 GiB. A bound on time, not on memory: decoded bytes
/// are never collected.
pub const MAX_DECODED: u64 = 1 << 30;

/// The largest zstd window: 16 MiB. `zstd -19` needs 8 MiB; only `--ultra` and `--long` need more.
const MAX_WINDOW: u64 = 16 << 20;

/// A compression that is undone on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// gzip, RFC 1952, any number of members.
    Gzip,
    /// Zstandard, RFC 8878, any number of frames.
    Zstd,
}

impl Codec {
    /// By the `Content-Encoding` header.
    pub fn of_encoding(value: &str) -> Option<Self> {
        match value {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// By the ending of a name.
    pub fn of_name(path: &str) -> Option<Self> {
        let (_, ending) = path.rsplit_once('.')?;
        match ending {
            "gz" | "tgz" => Some(Self::Gzip),
            "zst" | "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Whether `head` starts such a stream (RFC 1952 section 2.3.1, RFC 8878 section 3.1.1).
    pub fn starts(self, head: &[u8]) -> bool {
        match self {
            Self::Gzip => head.starts_with(&[0x1f, 0x8b]),
            Self::Zstd => head.starts_with(&ZSTD_MAGIC) || is_skippable(head),
        }
    }
}

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Bytes that hold any frame header (RFC 8878 section 3.1.1.1: 4 of magic, 2 to 14 of header).
const HEAD: usize = 18;

/// RFC 8878 section 3.1.2: magic numbers 0x184D2A50 to 0x184D2A5F.
fn is_skippable(head: &[u8]) -> bool {
    head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18]
}

/// A reader with its codecs undone.
#[derive(Debug)]
pub(super) enum Decoder<R: Read> {
    Plain(R),
    Gzip(Box<Bounded<MultiGzDecoder<R>>>),
    Zstd(Box<Bounded<ZstdFrames<R>>>),
}

impl<R: Read> Decoder<R> {
    /// `codecs` holds at most one: a store's encoding, or a name's.
    pub(super) fn stack(reader: R, codecs: &[Codec]) -> Self {
        match codecs.first() {
            None => Self::Plain(reader),
            Some(Codec::Gzip) => Self::Gzip(Box::new(Bounded::new(MultiGzDecoder::new(reader)))),
            Some(Codec::Zstd) => Self::Zstd(Box::new(Bounded::new(ZstdFrames::new(reader)))),
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buf),
            Self::Gzip(reader) => reader.read(buf),
            Self::Zstd(reader) => reader.read(buf),
        }
    }
}

/// Stops a decoder at [`MAX_DECODED`] bytes, and names its failures.
#[derive(Debug)]
pub(super) struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R> Bounded<R> {
    fn new(reader: R) -> Self {
        Self { reader, left: MAX_DECODED }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = match self.reader.read(buf) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(undecodable(error)),
        };
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => {
                let message = format!("it decodes to more than {} MiB", MAX_DECODED >> 20);
                return Err(into_io(Error::new(Kind::TooLarge, message)));
            }
        }
        Ok(n)
    }
}

/// An error of the bytes themselves; one of fetching them stays what it is.
fn undecodable(error: io::Error) -> io::Error {
    if error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
        return into_io(from_io(error));
    }
    into_io(Error::new(Kind::Undecodable, format!("the compressed data is broken: {error}")))
}

/// Frames, one after another: the zstd decoder itself stops after the first.
#[derive(Debug)]
pub(super) struct ZstdFrames<R: Read> {
    state: Frame<R>,
}

type FrameSource<R> = Chain<Cursor<Vec<u8>>, BufReader<R>>;

enum Frame<R: Read> {
    Between(BufReader<R>),
    Inside(Box<StreamingDecoder<FrameSource<R>, ruzstd::decoding::FrameDecoder>>),
    Over,
}

impl<R: Read> std::fmt::Debug for Frame<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Between(_) => "Between",
            Self::Inside(_) => "Inside",
            Self::Over => "Over",
        })
    }
}

impl<R: Read> ZstdFrames<R> {
    fn new(reader: R) -> Self {
        Self { state: Frame::Between(BufReader::new(reader)) }
    }

    /// `left` holds bytes of the next frame that were already taken out of `source`.
    fn begin(mut left: Vec<u8>, mut source: BufReader<R>) -> io::Result<Frame<R>> {
        loop {
            let wanted = HEAD.saturating_sub(left.len()) as u64;
            source.by_ref().take(wanted).read_to_end(&mut left)?;
            if left.is_empty() {
                return Ok(Frame::Over);
            }
            if !is_skippable(&left) || left.len() < 8 {
                return Self::open(left, source);
            }
            let size = u64::from(u32::from_le_bytes([left[4], left[5], left[6], left[7]]));
            let mut rest = Cursor::new(left.split_off(8)).chain(source);
            io::copy(&mut rest.by_ref().take(size), &mut io::sink())?;
            (left, source) = unread(rest);
        }
    }

    fn open(head: Vec<u8>, source: BufReader<R>) -> io::Result<Frame<R>> {
        if let Some(window) = window_size(&head)
            && window > MAX_WINDOW
        {
            let message = format!("its zstd window of {} MiB is too large", window >> 20);
            return Err(into_io(Error::new(Kind::TooLarge, message)));
        }
        let decoder = StreamingDecoder::new(Cursor::new(head).chain(source))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        Ok(Frame::Inside(Box::new(decoder)))
    }
}

/// What is left of a peeked head, and the reader behind it.
fn unread<R: Read>(source: FrameSource<R>) -> (Vec<u8>, BufReader<R>) {
    let (head, source) = source.into_inner();
    let at = usize::try_from(head.position()).unwrap_or(usize::MAX);
    let mut left = head.into_inner();
    (left.split_off(at.min(left.len())), source)
}

/// The memory that a frame asks for (RFC 8878 section 3.1.1.1.2), if `head` is a frame's.
fn window_size(head: &[u8]) -> Option<u64> {
    let descriptor = *head.strip_prefix(&ZSTD_MAGIC)?.first()?;
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        let window = u64::from(*head.get(5)?);
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + (base / 8) * (window & 7));
    }
    // The content is the window. Dictionary id, then 1, 2, 4 or 8 bytes of content size.
    let at = 5 + [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let bytes = head.get(at..at + size)?;
    let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some(if size == 2 { value + 256 } else { value })
}

impl<R: Read> Read for ZstdFrames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, Frame::Over) {
                Frame::Over => return Ok(0),
                Frame::Between(source) => self.state = Self::begin(Vec::new(), source)?,
                Frame::Inside(mut decoder) => {
                    let n = decoder.read(buf)?;
                    if n > 0 || buf.is_empty() {
                        self.state = Frame::Inside(decoder);
                        return Ok(n);
                    }
                    let (left, source) = unread(decoder.into_inner());
                    self.state = Self::begin(left, source)?;
                }
            }
        }
    }
}
