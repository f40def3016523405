//! Small indexes, written and searched through the public interface.

use std::{fs, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    bundle::{Bundle, BundleWriter, Memory, at_once},
    text::{sections, titled},
};

/// Segments in memory, and what was read of them.
struct Index {
    memory: Arc<Memory>,
    bundles: Vec<Bundle>,
}

/// Writes each slice of (key, text) as one segment. An article's identity is its number.
fn index(segments: &[&[(&str, &str)]]) -> Index {
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(Memory::new());
    let mut bundles = Vec::new();
    let mut oid = 0;
    for (at, articles) in segments.iter().enumerate() {
        let mut writer = TextWriter::new(dir.path(), 0).unwrap();
        for (key, text) in *articles {
            writer.add(key, oid, &sections(key, text)).unwrap();
            oid += 1;
        }
        let name = format!("{at}.seg");
        bundles.push(bundle(&memory, dir.path(), &name, |out| writer.write(out).unwrap()));
    }
    Index { memory, bundles }
}

fn bundle(
    memory: &Arc<Memory>,
    dir: &std::path::Path,
    name: &str,
    write: impl FnOnce(&mut BundleWriter),
) -> Bundle {
    let mut out = BundleWriter::create(&dir.join(name)).unwrap();
    write(&mut out);
    let file = out.finish().unwrap();
    memory.put(name, fs::read(dir.join(name)).unwrap());
    at_once(Bundle::open(memory.clone(), file)).unwrap()
}

fn ask(index: &Index, question: &str) -> Found {
    ask_for(index, question, 10, Some(2), &|_| true)
}

fn ask_for(
    index: &Index,
    question: &str,
    limit: usize,
    per_article: Option<usize>,
    admit: &(dyn Fn(u64) -> bool + Sync),
) -> Found {
    let searcher = Searcher::open(index.bundles.clone()).unwrap();
    let options = SearchOptions { limit, per_article };
    at_once(searcher.search(&Question::parse(question), admit, options)).unwrap()
}

fn keys(found: &Found) -> Vec<&str> {
    found.hits.iter().map(|hit| &*hit.key).collect()
}

const ARTICLES: &[(&str, &str)] = &[
    (
        "keys.md",
        "# Access keys\n\nMake an access key before the first upload. The secret key is shown once.",
    ),
    (
        "upload.md",
        "# Upload a folder\n\nThe command `put --recursive` uploads a folder. Set R2_ENDPOINT first.",
    ),
    (
        "billing.md",
        "# What it costs\n\nStorage is billed by the month. An upload of a folder is one request a file.",
    ),
    ("regions.md", "# Regions\n\nA bucket lives in one region. Choose the nearest."),
    ("ja.md", "# 料金\n\nオブジェクトストレージの料金は毎月計算されます。"),
];

#[test]
fn words_titles_and_identifiers_are_found() {
    let index = index(&[ARTICLES]);
    assert_eq!(keys(&ask(&index, "how do I upload a folder?"))[0], "upload.md");
    assert_eq!(keys(&ask(&index, "what does it cost")), ["billing.md"]);
    assert_eq!(keys(&ask(&index, "r2-endpoint"))[0], "upload.md");
    assert_eq!(keys(&ask(&index, "R2_ENDPOINT"))[0], "upload.md");
    assert_eq!(keys(&ask(&index, "ストレージの料金はいくらですか")), ["ja.md"]);
    assert_eq!(keys(&ask(&index, "料")), ["ja.md"], "one sign stands for pairs with it");
    assert!(ask(&index, "zebra").hits.is_empty());
    let hit = &ask(&index, "secret key").hits[0];
    assert_eq!((&*hit.title, hit.oid, hit.lines.clone()), ("Access keys", 0, 1..4));
    assert_eq!(hit.bytes, 0..ARTICLES[0].1.len() as u64);
}

#[test]
fn words_that_say_nothing_rank_only_alone() {
    let index = index(&[&[
        ("who.md", "# The band\n\nThe Who are a band."),
        ("how.md", "# Notes\n\nhow to do what you do when you are who you are, and how"),
    ]]);
    assert_eq!(keys(&ask(&index, "how do you do the band"))[0], "who.md");
    assert_eq!(keys(&ask(&index, "who are you"))[0], "how.md");
}

#[test]
fn operators_hold() {
    let index = index(&[ARTICLES]);
    let words = ask(&index, "upload folder");
    assert!(keys(&words).contains(&"billing.md"));
    assert_eq!(keys(&ask(&index, "upload folder -billed")), ["upload.md", "keys.md"]);
    assert_eq!(keys(&ask(&index, "\"upload of a folder\"")), ["billing.md"]);
    assert_eq!(keys(&ask(&index, "-\"upload of a folder\" folder")), ["upload.md"]);
    assert_eq!(keys(&ask(&index, "title:upload folder")), ["upload.md"]);
    assert_eq!(keys(&ask(&index, "path:billing upload")), ["billing.md"]);
    let flag = ask(&index, "where do I put -recursive in the command");
    assert_eq!(keys(&flag)[0], "upload.md");
    assert!(flag.notes.iter().any(|note| note.contains("-recursive")), "{:?}", flag.notes);
    let gone = ask(&index, "\"folder upload\" region");
    assert!(gone.notes[0].contains("\"folder upload\""), "{:?}", gone.notes);
    assert!(!gone.hits.is_empty());
    let nothing = ask(&index, "-upload");
    assert!(nothing.hits.is_empty() && nothing.notes[0].contains("only what must not"));
}

#[test]
fn typing_errors_are_forgiven_only_where_nothing_matches() {
    let index = index(&[ARTICLES]);
    let found = ask(&index, "nearset regoin");
    assert_eq!(keys(&found), ["regions.md"]);
    assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
    let exact = ask(&index, "region");
    assert!(exact.notes.is_empty() && exact.hits[0].score > found.hits[0].score * 0.5);
    assert!(ask(&index, "zzzzregion").hits.is_empty());
    // Its stem is `acce`, two letters from `access`.
    assert_eq!(keys(&ask(&index, "acces")), ["keys.md"]);
}

#[test]
fn what_is_not_admitted_takes_no_place() {
    let index = index(&[ARTICLES]);
    let all = ask_for(&index, "upload folder", 1, None, &|_| true);
    assert_eq!((keys(&all), all.more), (vec!["upload.md"], true));
    let some = ask_for(&index, "upload folder", 1, None, &|oid| oid != 1);
    assert_eq!(keys(&some), ["billing.md"]);
    assert!(ask_for(&index, "upload folder", 5, None, &|_| false).hits.is_empty());
}

#[test]
fn of_one_article_two_sections_are_shown_and_one_in_a_batch() {
    let part =
        |n: usize| format!("## Part {n}\n\nabout rotating tokens {}\n\n", "filler ".repeat(80));
    let text: String = (0..5).map(part).collect();
    let index = index(&[&[("long.md", &text), ("short.md", "# Other\n\nrotating something")]]);
    let shown = ask(&index, "rotating tokens");
    assert_eq!(keys(&shown), ["long.md", "long.md", "short.md"]);
    assert_ne!(shown.hits[0].lines, shown.hits[1].lines);
    let batch = ask_for(&index, "rotating tokens", 10, None, &|_| true);
    assert_eq!(keys(&batch), ["long.md", "short.md"]);
}

#[test]
fn translations_and_copies_go_behind_others() {
    let english = "# Sampling\n\nKeep only some of the traces that your services send to the collector, \
                   because all of them together would cost too much and tell too little to anybody. \
                   Choose a ratio, and keep every trace with an error in it, which is what matters.";
    let german = "# Sampling\n\nBehalte nur einen Teil der traces, die deine Dienste an den collector schicken, \
                  weil alle zusammen zu viel kosten und zu wenig sagen würden, egal wem man sie zeigt. \
                  Wähle ein Verhältnis und behalte jeden trace, in dem ein Fehler steckt, denn der zählt.";
    let copy = english.replace("tell too little", "say too little");
    let index = index(&[&[
        ("content/de/sampling.md", german),
        ("content/en/sampling.md", english),
        ("old/sampling-copy.md", &copy),
        ("content/en/other.md", "# Rates\n\nThe collector counts traces, mostly."),
    ]]);
    let found = ask(&index, "which of the traces does the collector keep when sampling");
    assert_eq!(keys(&found)[..2], ["content/en/sampling.md", "content/en/other.md"]);
    let found = ask(&index, "welche traces werden vom collector beim sampling behalten");
    assert_eq!(keys(&found)[0], "content/de/sampling.md");
}

#[test]
fn three_segments_answer_as_one() {
    let apart = index(&[&ARTICLES[..2], &ARTICLES[2..3], &ARTICLES[3..]]);
    let together = index(&[ARTICLES]);
    let dir = tempfile::tempdir().unwrap();
    let inputs: Vec<TextReader> =
        apart.bundles.iter().map(|bundle| TextReader::open(bundle).unwrap().unwrap()).collect();
    let inputs: Vec<(TextReader, &dyn Fn(u64) -> bool)> =
        inputs.into_iter().map(|reader| (reader, &(|_| true) as &dyn Fn(u64) -> bool)).collect();
    let memory = Arc::new(Memory::new());
    let merged = bundle(&memory, dir.path(), "merged.seg", |out| {
        merge(&inputs, dir.path(), out).unwrap();
    });
    let merged = Index { memory, bundles: vec![merged] };
    for question in
        ["upload folder", "\"access key\"", "one -bucket", "料金", "regoin", "title:upload", "the"]
    {
        let one = ask(&together, question);
        assert_eq!(ask(&apart, question), one, "{question}");
        assert_eq!(ask(&merged, question), one, "{question}");
        assert!(!one.hits.is_empty(), "{question}");
    }
}

#[test]
fn the_dead_are_not_merged() {
    let index = index(&[&ARTICLES[..3], &ARTICLES[3..]]);
    let alive = |oid: u64| oid != 1 && oid < 3;
    let inputs: Vec<(TextReader, &dyn Fn(u64) -> bool)> = index
        .bundles
        .iter()
        .map(|bundle| (TextReader::open(bundle).unwrap().unwrap(), &alive as &dyn Fn(u64) -> bool))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(Memory::new());
    let merged = bundle(&memory, dir.path(), "merged.seg", |out| {
        merge(&inputs, dir.path(), out).unwrap();
    });
    let merged = Index { memory: memory.clone(), bundles: vec![merged] };
    assert_eq!(keys(&ask(&merged, "upload folder")), ["billing.md", "keys.md"]);
    assert!(ask(&merged, "region").hits.is_empty());
    let none = bundle(&memory, dir.path(), "none.seg", |out| {
        let inputs: Vec<_> =
            inputs.iter().map(|(reader, _)| (reader.clone(), &(|_| false) as _)).collect();
        merge(&inputs, dir.path(), out).unwrap();
    });
    assert!(TextReader::open(&none).unwrap().is_none());
}

#[test]
fn a_writer_with_little_memory_writes_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..30_000).map(|n| format!("word{n} ")).collect();
    let memory = Arc::new(Memory::new());
    let mut files = Vec::new();
    for (name, least) in [("little.seg", 0), ("much.seg", 512 << 20)] {
        let mut writer = TextWriter::new(dir.path(), least).unwrap();
        for number in 0..12u64 {
            let text = text.replace("word", &format!("w{number}x"));
            writer.add(&format!("{number}.txt"), number, &titled("A title", &text)).unwrap();
        }
        let bundle = bundle(&memory, dir.path(), name, |out| writer.write(out).unwrap());
        files.push(Index { memory: memory.clone(), bundles: vec![bundle] });
    }
    for question in ["w3x77", "title", "w11x29999 w0x0"] {
        assert_eq!(ask(&files[0], question), ask(&files[1], question));
    }
}

#[test]
fn the_same_text_makes_the_same_file() {
    let (a, b) = (index(&[ARTICLES]), index(&[ARTICLES]));
    assert_eq!(a.bundles[0].file(), b.bundles[0].file());
}

#[test]
fn a_question_costs_three_rounds() {
    let filler: Vec<(String, String)> = (0..400)
        .map(|n| {
            (
                format!("{n}.md"),
                format!("# Article {n}\n\n{}", format!("fill{n} common ").repeat(60)),
            )
        })
        .collect();
    let mut articles: Vec<(&str, &str)> = ARTICLES.to_vec();
    articles.extend(filler.iter().map(|(key, text)| (&**key, &**text)));
    let index = index(&[&articles]);
    let searcher = Searcher::open(index.bundles.clone()).unwrap();
    let before = index.memory.reads();
    let options = SearchOptions { limit: 10, per_article: Some(2) };
    let question = Question::parse("how is the upload of a common folder billed?");
    let found = at_once(searcher.search(&question, &|_| true, options)).unwrap();
    let after = index.memory.reads();
    assert_eq!(keys(&found)[0], "billing.md");
    assert!(after.calls - before.calls <= 3, "{before:?} {after:?}");
    assert!(after.ranges - before.ranges <= 5, "{before:?} {after:?}");
    at_once(searcher.search(&question, &|_| true, options)).unwrap();
    assert_eq!(index.memory.reads(), after, "asked again, it reads nothing");
}

#[test]
fn an_empty_index_answers() {
    let index = index(&[&[]]);
    assert!(ask(&index, "anything").hits.is_empty());
    assert!(ask(&Index { memory: index.memory, bundles: Vec::new() }, "anything").hits.is_empty());
}

#[test]
fn hostile_questions_end_soon() {
    let index = index(&[ARTICLES]);
    let many: String = (0..10_000).map(|n| format!("w{n} ")).collect();
    let found = ask(&index, &format!("{many} upload"));
    assert!(found.notes.iter().any(|note| note.contains("6000 bytes")));
    for question in [
        "\"".repeat(10_000),
        "-".repeat(10_000),
        "a-".repeat(5_000),
        "\"upload\" ".repeat(1_000),
        "title:".repeat(2_000),
        "upload ".repeat(10_000),
        "漢".repeat(10_000),
    ] {
        ask(&index, &question);
    }
}

#[test]
fn snippets_show_the_matched_words() {
    let question = Question::parse("rotate access keys");
    let text = format!(
        "{} To rotate a key,\nfirst make a new access key. {}",
        "lorem ".repeat(100),
        "ipsum ".repeat(100)
    );
    let shown = snippet(&question, &text, 80);
    assert!(shown.text.contains("rotate a key, first make a new access key"), "{}", shown.text);
    assert!(shown.text.starts_with('…') && shown.text.ends_with('…'));
    let marked: Vec<&str> = shown.marks.iter().map(|mark| &shown.text[mark.clone()]).collect();
    assert_eq!(marked, ["rotate", "key", "access", "key"]);
    let none = snippet(&question, "nothing of it here", 10);
    assert_eq!((none.text.as_str(), none.marks.len()), ("nothing…", 0));
}

proptest! {
    #[test]
    fn any_text_is_a_question(text in "(-|\"|title:|path:|word|漢字| |é|C\\+\\+|foo_bar|\u{0}|.){0,60}") {
        Question::parse(&text);
    }

    #[test]
    fn snippets_keep_to_their_bounds(text in "(upload |folder |é|漢字|\n| |.){0,80}", max in 0usize..60) {
        let question = Question::parse("upload a folder 漢字");
        let shown = snippet(&question, &text, max);
        prop_assert!(shown.text.chars().count() <= max.max(2), "{:?}", shown);
        let mut end = 0;
        for mark in &shown.marks {
            prop_assert!(mark.start >= end && shown.text.get(mark.clone()).is_some());
            end = mark.end;
        }
    }
}
