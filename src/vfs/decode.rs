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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::search::report::error_of;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        encoder.write_all(text).expect("in memory");
        encoder.finish().expect("in memory")
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn decode(compression: Compression, bytes: &[u8], limit: u64) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        decoder(compression, bytes, limit).read_to_end(&mut out).map_err(error_of).map(|_| out)
    }

    fn kind(compression: Compression, bytes: &[u8], limit: u64) -> Option<Kind> {
        decode(compression, bytes, limit).err().map(|e| e.kind())
    }

    fn text() -> Vec<u8> {
        (0..60_000u32)
            .flat_map(|i| format!("{} ", i.wrapping_mul(2_654_435_761)).into_bytes())
            .collect()
    }

    #[test]
    fn all_members_and_frames_are_read() {
        let text = text();
        let twice = text.repeat(2);
        let gz = [gzip(&text), gzip(&text)].concat();
        assert_eq!(decode(Compression::Gzip, &gz, 1 << 30).ok(), Some(twice.clone()));
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        let zst = [zstd(&text), skippable, zstd(&text)].concat();
        assert_eq!(decode(Compression::Zstd, &zst, 1 << 30).ok(), Some(twice.clone()));
        assert_eq!(decode(Compression::Zstd, b"", 1).ok(), Some(Vec::new()));
    }

    #[test]
    fn what_comes_out_is_bounded() {
        let text = vec![b'a'; 1_000_000];
        for (compression, bytes) in
            [(Compression::Gzip, gzip(&text)), (Compression::Zstd, zstd(&text))]
        {
            assert_eq!(kind(compression, &bytes, 999_999), Some(Kind::TooLarge));
            assert_eq!(kind(compression, &bytes, 1_000_000), None);
        }
    }

    #[test]
    fn a_window_above_the_bound_is_refused_before_it_is_made() {
        // Magic, no single segment, window descriptor of 16 MiB (exponent 14, mantissa 0).
        let header = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 14 << 3, 0x01, 0x00, 0x00];
        assert_eq!(kind(Compression::Zstd, &header, 1 << 30), Some(Kind::TooLarge));
        let smaller = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 0x01, 0x00, 0x00];
        assert_eq!(decode(Compression::Zstd, &smaller, 1 << 30).ok(), Some(Vec::new()));
    }

    #[test]
    fn damage_is_told_wherever_it_is() {
        let text = text();
        for (compression, bytes) in
            [(Compression::Gzip, gzip(&text)), (Compression::Zstd, zstd(&text))]
        {
            for cut in [1, 5, bytes.len() / 2, bytes.len() - 1] {
                let found = kind(compression, &bytes[..cut], 1 << 30);
                assert_eq!(found, Some(Kind::Undecodable), "{compression:?} cut at {cut}");
            }
            let mut flipped = bytes.clone();
            let middle = flipped.len() / 2;
            flipped[middle] ^= 0x10;
            let found = kind(compression, &flipped, 1 << 30);
            assert_eq!(found, Some(Kind::Undecodable), "{compression:?} flipped");
        }
    }

    #[test]
    fn the_error_of_the_source_is_not_damage() {
        struct Gone;
        impl Read for Gone {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other(Error::new(Kind::Unavailable, "the server went away")))
            }
        }
        let text = text();
        for (compression, bytes) in
            [(Compression::Gzip, gzip(&text)), (Compression::Zstd, zstd(&text))]
        {
            let half = bytes[..bytes.len() / 2].chain(Gone);
            let error = decoder(compression, half, 1 << 30)
                .read_to_end(&mut Vec::new())
                .map_err(error_of)
                .expect_err("it ends early");
            assert_eq!(error.kind(), Kind::Unavailable, "{compression:?}");
        }
    }
}
