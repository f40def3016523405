//! What every answer says about itself.
//!
//! An empty result means nothing unless the reader knows what was looked at. Every operation
//! ends with an [`Envelope`]: whether the answer is whole, what was passed over and why, as of
//! when, at what cost, and where to go on.

use std::{collections::BTreeMap, fmt::Write as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bucket::Cost,
    error::{Error, Kind},
};

/// Skipped objects named one by one in an envelope; the rest are only counted.
pub const NAMED_SKIPS: usize = 100;

/// A result with its envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer<T> {
    /// What was asked for.
    #[serde(flatten)]
    pub result: T,
    /// What the result is worth.
    pub envelope: Envelope,
}

/// What an answer is worth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// Nothing that was asked for is missing.
    pub complete: bool,
    /// Why the answer is not complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<Incomplete>,
    /// Objects that the listings gave.
    pub listed: u64,
    /// Objects whose content was searched, to the end or to a limit.
    pub searched: u64,
    /// Objects with a match, or entries found.
    pub matched: u64,
    /// The first objects that were passed over, 100 ([`NAMED_SKIPS`]) at most.
    #[schemars(description = "The first objects that were passed over, 100 at most.")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// All objects that were passed over, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_by_reason: BTreeMap<SkipReason, u64>,
    /// What an index did for the answer, where one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexUse>,
    /// When the oldest listing used began: milliseconds since the Unix epoch.
    pub as_of: Option<i64>,
    /// Requests and bytes.
    pub cost: Cost,
    /// Milliseconds from the start of the operation to its end.
    pub elapsed_ms: u64,
    /// Hand this back to go on where the answer stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// What else a reader should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Objects that are the index's own files, and so are not shown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reserved: u64,
    /// Of some notes, what somebody can do who keeps the index, and no agent.
    #[serde(skip)]
    pub(crate) next: BTreeMap<String, &'static str>,
}

/// What an index did for an answer. It only ever spares reading: what it does not hold in the
/// version that is listed was searched in the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IndexUse {
    /// When the listing that it was built from began: milliseconds since the Unix epoch.
    pub built_at: i64,
    /// It could tell objects that cannot match from those that may.
    pub narrowed: bool,
    /// Objects that it showed to hold no match: they were not read.
    pub left_out: u64,
    /// Objects whose text it handed over itself.
    pub packed: u64,
    /// Objects that it does not hold, or not in the version that is listed.
    pub uncovered: u64,
}

impl IndexUse {
    /// One more index, built from a listing of this time, was asked.
    pub(super) fn asked(&mut self, built_at: i64, narrowed: bool) {
        self.built_at = match self.built_at {
            0 => built_at,
            earlier => earlier.min(built_at),
        };
        self.narrowed |= narrowed;
    }
}

/// One reason why an answer is not complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Incomplete {
    /// The class of reason.
    pub reason: Reason,
    /// In words.
    pub detail: String,
}

/// Why an answer is not complete.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// The limit on results was reached.
    Limit,
    /// The time was over.
    Deadline,
    /// The budget of requests or bytes was spent.
    Budget,
    /// Something failed.
    Error,
    /// The caller stopped it.
    Cancelled,
    /// Some objects are not in the index that a ranked search needs: the index is behind.
    Unindexed,
}

/// An object that was passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// Its canonical path.
    pub path: String,
    /// The class of reason.
    pub reason: SkipReason,
    /// In words.
    pub detail: String,
}

/// Why an object was passed over.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SkipReason {
    /// A NUL byte ended the search, as in ripgrep. The answer stays complete by that rule.
    Binary,
    /// A line, a multi-line search or a decompression needs more than its bound.
    TooLarge,
    /// The compressed data is broken.
    Undecodable,
    /// It changed while it was read, after some of its results were given out.
    Changed,
    /// The credentials do not allow reading it.
    Forbidden,
    /// It is in an archive class.
    Archived,
    /// It was deleted after it was listed, or nothing is at the path.
    NotFound,
    /// Reading failed after all retries.
    Failed,
}

impl SkipReason {
    /// The reason behind an error.
    pub fn of(error: &Error) -> Self {
        match error.kind() {
            Kind::TooLarge => Self::TooLarge,
            Kind::Undecodable => Self::Undecodable,
            Kind::Changed => Self::Changed,
            Kind::Forbidden | Kind::Credentials => Self::Forbidden,
            Kind::Archived => Self::Archived,
            Kind::NotFound => Self::NotFound,
            _ => Self::Failed,
        }
    }

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::TooLarge => "too large",
            Self::Undecodable => "undecodable",
            Self::Changed => "changed",
            Self::Forbidden => "forbidden",
            Self::Archived => "archived",
            Self::NotFound => "not found",
            Self::Failed => "failed",
        }
    }

    /// Whether passing it over leaves a hole in the answer.
    pub fn leaves_a_hole(self) -> bool {
        self != Self::Binary
    }
}

impl Envelope {
    /// Records that an object was passed over.
    pub fn skip(&mut self, path: &str, reason: SkipReason, detail: impl Into<String>) {
        *self.skipped_by_reason.entry(reason).or_default() += 1;
        if self.skipped.len() < NAMED_SKIPS {
            self.skipped.push(Skipped { path: path.to_owned(), reason, detail: detail.into() });
        }
    }

    /// Records why the answer is not complete, each reason once.
    pub fn lacks(&mut self, reason: Reason, detail: impl Into<String>) {
        let detail = detail.into();
        if !self.incomplete.iter().any(|i| i.reason == reason && i.detail == detail) {
            self.incomplete.push(Incomplete { reason, detail });
        }
    }

    /// Records an error that ended the work or a part of it.
    pub fn failed(&mut self, error: &Error) {
        let reason = match error.kind() {
            Kind::Deadline => Reason::Deadline,
            Kind::Budget => Reason::Budget,
            Kind::Cancelled => Reason::Cancelled,
            _ => Reason::Error,
        };
        self.lacks(reason, error.to_string());
    }

    /// Settles `complete` from what was recorded.
    pub fn settle(&mut self) {
        let holes: u64 =
            self.skipped_by_reason.iter().filter(|(r, _)| r.leaves_a_hole()).map(|(_, n)| n).sum();
        if holes > 0 {
            self.lacks(Reason::Error, format!("{holes} objects could not be searched or read"));
        }
        self.complete = self.incomplete.is_empty();
    }

    /// Whether something failed, as opposed to a limit that was asked for or an index that is
    /// behind.
    pub fn has_failed(&self) -> bool {
        let expected = [Reason::Limit, Reason::Unindexed];
        self.incomplete.iter().any(|i| !expected.contains(&i.reason))
    }

    /// Whether the work ended before its end, so that there may be more.
    pub(super) fn was_stopped(&self) -> bool {
        let stops = [Reason::Deadline, Reason::Budget, Reason::Cancelled];
        self.incomplete.iter().any(|i| stops.contains(&i.reason))
    }

    /// The envelope for a person, several lines.
    pub fn in_words(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_words(&mut text);
        text
    }

    fn write_words(&self, out: &mut String) -> std::fmt::Result {
        let why: Vec<_> = self.incomplete.iter().map(|i| i.detail.as_str()).collect();
        let why = why.join("; ");
        match self.complete {
            true => writeln!(out, "complete: yes")?,
            // It was asked for, and alarms nobody.
            false if self.incomplete.iter().all(|i| i.reason == Reason::Limit) => {
                writeln!(out, "complete: as far as was asked, {why}")?;
            }
            false => writeln!(out, "complete: NO, {why}")?,
        }
        writeln!(
            out,
            "objects: {} listed, {} searched, {} matched",
            self.listed, self.searched, self.matched
        )?;
        if !self.skipped_by_reason.is_empty() {
            let reasons = self.skipped_by_reason.iter().map(|(r, n)| format!("{n} {}", r.as_str()));
            writeln!(out, "skipped: {}", reasons.collect::<Vec<_>>().join(", "))?;
            for skipped in &self.skipped {
                writeln!(
                    out,
                    "  {} ({}): {}",
                    skipped.path,
                    skipped.reason.as_str(),
                    skipped.detail
                )?;
            }
        }
        if let Some(index) = &self.index {
            let IndexUse { built_at, narrowed, left_out, packed, uncovered } = index;
            let could = if *narrowed { "" } else { "could not narrow this, " };
            writeln!(
                out,
                "index: {could}{left_out} objects left out, {packed} read from it, {uncovered} not \
                 in it (built {})",
                utc(*built_at)
            )?;
        }
        if let Some(as_of) = self.as_of {
            writeln!(out, "listing as of: {}", utc(as_of))?;
        }
        let Cost { list_requests, get_requests, bytes_fetched, cache_hits, retries } = self.cost;
        write!(
            out,
            "cost: {}, {}, {bytes_fetched} bytes fetched, {}",
            counted(list_requests, "list request", "list requests"),
            counted(get_requests, "get request", "get requests"),
            counted(cache_hits, "cache hit", "cache hits")
        )?;
        match retries {
            0 => writeln!(out)?,
            1 => writeln!(out, ", 1 of the requests was a retry")?,
            retries => writeln!(out, ", {retries} of the requests were retries")?,
        }
        writeln!(out, "time: {}.{:03} s", self.elapsed_ms / 1000, self.elapsed_ms % 1000)?;
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        if self.reserved > 0 {
            let objects = counted(self.reserved, "reserved object", "reserved objects");
            writeln!(out, "note: {objects}, of the index itself, not shown")?;
        }
        if let Some(cursor) = &self.cursor {
            writeln!(out, "more: cursor {cursor}")?;
        }
        Ok(())
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// `n` things, in the number that `n` asks for.
pub(super) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// What an answer lacks that was asked to hold `limit` of something.
pub(super) fn reached(limit: u64, one: &str, many: &str) -> String {
    format!("the limit of {} is reached", counted(limit, one, many))
}

/// Milliseconds since the Unix epoch as `2026-11-24T06:30:00Z`.
///
/// Civil date from days by the era method: years start in March, so that the leap day is last.
pub fn utc(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn dates() {
        // `date -u -d @N +%FT%TZ`
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_399_999), "2000-02-28T23:59:59Z");
        assert_eq!(utc(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_767_225_599_000), "2025-12-31T23:59:59Z");
        assert_eq!(utc(-1), "1969-12-31T23:59:59Z");
        assert_eq!(utc(4_107_542_399_000), "2100-02-28T23:59:59Z");
    }
}
