//! `read`: some lines of a file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Envelope, Reason, VirtualSandbox, close, list::limit, room::Room, text};
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

/// Why a tail is shorter than what was asked for.
const SHORTENED: &str = "one more would pass the bound on bytes";

/// Arguments of `read`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReadArgs {
    /// File to read.
    #[serde(alias = "file_path")]
    pub path: String,
    /// Number of the first line, from 1 (default 1).
    #[schemars(range(min = 1))]
    pub offset: Option<u64>,
    /// At most this many lines (default 2000).
    #[schemars(range(min = 1, max = 100_000))]
    pub limit: Option<u64>,
    /// The last so many lines instead.
    #[schemars(range(min = 1, max = 100_000))]
    pub tail: Option<u64>,
    /// At most this many bytes of text.
    #[schemars(extend("x-hidden" = true))]
    pub max_bytes: Option<u64>,
    /// Bytes after which a line is cut (default 2000).
    #[schemars(range(min = 1, max = 8_388_608))]
    pub max_line: Option<u64>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
            return Err(Error::new(Kind::InvalidArgument, "tail goes without offset and limit")
                .hint("give tail alone for the end, or offset and limit for a part"));
        }
        let request = WindowRequest {
            offset: args.offset.unwrap_or(1),
            limit: limit(args.limit.or(args.tail), DEFAULT_LIMIT, MAX_LIMIT).map_err(|error| {
                match tail {
                    true => error.hint(format!("give tail a number from 1 to {MAX_LIMIT}")),
                    false => error,
                }
            })?,
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
        let mut lines: Vec<ReadLine> = window
            .lines
            .into_iter()
            .map(|line| ReadLine {
                number: line.number,
                text: String::from_utf8_lossy(&line.text).into_owned(),
                cut: line.cut,
            })
            .collect();
        let (mut next, mut shortened) = (window.next, window.shortened.then_some(SHORTENED));
        if let Some(room) = self.room {
            let room = Room::new(room.format, room.answer(true));
            let dropped = fit(&mut lines, room, tail);
            match (dropped, tail) {
                (None, _) => {}
                (Some(_), true) => shortened = Some("one more would not fit the answer"),
                (Some(number), false) => next = number,
            }
        }
        let mut envelope = Envelope { matched: 1, searched: 1, ..Envelope::default() };
        if let Some(next) = next {
            let last = next - 1;
            envelope.lacks(Reason::Limit, format!("lines {}-{last} were read", request.offset));
        }
        if let Some(why) = shortened {
            let lines = lines.len();
            envelope.lacks(Reason::Limit, format!("the last {lines} lines were read: {why}"));
        }
        if window.changed {
            let note = "the file changed after it was listed; this is its newer version";
            envelope.notes.push(note.to_owned());
        }
        close(&mut envelope, &self.vfs, &op);
        let result = ReadResult {
            path: window.entry.path,
            size: window.entry.object.size,
            etag: window.entry.object.etag.0.into(),
            lines,
            next_offset: next,
            total_lines: window.total,
            binary: window.binary,
        };
        Ok(Answer { result, envelope })
    }
}

/// Leaves of `lines` what fits the room: the first, or in a tail the last. Answers the number of
/// the first line that does not fit, if there is one.
fn fit(lines: &mut Vec<ReadLine>, mut room: Room, tail: bool) -> Option<Option<u64>> {
    let mut kept = 0;
    let count = lines.len();
    while kept < count {
        let at = if tail { count - 1 - kept } else { kept };
        let line = &mut lines[at];
        if kept == 0 {
            shorten(line, room.results());
        }
        let line = &*line;
        let chars = room.measure(line, || text::read::line(line).chars().count() + 1);
        if !room.fits(chars) {
            break;
        }
        room.take(chars);
        kept += 1;
    }
    if kept == count {
        return None;
    }
    if tail {
        lines.drain(..count - kept);
        return Some(None);
    }
    let next = lines[kept].number;
    lines.truncate(kept);
    Some(next)
}

/// Cuts a line that alone would not fit.
fn shorten(line: &mut ReadLine, chars: usize) {
    // In JSON a character can take six.
    let most = chars / 6;
    if line.text.chars().count() > chars / 2
        && let Some((end, _)) = line.text.char_indices().nth(most)
    {
        line.cut += (line.text.len() - end) as u64;
        line.text.truncate(end);
    }
}

fn bounded(asked: Option<u64>, default: u64) -> Result<usize> {
    let bytes = limit(asked, default, MAX_BYTES)?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}
