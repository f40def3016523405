//! What several operations may cost together.
//!
//! Giving each operation what is left when it begins lets ten that run side by side spend it ten
//! times. An [`Account`] is asked for each request of all of them before it is sent, with the
//! bytes that it may bring, so that nothing under way can overrun it: only a retry, which is
//! sent without asking, and the bytes of an answer that broke off come on top.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    bucket::{Cost, Meter},
    error::{Error, Kind, Result},
};

/// See the module's head.
#[derive(Debug, Default)]
pub struct Account {
    requests: Option<u64>,
    bytes: Option<u64>,
    meter: Arc<Meter>,
    held: Mutex<Held>,
}

/// What was allowed and has not ended.
#[derive(Debug, Default)]
struct Held {
    under_way: u64,
    bytes: u64,
    /// Requests that were allowed, sent or not. Those that are given up before they are sent
    /// are forgotten when nothing is under way.
    allowed: u64,
}

/// One request that was allowed.
#[derive(Debug)]
pub(super) struct Ticket {
    account: Arc<Account>,
    bytes: u64,
}

impl Account {
    /// An account for so many requests (list and get together) and bytes of bodies.
    pub fn new(requests: Option<u64>, bytes: Option<u64>) -> Self {
        Self { requests, bytes, ..Self::default() }
    }

    /// What was paid from it.
    pub fn cost(&self) -> Cost {
        self.meter.cost()
    }

    /// What it counts with.
    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Allows one more request that may bring so many bytes.
    pub(super) fn allow(self: &Arc<Self>, bytes: u64) -> Result<Ticket> {
        let mut held = self.held();
        let cost = self.meter.cost();
        let sent = cost.list_requests + cost.get_requests;
        if held.under_way == 0 {
            held.allowed = sent;
        }
        let requests = sent.max(held.allowed);
        let brought = cost.bytes_fetched.saturating_add(held.bytes).saturating_add(bytes);
        let spent = match (self.requests, self.bytes) {
            (Some(most), _) if requests >= most => format!("{most} requests"),
            (_, Some(most)) if bytes > 0 && brought > most => format!("{most} bytes"),
            _ => {
                held.allowed = requests + 1;
                held.under_way += 1;
                held.bytes += bytes;
                drop(held);
                return Ok(Ticket { account: Arc::clone(self), bytes });
            }
        };
        Err(Error::new(Kind::Budget, format!("the budget of this session, {spent}, is spent"))
            .hint("answer from what you have, or start a new session"))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut held = self.account.held();
        held.under_way -= 1;
        held.bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_counts_as_spent_until_it_has_ended() {
        let account = Arc::new(Account::new(Some(3), Some(100)));
        let first = account.allow(60).expect("there is room");
        assert!(account.allow(41).is_err(), "60 may come, and 41 more are too many");
        let second = account.allow(40).expect("there is room");
        account.meter.get();
        account.meter.received(10);
        drop(first);
        let third = account.allow(50).expect("10 came instead of 60");
        assert!(account.allow(0).is_err(), "three requests were allowed");
        drop((second, third));
        // Neither of the two was sent.
        account.allow(90).expect("one request and 10 bytes are paid");
    }
}
