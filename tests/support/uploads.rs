//! Multipart uploads under way: parts wait here until they are made into one object.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use md5::{Digest, Md5};

use super::store::{Stored, hex};

/// The least length of a part that is not the last, as S3 documents it.
pub(crate) const LEAST_PART: usize = 5 << 20;

/// One upload.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) begun: SystemTime,
    pub(super) content_type: Option<String>,
    parts: BTreeMap<i32, Bytes>,
}

/// The uploads of one server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uploads(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    open: BTreeMap<String, Upload>,
    begun: u64,
}

impl Uploads {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, bucket: &str, key: &str, content_type: Option<String>) -> String {
        let mut state = self.lock();
        state.begun += 1;
        let id = format!("upload-{}", state.begun);
        let upload = Upload {
            bucket: bucket.into(),
            key: key.into(),
            begun: SystemTime::now(),
            content_type,
            parts: BTreeMap::new(),
        };
        state.open.insert(id.clone(), upload);
        id
    }

    /// The part's ETag; `None` for no such upload.
    pub(super) fn part(&self, id: &str, key: &str, number: i32, bytes: Bytes) -> Option<String> {
        let mut state = self.lock();
        let upload = state.open.get_mut(id).filter(|upload| upload.key == key)?;
        let etag = hex(&Md5::digest(&bytes));
        upload.parts.insert(number, bytes);
        Some(etag)
    }

    /// The object made of these parts, and the upload is over.
    ///
    /// # Errors
    /// The code that S3 answers with; the upload stays.
    pub(super) fn complete(
        &self,
        id: &str,
        key: &str,
        named: &[(i32, String)],
    ) -> Result<Stored, &'static str> {
        let mut state = self.lock();
        let upload = state.open.get(id).filter(|upload| upload.key == key).ok_or("NoSuchUpload")?;
        if named.is_empty() || !named.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("InvalidPartOrder");
        }
        let (mut whole, mut digests) = (Vec::new(), Vec::new());
        for (at, (number, etag)) in named.iter().enumerate() {
            let part = upload.parts.get(number).ok_or("InvalidPart")?;
            let digest = Md5::digest(part);
            if hex(&digest) != *etag {
                return Err("InvalidPart");
            }
            if part.len() < LEAST_PART && at + 1 < named.len() {
                return Err("EntityTooSmall");
            }
            whole.extend_from_slice(part);
            digests.extend_from_slice(&digest);
        }
        let etag = format!("{}-{}", hex(&Md5::digest(&digests)), named.len());
        let mut object = Stored::new(whole).etag(&etag);
        object.content_type = upload.content_type.clone().or(object.content_type);
        state.open.remove(id);
        Ok(object)
    }

    /// Whether there was such an upload.
    pub(super) fn abort(&self, id: &str) -> bool {
        self.lock().open.remove(id).is_some()
    }

    /// What is under way, by id.
    pub(super) fn open(&self) -> Vec<(String, Upload)> {
        self.lock().open.iter().map(|(id, upload)| (id.clone(), upload.clone())).collect()
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.lock().open.len()
    }

    /// As if each had begun at `at`.
    pub(crate) fn begun_at(&self, at: SystemTime) {
        self.lock().open.values_mut().for_each(|upload| upload.begun = at);
    }
}
