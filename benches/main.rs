//! Benchmarks: ratios measured side by side, never absolute times.

mod search;
mod tree;

criterion::criterion_group!(trees, tree::tree);
criterion::criterion_group!(searches, search::hits, search::literals);
criterion::criterion_main!(trees, searches);
