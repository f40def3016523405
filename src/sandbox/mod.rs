//! The virtual sandbox: one read-only toolset over the tree, the same for every front end.
//!
//! When CLI, server and library each join paths, limits and errors in their own way, they answer
//! differently, and an agent learns three dialects. [`VirtualSandbox`] has one method per tool
//! with typed arguments and a typed answer, one table of tools ([`TOOLS`]), and one dispatch by
//! name: [`VirtualSandbox::call`] gives the typed answer as JSON, [`VirtualSandbox::call_text`]
//! what fits a model's context. Front ends only translate. No type here can write to a bucket.

mod advice;
mod answer;
mod arguments;
mod board;
mod bytes;
mod call;
mod cursor;
mod estimate;
mod glob;
mod grep;
mod hits;
mod list;
mod ranked;
mod read;
mod room;
mod scan;
mod schemas;
mod seal;
#[cfg_attr(not(feature = "index"), path = "no_search.rs")]
mod search;
mod session;
mod stat;
mod text;
mod tools;

use std::{sync::Arc, time::Duration};

pub use answer::{
    Answer, Envelope, Incomplete, IndexUse, NAMED_SKIPS, Reason, SkipReason, Skipped, utc,
};
pub use arguments::unshown;
pub use board::ScanEvent;
pub use call::{Body, CallOptions, ToolOutput, error_json};
pub use estimate::Estimate;
pub use glob::{GlobArgs, GlobResult, OneOrMany, Paths};
pub use grep::{FileHits, GrepArgs, GrepResult, HitLine, OutputMode};
pub use hits::{HitEvent, HitStream};
pub use list::{Entries, ListArgs, ListEntry, ListResult};
pub use ranked::{SearchArgs, SearchHit, SearchResult};
pub use read::{ReadArgs, ReadLine, ReadResult};
pub use room::{DEFAULT_CHARS, MAX_CHARS, MIN_CHARS};
pub use scan::{NotRead, Scan, ScanRequest};
pub use schemas::AnswerSchemas;
pub use seal::CursorKey;
#[cfg(feature = "index")]
pub use search::{RankedHit, Ranking};
pub use session::{Bill, Session, SessionLimits, Share, Spent};
pub use stat::{StatArgs, StatResult};
pub use text::of_error as error_text;
pub use tools::{Annotations, Format, INSTRUCTIONS, TOOLS, Tool};

use self::{room::Room, seal::Seal};
use crate::{
    cache::{Cache, CacheOptions},
    error::{Error, Kind, Result},
    platform::{MaybeSend, Platform},
    search::Report,
    vfs::{Budget, Freshness, IndexOptions, Mount, Op, Vfs},
};

/// What one call may take unless a front end says otherwise: an agent that waits longer has no
/// answer either, and a partial one says where to go on (issue 4).
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Where object bytes are kept.
    pub cache: CacheOptions,
    /// How old a listing may be.
    pub freshness: Freshness,
    /// Where indexes are looked for; nowhere by default.
    pub index: IndexOptions,
    /// Bytes of objects and search buffers that one grep may hold, beside the cache.
    pub scan_bytes: u64,
    /// What one call may cost; a call can ask for less, not for more. By default [`DEADLINE`].
    pub budget: Budget,
    /// The most results that one call may give, whatever it asks for.
    pub results: Option<u64>,
    /// The most bytes of all patterns of one grep, below the bounds of the pattern itself: a server
    /// that compiles for many wants a lower one.
    pub pattern_bytes: Option<usize>,
    /// Whom it serves: no cursor of one tenant is taken by another.
    pub tenant: String,
    /// What cursors are signed with; a server hands in a secret.
    pub cursor_key: CursorKey,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            cache: CacheOptions::default(),
            freshness: Freshness::Strict,
            index: IndexOptions::default(),
            // Two large objects at once with their 16 MiB search buffers, or all of a window
            // of small ones. With results (16 MiB) and the process itself this stays below the
            // 150 MiB that a grep may take over any bucket (issue 2).
            scan_bytes: 64 << 20,
            budget: Budget { time: Some(DEADLINE), ..Budget::default() },
            results: None,
            pattern_bytes: None,
            tenant: String::new(),
            cursor_key: CursorKey::default(),
        }
    }
}

/// The read-only toolset over some buckets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VirtualSandbox {
    vfs: Vfs,
    scan_bytes: u64,
    budget: Budget,
    results: Option<u64>,
    pattern_bytes: Option<usize>,
    seal: Seal,
    /// Where one call must fit a context, and pay for what fails.
    room: Option<Room>,
    bill: Option<Arc<Bill>>,
    session: Option<Arc<Session>>,
}

/// Joins `mounts` into one tree and hands out its toolset.
///
/// # Errors
/// [`Kind::Config`] for mount points that are malformed, doubled or inside one another.
pub fn get_virtual_sandbox(
    mounts: Vec<Mount>,
    platform: Platform,
    options: SandboxOptions,
) -> Result<VirtualSandbox> {
    let cache = Cache::new(options.cache, platform.clone());
    let seal = Seal::new(&options.cursor_key, &options.tenant, &mounts);
    let vfs = Vfs::new(mounts, cache, platform, options.freshness, &options.index)?;
    Ok(VirtualSandbox {
        vfs,
        scan_bytes: options.scan_bytes,
        budget: options.budget,
        results: options.results,
        pattern_bytes: options.pattern_bytes,
        seal,
        room: None,
        bill: None,
        session: None,
    })
}

impl VirtualSandbox {
    /// The tree below the tools, for what no tool offers (raw bytes).
    pub fn vfs(&self) -> &Vfs {
        &self.vfs
    }

    /// The same tools, paid from `session`.
    pub fn paid_from(&self, session: Arc<Session>) -> Self {
        Self { session: Some(session), ..self.clone() }
    }

    /// Counts a call of the session, if there is one, that gives at most so many results: for what
    /// is no tool (raw bytes), or is not given whole.
    ///
    /// # Errors
    /// [`Kind::Budget`] where something is spent.
    pub fn share(&self, results: u64) -> Result<Option<Share>> {
        self.session.as_ref().map(|session| session.begin(Some(results), 0)).transpose()
    }

    /// The same, and what its operations cost stands on this bill too.
    #[must_use]
    pub fn billed(&self, bill: Arc<Bill>) -> Self {
        Self { bill: Some(bill), ..self.clone() }
    }

    /// The same tools, each call within `budget` too.
    pub fn bounded(&self, budget: Budget) -> Self {
        Self { budget: self.within(budget), ..self.clone() }
    }

    /// Starts a grep whose results `report` forms, in path order. Compiles its patterns at once, in
    /// the caller: a server takes [`Self::start_hits`].
    ///
    /// # Errors
    /// [`Kind::InvalidPattern`] or [`Kind::InvalidArgument`]; paths that name nothing are
    /// events of the scan.
    pub fn scan<R: Report>(&self, request: ScanRequest, report: R) -> Result<Scan<R::Chunk>> {
        self.accepts(&request)?;
        // The time of the operation is that of compiling too.
        let op = self.op(request.budget);
        Ok(scan::start(&self.vfs, op, request.compile()?, report, self.scan_bytes))
    }

    /// As [`Self::scan`], but compiles where blocking is allowed.
    async fn scan_apart<R: Report>(
        &self,
        op: Op,
        request: ScanRequest,
        report: R,
    ) -> Result<Scan<R::Chunk>> {
        self.accepts(&request)?;
        let ready = self.apart(move || request.compile()).await?;
        Ok(scan::start(&self.vfs, op, ready, report, self.scan_bytes))
    }

    /// Does `work` that may take long where blocking is allowed.
    async fn apart<T: MaybeSend + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + MaybeSend + 'static,
    ) -> Result<T> {
        let done = self.vfs.platform().blocking(work).await;
        done.unwrap_or_else(|| {
            Err(Error::new(Kind::Cancelled, "the call was stopped").hint("call again"))
        })
    }

    fn accepts(&self, request: &ScanRequest) -> Result<()> {
        let bytes: usize = request.pattern.patterns.iter().map(String::len).sum();
        match self.pattern_bytes.filter(|most| bytes > *most) {
            None => Ok(()),
            Some(most) => Err(Error::new(
                Kind::InvalidPattern,
                format!("the patterns have {bytes} bytes, more than the {most} that are taken"),
            )
            .hint("search for fewer words at once")),
        }
    }

    /// The smaller of what the caller and the sandbox allow.
    fn within(&self, asked: Budget) -> Budget {
        Budget {
            time: least(asked.time, self.budget.time),
            requests: least(asked.requests, self.budget.requests),
            bytes: least(asked.bytes, self.budget.bytes),
        }
    }

    /// An operation with the sandbox's own budget, for raw access through [`Self::vfs`].
    pub fn op(&self, budget: Budget) -> Op {
        let op = self.vfs.op(self.within(budget));
        let op = match &self.session {
            Some(session) => op.paid_from(Arc::clone(session.account())),
            None => op,
        };
        if let Some(bill) = &self.bill {
            bill.pays_for(&op);
        }
        op
    }

    /// How many results a call may give that asks for `asked`.
    fn limit(&self, asked: Option<u64>, default: u64, most: u64) -> Result<u64> {
        let allowed = self.results.map_or(most, |results| results.clamp(1, most));
        let limit = list::limit(asked, default, most)
            .map_err(|error| error.hint(format!("give a number from 1 to {allowed}")))?;
        Ok(limit.min(allowed))
    }
}

/// The smaller of two bounds, where `None` is none.
fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Adds cost and time to an envelope and settles it.
fn close(envelope: &mut Envelope, vfs: &Vfs, op: &Op) {
    envelope.cost = op.call.meter.cost();
    envelope.as_of = op.as_of();
    envelope.notes.extend(op.notes());
    let next = op.unused().into_iter().filter_map(|one| Some((one.note(), one.next()?)));
    envelope.next.extend(next);
    envelope.reserved = op.reserved();
    let elapsed: Duration = vfs.platform().monotonic().saturating_sub(op.started);
    envelope.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    envelope.settle();
}
