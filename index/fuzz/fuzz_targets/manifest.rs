//! Any JSON under a right checksum: a manifest that can be written again, or a fault.

#![no_main]

use libfuzzer_sys::fuzz_target;
use r2vfs_index::Manifest;

fuzz_target!(|body: &[u8]| {
    let check = format!("{:08x}", crc32fast::hash(body));
    let sealed = [b"{\"check\":\"", check.as_bytes(), b"\",\"manifest\":", body, b"}\n"].concat();
    if let Ok(manifest) = Manifest::parse(&sealed) {
        let bytes = manifest.to_bytes().expect("what was read can be written");
        assert_eq!(Manifest::parse(&bytes).expect("and read again"), manifest);
    }
    Manifest::parse(body).ok();
});
