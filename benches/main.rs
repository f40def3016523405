//! Benchmarks: ratios measured side by side, never absolute times.
fn main() {}
