//! What tests and benchmarks share: an S3 server on the loopback interface with exact counts and
//! faults on request.
//!
//! ```ignore
//! let server = TestServer::start().await;
//! server.store().put("docs/a.md", "hello");
//! server.faults().add(Rule::gets(Fault::slow_down()).times(2));
//! // … point a client at server.url() …
//! assert_eq!(server.counts().gets, 3);
//! ```

pub(crate) mod counts;
pub(crate) mod faults;
pub(crate) mod kit;
mod protocol;
#[path = "../../benches/proxy.rs"]
pub(crate) mod proxy;
pub(crate) mod server;
pub(crate) mod store;
pub(crate) mod uploads;
pub(crate) mod world;

pub(crate) use counts::{Asked, Kind, Totals};
pub(crate) use faults::{Fault, Quirk, Rule};
pub(crate) use server::{ACCESS_KEY, BUCKET, SECRET_KEY, TestServer};
pub(crate) use store::{Order, Store, Stored};
pub(crate) use world::World;
