//! `search --batch`: a file of questions in, a run file out, for evaluation.
//!
//! Asking the program once for each question opens the index a thousand times, and what a person
//! is shown is not what is measured: there an article counts once, however many of its sections
//! answer. Here one ranking answers all questions with distinct documents.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use r2vfs_index::{
    Bundle, Fault, Source,
    bundle::{BundleWriter, at_once},
    docs::oid,
    rank::{Question, SearchOptions, Searcher, TextWriter},
    store::Dir,
    text::titled,
};
use serde::Deserialize;

use super::super::super::{
    args::Search,
    exit::Exit,
    failure::{Failures, Stop},
    options::Options,
    output::Out,
};
use super::close;
use crate::{
    error::{Error, Kind, Result},
    sandbox::VirtualSandbox,
};

/// Documents for each question unless the command line says otherwise.
const LIMIT: usize = 100;

/// The longest line of a file of questions or documents.
const MAX_LINE: u64 = 64 << 20;

/// Text of one segment of the temporary index.
const SEGMENT: usize = 64 << 20;

/// Bytes of memory that writing one segment may take.
const MEMORY: usize = 256 << 20;

#[derive(Deserialize)]
struct Asked {
    #[serde(alias = "_id")]
    id: String,
    #[serde(alias = "question", alias = "query")]
    text: String,
}

#[derive(Deserialize)]
struct Document {
    #[serde(alias = "_id")]
    id: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    text: String,
}

/// Over the objects of the sandbox.
pub(in crate::cli) async fn over_bucket(
    sandbox: &VirtualSandbox,
    options: &Options,
    search: &Search,
    (batch, run): (&Path, &Path),
    out: &mut Out,
) -> Result<Exit, Stop> {
    let mut ranking = sandbox.ranking(&search.paths, search.glob.clone()).await?;
    let mut to = Run::create(run)?;
    for asked in lines::<Asked>(batch)? {
        let asked = asked?;
        let question = Question::parse(&asked.text);
        let hits = ranking.ask(&question, limit(search), false).await?;
        let documents = hits.iter().map(|hit| (hit.entry.path.as_str(), hit.section.score));
        to.answer(&asked.id, documents)?;
    }
    let answered = to.finish()?;
    let mut envelope = ranking.envelope();
    envelope.matched = answered;
    let mut failures = Failures::default();
    close(options, out, &mut failures, &envelope)?;
    Ok(failures.exit(true))
}

/// Over the documents of a file, which are indexed for this one run.
pub(in crate::cli) fn over_corpus(
    search: &Search,
    (batch, run, corpus): (&Path, &Path, &Path),
) -> Result<Exit, Stop> {
    let scratch = tempfile::tempdir().map_err(|error| unusable("a temporary directory", error))?;
    let bundles = index(corpus, scratch.path())?;
    let searcher = Searcher::open(bundles).map_err(broken)?;
    let mut to = Run::create(run)?;
    for asked in lines::<Asked>(batch)? {
        let asked = asked?;
        let question = Question::parse(&asked.text);
        let options = SearchOptions { limit: limit(search), per_article: None };
        let found = at_once(searcher.search(&question, &|_| true, options)).map_err(broken)?;
        to.answer(&asked.id, found.hits.iter().map(|hit| (hit.key.as_str(), hit.score)))?;
    }
    to.finish()?;
    Ok(Exit::Match)
}

fn limit(search: &Search) -> usize {
    search.limit.map_or(LIMIT, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The documents of `corpus` as segments in `scratch`.
fn index(corpus: &Path, scratch: &Path) -> Result<Vec<Bundle>> {
    let mut bundles = Vec::new();
    let mut documents = lines::<Document>(corpus)?.peekable();
    while documents.peek().is_some() {
        let mut text = TextWriter::new(scratch, MEMORY).map_err(broken)?;
        let mut bytes = 0;
        while bytes < SEGMENT
            && let Some(document) = documents.next()
        {
            let Document { id, title, text: body } = document?;
            bytes += body.len();
            text.add(&id, oid(&id, ""), &titled(&title, &body)).map_err(broken)?;
        }
        let name = format!("{:032x}.seg", bundles.len());
        let mut bundle = BundleWriter::create(&scratch.join(name)).map_err(broken)?;
        text.write(&mut bundle).map_err(broken)?;
        let file = bundle.finish().map_err(broken)?;
        let source: std::sync::Arc<dyn Source> = std::sync::Arc::new(Dir::new(scratch.to_owned()));
        bundles.push(at_once(Bundle::open(source, file)).map_err(broken)?);
    }
    Ok(bundles)
}

/// The objects of a file with one JSON object a line; empty lines are passed over.
fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<impl Iterator<Item = Result<T>>> {
    let file = File::open(path).map_err(|error| unusable(&path.display().to_string(), error))?;
    let mut reader = BufReader::new(file);
    let (shown, mut number) = (path.display().to_string(), 0_u64);
    Ok(std::iter::from_fn(move || {
        loop {
            number += 1;
            let mut line = Vec::new();
            match io::Read::take(&mut reader, MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) if line.iter().all(u8::is_ascii_whitespace) => {}
                Ok(_) => {
                    return Some(serde_json::from_slice(&line).map_err(|error| {
                        Error::new(
                            Kind::InvalidArgument,
                            format!("{shown}: line {number} is not what is expected: {error}"),
                        )
                        .hint("write one JSON object a line, with an id and a text")
                    }));
                }
                Err(error) => return Some(Err(unusable(&shown, error))),
            }
        }
    }))
}

/// A run file: a header, then a line for each document of each question.
struct Run {
    to: BufWriter<File>,
    shown: String,
    answered: u64,
}

impl Run {
    fn create(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let file = File::create(path).map_err(|error| unusable(&shown, error))?;
        let mut run = Self { to: BufWriter::new(file), shown, answered: 0 };
        run.line(format_args!("query-id\tdocument\trank\tscore"))?;
        Ok(run)
    }

    fn answer<'h>(
        &mut self,
        question: &str,
        documents: impl Iterator<Item = (&'h str, f32)>,
    ) -> Result<()> {
        for (rank, (document, score)) in (1..).zip(documents) {
            // A tab or a line end in a key would be read as the next column.
            let document = document.replace(['\t', '\n', '\r'], " ");
            self.line(format_args!("{question}\t{document}\t{rank}\t{score:.6}"))?;
            self.answered += u64::from(rank == 1);
        }
        Ok(())
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) -> Result<()> {
        writeln!(self.to, "{line}").map_err(|error| unusable(&self.shown, error))
    }

    fn finish(mut self) -> Result<u64> {
        self.to.flush().map_err(|error| unusable(&self.shown, error))?;
        Ok(self.answered)
    }
}

fn unusable(what: &str, error: io::Error) -> Error {
    Error::new(Kind::Io, format!("{what} cannot be used: {error}"))
        .hint("check the path and its permissions")
        .because(error)
}

fn broken(fault: Fault) -> Error {
    Error::new(Kind::Io, format!("the temporary index failed: {}", fault.detail()))
        .hint("make room in the directory for temporary files (TMPDIR)")
        .because(fault)
}
