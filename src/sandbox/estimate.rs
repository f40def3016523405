//! What a scan would cost, before anything is read.
//!
//! The bytes of a listing times a price say little: a request costs the same for one byte as for
//! eight million, and large objects take many. [`Estimate`] counts the requests that the scan
//! itself would send, by the same ranges, in the classes that object stores charge by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bucket::{MAX_GET, Object},
    vfs::STEP,
};

/// What a scan would cost with nothing in the cache and no match that ends it early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// Objects that would be searched.
    pub objects: u64,
    /// Bytes that would be fetched.
    pub bytes: u64,
    /// List requests (class A), as many as the estimate itself has sent.
    pub list_requests: u64,
    /// Get requests (class B).
    pub get_requests: u64,
}

impl Estimate {
    /// One more object is searched, with bytes from the bucket or from an index that has them.
    pub(super) fn count(&mut self, object: &Object, from_bucket: bool) {
        self.objects += 1;
        if from_bucket {
            self.bytes += object.size;
            self.get_requests += gets(object.size);
        }
    }
}

/// Gets that reading an object whole takes: the first range, then steps.
fn gets(size: u64) -> u64 {
    match size {
        0 => 0,
        1..=MAX_GET => 1,
        _ => 1 + (size - MAX_GET).div_ceil(STEP),
    }
}
