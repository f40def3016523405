//! A bucket on the loopback server, and the program over it.

use std::{
    fmt,
    io::Write,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Kind, TestServer};

/// A bucket with articles, and a machine that may have an index of it.
pub(super) struct Bucket {
    pub(super) server: TestServer,
    home: TempDir,
}

/// What the program did.
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
    words: String,
}

impl Bucket {
    /// `docs/000.md` and so on, each with words of its own.
    pub(super) async fn with(articles: usize) -> Self {
        let server = TestServer::start().await;
        for number in 0..articles {
            let text = format!(
                "# Article {number}\n\nIt is about item-{number:05} and about {}.\n\n\
                 ## Details\n\n{}",
                ["tracing", "metrics", "logging", "sampling"][number % 4],
                "A line of text that every article has.\n".repeat(20),
            );
            server.store().put(format!("docs/{number:03}.md"), text);
        }
        Self { server, home: TempDir::new().expect("a temporary directory") }
    }

    /// The same bucket, and another machine.
    pub(super) fn command_at(&self, home: &TempDir, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_r2vfs"));
        command
            .args(["--bucket", &self.server.location("")])
            .arg("index")
            .args(words.split_whitespace())
            .env_clear()
            .env("HOME", home.path())
            .envs(self.server.env())
            .stdin(Stdio::null());
        command
    }

    pub(super) fn command(&self, words: &str) -> Command {
        self.command_at(&self.home, words)
    }

    /// Runs it, ended as it may.
    pub(super) fn ran(&self, words: &str) -> Ran {
        Ran::of(words, self.command(words).output().expect("the program starts"))
    }

    /// The same with standard input.
    pub(super) fn ran_with(&self, words: &str, input: &str) -> Ran {
        let mut child = self.spawned(self.command(words).stdin(Stdio::piped()));
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        Ran::of(words, child.wait_with_output().expect("it ends"))
    }

    /// Starts it, and goes on.
    pub(super) fn spawned(&self, command: &mut Command) -> Child {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    /// What it reports, when nothing is wrong.
    #[track_caller]
    pub(super) fn index(&self, words: &str) -> Value {
        let ran = self.ran(&format!("{words} --json"));
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.json()
    }

    #[track_caller]
    pub(super) fn index_with(&self, words: &str, input: &str) -> Value {
        let ran = self.ran_with(&format!("{words} --json"), input);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.json()
    }

    /// The index proves itself, and agrees with every object of the bucket that it covers.
    #[track_caller]
    pub(super) fn is_sound(&self) {
        let proof = self.index("verify --deep");
        assert_eq!(proof["problems"].as_array().map(Vec::len), Some(0), "{proof}");
    }

    /// The keys that were got since the last reset, each once, in order.
    pub(super) fn gets(&self) -> Vec<String> {
        super::tally(self).into_keys().collect()
    }

    /// All keys of the bucket.
    pub(super) fn keys(&self) -> Vec<String> {
        let keys = self.server.store().keys().into_iter();
        keys.map(|key| String::from_utf8(key).expect("a key")).collect()
    }

    /// The directory of the index, once there is one.
    pub(super) fn dir(&self) -> Option<PathBuf> {
        let indexes = self.home.path().join(".cache/r2vfs/index/v1");
        let mut dirs = std::fs::read_dir(indexes).ok()?;
        Some(dirs.next()?.expect("it can be read").path())
    }

    /// The files of its segments.
    pub(super) fn segments(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.dir().expect("an index")).expect("a directory");
        let paths = files.map(|file| file.expect("it can be read").path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect()
    }

    pub(super) fn gzip(&self, text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        encoder.write_all(text).expect("in memory");
        encoder.finish().expect("in memory")
    }

    /// Waits until the server was asked `count` times for `kind` since the last reset, or the
    /// program has ended by itself. Whether it was asked so often.
    pub(super) fn asked(&self, kind: Kind, count: u64, child: &mut Child) -> bool {
        loop {
            let counts = self.server.counts();
            let asked = match kind {
                Kind::Get => counts.gets,
                Kind::Put => counts.puts,
                _ => counts.lists,
            };
            if asked >= count {
                return true;
            }
            if child.try_wait().expect("a child").is_some() {
                return false;
            }
            std::thread::yield_now();
        }
    }
}

impl Ran {
    pub(super) fn of(words: &str, output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
        let Output { status, stdout, stderr } = output;
        Self { code: status.code(), out: text(stdout), err: text(stderr), words: words.to_owned() }
    }

    /// The data of its one message.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        let line = self.out.lines().last().unwrap_or_else(|| panic!("no message: {self}"));
        let message: Value = serde_json::from_str(line).expect("JSON");
        message["data"].clone()
    }

    /// It failed with code 2, and said each of these.
    #[track_caller]
    pub(super) fn fails(&self, parts: &[&str]) {
        let said = parts.iter().all(|part| self.err.contains(part));
        assert!(self.code == Some(2) && said, "expected code 2 and {parts:#?}\n{self}");
        let secrets = ["127.0.0.1", "testsk"];
        assert!(!secrets.iter().any(|secret| self.err.contains(secret)), "{self}");
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, out, err, words } = self;
        write!(f, "index {words}\ngot code {code:?}:\n{out}\nand on standard error:\n{err}")
    }
}
