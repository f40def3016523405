//! Grep over bytes in memory: what [`Hits`] adds to the grep crates alone, and from how many
//! fixed strings Aho-Corasick pays.

use std::{hint::black_box, io};

use criterion::{BenchmarkId, Criterion, Throughput};
use grep_matcher::{LineTerminator, Matcher};
use grep_regex::RegexMatcherBuilder;
use grep_searcher::{Searcher, Sink, SinkMatch};
use r2vfs::search::{Hit, HitMode, Hits, LiteralMatcher, PatternOptions, Report, SearchOptions};

/// Counts what the searcher finds: the least that any report must do.
struct Counter(u64);

impl Sink for Counter {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        self.0 += found.lines().count() as u64;
        Ok(true)
    }
}

/// 500 files of 8 KiB out of a vocabulary of 20,000 words, the same on every machine.
fn files() -> Vec<Vec<u8>> {
    let mut state = 7u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    let mut file = || {
        let mut text = Vec::new();
        while text.len() < 8 << 10 {
            // Few words are frequent, as in prose.
            let rank = next(20_000) * next(20_000) / 20_000;
            text.extend_from_slice(word(rank).as_bytes());
            text.push(if next(10) == 0 { b'\n' } else { b' ' });
        }
        text
    };
    (0..500).map(|_| file()).collect()
}

fn word(rank: u64) -> String {
    let syllables = ["ta", "re", "in", "so", "ment", "li", "o", "ker", "va", "st"];
    let mut rest = rank + 10;
    let mut word = String::new();
    while rest > 0 {
        word += syllables[(rest % 10) as usize];
        rest /= 10;
    }
    word
}

fn alone(matcher: &impl Matcher, searcher: &mut Searcher, files: &[Vec<u8>]) -> u64 {
    let mut counter = Counter(0);
    for file in files {
        let outcome = searcher.search_reader(matcher, file.as_slice(), &mut counter);
        outcome.expect("bytes in memory can be searched");
    }
    counter.0
}

pub(crate) fn hits(criterion: &mut Criterion) {
    let files = files();
    let bytes = files.iter().map(|f| f.len() as u64).sum();
    let mut group = criterion.benchmark_group("grep");
    group.throughput(Throughput::Bytes(bytes)).sample_size(20);
    let words = ["zzzz".to_owned(), word(15_000), word(3), r"\w+ment\s".to_owned()];
    for (name, pattern) in ["none", "rare", "frequent", "regex"].iter().zip(words) {
        let options = PatternOptions { patterns: vec![pattern], ..PatternOptions::default() };
        let mut builder = RegexMatcherBuilder::new();
        builder.multi_line(true).line_terminator(Some(b'\n')).ban_byte(Some(0));
        let matcher = builder.build_many(&options.patterns).expect("valid");
        let compiled = options.compile().expect("valid");
        let mut searcher = SearchOptions::default().searcher().expect("valid");
        group.bench_function(BenchmarkId::new("alone", name), |b| {
            b.iter(|| black_box(alone(&matcher, &mut searcher, &files)));
        });
        for (mode, what) in [(HitMode::Content, "hits"), (HitMode::Count, "count")] {
            let mut report = Hits { mode, ..Hits::default() };
            group.bench_function(BenchmarkId::new(what, name), |b| {
                b.iter(|| {
                    let mut lines = 0;
                    for file in &files {
                        let mut chunks: Vec<Vec<Hit>> = Vec::new();
                        let found = report
                            .search(&compiled, &mut searcher, "/x", file.as_slice(), &mut chunks)
                            .expect("bytes in memory can be searched");
                        lines += found.lines;
                        black_box(chunks);
                    }
                    black_box(lines)
                });
            });
        }
    }
    group.finish();
}

pub(crate) fn literals(criterion: &mut Criterion) {
    let files = files();
    let mut group = criterion.benchmark_group("literals");
    group.sample_size(10);
    for count in [8, 16, 64, 256, 1_000, 4_000] {
        let patterns: Vec<String> =
            (0..count).map(|i| format!("{}a", word(i * 20_000 / count))).collect();
        let mut searcher = SearchOptions::default().searcher().expect("valid");
        group.bench_function(BenchmarkId::new("regex", count), |b| {
            b.iter(|| {
                let mut builder = RegexMatcherBuilder::new();
                builder.multi_line(true).line_terminator(Some(b'\n')).fixed_strings(true);
                let matcher = builder.build_many(&patterns).expect("valid");
                black_box(alone(&matcher, &mut searcher, &files))
            });
        });
        group.bench_function(BenchmarkId::new("aho-corasick", count), |b| {
            b.iter(|| {
                let end = Some(LineTerminator::byte(b'\n'));
                let matcher = LiteralMatcher::new(&patterns, end, 32 << 20).expect("small");
                black_box(alone(&matcher, &mut searcher, &files))
            });
        });
    }
    group.finish();
}
