//! Numbers of less than a byte.
//!
//! Half of all grams are in a single document: what the dictionary says of such a gram fits in
//! fourteen bits, and whole bytes would take four of them. Bits fill a byte from the lowest.

/// Appends bits.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Fewer than eight bits that are not in `bytes` yet.
    rest: u64,
    filled: u32,
}

impl BitWriter {
    /// The `width` lowest bits of `value`: at most 56.
    pub(super) fn put(&mut self, value: u64, width: u32) {
        debug_assert!(width <= 56 && value >> width == 0);
        self.rest |= value << self.filled;
        self.filled += width;
        while self.filled >= 8 {
            self.bytes.push(self.rest as u8);
            self.rest >>= 8;
            self.filled -= 8;
        }
    }

    /// An Exp-Golomb code: numbers below 2^`order` take `order` + 1 bits, and each doubling beyond
    /// takes two more. At most 2^40.
    pub(super) fn put_number(&mut self, value: u64, order: u32) {
        let quotient = (value >> order) + 1;
        let extra = quotient.ilog2();
        self.put(0, extra);
        self.put(1, 1);
        self.put(quotient & !(1 << extra), extra);
        self.put(value & ((1 << order) - 1), order);
    }

    /// Bits so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() * 8 + self.filled as usize
    }

    /// The bytes, of which the last is filled up with zeros.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.bytes.push(self.rest as u8);
        }
        self.bytes
    }
}

/// Reads what a [`BitWriter`] wrote; none where there is no more or where it cannot have been.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `width` bits, at most 56.
    pub(super) fn get(&mut self, width: u32) -> Option<u64> {
        let end = self.at.checked_add(width as usize)?;
        if width > 56 || end > self.bytes.len() * 8 {
            return None;
        }
        let value = self.peek() & ((1 << width) - 1);
        self.at = end;
        Some(value)
    }

    /// What [`BitWriter::put_number`] wrote.
    pub(super) fn number(&mut self, order: u32) -> Option<u64> {
        let extra = self.peek().trailing_zeros();
        // 40 bits are what is written; beyond it lies nothing but damage, or the end.
        if extra > 40 {
            return None;
        }
        self.get(extra + 1)?;
        let quotient = 1 << extra | self.get(extra)?;
        Some((quotient - 1) << order | self.get(order)?)
    }

    /// At least 56 bits from here on, with zeros behind the end.
    fn peek(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(eight) => u64::from_le_bytes(*eight),
            None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        word >> (self.at % 8)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn numbers_come_back(numbers in proptest::collection::vec((0..1_u64 << 40, 0..40_u32, 0..8_u32), 0..50)) {
            let mut writer = BitWriter::default();
            for &(number, shift, order) in &numbers {
                writer.put_number(number >> shift, order);
                writer.put(number >> shift, 40);
            }
            let bits = writer.len();
            let bytes = writer.finish();
            prop_assert_eq!(bytes.len(), bits.div_ceil(8));
            let mut reader = BitReader::new(&bytes);
            for &(number, shift, order) in &numbers {
                prop_assert_eq!(reader.number(order), Some(number >> shift));
                prop_assert_eq!(reader.get(40), Some(number >> shift));
            }
            prop_assert_eq!(reader.get(8), None);
        }

        #[test]
        fn any_bytes_end(bytes: Vec<u8>, order in 0..8_u32) {
            let mut reader = BitReader::new(&bytes);
            for _ in 0..=bytes.len() * 8 {
                if reader.number(order).is_none() {
                    return Ok(());
                }
            }
            prop_assert!(false, "more numbers than bits");
        }
    }
}
