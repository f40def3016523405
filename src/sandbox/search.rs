//! `search`: the articles that answer a question, best first.
//!
//! A ranked list from an index says nothing about what the bucket holds by now. [`Ranking`] walks
//! the live listing first and lets only those documents compete that are listed in the version
//! that the index holds; what is new or changed since is counted, and told.

use std::collections::HashSet;

use r2vfs_index::{
    docs::{Doc, State, oid},
    index::DocRef,
    rank::{self, Question},
};

use super::{
    Answer, Envelope, IndexUse, Reason, SearchArgs, SearchHit, SearchResult, VirtualSandbox,
    answer::{counted, reached},
    close,
    ranked::{DEFAULT_LIMIT, MAX_LIMIT},
    room::Room,
    text,
};
use crate::{
    bucket::{ETag, Object},
    cache::Use,
    error::{Error, Kind, Result},
    search::SelectionOptions,
    vfs::{Budget, Entry, IndexView, Op, Scope, Target, Vfs, WindowRequest, ends_the_operation},
};

/// Characters of a snippet.
const SNIPPET: usize = 300;

/// Sections of one article among the hits that a person reads.
const PER_ARTICLE: usize = 2;

/// Reads of the pack for all snippets: with those before them a search stays at eight (issue 3).
const READS: usize = 2;

/// Bytes of one section that a snippet is looked for in.
const SECTION: u64 = 256 << 10;

/// The documents that may be ranked, ready for any number of questions.
#[derive(Debug)]
pub struct Ranking {
    vfs: Vfs,
    op: Op,
    mounts: Vec<Ranked>,
    envelope: Envelope,
    used: IndexUse,
}

/// Those of one mount.
#[derive(Debug)]
struct Ranked {
    mount: usize,
    view: IndexView,
    admitted: HashSet<u64>,
}

/// A hit without its text.
#[derive(Clone, Debug)]
pub struct RankedHit {
    /// The object, in the version that was ranked.
    pub entry: Entry,
    /// What the index says of the section.
    pub section: rank::Hit,
    at: DocRef,
    doc: Doc,
    ranked: usize,
}

impl VirtualSandbox {
    /// The sections that answer a question, best first.
    ///
    /// # Errors
    /// [`Kind::NoIndex`] where a mount has no index, or one that is damaged, and what its bucket
    /// fails with; [`Kind::NotFound`] for a path that names
    /// nothing; [`Kind::InvalidArgument`], and [`Kind::InvalidPattern`] for a glob.
    pub async fn search(&self, args: SearchArgs) -> Result<Answer<SearchResult>> {
        let limit = self.limit(args.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        if args.query.trim().is_empty() {
            return Err(Error::new(Kind::InvalidArgument, "there is no question")
                .hint("ask with the words that an article about it would hold"));
        }
        let paths: Vec<String> = args.path.into_vec();
        let mut ranking = self.ranking(&paths, args.glob.into_vec()).await?;
        let question = Question::parse(&args.query);
        let most = usize::try_from(limit).unwrap_or(0);
        // One more than is given tells whether there is more.
        let mut found = ranking.ask(&question, most + 1, true).await?;
        let mut more = (found.len() > most).then(|| reached(limit, "hit", "hits"));
        found.truncate(most);
        let mut hits = ranking.with_snippets(&question, found).await?;
        if let Some(room) = self.room
            && fit(&mut hits, room)
        {
            more = Some(room.words());
        }
        let mut envelope = ranking.envelope();
        if let Some(why) = more {
            envelope.lacks(Reason::Limit, why);
        }
        envelope.matched = hits.len() as u64;
        envelope.settle();
        Ok(Answer { result: SearchResult { hits }, envelope })
    }

    /// Prepares ranked search below `paths` (everything if empty), over files that `globs` select.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub async fn ranking(&self, paths: &[String], globs: Vec<String>) -> Result<Ranking> {
        let selection = SelectionOptions { globs, ..SelectionOptions::default() };
        let selection = self.apart(move || selection.build()).await?;
        let op = self.op(Budget::default());
        let mut ranking = Ranking {
            vfs: self.vfs.clone(),
            op,
            mounts: Vec::new(),
            envelope: Envelope::default(),
            used: IndexUse::default(),
        };
        let roots = ranking.roots(paths).await?;
        let mut mounts: Vec<usize> = roots.iter().map(|(scope, _)| scope.mount).collect();
        mounts.dedup();
        for mount in mounts {
            let (view, failure) = ranking.vfs.index_or_failure(&ranking.op, mount).await;
            let Some(view) = view else {
                let error = failure.unwrap_or_else(|| {
                    let next = match ranking.vfs.may_have_index(mount) {
                        true => "make one with `r2vfs index build`, or use grep",
                        false => "leave `--index off` out, or use grep",
                    };
                    Error::new(Kind::NoIndex, "there is no index to search").hint(next)
                });
                return Err(error.at(ranking.vfs.dir_path(mount, "")));
            };
            ranking.used.asked(view.manifest().listed_at, true);
            ranking.mounts.push(Ranked { mount, view, admitted: HashSet::new() });
        }
        ranking.admit(roots, &selection).await?;
        Ok(ranking)
    }
}

impl Ranking {
    /// The scopes that `paths` mean, each with the directory that globs do not apply to.
    async fn roots(&self, paths: &[String]) -> Result<Vec<(Scope, String)>> {
        let everything = ["/".to_owned()];
        let paths = if paths.is_empty() { &everything } else { paths };
        let mut roots = Vec::new();
        for path in paths {
            match self.vfs.resolve(&self.op, path).await? {
                Target::Above(dir) => {
                    let scopes = self.vfs.mounts_below(&dir);
                    roots.extend(scopes.into_iter().map(|scope| (scope, dir.clone())));
                }
                Target::Dir { mount, prefix, known } => {
                    let dir = self.vfs.dir_path(mount, &prefix);
                    if !known && !prefix.is_empty() {
                        self.vfs.stat(&self.op, &dir).await?;
                    }
                    roots.push((Scope::new(mount, prefix), dir));
                }
                Target::File { entry, .. } => {
                    let dir = entry.path.rfind('/').map_or(0, |slash| slash + 1);
                    let scope = Scope::new(entry.mount, entry.object.key);
                    roots.push((scope, entry.path[..dir].to_owned()));
                }
            }
        }
        roots.sort_by(|(a, _), (b, _)| (a.mount, &a.prefix).cmp(&(b.mount, &b.prefix)));
        Ok(roots)
    }

    /// Lets those documents compete that are listed now in the version that the index holds.
    async fn admit(
        &mut self,
        roots: Vec<(Scope, String)>,
        selection: &crate::search::Selection,
    ) -> Result<()> {
        let mut walk =
            self.vfs.walk(&self.op, roots.iter().map(|(scope, _)| scope.clone()).collect());
        while let Some(batch) = walk.next().await? {
            for entry in batch {
                let selected = roots
                    .iter()
                    .filter(|(scope, _)| {
                        scope.mount == entry.mount && entry.object.key.starts_with(&scope.prefix)
                    })
                    .any(|(_, dir)| selection.selects(dir, &entry.path, entry.object.size));
                if selected && !entry.object.is_marker() {
                    self.admit_one(&entry);
                }
            }
        }
        self.envelope.listed = walk.listed();
        self.envelope.notes.extend(walk.take_notes());
        Ok(())
    }

    fn admit_one(&mut self, entry: &Entry) {
        let Some(ranked) = self.mounts.iter_mut().find(|ranked| ranked.mount == entry.mount) else {
            return;
        };
        let object = &entry.object;
        match ranked.view.index.find(&object.key) {
            Some((_, doc)) if doc.is_version(&object.etag.0, object.size, object.modified) => {
                if doc.state.has(State::TEXT) {
                    ranked.admitted.insert(oid(&doc.key, &doc.etag));
                    self.envelope.searched += 1;
                } else {
                    self.used.left_out += 1;
                }
            }
            _ => self.used.uncovered += 1,
        }
    }

    /// The best `limit` sections, or, if not `for_person`, the best documents.
    ///
    /// # Errors
    /// What reading the index fails with.
    pub async fn ask(
        &mut self,
        question: &Question,
        limit: usize,
        for_person: bool,
    ) -> Result<Vec<RankedHit>> {
        let mut hits = Vec::new();
        for (n, ranked) in self.mounts.iter().enumerate() {
            let options =
                rank::SearchOptions { limit, per_article: for_person.then_some(PER_ARTICLE) };
            let point = || self.vfs.dir_path(ranked.mount, "");
            let unusable = |fault| ranked.view.unusable(&fault).at(point());
            let searcher = ranked.view.searcher().map_err(unusable)?;
            // Not through `ranked`: where futures need not be `Send`, the rest of it is not `Sync`.
            let admitted = &ranked.admitted;
            let admit = |oid: u64| admitted.contains(&oid);
            let found = searcher.search(question, &admit, options).await.map_err(unusable)?;
            self.envelope.notes.extend(found.notes);
            for section in found.hits {
                let Some((at, doc)) = ranked.view.index.find(&section.key) else { continue };
                let object = Object {
                    key: doc.key.clone(),
                    size: doc.size,
                    etag: ETag(doc.etag.as_str().into()),
                    modified: doc.modified,
                    archived: false,
                };
                let entry = self.vfs.entry(ranked.mount, object);
                hits.push(RankedHit { entry, section, at, doc, ranked: n });
            }
        }
        // Each mount ranks by its own statistics: what another customer wrote must not show.
        hits.sort_by(|a, b| b.section.score.total_cmp(&a.section.score));
        hits.truncate(limit);
        Ok(hits)
    }

    /// `hits` with the passage of each that answers best.
    ///
    /// # Errors
    /// The end of the operation's time or budget. A text that cannot be read has no snippet,
    /// which is told.
    pub async fn with_snippets(
        &mut self,
        question: &Question,
        hits: Vec<RankedHit>,
    ) -> Result<Vec<SearchHit>> {
        let mut held = Vec::new();
        for (n, ranked) in self.mounts.iter().enumerate() {
            let packed = hits.iter().filter(|hit| hit.ranked == n && hit.doc.place.is_some());
            let docs: Vec<DocRef> = packed.map(|hit| hit.at).collect();
            match ranked.view.index.warm(&docs, READS).await {
                Ok(warm) => held.push(warm),
                Err(fault) => {
                    if let Some(error) = ends_the_operation(&fault) {
                        return Err(error);
                    }
                    ranked.view.text_is_unused(&self.op, &fault);
                }
            }
        }
        let mut shown = Vec::new();
        for hit in hits {
            let (snippet, marks) = match self.text(&hit).await {
                Ok(text) => {
                    let snippet = rank::snippet(question, &text, SNIPPET);
                    let marks = snippet.marks.iter().map(|mark| [mark.start, mark.end]);
                    let marks = marks.collect();
                    (snippet.text, marks)
                }
                Err(error) if matches!(error.kind(), Kind::Deadline | Kind::Budget) => {
                    return Err(error);
                }
                Err(error) => {
                    self.op.note(format!("{} has no snippet: {}", hit.entry.path, error.message()));
                    (String::new(), Vec::new())
                }
            };
            let section = hit.section;
            shown.push(SearchHit {
                path: hit.entry.path,
                title: section.title,
                heading: section.trail,
                lines: [section.lines.start, section.lines.end.saturating_sub(1)],
                score: section.score,
                snippet,
                marks,
                etag: hit.entry.object.etag.0.into(),
                modified: hit.entry.object.modified,
            });
        }
        Ok(shown)
    }

    /// The text of a section: from the pack, else from the bucket.
    async fn text(&self, hit: &RankedHit) -> Result<String> {
        let view = &self.mounts[hit.ranked].view;
        let bytes = &hit.section.bytes;
        if let Some(place) = hit.doc.place
            && let Ok(text) = view.index.text(hit.at, place).await
        {
            let end = bytes.end.min(bytes.start + SECTION).min(text.len() as u64) as usize;
            let start = (bytes.start as usize).min(end);
            return Ok(String::from_utf8_lossy(&text[start..end]).into_owned());
        }
        if hit.doc.state.has(State::PLAIN) {
            let part = bytes.start..bytes.end.min(bytes.start + SECTION);
            return self.part(hit, part).await;
        }
        let lines = &hit.section.lines;
        let request = WindowRequest {
            offset: lines.start,
            limit: (lines.end - lines.start).max(1),
            tail: false,
            max_bytes: SECTION as usize,
            max_line: SECTION as usize,
            by_name: false,
        };
        let window = self.vfs.lines(&self.op, hit.entry.clone(), request).await?;
        let lines = window.lines.iter().map(|line| String::from_utf8_lossy(&line.text));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    async fn part(&self, hit: &RankedHit, part: std::ops::Range<u64>) -> Result<String> {
        let content = self.vfs.open(&self.op, hit.entry.clone(), Use::Read, 0).await?;
        let mut stream = content.stream_part(part, false, SECTION);
        let mut text = Vec::new();
        while let Some(chunk) = stream.next().await {
            text.extend_from_slice(&chunk?);
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// What was ranked, what was not, and what it cost so far.
    pub fn envelope(&self) -> Envelope {
        let mut envelope = self.envelope.clone();
        envelope.index = Some(self.used);
        if self.used.uncovered > 0 {
            let objects = counted(self.used.uncovered, "object is", "objects are");
            let were = if self.used.uncovered == 1 { "was" } else { "were" };
            envelope.lacks(
                Reason::Unindexed,
                format!(
                    "{objects} new or changed since the index was built and {were} not searched"
                ),
            );
        }
        close(&mut envelope, &self.vfs, &self.op);
        envelope
    }
}

/// Leaves of `hits` the best that fit the room; answers whether others were left out.
fn fit(hits: &mut Vec<SearchHit>, mut room: Room) -> bool {
    for (n, hit) in hits.iter().enumerate() {
        let chars = room.measure(hit, || text::search::hit(n + 1, hit).chars().count() + 1);
        if !room.fits(chars) {
            hits.truncate(n);
            return true;
        }
        room.take(chars);
    }
    false
}
