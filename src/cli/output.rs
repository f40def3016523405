//! Standard output.
//!
//! `println!` flushes each line on a terminal, panics when the reader of a pipe has left, and
//! prints a key's escape sequences to whoever looks. [`Out`] buffers in blocks and is flushed when
//! the command has to wait ([`Waiter`](super::wait::Waiter)), turns a closed pipe into a quiet
//! end, and knows whether a person or a program reads.

use std::{
    borrow::Cow,
    io::{self, BufWriter, IsTerminal, Stdout, Write},
};

use serde::Serialize;

use super::failure::Stop;
use crate::tree::path::visible;

/// Standard output, buffered.
#[derive(Debug)]
pub(super) struct Out {
    stdout: BufWriter<Stdout>,
    terminal: bool,
    printed: bool,
}

impl Out {
    pub(super) fn new() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self { stdout: BufWriter::with_capacity(64 << 10, stdout), terminal, printed: false }
    }

    /// Whether a person reads.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether anything was printed.
    pub(super) fn printed(&self) -> bool {
        self.printed
    }

    /// How a path or a name is printed: as it is for a program, made harmless for a terminal.
    pub(super) fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.terminal { Cow::Owned(visible(text)) } else { Cow::Borrowed(text) }
    }

    /// Prints bytes as they are.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.printed |= !bytes.is_empty();
        Ok(self.stdout.write_all(bytes)?)
    }

    /// Prints a line.
    pub(super) fn line(&mut self, text: impl std::fmt::Display) -> Result<(), Stop> {
        self.printed = true;
        Ok(writeln!(self.stdout, "{text}")?)
    }

    /// Prints one message of a `--json` stream, in ripgrep's form.
    pub(super) fn message(&mut self, kind: &str, data: &impl Serialize) -> Result<(), Stop> {
        #[derive(Serialize)]
        struct Message<'m, T> {
            r#type: &'m str,
            data: &'m T,
        }
        self.printed = true;
        serde_json::to_writer(&mut self.stdout, &Message { r#type: kind, data })
            .map_err(io::Error::from)?;
        Ok(self.stdout.write_all(b"\n")?)
    }

    /// Prints an object of a `--json` stream that names its kind among its own keys.
    pub(super) fn flat(&mut self, kind: &str, data: &impl Serialize) -> Result<(), Stop> {
        #[derive(Serialize)]
        struct Flat<'m, T> {
            r#type: &'m str,
            #[serde(flatten)]
            data: &'m T,
        }
        self.printed = true;
        serde_json::to_writer(&mut self.stdout, &Flat { r#type: kind, data })
            .map_err(io::Error::from)?;
        Ok(self.stdout.write_all(b"\n")?)
    }

    /// Hands everything to the reader.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        Ok(self.stdout.flush()?)
    }
}
