//! Blocks that are compressed one by one.
//!
//! A stream of zstd can only be read from its start, and a length that a damaged file claims would
//! be allocated before anything else is found wrong. A block holds at most [`MAX`] bytes, names how
//! it is stored, and is decoded into exactly the room that its directory says.

use ruzstd::decoding::FrameDecoder;

use crate::fault::{Fault, FaultKind, Result};

/// Bytes of a block before it is compressed. Measured on 14.8 MB of articles (zstd level 3, and
/// this reader's decoder): 64 KiB leave 30.1 % of the text, 128 KiB 28.5 %, 256 KiB 27.4 %, all at
/// 210 to 260 MB/s; a candidate of some KiB has its whole block decoded, so the middle one.
pub const MAX: usize = 128 << 10;

/// Measured on the same text in blocks of 128 KiB: level 1 leaves 30.7 % at 316 MB/s, 3 leaves
/// 28.5 % at 237, 5 leaves 27.2 % at 101, 9 leaves 26.0 % at 42, 19 leaves 24.8 % at 2; lz4 leaves
/// 41.7 %. The full text costs some 40 ms a MB, beside which level 3 goes unnoticed.
#[cfg(feature = "build")]
const LEVEL: i32 = 3;

/// How the bytes of a block are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As they are: what does not shrink.
    Stored,
    /// One frame of zstd.
    Zstd,
}

/// Compresses block after block with one encoder.
#[cfg(feature = "build")]
pub struct Packer {
    encoder: zstd::bulk::Compressor<'static>,
}

#[cfg(feature = "build")]
impl Packer {
    /// A new encoder.
    ///
    /// # Errors
    /// [`FaultKind::Io`] when there is no memory for it.
    pub fn new() -> Result<Self> {
        Ok(Self { encoder: zstd::bulk::Compressor::new(LEVEL)? })
    }

    /// At most [`MAX`] bytes, compressed where that makes them fewer.
    ///
    /// # Errors
    /// [`FaultKind::Invalid`] for more bytes; what the encoder fails with.
    pub fn pack(&mut self, raw: &[u8]) -> Result<(Method, Vec<u8>)> {
        if raw.len() > MAX {
            return Err(Fault::new(FaultKind::Invalid, "a block of the index would be too large"));
        }
        let packed = self.encoder.compress(raw)?;
        if packed.len() < raw.len() {
            Ok((Method::Zstd, packed))
        } else {
            Ok((Method::Stored, raw.to_vec()))
        }
    }
}

#[cfg(feature = "build")]
impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

/// The `len` bytes that a block holds. Allocates no more than that and a decoder.
///
/// # Errors
/// [`FaultKind::Damaged`] when `stored` is not such a block.
pub fn unpack(method: Method, stored: &[u8], len: usize) -> Result<Vec<u8>> {
    if len > MAX {
        return Err(damaged("it claims to be larger than any"));
    }
    match method {
        Method::Stored if stored.len() == len => Ok(stored.to_vec()),
        Method::Stored => Err(damaged("its length is wrong")),
        Method::Zstd => {
            let mut decoder = FrameDecoder::new();
            // A frame's window is what the decoder allocates before it has seen a byte of it.
            decoder.set_max_window_size(2 * MAX as u64);
            let mut raw = vec![0; len];
            match decoder.decode_all(stored, &mut raw) {
                Ok(read) if read == len => Ok(raw),
                Ok(_) => Err(damaged("it is shorter than its directory says")),
                Err(error) => Err(damaged("it cannot be decompressed").because(error)),
            }
        }
    }
}

fn damaged(how: &str) -> Fault {
    Fault::new(FaultKind::Damaged, format!("a block of the index is damaged: {how}"))
}

#[cfg(test)]
#[cfg(feature = "build")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_does_not_shrink_is_stored() {
        let mut packer = Packer::new().unwrap();
        let noise: Vec<u8> =
            (0..999u64).map(|at| xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes()) as u8).collect();
        assert_eq!(packer.pack(&noise).unwrap(), (Method::Stored, noise));
        assert_eq!(packer.pack(&[]).unwrap(), (Method::Stored, Vec::new()));
        assert_eq!(packer.pack(&[7; MAX]).unwrap().0, Method::Zstd);
        assert!(packer.pack(&[7; MAX + 1]).is_err());
    }

    #[test]
    fn a_block_that_unpacks_to_more_is_refused() {
        let mut packer = Packer::new().unwrap();
        let (method, packed) = packer.pack(&[7; MAX]).unwrap();
        assert_eq!(unpack(method, &packed, MAX).unwrap(), [7; MAX]);
        assert!(unpack(method, &packed, MAX - 1).is_err());
        assert!(unpack(method, &packed, MAX + 1).is_err());
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
        assert!(unpack(Method::Zstd, &bomb, 10).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_a_block_or_a_fault(stored in any::<Vec<u8>>(), len in 0..3000usize) {
            for method in [Method::Stored, Method::Zstd] {
                if let Ok(raw) = unpack(method, &stored, len) {
                    prop_assert_eq!(raw.len(), len);
                }
            }
        }

        #[test]
        fn changed_frames_never_panic(
            text in "[a-f ]{0,400}",
            flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let (method, mut packed) = Packer::new().unwrap().pack(text.as_bytes()).unwrap();
            prop_assert_eq!(unpack(method, &packed, text.len()).unwrap(), text.as_bytes());
            for (at, flip) in flips {
                if !packed.is_empty() {
                    let at = at.index(packed.len());
                    packed[at] ^= flip;
                }
            }
            // The checksum of its page finds such a change before; here only: no panic.
            unpack(method, &packed, text.len()).ok();
        }
    }
}
