//! Any question, as typed: it is read, never refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use r2vfs_index::rank::{Question, snippet};

fuzz_target!(|input: (&str, &str)| {
    let (typed, text) = input;
    let question = Question::parse(typed);
    let shown = snippet(&question, text, 200);
    let mut end = 0;
    for mark in shown.marks {
        assert!(mark.start >= end, "marks overlap");
        end = mark.end;
        assert!(!shown.text[mark].is_empty());
    }
});
