//! Numbers and strings as an index's files hold them.
//!
//! Slicing a buffer by lengths that the buffer itself names is how a damaged file makes a reader
//! panic or allocate. A [`Decoder`] hands out nothing that is not there and never allocates.

use crate::fault::{Fault, FaultKind, Result};

/// Appends `value` in groups of seven bits, the lowest first: 1 to 10 bytes.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `bytes` behind their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Folds a signed number so that small ones of both signs stay small as a varint.
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Undoes [`zigzag`].
pub fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Reads from the front of a slice. Every fault names the thing that was being read.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Decoder<'a> {
    /// Over `bytes`, which are `what` (for a fault's text: "the documents table").
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// A fault that says what is damaged and how.
    pub fn damaged(&self, how: &str) -> Fault {
        Fault::new(FaultKind::Damaged, format!("{} of the index is damaged: {how}", self.what))
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// Damaged when there are fewer.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.damaged("it ends too early"));
        };
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// Damaged when there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.damaged("it ends too early"));
        };
        self.rest = rest;
        Ok(*head)
    }

    /// One byte.
    ///
    /// # Errors
    /// Damaged when there is none.
    pub fn byte(&mut self) -> Result<u8> {
        let [byte] = self.array::<1>()?;
        Ok(byte)
    }

    /// A little-endian number of four bytes.
    ///
    /// # Errors
    /// Damaged when there are fewer.
    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A little-endian number of eight bytes.
    ///
    /// # Errors
    /// Damaged when there are fewer.
    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// What [`put_varint`] wrote.
    ///
    /// # Errors
    /// Damaged when it ends early or does not fit 64 bits.
    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.damaged("a number is too long"))
    }

    /// A varint that must fit 32 bits.
    ///
    /// # Errors
    /// Damaged when it does not.
    pub fn varint32(&mut self) -> Result<u32> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| self.damaged("a number is too large"))
    }

    /// A varint that counts things of at least `least` bytes each, all of which must still follow:
    /// what may be allocated for them is bounded by what is there.
    ///
    /// # Errors
    /// Damaged when they cannot all follow.
    pub fn count(&mut self, least: usize) -> Result<usize> {
        let value = self.varint()?;
        let most = self.rest.len() / least.max(1);
        match usize::try_from(value) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(self.damaged("it counts more than it holds")),
        }
    }

    /// What [`put_bytes`] wrote.
    ///
    /// # Errors
    /// Damaged when it ends early.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.count(1)?;
        self.take(len)
    }

    /// A string that [`put_bytes`] wrote.
    ///
    /// # Errors
    /// Damaged when it ends early or is not UTF-8.
    pub fn str(&mut self) -> Result<&'a str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.damaged("a name is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_long_ones_are_refused() {
        let mut out = Vec::new();
        let numbers = [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        for number in numbers {
            put_varint(&mut out, number);
        }
        let mut decoder = Decoder::new(&out, "a test");
        for number in numbers {
            assert_eq!(decoder.varint().unwrap(), number);
        }
        assert!(decoder.is_empty());
        let too_long = [0xff; 11];
        assert!(Decoder::new(&too_long, "a test").varint().is_err());
        let too_large = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert!(Decoder::new(&too_large, "a test").varint().is_err());
    }

    #[test]
    fn signs_fold() {
        for value in [0, -1, 1, i64::MIN, i64::MAX, -12_345] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
        assert_eq!(zigzag(-1), 1);
    }

    #[test]
    fn a_count_is_bounded_by_what_follows() {
        let mut out = Vec::new();
        put_varint(&mut out, 1 << 40);
        out.extend_from_slice(&[0; 16]);
        assert!(Decoder::new(&out, "a test").count(1).is_err());
    }
}
