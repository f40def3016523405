use super::*;
use crate::search::{PatternOptions, SearchOptions};

fn search(hits: Hits, pattern: &str, options: SearchOptions, text: &[u8]) -> Vec<Vec<Hit>> {
    let pattern = PatternOptions {
        patterns: vec![pattern.to_owned()],
        multiline: options.multiline,
        ..PatternOptions::default()
    };
    let mut chunks = Vec::new();
    let mut hits = hits;
    hits.search(
        &pattern.compile().expect("valid"),
        &mut options.searcher().expect("valid"),
        "/x",
        text,
        &mut chunks,
    )
    .expect("searched");
    chunks
}

#[test]
fn a_long_line_is_cut_round_its_first_match() {
    let text = format!("{}needle{}", "é".repeat(500), "ü".repeat(500));
    let hits = Hits { max_line_bytes: Some(41), ..Hits::default() };
    let chunks = search(hits, "needle", SearchOptions::default(), text.as_bytes());
    let [hit] = chunks[0].as_slice() else { panic!("{chunks:?}") };
    let shown = std::str::from_utf8(&hit.text).expect("cut between characters");
    assert!(hit.cut && hit.text.len() <= 41, "{shown}");
    assert_eq!(&hit.text[hit.submatches[0].clone()], b"needle");
    let at = usize::try_from(hit.offset).expect("small");
    assert_eq!(&text.as_bytes()[at..at + hit.text.len()], hit.text);
}

#[test]
fn a_cut_keeps_the_beginning_when_that_holds_the_match() {
    let hits = Hits { max_line_bytes: Some(8), ..Hits::default() };
    let chunks = search(hits, "b|y", SearchOptions::default(), b"ab456789xyz\n");
    let [hit] = chunks[0].as_slice() else { panic!("{chunks:?}") };
    assert_eq!((hit.text.as_slice(), hit.offset, hit.cut), (&b"ab456789"[..], 0, true));
    assert_eq!(hit.submatches, [1..2], "the match beyond the cut is not marked");
}

#[test]
fn matches_of_a_line_are_bounded_and_still_counted() {
    let text = vec![b'a'; MAX_SUBMATCHES + 5];
    let chunks = search(Hits::default(), "a", SearchOptions::default(), &text);
    assert_eq!(chunks[0][0].submatches.len(), MAX_SUBMATCHES);
}

#[test]
fn only_matching_names_the_line_in_which_a_match_begins() {
    let hits = Hits { only_matching: true, ..Hits::default() };
    let options = SearchOptions { multiline: true, ..SearchOptions::default() };
    let chunks = search(hits, r"a\nb|c", options, b"x\nxa\nb c\nc\n");
    let got: Vec<_> = chunks[0].iter().map(|h| (h.line, h.offset, h.text.as_slice())).collect();
    assert_eq!(got, [(Some(2), 3, &b"a\nb"[..]), (Some(3), 7, &b"c"[..]), (Some(4), 9, &b"c"[..])]);
}

#[test]
fn chunks_are_given_as_they_fill() {
    let text = "needle\n".repeat(10_000);
    let chunks = search(Hits::default(), "needle", SearchOptions::default(), text.as_bytes());
    assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), 10_000);
    assert!(chunks.len() > 10, "{}", chunks.len());
    for chunk in &chunks {
        let bytes: usize = chunk.iter().map(Hit::bytes).sum();
        assert!(bytes < CHUNK + 1_000, "{bytes}");
    }
}

#[test]
fn the_run_of_matches_ends_at_the_first_line_without() {
    let options = SearchOptions { stop_on_nonmatch: true, ..SearchOptions::default() };
    let chunks = search(Hits::default(), "a", options, b"x\na1\na2\nx\na3\n");
    let lines: Vec<_> = chunks[0].iter().map(|h| h.line).collect();
    assert_eq!(lines, [Some(2), Some(3)]);
}

#[test]
fn an_output_that_refuses_stops_the_search() {
    struct Full(usize);
    impl Output<Vec<Hit>> for Full {
        fn give(&mut self, _: Vec<Hit>, _: usize) -> io::Result<()> {
            self.0 += 1;
            Err(io::Error::other("full"))
        }
    }
    let pattern = PatternOptions { patterns: vec!["a".into()], ..PatternOptions::default() };
    let mut full = Full(0);
    let outcome = Hits::default().search(
        &pattern.compile().expect("valid"),
        &mut SearchOptions::default().searcher().expect("valid"),
        "/x",
        "a\n".repeat(100_000).as_bytes(),
        &mut full,
    );
    assert_eq!(outcome.expect_err("stopped").to_string(), "full");
    assert_eq!(full.0, 1);
}
