//! Random documents and random greps: indexed equals scanned, whatever state the index is in.

use std::cell::Cell;

use proptest::{prelude::*, sample::select, strategy::ValueTree, test_runner::TestRunner};
use r2vfs::{
    sandbox::VirtualSandbox,
    search::{HitMode, Hits},
};

use super::{r2vfs, with_local_index, with_published_index, workload::segments};
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
    let envelope = &scanned.envelope;
    let skipped = envelope.skipped_by_reason.clone();
    (hits, found, envelope.complete, envelope.listed, skipped)
}

/// A bucket with random documents, and indexes of it.
struct World {
    server: TestServer,
    dir: tempfile::TempDir,
    names: Vec<String>,
    runner: TestRunner,
    greps: u32,
    narrowed: u64,
    left_out: u64,
}

impl World {
    async fn new(greps: u32) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let server = TestServer::start().await;
        let names = (0..240).map(|n| format!("d{}/{n}.md", n % 7)).collect();
        let runner = runner(greps);
        let mut world = Self { server, dir, names, runner, greps, narrowed: 0, left_out: 0 };
        for name in world.names.clone() {
            let content = world.document();
            world.server.store().put(name, content);
        }
        let store = world.server.store();
        let packed = zipped(b"a collector that retries\nstra\xc3\x9fe\n");
        store.put("z/packed.gz", packed.clone());
        store.put_object("z/encoded.md", Stored::new(packed).content_encoding("gzip"));
        store.put("z/not-packed.gz", "a collector that only looks packed\n");
        world
    }

    fn document(&mut self) -> Vec<u8> {
        documents().new_tree(&mut self.runner).expect("a document").current()
    }

    fn index(&self, home: &str, words: &[&str]) {
        let words = [&["index"], words].concat();
        r2vfs(&self.dir.path().join(home), &self.server.location(""), &self.server.env(), &words);
    }

    fn local(&self, home: &str) -> VirtualSandbox {
        let bucket = s3_bucket(&self.server, &self.server.location(""));
        with_local_index(bucket, &self.dir.path().join(home))
    }

    fn published(&self) -> VirtualSandbox {
        with_published_index(s3_bucket(&self.server, &self.server.location("")))
    }

    /// Of what was indexed, much is another version, gone, or new.
    fn change(&mut self) {
        for n in (0..self.names.len()).step_by(5) {
            let name = self.names[n].clone();
            if n % 2 == 0 {
                let content = self.document();
                self.server.store().put(name, content);
            } else {
                assert!(self.server.store().delete(name), "it was there");
            }
            self.server.store().put(format!("new/{n}.md"), "a new collector\n");
        }
    }

    /// The same bytes under the same ETags, that are read otherwise from now on.
    fn change_metadata(&self) {
        let store = self.server.store();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        let plain = Stored::clone(&store.get("z/encoded.md").expect("it"));
        let plain = Stored { content_encoding: None, ..plain };
        store.put_object("z/encoded.md", plain.modified(later));
        let encoded = Stored::clone(&store.get("z/packed.gz").expect("it"));
        store.put_object("z/packed.gz", encoded.content_encoding("gzip").modified(later));
    }

    /// Random greps, with the index of `indexed` and without any.
    fn compare(&mut self, state: &str, indexed: &VirtualSandbox) {
        let plain = served(&self.server);
        let handle = tokio::runtime::Handle::current();
        let (narrowed, left_out) = (Cell::new(0), Cell::new(0));
        let named = &self.names[..5];
        let run = |trial: Trial| {
            let compared = tokio::task::block_in_place(|| {
                handle.block_on(async {
                    let ours = grep(indexed, &trial, named).await?;
                    Some((ours, grep(&plain, &trial, named).await?))
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
        if let Err(error) = self.runner.run(&greps(), run) {
            panic!("{state}: {error}");
        }
        self.narrowed += narrowed.get();
        self.left_out += left_out.get();
    }

    /// A test that narrows nothing proves nothing.
    fn has_narrowed(&self) {
        let greps = u64::from(self.greps);
        assert!(self.narrowed > greps / 10, "{} greps were narrowed", self.narrowed);
        let (left_out, least) = (self.left_out, 10_000.min(greps * 20));
        assert!(left_out > least, "{left_out} objects left out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn indexed_equals_scanned() {
    let mut world = World::new(cases(400)).await;
    world.index("local", &["build"]);
    let local = world.local("local");
    world.compare("fresh", &local);
    world.change();
    world.compare("stale", &local);
    world.has_narrowed();
}

#[tokio::test(flavor = "multi_thread")]
async fn indexed_equals_scanned_whatever_became_of_the_index() {
    let mut world = World::new(cases(100)).await;
    world.index("local", &["build"]);
    world.index("local", &["publish"]);
    let published = world.published();
    world.compare("published", &published);
    world.has_narrowed();
    world.change_metadata();
    world.compare("other metadata", &published);
    world.change();
    world.compare("published and stale", &published);
    world.index("half", &["build", "--shard", "1/2"]);
    let half = world.local("half");
    world.compare("half built", &half);

    // A bit of the n-grams, of a segment that is published and of one that is here.
    let store = world.server.store();
    let name = |key: &Vec<u8>| key.starts_with(b".r2vfs/") && key.ends_with(b".seg");
    let key = store.keys().into_iter().find(name).expect("a segment");
    let stored = Stored::clone(&store.get(&key).expect("it"));
    let mut bytes = stored.content.slice(0..stored.content.len()).to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = Stored::new(bytes).etag(&stored.etag).modified(stored.modified);
    store.put_object(key, damaged);
    let published = world.published();
    world.compare("damaged in the bucket", &published);
    for file in segments(&world.dir.path().join("half")) {
        let mut bytes = std::fs::read(&file).expect("readable");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).expect("written");
    }
    let half = world.local("half");
    world.compare("damaged here", &half);
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}
