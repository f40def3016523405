//! What an index saves, counted: get requests and the rounds they take, each in a new process.

use std::{path::Path, time::Duration};

use r2vfs::sandbox::SearchArgs;

use super::{r2vfs, with_published_index};
use crate::support::{
    Kind, TestServer, Totals,
    kit::{otel, request, s3_bucket, scan},
};

struct Bucket {
    server: TestServer,
    nothing: tempfile::TempDir,
}

impl Bucket {
    /// The corpus with its index published.
    async fn published(corpus: &Path) -> Self {
        let server = TestServer::start().await;
        assert_eq!(server.store().load(corpus).expect("readable"), 1812);
        let nothing = tempfile::tempdir().expect("a directory");
        let built = tempfile::tempdir().expect("a directory");
        let location = server.location("");
        r2vfs(built.path(), &location, &server.env(), &["index", "build"]);
        r2vfs(built.path(), &location, &server.env(), &["index", "publish"]);
        Self { server, nothing }
    }

    /// What one command in a new process asks for that has nothing but the bucket.
    fn ask(&self, words: &[&str]) -> (String, Totals) {
        self.server.reset();
        let mut all = vec!["--no-disk-cache"];
        all.extend(words);
        let out = r2vfs(self.nothing.path(), &self.server.location(""), &self.server.env(), &all);
        let totals = self.server.counts();
        assert_eq!(totals.heads + totals.puts + totals.others, 0, "{totals:?}");
        (out, totals)
    }
}

/// Pages of 1,812 objects and the index's own two.
const LISTS: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_selective_grep_and_a_search_cost_a_handful_of_gets() {
    let Some(corpus) = otel() else { return };
    let bucket = Bucket::published(&corpus).await;
    // So that gets of one round are under way together.
    bucket.server.faults().delay(Duration::from_millis(20));
    for pattern in ["opamp-supervisor", "Bindplane", "Skywalking", "Netty.*HTTP"] {
        let (out, totals) = bucket.ask(&["grep", "-c", pattern]);
        let files = out.lines().count();
        assert!((1..=10).contains(&files), "{pattern}: choose another, {files} files match");
        eprintln!(
            "grep {pattern}: {files} files, {} gets, {} rounds",
            totals.gets, totals.get_rounds
        );
        assert_eq!(totals.lists, LISTS, "{pattern}: {:?}", bucket.server.log());
        // The manifest, the end of the segment, its n-grams, and twice its pack.
        assert_eq!(totals.gets, 5, "{pattern}: {:?}", bucket.server.log());
        assert!(totals.get_rounds <= 5, "{pattern}: {} rounds", totals.get_rounds);
    }
    for question in
        ["how do I limit the memory of the collector?", "トレースをエクスポートする方法"]
    {
        let (out, totals) = bucket.ask(&["search", question]);
        assert!(out.starts_with("1. "), "{question}: {out}");
        eprintln!("search {question}: {} gets, {} rounds", totals.gets, totals.get_rounds);
        assert_eq!(totals.lists, LISTS, "{question}");
        assert!(totals.get_rounds <= 5, "{question}: {} rounds", totals.get_rounds);
        // The manifest, the end of the segment, its full text, and twice its pack.
        assert_eq!(totals.gets, 5, "{question}: {:?}", bucket.server.log());
    }
    // Nothing of it asks for an object of its own.
    let objects = bucket.server.log().into_iter().filter(|asked| asked.kind == Kind::Get);
    assert!(objects.clone().all(|asked| asked.name.starts_with(".r2vfs/")), "{objects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_question_in_the_same_process_costs_at_most_three_gets() {
    let Some(corpus) = otel() else { return };
    let bucket = Bucket::published(&corpus).await;
    let server = &bucket.server;
    let new = || with_published_index(s3_bucket(server, &server.location("")));
    let greps = ["opamp-supervisor", "Bindplane", "Skywalking", "Netty.*HTTP"];
    let questions = [
        "how do I limit the memory of the collector?",
        "which exporter sends metrics to Prometheus",
        "sampling of traces at the tail",
    ];
    let (of_greps, of_searches) = (new(), new());
    let mut counts = Vec::new();
    for (nth, pattern) in greps.iter().enumerate() {
        server.reset();
        let found = scan(&of_greps, request(pattern)).await;
        assert!((1..=10).contains(&found.matching().len()), "{pattern}");
        let gets = server.counts().gets;
        assert!(nth == 0 || gets <= 3, "{pattern}: {gets} gets: {:?}", server.log());
        counts.push(gets);
    }
    for (nth, question) in questions.iter().enumerate() {
        server.reset();
        let args = SearchArgs { query: (*question).to_owned(), ..SearchArgs::default() };
        let answer = of_searches.search(args).await.expect("an answer");
        assert!(!answer.result.hits.is_empty(), "{question}");
        let gets = server.counts().gets;
        assert!(nth == 0 || gets <= 3, "{question}: {gets} gets: {:?}", server.log());
        counts.push(gets);
    }
    eprintln!("gets, first and later, of greps and searches: {counts:?}");
    // The same again costs the listing, which also tells that the manifest is still the one.
    server.reset();
    scan(&of_greps, request(greps[0])).await;
    assert_eq!(server.counts().gets, 0, "{:?}", server.log());
}
