//! What a NUL does must not depend on how the bytes arrive.

use std::{
    fs,
    io::{self, Read},
};

use proptest::{collection::vec, prelude::*, sample::select};
use r2vfs::search::{
    Binary, Found, Hit, HitMode, Hits, PatternOptions, Report, SearchOptions, report::error_of,
};

use super::{cases, rg, runner};

/// A reader that answers with the given sizes, over and over.
struct Chunked<'a> {
    bytes: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Read for Chunked<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes.next().copied().unwrap_or(1).min(buf.len());
        (&mut self.bytes).take(size as u64).read(buf)
    }
}

fn search(
    options: &SearchOptions,
    explicit: bool,
    mode: HitMode,
    haystack: impl Read,
) -> (Found, Vec<Hit>) {
    let pattern = PatternOptions {
        patterns: vec!["needle".into()],
        text: options.binary == Binary::Text,
        multiline: options.multiline,
        ..Default::default()
    };
    let pattern = pattern.compile().expect("valid");
    let mut searcher = options.searcher().expect("valid");
    searcher.set_binary_detection(options.binary_detection(explicit));
    let mut chunks: Vec<Vec<Hit>> = Vec::new();
    let found = Hits { mode, ..Hits::default() }
        .search(&pattern, &mut searcher, "/x", haystack, &mut chunks)
        .expect("searched");
    (found, chunks.concat())
}

/// 200 KiB of lines of 32 bytes, a needle in every hundredth.
fn text(needles: bool) -> Vec<u8> {
    (0..6_400)
        .flat_map(|i| {
            let word = if needles && i % 100 == 0 { "needle" } else { "hay" };
            format!("{word:.<31}\n").into_bytes()
        })
        .collect()
}

/// (what it is, the bytes)
fn haystacks() -> Vec<(&'static str, Vec<u8>)> {
    let at = |offset: usize| {
        let mut bytes = text(true);
        bytes[offset] = 0;
        bytes
    };
    let mut after_match = text(false);
    after_match[..6].copy_from_slice(b"needle");
    after_match[40] = 0;
    let mut long_after = text(false);
    long_after[..6].copy_from_slice(b"needle");
    long_after[150_000] = 0;
    let early_line = [b"a\n".as_slice(), &after_match].concat();
    vec![
        ("at 0", at(0)),
        ("at 65535", at(65_535)),
        ("at 65536", at(65_536)),
        ("at 65537", at(65_537)),
        ("at 131072", at(131_072)),
        ("soon after a match", after_match),
        ("long after a match", long_after),
        ("after a line end in the first 3 bytes", early_line),
        ("nowhere", text(true)),
    ]
}

#[test]
fn chunk_sizes_change_nothing() {
    let sizes = vec(select(vec![1, 2, 3, 31, 32, 33, 4096, 65_535, 65_536, 100_000]), 1..6);
    let haystacks = haystacks();
    let strategy = (
        0..haystacks.len(),
        sizes,
        select(vec![Binary::Auto, Binary::SearchAndSuppress, Binary::Text]),
        any::<bool>(),
        any::<bool>(),
    );
    let outcome =
        runner(cases(150)).run(&strategy, |(which, sizes, binary, explicit, multiline)| {
            let options = SearchOptions { binary, multiline, ..SearchOptions::default() };
            let bytes = &haystacks[which].1;
            let whole = search(&options, explicit, HitMode::Content, bytes.as_slice());
            let chunked = Chunked { bytes, sizes: sizes.iter().cycle() };
            let got = search(&options, explicit, HitMode::Content, chunked);
            prop_assert_eq!(got, whole, "NUL {}", haystacks[which].0);
            Ok(())
        });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn a_late_nul_is_found_where_ripgrep_finds_it() {
    if !rg::present() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    for (what, bytes) in haystacks() {
        fs::write(dir.path().join("Q0"), &bytes).expect("written");
        for (explicit, flag) in
            [(false, None), (true, None), (false, Some("--binary")), (false, Some("-a"))]
        {
            let binary = match flag {
                None => Binary::Auto,
                Some("-a") => Binary::Text,
                Some(_) => Binary::SearchAndSuppress,
            };
            let options = SearchOptions { binary, ..SearchOptions::default() };
            let (found, hits) = search(&options, explicit, HitMode::Content, bytes.as_slice());
            let mut args: Vec<String> =
                ["-H", "-n", "-b", "-0", "--no-heading", "-e", "needle"].map(Into::into).into();
            args.extend(flag.map(Into::into));
            if explicit {
                args.push("Q0".into());
            }
            let out = rg::run(dir.path(), &args).expect("rg searches");
            let theirs = rg::records(&out, b'\n', false);
            let mut ours: Vec<rg::Record> = hits
                .into_iter()
                .map(|hit| rg::Record::Line {
                    file: 0,
                    matched: true,
                    line: hit.line.expect("counted"),
                    offset: hit.offset,
                    text: hit.text,
                })
                .collect();
            if let Some(offset) = found.binary_offset.filter(|_| found.matched) {
                ours.push(rg::Record::Binary { file: 0, offset });
            }
            assert_eq!(ours, theirs, "NUL {what}, explicit {explicit}, {flag:?}");
        }
    }
}

#[test]
fn counting_takes_back_what_came_before_the_nul() {
    let all = haystacks();
    let (_, late) = all.iter().find(|(what, _)| *what == "long after a match").expect("there");
    let options = SearchOptions::default();
    let (found, _) = search(&options, false, HitMode::Count, late.as_slice());
    assert_eq!((found.matched, found.lines, found.binary_offset), (false, 0, Some(150_000)));
    let (found, hits) = search(&options, false, HitMode::Content, late.as_slice());
    assert_eq!((found.matched, hits.len(), found.binary_offset), (true, 1, Some(150_000)));
    let (found, _) = search(&options, true, HitMode::Count, late.as_slice());
    assert_eq!((found.matched, found.lines, found.binary_offset), (true, 1, Some(150_000)));
}

#[test]
fn a_line_beyond_the_heap_limit_is_too_large() {
    let error = |options: &SearchOptions, bytes: &[u8]| {
        let pattern = PatternOptions {
            patterns: vec!["a\\s*b".into()],
            multiline: options.multiline,
            ..Default::default()
        };
        let pattern = pattern.compile().expect("valid");
        let mut searcher = options.searcher().expect("valid");
        let mut chunks: Vec<Vec<Hit>> = Vec::new();
        Hits::default().search(&pattern, &mut searcher, "/x", bytes, &mut chunks).map_err(error_of)
    };
    let line = SearchOptions { heap_limit: 100_000, ..SearchOptions::default() };
    let whole = SearchOptions { multiline: true, ..line.clone() };
    let long = vec![b'x'; 100_001];
    let lines = text(false);
    for (options, bytes, fits) in [
        (&line, long.as_slice(), false),
        (&line, &long[..99_999], true),
        (&line, &lines, true),
        (&whole, &lines, false),
        (&whole, &lines[..99_999], true),
    ] {
        let kind = error(options, bytes).err().map(|e| e.kind());
        assert_eq!(kind, (!fits).then_some(r2vfs::Kind::TooLarge), "{} bytes", bytes.len());
    }
}

#[test]
fn the_error_of_a_reader_comes_through() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other(r2vfs::Error::new(r2vfs::Kind::Changed, "it changed").at("/x")))
        }
    }
    let pattern = PatternOptions { patterns: vec!["a".into()], ..Default::default() };
    let mut chunks: Vec<Vec<Hit>> = Vec::new();
    let error = Hits::default()
        .search(
            &pattern.compile().expect("valid"),
            &mut SearchOptions::default().searcher().expect("valid"),
            "/x",
            b"a\n".as_slice().chain(Broken),
            &mut chunks,
        )
        .map_err(error_of)
        .expect_err("the reader fails");
    assert_eq!((error.kind(), error.path()), (r2vfs::Kind::Changed, Some("/x")));
}
