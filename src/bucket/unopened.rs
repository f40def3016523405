//! A mount whose bucket could not be opened.
//!
//! Failing the whole tree for one wrong mount hides the others, and leaving the mount out hides
//! that it is wrong. [`Unopened`] stands in its place and answers whatever is asked of it with the
//! error that the opening failed with.

use bytes::Bytes;

use super::{Bucket, BucketId, Call, GetRequest, Got, ListPage, ListRequest, Object};
use crate::{
    error::{Error, Result},
    platform::BoxFuture,
};

/// A bucket that only says why it is none. See the module's head.
#[derive(Clone, Debug)]
pub struct Unopened(Error);

impl Unopened {
    /// `error` is what the opening failed with.
    pub fn new(error: Error) -> Self {
        Self(error)
    }
}

impl Bucket for Unopened {
    fn id(&self) -> BucketId {
        BucketId::of(&["unopened"])
    }

    fn worth_disk_cache(&self) -> bool {
        false
    }

    fn trusts(&self, _: &Object) -> bool {
        false
    }

    fn list(&self, _: &Call, _: ListRequest) -> BoxFuture<'_, Result<ListPage>> {
        Box::pin(std::future::ready(Err(self.0.clone())))
    }

    fn get(&self, _: &Call, _: GetRequest) -> BoxFuture<'_, Result<Got>> {
        Box::pin(std::future::ready(Err(self.0.clone())))
    }

    fn peek(&self, _: &Call, _: &str, _: u64) -> BoxFuture<'_, Result<Option<(Object, Bytes)>>> {
        Box::pin(std::future::ready(Err(self.0.clone())))
    }
}
