//! Whole-program tests, one binary: linking dominates the time of many small ones.

#![allow(clippy::disallowed_methods, reason = "tests are programs of their own")]

#[cfg(feature = "cli")]
mod cli;
mod contract;
mod faults;
#[cfg(feature = "cli")]
mod indexed;
#[cfg(feature = "build")]
mod indexing;
mod listing;
mod loopback;
#[cfg(feature = "publish")]
mod publishing;
mod reading;
mod relisting;
mod requests;
mod scan;
mod search;
mod semantics;
mod toolset;
mod tree;
mod workload;
// Not every helper is needed by every build of the tests.
#[allow(dead_code, unused_imports)]
mod support;
