//! A listing is a promise of the server's: that pages follow each other, end, and leave no key out.
//!
//! Following `next` until there is none loops for ever on a server that repeats a token, and ends
//! in silence on one that says "truncated" and names no token. [`Pages`] turns both into errors.
//! Keys out of byte order are no error (SeaweedFS lists `foo/x` before `foo-bar`): they are
//! noted, and whoever builds on order sorts.

use std::{collections::HashSet, sync::Arc};

use super::{Bucket, Call, ListPage, ListRequest};
use crate::error::{Error, Kind, Result};

/// Pages with nothing on them that may follow each other. A few are legal (a server that scans a
/// bounded number of deleted entries per page answers so); without a bound, a server that never
/// repeats a token could keep a listing going for ever.
const MAX_EMPTY: u32 = 100;

/// What a listing was seen to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListingNotes {
    /// Pages read.
    pub pages: u64,
    /// Keys that sorted before or equal to the key listed just before them.
    pub out_of_order: u64,
}

/// The pages of one listing, one after another.
#[derive(Debug)]
pub struct Pages {
    bucket: Arc<dyn Bucket>,
    call: Call,
    request: Option<ListRequest>,
    // A server that cycles through several tokens is as endless as one that repeats the last.
    seen: HashSet<u64>,
    last: Option<String>,
    // Empty pages since the last one with something on it.
    empty: u32,
    notes: ListingNotes,
}

impl Pages {
    /// A listing that starts with `request`. Nothing is sent before the first [`next`](Self::next).
    pub fn new(bucket: Arc<dyn Bucket>, call: Call, request: ListRequest) -> Self {
        Self {
            bucket,
            call,
            request: Some(request),
            seen: HashSet::new(),
            last: None,
            empty: 0,
            notes: ListingNotes::default(),
        }
    }

    /// The next page, or `None` after the last one.
    ///
    /// # Errors
    /// [`Kind::Protocol`] when the server breaks the rules of listing, and whatever the request
    /// fails with. After the first the listing is over; what only failed may be asked for again.
    pub async fn next(&mut self) -> Result<Option<ListPage>> {
        let Some(request) = self.request.take() else {
            return Ok(None);
        };
        let page = match self.bucket.list(&self.call, request.clone()).await {
            Ok(page) => page,
            Err(error) => {
                self.request = Some(request);
                return Err(error);
            }
        };
        self.notes.pages += 1;
        for object in &page.objects {
            if self.last.as_deref().is_some_and(|last| last >= object.key.as_str()) {
                self.notes.out_of_order += 1;
            }
            // One allocation is reused for all keys of the listing.
            let last = self.last.get_or_insert_default();
            last.clear();
            last.push_str(&object.key);
        }
        let nothing =
            page.objects.is_empty() && page.prefixes.is_empty() && page.unaddressable.is_empty();
        self.empty = if nothing { self.empty + 1 } else { 0 };
        if self.empty > MAX_EMPTY {
            return Err(broken("it promises more and gives nothing, page after page"));
        }
        match &page.next {
            Some(token) => {
                if !self.seen.insert(xxhash_rust::xxh3::xxh3_64(token.as_bytes())) {
                    return Err(broken("it gave the same continuation token twice"));
                }
                self.request = Some(ListRequest { token: Some(token.clone()), ..request });
            }
            None if page.truncated => {
                return Err(broken("a page is cut short and names no continuation token"));
            }
            None => {}
        }
        Ok(Some(page))
    }

    /// What was seen so far.
    pub fn notes(&self) -> ListingNotes {
        self.notes
    }
}

fn broken(what: &str) -> Error {
    Error::new(Kind::Protocol, format!("the listing cannot be trusted: {what}"))
        .hint("the server breaks the S3 protocol; try again, and report it to whoever runs it")
}
