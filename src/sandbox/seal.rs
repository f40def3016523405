//! What keeps a cursor from being made up or carried over.
//!
//! A cursor goes through the hands of a model and comes back; a plain one can be edited into a
//! place that was never given out, or be tried in another tenant's sandbox. A [`Seal`] signs it
//! with HMAC-SHA-256 over the tenant and what is mounted, which are never written in it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::vfs::Mount;

/// Bytes of a signature: 128 bits, half of what HMAC-SHA-256 gives.
const TAG: usize = 16;

/// The secret that cursors are signed with.
///
/// The default is known to everybody: enough where the caller owns the sandbox (a program, the
/// command line), which can read everything in it anyway, and cursors then outlive the process.
/// A server hands in a secret of its own, configured or random.
#[derive(Clone)]
pub struct CursorKey([u8; 32]);

impl CursorKey {
    /// The key that a secret of any length stands for. It should hold 16 random bytes or more.
    pub fn new(secret: &[u8]) -> Self {
        Self(
            Sha256::new_with_prefix(b"r2vfs cursor key 1\0").chain_update(secret).finalize().into(),
        )
    }
}

impl Default for CursorKey {
    fn default() -> Self {
        Self::new(b"")
    }
}

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey(…)")
    }
}

/// Signs for one tenant and its mounts. Cheap to clone.
#[derive(Clone)]
pub(super) struct Seal(Hmac<Sha256>);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    pub(super) fn new(key: &CursorKey, tenant: &str, mounts: &[Mount]) -> Self {
        // A key of the hash's own block size or less is always taken.
        let mut mac = Hmac::<Sha256>::new(&key.0.into_block());
        let mut field = |bytes: &[u8]| {
            mac.update(&(bytes.len() as u64).to_le_bytes());
            mac.update(bytes);
        };
        field(tenant.as_bytes());
        for mount in mounts {
            field(mount.point.as_bytes());
            field(&mount.bucket.id().0.to_le_bytes());
        }
        Self(mac)
    }

    /// A digest of a query that nobody without the key can find a second query for.
    pub(super) fn query(&self, tool: &str, arguments: &str) -> [u8; 8] {
        let mut mac = self.0.clone();
        mac.update(b"query\0");
        mac.update(tool.as_bytes());
        mac.update(b"\0");
        mac.update(arguments.as_bytes());
        let tag = mac.finalize().into_bytes();
        let mut query = [0; 8];
        query.copy_from_slice(&tag[..8]);
        query
    }

    fn place(&self, payload: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(b"place\0");
        mac.update(payload);
        mac
    }

    /// `payload` with its signature, as text of letters, digits, `-` and `_`.
    pub(super) fn close(&self, payload: &[u8]) -> String {
        let tag = self.place(payload).finalize().into_bytes();
        to_text(&[payload, &tag[..TAG]].concat())
    }

    /// The payload of what [`close`](Self::close) gave for this tenant and these mounts.
    pub(super) fn open(&self, text: &str) -> Option<Vec<u8>> {
        let mut bytes = from_text(text)?;
        let tag = bytes.split_off(bytes.len().checked_sub(TAG)?);
        self.place(&bytes).verify_truncated_left(&tag).ok()?;
        Some(bytes)
    }
}

trait IntoBlock {
    fn into_block(self) -> hmac::digest::Key<Hmac<Sha256>>;
}

impl IntoBlock for [u8; 32] {
    fn into_block(self) -> hmac::digest::Key<Hmac<Sha256>> {
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..32].copy_from_slice(&self);
        block
    }
}

/// Base 64 with the letters of URLs (RFC 4648 section 5), without padding.
fn to_text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Only what [`to_text`] writes: one text for one sequence of bytes.
fn from_text(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seal(secret: &[u8], tenant: &str) -> Seal {
        Seal::new(&CursorKey::new(secret), tenant, &[])
    }

    #[test]
    fn base_64_as_in_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")]
        {
            assert_eq!(to_text(bytes.as_bytes()), text);
            assert_eq!(from_text(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(from_text("Zh"), None, "not what is written for `f`");
        assert_eq!(from_text("Z"), None);
        assert_eq!(from_text("Zg=="), None);
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", CursorKey::new(b"secret")), "CursorKey(…)");
    }

    proptest! {
        #[test]
        fn only_the_same_key_and_tenant_open_it(
            payload in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            flip in 1u8..=255,
        ) {
            let own = seal(b"one", "tenant");
            let text = own.close(&payload);
            prop_assert_eq!(own.open(&text), Some(payload.clone()));
            prop_assert_eq!(seal(b"two", "tenant").open(&text), None);
            prop_assert_eq!(seal(b"one", "tenant2").open(&text), None);
            let mut bytes = from_text(&text).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_eq!(own.open(&to_text(&bytes)), None);
        }
    }
}
