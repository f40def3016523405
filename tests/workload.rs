//! 60 greps and 40 globs over real documentation, with the answers of ripgrep and globset, over
//! both kinds of bucket.

use r2vfs::{
    sandbox::{GlobArgs, VirtualSandbox},
    search::{Binary, Case, Encoding},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::support::{
    TestServer,
    kit::{dir_bucket, otel, request, sandbox, scan, served, shared},
};

#[derive(Deserialize)]
struct Workload<T> {
    queries: Vec<T>,
}

#[derive(Deserialize)]
struct Query {
    id: String,
    pattern: String,
    fixed: bool,
    case_insensitive: bool,
    multiline: bool,
    lines: usize,
    files: usize,
    sha256_file_line: String,
    sha256_files: String,
}

#[derive(Deserialize)]
struct Glob {
    id: String,
    pattern: String,
    case_insensitive: bool,
    count: usize,
    sha256: String,
}

/// The digest of strings sorted by bytes, each followed by a line feed.
fn digest(mut strings: Vec<String>) -> String {
    strings.sort();
    let mut hash = Sha256::new();
    for string in strings {
        hash.update(string.as_bytes());
        hash.update(b"\n");
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the greps of the workload with a literal cost: objects searched and objects that matched.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    pub(crate) searched: Vec<(u64, u64)>,
}

impl Spent {
    /// The median of objects searched for each that matched.
    pub(crate) fn median(&self) -> f64 {
        let mut ratios: Vec<f64> = self
            .searched
            .iter()
            .map(|&(searched, matched)| searched as f64 / matched.max(1) as f64)
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// All greps and globs of the workload over `sandbox`, whose bucket holds the corpus and nothing
/// else. With an index not all objects need to be searched.
pub(crate) async fn check(sandbox: &VirtualSandbox, files: usize, indexed: bool) -> Spent {
    let mut spent = Spent::default();
    let text = std::fs::read(shared("workloads/otel/queries.json").expect("the workload"));
    let greps: Workload<Query> =
        serde_json::from_slice(&text.expect("readable")).expect("the form that is described");
    assert_eq!(greps.queries.len(), 60);
    let mut wrong = Vec::new();
    for query in greps.queries {
        let mut request = request(&query.pattern);
        request.pattern.fixed = query.fixed;
        request.pattern.multiline = query.multiline;
        request.pattern.text = true;
        if query.case_insensitive {
            request.pattern.case = Case::Insensitive;
        }
        request.search.multiline = query.multiline;
        request.search.binary = Binary::Text;
        request.search.encoding = Encoding::None;
        let scanned = scan(sandbox, request).await;
        assert!(scanned.envelope.complete, "{}: {:?}", query.id, scanned.envelope);
        assert_eq!(scanned.envelope.listed as usize, files, "{}", query.id);
        if !indexed {
            assert_eq!(scanned.envelope.searched as usize, files, "{}", query.id);
        } else if scanned.envelope.index.is_some_and(|index| index.narrowed) {
            let matched = scanned.envelope.matched;
            spent.searched.push((scanned.envelope.searched, matched));
        }
        let mut lines = Vec::new();
        for (path, hit) in &scanned.hits {
            // A match over several lines is one hit; the workload counts each of its lines.
            let first = hit.line.expect("lines are counted");
            let more = hit.text.iter().filter(|byte| **byte == b'\n').count() as u64;
            lines.extend((first..=first + more).map(|line| format!("{}:{line}", &path[1..])));
        }
        let files: Vec<String> = scanned.matching().iter().map(|p| p[1..].to_owned()).collect();
        let got = (lines.len(), files.len(), digest(lines), digest(files));
        let expected = (query.lines, query.files, query.sha256_file_line, query.sha256_files);
        if got != expected {
            wrong.push(format!(
                "{} {:?}: expected {expected:?}, got {got:?}",
                query.id, query.pattern
            ));
        }
    }
    let text = std::fs::read(shared("workloads/otel/globs.json").expect("the workload"));
    let globs: Workload<Glob> =
        serde_json::from_slice(&text.expect("readable")).expect("the form that is described");
    assert_eq!(globs.queries.len(), 40);
    for glob in globs.queries {
        let args = GlobArgs {
            pattern: r2vfs::sandbox::OneOrMany::One(glob.pattern.clone()),
            case_insensitive: glob.case_insensitive,
            limit: Some(100_000),
            ..GlobArgs::default()
        };
        let answer = sandbox.glob(args).await.expect("a glob");
        assert!(answer.envelope.complete, "{}: {:?}", glob.id, answer.envelope);
        let paths: Vec<String> = answer.result.paths.iter().map(|p| p[1..].to_owned()).collect();
        let got = (paths.len(), digest(paths));
        let expected = (glob.count, glob.sha256);
        if got != expected {
            wrong.push(format!(
                "{} {:?}: expected {expected:?}, got {got:?}",
                glob.id, glob.pattern
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    spent
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_directory() {
    let Some(root) = otel() else { return };
    check(&sandbox(dir_bucket(&root)), 1812, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_s3_server() {
    let Some(root) = otel() else { return };
    let server = TestServer::start().await;
    assert_eq!(server.store().load(&root).expect("readable"), 1812);
    check(&served(&server), 1812, false).await;
}
