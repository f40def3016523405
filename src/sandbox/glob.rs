//! `glob`: the files whose path matches.

use std::{borrow::Cow, collections::VecDeque};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{
    Answer, Envelope, Reason, VirtualSandbox,
    answer::reached,
    close,
    cursor::Cursor,
    room::{MAX_TEXT, Room},
    text,
};
use crate::{
    error::{Error, Kind, Result},
    search::{GlobOptions, Globs},
    vfs::{Budget, Entry, Op, Vfs, Walk},
};

/// Paths of an answer unless the caller asks for another number.
const DEFAULT_LIMIT: u64 = 1000;

/// The most paths one answer may hold.
const MAX_LIMIT: u64 = 100_000;

/// Arguments of `glob`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GlobArgs {
    /// Glob over the whole path below `path`: `**`, braces and classes; `!GLOB` excludes.
    pub pattern: OneOrMany,
    /// Directory that the pattern is relative to (default /).
    pub path: Option<String>,
    /// Ignore case.
    #[schemars(extend("x-hidden" = true))]
    pub case_insensitive: bool,
    /// At most this many paths (default 1000).
    #[serde(skip_serializing)]
    #[schemars(range(min = 1, max = 100_000))]
    pub limit: Option<u64>,
    /// From the last line of an earlier answer: goes on there, with the same arguments.
    #[serde(skip_serializing)]
    pub cursor: Option<String>,
}

/// A string, or a list of strings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl JsonSchema for OneOrMany {
    fn schema_name() -> Cow<'static, str> {
        "OneOrMany".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        })
    }
}

impl OneOrMany {
    /// The strings.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// Answer of `glob`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GlobResult {
    /// Canonical file paths in raw key order.
    pub paths: Vec<String>,
}

/// A glob under way: files as they come.
#[derive(Debug)]
pub struct Paths {
    vfs: Vfs,
    op: Op,
    globs: Globs,
    walk: Walk,
    ready: VecDeque<Entry>,
    envelope: Envelope,
    over: bool,
}

impl VirtualSandbox {
    /// The files that match, as they come. Lists only what the literal heads of the patterns
    /// leave open.
    ///
    /// # Errors
    /// [`Kind::InvalidPattern`] with the column, and [`Kind::NotFound`] or [`Kind::WrongType`]
    /// for a `path` that is no directory.
    pub async fn paths(&self, args: &GlobArgs) -> Result<Paths> {
        self.paths_from(args, None, self.op(Budget::default())).await
    }

    async fn paths_from(&self, args: &GlobArgs, start: Option<&str>, op: Op) -> Result<Paths> {
        let patterns = args.pattern.clone().into_vec();
        if patterns.is_empty() {
            return Err(Error::new(Kind::InvalidArgument, "there is no glob pattern")
                .hint("give one such as **/*.md"));
        }
        let base = match args.path.as_deref().filter(|path| !path.is_empty()) {
            Some(path) => Some(self.vfs.directory(&op, path).await?),
            None => None,
        };
        let options = GlobOptions { patterns, case_insensitive: args.case_insensitive, base };
        let globs = self.apart(move || options.build()).await?;
        let heads = globs.heads();
        let scopes = heads.iter().flat_map(|head| self.vfs.scopes_of_head(head));
        let scopes = scopes.filter_map(|scope| match start {
            Some(start) => self.vfs.scope_from(scope, start),
            None => Some(scope),
        });
        let walk = self.vfs.walk(&op, scopes.collect());
        Ok(Paths {
            vfs: self.vfs.clone(),
            op,
            globs,
            walk,
            ready: VecDeque::new(),
            envelope: Envelope::default(),
            over: false,
        })
    }

    /// The files that match. What fails when something was found is told in the envelope.
    ///
    /// # Errors
    /// [`Kind::InvalidPattern`] with the column, and what listing fails with where nothing could
    /// be listed.
    pub async fn glob(&self, args: GlobArgs) -> Result<Answer<GlobResult>> {
        let limit = self.limit(args.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let page = self.page("glob", &args, args.cursor.as_deref())?;
        let mut room = self.room;
        let after_path = page.from.as_ref().map(|after| after.path.as_str());
        let op = self.op_of(&page, Budget::default(), true);
        let mut paths = self.paths_from(&args, after_path, op).await?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        let mut more = None;
        let mut failed = None;
        while let Some(entry) = paths.next().await {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            if after_path == Some(&entry.path) {
                continue;
            }
            if found.len() as u64 == limit {
                more = Some(reached(limit, "path", "paths"));
                break;
            }
            if bytes >= MAX_TEXT {
                more = Some(Room::text_words());
                break;
            }
            if let Some(room) = &mut room {
                let chars =
                    room.measure(&entry.path, || text::name(&entry.path).chars().count() + 1);
                if !room.fits(chars) {
                    more = Some(room.words());
                    break;
                }
                room.take(chars);
            }
            bytes += entry.path.len();
            found.push(entry.path);
        }
        paths.walk.park();
        let mut envelope = paths.envelope();
        if let Some(error) = failed
            && found.is_empty()
            && !paths.walk.any_ended()
            && !envelope.was_stopped()
        {
            return Err(error);
        }
        envelope.matched = found.len() as u64;
        let goes_on = more.is_some() || envelope.was_stopped();
        if let Some(why) = more {
            envelope.lacks(Reason::Limit, why);
        }
        let place = goes_on.then(|| match found.last() {
            Some(last) => Some(Cursor::at(last, 0)),
            None => page.from.clone(),
        });
        page.tell(self, &mut envelope, place.flatten(), &paths.op);
        Ok(Answer { result: GlobResult { paths: found }, envelope })
    }
}

impl Paths {
    /// The next file, or `None` at the end. After an error there may be more: a mount that fails
    /// does not hide the others. To be awaited to its end, like [`Walk::next`].
    pub async fn next(&mut self) -> Option<Result<Entry>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                self.envelope.matched += 1;
                return Some(Ok(entry));
            }
            if self.over {
                return None;
            }
            match self.walk.next().await {
                Ok(Some(batch)) => {
                    let globs = &self.globs;
                    let matching = batch
                        .into_iter()
                        .filter(|e| !e.object.is_marker() && globs.matches(&e.path));
                    self.ready.extend(matching);
                }
                Ok(None) => {
                    self.over = true;
                    let notes = self.walk.take_notes();
                    self.envelope.notes.extend(notes);
                }
                Err(error) => {
                    let error = error.at(self.walk.place());
                    self.over = matches!(error.kind(), Kind::Deadline | Kind::Budget);
                    self.envelope.failed(&error);
                    return Some(Err(error));
                }
            }
        }
    }

    /// What was listed so far and what it cost.
    pub fn envelope(&self) -> Envelope {
        let mut envelope = self.envelope.clone();
        envelope.listed = self.walk.listed();
        close(&mut envelope, &self.vfs, &self.op);
        envelope
    }
}
