//! Patterns that want to be planned for ever.

use std::time::{Duration, Instant};

use super::{hir, query};
use crate::gram::{MAX_QUERY, plan, plan_literal};

/// What takes a few ms optimised, with room for an unoptimised build on a busy machine. Without
/// the bounds each of these takes minutes or all memory.
const SOON: Duration = Duration::from_secs(5);

#[test]
#[expect(clippy::disallowed_methods, reason = "a test has a clock")]
fn planning_is_bounded_in_time_and_size() {
    let letters: Vec<String> = ('a'..='z').map(|char| char.to_string()).collect();
    let words = |count: usize| {
        let words: Vec<String> = (0..count).map(|at| format!("word{at:05}x")).collect();
        words.join("|")
    };
    let nested =
        |open: &str, close: &str, depth: usize| open.repeat(depth) + "abc" + &close.repeat(depth);
    let patterns = [
        format!("(?:{}){{100}}", letters.join("|")),
        format!("(?:{}){{100}}", words(50)),
        words(200),
        words(20_000),
        format!("(?:{})(?:{})(?:{})", words(60), words(60), words(60)),
        nested("(?:", "){4}", 60),
        nested("(?:", ")+", 120),
        nested("(?:x|", ")", 120),
        nested("(?:ab?", "c)", 80),
        nested("(?:(?:a|bc)", "{2,3}d)", 60),
        "[ab]".repeat(2_000),
        r"\w\W\d\pL".repeat(100),
        "a.".repeat(20_000),
        "abcdefghij.".repeat(5_000),
        "x".repeat(200_000),
        "(?:a?b?c?){50}".repeat(20),
        "(?i)".to_owned() + &"straße".repeat(5_000),
        "[a-z0-9é-ü]{3}".repeat(300),
        r"(?:\p{Greek}|\p{Han}|[а-я])".repeat(300),
    ];
    for pattern in patterns {
        let shown = &pattern[..pattern.len().min(60)];
        let hir = hir(&pattern);
        let start = Instant::now();
        let query = plan(&hir);
        let took = start.elapsed();
        assert!(took < SOON, "{shown}… took {took:?}");
        assert!(query.size() <= MAX_QUERY, "{shown}… has {} grams", query.size());
    }
}

#[test]
fn a_tree_that_no_parser_allows_does_not_overflow_the_stack() {
    let mut hir = regex_syntax::hir::Hir::literal(*b"needle");
    for _ in 0..5_000 {
        hir = regex_syntax::hir::Hir::capture(regex_syntax::hir::Capture {
            index: 1,
            name: None,
            sub: Box::new(hir),
        });
    }
    plan(&hir);
}

#[test]
fn large_patterns_still_say_something() {
    assert!(!query(&"needle haystack ".repeat(1_000)).is_all());
    assert!(!plan_literal(&b"needle\xFF".repeat(100_000)).is_all());
    let words: Vec<String> = (0..40).map(|at| format!("needle{at}")).collect();
    assert!(!query(&words.join("|")).is_all());
    assert!(!query(&format!("(?:{})+ haystack", words.join("|"))).is_all());
}
