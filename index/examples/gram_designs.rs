//! What designs of n-grams cost and how far they narrow, over a corpus and a list of queries:
//!
//! ```text
//! cargo run --release -p r2vfs-index --example gram_designs -- CORPUS QUERIES.json
//! ```
//!
//! First the design that was chosen, as it is written and read: sizes by part, speeds, and for
//! each query the candidates and what was read of a new bundle. Then the ones that were not, in
//! memory, with the same planner and the same list coding. What came out is in
//! `docs/INDEX-NGRAMS.md`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measuring program")]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use grep_matcher::Matcher;
use r2vfs_index::{
    Bundle, FileRef,
    bundle::{BundleWriter, Memory, at_once},
    gram::{self, Candidates, Extractor, GramReader, GramWriter, Need, fold, need, plan},
};
use regex_syntax::{ParserBuilder, hir::Hir};

struct Document {
    bytes: Vec<u8>,
    folded: Vec<char>,
}

struct Query {
    id: String,
    hir: Hir,
    truth: Vec<u32>,
    literal: bool,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, corpus, queries] = &args[..] else {
        eprintln!("gram_designs CORPUS QUERIES.json");
        std::process::exit(2);
    };
    let documents = documents(Path::new(corpus));
    let bytes: usize = documents.iter().map(|document| document.bytes.len()).sum();
    println!("{} documents, {bytes} bytes", documents.len());
    let queries = queries_of(Path::new(queries), &documents);
    let words = words(&documents);

    let (file, data) = build(&documents);
    for kind in ["workload", "latin", "cyrillic", "kana", "han"] {
        let some = if kind == "workload" { &queries } else { &words[kind] };
        ask(kind, &file, &data, documents.len(), some, kind == "workload");
    }

    for design in designs(&documents) {
        let index = Index::new(&documents, &design);
        index.print_sizes(design.name, bytes, documents.len());
        for together in [usize::MAX, 4, 3, 2, 1] {
            let ratios = |some: &[Query]| {
                let ratio = |query: &Query| {
                    let count = index.candidates(&design, &query.hir, together, documents.len());
                    (count, query.truth.len())
                };
                summary(some.iter().map(|query| (query.literal, ratio(query))))
            };
            let of_words: Vec<String> =
                words.iter().map(|(kind, some)| format!("{kind} {}", ratios(some))).collect();
            let label = if together == usize::MAX {
                "all grams".to_owned()
            } else {
                format!("the {together} rarest")
            };
            println!("  {label}: workload {}; {}", ratios(&queries), of_words.join("; "));
        }
    }
}

/// All files below a directory, in the order of their paths.
fn documents(root: &Path) -> Vec<Document> {
    let mut directories = vec![root.to_owned()];
    let mut paths: Vec<PathBuf> = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { paths.push(path) }
        }
    }
    paths.sort();
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        let folded = String::from_utf8_lossy(&bytes).chars().map(fold).collect();
        Document { bytes, folded }
    };
    paths.iter().map(read).collect()
}

fn query(
    id: &str,
    pattern: &str,
    insensitive: bool,
    multiline: bool,
    documents: &[Document],
) -> Query {
    let hir = ParserBuilder::new()
        .multi_line(true)
        .case_insensitive(insensitive)
        .utf8(false)
        .build()
        .parse(pattern)
        .unwrap();
    let mut builder = grep_regex::RegexMatcherBuilder::new();
    builder.multi_line(true).case_insensitive(insensitive);
    if !multiline {
        builder.line_terminator(Some(b'\n'));
    }
    let matcher = builder.build(pattern).unwrap();
    let matches = |document: &Document| {
        let text = document.bytes.strip_suffix(b"\n").unwrap_or(&document.bytes);
        if multiline {
            matcher.is_match(&document.bytes).unwrap()
        } else {
            text.split(|byte| *byte == b'\n').any(|line| matcher.is_match(line).unwrap())
        }
    };
    let truth = (0..).zip(documents).filter(|(_, d)| matches(d)).map(|(at, _)| at).collect();
    let literal = has_literal(&need(&hir));
    Query { id: id.to_owned(), hir, truth, literal }
}

/// Whether every match holds some known text, be it one character.
fn has_literal(need: &Need) -> bool {
    match need {
        Need::All | Need::None | Need::Single(_) => false,
        Need::Piece(_) => true,
        Need::And(needs) => needs.iter().any(has_literal),
        Need::Or(needs) => needs.iter().all(has_literal),
    }
}

fn queries_of(path: &Path, documents: &[Document]) -> Vec<Query> {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut queries = Vec::new();
    for entry in json["queries"].as_array().unwrap() {
        let text = |name: &str| entry[name].as_str().unwrap();
        let flag = |name: &str| entry[name].as_bool().unwrap();
        let pattern = text("pattern");
        let pattern =
            if flag("fixed") { regex_syntax::escape(pattern) } else { pattern.to_owned() };
        let id = text("id").trim_start_matches("otel-");
        let query = query(id, &pattern, flag("case_insensitive"), flag("multiline"), documents);
        let files = entry["files"].as_u64().unwrap();
        if query.truth.len() as u64 != files {
            println!("{id}: {} documents match, the list says {files}", query.truth.len());
        }
        queries.push(query);
    }
    queries
}

/// Words of the corpus by script, evenly over all that there are: what a person might look for.
fn words(documents: &[Document]) -> BTreeMap<&'static str, Vec<Query>> {
    let mut found: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for document in documents {
        let text = String::from_utf8_lossy(&document.bytes);
        let kind = |char: char| match char as u32 {
            0x41..=0x5A | 0x61..=0x7A | 0xC0..=0x24F => "latin",
            0x400..=0x4FF => "cyrillic",
            0x30A1..=0x30FE => "kana",
            0x4E00..=0x9FFF => "han",
            _ => "",
        };
        let chars: Vec<char> = text.chars().collect();
        for word in chars.chunk_by(|a, b| kind(*a) == kind(*b)) {
            let kind = kind(word[0]);
            let len = match kind {
                "" => continue,
                "han" => 2..=4,
                "kana" => 3..=8,
                _ => 5..=14,
            };
            if len.contains(&word.len()) {
                found.entry(kind).or_default().insert(word.iter().collect());
            }
        }
    }
    found
        .into_iter()
        .map(|(kind, words)| {
            let step = words.len().div_ceil(200).max(1);
            let queries = words.iter().step_by(step);
            let queries =
                queries.map(|w| query(w, &regex_syntax::escape(w), false, false, documents));
            (kind, queries.collect())
        })
        .collect()
}

/// Time that this thread had a core: another program's load does not count. Elsewhere than on
/// Linux, time on the wall.
fn busy() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let fields = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = fields.and_then(|fields| fields.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// Writes the n-gram parts of all documents. Returns the bundle's file and bytes.
fn build(documents: &[Document]) -> (FileRef, Vec<u8>) {
    let bytes: usize = documents.iter().map(|document| document.bytes.len()).sum();
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    let percent = |part: u64| part as f64 * 100.0 / bytes as f64;
    // The best of some: what else runs on the machine only slows it down.
    let best = |run: &mut dyn FnMut()| {
        let times = (0..7).map(|_| {
            let start = busy();
            run();
            busy() - start
        });
        rate(times.min().unwrap())
    };
    let ascii = documents.iter().filter(|document| {
        document.bytes.iter().filter(|byte| !byte.is_ascii()).count() * 50 < document.bytes.len()
    });
    let share = ascii.clone().map(|document| document.bytes.len()).sum::<usize>() as f64;
    let mut extractor = Extractor::new();
    let all = best(&mut || {
        for document in documents {
            extractor.feed(&document.bytes);
            std::hint::black_box(extractor.finish());
        }
    });
    let some = best(&mut || {
        for document in ascii.clone() {
            extractor.feed(&document.bytes);
            std::hint::black_box(extractor.finish());
        }
    });
    println!(
        "extracting alone: {all:.0} MB/s, {:.0} MB/s where less than 2 % of the bytes are not ASCII",
        some * share / bytes as f64
    );
    let mut writer = GramWriter::new();
    let mut postings = 0;
    let added = best(&mut || {
        writer = GramWriter::new();
        postings = 0;
        for (at, document) in (0..).zip(documents) {
            extractor.feed(&document.bytes);
            let grams = extractor.finish();
            if let gram::Grams::Distinct(grams) = &grams {
                postings += grams.len();
            }
            writer.add(at, &grams);
        }
    });
    let memory = writer.memory();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grams.seg");
    let mut out = BundleWriter::create(&path).unwrap();
    let start = busy();
    writer.write(&mut out).unwrap();
    let written = rate(busy() - start);
    let parts: Vec<(String, u64)> = out.parts().map(|(name, len)| (name.to_owned(), len)).collect();
    let file = out.finish().unwrap();
    println!(
        "extracting and adding: {added:.0} MB/s; writing: {written:.0} MB/s; {postings} postings, {:.1} MiB in memory",
        memory as f64 / f64::from(1 << 20)
    );
    for (name, len) in &parts {
        println!("  {name}: {len} bytes, {:.2} % of the text", percent(*len));
    }
    println!("  together {:.2} % of the text", percent(parts.iter().map(|part| part.1).sum()));
    (file, std::fs::read(&path).unwrap())
}

/// Puts each query to a bundle that was just opened.
fn ask(kind: &str, file: &FileRef, data: &[u8], docs: usize, queries: &[Query], each: bool) {
    let memory = Arc::new(Memory::new());
    memory.put(&file.name, data.to_vec());
    let mut counts = Vec::new();
    let (mut requests, mut read, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
    let (mut planning, mut answering) = (Vec::new(), Vec::new());
    for query in queries {
        let bundle = at_once(Bundle::open(memory.clone(), file.clone())).unwrap();
        let reader = GramReader::open(&bundle).unwrap().unwrap();
        let before = memory.reads();
        let start = busy();
        let planned = plan(&query.hir);
        planning.push(busy() - start);
        let start = busy();
        let candidates = at_once(reader.candidates(&planned, docs as u32)).unwrap();
        answering.push(busy() - start);
        let after = memory.reads();
        let count = match &candidates {
            Candidates::All => docs,
            Candidates::Docs(documents) => {
                let missed = query.truth.iter().find(|d| documents.binary_search(d).is_err());
                assert_eq!(missed, None, "{} was left out", query.id);
                documents.len()
            }
        };
        if each {
            println!(
                "  {} {}{count} of {docs} for {}: {} grams, {} rounds, {} ranges, {} KiB",
                query.id,
                if candidates == Candidates::All { "ALL " } else { "" },
                query.truth.len(),
                planned.size(),
                after.calls - before.calls,
                after.ranges - before.ranges,
                (after.bytes - before.bytes) >> 10
            );
        }
        requests.push(after.ranges - before.ranges);
        read.push(after.bytes - before.bytes);
        rounds.push(after.calls - before.calls);
        counts.push((query.literal, (count, query.truth.len())));
    }
    println!(
        "{kind}: {}; median and most: {:?} rounds, {:?} ranges, {:?} bytes; planning {:?}, answering {:?}",
        summary(counts.into_iter()),
        middle_and_most(rounds),
        middle_and_most(requests),
        middle_and_most(read),
        middle_and_most(planning),
        middle_and_most(answering)
    );
}

fn middle_and_most<T: Ord + Copy>(mut values: Vec<T>) -> (T, T) {
    values.sort_unstable();
    (values[values.len() / 2], values[values.len() - 1])
}

/// Candidates a true match, of the queries that have a literal and matches.
fn summary(counts: impl Iterator<Item = (bool, (usize, usize))>) -> String {
    let mut ratios: Vec<f64> = counts
        .filter(|(literal, (_, truth))| *literal && *truth > 0)
        .map(|(_, (count, truth))| count as f64 / truth as f64)
        .collect();
    ratios.sort_by(f64::total_cmp);
    if ratios.is_empty() {
        return "none".to_owned();
    }
    format!(
        "of {}: median {:.2}, mean {:.2}, 90 % below {:.2}",
        ratios.len(),
        ratios[ratios.len() / 2],
        ratios.iter().sum::<f64>() / ratios.len() as f64,
        ratios[ratios.len() * 9 / 10]
    )
}

type Grams<'a> = Box<dyn Fn(&[char], &mut Vec<u64>) + 'a>;

/// A design: what a document has, and what a piece of a pattern asks for.
struct Design<'a> {
    name: &'static str,
    document: Grams<'a>,
    piece: Grams<'a>,
}

const NONE: u64 = (1 << 21) - 1;

fn key(a: char, b: Option<char>, c: Option<char>) -> u64 {
    let symbol = |char: Option<char>| char.map_or(NONE, u64::from);
    u64::from(a) << 42 | symbol(b) << 21 | symbol(c)
}

fn wide(char: char) -> bool {
    matches!(char as u32, 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7A3)
}

fn designs(documents: &[Document]) -> Vec<Design<'_>> {
    let mut pairs: HashMap<(char, char), u32> = HashMap::new();
    for document in documents {
        for pair in document.folded.windows(2) {
            *pairs.entry((pair[0], pair[1])).or_default() += 1;
        }
    }
    let pairs = Arc::new(pairs);
    fn same<'a>(name: &'static str, grams: fn(&[char], &mut Vec<u64>)) -> Design<'a> {
        Design { name, document: Box::new(grams), piece: Box::new(grams) }
    }
    let all = pairs.clone();
    vec![
        same("trigrams of characters", trigrams),
        same("trigrams of characters, none over a line's end", |text, out| {
            text.split(|char| *char == '\n').for_each(|line| trigrams(line, out));
        }),
        same("trigrams of bytes", |text, out| {
            let bytes: String = text.iter().collect();
            let grams = bytes.as_bytes().windows(3);
            out.extend(
                grams.map(|w| u64::from(w[0]) << 16 | u64::from(w[1]) << 8 | u64::from(w[2])),
            );
        }),
        mixed("trigrams, ideographs in pairs", false, |_, _, _| false),
        mixed("the same and single characters", true, |_, _, _| false),
        mixed("the same, a fourth behind 11 letters", true, |a, b, c| {
            [a, b, c].iter().all(|char| "ETAOINSRLDC".contains(*char))
        }),
        mixed("the same, a fourth behind 17 letters", true, |a, b, c| {
            [a, b, c].iter().all(|char| FREQUENT.contains(*char))
        }),
        mixed(
            "the same, a fourth behind 17 letters and two with a space between",
            true,
            |a, b, c| {
                FREQUENT.contains(a) && (b == ' ' || FREQUENT.contains(b)) && FREQUENT.contains(c)
            },
        ),
        mixed("the same, a fourth behind 17 letters and spaces", true, |a, b, c| {
            [a, b, c].iter().all(|char| *char == ' ' || FREQUENT.contains(*char))
        }),
        mixed("the same, a fourth behind 26 letters", true, |a, b, c| {
            [a, b, c].iter().all(char::is_ascii_alphabetic)
        }),
        mixed("the same, a fourth behind all of ASCII", true, |a, b, c| {
            [a, b, c].iter().all(char::is_ascii)
        }),
        Design {
            name: "sparse n-grams, by the corpus' own pairs",
            document: Box::new(move |text, out| {
                spans(text, &all).for_each(|(from, to)| out.push(hash(&text[from..to])));
            }),
            piece: Box::new(move |text, out| {
                let spans: Vec<_> = spans(text, &pairs).collect();
                let inside =
                    |a: &(usize, usize), b: &(usize, usize)| a != b && b.0 <= a.0 && a.1 <= b.1;
                let longest = spans.iter().filter(|a| !spans.iter().any(|b| inside(a, b)));
                out.extend(longest.map(|span| hash(&text[span.0..span.1])));
            }),
        },
    ]
}

fn trigrams(text: &[char], out: &mut Vec<u64>) {
    out.extend(text.windows(3).map(|w| key(w[0], Some(w[1]), Some(w[2]))));
}

const FREQUENT: &str = "ETAOINSRLDCUMPHGF";

/// Trigrams with ideographs in pairs, perhaps with characters outside ASCII on their own, and with
/// a fourth character behind some three.
fn mixed<'a>(
    name: &'static str,
    single: bool,
    frequent: impl Fn(char, char, char) -> bool + Copy + 'a,
) -> Design<'a> {
    // What stands for all grams that begin with three frequent characters; it is asked for where
    // no fourth is known, and not counted, for a reader unites those that are there.
    let any_fourth = |a, b, c| UNCOUNTED | key(a, Some(b), Some(c));
    let grams = move |text: &[char], piece: bool, out: &mut Vec<u64>| {
        for at in 0..text.len() {
            let (a, b, c) = (text[at], text.get(at + 1), text.get(at + 2));
            if single && !a.is_ascii() {
                // Those of ideographs are what begins with them.
                let uncounted = if wide(a) { UNCOUNTED } else { 0 };
                out.push(uncounted | key(a, None, None));
            }
            match (b, c) {
                (Some(b), _) if wide(a) && wide(*b) => out.push(key(a, Some(*b), None)),
                (Some(b), Some(c)) if frequent(a, *b, *c) => {
                    let fourth = text.get(at + 3).copied();
                    if !piece || fourth.is_none() {
                        out.push(any_fourth(a, *b, *c));
                    }
                    if !piece || fourth.is_some() {
                        let fourth = fourth.map_or(0, |char| {
                            if char.is_ascii() { char as u32 } else { 128 + char as u32 % 127 }
                        });
                        let pair = 0x8_0000 + (*c as u32) * 256 + fourth;
                        out.push(key(a, Some(*b), char::from_u32(pair)));
                    }
                }
                (Some(b), Some(c)) if !(wide(*b) && wide(*c)) => {
                    out.push(key(a, Some(*b), Some(*c)))
                }
                _ => {}
            }
        }
    };
    Design {
        name,
        document: Box::new(move |text, out| grams(text, false, out)),
        piece: Box::new(move |text, out| grams(text, true, out)),
    }
}

/// Marks a gram that takes no space.
const UNCOUNTED: u64 = 1 << 63;

/// The sparse grams of a text: from one pair of characters to another, where every pair between
/// is more frequent than both.
fn spans<'a>(
    text: &'a [char],
    pairs: &'a HashMap<(char, char), u32>,
) -> impl Iterator<Item = (usize, usize)> {
    const LONGEST: usize = 16;
    let weights: Vec<u64> = text
        .windows(2)
        .map(|pair| {
            let often = u64::from(pairs.get(&(pair[0], pair[1])).copied().unwrap_or(0));
            (u64::from(u32::MAX) - often) << 24 | hash(pair) & 0xFF_FFFF
        })
        .collect();
    let mut spans = Vec::new();
    for from in 0..weights.len() {
        let mut between = 0;
        for to in from + 1..weights.len().min(from + LONGEST) {
            if to == from + 1 || between < weights[from].min(weights[to]) {
                spans.push((from, to + 2));
            }
            between = between.max(weights[to]);
            if between > weights[from] {
                break;
            }
        }
    }
    spans.into_iter()
}

fn hash(text: &[char]) -> u64 {
    let text: String = text.iter().collect();
    xxhash_rust::xxh3::xxh3_64(text.as_bytes()) >> 24
}

/// Lists in memory.
struct Index {
    lists: HashMap<u64, Vec<u32>>,
}

impl Index {
    fn new(documents: &[Document], design: &Design<'_>) -> Self {
        let mut lists: HashMap<u64, Vec<u32>> = HashMap::new();
        for (at, document) in (0..).zip(documents) {
            let mut grams = Vec::new();
            (design.document)(&document.folded, &mut grams);
            grams.sort_unstable();
            grams.dedup();
            for gram in grams {
                lists.entry(gram).or_default().push(at);
            }
        }
        Self { lists }
    }

    fn print_sizes(&self, name: &str, bytes: usize, documents: usize) {
        let percent = |part: u64| part as f64 * 100.0 / bytes as f64;
        let counted = || self.lists.iter().filter(|(gram, _)| *gram & UNCOUNTED == 0);
        let mut keys: Vec<u64> = counted().map(|(gram, _)| *gram).collect();
        keys.sort_unstable();
        let mut before = 0;
        let mut dictionary = 0;
        for key in keys {
            dictionary += varint(key - before) + 1;
            before = key;
        }
        let mut sums = [0; 5];
        for (_, list) in counted() {
            let interpolated = interpolated(list, 0, documents as u64).div_ceil(8);
            let often = list.len() * 2 > documents;
            let sizes = [
                gaps(list).map(varint).sum(),
                packed(list).div_ceil(8),
                rice(list).div_ceil(8),
                interpolated,
                if often { 0 } else { interpolated },
            ];
            sums.iter_mut().zip(sizes).for_each(|(sum, size)| *sum += size);
        }
        let single = counted().filter(|(_, list)| list.len() == 1).count();
        println!(
            "{name}: {} grams, {single} of them in one document, {} postings; % of the text: keys {:.1}, lists as varints {:.1}, packed {:.1}, Rice {:.1}, interpolative {:.1}, the same without grams of more than half {:.1}",
            counted().count(),
            counted().map(|(_, list)| list.len()).sum::<usize>(),
            percent(dictionary),
            percent(sums[0]),
            percent(sums[1]),
            percent(sums[2]),
            percent(sums[3]),
            percent(sums[4])
        );
    }

    fn candidates(&self, design: &Design<'_>, hir: &Hir, together: usize, all: usize) -> usize {
        self.documents(design, &need(hir), together).map_or(all, |documents| documents.len())
    }

    fn documents(
        &self,
        design: &Design<'_>,
        need: &Need,
        together: usize,
    ) -> Option<BTreeSet<u32>> {
        match need {
            Need::All | Need::Single(_) => None,
            Need::None => Some(BTreeSet::new()),
            Need::Piece(piece) => {
                let mut grams = Vec::new();
                (design.piece)(piece, &mut grams);
                let mut lists: Vec<&[u32]> = grams
                    .iter()
                    .map(|gram| self.lists.get(gram).map_or(&[][..], |list| list))
                    .collect();
                lists.sort_by_key(|list| list.len());
                lists.dedup();
                let mut lists = lists.into_iter().take(together);
                let first: BTreeSet<u32> = lists.next()?.iter().copied().collect();
                Some(lists.fold(first, |mut left, list| {
                    left.retain(|document| list.binary_search(document).is_ok());
                    left
                }))
            }
            Need::And(needs) => needs
                .iter()
                .filter_map(|need| self.documents(design, need, together))
                .reduce(|a, b| a.intersection(&b).copied().collect()),
            Need::Or(needs) => {
                let mut united = BTreeSet::new();
                for need in needs {
                    united.extend(self.documents(design, need, together)?);
                }
                Some(united)
            }
        }
    }
}

fn gaps(list: &[u32]) -> impl Iterator<Item = u64> {
    let before = [None].into_iter().chain(list.iter().copied().map(Some));
    list.iter()
        .zip(before)
        .map(|(now, before)| u64::from(now - before.map_or(0, |before| before + 1)))
}

fn varint(value: u64) -> u64 {
    u64::from(u64::BITS - (value | 1).leading_zeros()).div_ceil(7)
}

/// Bits in blocks of 128 gaps of one width.
fn packed(list: &[u32]) -> u64 {
    let gaps: Vec<u64> = gaps(list).collect();
    let width = |block: &[u64]| u64::from(u64::BITS - block.iter().max().unwrap().leading_zeros());
    gaps.chunks(128).map(|block| 8 + width(block) * block.len() as u64).sum()
}

fn rice(list: &[u32]) -> u64 {
    let bits = |order: u64| gaps(list).map(|gap| (gap >> order) + 1 + order).sum::<u64>();
    (0..24).map(bits).min().unwrap()
}

fn interpolated(list: &[u32], low: u64, high: u64) -> u64 {
    let middle = list.len() / 2;
    let Some((&document, after)) = list[middle..].split_first() else { return 0 };
    let document = u64::from(document);
    let first = low + middle as u64;
    let choices = high - after.len() as u64 - first;
    let width = u64::from(u64::BITS - (choices - 1).leading_zeros());
    let short = (1 << width) - choices;
    let own = if document - first < short { width.saturating_sub(1) } else { width };
    own + interpolated(&list[..middle], low, document) + interpolated(after, document + 1, high)
}
