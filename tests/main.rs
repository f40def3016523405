//! Whole-program tests, one binary: linking dominates the time of many small ones.

#![allow(clippy::disallowed_methods, reason = "tests run where std does")]

#[cfg(feature = "cli")]
mod cli;
mod contract;
mod faults;
mod loopback;
mod requests;
mod search;
mod semantics;
mod tree;
mod workload;
// Helpers are for all tests; what one of them leaves out, the next one needs.
#[allow(dead_code, unused_imports)]
mod support;
