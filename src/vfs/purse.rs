//! A bucket that asks the operation before it sends anything.
//!
//! Checking a budget wherever work is done refuses work that is free: what a cache or a kept
//! listing answers costs nothing. [`Purse`] stands between an operation and its bucket, where
//! every request passes and nothing else does.

use std::sync::Arc;

use bytes::Bytes;

use super::{Op, Vfs};
use crate::{
    bucket::{Bucket, BucketId, Call, GetRequest, Got, ListPage, ListRequest, Object},
    error::Result,
    platform::BoxFuture,
};

#[derive(Debug)]
struct Purse {
    bucket: Arc<dyn Bucket>,
    op: Op,
}

impl Vfs {
    /// The bucket of `mount` for `op`: it sends only what the budget allows.
    pub(super) fn bucket_for(&self, op: &Op, mount: usize) -> Arc<dyn Bucket> {
        let bucket = self.purse(op, self.bucket(mount).clone());
        #[cfg(feature = "index")]
        let bucket =
            Arc::new(super::veil::Veil { bucket, vfs: self.clone(), op: op.clone(), mount });
        bucket
    }

    /// The same for any bucket.
    pub(super) fn purse(&self, op: &Op, bucket: Arc<dyn Bucket>) -> Arc<dyn Bucket> {
        match (op.budget.requests, op.budget.bytes) {
            (None, None) => bucket,
            _ => Arc::new(Purse { bucket, op: op.clone() }),
        }
    }
}

impl Bucket for Purse {
    fn id(&self) -> BucketId {
        self.bucket.id()
    }

    fn worth_disk_cache(&self) -> bool {
        self.bucket.worth_disk_cache()
    }

    fn trusts(&self, object: &Object) -> bool {
        self.bucket.trusts(object)
    }

    fn list(&self, call: &Call, request: ListRequest) -> BoxFuture<'_, Result<ListPage>> {
        match self.op.allow_request() {
            Ok(()) => self.bucket.list(call, request),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn get(&self, call: &Call, request: GetRequest) -> BoxFuture<'_, Result<Got>> {
        match self.op.allow_request() {
            Ok(()) => self.bucket.get(call, request),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn peek(
        &self,
        call: &Call,
        key: &str,
        max: u64,
    ) -> BoxFuture<'_, Result<Option<(Object, Bytes)>>> {
        match self.op.allow_request() {
            Ok(()) => self.bucket.peek(call, key, max),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}
