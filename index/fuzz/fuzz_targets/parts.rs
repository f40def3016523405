//! Any bytes as the parts of a segment: each reader opens them or tells what is wrong.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use r2vfs_index::{
    Bundle, Docs, Heat, PackReader, Place,
    bundle::{BundleWriter, Memory, at_once},
    gram::GramReader,
    rank::TextReader,
};

const PARTS: [(&str, Heat); 8] = [
    ("pack", Heat::Cold),
    ("pack.dir", Heat::Hot),
    ("docs", Heat::Hot),
    ("gram.blocks", Heat::Cold),
    ("gram.lists", Heat::Cold),
    ("gram.dir", Heat::Hot),
    ("text/opening", Heat::Hot),
    ("text/articles", Heat::Hot),
];

fuzz_target!(|input: ([Vec<u8>; 8], (u32, u32, u32))| {
    let (parts, (block, offset, len)) = input;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.seg");
    let mut out = BundleWriter::create(&path).expect("a file");
    for ((name, heat), bytes) in PARTS.iter().zip(&parts) {
        out.whole(name, *heat, bytes).expect("room for a part");
    }
    let file = out.finish().expect("room for the end");
    let memory = Memory::new();
    memory.put(&file.name, std::fs::read(&path).expect("the file"));
    let bundle = at_once(Bundle::open(Arc::new(memory), file)).expect("what was written opens");
    Docs::open(&bundle).ok();
    TextReader::open(&bundle).ok();
    if let Ok(Some(grams)) = GramReader::open(&bundle) {
        at_once(grams.walk(|_, _| ())).ok();
    }
    if let Ok(Some(pack)) = PackReader::open(&bundle)
        && let Ok(text) = at_once(pack.text(Place { block, offset, len }))
    {
        assert_eq!(text.len(), len as usize);
    }
});
