//! Names that nothing has yet.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

/// 32 hex digits. The standard library seeds its hash maps with 128 random bits of the system,
/// once a thread, and counts on from there; two of its hashes are as many again. A name that is
/// taken all the same is found out by creating the file.
pub(crate) fn fresh_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let process = u64::from(std::process::id());
    let half = || {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u64(count);
        hasher.write_u64(process);
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(), half())
}
