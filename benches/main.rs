//! Benchmarks: ratios measured side by side, never absolute times.

#![allow(clippy::disallowed_methods, reason = "a program of its own")]

mod cached;
mod search;
// The benchmarks need a part of what the tests need.
#[allow(dead_code, unused_imports)]
#[path = "../tests/support/mod.rs"]
mod support;
mod tree;

criterion::criterion_group!(trees, tree::tree);
criterion::criterion_group!(searches, search::hits, search::literals);
criterion::criterion_group!(caches, cached::cached);
criterion::criterion_main!(trees, searches, caches);
