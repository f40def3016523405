//! What a conversation may cost in all.
//!
//! A bound on each call does not bound an agent that calls in a loop, nor one that makes ten
//! calls at once. A [`Session`] is paid from by all its calls: requests and bytes one by one, as
//! they are sent ([`Account`]); results and characters by a [`Share`] that a call takes when it
//! begins and gives back what it did not use. So side by side they cannot spend more than there
//! is, and a call that is left before its end is paid for too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    bucket::{Cost, Meter},
    error::{Error, Kind, Result},
    vfs::{Account, Op},
};

/// The most results that one call takes from a session that bounds them: a page of the tools.
/// More would keep the calls beside it waiting.
const SHARE: u64 = 1000;

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
#[derive(Debug)]
pub struct Session {
    limits: SessionLimits,
    account: Arc<Account>,
    counts: Mutex<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    calls: u64,
    results: u64,
    chars: u64,
    /// Of calls under way.
    held_results: u64,
    held_chars: u64,
}

/// What one call may give; what it did not give is given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    session: Arc<Session>,
    pub(super) results: Option<u64>,
    pub(super) chars: Option<u64>,
}

impl Session {
    /// A session that has cost nothing yet.
    pub fn new(limits: SessionLimits) -> Self {
        let account = Arc::new(Account::new(limits.requests, limits.bytes));
        Self { limits, account, counts: Mutex::default() }
    }

    /// What it has cost so far.
    pub fn spent(&self) -> Spent {
        let (counts, cost) = (*self.counts(), self.account.cost());
        Spent {
            calls: counts.calls,
            requests: cost.list_requests + cost.get_requests,
            bytes: cost.bytes_fetched,
            results: counts.results,
            chars: counts.chars,
        }
    }

    /// What its operations pay from.
    pub(super) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call that gives at most so many results and characters, and says how many of
    /// them it may.
    ///
    /// # Errors
    /// [`Kind::Budget`] where something is spent.
    pub(super) fn begin(self: &Arc<Self>, results: Option<u64>, chars: u64) -> Result<Share> {
        let (limits, cost) = (self.limits, self.account.cost());
        let requests = cost.list_requests + cost.get_requests;
        let mut counts = self.counts();
        let bounds = [
            (limits.calls, counts.calls, 0, "calls"),
            (limits.requests, requests, 0, "requests"),
            (limits.bytes, cost.bytes_fetched, 0, "bytes"),
            (limits.results, counts.results, counts.held_results, "results"),
            (limits.chars, counts.chars, counts.held_chars, "characters"),
        ];
        for (most, spent, held, what) in bounds {
            let Some(most) = most.filter(|most| spent + held >= *most) else { continue };
            return Err(no_more(most, spent, what));
        }
        counts.calls += 1;
        let wanted = results.unwrap_or(SHARE).min(SHARE);
        let results = limits.results.map(|most| {
            let share = wanted.min(most - counts.results - counts.held_results);
            counts.held_results += share;
            share
        });
        let chars = limits.chars.map(|most| {
            let share = chars.min(most - counts.chars - counts.held_chars);
            counts.held_chars += share;
            share
        });
        drop(counts);
        Ok(Share { session: Arc::clone(self), results, chars })
    }
}

/// Why nothing more can be given where the session has `spent` of `most`: the rest is held by others.
fn no_more(most: u64, spent: u64, what: &str) -> Error {
    match spent >= most {
        true => {
            Error::new(Kind::Budget, format!("the budget of this session is spent: {most} {what}"))
                .hint("answer from what you have, or start a new session")
        }
        false => Error::new(
            Kind::Budget,
            format!("the calls under way may take what this session has left of {what}"),
        )
        .hint("wait for them, then call again"),
    }
}

impl Share {
    /// The most results that the call may give; `None` is no bound.
    pub fn results(&self) -> Option<u64> {
        self.results
    }

    /// Pays for what the call gave; the smallest answer may be longer than a small rest.
    pub fn pay(&self, results: u64, chars: u64) {
        let mut counts = self.session.counts();
        counts.results += results;
        counts.chars += chars;
    }

    /// Pays for results and characters beside those that it holds, before they are given: for
    /// answers whose length nobody knows when they begin.
    ///
    /// # Errors
    /// [`Kind::Budget`] where the session has not so many left; then nothing is paid.
    pub fn take(&self, results: u64, chars: u64) -> Result<()> {
        let limits = self.session.limits;
        let mut counts = self.session.counts();
        let bounds = [
            (limits.results, counts.results, counts.held_results, results, "results"),
            (limits.chars, counts.chars, counts.held_chars, chars, "characters"),
        ];
        for (most, spent, held, more, what) in bounds {
            let Some(most) = most.filter(|most| more > 0 && spent + held + more > *most) else {
                continue;
            };
            return Err(match spent + more > most {
                true => no_more(most, most, what),
                false => no_more(most, spent, what),
            });
        }
        counts.results += results;
        counts.chars += chars;
        Ok(())
    }

    /// Holds the characters of an answer whose `length` is announced, and looks whether so many
    /// bytes from the bucket are left. It may still break off where the blocks that it lies in, or a
    /// call beside it, take the last of these.
    ///
    /// # Errors
    /// [`Kind::Budget`] where the session has not so many left.
    pub fn hold(&mut self, length: u64) -> Result<()> {
        let limits = self.session.limits;
        let fetched = self.session.account.cost().bytes_fetched;
        let mut counts = self.session.counts();
        let left = [
            (limits.chars, counts.chars + counts.held_chars, "characters"),
            (limits.bytes, fetched, "bytes"),
        ];
        for (most, gone, what) in left {
            let left = most.map(|most| most.saturating_sub(gone));
            let Some(left) = left.filter(|left| length > *left) else { continue };
            let message =
                format!("this session has {left} {what} left, and {length} were asked for");
            return Err(Error::new(Kind::Budget, message).hint("ask for a part that is shorter"));
        }
        if let Some(held) = &mut self.chars {
            *held += length;
            counts.held_chars += length;
        }
        Ok(())
    }

    /// Pays for so many of the characters that it holds.
    pub fn sent(&mut self, chars: u64) {
        let mut counts = self.session.counts();
        counts.chars += chars;
        if let Some(held) = &mut self.chars {
            let paid = chars.min(*held);
            *held -= paid;
            counts.held_chars -= paid;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.session.counts();
        counts.held_results -= self.results.unwrap_or(0);
        counts.held_chars -= self.chars.unwrap_or(0);
    }
}

/// Collects what the operations of one call cost, so that a call that fails, or is left before its
/// end, tells its cost too.
#[derive(Debug, Default)]
pub struct Bill(Mutex<Vec<Arc<Meter>>>);

impl Bill {
    pub(super) fn pays_for(&self, op: &Op) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(op.call.meter.clone());
    }

    /// What they have cost so far.
    pub fn cost(&self) -> Cost {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_side_by_side_share_what_is_left() {
        let limits = SessionLimits { results: Some(1500), chars: Some(50), ..Default::default() };
        let session = Arc::new(Session::new(limits));
        let first = session.begin(None, 20).expect("there is room");
        let second = session.begin(Some(2000), 40).expect("there is room");
        assert_eq!((first.results, first.chars), (Some(1000), Some(20)));
        assert_eq!((second.results, second.chars), (Some(500), Some(30)));
        let third = session.begin(None, 1).expect_err("all is held");
        assert!(third.message().contains("under way"), "{third}");
        second.pay(0, 30);
        drop((first, second));
        let last = session.begin(None, 30).expect("20 characters were given back");
        assert_eq!((last.results, last.chars), (Some(1000), Some(20)));
        last.pay(1, 20);
        drop(last);
        let spent = session.begin(None, 1).expect_err("50 characters are spent");
        assert!(spent.message().ends_with("50 characters"), "{spent}");
        assert_eq!(session.spent().calls, 3);
    }

    #[test]
    fn what_is_given_bit_by_bit_is_asked_for_before_it_is_given() {
        let limits = SessionLimits {
            results: Some(3),
            chars: Some(100),
            bytes: Some(65),
            ..Default::default()
        };
        let session = Arc::new(Session::new(limits));
        let stream = session.begin(Some(0), 0).expect("there is room");
        stream.take(2, 30).expect("there is room");
        let mut object = session.begin(Some(1), 0).expect("there is room");
        assert!(stream.take(1, 0).expect_err("it is held").message().contains("under way"));
        assert!(object.hold(66).expect_err("65 may come").message().contains("65 bytes"));
        object.hold(60).expect("70 are left");
        assert!(stream.take(0, 11).expect_err("10 are left").message().contains("under way"));
        assert!(object.hold(11).expect_err("10 are left").message().contains("10 characters"));
        object.sent(20);
        drop(object);
        assert_eq!((session.spent().chars, session.spent().results), (50, 2));
        stream.take(1, 50).expect("the rest was given back");
        assert!(stream.take(0, 1).expect_err("spent").message().ends_with("100 characters"));
    }
}
