//! The hits of a grep as they are found, for programs that take them one by one.
//!
//! An answer is whole or not there; a program that shows hits as they come, or takes a million,
//! wants neither to wait for the last nor to hold them all. [`HitStream`] reads the same arguments
//! as the tool and gives one hit at a time, in the same order, and what the answer is worth at its
//! end.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use super::{
    Envelope, GrepArgs, HitLine, OutputMode, Reason, Scan, ScanEvent, ScanRequest, SkipReason,
    VirtualSandbox, advice, answer::reached, arguments::Given, least, session::Share,
};
use crate::{
    error::{Error, Kind, Result},
    search::{Hit, HitKind, HitMode, Hits},
};

/// A line is cut to this many bytes, as in the tool's answer.
const MAX_LINE: usize = 2000;

/// One thing that a search found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum HitEvent {
    /// In `content` mode: a line.
    Hit {
        /// Canonical file path.
        path: String,
        /// The line.
        #[serde(flatten)]
        line: HitLine,
    },
    /// In the other modes: a file that matches.
    File {
        /// Canonical file path.
        path: String,
        /// In `count` mode: matching lines.
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    /// A file, or a path that was named, that could not be searched.
    Failed {
        /// Canonical path.
        path: String,
        /// The class of reason.
        reason: SkipReason,
        /// In words.
        message: String,
        /// What to do next: for a path that names nothing, the nearest names.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
}

/// See the module's head. Dropping it stops the search.
pub struct HitStream {
    scan: Scan<Vec<Hit>>,
    mode: OutputMode,
    /// Results that it may give, and how many of them are left.
    limit: Option<u64>,
    left: Option<u64>,
    ready: VecDeque<HitEvent>,
    /// The file of the last match.
    last: String,
    /// Files of which a match was given.
    files: u64,
    over: bool,
    /// What a session is paid by: each event before it is given.
    share: Option<Share>,
}

impl std::fmt::Debug for HitStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HitStream").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl VirtualSandbox {
    /// Starts a grep with the arguments of the tool. `limit` bounds the matches, and there is
    /// none by default; an answer that is not held has no cursor and no offset. Compiles the
    /// patterns at once, in the caller.
    ///
    /// # Errors
    /// As the tool; a path that names nothing is an event.
    pub fn hits(&self, arguments: Value) -> Result<HitStream> {
        let asked = self.asked(arguments)?;
        let patterns = asked.request.pattern.patterns.clone();
        let scan = self.scan(asked.request, asked.hits);
        let scan = scan.map_err(|error| advice::of_search(error, &patterns))?;
        Ok(HitStream::new(scan, asked.mode, asked.left, asked.share))
    }

    /// As [`Self::hits`], but compiles where blocking is allowed: for servers, where other calls
    /// wait for the thread.
    ///
    /// # Errors
    /// As [`Self::hits`].
    pub async fn start_hits(&self, arguments: Value) -> Result<HitStream> {
        let asked = self.asked(arguments)?;
        let patterns = asked.request.pattern.patterns.clone();
        let op = self.op(asked.request.budget);
        let scan = Box::pin(self.scan_apart(op, asked.request, asked.hits)).await;
        let scan = scan.map_err(|error| advice::of_search(error, &patterns))?;
        Ok(HitStream::new(scan, asked.mode, asked.left, asked.share))
    }

    fn asked(&self, arguments: Value) -> Result<Asked> {
        let given = Given::read("grep", arguments)?;
        let args: GrepArgs = given.typed()?;
        if args.cursor.is_some() || args.offset.is_some() || args.dry_run {
            return Err(Error::new(
                Kind::InvalidArgument,
                "cursor, offset and dry_run are for answers that are given whole",
            )
            .hint("leave them out, or do not ask for a stream"));
        }
        let hits = Hits {
            mode: match args.output_mode {
                OutputMode::FilesWithMatches => HitMode::FilesWithMatches,
                OutputMode::Content => HitMode::Content,
                OutputMode::Count => HitMode::Count,
            },
            max_line_bytes: Some(MAX_LINE),
            only_matching: false,
        };
        let (request, left) = (args.request()?, least(args.limit, self.results));
        let share = self.share(0)?;
        Ok(Asked { request, hits, mode: args.output_mode, left, share })
    }
}

/// What the arguments of a stream come to.
struct Asked {
    request: ScanRequest,
    hits: Hits,
    mode: OutputMode,
    left: Option<u64>,
    share: Option<Share>,
}

impl HitStream {
    fn new(
        scan: Scan<Vec<Hit>>,
        mode: OutputMode,
        left: Option<u64>,
        share: Option<Share>,
    ) -> Self {
        let ready = VecDeque::new();
        Self {
            scan,
            mode,
            limit: left,
            left,
            ready,
            last: String::new(),
            files: 0,
            over: false,
            share,
        }
    }

    /// The next event, or `None` at the end, at the limit, or where the session has no room for
    /// it: the envelope tells which.
    pub async fn next(&mut self) -> Option<HitEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                match self.share.as_ref().map_or(Ok(()), |share| event.paid_from(share)) {
                    Ok(()) => {
                        self.count(&event);
                        return Some(event);
                    }
                    Err(error) => {
                        self.ready.clear();
                        self.over = true;
                        self.scan.fail(&error);
                    }
                }
            }
            if self.over {
                // It says why there is no more, so it is given whatever is left.
                if let Some(share) = self.share.take() {
                    share.pay(0, length(&self.envelope()));
                }
                return None;
            }
            match self.scan.next().await {
                None => self.over = true,
                Some(ScanEvent::Chunk { path, chunk }) => {
                    chunk.into_iter().for_each(|hit| self.take(&path, hit));
                }
                Some(ScanEvent::End { path, found }) => {
                    if self.mode != OutputMode::Content && found.matched && self.spend() {
                        let count = (self.mode == OutputMode::Count).then_some(found.lines);
                        self.ready.push_back(HitEvent::File { path: path.to_string(), count });
                    }
                }
                Some(ScanEvent::Failed { path, reason, error }) => {
                    self.ready.push_back(HitEvent::Failed {
                        path: path.to_string(),
                        reason,
                        message: error.message().to_owned(),
                        hint: error.advice().map(str::to_owned),
                    });
                }
            }
        }
    }

    /// Counts the files that something is given of.
    fn count(&mut self, event: &HitEvent) {
        match event {
            HitEvent::Hit { path, line } if !line.context && *path != self.last => {
                self.last.clone_from(path);
                self.files += 1;
            }
            HitEvent::File { .. } => self.files += 1,
            HitEvent::Hit { .. } | HitEvent::Failed { .. } => {}
        }
    }

    fn take(&mut self, path: &str, hit: Hit) {
        if self.over || hit.kind == HitKind::Break || (hit.kind == HitKind::Match && !self.spend())
        {
            return;
        }
        let line = HitLine {
            line: hit.line.unwrap_or(0),
            text: String::from_utf8_lossy(&hit.text).into_owned(),
            context: hit.kind == HitKind::Context,
            cut: hit.cut,
        };
        self.ready.push_back(HitEvent::Hit { path: path.to_owned(), line });
    }

    /// Takes one more match if the limit allows it, and ends the search if not.
    fn spend(&mut self) -> bool {
        match &mut self.left {
            None => true,
            Some(0) => {
                self.over = true;
                let (one, many) = match self.mode {
                    OutputMode::Content => ("line", "lines"),
                    _ => ("file", "files"),
                };
                self.scan.reach_limit(reached(self.limit.unwrap_or_default(), one, many));
                false
            }
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    /// What the events so far are worth.
    pub fn envelope(&self) -> Envelope {
        let mut envelope = self.scan.envelope();
        // The scan counts what it has searched, also ahead of what was given.
        envelope.matched = self.files;
        if !self.over {
            envelope.lacks(Reason::Cancelled, "the stream was left before its end");
            envelope.settle();
        }
        envelope
    }
}

impl HitEvent {
    fn paid_from(&self, share: &Share) -> Result<()> {
        let is_result = match self {
            Self::Hit { line, .. } => !line.context,
            Self::File { .. } => true,
            Self::Failed { .. } => false,
        };
        share.take(u64::from(is_result), length(self))
    }
}

/// Characters of `value` as a line of JSON.
fn length(value: &impl Serialize) -> u64 {
    // What cannot be written is not sent either.
    let line = serde_json::to_string(value).unwrap_or_default();
    line.chars().count() as u64 + 1
}
