//! All pages of an answer together are the answer that nobody cut: over generated keys, mounts and
//! arguments, and listings of a few keys a page.

use std::sync::Arc;

use bytes::Bytes;
use proptest::{collection::btree_set, prelude::*, sample::select};
use r2vfs::{
    Result,
    bucket::{Bucket, BucketId, Call, GetRequest, Got, ListPage, ListRequest, Object},
    platform::BoxFuture,
    sandbox::{CursorKey, SandboxOptions, VirtualSandbox},
    vfs::Mount,
};
use serde_json::{Value, json};

use crate::{
    search::cases,
    support::{
        TestServer,
        kit::{s3_bucket, sandbox_with},
    },
};

/// A bucket that lists at most three keys a page.
#[derive(Debug)]
struct ShortPages(Arc<dyn Bucket>);

impl Bucket for ShortPages {
    fn id(&self) -> BucketId {
        self.0.id()
    }

    fn worth_disk_cache(&self) -> bool {
        self.0.worth_disk_cache()
    }

    fn trusts(&self, object: &Object) -> bool {
        self.0.trusts(object)
    }

    fn list(&self, call: &Call, request: ListRequest) -> BoxFuture<'_, Result<ListPage>> {
        let max_keys = Some(request.max_keys.map_or(3, |most| most.min(3)));
        self.0.list(call, ListRequest { max_keys, ..request })
    }

    fn get(&self, call: &Call, request: GetRequest) -> BoxFuture<'_, Result<Got>> {
        self.0.get(call, request)
    }

    fn peek<'a>(
        &'a self,
        call: &Call,
        key: &str,
        max: u64,
    ) -> BoxFuture<'a, Result<Option<(Object, Bytes)>>> {
        self.0.peek(call, key, max)
    }
}

fn opened(server: &TestServer, points: &[&str]) -> VirtualSandbox {
    let mount = |(at, point): (usize, &&str)| {
        let bucket = s3_bucket(server, &server.location(&format!("m{at}/")));
        Mount { point: (*point).into(), bucket: Arc::new(ShortPages(bucket)) }
    };
    let cursor_key = CursorKey::new(b"the secret of all of them");
    let options = SandboxOptions { cursor_key, ..Default::default() };
    sandbox_with(points.iter().enumerate().map(mount).collect(), options)
}

/// Keys over an alphabet in which files and directories collide and names need escapes.
fn keys() -> impl Strategy<Value = Vec<String>> {
    let part = select(vec!["a", "b", "a.", "%", "a b", "é"]);
    let key = (proptest::collection::vec(part, 1..4), any::<bool>());
    let key = key.prop_map(|(parts, marker)| parts.join("/") + if marker { "/" } else { "" });
    btree_set(key, 0..14).prop_map(|keys| keys.into_iter().collect())
}

fn asked() -> impl Strategy<Value = (&'static str, Value)> {
    let path = select(vec!["", "/", "/a", "/a/", "/b/a", "/x", "/x/a/", "/y"]);
    let list = (path.clone(), any::<bool>(), proptest::option::of(1..3_u64));
    let list = list.prop_map(|(path, recursive, depth)| {
        ("list", json!({"path": path, "recursive": recursive, "depth": depth}))
    });
    let patterns = select(vec!["**", "**/a", "{a,b}/**", "a/**", "*", "**/a*/**"]);
    let glob = (patterns, path.clone())
        .prop_map(|(pattern, path)| ("glob", json!({"pattern": pattern, "path": path})));
    let modes = select(vec!["content", "count", "files_with_matches"]);
    let paths = proptest::collection::vec(path, 0..3);
    let grep = (modes, paths, 0..3_u64, 0..3_u64).prop_map(|(mode, paths, before, after)| {
        let asked = json!({
            "pattern": "needle", "output_mode": mode, "path": paths,
            "before": before, "after": after,
        });
        ("grep", asked)
    });
    prop_oneof![list, glob, grep]
}

/// The results of an answer, each as a text.
fn results(tool: &str, answer: &Value) -> Vec<String> {
    let name = match tool {
        "list" => "entries",
        "glob" => "paths",
        _ => "files",
    };
    let all = answer[name].as_array().expect("results").iter();
    let one = |found: &Value| match found["lines"].as_array().filter(|lines| !lines.is_empty()) {
        // Two pages may have the same context.
        Some(lines) => {
            let matches = lines.iter().filter(|line| line["context"] != true);
            matches.map(|line| format!("{}: {line}", found["path"])).collect()
        }
        None => vec![found.to_string()],
    };
    all.flat_map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(60), failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn all_pages_are_the_answer_that_nobody_cut(
        stored in proptest::collection::vec(keys(), 2),
        points in select(vec![vec!["/"], vec!["/x", "/y"]]),
        asked in proptest::collection::vec(asked(), 4),
        limit in 1..4_u64,
        others in proptest::collection::vec(any::<bool>(), 5),
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let server = TestServer::start().await;
            for (at, keys) in stored.iter().enumerate() {
                for key in keys {
                    let content = if key.ends_with('/') { "" } else { "needle\n\nneedle\n\n" };
                    server.store().put(format!("m{at}/{key}"), content);
                }
            }
            let sandboxes = [opened(&server, &points), opened(&server, &points)];
            for (tool, args) in asked {
                let Ok(whole) = sandboxes[0].call(tool, args.clone()).await else { continue };
                let whole = results(tool, &whole);
                let (mut page, mut found) = (args.clone(), Vec::new());
                page["limit"] = limit.into();
                for n in 0.. {
                    assert!(n < 200, "{tool} {args} has no end");
                    // Some pages are made by another process.
                    let at = usize::from(others[n % others.len()]);
                    let answer = sandboxes[at].call(tool, page.clone()).await.expect("a page");
                    found.extend(results(tool, &answer));
                    if let Some(files) = answer["files"].as_array() {
                        let matched = answer["envelope"]["matched"].as_u64();
                        assert_eq!(matched, Some(files.len() as u64), "{answer}");
                        let content = page["output_mode"] == "content";
                        let has_match = |file: &Value| match file["lines"].as_array() {
                            Some(lines) => lines.iter().any(|line| line["context"] != true),
                            None => !content,
                        };
                        assert!(files.iter().all(has_match), "{answer}");
                    }
                    let Some(cursor) = answer["envelope"]["cursor"].as_str() else { break };
                    page["cursor"] = cursor.into();
                }
                assert_eq!(found, whole, "{tool} {args} by {limit} over {stored:?} at {points:?}");
            }
        });
    }
}
