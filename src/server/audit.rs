//! Who asked for what, one JSON object a line.
//!
//! A log of HTTP requests says `POST /mcp` and no more. [`Audit`] writes a line per call with the
//! tenant, the tool, its arguments, how it ended and what it cost. A line is one write to a file
//! opened for appending, so that lines of several processes do not mix; a line that cannot be
//! written is counted and said once, never a reason to refuse the call.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
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
    sink: Mutex<Sink>,
}

#[derive(Debug, Default)]
enum Sink {
    #[default]
    Nowhere,
    Stderr,
    File(PathBuf, File),
}

impl Audit {
    /// Opens (again) the log: nowhere, standard error for `-`, or a file that is appended to and
    /// that only its owner can read.
    ///
    /// # Errors
    /// [`Kind::Config`] for a file that cannot be opened; what was open stays open.
    pub fn open(&self, path: Option<&Path>) -> Result<()> {
        let sink = match path {
            None => Sink::Nowhere,
            Some(path) if path == Path::new("-") => Sink::Stderr,
            Some(path) => {
                let mut options = OpenOptions::new();
                options.append(true).create(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let file = options.open(path).map_err(|error| {
                    let shown = path.display();
                    Error::new(Kind::Config, format!("{shown} cannot be written: {error}"))
                        .because(error)
                        .hint("let audit_log name a file in a directory that is there")
                })?;
                Sink::File(path.to_owned(), file)
            }
        };
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = sink;
        Ok(())
    }

    /// Opens the same file again: whoever rotates logs has moved it away.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn reopen(&self) -> Result<()> {
        let path = match &*self.sink.lock().unwrap_or_else(PoisonError::into_inner) {
            Sink::File(path, _) => path.clone(),
            Sink::Nowhere | Sink::Stderr => return Ok(()),
        };
        self.open(Some(&path))
    }

    /// Writes a line.
    pub fn write(&self, line: &Line<'_>, metrics: &Arc<Metrics>) {
        let written = self.try_write(line);
        if let Err(error) = written
            && metrics.audit_failures.fetch_add(1, Relaxed) == 0
        {
            // Once: a full disk fails for every call.
            drop(writeln!(io::stderr(), "r2vfs: the audit log cannot be written: {error}"));
        }
    }

    fn try_write(&self, line: &Line<'_>) -> io::Result<()> {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*sink, Sink::Nowhere) {
            return Ok(());
        }
        let mut text = serde_json::to_vec(line).map_err(io::Error::from)?;
        text.push(b'\n');
        match &mut *sink {
            Sink::Nowhere => Ok(()),
            Sink::Stderr => io::stderr().lock().write_all(&text),
            Sink::File(_, file) => file.write_all(&text),
        }
    }
}
