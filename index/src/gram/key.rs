//! What a gram is, and the number it goes by.
//!
//! Trigrams of characters alone miss what is written in two: most words of Chinese have two
//! characters, and a trigram there is nearly a phrase. Bigrams alone say nothing about alphabets.
//! So the gram that begins at a character depends on what follows it ([`window`]):
//!
//! | text | gram |
//! |---|---|
//! | two ideographs or Hangul syllables | both |
//! | two characters before the end, invalid bytes, or two ideographs of which the second is one | both |
//! | any other three characters | all three |
//! | one character outside ASCII, in addition | itself |
//!
//! A gram holds three symbols of 21 bits, so that keys sort as text does and all grams that begin
//! with two given characters lie together: that is how a pattern of only two is narrowed
//! ([`beginning`]). Single characters lie together behind all others, so that a class of them is a
//! few ranges. What decides is never further away than the third character: what a piece of a
//! pattern makes of its inside, every document that holds the piece makes of it too.

use std::ops::RangeInclusive;

use super::fold::fold;

/// Bits of one symbol. A character takes 21.
pub(super) const BITS: u32 = 21;
/// No character: the end of a text, an invalid byte, or a shorter gram.
pub(super) const NONE: u32 = (1 << BITS) - 1;

/// The key of three symbols.
pub(super) fn key(a: u32, b: u32, c: u32) -> u64 {
    u64::from(a) << (2 * BITS) | u64::from(b) << BITS | u64::from(c)
}

/// The symbols of a key.
pub(super) fn symbols(key: u64) -> (u32, u32, u32) {
    let symbol = |shift: u32| (key >> shift) as u32 & NONE;
    (symbol(2 * BITS), symbol(BITS), symbol(0))
}

/// The gram that begins at `a`, which `b` follows. `c` may be [`NONE`].
#[inline]
pub(super) fn window(a: u32, b: u32, c: u32) -> u64 {
    if wide(b) && (wide(a) || wide(c)) { key(a, b, NONE) } else { key(a, b, c) }
}

/// The gram of one character outside ASCII. Where its fold is ASCII (the Kelvin sign, the long s)
/// it stays what it is: the class of all that is not ASCII has it.
#[inline]
pub(super) fn single(char: char) -> u64 {
    let folded = fold(char);
    key(NONE, NONE, if folded.is_ascii() { char as u32 } else { folded as u32 })
}

/// The grams of single characters between two.
pub(super) fn singles(range: RangeInclusive<u32>) -> RangeInclusive<u64> {
    key(NONE, NONE, *range.start())..=key(NONE, NONE, *range.end())
}

/// All grams that begin with two characters.
pub(super) fn beginning(a: char, b: char) -> RangeInclusive<u64> {
    key(a as u32, b as u32, 0)..=key(a as u32, b as u32, NONE)
}

/// Whether two of these in a row say as much as three letters. Kana are an alphabet.
#[inline]
pub(super) fn wide(symbol: u32) -> bool {
    symbol >= 0x2E80
        && matches!(symbol,
            0x2E80..=0x2FDF // radicals
            | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF // Han
            | 0xAC00..=0xD7A3 // Hangul
        )
}
