//! `r2vfs serve`, started for a test and ended with it.

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::TestServer;

use super::client::{Answer, send};

/// A running server. It ends when dropped, because its standard input does.
pub(super) struct Serving {
    child: Child,
    pub(super) address: SocketAddr,
    pub(super) dir: TempDir,
}

/// The program with an environment that holds nothing of this machine.
pub(super) fn program<S: AsRef<OsStr>>(home: &Path, words: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_r2vfs"));
    command.args(words).env_clear().env("HOME", home).current_dir(home);
    command
}

/// The knowledge base of the fixtures.
pub(super) fn kb() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/kb")
}

/// Waits until nothing more is fetched, and gives the number of gets; a loaded machine may take
/// its time, and 400 objects at 4 at a time would take longer.
pub(super) async fn settled(store: &TestServer) -> u64 {
    let mut since = (Instant::now(), store.counts().gets);
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let gets = store.counts().gets;
        if gets != since.1 {
            since = (Instant::now(), gets);
        } else if since.0.elapsed() > Duration::from_secs(1) && store.quiet().await {
            return gets;
        }
        assert!(Instant::now() < until, "it goes on for nobody: {gets} gets");
    }
}

impl Serving {
    /// Over a directory, without tenants.
    pub(super) fn over(root: &Path) -> Self {
        Self::with(&["-b", &root.display().to_string()], None, &[])
    }

    /// With these words, this configuration and this environment.
    pub(super) fn with(words: &[&str], config: Option<&str>, env: &[(&str, String)]) -> Self {
        let dir = TempDir::new().expect("a directory");
        let mut all: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        if let Some(config) = config {
            fs::write(dir.path().join("r2vfs.toml"), config).expect("a file");
            all.extend(["--config".to_owned(), "r2vfs.toml".to_owned()]);
        }
        let fixed = ["--listen", "127.0.0.1:0", "--port-file", "url", "--exit-with-stdin"];
        let words = ["serve"].into_iter().chain(fixed).chain(all.iter().map(String::as_str));
        let mut command = program(dir.path(), words);
        command.envs(env.iter().map(|(name, value)| (*name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let file = dir.path().join("url");
        let until = Instant::now() + Duration::from_secs(60);
        let url = loop {
            if let Ok(url) = fs::read_to_string(&file) {
                break url;
            }
            let ended = child.try_wait().expect("a child");
            if ended.is_some() || Instant::now() > until {
                drop(child.stdin.take());
                let output = child.wait_with_output().expect("it ends");
                panic!("no server: {}", String::from_utf8_lossy(&output.stderr));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let address = url.trim().strip_prefix("http://").expect("a URL").parse().expect("one");
        Self { child, address, dir }
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to end, and gives its exit code once it has.
    pub(super) fn end(&mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.wait()
    }

    /// Waits for its end.
    pub(super) fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// A GET.
    pub(super) fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        send(self.address, "GET", target, headers, b"")
    }

    /// A call of the JSON API.
    pub(super) fn call(&self, tool: &str, arguments: &Value) -> Answer {
        self.call_as(None, tool, arguments, &[])
    }

    /// A call of the JSON API with a token and more headers.
    pub(super) fn call_as(
        &self,
        token: Option<&str>,
        tool: &str,
        arguments: &Value,
        more: &[(&str, &str)],
    ) -> Answer {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        headers.extend_from_slice(more);
        let body = arguments.to_string();
        send(self.address, "POST", &format!("/v1/{tool}"), &headers, body.as_bytes())
    }

    /// The value of a metric, summed over its labels that hold `label`.
    pub(super) fn metric(&self, name: &str, label: &str) -> u64 {
        let text = self.get("/metrics", &[]).is(200).text();
        let values = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (own, labels) = series.split_once('{').unwrap_or((series, ""));
            (own == name && labels.contains(label)).then(|| value.parse::<u64>().ok())?
        });
        values.sum()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
