//! Small numbers for the grams of ASCII, which are nearly all grams of nearly all texts.
//!
//! A key has 63 bits, so a set or a map of keys is a hash table, and a cache miss an access. The
//! grams of ASCII are six million at most: a bit or a number for each is an array, in which those
//! of one text lie close together because they share their beginnings.

use std::sync::LazyLock;

use super::key::{FREQUENT, is_frequent, window};

/// Numbers of grams of three characters; those of four follow.
const THREE: usize = 1 << 21;

/// All numbers are below this.
pub(super) const GRAMS: usize = THREE + (1 << 22);

/// No class.
const OTHER: u8 = 31;

/// Which characters can be among the first three of four.
pub(super) struct Classes {
    /// A number of five bits for each.
    class: [u8; 128],
    /// For each two classes, a bit for each third that makes them the beginning of four.
    thirds: [u32; 1 << 10],
}

pub(super) static CLASSES: LazyLock<Box<Classes>> = LazyLock::new(|| {
    let mut classes = Box::new(Classes { class: [OTHER; 128], thirds: [0; 1 << 10] });
    let symbols = || (0..).zip(FREQUENT.into_iter().chain([b' ']));
    for (x, a) in symbols() {
        classes.class[usize::from(a)] = x;
        for (y, b) in symbols() {
            for (z, c) in symbols() {
                if is_frequent(a.into(), b.into(), c.into()) {
                    classes.thirds[usize::from(x) << 5 | usize::from(y)] |= 1 << z;
                }
            }
        }
    }
    classes
});

/// The last three characters of a text so far, folded: what the gram that the next one completes
/// begins with.
#[derive(Clone, Copy)]
pub(super) struct Three<'a> {
    classes: &'a Classes,
    /// Seven bits each.
    characters: usize,
    /// Five bits each.
    kinds: usize,
}

impl<'a> Three<'a> {
    pub(super) fn new(classes: &'a Classes, [a, b, c]: [u32; 3]) -> Self {
        let empty = Self { classes, characters: 0, kinds: 0 };
        empty.before(a as usize & 0x7F).before(b as usize & 0x7F).before(c as usize & 0x7F)
    }

    /// The last three when `next` follows.
    #[inline]
    pub(super) fn before(self, next: usize) -> Self {
        Self {
            classes: self.classes,
            characters: (self.characters << 7 | next) & (THREE - 1),
            kinds: (self.kinds << 5 | usize::from(self.classes.class[next])) & 0x7FFF,
        }
    }

    /// The number of the gram that these and `next` make.
    #[inline]
    pub(super) fn gram(self, next: usize) -> usize {
        if self.classes.thirds[self.kinds >> 5] >> (self.kinds & 31) & 1 == 1 {
            THREE + (self.kinds << 7 | next)
        } else {
            self.characters
        }
    }

    pub(super) fn symbols(self) -> [u32; 3] {
        [14, 7, 0].map(|shift| (self.characters >> shift & 0x7F) as u32)
    }
}

/// The number of the gram that begins at `a`, if all of it is ASCII.
#[inline]
pub(super) fn number(a: u32, b: u32, c: u32, d: u32) -> Option<usize> {
    if (a | b | c) >= 0x80 || d >= 0x80 && is_frequent(a, b, c) {
        return None;
    }
    Some(Three::new(&CLASSES, [a, b, c]).gram(d as usize & 0x7F))
}

/// The key of a number.
pub(super) fn key(number: usize) -> u64 {
    if number < THREE {
        let symbol = |shift: usize| (number >> shift) as u32 & 0x7F;
        // Not the beginning of four, or it would have another number.
        return window(symbol(14), symbol(7), symbol(0), 0);
    }
    let symbol = |shift: usize| {
        let class = (number - THREE) >> (7 + shift) & 31;
        u32::from(FREQUENT.get(class).copied().unwrap_or(b' '))
    };
    window(symbol(10), symbol(5), symbol(0), (number - THREE) as u32 & 0x7F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gram_of_ascii_has_a_number_of_its_own_that_leads_back() {
        let mut seen = vec![0_u64; GRAMS / 64];
        let folded = || (0..0x80).filter(|symbol| !(0x61..0x7B).contains(symbol));
        for a in folded() {
            for b in folded() {
                for c in folded() {
                    let fourths = if is_frequent(a, b, c) { 0x80 } else { 1 };
                    for d in (0..fourths).filter(|d| !(0x61..0x7B).contains(d)) {
                        let number = number(a, b, c, d).unwrap();
                        assert_eq!(key(number), window(a, b, c, d));
                        assert_eq!(seen[number / 64] >> (number % 64) & 1, 0);
                        seen[number / 64] |= 1 << (number % 64);
                    }
                }
            }
        }
    }
}
