//! Proves an index: against itself, and on request against the bucket.

use std::{io::Read, pin::pin};

use futures_util::{StreamExt, stream};
use r2vfs_index::{
    FaultKind, bundle::at_once, docs::State, index::DocRef, store::Store, verify::Verified,
};
use serde::Serialize;

use super::{Target, build::utf8, fault::told};
use crate::{
    bucket::{ETag, MAX_GET, Object},
    cache::Use,
    error::{Error, Kind, Result},
    platform::Platform,
    vfs::{Budget, Entry, IndexOptions, MAX_DECODED, Op, Vfs, from_io},
};

/// Objects that are fetched side by side; each is held whole.
const SIDE_BY_SIDE: usize = 8;

/// The longest text that is compared with the bucket: it is held whole.
const LONGEST: usize = 64 << 20;

/// What a proof came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Proof {
    /// Documents of the index, hidden ones too.
    pub documents: u64,
    /// Texts whose n-grams were proven.
    pub texts: u64,
    /// Objects that were fetched and agree.
    pub fetched: u64,
    /// Objects of which the bucket has another version by now, or none.
    pub moved: u64,
    /// Objects that could not be read, or are too long to be held.
    pub passed_over: u64,
    /// What is wrong; nothing, if the index is what it says.
    pub problems: Vec<String>,
}

/// Proves the index of a target; `deep`: fetches each of its objects too.
///
/// # Errors
/// An index that is not there or cannot be opened, and errors that meet every request.
pub async fn verify(
    target: &Target,
    deep: bool,
    budget: Budget,
    platform: &Platform,
) -> Result<Proof> {
    let index = Store::at(&target.dir).open().map_err(told)?;
    let of = index.clone();
    let work = platform
        .blocking(move || at_once(async { Ok(r2vfs_index::verify::verify(&of, |_| {}).await) }));
    let verified = work.await.unwrap_or_else(|| {
        Err(r2vfs_index::Fault::new(FaultKind::Damaged, "reading the index broke down"))
    });
    let mut verified = verified.map_err(told)?;
    let mut proof = Proof::default();
    if deep {
        let vfs = target.vfs(platform, &IndexOptions::default())?;
        let op = vfs.op(budget);
        let docs = index.live().filter(|(_, doc)| {
            !doc.state.has(State::ARCHIVED) && !doc.state.has(State::UNREADABLE)
        });
        let reads = docs.map(|(at, doc)| {
            let object = Object {
                key: doc.key,
                size: doc.size,
                etag: ETag(doc.etag.into()),
                modified: doc.modified,
                archived: false,
            };
            let entry = vfs.entry(0, object);
            let (vfs, op) = (vfs.clone(), op.clone());
            async move { (at, Box::pin(text_of(&vfs, &op, entry)).await) }
        });
        let mut reads = pin!(stream::iter(reads).buffered(SIDE_BY_SIDE));
        while let Some((at, read)) = reads.next().await {
            prove(&mut verified, at, read, &mut proof).await?;
        }
    }
    proof.documents = verified.docs();
    proof.texts = verified.texts();
    proof.problems = verified.problems().iter().map(|fault| fault.detail().to_owned()).collect();
    Ok(proof)
}

async fn prove(
    verified: &mut Verified,
    at: DocRef,
    read: Result<Option<Vec<u8>>>,
    proof: &mut Proof,
) -> Result<()> {
    match read {
        Ok(Some(text)) => match verified.prove(at, &text).await {
            Ok(()) => proof.fetched += 1,
            // It is among the problems.
            Err(fault) if fault.kind() == FaultKind::Damaged => {}
            Err(fault) => return Err(told(fault)),
        },
        Ok(None) => proof.moved += 1,
        Err(error) if super::fetch::ends_everything(error.kind()) => return Err(error),
        Err(error) if error.kind() == Kind::NotFound => proof.moved += 1,
        Err(_) => proof.passed_over += 1,
    }
    Ok(())
}

/// What a search with default options reads of an object; `None` where it is another version.
async fn text_of(vfs: &Vfs, op: &Op, entry: Entry) -> Result<Option<Vec<u8>>> {
    let content = vfs.open(op, entry, Use::Scan, MAX_GET).await?;
    if content.changed {
        return Ok(None);
    }
    let mut chunks = content.stream(false, MAX_DECODED);
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > LONGEST {
            return Err(Error::new(Kind::TooLarge, "it is too long to be compared"));
        }
    }
    let mut text = Vec::new();
    if let Some(mut decoder) = utf8(&bytes) {
        decoder.read_to_end(&mut text).map_err(from_io)?;
        return Ok(Some(text));
    }
    Ok(Some(bytes))
}
