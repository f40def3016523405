//! What a served sandbox needs beside its tools: who asks, how much, and a record of it.
//!
//! One sandbox for all customers, with a prefix check in front, keeps their bytes apart until the
//! first path, cursor, cache key or suggestion that nobody thought of. Here each [`Tenant`] has a
//! sandbox of its own (mounts, listings, cache), so that there is nothing shared to leak, and a
//! bearer token leads to exactly one tenant or to none.
//!
//! - [`config`]: the file that lists tenants
//! - [`token`]: bearer tokens, known only by their digests
//! - [`Tenants`]: token to tenant, replaced as a whole on a reload
//! - [`Tenant`]: one customer; [`Tenant::call`] is the one place where a tool is run for a client
//! - [`limits`]: calls a second and calls at a time; [`window`]: what an hour of calls may cost
//! - [`audit`], [`metrics`]: what was called and what it cost

#![expect(
    clippy::disallowed_methods,
    reason = "servers run on tokio and have a clock; only the program has this part"
)]

pub mod audit;
pub mod call;
pub mod config;
pub mod limits;
pub mod metrics;
pub(crate) mod percent;
pub mod tenant;
pub mod tenants;
pub mod token;
pub mod window;

pub use audit::Audit;
pub use call::{Failure, Front, Running};
pub use config::Config;
pub use limits::Pass;
pub use metrics::Metrics;
pub use tenant::{Tenant, TenantOptions};
pub use tenants::{Open, Tenants};
pub use token::TokenDigest;
pub use window::{Window, WindowLimits};
