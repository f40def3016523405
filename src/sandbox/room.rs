//! How much of an answer fits into a model's context.
//!
//! Cutting a finished text leaves no place to go on from, and what was cut was fetched and paid
//! for. A [`Room`] is asked before each result is taken, in the units of what will be written,
//! so that the work stops with the text and the cursor fits it.

use serde::Serialize;

use super::tools::Format;

/// Characters of an answer unless a front end asks for another number. Clients cut or refuse more
/// than about 25,000 tokens.
pub const DEFAULT_CHARS: usize = 20_000;

/// The most characters of an answer.
pub const MAX_CHARS: usize = 40_000;

/// The least that can be asked for: a result with its path, and the last line, must fit.
pub const MIN_CHARS: usize = 4_000;

/// What is kept for the last line at least: its notes, its names of skipped objects, its cursor.
const LAST_LINE: usize = 2_000;

/// The share that is kept for it of a large answer, for a cursor holds a path of up to 1,024 bytes,
/// each of which may be escaped: 4,120 letters.
const SHARE: usize = 8;

/// The most bytes of text and paths that the results of one answer may hold, beside the last of
/// them: also where nobody asked for room, an answer must not fill memory.
pub(super) const MAX_TEXT: usize = 8 << 20;

/// Bytes after which a line of a grep is cut where the answer must fit a context.
pub(super) const LINE: usize = 500;

/// Lines of context on either side that such an answer holds at most.
pub(super) const CONTEXT: usize = 50;

/// The room of one answer, and what is left of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) format: Format,
    /// For all of the answer.
    pub(super) chars: usize,
    /// Taken so far.
    taken: usize,
}

impl Room {
    pub(super) fn new(format: Format, chars: usize) -> Self {
        Self { format, chars: chars.clamp(MIN_CHARS, MAX_CHARS), taken: 0 }
    }

    /// Whether `more` characters fit beside what is taken. The first result always does: a page
    /// without any would not get on.
    pub(super) fn fits(&self, more: usize) -> bool {
        self.taken == 0 || self.taken + more <= self.results()
    }

    pub(super) fn take(&mut self, chars: usize) {
        self.taken += chars;
    }

    /// The room for results.
    pub(super) fn results(&self) -> usize {
        self.chars.saturating_sub(LAST_LINE.max(self.chars / SHARE))
    }

    /// Characters of `result`: of its `text`, or of its JSON.
    pub(super) fn measure(&self, result: &impl Serialize, text: impl FnOnce() -> usize) -> usize {
        match self.format {
            Format::Text => text(),
            // A comma stands between two.
            Format::Structured => {
                serde_json::to_string(result).map_or(0, |json| json.chars().count() + 1)
            }
        }
    }

    /// What an answer lacks that holds [`MAX_TEXT`].
    pub(super) fn text_words() -> String {
        format!("the limit of {MAX_TEXT} bytes in one answer is reached")
    }

    /// Characters of a whole answer. What was asked for by name may take more than what was only
    /// found.
    pub(super) fn answer(&self, read: bool) -> usize {
        if read { (2 * self.chars).min(MAX_CHARS) } else { self.chars }
    }

    /// What an answer lacks that fills its room.
    pub(super) fn words(&self) -> String {
        format!("the answer is full ({} characters)", self.chars)
    }
}
