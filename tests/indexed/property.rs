//! Random documents and random greps: indexed equals scanned.

use std::cell::Cell;

use proptest::{prelude::*, sample::select, strategy::ValueTree};
use r2vfs::{
    sandbox::VirtualSandbox,
    search::{HitMode, Hits},
};

use super::{r2vfs, with_local_index};
use crate::{
    search::{
        cases,
        differential::{Trial, contents, trials},
        runner,
    },
    support::{
        Stored, TestServer,
        kit::{Scanned, request, s3_bucket, scan_hits, served},
    },
};

/// Words that a pattern can be a piece of, so that there is something to narrow.
const WORDS: [&str; 24] = [
    "collector",
    "Collector",
    "exporter",
    "retry",
    "backoff",
    "straße",
    "STRASSE",
    "Straße",
    "kelvin",
    "\u{212a}elvin",
    "ſession",
    "session",
    "日本語",
    "日本",
    "索引",
    "поиск",
    "Поиск",
    "endpoint_url",
    "max-retries",
    "E404",
    "café",
    "cafe\u{301}",
    "ﬁeld",
    "İstanbul",
];

fn documents() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        12 => select(WORDS.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        2 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    let prose = prop::collection::vec((word, select(vec![" ", "", ".", "\n", ": "])), 0..40)
        .prop_map(|words| {
            words.iter().flat_map(|(word, end)| [word, end.as_bytes()].concat()).collect()
        });
    prop_oneof![3 => prose, 2 => contents()]
}

/// A pattern made of pieces of the words, with what regexes put between them.
fn pieces() -> impl Strategy<Value = String> {
    let piece = (select(WORDS.to_vec()), 0..6usize, 1..8usize).prop_map(|(word, from, length)| {
        word.chars().skip(from).take(length).map(|c| regex_syntax::escape(&c.to_string())).collect()
    });
    let between =
        select(vec!["", ".*", " ", "|", r"\s+", ".", "(?i)", r"\w*", "[a-z]?", "(?-u:.)"]);
    let quantified = (piece, select(vec!["", "", "", "?", "+", "{2}", "*"]))
        .prop_map(|(piece, times): (String, &str)| format!("(?:{piece}){times}"));
    prop::collection::vec((quantified, between), 1..4)
        .prop_map(|parts| parts.iter().map(|(piece, next)| format!("{piece}{next}")).collect())
}

fn greps() -> impl Strategy<Value = Trial> {
    (trials(), prop::option::weighted(0.7, prop::collection::vec(pieces(), 1..3))).prop_map(
        |(mut trial, pieces)| {
            if let Some(pieces) = pieces {
                trial.pattern.patterns = pieces;
                trial.pattern.fixed = false;
            }
            trial
        },
    )
}

async fn grep(sandbox: &VirtualSandbox, trial: &Trial, names: &[String]) -> Option<Scanned> {
    // What does not compile is refused before anything is searched.
    trial.pattern.compile().ok()?;
    let mut request = request("");
    request.pattern = trial.pattern.clone();
    request.search = trial.search.clone();
    request.every = trial.mode == HitMode::FilesWithoutMatch;
    request.search_zip = trial.only_matching;
    if trial.explicit {
        request.paths = names.iter().map(|name| format!("/{name}")).collect();
    }
    let hits = Hits { mode: trial.mode, only_matching: trial.only_matching, ..Hits::default() };
    Some(scan_hits(sandbox, request, hits).await)
}

/// What a reader sees: lines and their numbers, which files match, what failed.
fn seen(scanned: &Scanned, every: bool) -> impl PartialEq + std::fmt::Debug + use<> {
    let found: Vec<_> = scanned
        .found
        .iter()
        .filter(|(_, found)| every || found.matched)
        .map(|(path, found)| (path.clone(), found.matched, found.lines, found.matches))
        .collect();
    let hits: Vec<_> = scanned
        .hits
        .iter()
        .map(|(path, hit)| (path.clone(), hit.line, hit.kind, hit.text.clone()))
        .collect();
    (hits, found, scanned.envelope.complete, scanned.envelope.listed)
}

#[tokio::test(flavor = "multi_thread")]
async fn indexed_equals_scanned() {
    let dir = tempfile::tempdir().expect("a directory");
    let index = dir.path().join("index");
    let server = TestServer::start().await;
    let store = server.store();
    let mut runner = runner(cases(400));
    let names: Vec<String> = (0..240).map(|n| format!("d{}/{n}.md", n % 7)).collect();
    for name in &names {
        let content = documents().new_tree(&mut runner).expect("a document").current();
        store.put(name, content);
    }
    let packed = zipped(b"a collector that retries\nstra\xc3\x9fe\n");
    store.put("z/packed.gz", packed.clone());
    store.put_object("z/encoded.md", Stored::new(packed).content_encoding("gzip"));
    store.put("z/not-packed.gz", "a collector that only looks packed\n");
    let location = server.location("");
    r2vfs(&index, &location, &server.env(), &["index", "build"]);

    let plain = served(&server);
    let indexed = with_local_index(s3_bucket(&server, &location), &index);
    let handle = tokio::runtime::Handle::current();
    let (narrowed, left_out) = (Cell::new(0_u64), Cell::new(0_u64));
    let run = |trial: &Trial, plain: &VirtualSandbox, indexed: &VirtualSandbox| {
        let compared = tokio::task::block_in_place(|| {
            handle.block_on(async {
                let ours = grep(indexed, trial, &names[..5]).await?;
                Some((ours, grep(plain, trial, &names[..5]).await?))
            })
        });
        let Some((ours, whole)) = compared else { return Ok(()) };
        let every = trial.mode == HitMode::FilesWithoutMatch;
        // Files that are named one by one are not worth an index.
        let used = ours.envelope.index.unwrap_or_default();
        narrowed.set(narrowed.get() + u64::from(used.left_out > 0));
        left_out.set(left_out.get() + used.left_out);
        if seen(&ours, every) != seen(&whole, every) {
            return Err(TestCaseError::fail(format!(
                "indexed {:#?}\nscanned {:#?}\n{used:?}",
                seen(&ours, every),
                seen(&whole, every)
            )));
        }
        Ok(())
    };
    let greps = greps();
    for round in ["fresh", "stale"] {
        if round == "stale" {
            for (n, name) in names.iter().enumerate().filter(|(n, _)| n % 5 == 0) {
                if n % 2 == 0 {
                    let content = documents().new_tree(&mut runner).expect("a document").current();
                    store.put(name, content);
                } else {
                    assert!(store.delete(name), "it was there");
                }
                store.put(format!("new/{n}.md"), "a new collector\n");
            }
        }
        let (plain, indexed) = (plain.clone(), indexed.clone());
        if let Err(error) = runner.run(&greps, |trial| run(&trial, &plain, &indexed)) {
            panic!("{round}: {error}");
        }
    }
    // A test that narrows nothing proves nothing.
    let (narrowed, left_out) = (narrowed.get(), left_out.get());
    assert!(narrowed > u64::from(cases(400)) / 10, "{narrowed} greps were narrowed");
    assert!(left_out > 10_000.min(u64::from(cases(400)) * 20), "{left_out} objects left out");
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}
