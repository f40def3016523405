//! `stat`: what is at a path.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Envelope, VirtualSandbox, close};
use crate::{
    error::Result,
    tree::Report,
    vfs::{Budget, Entry, Op, Stat},
};

/// Arguments of `stat`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatArgs {
    /// File or directory.
    pub path: String,
    /// List everything below and count what is reachable.
    #[serde(default)]
    #[schemars(extend("x-hidden" = true))]
    pub report: bool,
}

/// Answer of `stat`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatResult {
    /// Canonical path; a directory's ends in `/`.
    pub path: String,
    /// `file` or `directory`.
    pub kind: String,
    /// Bytes as stored; files only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Milliseconds since the Unix epoch; files only, where the store tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// The version; files only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// A file and a directory of this name exist side by side.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub also_dir: bool,
    /// `Content-Type`, where a read has shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Lines of the file, where a read has counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// Whether an index holds it in this version, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indexed: Option<bool>,
    /// The object must be restored before it can be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// With `report`: counts by mount.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub report: BTreeMap<String, Report>,
}

impl VirtualSandbox {
    /// What is at a path.
    ///
    /// # Errors
    /// [`NotFound`](crate::Kind::NotFound) with the nearest names, and what listing fails with.
    pub async fn stat(&self, args: StatArgs) -> Result<Answer<StatResult>> {
        let op = self.op(Budget::default());
        let mut result = match self.vfs.stat(&op, &args.path).await? {
            Stat::File { entry, also_dir } => {
                let (content_type, lines) = self.vfs.seen(&entry);
                let indexed = self.indexed(&op, &entry).await;
                StatResult {
                    path: entry.path,
                    kind: "file".to_owned(),
                    size: Some(entry.object.size),
                    modified: entry.object.modified,
                    etag: Some(entry.object.etag.0.into()),
                    also_dir,
                    content_type,
                    lines,
                    indexed,
                    archived: entry.object.archived,
                    report: BTreeMap::new(),
                }
            }
            Stat::Dir(path) => StatResult {
                path,
                kind: "directory".to_owned(),
                size: None,
                modified: None,
                etag: None,
                also_dir: false,
                content_type: None,
                lines: None,
                indexed: None,
                archived: false,
                report: BTreeMap::new(),
            },
        };
        let mut envelope = Envelope { matched: 1, ..Envelope::default() };
        if args.report {
            result.report = self.vfs.report(&op, &args.path).await?.into_iter().collect();
            envelope.listed = result.report.values().map(|report| report.listed).sum();
        }
        close(&mut envelope, &self.vfs, &op);
        Ok(Answer { result, envelope })
    }

    /// Whether the index of its mount holds `entry` in this version, where that can be known
    /// without a request.
    #[cfg(feature = "index")]
    async fn indexed(&self, op: &Op, entry: &Entry) -> Option<bool> {
        if !self.vfs.index_is_near(entry.mount) {
            return None;
        }
        let view = self.vfs.index(op, entry.mount).await?;
        let found = view.index.find(&entry.object.key);
        Some(found.is_some_and(|(_, doc)| *doc.etag == *entry.object.etag.0))
    }

    #[cfg(not(feature = "index"))]
    #[expect(clippy::unused_async, reason = "the build with an index waits here")]
    async fn indexed(&self, _: &Op, _: &Entry) -> Option<bool> {
        None
    }
}
