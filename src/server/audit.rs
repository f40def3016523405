//! Who asked for what, one JSON object a line.
//!
//! A log of HTTP requests says `POST /mcp` and no more. [`Audit`] writes a line per call with the
//! tenant, the tool, its arguments, how it ended and what it cost. A line is one write to a file
//! opened for appending, so that lines of several processes do not mix. A thread writes, behind a
//! bounded queue: a pipe that nobody reads or a disk that hangs must not stop the calls. A line that
//! cannot be written is counted and said once, never a reason to refuse the call.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;

use super::metrics::Metrics;
use crate::{
    bucket::Cost,
    error::{Error, Kind, Result},
};

/// Bytes of the arguments in a line; longer ones are cut and say so.
const MAX_ARGUMENTS: usize = 4096;

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Line<'l> {
    /// When it ended, as `2026-11-24T06:30:00Z`.
    pub time: String,
    /// The tenant's name.
    pub tenant: &'l str,
    /// `stdio`, `mcp` or `http`.
    pub front: &'static str,
    /// The tool's name, or `object`, `resource`.
    pub tool: &'static str,
    /// Its arguments; a string where they were cut.
    pub arguments: &'l Value,
    /// As in the metrics.
    pub outcome: &'static str,
    /// Requests and bytes.
    pub cost: Cost,
    /// From its start to its end.
    pub elapsed_ms: u64,
}

/// The arguments as far as they are kept for a line.
pub fn arguments(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= MAX_ARGUMENTS {
        return value.clone();
    }
    let end = (0..=MAX_ARGUMENTS).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    Value::String(format!("{} [cut: {} bytes]", &text[..end], text.len()))
}

/// The log. See the module's head.
#[derive(Debug, Default)]
pub struct Audit {
    sink: Mutex<Option<Sink>>,
}

/// Lines that wait to be written: some megabytes, and seconds of a busy server.
const QUEUE: usize = 1024;

/// How long the end of a server waits for its last lines.
const LAST: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Sink {
    path: PathBuf,
    metrics: Arc<Metrics>,
    lines: SyncSender<Vec<u8>>,
    written: Receiver<()>,
}

impl Audit {
    /// Opens (again) the log: nowhere, standard error for `-`, or a file that is appended to and
    /// that only its owner can read.
    ///
    /// # Errors
    /// [`Kind::Config`] for a file that cannot be opened; what was open stays open.
    pub fn open(&self, path: Option<&Path>, metrics: &Arc<Metrics>) -> Result<()> {
        let sink = match path {
            None => None,
            Some(path) => Some(start(path, Arc::clone(metrics))?),
        };
        *self.sink() = sink;
        Ok(())
    }

    /// Opens the same file again: whoever rotates logs has moved it away.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn reopen(&self) -> Result<()> {
        let open = self.sink().as_ref().map(|sink| (sink.path.clone(), Arc::clone(&sink.metrics)));
        match open {
            Some((path, metrics)) => self.open(Some(&path), &metrics),
            None => Ok(()),
        }
    }

    /// Hands a line to its writer. One that finds the queue full is lost, and counted.
    pub fn write(&self, line: &Line<'_>) {
        let Some(sink) = &*self.sink() else { return };
        // Only maps with keys that are no strings fail, and there are none.
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        if sink.lines.try_send(text).is_err() {
            sink.metrics.audit_failures.fetch_add(1, Relaxed);
        }
    }

    /// Waits until what was handed over is written, for at most two seconds.
    pub fn close(&self) {
        if let Some(Sink { lines, written, .. }) = self.sink().take() {
            drop(lines);
            // Nothing is sent: it ends with the writer.
            written.recv_timeout(LAST).ok();
        }
    }

    fn sink(&self) -> MutexGuard<'_, Option<Sink>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the file and starts its writer, which ends with the queue.
fn start(path: &Path, metrics: Arc<Metrics>) -> Result<Sink> {
    let mut file: Box<dyn Write + Send> = match path == Path::new("-") {
        true => Box::new(io::stderr()),
        false => {
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            Box::new(options.open(path).map_err(|error| {
                let shown = path.display();
                Error::new(Kind::Config, format!("{shown} cannot be written: {error}"))
                    .because(error)
                    .hint("let audit_log name a file in a directory that is there")
            })?)
        }
    };
    let (lines, queue) = sync_channel::<Vec<u8>>(QUEUE);
    let (ended, written) = channel();
    let counted = Arc::clone(&metrics);
    thread::spawn(move || {
        let _ended = ended;
        for line in queue {
            if let Err(error) = file.write_all(&line)
                && counted.audit_failures.fetch_add(1, Relaxed) == 0
            {
                // Once: a full disk fails for every call.
                drop(writeln!(io::stderr(), "r2vfs: the audit log cannot be written: {error}"));
            }
        }
    });
    Ok(Sink { path: path.to_owned(), metrics, lines, written })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arguments: &Value) -> Line<'_> {
        Line {
            time: "2026-11-24T06:30:00Z".to_owned(),
            tenant: "acme",
            front: "http",
            tool: "grep",
            arguments,
            outcome: "complete",
            cost: Cost::default(),
            elapsed_ms: 1,
        }
    }

    #[test]
    fn lines_are_written_by_the_time_it_is_closed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("audit");
        let (audit, metrics) = (Audit::default(), Arc::new(Metrics::default()));
        audit.open(Some(&path), &metrics).expect("a new file");
        for _ in 0..100 {
            audit.write(&line(&Value::Null));
        }
        audit.close();
        assert_eq!(std::fs::read_to_string(&path).expect("lines").lines().count(), 100);
        assert_eq!(metrics.audit_failures.load(Relaxed), 0);
    }

    /// A pipe that nobody reads, or a disk that hangs.
    #[cfg(unix)]
    #[test]
    fn a_log_that_takes_nothing_loses_lines_and_stops_nobody() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        // Both ends, or opening it for writing waits for a reader.
        let _end = OpenOptions::new().read(true).write(true).open(&path).expect("a pipe");
        let (audit, metrics) = (Audit::default(), Arc::new(Metrics::default()));
        audit.open(Some(&path), &metrics).expect("a pipe");
        let arguments = Value::String("x".repeat(1000));
        for _ in 0..2000 {
            audit.write(&line(&arguments));
        }
        assert!(metrics.audit_failures.load(Relaxed) > 0, "more than a pipe and a queue hold");
        audit.close();
    }
}
