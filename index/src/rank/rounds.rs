//! Synchronous steps over bytes in memory, with what they miss fetched in between.
//!
//! Tantivy's readers cannot wait, and they believe their bytes: a checksum keeps damage from them,
//! but what somebody wrote on purpose they meet with a panic, which must not end a server.
//! [`until`] runs a step again when what it missed has come, and [`guarded`] makes its panic a
//! fault of the index, which whoever asked answers by doing without.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::reader::TextReader;
use crate::{
    bundle::{Heat, Held, Part, fetch},
    fault::{Fault, FaultKind, Result},
};

/// A step that misses bytes after so many rounds will never have them all.
const MAX_ROUNDS: usize = 6;

/// Two ranges with at most this between them are read as one: what comes in the time of a request
/// (30 ms at some 50 MB/s).
const GAP: u64 = 1 << 20;

/// Bytes of a segment's full text that are read whole, in one get: those of some 18 MB of text.
const WHOLE: u64 = 8 << 20;

/// The small full texts, all of each, where a request costs more than its bytes: the first
/// question takes one round instead of three, and the next none.
pub(super) async fn whole(readers: &[TextReader]) -> Result<Held> {
    let mut wanted = Vec::new();
    for reader in readers {
        let parts = || reader.parts().filter(|part| part.heat() == Heat::Cold);
        let bytes = parts().map(Part::len).fold(0, u64::saturating_add);
        let whole = parts().next().is_some_and(|part| part.bundle().is_read_whole(bytes, WHOLE));
        wanted.extend(parts().filter(|_| whole).map(|part| (part.clone(), 0..part.len())));
    }
    fetch(&wanted, GAP).await
}

/// Runs a step until nothing it needs is missing, fetching what is in one round for all segments.
pub(super) async fn until<T>(
    readers: &[TextReader],
    mut step: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    for _ in 0..MAX_ROUNDS {
        if let Some(done) = guarded(&mut step)? {
            return Ok(done);
        }
        fetch_missing(readers).await?;
    }
    Err(Fault::new(FaultKind::Damaged, "the full text of the index asks for more and more"))
}

/// Runs what reads by tantivy. What it leaves behind when it panics is what it only read.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(Fault::new(FaultKind::Damaged, "the full text of the index makes no sense"))
    })
}

async fn fetch_missing(readers: &[TextReader]) -> Result<()> {
    let mut missing = Vec::new();
    for reader in readers {
        for (wanted, part) in reader.missing() {
            missing.push((reader, wanted, part));
        }
    }
    let ranges: Vec<(Part, Range<u64>)> = missing
        .iter()
        .map(|(_, wanted, part)| (part.clone(), wanted.1.start as u64..wanted.1.end as u64))
        .collect();
    let held = fetch(&ranges, GAP).await?;
    for ((reader, wanted, part), (_, range)) in missing.iter().zip(&ranges) {
        if let Some(bytes) = part.get(range.clone())? {
            reader.lay(wanted, &bytes);
        }
    }
    drop(held);
    Ok(())
}
