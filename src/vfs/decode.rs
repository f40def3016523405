//! gzip and zstd as they arrive.
//!
//! The decoders at hand stop at the end of the first member or frame, take any window a header
//! asks for, and turn an error of the network into "corrupt data". [`decoder`] reads all
//! members and frames, verifies their checksums, bounds what comes out and what is held, and
//! gives the reader's own error back.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

use crate::error::{Error, Kind};

/// The most bytes one object may decode to: 1 GiB. A bound on time, not on memory: decoded bytes
/// are never collected.
pub const MAX_DECODED: u64 = 1 << 30;

/// The largest window a zstd frame may ask for: 8 MiB, what RFC 8878 (3.1.1.1.2) wants every
/// decoder to support and `zstd` uses up to level 19.
const MAX_WINDOW: u64 = 8 << 20;

/// How the bytes of an object are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames, skippable ones included.
    Zstd,
}

impl Compression {
    /// By the `Content-Encoding` header.
    pub fn of_encoding(value: &str) -> Option<Self> {
        match value {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Whether `head` starts such data (RFC 1952 section 2.3.1; RFC 8878 sections 3.1.1 and
    /// 3.1.2, skippable frames included).
    pub fn starts(self, head: &[u8]) -> bool {
        match self {
            Self::Gzip => head.starts_with(&[0x1f, 0x8b]),
            Self::Zstd => {
                head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
                    || head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18]
            }
        }
    }

    /// By the ending of a file's name, as `-z` decides.
    pub fn of_path(path: &str) -> Option<Self> {
        match path.rsplit_once('.')?.1 {
            "gz" | "tgz" => Some(Self::Gzip),
            "zst" | "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The decompressed bytes of `source`, at most `limit` of them.
///
/// Its errors hold a crate error: [`Kind::TooLarge`] beyond the limit, [`Kind::Undecodable`] for
/// damaged or cut data; those of `source` come through as they are.
pub(super) fn decoder<R: Read>(compression: Compression, source: R, limit: u64) -> Decoder<R> {
    let source = Source { source, failed: None };
    let inner = match compression {
        Compression::Gzip => Inner::Gzip(Box::new(MultiGzDecoder::new(source))),
        Compression::Zstd => {
            let mut decoder = FrameDecoder::new();
            decoder.set_max_window_size(MAX_WINDOW);
            Inner::Zstd(Box::new(Frames { source, decoder, inside: false }))
        }
    };
    Decoder { inner, left: limit }
}

/// See [`decoder`].
pub struct Decoder<R: Read> {
    inner: Inner<R>,
    left: u64,
}

enum Inner<R: Read> {
    Gzip(Box<MultiGzDecoder<Source<R>>>),
    Zstd(Box<Frames<R>>),
}

/// Keeps the reader's error, which the decoders would wrap beyond recognition.
struct Source<R> {
    source: R,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.source.read(buf).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(error);
            }
            kind.into()
        })
    }
}

impl<R: Read> std::fmt::Debug for Decoder<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (result, failed) = match &mut self.inner {
            Inner::Gzip(gzip) => (gzip.read(buf), &mut gzip.get_mut().failed),
            Inner::Zstd(frames) => (frames.read(buf), &mut frames.source.failed),
        };
        let count = result.map_err(|error| match failed.take() {
            Some(own) => own,
            None if error.kind() == io::ErrorKind::Interrupted => error,
            None if error.get_ref().is_some_and(|e| e.is::<Error>()) => error,
            None => io::Error::other(
                Error::new(Kind::Undecodable, "the compressed data is damaged or cut short")
                    .hint("read it without decoding, or store it anew")
                    .because(error),
            ),
        })?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::other(
                Error::new(Kind::TooLarge, "the data decompresses to more than the limit")
                    .hint("read it without decoding"),
            )
        })?;
        Ok(count)
    }
}

/// A run of zstd frames.
struct Frames<R> {
    source: Source<R>,
    decoder: FrameDecoder,
    /// Whether a frame was opened and not yet read to its end.
    inside: bool,
}

impl<R: Read> Frames<R> {
    /// Opens the next frame; `false` at the end of the source.
    fn open(&mut self) -> io::Result<bool> {
        loop {
            let mut first = [0];
            // One byte decides between a clean end and another frame.
            loop {
                match self.source.read(&mut first) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(0) => return Ok(false),
                    Ok(_) => break,
                    Err(error) => return Err(error),
                }
            }
            match self.decoder.init(first.as_slice().chain(&mut self.source)) {
                Ok(()) => {
                    self.inside = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let mut skipped = (&mut self.source).take(length);
                    if io::copy(&mut skipped, &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(FrameDecoderError::WindowSizeTooBig { .. }) => {
                    return Err(io::Error::other(
                        Error::new(Kind::TooLarge, "the zstd data needs a window above 8 MiB")
                            .hint("compress it at level 19 or below, without --long"),
                    ));
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    /// Checks a frame that was read to its end.
    fn close(&mut self) -> io::Result<()> {
        self.inside = false;
        let stored = self.decoder.get_checksum_from_data();
        if stored.is_some() && stored != self.decoder.get_calculated_checksum() {
            return Err(io::Error::other("a zstd frame's checksum does not fit"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.inside && !self.open()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
            match self.decoder.read(buf)? {
                0 => self.close()?,
                count => return Ok(count),
            }
        }
    }
}
