//! Bearer tokens.
//!
//! A file of tokens is a file of passwords: whoever reads a backup can be every customer. The
//! file holds only [`TokenDigest`]s. A token is 32 random bytes, so a plain SHA-256 is enough:
//! there is no dictionary to run through, which is all that a slow hash would slow down.

use std::{fmt, fs::File, io::Read};

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::error::{Error, Kind, Result};

/// What every token begins with, so that scanners for leaked secrets can know one.
const PREFIX: &str = "r2vfs_";

/// Bytes of randomness in a token.
const RANDOM: usize = 32;

/// What a digest begins with in a configuration file.
const ALGORITHM: &str = "sha256:";

/// A longer token is not hashed: none of ours is, and hashing costs.
const MAX_TOKEN: usize = 512;

/// The SHA-256 of a token's text, as `printf %s TOKEN | sha256sum` gives it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenDigest([u8; 32]);

impl fmt::Debug for TokenDigest {
    /// Not even the digest: what is printed ends in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

impl fmt::Display for TokenDigest {
    /// As in a configuration file: `sha256:` and 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALGORITHM)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TokenDigest {
    /// The digest of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads what `Display` writes.
    ///
    /// # Errors
    /// [`Kind::Config`] for anything else; the text is not repeated, as it may be a token that
    /// was put in the place of its digest.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(Kind::Config, "this is not the digest of a token")
                .hint("write sha256: and 64 hexadecimal digits, as `r2vfs token new` prints them")
        };
        let digits = text.strip_prefix(ALGORITHM).ok_or_else(wrong)?;
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut digest = [0; 32];
        for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(digest))
    }

    /// Which of `known` is the digest of the token that was presented. The time it takes depends
    /// on how many there are, not on which one it is, nor on whether it is any.
    pub fn find<'k>(
        presented: &str,
        known: impl Iterator<Item = &'k TokenDigest>,
    ) -> Option<usize> {
        let digest = match presented.len() {
            ..=MAX_TOKEN => Self::of(presented),
            _ => Self::of(""),
        };
        let (mut found, mut place) = (Choice::from(0), 0_u64);
        for (at, one) in (0_u64..).zip(known) {
            let same = one.0.ct_eq(&digest.0);
            place.conditional_assign(&at, same);
            found |= same;
        }
        // Nobody has the empty token: a configuration with its digest is refused.
        usize::try_from(place).ok().filter(|_| bool::from(found))
    }

    /// Whether this is the digest of no token at all.
    pub(super) fn is_of_nothing(&self) -> bool {
        *self == Self::of("")
    }
}

/// A new token and its digest.
///
/// # Errors
/// [`Kind::Io`] where the system gives no random bytes.
pub fn new() -> Result<(String, TokenDigest)> {
    let mut random = [0; RANDOM];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random)).map_err(
        |error| {
            Error::new(Kind::Io, format!("the system gives no random bytes: {error}"))
                .because(error)
                .hint("make the token on a system with /dev/urandom")
        },
    )?;
    let mut token = PREFIX.to_owned();
    token.extend(random.iter().map(|byte| format!("{byte:02x}")));
    let digest = TokenDigest::of(&token);
    Ok((token, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_sha256sum_prints() {
        // printf %s abc | sha256sum
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(TokenDigest::of("abc").to_string(), abc);
        assert_eq!(TokenDigest::parse(abc).ok(), Some(TokenDigest::of("abc")));
        for wrong in ["", "abc", "sha256:", &abc[..70], &format!("{abc}0"), &abc.replace("ba", "ä")]
        {
            assert!(TokenDigest::parse(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn tokens_differ_and_only_the_right_one_is_found() {
        let (first, a) = new().expect("random bytes");
        let (second, b) = new().expect("random bytes");
        assert!(first != second && first.len() == PREFIX.len() + 64);
        let known = [a, b];
        assert_eq!(TokenDigest::find(&first, known.iter()), Some(0));
        assert_eq!(TokenDigest::find(&second, known.iter()), Some(1));
        for forged in
            ["", "r2vfs_", &first[..first.len() - 1], &format!("{first} "), &a.to_string()]
        {
            assert_eq!(TokenDigest::find(forged, known.iter()), None, "{forged}");
        }
        assert_eq!(TokenDigest::find(&"x".repeat(1 << 20), known.iter()), None);
    }
}
