//! Lines of large, encoded and odd objects.

use r2vfs::{
    sandbox::{ReadArgs, ReadResult, Reason, VirtualSandbox},
    vfs::Freshness,
};

use crate::support::{
    Fault, Rule, Stored, TestServer,
    kit::{s3_bucket, sandbox_with, served},
};

async fn window(sandbox: &VirtualSandbox, path: &str, offset: u64, limit: u64) -> ReadResult {
    let args = ReadArgs {
        path: path.into(),
        offset: Some(offset),
        limit: Some(limit),
        ..ReadArgs::default()
    };
    sandbox.read(args).await.expect("a window").result
}

async fn tail(sandbox: &VirtualSandbox, path: &str, lines: u64) -> ReadResult {
    let args = ReadArgs { path: path.into(), tail: Some(lines), ..ReadArgs::default() };
    sandbox.read(args).await.expect("a tail").result
}

fn texts(result: &ReadResult) -> Vec<&str> {
    result.lines.iter().map(|line| line.text.trim_start_matches('0')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_window_starts_near_the_first() {
    let server = TestServer::start().await;
    // 128 MiB of lines of 64 bytes.
    server.store().put_object("log", Stored::numbered(64, 2 << 20));
    let sandbox = served(&server);
    let first = window(&sandbox, "/log", 1_500_000, 3).await;
    let numbers: Vec<_> = first.lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [Some(1_500_000), Some(1_500_001), Some(1_500_002)]);
    assert_eq!(first.next_offset, Some(1_500_003));
    let before = server.counts();
    // 1,500,000 lines of 64 bytes are 91.6 MiB, in gets of 1 MiB with one ahead.
    assert!(before.gets <= 94, "{before:?}");

    server.reset();
    let second = window(&sandbox, "/log", 1_500_100, 1).await;
    assert_eq!(second.lines[0].number, Some(1_500_100));
    let first_text = &first.lines[0].text;
    assert_eq!(second.lines[0].text.len(), first_text.len());
    assert_ne!(&second.lines[0].text, first_text);
    let after = server.counts();
    assert!(after.gets <= 3 && after.bytes <= 3 << 20, "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_gets_only_the_end() {
    let server = TestServer::start().await;
    server.store().put_object("log", Stored::numbered(64, 1 << 20));
    let sandbox = served(&server);
    let result = tail(&sandbox, "/log", 2).await;
    assert_eq!(result.lines.len(), 2);
    let bytes = server.counts().bytes;
    assert!(bytes <= 3 << 20, "{bytes} bytes for two lines at the end");
    let whole = window(&sandbox, "/log", (1 << 20) - 1, 5).await;
    assert_eq!(texts(&whole), texts(&result), "the same lines from the front");
    assert_eq!(whole.total_lines, Some(1 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_of_small_files_are_what_a_split_gives() {
    let server = TestServer::start().await;
    let text = "one\ntwo\r\n\nfour\nfive";
    server.store().put("a.md", text);
    server.store().put("empty", "");
    let sandbox = served(&server);
    for offset in 1..=5 {
        for limit in 1..=6 {
            let got = window(&sandbox, "/a.md", offset, limit).await;
            let all = ["one", "two", "", "four", "five"];
            let from = offset as usize - 1;
            let to = (from + limit as usize).min(5);
            assert_eq!(texts(&got), all[from..to], "{offset} {limit}");
            let next = (to < 5).then_some(to as u64 + 1);
            assert_eq!(got.next_offset, next, "{offset} {limit}");
        }
    }
    for lines in 1..=6 {
        let got = tail(&sandbox, "/a.md", lines).await;
        let all = ["one", "two", "", "four", "five"];
        let from = 5usize.saturating_sub(lines as usize);
        assert_eq!(texts(&got), all[from..], "tail {lines}");
        let numbers: Vec<_> = got.lines.iter().map(|line| line.number).collect();
        let expected: Vec<_> = (from as u64 + 1..=5).map(Some).collect();
        assert_eq!(numbers, expected, "tail {lines}");
    }
    let empty = window(&sandbox, "/empty", 1, 10).await;
    assert_eq!((empty.lines.len(), empty.total_lines), (0, Some(0)));
    let past = ReadArgs { path: "/a.md".into(), offset: Some(7), ..ReadArgs::default() };
    let error = sandbox.read(past).await.expect_err("there are five lines");
    assert!(error.to_string().contains("there are 5 lines"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn utf_16_and_encoded_files_are_text() {
    let server = TestServer::start().await;
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("eins\nzwölf\n".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    server.store().put("utf16.txt", utf16);
    let sandbox = served(&server);
    let result = window(&sandbox, "/utf16.txt", 2, 1).await;
    assert_eq!(texts(&result), ["zwölf"]);
    assert!(!result.binary);
    let result = tail(&sandbox, "/utf16.txt", 1).await;
    assert_eq!(texts(&result), ["zwölf"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_never_mixes_two_versions() {
    let server = TestServer::start().await;
    server.store().put("a.md", "old\n");
    let sandbox = served(&server);
    server.faults().add(Rule::gets(Fault::Replace("new\n".into())).times(1));
    let args = ReadArgs { path: "/a.md".into(), ..ReadArgs::default() };
    let answer = sandbox.read(args).await.expect("the newer version");
    assert_eq!(texts(&answer.result), ["new"]);
    assert!(answer.envelope.notes.join("").contains("changed"), "{:?}", answer.envelope.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_freshness_saves_the_listing_and_strict_does_not() {
    let server = TestServer::start().await;
    server.store().put("a.md", "text\n");
    for (freshness, lists) in [
        (Freshness::Strict, 3),
        (Freshness::Bounded(std::time::Duration::from_secs(60)), 1),
        (Freshness::Snapshot, 1),
    ] {
        let bucket = s3_bucket(&server, &server.location(""));
        let mounts = vec![r2vfs::vfs::Mount { point: "/".into(), bucket }];
        let options = r2vfs::sandbox::SandboxOptions { freshness, ..Default::default() };
        let sandbox = sandbox_with(mounts, options);
        server.reset();
        for _ in 0..3 {
            window(&sandbox, "/a.md", 1, 1).await;
        }
        assert_eq!(server.counts().lists, lists, "{freshness:?}");
        assert_eq!(server.counts().gets, 1, "{freshness:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_holds_only_whole_lines_and_says_when_it_is_shortened() {
    let server = TestServer::start().await;
    let store = server.store();
    // The bytes that a tail looks at begin inside one of these.
    store.put_object("wide", Stored::numbered(65_000, 100));
    store.put("ten", format!("{}\n", "x".repeat(40)).repeat(10));
    let uneven = format!("{}{}\n", "short\n".repeat(9), "x".repeat(96));
    store.put("uneven", uneven.clone());
    store.put("open", uneven.trim_end().to_owned());
    let sandbox = served(&server);

    let args = |path: &str, tail, max_bytes| ReadArgs {
        path: path.into(),
        tail: Some(tail),
        max_bytes,
        max_line: Some(100),
        ..ReadArgs::default()
    };
    let wide = sandbox.read(args("/wide", 40, None)).await.expect("a tail");
    assert!(wide.result.lines.len() >= 16, "{}", wide.result.lines.len());
    assert!(wide.result.lines.iter().all(|line| line.cut == 64_899 && line.text.len() == 100));
    assert_eq!(wide.envelope.incomplete[0].reason, Reason::Limit);

    let ten = sandbox.read(args("/ten", 5, Some(100))).await.expect("a tail");
    let numbers: Vec<_> = ten.result.lines.iter().filter_map(|line| line.number).collect();
    assert_eq!(numbers, [9, 10]);
    assert!(!ten.envelope.complete);
    for path in ["/uneven", "/open"] {
        let tail = sandbox.read(args(path, 10, Some(100))).await.expect("a tail");
        assert_eq!(texts(&tail.result), [&"x".repeat(96), ""][..1], "{path}");
    }
    let whole = sandbox.read(args("/ten", 10, None)).await.expect("a tail");
    assert!(whole.envelope.complete);
    assert_eq!(whole.result.lines.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_line_longer_than_a_tail_looks_at_is_cut_and_counted() {
    let server = TestServer::start().await;
    for (key, before, end) in [("a", "first\n", "\r\n"), ("b", "", "\n"), ("c", "1\n2\n", "")] {
        let text = format!("{before}{}y{end}", "x".repeat((3 << 20) - 1));
        server.store().put(key, text);
        let sandbox = served(&server);
        let path = format!("/{key}");
        let one = tail(&sandbox, &path, 1).await;
        assert_eq!(one.lines.len(), 1, "{key}");
        assert_eq!(one.lines[0].text, "x".repeat(2000), "{key}");
        assert_eq!(one.lines[0].cut, (3 << 20) - 2000, "{key}");
        let args = ReadArgs { path, tail: Some(2), ..ReadArgs::default() };
        let two = sandbox.read(args).await.expect("a tail");
        assert_eq!(two.envelope.complete, before.is_empty(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_to_the_end_leaves_no_line_that_is_not_there() {
    let server = TestServer::start().await;
    const LINES: u64 = 1 << 14;
    server.store().put_object("log", Stored::numbered(64, LINES));
    let sandbox = served(&server);
    assert_eq!(window(&sandbox, "/log", LINES, 10).await.total_lines, Some(LINES));
    let past = ReadArgs { path: "/log".into(), offset: Some(LINES + 2), ..ReadArgs::default() };
    let error = sandbox.read(past).await.expect_err("there is no such line");
    assert!(error.to_string().contains(&format!("there are {LINES} lines")), "{error}");
    assert_eq!(window(&sandbox, "/log", 1, 1).await.total_lines, Some(LINES));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_ends_before_the_line_that_would_pass_its_bytes() {
    let server = TestServer::start().await;
    let store = server.store();
    store.put("ten", format!("{}\r\n", "x".repeat(40)).repeat(10));
    store.put("crlf", format!("{}\r\nend\n", "x".repeat(2000)));
    store.put("bom", "\u{feff}one\ntwo\n");
    store.put("bom-long", format!("\u{feff}{}\n", "x".repeat(2000)));
    let sandbox = served(&server);
    for (max_bytes, lines) in [(1, 1), (79, 1), (80, 2), (81, 2), (119, 2), (120, 3), (400, 10)] {
        let max_bytes = Some(max_bytes);
        let args = ReadArgs { path: "/ten".into(), max_bytes, ..ReadArgs::default() };
        let answer = sandbox.read(args).await.expect("a window");
        assert_eq!(answer.result.lines.len(), lines, "{max_bytes:?}");
        let next = (lines < 10).then_some(lines as u64 + 1);
        assert_eq!(answer.result.next_offset, next, "{max_bytes:?}");
    }
    let crlf = window(&sandbox, "/crlf", 1, 1).await;
    assert_eq!((crlf.lines[0].text.len(), crlf.lines[0].cut), (2000, 0));
    assert_eq!(texts(&window(&sandbox, "/bom", 1, 2).await), ["one", "two"]);
    assert_eq!(texts(&tail(&sandbox, "/bom", 2).await), ["one", "two"]);
    let long = window(&sandbox, "/bom-long", 1, 1).await;
    assert_eq!((long.lines[0].text.len(), long.lines[0].cut), (2000, 0));
}
