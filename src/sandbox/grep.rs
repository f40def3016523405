//! `grep`: the lines that match, over all files or some.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{
    Answer, Scan, ScanEvent, ScanRequest, VirtualSandbox, cursor::Cursor, glob::OneOrMany,
    list::limit,
};
use crate::{
    error::{Error, Kind, Result},
    search::{Case, Hit, HitKind, HitMode, Hits, PatternOptions, SearchOptions, SelectionOptions},
    vfs::Budget,
};

/// Results of an answer unless the caller asks for another number: lines, or files in the two
/// other modes.
const DEFAULT_LIMIT: u64 = 250;

/// The most results one answer may hold.
const MAX_LIMIT: u64 = 100_000;

/// A line is cut to this many bytes.
const MAX_LINE: usize = 2000;

/// The most bytes of text and paths one answer may hold, beside the last result with its context.
const MAX_TEXT: usize = 8 << 20;

/// The most lines of context on either side.
const MAX_CONTEXT: u64 = 1000;

/// What of the matches is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// Only the files that match.
    #[default]
    FilesWithMatches,
    /// The matching lines.
    Content,
    /// How many lines match in each file.
    Count,
}

/// Arguments of `grep`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrepArgs {
    /// A regex, or several of which any may match.
    pub pattern: OneOrMany,
    /// Canonical path of a file or directory, or several; everything if empty.
    pub path: OneOrMany,
    /// Only files that match these globs (ripgrep's `-g`).
    #[serde(alias = "include")]
    pub glob: OneOrMany,
    /// Only files of these types (ripgrep's `-t`).
    pub r#type: OneOrMany,
    /// What of the matches is wanted.
    pub output_mode: OutputMode,
    /// Lines of context before and after.
    #[serde(alias = "-C")]
    pub context: Option<u64>,
    /// Lines of context before.
    #[serde(alias = "-B")]
    pub before: Option<u64>,
    /// Lines of context after.
    #[serde(alias = "-A")]
    pub after: Option<u64>,
    /// Ignore case.
    #[serde(alias = "-i")]
    pub case_insensitive: bool,
    /// The pattern is no regex but the text itself.
    pub literal: bool,
    /// Only whole words.
    pub word: bool,
    /// Lines that do not match.
    pub invert: bool,
    /// The pattern may span lines.
    pub multiline: bool,
    /// With `multiline`: `.` matches line feeds too.
    pub dotall: bool,
    /// Search inside `.gz` and `.zst` files.
    pub search_zip: bool,
    /// At most this many results.
    #[serde(alias = "head_limit")]
    pub limit: Option<u64>,
    /// Where an earlier answer stopped.
    #[serde(skip_serializing)]
    pub cursor: Option<String>,
    /// Stop after this many milliseconds.
    #[serde(skip_serializing)]
    pub timeout_ms: Option<u64>,
    /// Stop before more requests than this.
    #[serde(skip_serializing)]
    pub max_requests: Option<u64>,
    /// Stop before more fetched bytes than this.
    #[serde(skip_serializing)]
    pub max_bytes: Option<u64>,
}

/// The results of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHits {
    /// Canonical file path.
    pub path: String,
    /// In `count` mode: matching lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// In `content` mode: lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<HitLine>,
}

/// One line, or several where a match spans them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HitLine {
    /// 1-based number of the first line.
    pub line: u64,
    /// Invalid UTF-8 is replaced by U+FFFD.
    pub text: String,
    /// Only shown around a match.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub context: bool,
    /// The line is longer than what is shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// Answer of `grep`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrepResult {
    /// In path order.
    pub files: Vec<FileHits>,
}

/// Collects events up to a limit and remembers where to go on.
struct Collector {
    mode: OutputMode,
    limit: u64,
    taken: u64,
    /// Bytes of text and paths taken.
    bytes: usize,
    result: GrepResult,
    /// Results of the current file that an earlier answer gave.
    skip: u64,
    /// The file being taken and its results so far, earlier answers included.
    place: (String, u64),
    /// Of the paths that were named, those that were not searched, with the first error.
    lost: (HashSet<String>, Option<Error>),
}

impl VirtualSandbox {
    /// The lines that match.
    ///
    /// # Errors
    /// [`Kind::InvalidPattern`] with the column, [`Kind::InvalidArgument`], and
    /// [`Kind::NotFound`] when none of the paths exists. What fails beside results is told in
    /// the envelope.
    pub async fn grep(&self, args: GrepArgs) -> Result<Answer<GrepResult>> {
        let limit = limit(args.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let query = Cursor::digest("grep", &args)?;
        let from = args.cursor.as_deref().map(|c| Cursor::decode(c, query)).transpose()?;
        let mode = args.output_mode;
        let hits = Hits {
            mode: match mode {
                OutputMode::FilesWithMatches => HitMode::FilesWithMatches,
                OutputMode::Content => HitMode::Content,
                OutputMode::Count => HitMode::Count,
            },
            max_line_bytes: Some(MAX_LINE),
            only_matching: false,
        };
        let mut request = args.request()?;
        let paths: HashSet<String> = request.paths.iter().cloned().collect();
        request.start = from.as_ref().map(|from| from.path.clone());
        let mut scan = self.scan(request, hits)?;
        let mut collector = Collector {
            mode,
            limit,
            taken: 0,
            bytes: 0,
            result: GrepResult::default(),
            skip: from.as_ref().map_or(0, |from| from.skip),
            place: from.as_ref().map_or_else(Default::default, |f| (f.path.clone(), 0)),
            lost: (HashSet::new(), None),
        };
        let more = collector.collect(&mut scan, &paths).await;
        let mut envelope = scan.envelope();
        if envelope.searched == 0
            && collector.lost.0.len() == paths.len()
            && let Some(error) = collector.lost.1
        {
            return Err(error);
        }
        let (path, given) = collector.place;
        // A file that was stopped in before it came to what is new keeps its place.
        let skip = given.max(collector.skip);
        let place = ((more || envelope.was_stopped()) && !path.is_empty()).then_some(Cursor {
            query,
            path,
            skip,
            as_of: None,
        });
        Cursor::tell(&mut envelope, (from, place), scan.order_broke())?;
        Ok(Answer { result: collector.result, envelope })
    }
}

impl GrepArgs {
    fn request(&self) -> Result<ScanRequest> {
        let patterns = self.pattern.clone().into_vec();
        if patterns.is_empty() {
            return Err(Error::new(Kind::InvalidArgument, "there is no pattern"));
        }
        let context = |one: Option<u64>| {
            let lines = one.or(self.context).unwrap_or(0);
            match lines <= MAX_CONTEXT {
                true => Ok(usize::try_from(lines).unwrap_or(usize::MAX)),
                false => Err(Error::new(
                    Kind::InvalidArgument,
                    format!("{lines} lines of context are out of bounds"),
                )
                .hint(format!("give at most {MAX_CONTEXT}, and read the file for more"))),
            }
        };
        let (before, after) = match self.output_mode {
            OutputMode::Content => (context(self.before)?, context(self.after)?),
            _ => (0, 0),
        };
        let case = if self.case_insensitive { Case::Insensitive } else { Case::Sensitive };
        Ok(ScanRequest {
            paths: self.path.clone().into_vec().into_iter().filter(|p| !p.is_empty()).collect(),
            pattern: PatternOptions {
                patterns,
                fixed: self.literal,
                case,
                word: self.word,
                multiline: self.multiline,
                dotall: self.dotall,
                ..PatternOptions::default()
            },
            search: SearchOptions {
                invert: self.invert,
                before,
                after,
                line_number: true,
                multiline: self.multiline,
                ..SearchOptions::default()
            },
            selection: SelectionOptions {
                globs: self.glob.clone().into_vec(),
                types: self.r#type.clone().into_vec(),
                ..SelectionOptions::default()
            },
            search_zip: self.search_zip,
            budget: Budget {
                time: self.timeout_ms.map(std::time::Duration::from_millis),
                requests: self.max_requests,
                bytes: self.max_bytes,
            },
            every: false,
            start: None,
        })
    }
}

impl Collector {
    /// Takes results until the end or the limit; answers whether there is more. `paths` are the
    /// ones that were named.
    async fn collect(&mut self, scan: &mut Scan<Vec<Hit>>, paths: &HashSet<String>) -> bool {
        while let Some(event) = scan.next().await {
            match event {
                ScanEvent::Chunk { path, chunk } => {
                    for hit in chunk {
                        if self.full_before(&path, &hit) {
                            scan.reach_limit(self.limit_words("lines"));
                            return true;
                        }
                        self.take_line(&path, hit);
                    }
                }
                ScanEvent::End { path, found } if self.mode != OutputMode::Content => {
                    let seen = self.come_to(&path);
                    if !found.matched || seen {
                        continue;
                    }
                    if self.is_full() {
                        scan.reach_limit(self.limit_words("files"));
                        return true;
                    }
                    self.taken += 1;
                    self.bytes += path.len();
                    self.place.1 = 1;
                    let count = (self.mode == OutputMode::Count).then_some(found.lines);
                    let path = path.to_string();
                    self.result.files.push(FileHits { path, count, lines: Vec::new() });
                }
                ScanEvent::End { path, .. } => {
                    self.come_to(&path);
                }
                // When nothing that was named exists, the answer is an error, not "no match".
                ScanEvent::Failed { path, error, .. } => {
                    if paths.contains(&*path) {
                        self.lost.0.insert(path.to_string());
                        self.lost.1.get_or_insert(error);
                    }
                }
            }
        }
        false
    }

    fn is_full(&self) -> bool {
        self.taken >= self.limit || self.bytes >= MAX_TEXT
    }

    fn limit_words(&self, what: &str) -> String {
        match self.taken >= self.limit {
            true => format!("the limit of {} {what} is reached", self.limit),
            false => format!("the limit of {MAX_TEXT} bytes in one answer is reached"),
        }
    }

    /// The file `path` is the place now. Answers whether an earlier answer gave of it.
    fn come_to(&mut self, path: &str) -> bool {
        if self.place.0 != path {
            self.place = (path.to_owned(), 0);
            self.skip = 0;
        }
        self.skip > 0
    }

    fn full_before(&self, path: &str, hit: &Hit) -> bool {
        let earlier = self.place.0 == path && self.place.1 < self.skip;
        self.is_full() && hit.kind == HitKind::Match && !earlier
    }

    fn take_line(&mut self, path: &str, hit: Hit) {
        if hit.kind == HitKind::Break {
            return;
        }
        self.come_to(path);
        if hit.kind == HitKind::Match {
            self.place.1 += 1;
            if self.place.1 <= self.skip {
                return;
            }
            self.taken += 1;
        } else if self.place.1 < self.skip {
            return;
        }
        let line = HitLine {
            line: hit.line.unwrap_or(0),
            text: String::from_utf8_lossy(&hit.text).into_owned(),
            context: hit.kind == HitKind::Context,
            cut: hit.cut,
        };
        self.bytes += line.text.len();
        match self.result.files.last_mut().filter(|file| file.path == path) {
            Some(file) => file.lines.push(line),
            None => {
                let path = path.to_owned();
                self.result.files.push(FileHits { path, count: None, lines: vec![line] });
            }
        }
    }
}
