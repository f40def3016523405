//! One row of the table.
//!
//! ```text
//! shared key bytes · other key bytes · header · ETag · flags · size
//! · modified · NUL · block · offset · length · lines      (each only where the header says so)
//! ```
//!
//! Times and places are told as the difference from the row before: what was uploaded together was
//! modified together, and lies together in the pack.

#[cfg(feature = "build")]
use crate::coding::{put_bytes, put_varint, zigzag};
use crate::{
    coding::{Decoder, unzigzag},
    docs::{Doc, MAX_KEY, Place, State, etag},
    fault::Result,
};

const ETAG: u8 = 0b11;
const MODIFIED: u8 = 1 << 2;
const NUL: u8 = 1 << 3;
const PLACE: u8 = 1 << 4;
/// The text in the pack is as long as the object.
const WHOLE: u8 = 1 << 5;
const LINES: u8 = 1 << 6;

/// What the next row is told by difference from.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    pub(super) key: String,
    modified: i64,
    place: Option<Place>,
}

impl Before {
    /// At the start of a group nothing came before.
    pub(super) fn clear(&mut self) {
        self.key.clear();
        self.modified = 0;
        self.place = None;
    }
}

/// Appends `doc`, whose key is greater than the one before.
#[cfg(feature = "build")]
pub(super) fn put(out: &mut Vec<u8>, doc: &Doc, before: &mut Before) {
    let shared = shared(&before.key, &doc.key);
    put_varint(out, shared as u64);
    put_bytes(out, &doc.key.as_bytes()[shared..]);
    let header = out.len();
    out.push(0);
    let mut flags = etag::put(out, &doc.etag);
    put_varint(out, u64::from(doc.state.bits()));
    put_varint(out, doc.size);
    if let Some(modified) = doc.modified {
        flags |= MODIFIED;
        put_varint(out, zigzag(modified.wrapping_sub(before.modified)));
        before.modified = modified;
    }
    if let Some(nul) = doc.nul {
        flags |= NUL;
        put_varint(out, nul);
    }
    if let Some(place) = doc.place {
        flags |= PLACE;
        let last = before.place.unwrap_or(Place { block: 0, offset: 0, len: 0 });
        put_varint(out, zigzag(i64::from(place.block) - i64::from(last.block)));
        // Nearly always it follows the last one.
        let follows =
            last.block == place.block && last.offset.checked_add(last.len) == Some(place.offset);
        put_varint(out, if follows { 0 } else { u64::from(place.offset) + 1 });
        if u64::from(place.len) == doc.size {
            flags |= WHOLE;
        } else {
            put_varint(out, u64::from(place.len));
        }
        before.place = Some(place);
    }
    if let Some(lines) = doc.lines {
        flags |= LINES;
        put_varint(out, lines);
    }
    out[header] = flags;
    before.key.clone_from(&doc.key);
}

/// Reads the key of the next row into `before` and returns the row's header.
fn key(decoder: &mut Decoder<'_>, before: &mut Before) -> Result<u8> {
    let shared = decoder.varint()?;
    let rest = decoder.str()?;
    let shared = usize::try_from(shared)
        .ok()
        .filter(|shared| before.key.is_char_boundary(*shared) && shared + rest.len() <= MAX_KEY);
    let Some(shared) = shared else {
        return Err(decoder.damaged("a key shares more than there is"));
    };
    before.key.truncate(shared);
    before.key.push_str(rest);
    decoder.byte()
}

/// Reads a row past its key.
pub(super) fn get(decoder: &mut Decoder<'_>, before: &mut Before) -> Result<Doc> {
    let header = key(decoder, before)?;
    let etag = etag::get(decoder, header & ETAG)?;
    let bits = u16::try_from(decoder.varint()?).ok();
    let Some(state) = bits.and_then(State::from_bits) else {
        return Err(decoder.damaged("a document has an unknown flag"));
    };
    let size = decoder.varint()?;
    let modified = match header & MODIFIED {
        0 => None,
        _ => {
            before.modified = before.modified.wrapping_add(unzigzag(decoder.varint()?));
            Some(before.modified)
        }
    };
    let nul = if header & NUL == 0 { None } else { Some(decoder.varint()?) };
    let place =
        if header & PLACE == 0 { None } else { Some(place(decoder, header, size, before)?) };
    let lines = if header & LINES == 0 { None } else { Some(decoder.varint()?) };
    if state.has(State::PACKED) != place.is_some() {
        return Err(decoder.damaged("a document is packed nowhere, or somewhere and not packed"));
    }
    Ok(Doc { key: before.key.clone(), etag, size, modified, state, nul, place, lines })
}

fn place(decoder: &mut Decoder<'_>, header: u8, size: u64, before: &mut Before) -> Result<Place> {
    let last = before.place.unwrap_or(Place { block: 0, offset: 0, len: 0 });
    let block = i64::from(last.block).checked_add(unzigzag(decoder.varint()?));
    let offset = match decoder.varint()? {
        0 => u64::from(last.offset) + u64::from(last.len),
        offset => offset - 1,
    };
    let len = if header & WHOLE == 0 { decoder.varint()? } else { size };
    let block = block.and_then(|block| u32::try_from(block).ok());
    let (Some(block), Ok(offset), Ok(len)) = (block, u32::try_from(offset), u32::try_from(len))
    else {
        return Err(decoder.damaged("a document has an impossible place"));
    };
    let place = Place { block, offset, len };
    before.place = Some(place);
    Ok(place)
}

/// Reads only the key of the next row, into `before`. What the rows behind it are told by
/// difference from is lost, so no [`get`] may follow in this group.
pub(super) fn skip(decoder: &mut Decoder<'_>, before: &mut Before) -> Result<()> {
    let header = key(decoder, before)?;
    etag::skip(decoder, header & ETAG)?;
    let place = if header & PLACE == 0 { 0 } else { 3 - usize::from(header & WHOLE != 0) };
    let others = [MODIFIED, NUL, LINES].iter().filter(|flag| header & **flag != 0).count();
    for _ in 0..2 + place + others {
        decoder.varint()?;
    }
    Ok(())
}

/// How many bytes two keys share at their start, to a whole character.
#[cfg(feature = "build")]
fn shared(left: &str, right: &str) -> usize {
    let bytes = left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count();
    (0..=bytes).rev().find(|at| right.is_char_boundary(*at)).unwrap_or(0)
}
