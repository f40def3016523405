//! Answers in pages, over mounts that fail, listings out of order, and names that are not there.

use r2vfs::{
    sandbox::{
        GlobArgs, GrepArgs, ListArgs, OneOrMany, OutputMode, ReadArgs, Reason, SandboxOptions,
        StatArgs, VirtualSandbox,
    },
    vfs::{Budget, Freshness, Mount},
};

use crate::support::{
    Fault, Order, Rule, TestServer,
    kit::{s3_bucket, sandbox_with, served},
};

fn fill(server: &TestServer, dir: &str, n: usize) {
    server.store().fill((0..n).map(|i| (format!("{dir}/{i:05}.md"), format!("article {i}\n"))));
}

fn mount(point: &str, server: &TestServer) -> Mount {
    Mount { point: point.into(), bucket: s3_bucket(server, &server.location("")) }
}

fn with(server: &TestServer, options: SandboxOptions) -> VirtualSandbox {
    sandbox_with(vec![mount("/", server)], options)
}

fn every() -> GlobArgs {
    GlobArgs { pattern: OneOrMany::One("**".into()), limit: Some(5000), ..GlobArgs::default() }
}

fn below(path: &str) -> ListArgs {
    ListArgs { path: path.into(), recursive: true, limit: Some(5000), ..ListArgs::default() }
}

fn article(paths: &[&str]) -> GrepArgs {
    let path = OneOrMany::Many(paths.iter().map(|&path| path.into()).collect());
    GrepArgs { pattern: OneOrMany::One("article".into()), path, ..GrepArgs::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grep_fails_only_where_nothing_that_was_named_is_there() {
    let server = TestServer::start().await;
    fill(&server, "docs", 1);
    server.faults().add(Rule::gets(Fault::forbidden("AccessDenied")));
    let sandbox = served(&server);
    let answer = sandbox.grep(article(&["/docs/"])).await.expect("the directory is there");
    assert_eq!(answer.envelope.skipped.len(), 1);
    assert!(!answer.envelope.complete);
    sandbox.grep(article(&["/none.md"])).await.expect_err("it is not there");
    sandbox.grep(article(&["/none.md", "/nor.md"])).await.expect_err("they are not there");
    let answer = sandbox.grep(article(&["/none.md", "/docs/"])).await.expect("one is there");
    assert_eq!(answer.envelope.skipped.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_files_and_directories_give_each_match_once() {
    let server = TestServer::start().await;
    fill(&server, "docs", 3);
    server.store().put("a.md", "article\nnothing\narticle\n");
    server.store().put("zz.md", "article\n");
    let sandbox = served(&server);
    for (mode, each) in [(OutputMode::Content, 2), (OutputMode::FilesWithMatches, 1)] {
        let mut args = GrepArgs {
            output_mode: mode,
            limit: Some(1),
            ..article(&["/zz.md", "/docs/", "/a.md"])
        };
        let mut found = Vec::new();
        for _ in 0..10 {
            let answer = sandbox.grep(args.clone()).await.expect("a page");
            found.extend(answer.result.files.into_iter().map(|file| file.path));
            args.cursor = answer.envelope.cursor;
            if args.cursor.is_none() {
                break;
            }
        }
        let mut all = vec!["/a.md"; each];
        all.extend(["/docs/00000.md", "/docs/00001.md", "/docs/00002.md", "/zz.md"]);
        assert_eq!(found, all, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_mount_takes_nothing_from_the_others() {
    let (good, bad) = (TestServer::start().await, TestServer::start().await);
    fill(&good, "docs", 3);
    bad.faults().add(Rule::lists(Fault::forbidden("AccessDenied")));
    let mounts = vec![mount("/a", &bad), mount("/b", &good)];
    let sandbox = sandbox_with(mounts, SandboxOptions::default());
    let globbed = sandbox.glob(every()).await.expect("what there is");
    assert_eq!(globbed.result.paths.len(), 3);
    assert_eq!(globbed.envelope.incomplete[0].reason, Reason::Error);
    let listed = sandbox.list(below("/")).await.expect("what there is");
    assert_eq!(listed.result.entries.len(), 5, "two directories and three files");
    assert_eq!(listed.envelope.incomplete[0].reason, Reason::Error);

    let alone = served(&bad);
    alone.glob(every()).await.expect_err("nothing can be listed");
    alone.list(below("/")).await.expect_err("nothing can be listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_ends_with_what_there_is_and_a_cursor() {
    let server = TestServer::start().await;
    fill(&server, "docs", 2500);
    let budget = Budget { requests: Some(2), ..Budget::default() };
    let (poor, rich) =
        (with(&server, SandboxOptions { budget, ..Default::default() }), served(&server));

    let first = poor.glob(every()).await.expect("two pages");
    assert_eq!(first.result.paths.len(), 2000);
    assert_eq!(first.envelope.incomplete[0].reason, Reason::Budget);
    let rest = GlobArgs { cursor: first.envelope.cursor, ..every() };
    assert!(rest.cursor.is_some());
    assert_eq!(rich.glob(rest).await.expect("the rest").result.paths.len(), 500);

    for (args, path) in [(below("/"), "/docs/"), (below("/docs/"), "/docs/00000.md")] {
        let args = ListArgs { recursive: path == "/docs/", ..args };
        let first = poor.list(args.clone()).await.expect("two pages");
        assert_eq!(first.result.entries[0].path, path);
        let found = first.result.entries.len();
        assert_eq!(first.envelope.incomplete[0].reason, Reason::Budget);
        let rest = ListArgs { cursor: first.envelope.cursor, ..args };
        assert!(rest.cursor.is_some());
        let rest = rich.list(rest).await.expect("the rest").result.entries.len();
        assert_eq!(found + rest, 2500 + usize::from(path == "/docs/"));
    }

    let args = GrepArgs { limit: Some(5000), ..article(&["/docs/"]) };
    let first = rich.grep(GrepArgs { max_requests: Some(100), ..args.clone() }).await;
    let first = first.expect("some files");
    assert_eq!(first.envelope.incomplete[0].reason, Reason::Budget);
    let mut found = first.result.files;
    assert!(!found.is_empty());
    let rest = GrepArgs { cursor: first.envelope.cursor, ..args };
    assert!(rest.cursor.is_some());
    found.extend(rich.grep(rest).await.expect("the rest").result.files);
    let all: Vec<String> = (0..2500).map(|i| format!("/docs/{i:05}.md")).collect();
    assert!(found.iter().map(|file| &file.path).eq(&all), "each once, in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_no_request_needs_no_budget() {
    let server = TestServer::start().await;
    fill(&server, "docs", 50);
    let sandbox = served(&server);
    sandbox.grep(article(&[])).await.expect("all of them");
    let args = GrepArgs { max_requests: Some(1), ..article(&[]) };
    let answer = sandbox.grep(args).await.expect("from the cache");
    assert_eq!(answer.result.files.len(), 50);
    assert!(answer.envelope.complete, "{:?}", answer.envelope);
    assert_eq!(answer.envelope.cost.list_requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_leaves_order_after_its_first_page_gives_no_cursor() {
    let server = TestServer::start().await;
    fill(&server, "a", 1200);
    server.store().put("foo/x", "article\n");
    server.store().put("foo-bar", "article\n");
    server.faults().list_in(Order::Components);
    let some = |limit| GlobArgs { limit: Some(limit), ..every() };

    let answer = served(&server).glob(some(1100)).await.expect("a page");
    assert_eq!(answer.envelope.cursor, None);
    assert!(answer.envelope.notes.join("").contains("ask again"), "{:?}", answer.envelope.notes);

    // A cursor from before anybody could know.
    let sandbox = served(&server);
    let cursor = sandbox.glob(some(400)).await.expect("a page").envelope.cursor;
    assert!(cursor.is_some());
    let answer = sandbox.glob(GlobArgs { cursor, ..some(400) }).await.expect("a page");
    assert_eq!(answer.envelope.incomplete.iter().filter(|i| i.reason == Reason::Error).count(), 0);
    let rest = GlobArgs { cursor: answer.envelope.cursor, ..some(400) };
    let answer = sandbox.glob(rest).await.expect("a page");
    assert_eq!(answer.envelope.incomplete.iter().filter(|i| i.reason == Reason::Error).count(), 1);
    // Once it is known, pages are cut from the sorted whole.
    let (mut args, mut all) = (some(400), Vec::new());
    loop {
        let answer = sandbox.glob(args.clone()).await.expect("a page");
        all.extend(answer.result.paths);
        args.cursor = answer.envelope.cursor;
        if args.cursor.is_none() {
            break;
        }
    }
    assert_eq!(all.len(), 1202);
    assert!(all.is_sorted());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_without_a_path_are_counted_however_they_were_listed() {
    let server = TestServer::start().await;
    fill(&server, "a", 1200);
    server.store().put("foo/x", "1");
    server.store().put("foo-bar", "2");
    for i in 0..1500 {
        let key = [b"foo/\xff".as_slice(), format!("{i:04}").as_bytes()].concat();
        server.store().put(key, "3");
    }
    let strict = served(&server);
    let kept = SandboxOptions { freshness: Freshness::Snapshot, ..SandboxOptions::default() };
    let kept = with(&server, kept);
    kept.glob(every()).await.expect("all paths");
    for sandbox in [&strict, &kept] {
        let args = ListArgs { path: "/foo/".into(), ..ListArgs::default() };
        let answer = sandbox.list(args).await.expect("a directory");
        let notes = answer.envelope.notes;
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("keys cannot be addressed"), "{notes:?}");
        assert!(notes[0].len() < 200, "{notes:?}");
        let args = ListArgs { path: "/a/".into(), ..ListArgs::default() };
        let notes = sandbox.list(args).await.expect("a directory").envelope.notes;
        assert!(notes.is_empty(), "none of them is here: {notes:?}");
    }

    server.faults().list_in(Order::Components);
    let args = StatArgs { path: "/".into(), report: true };
    let report = served(&server).stat(args).await.expect("a report").result.report["/"];
    assert_eq!((report.reachable, report.unaddressable), (1202, 1500));
    assert_eq!((report.out_of_order, report.duplicates), (1, 0));
    assert_eq!(report.listed, 2702);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_there_is_answered_with_the_nearest() {
    let server = TestServer::start().await;
    fill(&server, "docs", 1500);
    server.store().put("docs/z\u{fc}rich.md", "article\n");
    server.store().put("docs/\u{fc}ber/a.md", "article\n");
    let sandbox = served(&server);
    let read = |path: &str| ReadArgs { path: path.into(), ..ReadArgs::default() };
    let error = sandbox.read(read("/docs/zu\u{308}rich.md")).await.expect_err("another spelling");
    assert!(error.to_string().contains("/docs/z\u{fc}rich.md"), "{error}");
    for path in ["/docs/u\u{308}ber/", "/docs/u\u{308}ber"] {
        let error = sandbox.list(below(path)).await.expect_err("another spelling");
        assert!(error.to_string().contains("/docs/\u{fc}ber/"), "{error}");
    }
    for recursive in [false, true] {
        let args = ListArgs { recursive, ..below("/dosc/") };
        let error = sandbox.list(args).await.expect_err("a slip");
        assert!(error.to_string().contains("did you mean /docs/"), "{error}");
    }
    let error = sandbox.read(read("/dosc/")).await.expect_err("a slip");
    assert!(error.to_string().contains("did you mean /docs/"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn globs_nested_beyond_reason_are_refused() {
    let server = TestServer::start().await;
    let sandbox = served(&server);
    let deep = format!("{}a{}", "{".repeat(30_000), "}".repeat(30_000));
    let args = GlobArgs { pattern: OneOrMany::One(deep.clone()), ..GlobArgs::default() };
    let error = sandbox.glob(args).await.expect_err("too deep");
    assert!(error.to_string().contains("column 65"), "{error}");
    let args = GrepArgs { glob: OneOrMany::One(deep), ..article(&[]) };
    let error = sandbox.grep(args).await.expect_err("too deep");
    assert!(error.to_string().contains("column 65"), "{error}");
    let most = format!("{}a{}", "{".repeat(64), "}".repeat(64));
    let args = GlobArgs { pattern: OneOrMany::One(most), ..GlobArgs::default() };
    sandbox.glob(args).await.expect("deep enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_of_a_grep_is_bounded_and_goes_on() {
    let server = TestServer::start().await;
    let line = format!("article {}\n", "x".repeat(1900));
    for key in ["a", "b"] {
        server.store().put(key, line.repeat(3000));
    }
    let sandbox = served(&server);
    let all = GrepArgs { output_mode: OutputMode::Content, limit: Some(100_000), ..article(&[]) };
    let first = sandbox.grep(all.clone()).await.expect("a page");
    let text = |files: &[r2vfs::sandbox::FileHits]| -> usize {
        files.iter().flat_map(|file| &file.lines).map(|line| line.text.len()).sum()
    };
    assert!(text(&first.result.files) < (8 << 20) + 2000);
    assert_eq!(first.envelope.incomplete[0].reason, Reason::Limit);
    let rest = GrepArgs { cursor: first.envelope.cursor, ..all };
    let rest = sandbox.grep(rest).await.expect("the rest");
    assert!(rest.envelope.complete, "{:?}", rest.envelope);
    let lines = |files: &[r2vfs::sandbox::FileHits]| -> usize {
        files.iter().map(|file| file.lines.len()).sum()
    };
    assert_eq!(lines(&first.result.files) + lines(&rest.result.files), 6000);
}
