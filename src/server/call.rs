//! One call of a client, from the gate to the log.
//!
//! A front end that counts, limits and logs by itself forgets it on the path that fails. A
//! [`Running`] call exists from the moment a tenant is let in; it is counted and logged when it
//! is finished, and when it is dropped because the client has left, too.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    audit::{self, Line},
    limits::Pass,
    metrics::Ended,
    tenant::Tenant,
};
use crate::{
    bucket::Cost,
    error::{Error, Kind},
    sandbox::{Bill, Envelope, Reason, utc},
};

/// The way a call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// MCP on standard input and output.
    Stdio,
    /// MCP over HTTP.
    Mcp,
    /// The JSON API.
    Http,
}

impl Front {
    /// As the audit log writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Mcp => "mcp",
            Self::Http => "http",
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The tenant asks for too much; it is worth asking again after this long.
    Busy(Duration),
    /// The call itself failed.
    Failed(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Failure {
    /// The failure as an error with what to do next.
    pub fn into_error(self) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Busy(wait) => {
                let seconds = wait.as_secs_f64().ceil();
                Error::new(Kind::Unavailable, "too many calls at once or in a short time")
                    .hint(format!("wait {seconds} s, then call again"))
            }
        }
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Running {
    tenant: Arc<Tenant>,
    front: Front,
    tool: &'static str,
    arguments: Value,
    started: Instant,
    bill: Arc<Bill>,
    pass: Option<Pass>,
    told: bool,
}

impl Running {
    pub(super) fn new(
        tenant: Arc<Tenant>,
        front: Front,
        tool: &'static str,
        arguments: &Value,
        pass: Pass,
    ) -> Self {
        Self {
            tenant,
            front,
            tool,
            arguments: audit::arguments(arguments),
            started: Instant::now(),
            bill: Arc::default(),
            pass: Some(pass),
            told: false,
        }
    }

    /// Where the call's operations write down what they cost: what stands there is the cost of a
    /// call that fails or is left before its end.
    pub fn bill(&self) -> Arc<Bill> {
        Arc::clone(&self.bill)
    }

    /// It failed, at the cost on its bill.
    pub fn failed(self, error: &Error) {
        let envelope = Envelope { cost: self.bill.cost(), ..Envelope::default() };
        self.ended(&envelope, Some(error));
    }

    /// It ended: with an answer that is worth this much, or without one at this cost. Whoever sends
    /// the answer keeps the pass until it is sent: an answer that nobody reads is one in memory.
    pub fn ended(mut self, envelope: &Envelope, error: Option<&Error>) -> Option<Pass> {
        let stops = [Reason::Deadline, Reason::Budget];
        let stopped = match error {
            Some(error) => matches!(error.kind(), Kind::Deadline | Kind::Budget),
            None => envelope.incomplete.iter().any(|lack| stops.contains(&lack.reason)),
        };
        let outcome = match error {
            Some(error) => kind_name(error.kind()),
            None if envelope.complete => "complete",
            None => "partial",
        };
        self.tell(outcome, envelope.cost, stopped);
        self.pass.take()
    }

    /// It ended, and what it cost is what its bill says.
    pub fn done(self, done: Result<(), &Error>) {
        let complete = done.is_ok();
        let envelope = Envelope { complete, cost: self.bill.cost(), ..Envelope::default() };
        self.ended(&envelope, done.err());
    }

    fn tell(&mut self, outcome: &'static str, cost: Cost, stopped: bool) {
        self.told = true;
        let took = self.started.elapsed();
        tell(&self.tenant, self.front, self.tool, &self.arguments, took, (outcome, cost, stopped));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.told {
            let cost = self.bill.cost();
            self.tell("cancelled", cost, false);
        }
    }
}

/// Counts and logs a call that was not let in.
pub(super) fn refused(tenant: &Tenant, front: Front, tool: &'static str, arguments: &Value) {
    let arguments = audit::arguments(arguments);
    let how = ("rate-limited", Cost::default(), false);
    tell(tenant, front, tool, &arguments, Duration::ZERO, how);
}

fn tell(
    tenant: &Tenant,
    front: Front,
    tool: &'static str,
    arguments: &Value,
    took: Duration,
    (outcome, cost, stopped): (&'static str, Cost, bool),
) {
    let name = tenant.name();
    let log = tenant.log();
    log.metrics.count(&Ended { tenant: name, tool, outcome, took, cost, stopped });
    let now = tenant.wall_clock();
    let line = Line {
        time: utc(i64::try_from(now.as_millis()).unwrap_or(i64::MAX)),
        tenant: name,
        front: front.as_str(),
        tool,
        arguments,
        outcome,
        cost,
        elapsed_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    };
    log.audit.write(&line);
}

/// The name of a kind as JSON has it.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidPath => "invalid-path",
        Kind::InvalidPattern => "invalid-pattern",
        Kind::InvalidArgument => "invalid-argument",
        Kind::Config => "config",
        Kind::NotFound => "not-found",
        Kind::NoIndex => "no-index",
        Kind::WrongType => "wrong-type",
        Kind::NoBucket => "no-bucket",
        Kind::Credentials => "credentials",
        Kind::Forbidden => "forbidden",
        Kind::Changed => "changed",
        Kind::Archived => "archived",
        Kind::TooLarge => "too-large",
        Kind::Undecodable => "undecodable",
        Kind::Unavailable => "unavailable",
        Kind::Deadline => "deadline",
        Kind::Budget => "budget",
        Kind::Protocol => "protocol",
        Kind::Cancelled => "cancelled",
        Kind::Io => "io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_in_json() {
        for kind in [
            Kind::InvalidPath,
            Kind::NotFound,
            Kind::NoIndex,
            Kind::TooLarge,
            Kind::NoBucket,
            Kind::Io,
        ] {
            assert_eq!(serde_json::to_value(kind).expect("JSON"), kind_name(kind));
        }
    }
}
