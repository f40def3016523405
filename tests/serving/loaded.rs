//! The load program in short: no times, only that every answer is right.

use std::{path::Path, time::Duration};

use super::load::{Load, run};

const SHORT: Load = Load {
    clients: 16,
    tenants: 3,
    dirs: 8,
    lines: 40,
    calls: 12,
    // Not what ends it.
    time: Duration::from_secs(600),
    deadline: Duration::from_secs(300),
    per_mille: 0,
    indexed: 1,
};

#[test]
fn many_clients_at_once_get_right_answers() {
    let home = tempfile::tempdir().expect("a directory");
    let figures = run(SHORT, Path::new(env!("CARGO_BIN_EXE_r2vfs")), home.path());
    assert!(figures.wrong.is_empty(), "{:#?}", figures.wrong);
    assert!(figures.errors.is_empty(), "{:?}", figures.errors);
    assert_eq!(figures.partial, 0);
    assert_eq!(figures.calls, 192);
}

#[test]
fn a_bucket_that_fails_makes_no_answer_wrong() {
    let home = tempfile::tempdir().expect("a directory");
    let load = Load { per_mille: 50, tenants: 1, indexed: 0, dirs: 3, ..SHORT };
    let figures = run(load, Path::new(env!("CARGO_BIN_EXE_r2vfs")), home.path());
    assert!(figures.wrong.is_empty(), "{:#?}", figures.wrong);
    let told = |kind: &str| figures.errors.get(kind).copied().unwrap_or(0);
    let known = told("forbidden") + told("unavailable") + told("deadline");
    assert_eq!(figures.errors.values().sum::<u64>(), known, "{:?}", figures.errors);
    assert!(figures.partial > 0 && told("forbidden") > 0, "{figures:?}");
    assert!(figures.bucket.1 > 15, "{:?} requests met a fault", figures.bucket);
}
