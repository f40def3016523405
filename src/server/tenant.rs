//! One customer: a sandbox, a gate, and where its calls are recorded.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::{
    Audit, Metrics,
    call::{self, Failure, Front, Running},
    config::TenantPlan,
    limits::{Gate, Limits, Pass},
    window::{Window, WindowLimits},
};
use crate::{
    bucket::{Bucket, Permits, Unopened},
    cache::{CacheOptions, DiskOptions},
    config::{self, Settings},
    error::{Error, Kind, Result},
    platform::Platform,
    sandbox::{
        CallOptions, CursorKey, DEFAULT_CHARS, Envelope, Format, SandboxOptions, Tool, ToolOutput,
        VirtualSandbox, get_virtual_sandbox,
    },
    vfs::{Freshness, IndexOptions, Mount},
};

/// Bytes of a customer's patterns, those of a call together: more than anybody writes, and what
/// compiles in a fraction of a second.
const MAX_PATTERN: usize = 64 << 10;

/// Where calls are recorded; the same for all tenants of a server.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Counted.
    pub metrics: Arc<Metrics>,
    /// Written.
    pub audit: Arc<Audit>,
}

/// What tenants have in common: how buckets are reached and where things are kept.
#[derive(Clone, Debug)]
pub struct TenantOptions {
    /// What the environment says.
    pub settings: Settings,
    /// Requests under way at a time, for all tenants together.
    pub permits: Permits,
    /// Clock, tasks, threads.
    pub platform: Platform,
    /// How old a listing may be.
    pub freshness: Freshness,
    /// The directory and the bytes of the disk cache of each tenant.
    pub disk: Option<(PathBuf, u64)>,
    /// Where indexes are looked for.
    pub index: IndexOptions,
    /// What cursors are signed with.
    pub cursor_key: CursorKey,
    /// Where calls are recorded.
    pub log: Log,
}

/// One customer. See the module's head.
#[derive(Debug)]
pub struct Tenant {
    name: String,
    sandbox: VirtualSandbox,
    gate: Gate,
    window: Window,
    /// The most characters of an answer for a model.
    chars: usize,
    /// Somebody else than who runs the server.
    is_customer: bool,
    log: Log,
}

impl Tenant {
    /// A tenant with a sandbox that was made elsewhere: the only one of a local server.
    pub fn new(name: &str, sandbox: VirtualSandbox, limits: Limits, log: Log) -> Self {
        let (gate, window) = (Gate::new(limits), Window::new(WindowLimits::default()));
        let (name, chars) = (name.to_owned(), DEFAULT_CHARS);
        Self { name, sandbox, gate, window, chars, is_customer: false, log }
    }

    /// The same with a bound on what its calls may cost together.
    #[must_use]
    pub fn within(mut self, window: WindowLimits) -> Self {
        self.window = Window::new(window);
        self
    }

    /// Opens the buckets of a plan. One that cannot be opened says so when it is touched, and
    /// `wrong` is told now, for whoever runs the server.
    ///
    /// # Errors
    /// [`Kind::Config`] for mount points that do not fit together.
    pub fn open(
        name: &str,
        plan: &TenantPlan,
        options: &TenantOptions,
        wrong: &mut dyn FnMut(&Error),
    ) -> Result<Self> {
        let mut mounts = Vec::with_capacity(plan.mounts.len());
        let mut worth_a_disk = false;
        for mount in &plan.mounts {
            let settings = options.settings.clone().with(mount.overrides.clone());
            let opened =
                config::open(&mount.location, &settings, &options.permits, &options.platform);
            let bucket: Arc<dyn Bucket> = match opened {
                Ok(bucket) => bucket,
                Err(error) => {
                    let message = format!("tenant {name}: {}: {}", mount.point, error.message());
                    let told = Error::new(error.kind(), message);
                    wrong(&match error.advice() {
                        Some(advice) => told.hint(advice),
                        None => told,
                    });
                    // The client is told that it cannot be read, not how it is set up.
                    Arc::new(Unopened::new(out_of_order()))
                }
            };
            worth_a_disk |= bucket.worth_disk_cache();
            mounts.push(Mount { point: mount.point.clone(), bucket });
        }
        // Blocks are keyed by bucket and version, which two tenants of one bucket share: a hit
        // in another's folder would tell by its speed what that one reads.
        let disk = options.disk.clone().filter(|_| worth_a_disk).map(|(dir, budget)| DiskOptions {
            dir: dir.join("tenants").join(folder(name)),
            budget,
        });
        let sandbox = get_virtual_sandbox(
            mounts,
            options.platform.clone(),
            SandboxOptions {
                cache: CacheOptions { memory: plan.memory_cache, disk },
                freshness: options.freshness,
                index: options.index.clone(),
                budget: plan.budget,
                results: plan.max_results,
                pattern_bytes: Some(MAX_PATTERN),
                tenant: name.to_owned(),
                cursor_key: options.cursor_key.clone(),
                ..SandboxOptions::default()
            },
        )?;
        let tenant = Self::new(name, sandbox, plan.limits, options.log.clone());
        let chars = plan.max_chars.unwrap_or(DEFAULT_CHARS);
        Ok(Self { chars, is_customer: true, ..tenant.within(plan.window) })
    }

    /// Its name in logs and metrics; never told to clients.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its tools, for one call.
    pub fn sandbox(&self) -> VirtualSandbox {
        match self.window.session() {
            Some(session) => self.sandbox.paid_from(session),
            None => self.sandbox.clone(),
        }
    }

    /// The time since 1970, without opening a window of its session as a call does.
    pub(super) fn wall_clock(&self) -> Duration {
        self.sandbox.vfs().platform().wall_clock()
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Lets a request in before it is read.
    ///
    /// # Errors
    /// [`Failure::Busy`].
    pub fn knock(&self) -> Result<(), Failure> {
        self.gate.knock().map_err(|wait| {
            call::refused(self, Front::Http, "request", &Value::Null);
            Failure::Busy(wait)
        })
    }

    /// Lets a call in, for what is no tool.
    ///
    /// # Errors
    /// [`Failure::Busy`].
    pub fn begin(
        self: &Arc<Self>,
        front: Front,
        tool: &'static str,
        arguments: &Value,
    ) -> Result<Running, Failure> {
        match self.gate.enter() {
            Ok(pass) => Ok(Running::new(Arc::clone(self), front, tool, arguments, pass)),
            Err(wait) => {
                call::refused(self, front, tool, arguments);
                Err(Failure::Busy(wait))
            }
        }
    }

    /// Runs a tool for a model: an answer, or an error, that fits its context. Dropping the
    /// future stops it.
    ///
    /// # Errors
    /// [`Failure::Busy`]; what the tool fails with is in the output.
    pub async fn call_text(
        self: &Arc<Self>,
        front: Front,
        tool: &'static Tool,
        arguments: Value,
        format: Format,
    ) -> Result<ToolOutput, Failure> {
        let running = self.begin(front, tool.name, &arguments)?;
        let options = CallOptions { format, chars: self.chars, ..CallOptions::default() };
        let sandbox = self.sandbox().billed(running.bill());
        let mut output = sandbox.call_text(tool.name, arguments, &options).await;
        running.ended(&output.envelope, output.body.as_ref().err());
        output.body = output.body.map_err(|error| self.veiled(error));
        Ok(output)
    }

    /// Runs a tool for a program, which has room for the whole typed answer. Dropping the future
    /// stops it. The pass is kept until the answer is sent.
    ///
    /// # Errors
    /// [`Failure::Busy`], and what the tool fails with.
    pub async fn call(
        self: &Arc<Self>,
        front: Front,
        tool: &'static Tool,
        arguments: Value,
    ) -> Result<(Value, Option<Pass>), Failure> {
        let running = self.begin(front, tool.name, &arguments)?;
        let sandbox = self.sandbox().billed(running.bill());
        let answer = match sandbox.call(tool.name, arguments).await {
            Ok(answer) => answer,
            Err(error) => {
                running.failed(&error);
                return Err(self.veiled(error).into());
            }
        };
        // It is there, and what it is not read as is only missing from the record.
        let envelope = answer.get("envelope").and_then(|told| Envelope::deserialize(told).ok());
        let envelope = envelope.unwrap_or_default();
        let pass = running.ended(&envelope, None);
        Ok((answer, pass))
    }

    /// An error as a customer may see it: how the server reaches a bucket is its operator's
    /// business, who finds the kind in the log. On a pipe the client is the operator.
    pub fn veiled(&self, error: Error) -> Error {
        let is_setup = matches!(
            error.kind(),
            Kind::Config | Kind::Credentials | Kind::NoBucket | Kind::Protocol
        );
        if !self.is_customer || !is_setup {
            return error;
        }
        let told = out_of_order();
        match error.path() {
            Some(path) => told.at(path),
            None => told,
        }
    }

    /// Writes to disk what waits for it.
    pub async fn flush(&self) {
        self.sandbox.vfs().cache().flush().await;
    }
}

fn out_of_order() -> Error {
    Error::new(Kind::Unavailable, "this mount is not available")
        .hint("use another path, and tell whoever runs the server")
}

/// A folder's name for a tenant's: names differ in case, which not every file system keeps apart.
fn folder(name: &str) -> String {
    name.bytes().map(|byte| format!("{byte:02x}")).collect()
}
