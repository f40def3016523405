//! `list`: the entries of a directory, or all below it.

use std::collections::VecDeque;

use schemars::JsonSchema;
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
    vfs::{Budget, Entry, ListedEntry, Op, Target, Vfs, Walk},
};

/// Entries of an answer unless the caller asks for another number.
const DEFAULT_LIMIT: u64 = 1000;

/// The most entries one answer may hold.
const MAX_LIMIT: u64 = 100_000;

/// Entries that are not worth a listing in ranges: their keys are on the first pages.
const FEW: u64 = 4000;

/// Arguments of `list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListArgs {
    /// Directory to list (default /).
    pub path: String,
    /// Everything below, depth first, instead of one level.
    pub recursive: bool,
    /// With `recursive`: only so many levels.
    #[schemars(extend("x-hidden" = true))]
    pub depth: Option<u64>,
    /// At most this many entries (default 1000).
    #[serde(skip_serializing)]
    #[schemars(range(min = 1, max = 100_000))]
    pub limit: Option<u64>,
    /// From the last line of an earlier answer: goes on there, with the same arguments.
    #[serde(skip_serializing)]
    pub cursor: Option<String>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListEntry {
    /// Canonical path; a directory's ends in `/`.
    pub path: String,
    /// Bytes as stored; files only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Milliseconds since the Unix epoch; files only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
}

/// Answer of `list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListResult {
    /// In raw key order.
    pub entries: Vec<ListEntry>,
}

impl From<ListedEntry> for ListEntry {
    fn from(entry: ListedEntry) -> Self {
        match entry {
            ListedEntry::File(Entry { path, object, .. }) => {
                Self { path, size: Some(object.size), modified: object.modified }
            }
            ListedEntry::Dir(path) => Self { path, size: None, modified: None },
        }
    }
}

/// A listing under way: entries as they come.
#[derive(Debug)]
pub struct Entries {
    vfs: Vfs,
    op: Op,
    path: String,
    depth: u64,
    state: State,
    envelope: Envelope,
    /// Something was listed to its end.
    ended: bool,
    /// The caller takes the first few.
    few: bool,
    /// The last entry of the page before.
    after: Option<String>,
}

#[derive(Debug)]
enum State {
    Unresolved { recursive: bool },
    Ready { ready: VecDeque<ListedEntry>, failed: Option<Error> },
    Walking { walk: Box<Walk>, ready: VecDeque<ListedEntry>, dirs: DirTrail, known: bool },
    Over,
}

impl VirtualSandbox {
    /// The entries of a directory as they come; the cursor and the limit are the caller's.
    pub fn entries(&self, args: &ListArgs) -> Entries {
        self.entries_of(args, self.op(Budget::default()), false, None)
    }

    fn entries_of(&self, args: &ListArgs, op: Op, few: bool, after: Option<String>) -> Entries {
        Entries {
            vfs: self.vfs.clone(),
            op,
            path: if args.path.is_empty() { "/".to_owned() } else { args.path.clone() },
            depth: args.depth.unwrap_or(u64::MAX),
            state: State::Unresolved { recursive: args.recursive },
            envelope: Envelope::default(),
            ended: false,
            few,
            after,
        }
    }

    /// The entries of a directory. What fails when something was found is told in the envelope.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::WrongType`] for a file, and what listing fails with where
    /// nothing could be listed.
    pub async fn list(&self, args: ListArgs) -> Result<Answer<ListResult>> {
        let limit = self.limit(args.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let page = self.page("list", &args, args.cursor.as_deref())?;
        let after = &page.from;
        let mut room = self.room;
        let op = self.op_of(&page, Budget::default(), true);
        let start = after.as_ref().map(|after| after.path.clone());
        let mut entries = self.entries_of(&args, op, after.is_none() && limit <= FEW, start);
        let (mut result, mut bytes) = (Vec::new(), 0);
        let mut more = None;
        let mut passed = after.is_none();
        let mut failed = None;
        while let Some(entry) = entries.next().await {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            if !passed {
                // Everything up to the last path given out was seen before. Files and the
                // directories between them have no order that one comparison of paths decides,
                // so a path that was deleted since is an error.
                passed = after.as_ref().is_none_or(|after| entry.path == after.path);
                continue;
            }
            if result.len() as u64 == limit {
                more = Some(reached(limit, "entry", "entries"));
                break;
            }
            if bytes >= MAX_TEXT {
                more = Some(Room::text_words());
                break;
            }
            if let Some(room) = &mut room {
                let chars = room.measure(&entry, || text::list::entry(&entry).chars().count() + 1);
                if !room.fits(chars) {
                    more = Some(room.words());
                    break;
                }
                room.take(chars);
            }
            bytes += entry.path.len();
            result.push(entry);
        }
        entries.park();
        let mut envelope = entries.envelope();
        if let Some(error) = &failed
            && result.is_empty()
            && !entries.ended
            && !envelope.was_stopped()
        {
            return Err(error.clone());
        }
        if let (false, None, Some(after)) = (passed, &failed, after) {
            return Err(Error::new(
                Kind::InvalidArgument,
                "the cursor's place is gone: it was deleted",
            )
            .at(after.path.as_str())
            .hint("leave the cursor out to start again"));
        }
        envelope.matched = result.len() as u64;
        let goes_on = more.is_some() || envelope.was_stopped();
        if let Some(why) = more {
            envelope.lacks(Reason::Limit, why);
        }
        let place = goes_on.then(|| match result.last() {
            Some(ListEntry { path, .. }) => Some(Cursor::at(path, 0)),
            None => after.clone(),
        });
        page.tell(self, &mut envelope, place.flatten(), &entries.op);
        Ok(Answer { result: ListResult { entries: result }, envelope })
    }
}

impl Entries {
    /// The next entry, or `None` at the end. After an error there may be more: a mount that
    /// fails does not hide the others. To be awaited to its end: dropped half way it is over.
    pub async fn next(&mut self) -> Option<Result<ListEntry>> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return None,
                State::Unresolved { recursive } => match self.resolve(recursive).await {
                    Ok(state) => self.state = state,
                    Err(error) => return Some(Err(self.failed(error))),
                },
                State::Ready { mut ready, failed } => {
                    let Some(entry) = ready.pop_front() else {
                        return failed.map(|error| Err(self.failed(error)));
                    };
                    self.state = State::Ready { ready, failed };
                    self.envelope.matched += 1;
                    return Some(Ok(entry.into()));
                }
                State::Walking { mut walk, mut ready, mut dirs, known } => {
                    if let Some(entry) = ready.pop_front() {
                        self.state = State::Walking { walk, ready, dirs, known };
                        self.envelope.matched += 1;
                        return Some(Ok(entry.into()));
                    }
                    match walk.next().await {
                        Ok(Some(batch)) => {
                            batch.into_iter().for_each(|e| dirs.push(e, self.depth, &mut ready));
                            self.state = State::Walking { walk, ready, dirs, known: true };
                        }
                        Ok(None) => {
                            self.note(&mut walk);
                            if !known {
                                self.ended = false;
                                let error = self.vfs.missing_dir(&self.op, &self.path).await;
                                return Some(Err(self.failed(error)));
                            }
                        }
                        Err(error) => {
                            let error = error.at(walk.place());
                            let over = matches!(error.kind(), Kind::Deadline | Kind::Budget);
                            self.note(&mut walk);
                            if !over {
                                self.state = State::Walking { walk, ready, dirs, known: true };
                            }
                            return Some(Err(self.failed(error)));
                        }
                    }
                }
            }
        }
    }

    async fn resolve(&mut self, recursive: bool) -> Result<State> {
        if !recursive {
            let level = self.vfs.list_dir(&self.op, &self.path).await?;
            self.envelope.listed = level.entries.len() as u64;
            self.envelope.notes = level.notes;
            self.ended = true;
            return Ok(State::Ready { ready: level.entries.into(), failed: level.failed });
        }
        let (scopes, base, known) = match self.vfs.resolve(&self.op, &self.path).await? {
            Target::Above(dir) => (self.vfs.mounts_below(&dir), dir, true),
            Target::Dir { mount, prefix, known } => {
                let base = self.vfs.dir_path(mount, &prefix);
                let known = known || prefix.is_empty();
                (vec![crate::vfs::Scope::new(mount, prefix)], base, known)
            }
            Target::File { .. } => {
                return Err(Error::new(Kind::WrongType, "this is a file, not a directory")
                    .at(self.path.as_str())
                    .hint("read it instead"));
            }
        };
        let scopes = scopes.into_iter().filter_map(|scope| match &self.after {
            Some(after) => self.vfs.scope_from(scope, after),
            None => Some(scope),
        });
        // An earlier page has found something in it.
        let known = known || self.after.is_some();
        let walk = self.vfs.walk(&self.op, scopes.collect());
        let walk = Box::new(if self.few { walk.in_a_row() } else { walk });
        let dirs = DirTrail::new(&base, self.after.as_deref());
        Ok(State::Walking { walk, ready: VecDeque::new(), dirs, known })
    }

    /// Leaves what is under way to the next page.
    fn park(&mut self) {
        if let State::Walking { walk, .. } = &mut self.state {
            walk.park();
        }
    }

    fn note(&mut self, walk: &mut Walk) {
        self.ended = walk.any_ended();
        self.envelope.listed = walk.listed();
        let notes = walk.take_notes();
        self.envelope.notes.extend(notes);
    }

    fn failed(&mut self, error: Error) -> Error {
        self.envelope.failed(&error);
        error
    }

    /// What was listed so far and what it cost.
    pub fn envelope(&self) -> Envelope {
        let mut envelope = self.envelope.clone();
        if let State::Walking { walk, .. } = &self.state {
            envelope.listed = walk.listed();
        }
        close(&mut envelope, &self.vfs, &self.op);
        envelope
    }
}

/// Turns files in key order into files and the directories they begin.
#[derive(Debug)]
struct DirTrail {
    base: usize,
    /// The directory of the last file.
    last: String,
}

impl DirTrail {
    /// Below `base`, from the entry `start` on.
    fn new(base: &str, start: Option<&str>) -> Self {
        let top = if base.ends_with('/') { base.to_owned() } else { format!("{base}/") };
        // Its directory has been told of, unless it is that itself.
        let parent = start.and_then(|start| {
            let name = start.trim_end_matches('/');
            name.rfind('/').map(|slash| &name[..=slash])
        });
        let last = parent.filter(|parent| parent.starts_with(&top)).unwrap_or(&top).to_owned();
        Self { base: top.len(), last }
    }

    fn push(&mut self, entry: Entry, depth: u64, out: &mut VecDeque<ListedEntry>) {
        let dir_end = entry.path.rfind('/').map_or(0, |slash| slash + 1);
        let dir = &entry.path[..dir_end];
        // The longest directory shared with the last file's is known already.
        let shared = common_dir(&self.last, dir).max(self.base);
        let mut level = entry.path[self.base..shared].matches('/').count() as u64;
        for (at, _) in dir[shared..].match_indices('/') {
            level += 1;
            if level <= depth {
                out.push_back(ListedEntry::Dir(dir[..=shared + at].to_owned()));
            }
        }
        if self.last != dir {
            self.last = dir.to_owned();
        }
        // A zero-byte marker makes its directory exist and is not listed itself.
        if level < depth && !entry.object.is_marker() {
            out.push_back(ListedEntry::File(entry));
        }
    }
}

/// Length of the longest directory path, ending in `/`, that both start with.
fn common_dir(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    a.as_bytes()[..same].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1)
}

/// A limit within its bounds.
pub(super) fn limit(asked: Option<u64>, default: u64, most: u64) -> Result<u64> {
    match asked {
        None => Ok(default),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(limit) => {
            Err(Error::new(Kind::InvalidArgument, format!("the limit {limit} is out of bounds"))
                .hint(format!("give a number from 1 to {most}")))
        }
    }
}
