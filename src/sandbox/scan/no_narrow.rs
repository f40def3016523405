//! A scan without an index: every object is searched in its bucket.

use super::{super::answer::IndexUse, ScanRequest};
use crate::{
    error::Result,
    vfs::{Content, Entry, Op, Vfs},
};

/// See `narrow.rs`.
#[derive(Debug)]
pub(super) enum Verdict {
    LeaveOut(Option<u64>),
    Search(From),
}

/// See `narrow.rs`.
#[derive(Clone, Debug)]
pub(super) enum From {
    Bucket,
}

impl From {
    pub(super) async fn content(&self, _: &Vfs, _: &Op, _: &Entry) -> Option<Content> {
        None
    }
}

/// See `narrow.rs`.
#[derive(Debug)]
pub(super) struct Plan;

impl Plan {
    pub(super) fn of(_: &ScanRequest) -> Self {
        Self
    }
}

pub(super) struct Narrow;

impl Narrow {
    pub(super) fn new(_: &Vfs, _: &Op, _: Plan) -> Self {
        Self
    }

    pub(super) async fn prepare(&mut self, _: &[Entry]) -> Result<()> {
        Ok(())
    }

    pub(super) fn verdict(&mut self, _: &Entry, _: bool) -> Verdict {
        Verdict::Search(From::Bucket)
    }

    pub(super) fn used(&self) -> Option<IndexUse> {
        None
    }

    pub(super) fn is_enough(_: &[(Entry, From)]) -> bool {
        true
    }

    pub(super) async fn warm(&mut self, _: &mut [(Entry, From)]) -> Result<()> {
        Ok(())
    }
}
