//! `read`: some lines of a file.

use serde::{Deserialize, Serialize};

use super::{Answer, Envelope, Reason, VirtualSandbox, close, list::limit};
use crate::{
    error::{Error, Kind, Result},
    vfs::{Budget, WindowRequest},
};

/// Lines unless the caller asks for another number (what agents' read tools settled on).
const DEFAULT_LIMIT: u64 = 2000;

/// The most lines one answer may hold.
const MAX_LIMIT: u64 = 100_000;

/// Bytes of text of one answer unless the caller asks for another number: 50 KB.
const DEFAULT_BYTES: u64 = 50_000;

/// The most bytes of text one answer may hold: 8 MiB.
const MAX_BYTES: u64 = 8 << 20;

/// Bytes after which a line is cut, unless the caller asks for whole lines.
const DEFAULT_LINE: u64 = 2000;

/// Arguments of `read`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadArgs {
    /// Canonical file path.
    #[serde(alias = "file_path")]
    pub path: String,
    /// First line, 1-based.
    pub offset: Option<u64>,
    /// At most this many lines.
    pub limit: Option<u64>,
    /// The last so many lines instead.
    pub tail: Option<u64>,
    /// At most this many bytes of text.
    pub max_bytes: Option<u64>,
    /// A line is cut after this many bytes.
    pub max_line: Option<u64>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadLine {
    /// 1-based; absent in a tail whose lines nobody has counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The text without its line break; invalid UTF-8 is replaced by U+FFFD.
    pub text: String,
    /// Bytes that were cut off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Answer of `read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadResult {
    /// Canonical file path.
    pub path: String,
    /// Bytes as stored.
    pub size: u64,
    /// The version that was read.
    pub etag: String,
    /// The lines, in order.
    pub lines: Vec<ReadLine>,
    /// Hand this in as `offset` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    /// Lines in the whole file, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_lines: Option<u64>,
    /// A NUL byte was seen: this is probably no text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub binary: bool,
}

impl VirtualSandbox {
    /// Some lines of a file.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the nearest names, [`Kind::WrongType`] for a directory,
    /// [`Kind::InvalidArgument`] for an offset past the end, and what reading fails with.
    pub async fn read(&self, args: ReadArgs) -> Result<Answer<ReadResult>> {
        let tail = args.tail.is_some();
        if tail && (args.offset.is_some() || args.limit.is_some()) {
            return Err(Error::new(Kind::InvalidArgument, "tail goes without offset and limit"));
        }
        let request = WindowRequest {
            offset: args.offset.unwrap_or(1),
            limit: limit(args.limit.or(args.tail), DEFAULT_LIMIT, MAX_LIMIT)?,
            tail,
            max_bytes: bounded(args.max_bytes, DEFAULT_BYTES)?,
            max_line: bounded(args.max_line, DEFAULT_LINE)?,
            by_name: true,
        };
        if request.offset == 0 {
            return Err(Error::new(Kind::InvalidArgument, "the offset 0 is out of bounds")
                .hint("lines are counted from 1"));
        }
        let op = self.op(Budget::default());
        let entry = self.vfs.file(&op, &args.path).await?;
        let window = self.vfs.lines(&op, entry, request).await?;
        if let (false, [], Some(total)) = (tail, window.lines.as_slice(), window.total)
            && request.offset > total.max(1)
        {
            return Err(Error::new(
                Kind::InvalidArgument,
                format!("the offset {} is past the end: there are {total} lines", request.offset),
            )
            .at(args.path)
            .hint(format!("give an offset from 1 to {}, or ask for the tail", total.max(1))));
        }
        let mut envelope = Envelope { matched: 1, searched: 1, ..Envelope::default() };
        if let Some(next) = window.next {
            let last = next - 1;
            envelope.lacks(Reason::Limit, format!("lines {}-{last} were read", request.offset));
        }
        if window.shortened {
            let (lines, most) = (window.lines.len(), request.max_bytes);
            envelope.lacks(
                Reason::Limit,
                format!("the last {lines} lines were read: one more would pass {most} bytes"),
            );
        }
        if window.changed {
            let note = "the file changed after it was listed; this is its newer version";
            envelope.notes.push(note.to_owned());
        }
        close(&mut envelope, &self.vfs, &op);
        let lines = window.lines.into_iter().map(|line| ReadLine {
            number: line.number,
            text: String::from_utf8_lossy(&line.text).into_owned(),
            cut: line.cut,
        });
        let result = ReadResult {
            path: window.entry.path,
            size: window.entry.object.size,
            etag: window.entry.object.etag.0.into(),
            lines: lines.collect(),
            next_offset: window.next,
            total_lines: window.total,
            binary: window.binary,
        };
        Ok(Answer { result, envelope })
    }
}

fn bounded(asked: Option<u64>, default: u64) -> Result<usize> {
    let bytes = limit(asked, default, MAX_BYTES)?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}
