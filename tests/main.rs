//! Whole-program tests, one binary: linking dominates the time of many small ones.

mod tree;
