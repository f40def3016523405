//! Greps over a server that fails, changes and disagrees: nothing is lost in silence.

use std::{io::Write as _, sync::Arc, time::Duration};

use r2vfs::{
    bucket::Bucket,
    platform::{Hooks, Platform},
    sandbox::{
        GlobArgs, OneOrMany, Reason, SandboxOptions, ScanEvent, SkipReason, get_virtual_sandbox,
    },
    search::{Found, Hits, Output, Pattern, Report, SelectionOptions},
    vfs::{Budget, Mount},
};

use crate::support::{
    Fault, Kind, Order, Rule, Stored, TestServer,
    kit::{dir_bucket, request, s3_bucket, sandbox_with, scan, scan_hits, served},
};

/// 300 objects of which every third has a needle in its second line.
fn haystacks(server: &TestServer) -> Vec<String> {
    let needle = |i: usize| i.is_multiple_of(3);
    let text = |i| format!("object {i}\n{}\n", if needle(i) { "a needle" } else { "straw" });
    server.store().fill((0..300).map(|i| (format!("h/{i:03}"), text(i))));
    (0..300).filter(|i| needle(*i)).map(|i| format!("/h/{i:03}:2")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_faults_cost_requests_and_no_result() {
    let server = TestServer::start().await;
    let expected = haystacks(&server);
    for fault in [Fault::slow_down(), Fault::Reset, Fault::Truncate, Fault::ErrorIn200("SlowDown")]
    {
        server.faults().add(Rule::gets(fault).per_mille(30));
    }
    let scanned = scan(&served(&server), request("needle")).await;
    assert_eq!(scanned.lines(), expected, "in path order, whole");
    assert!(scanned.envelope.complete, "{:?}", scanned.envelope);
    assert!(scanned.envelope.cost.retries > 0, "the faults did happen");
    assert_eq!(scanned.envelope.cost.get_requests, server.counts().gets);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_named_and_loses_nothing_else() {
    let server = TestServer::start().await;
    let expected = haystacks(&server);
    server.store().put_object("h/900", Stored::new("a needle").storage_class("GLACIER"));
    server.faults().add(Rule::gets(Fault::forbidden("AccessDenied")).key("h/003"));
    server.faults().add(Rule::gets(Fault::Delete).key("h/006"));
    let scanned = scan(&served(&server), request("needle")).await;
    let lost = ["/h/003:2", "/h/006:2"];
    let rest: Vec<_> = expected.iter().filter(|e| !lost.contains(&e.as_str())).cloned().collect();
    assert_eq!(scanned.lines(), rest);
    let envelope = &scanned.envelope;
    assert!(!envelope.complete);
    let skipped: Vec<_> = envelope.skipped.iter().map(|s| (s.path.as_str(), s.reason)).collect();
    assert_eq!(
        skipped,
        [
            ("/h/003", SkipReason::Forbidden),
            ("/h/006", SkipReason::NotFound),
            ("/h/900", SkipReason::Archived),
        ]
    );
    assert_eq!((envelope.listed, envelope.searched), (301, 298));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changes_after_the_listing_is_searched_as_it_is_now() {
    let server = TestServer::start().await;
    haystacks(&server);
    let newer = Fault::Replace("one\ntwo\na new needle\n".into());
    server.faults().add(Rule::gets(newer).key("h/001").times(1));
    let scanned = scan(&served(&server), request("new needle")).await;
    assert_eq!(scanned.lines(), ["/h/001:3"]);
    assert!(scanned.envelope.complete);
    let notes = scanned.envelope.notes.join("\n");
    assert!(notes.contains("changed after they were listed"), "{notes}");
    // The listing, and one look at the one object.
    assert_eq!(server.counts().lists, 2);
}

/// 24 MiB: three gets and more, numbered lines.
const LARGE: (usize, u64) = (64, 24 << 14);

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_that_changes_before_its_results_are_out_is_searched_anew() {
    let server = TestServer::start().await;
    server.store().put_object("large", Stored::numbered(LARGE.0, LARGE.1));
    let text = "small now\n".repeat(10);
    server.faults().add(Rule::gets(Fault::Replace(text.into())).skip(1).times(1));
    let scanned = scan(&served(&server), request("small now")).await;
    assert_eq!(scanned.hits.len(), 10);
    assert!(scanned.envelope.complete, "{:?}", scanned.envelope);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_that_changes_after_results_are_out_is_reported() {
    let server = TestServer::start().await;
    server.store().put_object("large", Stored::numbered(LARGE.0, LARGE.1));
    server.faults().add(Rule::gets(Fault::Replace("x\n".into())).skip(1).times(1));
    // Every line matches, so that results are given out long before the second get.
    let scanned = scan(&served(&server), request("")).await;
    assert_eq!(scanned.envelope.skipped[0].reason, SkipReason::Changed, "{:?}", scanned.envelope);
    assert!(!scanned.envelope.complete);
    assert!(scanned.envelope.has_failed());
}

#[tokio::test(flavor = "multi_thread")]
async fn results_beyond_all_bounds_come_out_in_order_to_a_slow_reader() {
    let server = TestServer::start().await;
    // 40 objects of 1 MiB, every line a hit: 40 MiB of results and more, 16 MiB may wait.
    for n in 0..40 {
        let key = format!("o/{n:02}");
        server.store().put_object(key, Stored::numbered(64, 1 << 14));
    }
    server.faults().add(Rule::gets(Fault::slow_down()).key("o/00").times(2));
    let sandbox = served(&server);
    let mut running = sandbox.scan(request(""), Hits::default()).expect("a scan");
    let (mut last, mut hits) = (String::new(), 0);
    while let Some(event) = running.next().await {
        if let r2vfs::sandbox::ScanEvent::Chunk { path, chunk } = event {
            assert!(*path >= *last, "{path} after {last}");
            last = path.to_string();
            hits += chunk.len();
        }
    }
    assert_eq!(hits, 40 << 14);
    assert!(running.envelope().complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_object_is_searched_as_its_decoded_copy() {
    let server = TestServer::start().await;
    let text = "first\nthe needle\n".repeat(1000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let store = server.store();
    store.put_object("by-header.md", Stored::new(gzip.clone()).content_encoding("gzip"));
    store.put("by-name.md.gz", gzip.clone());
    store.put_object(
        "cut.md",
        Stored::new(gzip[..gzip.len() / 2].to_vec()).content_encoding("gzip"),
    );
    let sandbox = served(&server);
    let plain = scan(&sandbox, request("needle")).await;
    assert_eq!(plain.matching(), ["/by-header.md"], "a .gz file is searched as it is without -z");
    assert_eq!(plain.envelope.skipped_by_reason[&SkipReason::Undecodable], 1);
    let zipped = r2vfs::sandbox::ScanRequest { search_zip: true, ..request("needle") };
    let zipped = scan(&sandbox, zipped).await;
    assert_eq!(zipped.matching(), ["/by-header.md", "/by-name.md.gz"]);
    let of_one = zipped.hits.iter().filter(|(path, _)| path == "/by-name.md.gz").count();
    assert_eq!(of_one, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_out_of_order_come_out_in_order_and_are_noted() {
    let server = TestServer::start().await;
    server
        .store()
        .fill((0..30).flat_map(|i| {
            [(format!("d{i:02}/x"), "needle\n"), (format!("d{i:02}-b"), "needle\n")]
        }));
    server.faults().list_in(Order::Components);
    let sandbox = served(&server);
    let scanned = scan(&sandbox, request("needle")).await;
    let mut sorted = scanned.lines();
    sorted.sort();
    assert_eq!(scanned.lines(), sorted);
    assert_eq!(sorted.len(), 60);
    assert!(scanned.envelope.notes.join("\n").contains("out of byte order"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_fails_does_not_hide_the_others() {
    let (good, bad) = (TestServer::start().await, TestServer::start().await);
    let expected = haystacks(&good);
    bad.faults().add(Rule::lists(Fault::forbidden("AccessDenied")));
    let mount = |point: &str, server| Mount {
        point: point.into(),
        bucket: s3_bucket(server, &server.location("")),
    };
    let mounts = vec![mount("/b", &good), mount("/a", &bad)];
    let sandbox = sandbox_with(mounts, SandboxOptions::default());
    let scanned = scan(&sandbox, request("needle")).await;
    let expected: Vec<_> = expected.iter().map(|path| format!("/b{path}")).collect();
    assert_eq!(scanned.lines(), expected);
    assert_eq!(scanned.failed.len(), 1, "{:?}", scanned.failed);
    assert!(scanned.failed[0].0.starts_with("/a"), "{:?}", scanned.failed);
    assert!(!scanned.envelope.complete);

    let args = GlobArgs { pattern: OneOrMany::One("b/h/00?".into()), ..GlobArgs::default() };
    bad.reset();
    let answer = sandbox.glob(args).await.expect("the other mount is not asked");
    assert_eq!(answer.result.paths.len(), 10);
    assert_eq!(bad.counts().lists, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_and_a_budget_end_with_what_there_is() {
    let server = TestServer::start().await;
    let expected = haystacks(&server);
    server.faults().add(Rule::gets(Fault::Hang).key("h/100"));
    let budget = Budget { time: Some(Duration::from_millis(1500)), ..Budget::default() };
    let limited = r2vfs::sandbox::ScanRequest { budget, ..request("needle") };
    let scanned = scan(&served(&server), limited).await;
    assert_eq!(scanned.envelope.incomplete[0].reason, Reason::Deadline);
    let lines = scanned.lines();
    assert!(expected.starts_with(&lines), "in order, up to what hangs: {lines:?}");
    assert!(lines.iter().all(|line| line.as_str() < "/h/100"), "{lines:?}");

    server.faults().clear();
    server.reset();
    let budget = Budget { requests: Some(50), ..Budget::default() };
    let limited = r2vfs::sandbox::ScanRequest { budget, ..request("needle") };
    let scanned = scan(&served(&server), limited).await;
    assert_eq!(scanned.envelope.incomplete[0].reason, Reason::Budget, "{:?}", scanned.envelope);
    let asked = server.counts();
    assert!(asked.lists + asked.gets <= 50 + 64, "those under way are finished: {asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_scan_stops_all_work() {
    let server = TestServer::start().await;
    haystacks(&server);
    server.faults().delay(Duration::from_millis(200));
    let sandbox = served(&server);
    let mut running = sandbox.scan(request("needle"), Hits::default()).expect("a scan");
    running.next().await.expect("an event");
    drop(running);
    assert!(server.quiet().await);
    let gets = server.counts().gets;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server.counts().gets, gets, "nothing was asked after the drop");
    assert!(gets < 300);
    assert!(server.log().iter().all(|asked| asked.kind != Kind::Head));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_beyond_the_heap_limit_is_skipped_by_name() {
    let server = TestServer::start().await;
    server.store().put("long", vec![b'x'; 3 << 20]);
    server.store().put("short", "x\n");
    let mut narrow = request("x");
    narrow.search.heap_limit = 1 << 20;
    let scanned = scan(&served(&server), narrow).await;
    assert_eq!(scanned.matching(), ["/short"]);
    assert_eq!(scanned.envelope.skipped[0].reason, SkipReason::TooLarge);
    assert!(!scanned.envelope.complete);
}

/// A platform without threads, as in a Worker: tasks and timers of a runtime, and nothing that
/// may block.
fn without_threads() -> Platform {
    let start = tokio::time::Instant::now();
    Platform::new(Hooks {
        sleep: Box::new(|time| Box::pin(tokio::time::sleep(time))),
        spawn: Box::new(|future| drop(tokio::spawn(future))),
        wall_clock: Box::new(|()| {
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .expect("a clock after 1970")
        }),
        monotonic: Box::new(move |()| start.elapsed()),
        run_blocking: None,
        run_worker: None,
        parallelism: 1,
    })
}

#[tokio::test]
async fn without_threads_the_answers_are_the_same() {
    let server = TestServer::start().await;
    let expected = haystacks(&server);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"straw\na needle\n").expect("memory");
    let zipped = Stored::new(gzip.finish().expect("memory")).content_encoding("gzip");
    server.store().put_object("zip", zipped);
    server.store().put_object("zz-large", Stored::numbered(LARGE.0, LARGE.1));
    let bucket: Arc<dyn Bucket> = s3_bucket(&server, &server.location(""));
    let mounts = vec![Mount { point: "/".into(), bucket }];
    let options = SandboxOptions::default();
    let sandbox = get_virtual_sandbox(mounts, without_threads(), options).expect("a sandbox");
    let scanned = scan(&sandbox, request("needle")).await;
    let expected: Vec<_> = expected.into_iter().chain(["/zip:2".to_owned()]).collect();
    assert_eq!(scanned.lines(), expected);
    // What does not fit is named, not lost.
    let skipped: Vec<_> = scanned.envelope.skipped.iter().map(|s| s.path.as_str()).collect();
    assert_eq!(skipped, ["/zz-large"]);

    let args = r2vfs::sandbox::ReadArgs { path: "/zip".into(), ..Default::default() };
    let answer = sandbox.read(args).await.expect("a file");
    assert_eq!(answer.result.lines[1].text, "a needle");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_same_size_rewrite_with_its_time_restored_is_seen() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.md");
    std::fs::write(&path, "first needle\n").expect("written");
    let sandbox = crate::support::kit::sandbox(dir_bucket(dir.path()));
    assert_eq!(scan(&sandbox, request("first")).await.lines(), ["/a.md:1"]);
    let modified = std::fs::metadata(&path).and_then(|m| m.modified()).expect("a time");
    std::fs::write(&path, "other needle\n").expect("written");
    let file = std::fs::File::options().write(true).open(&path).expect("opened");
    file.set_modified(modified).expect("set");
    drop(file);
    assert_eq!(scan(&sandbox, request("first")).await.lines(), [""; 0]);
    assert_eq!(scan(&sandbox, request("other")).await.lines(), ["/a.md:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_match_are_told_with_what_was_selected() {
    let server = TestServer::start().await;
    haystacks(&server);
    server.store().put("h/readme.md", "needle\n");
    let mut only_markdown = request("needle");
    only_markdown.selection = SelectionOptions { globs: vec!["*.md".into()], ..Default::default() };
    server.reset();
    let scanned = scan_hits(&served(&server), only_markdown, Hits::default()).await;
    assert_eq!(scanned.lines(), ["/h/readme.md:1"]);
    assert_eq!(server.counts().gets, 1, "what is not selected is not fetched");
    assert_eq!((scanned.envelope.listed, scanned.envelope.searched), (301, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_cached_objects_with_many_results_do_not_block_each_other() {
    let server = TestServer::start().await;
    // Each has 60 KiB and some 2 MiB of results; seven of them fill what may wait.
    let text = "a\n".repeat(30 << 10);
    server.store().fill((0..48).map(|i| (format!("o/{i:02}"), text.clone())));
    let sandbox = served(&server);
    for round in ["fetched", "cached"] {
        let scanned = scan(&sandbox, request("a"));
        let scanned = tokio::time::timeout(Duration::from_secs(120), scanned).await;
        let scanned = scanned.unwrap_or_else(|_| panic!("{round}: it hangs"));
        assert_eq!(scanned.hits.len(), 48 * (30 << 10), "{round}");
        assert!(scanned.hits.is_sorted_by(|a, b| a.0 <= b.0), "{round}: in path order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_scan_of_a_large_object_stops_too() {
    let server = TestServer::start().await;
    // 64 GiB that the server makes up as it goes: 16,384 gets.
    server.store().put_object("large", Stored::numbered(64, 1 << 30));
    server.faults().delay(Duration::from_millis(20));
    let sandbox = served(&server);
    let running = sandbox.scan(request("not there"), Hits::default()).expect("a scan");
    while server.counts().gets < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(running);
    // A range that was allowed before the drop may still be asked for, and is abandoned.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.quiet().await);
    let gets = server.counts().gets;
    assert!(gets < 8000, "{gets} gets");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.counts().gets, gets, "nothing was asked any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn named_files_come_in_path_order_and_once() {
    let server = TestServer::start().await;
    server.store().fill(["a.md", "d/b.md", "d/c.md", "z.md"].map(|key| (key, "needle\n")));
    let paths = ["/z.md", "/d/", "/a.md", "/d/c.md", "/nowhere"].map(str::to_owned).to_vec();
    let named = r2vfs::sandbox::ScanRequest { paths, ..request("needle") };
    let scanned = scan(&served(&server), named).await;
    assert_eq!(scanned.lines(), ["/a.md:1", "/d/b.md:1", "/d/c.md:1", "/z.md:1"]);
    assert_eq!(scanned.failed.len(), 1, "{:?}", scanned.failed);
    assert_eq!(scanned.envelope.skipped[0].path, "/nowhere");
}

/// Panics at some objects, as a bug in a printer would.
#[derive(Clone)]
struct Breaking;

impl Report for Breaking {
    type Chunk = ();

    fn search<R: std::io::Read>(
        &mut self,
        _: &Pattern,
        _: &mut grep_searcher::Searcher,
        path: &str,
        _: R,
        _: &mut dyn Output<()>,
    ) -> std::io::Result<Found> {
        assert!(!path.ends_with('7'), "on purpose");
        Ok(Found::default())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_its_object_only() {
    let server = TestServer::start().await;
    haystacks(&server);
    let sandbox = served(&server);
    for round in ["fetched", "cached"] {
        let mut running = sandbox.scan(request("needle"), Breaking).expect("a scan");
        let (mut ended, mut failed) = (0, 0);
        while let Some(event) = running.next().await {
            match event {
                ScanEvent::End { .. } => ended += 1,
                ScanEvent::Failed { path, .. } => {
                    assert!(path.ends_with('7'), "{path}");
                    failed += 1;
                }
                ScanEvent::Chunk { .. } => {}
            }
        }
        assert_eq!((ended, failed), (270, 30), "{round}");
        assert!(!running.envelope().complete);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_glob_is_not_asked_of_any_directory_that_was_named() {
    let server = TestServer::start().await;
    server.store().fill(["a/b/x", "a/c/b/y", "a/z"].map(|key| (key, "needle\n")));
    for paths in [["/a", "/a/b"], ["/a/b", "/a"]] {
        let mut globbed = request("needle");
        globbed.paths = paths.map(str::to_owned).to_vec();
        globbed.selection = SelectionOptions { globs: vec!["!b".into()], ..Default::default() };
        let scanned = scan(&served(&server), globbed).await;
        assert_eq!(scanned.lines(), ["/a/b/x:1", "/a/z:1"], "{paths:?}");
    }
}
