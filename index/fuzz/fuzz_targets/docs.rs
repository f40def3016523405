//! Any bytes as a documents table: a table whose lookups agree with its rows, or a fault.

#![no_main]

use libfuzzer_sys::fuzz_target;
use r2vfs_index::Docs;

fuzz_target!(|bytes: &[u8]| {
    let Ok(docs) = Docs::parse(bytes) else { return };
    let mut count = 0;
    for (number, doc) in &docs {
        assert_eq!(number, count);
        assert_eq!(docs.find(&doc.key).map(|(number, _)| number), Some(number));
        count += 1;
    }
    assert_eq!(count, docs.len());
});
