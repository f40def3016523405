//! Raw objects: ranges, versions, and paths in every disguise.

use crate::support::{Stored, TestServer};

use super::{client::send, program::Serving};

async fn world() -> (TestServer, Serving) {
    let store = TestServer::start().await;
    store.store().put_object("docs/a b%2F.md", Stored::new("0123456789").content_type("text/html"));
    store.store().put("big.bin", vec![7; 9 << 20]);
    store.store().put("empty", "");
    store.store().put("../up.md", "zq-above");
    let location = store.location("");
    let server = Serving::with(&["-b", &location], None, &store.env());
    (store, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_versions_and_types() {
    let (_store, server) = world().await;
    // The key's `%` is `%25` in the path of the tree, whose own `%` is encoded once more here.
    let listed = server.call("glob", &serde_json::json!({"pattern": "docs/**"})).is(200).json();
    let path = listed["paths"][0].as_str().expect("a path").to_owned();
    let target = format!("/v1/object{}", path.replace('%', "%25").replace(' ', "%20"));
    let whole = server.get(&target, &[]).is(200);
    assert_eq!((whole.text().as_str(), whole.whole), ("0123456789", true));
    assert_eq!(whole.headers["content-type"], "text/html");
    assert_eq!(whole.headers["x-content-type-options"], "nosniff");
    assert_eq!(whole.headers["content-security-policy"], "sandbox");
    let etag = whole.headers["etag"].clone();

    let part = server.get(&target, &[("Range", "bytes=2-4")]).is(206);
    assert_eq!(part.text(), "234");
    assert_eq!(part.headers["content-range"], "bytes 2-4/10");
    assert_eq!(server.get(&target, &[("Range", "bytes=-3")]).is(206).text(), "789");
    let past = server.get(&target, &[("Range", "bytes=10-")]).is(416);
    assert_eq!(past.headers["content-range"], "bytes */10");
    let other = [("Range", "bytes=2-4"), ("If-Range", "\"other\"")];
    assert_eq!(server.get(&target, &other).is(200).text(), "0123456789");
    let same = [("Range", "bytes=2-4"), ("If-Range", etag.as_str())];
    assert_eq!(server.get(&target, &same).is(206).text(), "234");

    let known = server.get(&target, &[("If-None-Match", &etag)]).is(304);
    assert!(known.body.is_empty() && known.headers["etag"] == etag, "{known}");
    server.get(&target, &[("If-None-Match", "\"other\"")]).is(200);
    let head = send(server.address, "HEAD", &target, &[], b"").is(200);
    assert!(head.body.is_empty() && head.headers["content-length"] == "10", "{head}");
    assert_eq!(server.get("/v1/object/empty", &[]).is(200).body, b"");
    let big = server.get("/v1/object/big.bin", &[]).is(200);
    assert!(big.whole && big.body.len() == 9 << 20 && big.body.iter().all(|byte| *byte == 7));
    for (outcome, calls) in [("complete", 11), ("cancelled", 0)] {
        let labels = format!("tool=\"object\",outcome=\"{outcome}\"");
        assert_eq!(server.metric("r2vfs_calls_total", &labels), calls, "{outcome}");
    }
    server.get("/v1/object/docs", &[]).is(400);
    assert_eq!(server.get("/v1/object/big.bn", &[]).is(404).kind(), "not-found");
}

/// `text` as it stands in a URL.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'/' | b'.' | b'a'..=b'z' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_copied_from_an_answer_names_its_file() {
    let (store, server) = world().await;
    let names = ["in\u{202e}side.md", "tab\tbed.md", "written\\u{202e}out.md", "plain.md"];
    store.store().fill(names.map(|name| (name, name)));
    let arguments = serde_json::json!({"path": "/", "format": "text"});
    let listed = server.call("list", &arguments).is(200).json();
    let listed = listed["text"].as_str().expect("text");
    for name in names {
        let end = name.rsplit_once(['\t', '}', '\u{202e}']).map_or(name, |(_, end)| end);
        let line = listed.lines().find(|line| line.ends_with(end)).expect("it is listed");
        let (_, path) = line.rsplit_once(" /").expect("a path");
        let answer = server.get(&format!("/v1/object/{}", encoded(path)), &[]).is(200);
        assert_eq!(answer.text(), name, "{line}");
    }
    let shown = encoded("/nothing\\u{202e}.md");
    assert_eq!(server.get(&format!("/v1/object{shown}"), &[]).is(404).kind(), "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_disguise_of_a_path_leaves_the_tree() {
    let (store, server) = world().await;
    // Beside the mount there is another bucket, and above the root of the tree there is nothing.
    store.bucket("other").put("secret", "zq-other");
    for path in [
        "/../up.md",
        "/..%2Fup.md",
        "/%2e%2e/up.md",
        "/%2E%2E%2Fup.md",
        "/%252e%252e%252fup.md",
        "/docs/../../up.md",
        "/docs/%2e%2e/%2e%2e/up.md",
        "/..\\up.md",
        "/..%5Cup.md",
        "/%c0%ae%c0%ae/up.md",
        "/%00",
        "/docs/a%00",
        "//etc/passwd",
        "/%2Fetc/passwd",
        "/../other/secret",
        "/.%2e/other/secret",
        "/",
        "",
        "/%",
        "/%zz",
        "/%ff",
    ] {
        let answer = server.get(&format!("/v1/object{path}"), &[]);
        assert!(matches!(answer.status, 400 | 404 | 405), "{path}: {answer}");
        let text = answer.text();
        for secret in ["zq-above", "zq-other", "root:"] {
            assert!(!text.contains(secret), "{path}: {answer}");
        }
    }
}
