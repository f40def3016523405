//! Runs the real programs and compares what they say, whole.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// A directory of files with known contents, and the program run over it.
pub struct World {
    dir: TempDir,
    root: PathBuf,
}

/// What a program did.
pub struct Ran {
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
    line: String,
}

impl World {
    /// A bucket that holds `files`: path and content.
    pub fn new(files: &[(&str, &[u8])]) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let home = dir.path().canonicalize().expect("it exists");
        let root = home.join("bucket");
        fs::create_dir(&root).expect("a directory");
        let world = Self { dir, root };
        for (path, content) in files {
            world.put(path, content);
        }
        world
    }

    /// Writes a file of the bucket.
    pub fn put(&self, path: &str, content: &[u8]) {
        let file = self.root.join(path);
        fs::create_dir_all(file.parent().expect("it has a parent")).expect("directories");
        fs::write(file, content).expect("a file");
    }

    /// The bucket.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path beside the bucket, for files that are not part of it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program, not started yet, with an environment that holds nothing of this machine.
    pub fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_r2vfs"));
        command
            .args(words)
            .env_clear()
            .env("HOME", self.dir.path())
            .env("R2VFS_BUCKET", &self.root)
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program over the bucket.
    pub fn run(&self, words: &[&str]) -> Ran {
        Ran::of(&mut self.command(words))
    }

    /// Runs the program on a command line split at blanks.
    pub fn say(&self, line: &str) -> Ran {
        self.run(&line.split_whitespace().collect::<Vec<_>>())
    }
}

impl Ran {
    /// Runs a program to its end.
    pub fn of(command: &mut Command) -> Self {
        let line = format!("{command:?}");
        let Output { status, stdout, stderr } = command.output().expect("the program starts");
        let err = String::from_utf8(stderr).expect("messages are UTF-8");
        Self { code: status.code(), out: stdout, err, line }
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// It said exactly this on standard output, nothing on standard error, and ended with `code`.
    #[track_caller]
    pub fn gives(&self, code: i32, out: &str) {
        assert!(
            self.code == Some(code) && self.out == out.as_bytes() && self.err.is_empty(),
            "{}\nexpected code {code}:\n{out}\n{self}",
            self.line
        );
    }

    /// It failed with code 2, and said on standard error each of these.
    #[track_caller]
    pub fn fails(&self, parts: &[&str]) {
        assert!(
            self.code == Some(2) && parts.iter().all(|part| self.err.contains(part)),
            "{}\nexpected code 2 and {parts:#?}\n{self}",
            self.line
        );
        assert!(self.err.starts_with("r2vfs: "), "{}\n{self}", self.line);
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, err, .. } = self;
        write!(f, "got code {code:?}:\n{}\nand on standard error:\n{err}", self.text())
    }
}
