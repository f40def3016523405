//! What a writer puts behind the parts: the other half of [`layout`](super::layout).

use crate::{
    bundle::{
        Heat,
        layout::{FOOTER, FORMAT, MAGIC, MAX_NAME, MAX_PARTS, PAGE},
    },
    coding::{put_bytes, put_varint},
    fault::{Fault, FaultKind, Result},
};

/// One part as a writer places it: offsets count from the start of the file for a cold one, from
/// the start of the hot bytes for a hot one.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) name: String,
    pub(super) heat: Heat,
    pub(super) start: u64,
    pub(super) len: u64,
}

/// What follows the hot parts: directory, page table, footer. Returns the footer's checksum too.
pub(super) fn end_of_file(
    parts: &[Placed],
    table: &[u32],
    cold: u64,
    hot_parts: &crc32fast::Hasher,
) -> Result<(Vec<u8>, u32)> {
    let mut end = Vec::new();
    put_varint(&mut end, parts.len() as u64);
    for part in parts {
        put_bytes(&mut end, part.name.as_bytes());
        end.push(u8::from(part.heat == Heat::Hot));
        put_varint(&mut end, part.start);
        put_varint(&mut end, part.len);
    }
    let directory = end.len();
    for check in table {
        end.extend_from_slice(&check.to_le_bytes());
    }
    let mut hot = hot_parts.clone();
    hot.update(&end);
    let (Ok(directory), Ok(pages)) = (u32::try_from(directory), u32::try_from(table.len())) else {
        return Err(Fault::new(FaultKind::Invalid, "a segment of the index would be too large"));
    };
    let mut footer = Vec::with_capacity(FOOTER);
    footer.extend_from_slice(&MAGIC);
    footer.extend_from_slice(&FORMAT.to_le_bytes());
    footer.extend_from_slice(&(PAGE as u32).to_le_bytes());
    footer.extend_from_slice(&cold.to_le_bytes());
    footer.extend_from_slice(&directory.to_le_bytes());
    footer.extend_from_slice(&pages.to_le_bytes());
    footer.extend_from_slice(&hot.finalize().to_le_bytes());
    let check = crc32fast::hash(&footer);
    footer.extend_from_slice(&check.to_le_bytes());
    end.extend_from_slice(&footer);
    Ok((end, check))
}

/// A writer refuses what a reader would.
pub(super) fn check_new_part(parts: &[Placed], name: &str) -> Result<()> {
    if parts.len() >= MAX_PARTS
        || name.is_empty()
        || name.len() > MAX_NAME
        || parts.iter().any(|part| part.name == name)
    {
        let detail =
            format!("part {name} cannot be added to a segment: too many, too long or twice");
        return Err(Fault::new(FaultKind::Invalid, detail));
    }
    Ok(())
}
