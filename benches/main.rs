//! Benchmarks: ratios measured side by side, never absolute times.

mod tree;

criterion::criterion_group!(trees, tree::tree);
criterion::criterion_main!(trees);
