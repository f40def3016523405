//! A bucket without the files of the index that is published in it.
//!
//! Leaving those files out wherever a listing is used forgets one place and shows the index's own
//! bytes in a search. [`Veil`] stands between the tree and its bucket, where every page passes: it
//! hides exactly what a valid manifest names, and whoever asked is told how many that were.

use std::{collections::HashSet, sync::Arc};

use super::{Op, Vfs, index::RESERVED};
use crate::{
    bucket::{Bucket, BucketId, Call, GetRequest, Got, ListPage, ListRequest, Object, Pages},
    error::Result,
    platform::BoxFuture,
};

/// Pages under [`RESERVED`] that are looked through before a directory that may be hidden is
/// shown: an index has few files.
const PAGES: usize = 8;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Veil {
    pub(super) bucket: Arc<dyn Bucket>,
    pub(super) vfs: Vfs,
    pub(super) op: Op,
    pub(super) mount: usize,
}

impl Veil {
    async fn lift(&self, call: &Call, mut page: ListPage) -> Result<ListPage> {
        let listed = page.objects.iter().any(|object| object.key.starts_with(RESERVED));
        let folded = page.prefixes.iter().any(|prefix| prefix == RESERVED);
        if !listed && !folded {
            return Ok(page);
        }
        let manifest = page.objects.iter().find(|object| is_manifest(&object.key));
        if let Some(Object { etag, .. }) = manifest {
            self.vfs.lists_manifest(&self.op, self.mount, etag).await;
        }
        let keys = page.objects.iter().map(|object| object.key.as_str());
        let keys: Vec<&str> = keys.filter(|key| key.starts_with(RESERVED)).collect();
        let names = self.vfs.reserved(&self.op, self.mount, &keys).await;
        let hidden = page.objects.extract_if(.., |object| names.contains(&object.key));
        self.op.reserves(self.mount, hidden.map(|object| object.key));
        if folded && !names.is_empty() && self.holds_only(call, &names).await? {
            page.prefixes.retain(|prefix| prefix != RESERVED);
        }
        Ok(page)
    }

    /// Whether everything under [`RESERVED`] is one of `names`.
    async fn holds_only(&self, call: &Call, names: &HashSet<String>) -> Result<bool> {
        let request = ListRequest { prefix: RESERVED.to_owned(), ..ListRequest::default() };
        let mut pages = Pages::new(self.bucket.clone(), call.clone(), request);
        let mut hidden = Vec::new();
        for _ in 0..PAGES {
            let Some(page) = pages.next().await? else {
                self.op.reserves(self.mount, hidden.into_iter());
                return Ok(true);
            };
            let strange = page.objects.iter().any(|object| !names.contains(&object.key));
            if strange || !page.unaddressable.is_empty() {
                return Ok(false);
            }
            hidden.extend(page.objects.into_iter().map(|object| object.key));
        }
        Ok(false)
    }
}

fn is_manifest(key: &str) -> bool {
    key.strip_prefix(RESERVED) == Some(r2vfs_index::manifest::NAME)
}

impl Bucket for Veil {
    fn id(&self) -> BucketId {
        self.bucket.id()
    }

    fn worth_disk_cache(&self) -> bool {
        self.bucket.worth_disk_cache()
    }

    fn trusts(&self, object: &Object) -> bool {
        self.bucket.trusts(object)
    }

    fn list(&self, call: &Call, mut request: ListRequest) -> BoxFuture<'_, Result<ListPage>> {
        // The few keys that were asked for may be those that are hidden.
        let meets = request.prefix.starts_with(RESERVED) || RESERVED.starts_with(&request.prefix);
        request.max_keys = request.max_keys.filter(|_| !meets);
        let call = call.clone();
        Box::pin(async move {
            let page = self.bucket.list(&call, request).await?;
            self.lift(&call, page).await
        })
    }

    fn get(&self, call: &Call, request: GetRequest) -> BoxFuture<'_, Result<Got>> {
        self.bucket.get(call, request)
    }

    fn peek(
        &self,
        call: &Call,
        key: &str,
        max: u64,
    ) -> BoxFuture<'_, Result<Option<(Object, bytes::Bytes)>>> {
        self.bucket.peek(call, key, max)
    }
}
