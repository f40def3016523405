//! Measures the ranking: indexes a corpus as a program would, and answers questions about it.
//!
//! ```text
//! cargo run --release -p r2vfs-index --example rank_corpus -- \
//!     --corpus corpus.jsonl|DIRECTORY --queries queries.jsonl|questions.json --run out.tsv \
//!     [--limit 100] [--segments 1] [--set k1=1.2 …] [--ask QUESTION]
//! ```
//!
//! A corpus is a file of `{id, title, text}` lines or a directory of files; questions are lines of
//! `{id, text}` or the questions of a workload. `--set` changes one of the weights, so that each
//! can be measured.

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use r2vfs_index::{
    Bundle,
    bundle::{BundleWriter, Memory, at_once},
    rank::{Question, SearchOptions, Searcher, TextWriter, Weights, snippet},
    text::{Section, sections, titled},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Default)]
struct Args {
    corpus: PathBuf,
    queries: Option<PathBuf>,
    run: Option<PathBuf>,
    ask: Vec<String>,
    limit: usize,
    segments: usize,
    sets: Vec<Vec<String>>,
    quiet: bool,
}

fn args() -> Result<Args> {
    let mut args = Args { limit: 100, segments: 1, ..Args::default() };
    let mut rest = std::env::args().skip(1);
    while let Some(name) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{name} needs a value"));
        match name.as_str() {
            "--corpus" => args.corpus = value()?.into(),
            "--queries" => args.queries = Some(value()?.into()),
            "--run" => args.run = Some(value()?.into()),
            "--ask" => args.ask.push(value()?),
            "--limit" => args.limit = value()?.parse()?,
            "--segments" => args.segments = value()?.parse()?,
            // Several weights joined by commas are one setting; each --set is a run of its own.
            "--set" => args.sets.push(value()?.split(',').map(str::to_owned).collect()),
            "--quiet" => args.quiet = true,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(args)
}

struct Article {
    key: String,
    bytes: usize,
    sections: Vec<Section>,
}

fn corpus(path: &Path) -> Result<Vec<Article>> {
    let mut articles = Vec::new();
    if path.is_dir() {
        let mut paths = vec![path.to_owned()];
        while let Some(next) = paths.pop() {
            if next.is_dir() {
                for entry in fs::read_dir(&next)? {
                    paths.push(entry?.path());
                }
                continue;
            }
            let Ok(text) = fs::read_to_string(&next) else { continue };
            let key = next.strip_prefix(path)?.to_string_lossy().into_owned();
            articles.push(Article { sections: sections(&key, &text), bytes: text.len(), key });
        }
        articles.sort_by(|a, b| a.key.cmp(&b.key));
        return Ok(articles);
    }
    for line in fs::read_to_string(path)?.lines() {
        let document: serde_json::Value = serde_json::from_str(line)?;
        let of = |name: &str| document[name].as_str().unwrap_or_default();
        articles.push(Article {
            key: of("id").to_owned(),
            bytes: of("text").len() + of("title").len(),
            sections: titled(of("title"), of("text")),
        });
    }
    Ok(articles)
}

fn queries(path: &Path) -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string(path)?;
    let mut queries = Vec::new();
    let mut push = |value: &serde_json::Value| {
        let of = |name: &str| value[name].as_str();
        let asked = of("text").or(of("question")).unwrap_or_default();
        queries.push((of("id").unwrap_or_default().to_owned(), asked.to_owned()));
    };
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(whole) if whole["questions"].is_array() => {
            whole["questions"].as_array().into_iter().flatten().for_each(&mut push);
        }
        _ => {
            for line in text.lines() {
                push(&serde_json::from_str(line)?);
            }
        }
    }
    Ok(queries)
}

fn weights(sets: &[String]) -> Result<Weights> {
    let mut weights = Weights::default();
    for set in sets {
        let (name, value) = set.split_once('=').ok_or("--set NAME=VALUE")?;
        let value: f32 = value.parse()?;
        match name {
            "k1" => weights.k1 = value,
            "b" => weights.b = value,
            "title" => weights.title = value,
            "path" => weights.path = value,
            "proximity" => weights.proximity = value,
            "window" => weights.window = value as u32,
            _ => return Err(format!("no weight is named {name}").into()),
        }
    }
    Ok(weights)
}

#[expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn main() -> Result<()> {
    let args = args()?;
    let began = Instant::now();
    let articles = corpus(&args.corpus)?;
    let bytes: usize = articles.iter().map(|article| article.bytes).sum();
    let cut = began.elapsed();
    let dir = tempfile::tempdir()?;
    let memory = Arc::new(Memory::new());
    let mut bundles = Vec::new();
    let share = articles.len().div_ceil(args.segments).max(1);
    let mut number = 0u64;
    for (at, share) in articles.chunks(share).enumerate() {
        let name = format!("{at}.seg");
        let path = dir.path().join(&name);
        let mut out = BundleWriter::create(&path)?;
        let mut writer = TextWriter::new(dir.path(), 256 << 20)?;
        for article in share {
            writer.add(&article.key, number, &article.sections)?;
            number += 1;
        }
        writer.write(&mut out)?;
        if !args.quiet {
            for (name, len) in out.parts() {
                let share = 100.0 * len as f64 / bytes as f64;
                eprintln!("{name:16} {len:10} bytes {share:5.1} % of the text");
            }
        }
        let file = out.finish()?;
        memory.put(&name, fs::read(&path)?);
        bundles.push(at_once(Bundle::open(memory.clone(), file))?);
    }
    let sections: usize = articles.iter().map(|article| article.sections.len()).sum();
    let took = began.elapsed().as_secs_f64();
    eprintln!(
        "{} articles, {sections} sections, {bytes} bytes: {took:.2} s, {:.1} MB/s (cutting {:.2} s)",
        articles.len(),
        bytes as f64 / took / 1e6,
        cut.as_secs_f64(),
    );
    if !args.quiet {
        let mut langs = std::collections::BTreeMap::<&str, usize>::new();
        for section in articles.iter().filter_map(|article| article.sections.first()) {
            *langs.entry(section.lang.code()).or_default() += 1;
        }
        eprintln!("first sections by language: {langs:?}");
    }
    for asked in &args.ask {
        ask(asked, &args, &bundles, &articles)?;
    }
    let Some(path) = &args.queries else { return Ok(()) };
    let queries = queries(path)?;
    let mut sets = args.sets.clone();
    if sets.is_empty() {
        sets.push(Vec::new());
    }
    for set in &sets {
        let searcher = Searcher::open(bundles.clone())?.weighing(weights(set)?);
        let mut run = String::from("query-id\tdoc-id\trank\tscore\n");
        let mut times = Vec::new();
        for (id, text) in &queries {
            let began = Instant::now();
            let options = SearchOptions { limit: args.limit, per_article: None };
            let question = Question::parse(text);
            let found = at_once(searcher.search(&question, &|_| true, options))?;
            times.push(began.elapsed());
            for (rank, hit) in found.hits.iter().enumerate() {
                writeln!(run, "{id}\t{}\t{}\t{:.4}", hit.key, rank + 1, hit.score)?;
            }
        }
        times.sort();
        let reads = memory.reads();
        let at =
            |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        if !args.quiet {
            eprintln!("p50 {:.2} ms, p99 {:.2} ms; {reads:?}", at(0.5), at(0.99));
        }
        if let Some(path) = &args.run {
            let named = if set.is_empty() {
                path.clone()
            } else {
                path.with_extension(format!("{}.tsv", set.join(",")))
            };
            fs::write(named, run)?;
        }
    }
    Ok(())
}

fn ask(asked: &str, args: &Args, bundles: &[Bundle], articles: &[Article]) -> Result<()> {
    let searcher = Searcher::open(bundles.to_vec())?;
    let question = Question::parse(asked);
    let options = SearchOptions { limit: args.limit.min(10), per_article: Some(2) };
    let found = at_once(searcher.search(&question, &|_| true, options))?;
    println!("{asked}");
    for note in &found.notes {
        println!("  note: {note}");
    }
    for hit in &found.hits {
        println!(
            "  {:7.3} {}:{}-{} {} > {}",
            hit.score,
            hit.key,
            hit.lines.start,
            hit.lines.end,
            hit.title,
            hit.trail.join(" > ")
        );
        let article = articles.iter().find(|article| article.key == hit.key);
        let section =
            article.and_then(|article| article.sections.iter().find(|s| s.bytes == hit.bytes));
        if let Some(section) = section {
            println!("          {}", snippet(&question, &section.body, 160).text);
        }
    }
    Ok(())
}
