//! Any pattern with any flags over any bytes: where it matches, its query is satisfied.

#![no_main]

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use grep_matcher::Matcher;
use grep_regex::RegexMatcherBuilder;
use libfuzzer_sys::fuzz_target;
use r2vfs_index::gram::{Extractor, Grams, MAX_QUERY, Query, plan, plan_literal};
use regex_syntax::ParserBuilder;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    pattern: &'a str,
    flags: u8,
    document: &'a [u8],
    piece: u8,
}

fn grams_of(document: &[u8], piece: usize) -> Option<BTreeSet<u64>> {
    let mut extractor = Extractor::new();
    document.chunks(piece).for_each(|piece| extractor.feed(piece));
    match extractor.finish() {
        Grams::Distinct(grams) => Some(grams.keys().collect()),
        Grams::Dense => None,
    }
}

fn satisfied(query: &Query, grams: &BTreeSet<u64>) -> bool {
    match query {
        Query::All => true,
        Query::None => false,
        Query::Gram(gram) => grams.contains(gram),
        Query::Range(first, last) => grams.range(first..=last).next().is_some(),
        Query::And(parts) => parts.iter().all(|part| satisfied(part, grams)),
        Query::Or(parts) => parts.iter().any(|part| satisfied(part, grams)),
    }
}

fuzz_target!(|input: Input<'_>| {
    let Input { pattern, flags, document, piece } = input;
    let Some(grams) = grams_of(document, usize::from(piece).max(1)) else { return };
    assert_eq!(grams, grams_of(document, document.len().max(1)).expect("as few as before"));
    let literal = pattern.as_bytes();
    if !literal.is_empty() && document.windows(literal.len()).any(|window| window == literal) {
        assert!(satisfied(&plan_literal(literal), &grams), "the literal {pattern:?}");
    }
    let set = |bit: u8| flags & (1 << bit) != 0;
    let matcher = RegexMatcherBuilder::new()
        .case_insensitive(set(0))
        .multi_line(set(1))
        .dot_matches_new_line(set(2))
        .ignore_whitespace(set(3))
        .unicode(!set(4))
        .crlf(set(5))
        .word(set(6))
        .size_limit(1 << 18)
        .dfa_size_limit(1 << 18)
        .build(pattern);
    let hir = ParserBuilder::new()
        .utf8(false)
        .case_insensitive(set(0))
        .multi_line(set(1))
        .dot_matches_new_line(set(2))
        .ignore_whitespace(set(3))
        .unicode(!set(4))
        .crlf(set(5))
        .build()
        .parse(pattern);
    let (Ok(matcher), Ok(hir)) = (matcher, hir) else { return };
    let query = plan(&hir);
    assert!(query.size() <= MAX_QUERY);
    if matcher.is_match(document).expect("a regex cannot fail") {
        assert!(satisfied(&query, &grams), "{pattern:?} matches, but {query:?}");
    }
});
