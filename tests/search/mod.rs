//! Search against ripgrep itself and against dumb models, at the level of the library.

mod binary;
pub(crate) mod differential;
mod globs;
mod rg;
mod selecting;

/// The number of random cases: a short run by default, `R2VFS_CASES` for a long one.
pub(crate) fn cases(default: u32) -> u32 {
    std::env::var("R2VFS_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// A deterministic proptest run: a failure is the same for everyone who sees it.
pub(crate) fn runner(cases: u32) -> proptest::test_runner::TestRunner {
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let seed = std::env::var("R2VFS_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(7u8);
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
}
