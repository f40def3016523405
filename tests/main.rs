//! Whole-program tests, one binary: linking dominates the time of many small ones.

#[cfg(feature = "cli")]
mod cli;
// Not every helper is needed by every build of the tests.
mod loopback;
mod requests;
mod workload;
#[allow(dead_code, unused_imports)]
mod support;
