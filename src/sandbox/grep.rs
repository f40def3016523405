//! `grep`: the lines that match, over all files or some.

use std::{borrow::Cow, collections::HashSet};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{
    Answer, Estimate, Scan, ScanEvent, ScanRequest, VirtualSandbox, advice,
    answer::reached,
    cursor::Cursor,
    glob::OneOrMany,
    room::{self, MAX_TEXT, Room},
    text,
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

/// Characters of a file's JSON beside its path and lines.
const FILE: usize = 24;

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

impl JsonSchema for OutputMode {
    fn schema_name() -> Cow<'static, str> {
        "OutputMode".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ["files_with_matches", "content", "count"] })
    }
}

/// Arguments of `grep`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrepArgs {
    /// Regex, or several of which any may match.
    pub pattern: OneOrMany,
    /// File or directory to search, or several (default /).
    pub path: OneOrMany,
    /// Only files that match, as in `*.md` or `docs/**`; `!GLOB` excludes.
    #[serde(alias = "include")]
    pub glob: OneOrMany,
    /// Only files of this type, as in `md`, `json`, `py`.
    pub r#type: OneOrMany,
    /// Paths of the files that match (default), their matching lines, or how many lines match.
    pub output_mode: OutputMode,
    /// With content: lines before and after each match.
    #[serde(alias = "-C")]
    #[schemars(range(max = 1000))]
    pub context: Option<u64>,
    /// With content: lines before each match.
    #[serde(alias = "-B")]
    #[schemars(range(max = 1000))]
    pub before: Option<u64>,
    /// With content: lines after each match.
    #[serde(alias = "-A")]
    #[schemars(range(max = 1000))]
    pub after: Option<u64>,
    /// Ignore case.
    #[serde(alias = "-i")]
    pub case_insensitive: bool,
    /// The pattern is no regex but the text itself.
    pub literal: bool,
    /// Only whole words.
    pub word: bool,
    /// Lines that do not match.
    #[schemars(extend("x-hidden" = true))]
    pub invert: bool,
    /// The pattern may span lines.
    pub multiline: bool,
    /// With `multiline`: `.` matches line feeds too.
    #[schemars(extend("x-hidden" = true))]
    pub dotall: bool,
    /// Search inside `.gz` and `.zst` files too.
    pub search_zip: bool,
    /// At most this many lines, or files in the other modes (default 250).
    #[serde(alias = "head_limit", skip_serializing)]
    #[schemars(range(min = 1, max = 100_000))]
    pub limit: Option<u64>,
    /// Leaves out so many results; `cursor` is cheaper.
    #[serde(skip_serializing)]
    pub offset: Option<u64>,
    /// From the last line of an earlier answer: goes on there, with the same arguments.
    #[serde(skip_serializing)]
    pub cursor: Option<String>,
    /// Only say what the search would cost; no file is read.
    #[serde(skip_serializing)]
    pub dry_run: bool,
    /// Stop after this many milliseconds.
    #[serde(skip_serializing)]
    #[schemars(extend("x-hidden" = true))]
    pub timeout_ms: Option<u64>,
    /// Stop before more requests than this.
    #[serde(skip_serializing)]
    #[schemars(extend("x-hidden" = true))]
    pub max_requests: Option<u64>,
    /// Stop before more fetched bytes than this.
    #[serde(skip_serializing)]
    #[schemars(extend("x-hidden" = true))]
    pub max_bytes: Option<u64>,
}

/// The results of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrepResult {
    /// In path order.
    pub files: Vec<FileHits>,
    /// Of a dry run: what the search would cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
}

impl GrepResult {
    /// How many results it holds: matches in `content` mode, files in the others.
    pub(super) fn len(&self) -> usize {
        let matches = |file: &FileHits| file.lines.iter().filter(|line| !line.context).count();
        self.files.iter().map(|file| matches(file).max(1)).sum()
    }
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
    /// Results to leave out before the first that is taken.
    left_out: u64,
    /// Where the answer must fit a context.
    room: Option<Room>,
    /// Lines of context did not fit.
    cramped: bool,
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
        let limit = self.limit(args.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let page = self.page("grep", &args, args.cursor.as_deref())?;
        let offset = args.offset.unwrap_or(0);
        if offset > 0 && page.from.is_some() {
            return Err(Error::new(Kind::InvalidArgument, "offset and cursor exclude each other")
                .hint("leave offset out: the cursor knows its place"));
        }
        let mode = args.output_mode;
        let hits = Hits {
            mode: match mode {
                OutputMode::FilesWithMatches => HitMode::FilesWithMatches,
                OutputMode::Content => HitMode::Content,
                OutputMode::Count => HitMode::Count,
            },
            max_line_bytes: Some(self.room.map_or(MAX_LINE, |_| room::LINE)),
            only_matching: false,
        };
        let mut request = args.request()?;
        if self.room.is_some() {
            request.search.before = request.search.before.min(room::CONTEXT);
            request.search.after = request.search.after.min(room::CONTEXT);
        }
        let paths: HashSet<String> = request.paths.iter().cloned().collect();
        let patterns = request.pattern.patterns.clone();
        request.start = page.from.as_ref().map(|from| from.path.clone());
        let op = self.op_of(&page, request.budget, request.paths.len() < 2);
        let scan = Box::pin(self.scan_apart(op, request, hits)).await;
        let mut scan = scan.map_err(|error| advice::of_search(error, &patterns))?;
        let mut collector = Collector {
            mode,
            limit,
            taken: 0,
            bytes: 0,
            result: GrepResult::default(),
            skip: page.from.as_ref().map_or(0, |from| from.skip),
            place: page.from.as_ref().map_or_else(Default::default, |f| (f.path.clone(), 0)),
            left_out: offset,
            room: self.room,
            cramped: false,
            lost: (HashSet::new(), None),
        };
        let more = collector.collect(&mut scan, &paths).await;
        // The listing is handed back when the work has stopped.
        scan.settle().await;
        let mut envelope = scan.envelope();
        if envelope.searched == 0
            && !collector.lost.0.is_empty()
            && collector.lost.0.len() == paths.len()
            && let Some(error) = collector.lost.1
        {
            return Err(error);
        }
        if args.dry_run {
            let estimate = scan.estimate();
            let list_requests = envelope.cost.list_requests;
            collector.result.estimate = Some(Estimate { list_requests, ..estimate });
            return Ok(Answer { result: collector.result, envelope });
        }
        // A page may begin with the context of a match on the page before, and end with that of one
        // on the next: they have it too.
        if mode == OutputMode::Content {
            let has_match = |file: &FileHits| file.lines.iter().any(|line| !line.context);
            collector.result.files.retain(has_match);
        }
        // The scan counts all that it has searched, also before and behind the page.
        envelope.matched = collector.result.files.len() as u64;
        if collector.cramped {
            envelope.notes.push("lines of context were left out for want of room".to_owned());
        }
        if collector.left_out > 0 && !more && !envelope.was_stopped() {
            let all = offset - collector.left_out;
            envelope.notes.push(format!("the offset {offset} is past the end: {all} results"));
        }
        let (path, given) = collector.place;
        // A file that was stopped in before it came to what is new keeps its place.
        let skip = given.max(collector.skip);
        let goes_on = (more || envelope.was_stopped()) && !path.is_empty();
        let place = goes_on.then(|| Cursor::at(path, skip));
        page.tell(self, &mut envelope, place, scan.op());
        Ok(Answer { result: collector.result, envelope })
    }
}

impl GrepArgs {
    pub(super) fn request(&self) -> Result<ScanRequest> {
        let patterns = self.pattern.clone().into_vec();
        if patterns.is_empty() {
            return Err(Error::new(Kind::InvalidArgument, "there is no pattern")
                .hint("give a regex, or with `literal` a text, that the lines hold"));
        }
        // What is out of bounds is wrong also where it would not count.
        let context = |one: Option<u64>| match one.unwrap_or(0) {
            lines if lines <= MAX_CONTEXT => Ok(usize::try_from(lines).unwrap_or(usize::MAX)),
            lines => Err(Error::new(
                Kind::InvalidArgument,
                format!("{lines} lines of context are out of bounds"),
            )
            .hint(format!("give at most {MAX_CONTEXT}, and read the file for more"))),
        };
        let either = context(self.context)?;
        let (before, after) = (context(self.before)?, context(self.after)?);
        let (before, after) = match self.output_mode {
            OutputMode::Content => {
                (self.before.map_or(either, |_| before), self.after.map_or(either, |_| after))
            }
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
            dry_run: self.dry_run,
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
                            scan.reach_limit(self.limit_words("line", "lines"));
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
                    if self.left_out > 0 {
                        self.left_out -= 1;
                        self.place.1 = 1;
                        continue;
                    }
                    let count = (self.mode == OutputMode::Count).then_some(found.lines);
                    let path = path.to_string();
                    let file = FileHits { path, count, lines: Vec::new() };
                    let chars = self.room.map_or(0, |room| {
                        room.measure(&file, || text::grep::file(&file).chars().count() + 1)
                    });
                    if self.is_full(chars) {
                        scan.reach_limit(self.limit_words("file", "files"));
                        return true;
                    }
                    self.taken += 1;
                    self.bytes += file.path.len();
                    self.place.1 = 1;
                    self.take_room(chars);
                    self.result.files.push(file);
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

    /// Whether a result of `chars` characters is too much.
    fn is_full(&self, chars: usize) -> bool {
        let fits = self.room.is_none_or(|room| room.fits(chars) || self.taken == 0);
        self.taken >= self.limit || self.bytes >= MAX_TEXT || !fits
    }

    fn take_room(&mut self, chars: usize) {
        if let Some(room) = &mut self.room {
            room.take(chars);
        }
    }

    fn limit_words(&self, one: &str, many: &str) -> String {
        match (self.taken >= self.limit, self.room) {
            (true, _) => reached(self.limit, one, many),
            (false, Some(room)) if self.bytes < MAX_TEXT => room.words(),
            _ => Room::text_words(),
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
        if hit.kind != HitKind::Match || earlier || self.left_out > 0 {
            return false;
        }
        let chars = self.room.map_or(0, |room| self.measure(room, path, &line_of(hit)));
        self.is_full(chars)
    }

    fn measure(&self, room: Room, path: &str, line: &HitLine) -> usize {
        let is_new = self.result.files.last().is_none_or(|file| file.path != path);
        let head = match room.format {
            super::Format::Structured if is_new => path.chars().count() + FILE,
            _ => 0,
        };
        head + room.measure(line, || text::grep::line(path, line).chars().count() + 1)
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
            if self.left_out > 0 {
                self.left_out -= 1;
                return;
            }
            self.taken += 1;
        } else if self.place.1 < self.skip || self.left_out > 0 {
            return;
        }
        let line = line_of(&hit);
        if let Some(room) = self.room {
            let chars = self.measure(room, path, &line);
            // Room for a match is kept: a page without one would not get on.
            if line.context && !room.fits(chars + path.len() + 2 * room::LINE) {
                self.cramped = true;
                return;
            }
            self.take_room(chars);
        }
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

fn line_of(hit: &Hit) -> HitLine {
    HitLine {
        line: hit.line.unwrap_or(0),
        text: String::from_utf8_lossy(&hit.text).into_owned(),
        context: hit.kind == HitKind::Context,
        cut: hit.cut,
    }
}
