//! Any bytes as a bundle whose checksums agree: what the directory says must lie in the file.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use r2vfs_index::{
    Bundle, FileRef,
    bundle::{Memory, at_once},
};

const FOOTER: usize = 40;

fuzz_target!(|input: (u16, Vec<u8>)| {
    let (hot, mut bytes) = input;
    if bytes.len() < FOOTER {
        return;
    }
    let footer = bytes.len() - FOOTER;
    let hot = usize::from(hot) % (footer + 1);
    bytes[footer..footer + 8].copy_from_slice(b"r2vfsbdl");
    bytes[footer + 8..footer + 12].copy_from_slice(&1u32.to_le_bytes());
    bytes[footer + 12..footer + 16].copy_from_slice(&(32u32 << 10).to_le_bytes());
    bytes[footer + 16..footer + 24].copy_from_slice(&(hot as u64).to_le_bytes());
    let body = crc32fast::hash(&bytes[hot..footer]);
    bytes[footer + 32..footer + 36].copy_from_slice(&body.to_le_bytes());
    let check = crc32fast::hash(&bytes[footer..footer + 36]);
    bytes[footer + 36..].copy_from_slice(&check.to_le_bytes());
    let file = FileRef {
        name: "a.seg".to_owned(),
        bytes: bytes.len() as u64,
        hot: hot as u64,
        check,
        etag: None,
    };
    let memory = Memory::new();
    memory.put(&file.name, bytes);
    let Ok(bundle) = at_once(Bundle::open(Arc::new(memory), file)) else { return };
    let names: Vec<String> = bundle.names().map(str::to_owned).collect();
    for name in names {
        let part = bundle.need(&name).expect("a part that is named is there");
        if let Ok(read) = at_once(part.read(0..part.len())) {
            assert_eq!(read.len() as u64, part.len());
        }
    }
});
