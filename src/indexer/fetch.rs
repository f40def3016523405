//! Fetches the objects of a batch side by side and hands them on in key order.
//!
//! A builder that fetches what it adds next waits a round trip for each object; one that fetches
//! as they come gets them in any order, and segments need theirs. [`Fetcher`] keeps many gets under
//! way, hands results on in order, and marks where a segment has to end so that a slow network
//! loses seconds and not minutes of work when the process dies.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::{Either, select},
    stream,
};
use tokio::sync::mpsc;

use super::tally::Halt;
use crate::{
    bucket::MAX_GET,
    cache::Use,
    error::{Error, Kind, Result},
    vfs::{Entry, Haystack, Op, Vfs},
};

/// Gets of one batch under way at once: with the batch behind it, more than the permits of a
/// process allow.
const SIDE_BY_SIDE: usize = 64;

/// How much time of fetching a commit holds at most. With the time it takes to build a segment,
/// less than the 10 s that a killed run may lose.
const COMMIT_EVERY: Duration = Duration::from_secs(8);

/// What one object of this many bytes may hold in memory on its way, however long it is: its first
/// get and three steps of a feed.
pub(super) const MOST_HELD: u64 = MAX_GET + 3 * crate::vfs::STEP;

/// What a fetch came to.
#[derive(Debug)]
pub(super) enum Got {
    /// Its bytes, decoded if it is stored compressed.
    Bytes { haystack: Box<Haystack>, decoded: bool },
    /// It is in an archive.
    Archived,
    /// It was deleted after it was listed.
    Gone,
    /// Reading it failed.
    Failed(Error),
}

/// One object of a batch.
#[derive(Debug)]
pub(super) struct Fetched {
    /// In the version that was read: newer than the listed one where `changed`.
    pub(super) entry: Entry,
    pub(super) changed: bool,
    pub(super) got: Got,
}

/// What a builder is handed.
#[derive(Debug)]
pub(super) enum Item {
    Object(Box<Fetched>),
    /// Commit what came before, and go on.
    Commit,
    /// The job ends here; what came before is to be committed.
    Over(Error),
}

/// Whatever fetches need.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    pub(super) vfs: Vfs,
    pub(super) op: Op,
    /// Asked from outside.
    pub(super) halt: Arc<Halt>,
    /// Asked by whatever ends the job with an error.
    pub(super) broken: Arc<Halt>,
}

impl Fetcher {
    /// Fetches `batch`, which is in key order, into `items`. Ends early when it is asked to stop,
    /// when nobody takes items any more, and after an error that will meet every object.
    pub(super) async fn pump(self, batch: Vec<Entry>, items: mpsc::UnboundedSender<Item>) {
        let fetches = stream::iter(batch).map(|entry| self.fetch(entry)).buffered(SIDE_BY_SIDE);
        let mut fetches = pin!(fetches);
        let (halt, broken) = (pin!(self.halt.wait()), pin!(self.broken.wait()));
        let mut halt = select(halt, broken);
        let platform = self.vfs.platform().clone();
        let mut due = pin!(platform.sleep(COMMIT_EVERY));
        let mut uncommitted = false;
        loop {
            let next = select(fetches.next(), select(&mut halt, due.as_mut()));
            let sent = match next.await {
                Either::Left((Some(Ok(fetched)), _)) => {
                    uncommitted = true;
                    items.send(Item::Object(Box::new(fetched)))
                }
                Either::Left((Some(Err(error)), _)) => {
                    drop(items.send(Item::Over(error)));
                    return;
                }
                Either::Left((None, _)) | Either::Right((Either::Left(_), _)) => return,
                Either::Right((Either::Right(_), _)) => {
                    due.set(platform.sleep(COMMIT_EVERY));
                    if !std::mem::take(&mut uncommitted) {
                        continue;
                    }
                    items.send(Item::Commit)
                }
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// One object. `Err` only for what ends the whole job.
    async fn fetch(&self, entry: Entry) -> Result<Fetched> {
        match Box::pin(self.open(entry.clone())).await {
            Ok(fetched) => Ok(fetched),
            Err(error) if ends_everything(error.kind()) => Err(error),
            Err(error) => {
                let got = match error.kind() {
                    Kind::Archived => Got::Archived,
                    Kind::NotFound => Got::Gone,
                    _ => Got::Failed(error),
                };
                Ok(Fetched { entry, changed: false, got })
            }
        }
    }

    async fn open(&self, mut entry: Entry) -> Result<Fetched> {
        if !self.vfs.trusts(&entry) {
            // The next write may leave its version as it is: what was read now would be covered
            // for ever.
            self.vfs.platform().sleep(SETTLED).await;
            entry = self.vfs.look_again(&self.op, &entry).await?;
        }
        let content = self.vfs.open(&self.op, entry, Use::Scan, MAX_GET).await?;
        let (entry, changed) = (content.entry.clone(), content.changed);
        let decoded = content.compression(false).is_some();
        let haystack = Box::new(content.haystack(false, u64::MAX).await?);
        Ok(Fetched { entry, changed, got: Got::Bytes { haystack, decoded } })
    }
}

/// How long a local file must be left alone until its version can be trusted; see
/// [`Bucket::trusts`](crate::bucket::Bucket::trusts).
const SETTLED: std::time::Duration = std::time::Duration::from_secs(2);

/// Errors that say nothing about the object they met.
pub(super) fn ends_everything(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Credentials
            | Kind::NoBucket
            | Kind::Config
            | Kind::Deadline
            | Kind::Budget
            | Kind::Cancelled
    )
}
