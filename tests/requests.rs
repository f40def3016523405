//! What operations cost, exactly, as counted by the server.

use r2vfs::sandbox::{GlobArgs, GrepArgs, ListArgs, OneOrMany, ReadArgs};

use crate::support::{
    TestServer,
    kit::{request, scan, served},
};

/// `n` small objects `dir/00000.md`, one line each.
fn fill(server: &TestServer, dir: &str, n: usize) {
    let object = |i| (format!("{dir}/{i:05}.md"), format!("article {i} of {dir}\n"));
    server.store().fill((0..n).map(object));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_glob_lists_only_its_literal_head() {
    let server = TestServer::start().await;
    fill(&server, "docs/en", 1500);
    fill(&server, "docs/de", 2500);
    let sandbox = served(&server);
    let args = GlobArgs {
        pattern: OneOrMany::One("/docs/en/**/*.md".into()),
        limit: Some(5000),
        ..GlobArgs::default()
    };
    let answer = sandbox.glob(args).await.expect("a glob");
    assert_eq!(answer.result.paths.len(), 1500);
    let counts = server.counts();
    assert_eq!((counts.lists, counts.gets), (2, 0), "2 pages of docs/en/ and nothing else");
    assert!(server.log().iter().all(|asked| asked.name == "docs/en/"), "{:?}", server.log());
    assert_eq!(answer.envelope.cost.list_requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grep_gets_each_object_once_and_a_repeat_gets_none() {
    let server = TestServer::start().await;
    fill(&server, "a", 2345);
    let sandbox = served(&server);
    let first = scan(&sandbox, request("article 7$|of a")).await;
    assert_eq!(first.hits.len(), 2345);
    let counts = server.counts();
    assert_eq!((counts.lists, counts.gets), (3, 2345));
    let cost = first.envelope.cost;
    assert_eq!((cost.list_requests, cost.get_requests, cost.cache_hits), (3, 2345, 0));
    assert_eq!(cost.bytes_fetched, counts.bytes);

    server.reset();
    let second = scan(&sandbox, request("article 7 ")).await;
    assert_eq!(second.lines(), ["/a/00007.md:1"]);
    let counts = server.counts();
    assert_eq!((counts.lists, counts.gets), (3, 0), "listed anew, read from memory");
    assert_eq!(second.envelope.cost.cache_hits, 2345);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_one_stops_the_fetching() {
    let server = TestServer::start().await;
    fill(&server, "many", 5000);
    let sandbox = served(&server);
    let args = GrepArgs {
        pattern: OneOrMany::One("article".into()),
        limit: Some(1),
        ..GrepArgs::default()
    };
    let answer = sandbox.grep(args.clone()).await.expect("a grep");
    assert_eq!(answer.result.files.len(), 1);
    assert!(!answer.envelope.complete);
    assert!(server.quiet().await);
    let gets = server.counts().gets;
    assert!(gets < 200, "{gets} gets for one result");

    // The cursor goes on with the second.
    let cursor = answer.envelope.cursor.expect("there is more");
    let next = sandbox.grep(GrepArgs { cursor: Some(cursor), ..args }).await.expect("a grep");
    assert_eq!(next.result.files[0].path, "/many/00001.md");
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_one_file_is_a_list_and_a_get() {
    let server = TestServer::start().await;
    fill(&server, "docs", 3000);
    let sandbox = served(&server);
    let args = ReadArgs { path: "/docs/01234.md".into(), ..ReadArgs::default() };
    let answer = sandbox.read(args).await.expect("a file");
    assert_eq!(answer.result.lines[0].text, "article 1234 of docs");
    let counts = server.counts();
    assert_eq!((counts.lists, counts.gets, counts.heads), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_directory_is_listed_by_delimiter() {
    let server = TestServer::start().await;
    fill(&server, "docs/en", 1500);
    fill(&server, "docs/de", 1500);
    server.store().put("docs/readme.md", "hello\n");
    let sandbox = served(&server);
    let args = ListArgs { path: "/docs/".into(), ..ListArgs::default() };
    let answer = sandbox.list(args).await.expect("a directory");
    let paths: Vec<&str> = answer.result.entries.iter().map(|e| e.path.as_str()).collect();
    assert_eq!(paths, ["/docs/de/", "/docs/en/", "/docs/readme.md"]);
    assert_eq!(server.counts().lists, 1);
}
