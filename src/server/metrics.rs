//! What was called and what it cost, for Prometheus.
//!
//! Labels that clients choose (a path, a tool name, a user agent) grow without bound. Here they
//! are tenants of the configuration, tools of the table, and outcomes of a fixed list.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::bucket::Cost;

/// Upper bounds of the latency buckets, in milliseconds: from a cached read to a scan that uses
/// all of its default 20 s.
const BOUNDS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000, 30_000];

/// Counters of one server.
#[derive(Debug, Default)]
pub struct Metrics {
    series: Mutex<BTreeMap<(String, &'static str), Series>>,
    /// Requests with no token or a wrong one.
    pub unauthorized: AtomicU64,
    /// Connections that are open now.
    pub connections: AtomicI64,
    /// Connections that were closed because there were too many.
    pub shed: AtomicU64,
    /// Lines of the audit log that could not be written.
    pub audit_failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Series {
    outcomes: BTreeMap<&'static str, u64>,
    latency: [u64; BOUNDS.len()],
    calls: u64,
    seconds: f64,
    cost: Cost,
    stops: u64,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'e> {
    /// The tenant's name.
    pub tenant: &'e str,
    /// The tool's name, or `object`, `resource`.
    pub tool: &'static str,
    /// `complete`, `partial`, `cancelled`, `rate-limited`, or the kind of an error.
    pub outcome: &'static str,
    /// From its start to its end.
    pub took: Duration,
    /// Requests and bytes.
    pub cost: Cost,
    /// Its deadline or its budget ended it.
    pub stopped: bool,
}

impl Metrics {
    /// Counts a call.
    pub fn count(&self, ended: &Ended<'_>) {
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let one = all.entry((ended.tenant.to_owned(), ended.tool)).or_default();
        *one.outcomes.entry(ended.outcome).or_default() += 1;
        let ms = u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX);
        for (count, bound) in one.latency.iter_mut().zip(BOUNDS) {
            *count += u64::from(ms <= bound);
        }
        one.calls += 1;
        one.seconds += ended.took.as_secs_f64();
        one.cost.list_requests += ended.cost.list_requests;
        one.cost.get_requests += ended.cost.get_requests;
        one.cost.bytes_fetched += ended.cost.bytes_fetched;
        one.cost.cache_hits += ended.cost.cache_hits;
        one.cost.retries += ended.cost.retries;
        one.stops += u64::from(ended.stopped);
    }

    /// Everything in the Prometheus text format, version 0.0.4.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        header(out, "r2vfs_calls_total", "counter", "Calls by how they ended")?;
        for ((tenant, tool), one) in &*all {
            for (outcome, count) in &one.outcomes {
                let labels = format!("tenant=\"{tenant}\",tool=\"{tool}\",outcome=\"{outcome}\"");
                writeln!(out, "r2vfs_calls_total{{{labels}}} {count}")?;
            }
        }
        header(out, "r2vfs_call_seconds", "histogram", "How long calls took")?;
        for ((tenant, tool), one) in &*all {
            let labels = format!("tenant=\"{tenant}\",tool=\"{tool}\"");
            for (count, bound) in one.latency.iter().zip(BOUNDS) {
                let le = bound as f64 / 1000.0;
                writeln!(out, "r2vfs_call_seconds_bucket{{{labels},le=\"{le}\"}} {count}")?;
            }
            writeln!(out, "r2vfs_call_seconds_bucket{{{labels},le=\"+Inf\"}} {}", one.calls)?;
            writeln!(out, "r2vfs_call_seconds_sum{{{labels}}} {}", one.seconds)?;
            writeln!(out, "r2vfs_call_seconds_count{{{labels}}} {}", one.calls)?;
        }
        let counters: [Counter; 6] = [
            ("r2vfs_list_requests_total", "List requests sent", |s| s.cost.list_requests),
            ("r2vfs_get_requests_total", "Get requests sent", |s| s.cost.get_requests),
            ("r2vfs_fetched_bytes_total", "Bytes of objects received", |s| s.cost.bytes_fetched),
            ("r2vfs_cache_hits_total", "Blocks that a cache answered", |s| s.cost.cache_hits),
            ("r2vfs_retries_total", "Requests that repeated a failed one", |s| s.cost.retries),
            ("r2vfs_budget_stops_total", "Calls that time or budget ended", |s| s.stops),
        ];
        for (name, help, value) in counters {
            header(out, name, "counter", help)?;
            for ((tenant, tool), one) in &*all {
                let value = value(one);
                writeln!(out, "{name}{{tenant=\"{tenant}\",tool=\"{tool}\"}} {value}")?;
            }
        }
        drop(all);
        header(out, "r2vfs_connections", "gauge", "Connections open now")?;
        writeln!(out, "r2vfs_connections {}", self.connections.load(Relaxed))?;
        let plain = [
            ("r2vfs_connections_shed_total", "Connections closed for want of room", &self.shed),
            ("r2vfs_unauthorized_total", "Requests without a good token", &self.unauthorized),
            ("r2vfs_audit_failures_total", "Audit lines not written", &self.audit_failures),
        ];
        for (name, help, value) in plain {
            header(out, name, "counter", help)?;
            writeln!(out, "{name} {}", value.load(Relaxed))?;
        }
        Ok(())
    }
}

/// A name, what it counts, and where it is.
type Counter = (&'static str, &'static str, fn(&Series) -> u64);

fn header(out: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(out, "# HELP {name} {help}.")?;
    writeln!(out, "# TYPE {name} {kind}")
}
