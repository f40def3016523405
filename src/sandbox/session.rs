//! What a conversation may cost in all.
//!
//! A bound on each call does not bound an agent that calls in a loop. A [`Session`] adds up what
//! its calls cost and narrows each next one to what is left; once something is spent, calls are
//! refused and say so. Calls that run side by side can overrun it by what each was allowed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    bucket::{Cost, Meter},
    error::{Error, Kind, Result},
    vfs::{Budget, Op},
};

/// What a session may cost; `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// Calls.
    pub calls: Option<u64>,
    /// List and get requests together.
    pub requests: Option<u64>,
    /// Body bytes fetched.
    pub bytes: Option<u64>,
    /// Results: matches, paths, entries, hits.
    pub results: Option<u64>,
    /// Characters of answers.
    pub chars: Option<u64>,
}

/// What a session has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls, those that were refused left out.
    pub calls: u64,
    /// List and get requests together.
    pub requests: u64,
    /// Body bytes fetched.
    pub bytes: u64,
    /// Results: matches, paths, entries, hits.
    pub results: u64,
    /// Characters of answers.
    pub chars: u64,
}

/// The calls of one conversation or one tenant.
#[derive(Debug, Default)]
pub struct Session {
    limits: SessionLimits,
    spent: Mutex<Spent>,
}

/// What the next call may cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Left {
    pub(super) budget: Budget,
    pub(super) results: Option<u64>,
    pub(super) chars: Option<u64>,
}

impl Session {
    /// A session that has cost nothing yet.
    pub fn new(limits: SessionLimits) -> Self {
        Self { limits, spent: Mutex::default() }
    }

    /// What it has cost so far.
    pub fn spent(&self) -> Spent {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and says what is left for it.
    ///
    /// # Errors
    /// [`Kind::Budget`] where something is spent.
    pub(super) fn begin(&self) -> Result<Left> {
        let limits = self.limits;
        let mut spent = self.lock();
        let bounds = [
            (limits.calls, spent.calls, "calls"),
            (limits.requests, spent.requests, "requests"),
            (limits.bytes, spent.bytes, "bytes"),
            (limits.results, spent.results, "results"),
            (limits.chars, spent.chars, "characters"),
        ];
        for (most, spent, what) in bounds {
            if let Some(most) = most.filter(|most| spent >= *most) {
                return Err(Error::new(
                    Kind::Budget,
                    format!("the budget of this session is spent: {most} {what}"),
                )
                .hint("answer from what you have, or start a new session"));
            }
        }
        spent.calls += 1;
        let left = |most: Option<u64>, spent: u64| most.map(|most| most.saturating_sub(spent));
        Ok(Left {
            budget: Budget {
                time: None,
                requests: left(limits.requests, spent.requests),
                bytes: left(limits.bytes, spent.bytes),
            },
            results: left(limits.results, spent.results),
            chars: left(limits.chars, spent.chars),
        })
    }

    /// Adds what a call cost.
    pub(super) fn charge(&self, cost: Cost, results: u64, chars: u64) {
        let mut spent = self.lock();
        spent.requests += cost.list_requests + cost.get_requests;
        spent.bytes += cost.bytes_fetched;
        spent.results += results;
        spent.chars += chars;
    }
}

/// Collects what the operations of one call cost, so that a call that fails is paid for too.
#[derive(Debug, Default)]
pub(super) struct Bill(Mutex<Vec<Arc<Meter>>>);

impl Bill {
    pub(super) fn pays_for(&self, op: &Op) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(op.call.meter.clone());
    }

    pub(super) fn cost(&self) -> Cost {
        let meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        meters.iter().map(|meter| meter.cost()).fold(Cost::default(), |sum, one| Cost {
            list_requests: sum.list_requests + one.list_requests,
            get_requests: sum.get_requests + one.get_requests,
            bytes_fetched: sum.bytes_fetched + one.bytes_fetched,
            cache_hits: sum.cache_hits + one.cache_hits,
            retries: sum.retries + one.retries,
        })
    }
}
