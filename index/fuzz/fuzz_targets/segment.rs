//! A real segment with some of its bytes changed under right checksums: every reader answers or
//! tells what is wrong. Unlike `parts`, this comes deep into the readers.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use r2vfs_index::{
    Bundle, Docs, Heat, NewContent, NewDoc, PackReader, Place, SegmentWriter, Settings,
    bundle::{BundleWriter, Memory, at_once},
    gram::{GramReader, plan_literal},
    rank::{Question, SearchOptions, Searcher},
};

const TEXTS: [(&str, &str); 6] = [
    (
        "guide/retry.md",
        "# Retry\n\nA client waits before it tries again.\n\n## Backoff\n\nTwice as long each time, up to a minute.\n",
    ),
    (
        "guide/retry.de.md",
        "---\ntitle: Wiederholen\n---\nDer Client wartet, bevor er es noch einmal versucht.\n",
    ),
    ("guide/重试.md", "# 重试\n\n客户端在重试之前等待。\n"),
    ("log.txt", "error: connection reset by peer\nerror: timeout after 30 s\n"),
    ("page.html", "<title>Limits</title><h1>Limits</h1><p>No more than 100 requests a second.</p>"),
    ("prices.csv", "plan,price\nfree,0\npro,20\n"),
];

type Parts = Vec<(String, Heat, Vec<u8>)>;

static WHOLE: LazyLock<Parts> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = Settings { pack: true, text: true };
    let mut writer = SegmentWriter::create(dir.path(), settings, 64 << 20).expect("a segment");
    let mut texts = TEXTS;
    texts.sort_unstable();
    for (key, text) in texts {
        writer
            .add(NewDoc {
                key: key.to_owned(),
                etag: "e".to_owned(),
                size: text.len() as u64,
                modified: Some(1_700_000_000_000),
                content: NewContent::Plain(text.as_bytes().into()),
            })
            .expect("a document");
    }
    let segment = writer.finish().expect("a whole segment");
    let memory = Memory::new();
    let bytes = std::fs::read(dir.path().join(&segment.file.name)).expect("the file");
    memory.put(&segment.file.name, bytes);
    let bundle = at_once(Bundle::open(Arc::new(memory), segment.file)).expect("a bundle");
    let names: Vec<String> = bundle.names().map(str::to_owned).collect();
    names
        .into_iter()
        .map(|name| {
            let part = bundle.need(&name).expect("a part");
            let bytes = at_once(part.read(0..part.len())).expect("its bytes").to_vec();
            (name, part.heat(), bytes)
        })
        .collect()
});

/// Panics of tantivy's readers are caught and told as damage. libFuzzer's hook would end the
/// process before; without it, what nobody catches still ends it.
fn say_and_unwind() {
    std::panic::set_hook(Box::new(|_| ()));
}

fuzz_target!(init: say_and_unwind(), |input: (Vec<(u8, u16, u8)>, Option<(u8, u16)>, u8)| {
    let (changes, cut, question) = input;
    let mut parts = WHOLE.clone();
    for (part, at, value) in changes.into_iter().take(8) {
        let count = parts.len();
        let bytes = &mut parts[usize::from(part) % count].2;
        if !bytes.is_empty() {
            let at = usize::from(at) % bytes.len();
            bytes[at] = value;
        }
    }
    if let Some((part, at)) = cut {
        let count = parts.len();
        let bytes = &mut parts[usize::from(part) % count].2;
        bytes.truncate(usize::from(at) % (bytes.len() + 1));
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.seg");
    let mut out = BundleWriter::create(&path).expect("a file");
    for (name, heat, bytes) in &parts {
        out.whole(name, *heat, bytes).expect("room for a part");
    }
    let file = out.finish().expect("room for the end");
    let memory = Memory::new();
    memory.put(&file.name, std::fs::read(&path).expect("the file"));
    let bundle = at_once(Bundle::open(Arc::new(memory), file)).expect("what was written opens");

    if let Ok(docs) = Docs::open(&bundle) {
        assert_eq!(docs.into_iter().count(), docs.len() as usize);
    }
    if let Ok(Some(grams)) = GramReader::open(&bundle) {
        at_once(grams.walk(|_, _| ())).ok();
        at_once(grams.candidates(&plan_literal(b"timeout"), TEXTS.len() as u32)).ok();
    }
    if let Ok(Some(pack)) = PackReader::open(&bundle) {
        at_once(pack.text(Place { block: 0, offset: 0, len: 32 })).ok();
    }
    if let Ok(searcher) = Searcher::open(vec![bundle]) {
        let text = ["how long to retry", "重试", "\"connection reset\" -peer", "tiemout", "title:limits"]
            [usize::from(question) % 5];
        let options = SearchOptions { limit: 5, per_article: Some(2) };
        at_once(searcher.search(&Question::parse(text), &|_| true, options)).ok();
    }
});
