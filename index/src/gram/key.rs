//! What a gram is, and the number it goes by.
//!
//! Trigrams of characters alone miss what is written in two: most words of Chinese have two
//! characters, and a trigram there is nearly a phrase. And they say too little of European
//! languages, whose words share their frequent trigrams: five documents hold all trigrams of a
//! word for each that holds the word. So the gram that begins at a character depends on what
//! follows it ([`window`]):
//!
//! | text | gram |
//! |---|---|
//! | two ideographs or Hangul syllables | both |
//! | two characters before the end, invalid bytes, or two ideographs of which the second is one | both |
//! | three frequent letters, or two round a space | all three and what follows them |
//! | any other three characters | all three |
//! | in addition, one character outside ASCII that is no ideograph | itself |
//! | in addition, an ideograph before the end or invalid bytes | itself |
//!
//! Keys sort as text does, so that all grams that begin with one, two or three given characters
//! lie together: that is how a pattern of only so many is narrowed. Single characters lie together
//! behind all others, so that a class of them is a few ranges. What decides is never further away
//! than the third character: what a piece of a pattern makes of its inside, every document that
//! holds the piece makes of it too.
//!
//! Other designs and what they measured are in `docs/INDEX-NGRAMS.md`.

use std::ops::RangeInclusive;

/// Bits of one symbol. A character takes 21.
pub(super) const BITS: u32 = 21;
/// No character: the end of a text, an invalid byte, or a shorter gram.
pub(super) const NONE: u32 = (1 << BITS) - 1;

/// The most frequent letters of English, about. All 26 would take 0.6 % of the text more and leave
/// out a tenth of the candidates of seldom words; eleven leave half as many again.
pub(super) const FREQUENT: [u8; 17] = *b"ETAOINSRLDCUMPHGF";

/// Whether a gram that begins with these three has a fourth.
pub(super) fn is_frequent(a: u32, b: u32, c: u32) -> bool {
    letter(a) && (letter(b) || b == u32::from(b' ')) && letter(c)
}

/// Among [`FREQUENT`].
fn letter(symbol: u32) -> bool {
    const LETTERS: u32 = {
        let mut letters = 0;
        let mut at = 0;
        while at < FREQUENT.len() {
            letters |= 1 << (FREQUENT[at] - b'A');
            at += 1;
        }
        letters
    };
    let at = symbol.wrapping_sub(u32::from(b'A'));
    at < 26 && LETTERS >> at & 1 == 1
}

/// A key of three numbers of [`BITS`] bits.
fn join(a: u32, b: u32, c: u32) -> u64 {
    u64::from(a) << (2 * BITS) | u64::from(b) << BITS | u64::from(c)
}

/// The three numbers of a key, for what stores keys. The third is no symbol: behind those for
/// ASCII characters it has room for pairs.
pub(super) fn numbers(key: u64) -> (u32, u32, u32) {
    let number = |shift: u32| (key >> shift) as u32 & NONE;
    (number(2 * BITS), number(BITS), number(0))
}

/// The key of [`numbers`].
pub(super) fn from_numbers(a: u32, b: u32, c: u32) -> u64 {
    join(a, b, c)
}

/// Third numbers of each letter that is followed by a fourth symbol.
const PAIRS: u32 = 0x100;
/// Where the third numbers of characters outside ASCII begin: behind those of 26 letters.
const OTHERS: u32 = 0x80 + 26 * PAIRS;

/// A gram of three symbols; `c` may be [`NONE`].
pub(super) fn three(a: u32, b: u32, c: u32) -> u64 {
    join(a, b, if (0x80..NONE).contains(&c) { c + OTHERS } else { c })
}

/// A gram of three frequent symbols and a fourth, which may be [`NONE`]; what is not ASCII shares
/// numbers.
pub(super) fn four(a: u32, b: u32, c: u32, d: u32) -> u64 {
    let fourth = match d {
        0..0x80 => d,
        NONE => PAIRS - 1,
        _ => 0x80 + d % (PAIRS - 1 - 0x80),
    };
    join(a, b, 0x80 + (c - u32::from(b'A')) * PAIRS + fourth)
}

/// The gram that begins at `a`, which `b` follows. `c` and `d` may be [`NONE`].
#[inline]
pub(super) fn window(a: u32, b: u32, c: u32, d: u32) -> u64 {
    if wide(b) && (wide(a) || wide(c)) {
        three(a, b, NONE)
    } else if is_frequent(a, b, c) {
        four(a, b, c, d)
    } else {
        three(a, b, c)
    }
}

/// The gram of one character outside ASCII, if it has one of its own. Where its fold is ASCII
/// (the Kelvin sign, the long s) it stays what it is: the class of all that is not ASCII has it.
#[inline]
pub(super) fn single(char: char, folded: char) -> Option<u64> {
    let own = if folded.is_ascii() { char as u32 } else { folded as u32 };
    (!wide(own)).then(|| join(NONE, NONE, own))
}

/// The gram of an ideograph that nothing follows.
pub(super) fn last(symbol: u32) -> Option<u64> {
    wide(symbol).then(|| join(symbol, NONE, NONE))
}

/// Ranges of grams of which a document has one exactly if it holds one of these characters
/// outside ASCII, folded or such that fold to ASCII.
pub(super) fn of_characters(range: RangeInclusive<u32>) -> impl Iterator<Item = (u64, u64)> {
    let (from, to) = range.into_inner();
    // What is wide is where its grams begin.
    let wide = WIDE.into_iter().filter_map(move |wide| {
        let (from, to) = (from.max(*wide.start()), to.min(*wide.end()));
        (from <= to).then(|| (join(from, 0, 0), join(to, NONE, NONE)))
    });
    let only_wide = WIDE.iter().any(|wide| wide.contains(&from) && wide.contains(&to));
    let single = (!only_wide).then(|| (join(NONE, NONE, from), join(NONE, NONE, to)));
    single.into_iter().chain(wide)
}

/// All grams that begin with two characters.
pub(super) fn beginning(a: u32, b: u32) -> (u64, u64) {
    (join(a, b, 0), join(a, b, NONE))
}

/// All grams that begin with three frequent symbols.
pub(super) fn with_fourth(a: u32, b: u32, c: u32) -> (u64, u64) {
    (four(a, b, c, 0), four(a, b, c, NONE))
}

/// The grams that say that a document holds a character, which is folded. ASCII has none.
pub(super) fn of_character(symbol: u32) -> Option<(u64, u64)> {
    if symbol < 0x80 {
        return None;
    }
    of_characters(symbol..=symbol).next()
}

/// Two of these in a row say as much as three letters. Kana are an alphabet.
const WIDE: [RangeInclusive<u32>; 6] = [
    0x2E80..=0x2FDF,   // radicals
    0x3400..=0x4DBF,   // Han
    0x4E00..=0x9FFF,   // Han
    0xAC00..=0xD7A3,   // Hangul syllables
    0xF900..=0xFAFF,   // Han
    0x20000..=0x3FFFF, // Han
];

#[inline]
pub(super) fn wide(symbol: u32) -> bool {
    symbol >= *WIDE[0].start() && WIDE.iter().any(|range| range.contains(&symbol))
}
