//! ETags in few bytes: nearly all are an MD5 in hex, which takes 32 bytes where 16 say it.

#[cfg(feature = "build")]
use crate::coding::{put_bytes, put_varint};
use crate::{coding::Decoder, docs::MAX_ETAG, fault::Result};

/// How an ETag is stored: two bits of a row's header.
#[cfg(feature = "build")]
pub(super) const TEXT: u8 = 0;
pub(super) const MD5: u8 = 1;
/// An MD5, `-`, and the number of parts of a multipart upload.
pub(super) const PARTS: u8 = 2;
/// Nothing, of a document that is gone.
pub(super) const EMPTY: u8 = 3;

/// Appends `etag` and returns how it was stored.
#[cfg(feature = "build")]
pub(super) fn put(out: &mut Vec<u8>, etag: &str) -> u8 {
    if etag.is_empty() {
        return EMPTY;
    }
    if let Some(md5) = from_hex(etag.as_bytes()) {
        out.extend_from_slice(&md5);
        return MD5;
    }
    if let Some((hex, parts)) = etag.split_once('-')
        && let (Some(md5), Ok(count)) = (from_hex(hex.as_bytes()), parts.parse::<u64>())
        // `+7` and `007` are numbers too, and another ETag than `7`.
        && count.to_string() == parts
    {
        out.extend_from_slice(&md5);
        put_varint(out, count);
        return PARTS;
    }
    put_bytes(out, etag.as_bytes());
    TEXT
}

/// Undoes [`put`].
pub(super) fn get(decoder: &mut Decoder<'_>, kind: u8) -> Result<String> {
    match kind {
        EMPTY => Ok(String::new()),
        MD5 => Ok(to_hex(&decoder.array::<16>()?)),
        PARTS => {
            let mut text = to_hex(&decoder.array::<16>()?);
            text.push('-');
            text.push_str(&decoder.varint()?.to_string());
            Ok(text)
        }
        _ => {
            let text = decoder.str()?;
            if text.len() > MAX_ETAG {
                return Err(decoder.damaged("an ETag is too long"));
            }
            Ok(text.to_owned())
        }
    }
}

/// Skips what [`get`] reads.
pub(super) fn skip(decoder: &mut Decoder<'_>, kind: u8) -> Result<()> {
    match kind {
        EMPTY => {}
        MD5 => {
            decoder.array::<16>()?;
        }
        PARTS => {
            decoder.array::<16>()?;
            decoder.varint()?;
        }
        _ => {
            decoder.bytes()?;
        }
    }
    Ok(())
}

#[cfg(feature = "build")]
fn from_hex(text: &[u8]) -> Option<[u8; 16]> {
    let (pairs, rest) = text.as_chunks::<2>();
    let pairs: &[[u8; 2]; 16] = pairs.try_into().ok().filter(|_| rest.is_empty())?;
    let mut bytes = [0; 16];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Lower case only, so that what comes back is what was put.
#[cfg(feature = "build")]
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn to_hex(bytes: &[u8; 16]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}
