//! Any text in any format: sections lie in it, in order, and name lines that it has.

#![no_main]

use libfuzzer_sys::fuzz_target;
use r2vfs_index::text::{sections, titled, words};

fuzz_target!(|input: (u8, &str)| {
    let (format, text) = input;
    let key = ["a.md", "a.html", "a.csv", "a.txt", "a"][usize::from(format) % 5];
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() as u64 + 1;
    let mut end = 0;
    for section in sections(key, text) {
        assert!(section.bytes.start >= end, "sections overlap");
        assert!(section.bytes.start <= section.bytes.end);
        end = section.bytes.end;
        assert!(end <= text.len() as u64);
        assert!(section.lines.start >= 1 && section.lines.start <= section.lines.end);
        assert!(section.lines.end <= lines + 1, "{:?} of {lines} lines", section.lines);
        words(&section.body, |word| assert!(!word.text.is_empty()));
    }
    titled("a title", text);
});
