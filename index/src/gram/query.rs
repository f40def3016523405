//! The boolean query over grams that a regex comes to.
//!
//! The needs of a pattern may name thousands of grams, each of which costs a look into the
//! dictionary. A [`Query`] has at most [`MAX_GRAMS`]: of conjunctions the grams of the commonest
//! letters are left out, which only widens; what is still too large after that says nothing.

use std::collections::BTreeSet;

use super::{
    key::{
        NONE, beginning, is_frequent, numbers, of_character, of_characters, wide, window,
        with_fourth,
    },
    need::Need,
};

/// What a document must hold to have a match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    /// Every document may have one.
    All,
    /// None has.
    None,
    /// A gram.
    Gram(u64),
    /// Some gram between two, both included.
    Range(u64, u64),
    /// All of these.
    And(Vec<Query>),
    /// One of these.
    Or(Vec<Query>),
}

/// The grams of a query, each counted as often as it stands there.
pub const MAX_GRAMS: usize = 256;

/// Alternatives that are compared each with each.
const MAX_ABSORBED: usize = 64;

impl Query {
    pub(super) fn of(need: Need) -> Self {
        let mut query = Self::from_need(need);
        for keep in [32, 8, 3, 1] {
            if query.size() <= MAX_GRAMS {
                return query;
            }
            query = query.thinned(keep);
        }
        query.cut()
    }

    /// Grams in it.
    pub fn size(&self) -> usize {
        match self {
            Self::All | Self::None => 0,
            Self::Gram(_) | Self::Range(..) => 1,
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::size).sum(),
        }
    }

    /// Whether it narrows nothing.
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// First and last gram of each look into the dictionary.
    pub(super) fn ranges(&self, each: &mut Vec<(u64, u64)>) {
        match self {
            Self::All | Self::None => {}
            Self::Gram(gram) => each.push((*gram, *gram)),
            Self::Range(first, last) => each.push((*first, *last)),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.ranges(each)),
        }
    }

    fn from_need(need: Need) -> Self {
        match need {
            Need::All => Self::All,
            Need::None => Self::None,
            Need::Piece(piece) => Self::of_piece(&piece),
            Need::Single(ranges) => Self::or(
                ranges
                    .into_iter()
                    .flat_map(|(first, last)| of_characters(first..=last))
                    .map(|(first, last)| Self::Range(first, last)),
            ),
            Need::And(needs) => Self::and(needs.into_iter().map(Self::from_need)),
            Need::Or(needs) => Self::or(needs.into_iter().map(Self::from_need)),
        }
    }

    /// The grams that every document with this piece has.
    fn of_piece(piece: &[char]) -> Self {
        let symbols: Vec<u32> = piece.iter().map(|char| *char as u32).collect();
        let range = |(first, last)| Self::Range(first, last);
        match *symbols {
            [symbol] => return of_character(symbol).map_or(Self::All, range),
            [a, b] if !(wide(a) && wide(b)) => return range(beginning(a, b)),
            _ => {}
        }
        let mut grams = Vec::new();
        for at in 0..symbols.len().saturating_sub(1) {
            match symbols[at..] {
                [a, b, c, d, ..] => grams.push(Self::Gram(window(a, b, c, d))),
                // The gram before says all that this one would.
                [a, b, c]
                    if is_frequent(a, b, c) && at > 0 && is_frequent(symbols[at - 1], a, b) => {}
                [a, b, c] if is_frequent(a, b, c) => grams.push(range(with_fourth(a, b, c))),
                [a, b, c] => grams.push(Self::Gram(window(a, b, c, NONE))),
                // Two ideographs are a gram whatever follows.
                [a, b] if wide(a) && wide(b) => grams.push(Self::Gram(window(a, b, NONE, NONE))),
                // The gram before ends with an ideograph and says nothing of what follows it.
                [a, b] if wide(a) => grams.push(range(beginning(a, b))),
                _ => {}
            }
        }
        Self::and(grams)
    }

    pub(super) fn and(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = BTreeSet::new();
        for part in parts {
            match part {
                Self::All => {}
                Self::None => return Self::None,
                Self::And(parts) => all.extend(parts),
                part => {
                    all.insert(part);
                }
            }
        }
        Self::joined(all, Self::All, Self::And)
    }

    /// What satisfies one of `parts`.
    pub fn or(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut any = BTreeSet::new();
        for part in parts {
            match part {
                Self::None => {}
                Self::All => return Self::All,
                Self::Or(parts) => any.extend(parts),
                part => {
                    any.insert(part);
                }
            }
        }
        if any.len() > MAX_ABSORBED {
            return Self::joined(any, Self::None, Self::Or);
        }
        // What needs all that another needs and more adds nothing.
        let sets: Vec<BTreeSet<&Self>> = any.iter().map(Self::conjuncts).collect();
        let least = |at: usize| {
            !sets.iter().enumerate().any(|(other, set)| other != at && set.is_subset(&sets[at]))
        };
        let kept: BTreeSet<Self> = (0..sets.len())
            .zip(&any)
            .filter(|(at, _)| least(*at))
            .map(|(_, q)| q.clone())
            .collect();
        Self::joined(kept, Self::None, Self::Or)
    }

    fn conjuncts(&self) -> BTreeSet<&Self> {
        match self {
            Self::And(parts) => parts.iter().collect(),
            other => BTreeSet::from([other]),
        }
    }

    fn joined(parts: BTreeSet<Self>, none: Self, many: fn(Vec<Self>) -> Self) -> Self {
        let mut parts: Vec<Self> = parts.into_iter().collect();
        match parts.len() {
            0 => none,
            1 => parts.remove(0),
            _ => many(parts),
        }
    }

    /// Each conjunction of grams with its `keep` most telling ones.
    fn thinned(self, keep: usize) -> Self {
        match self {
            Self::And(parts) => {
                let (mut grams, others): (Vec<Self>, Vec<Self>) =
                    parts.into_iter().partition(|part| matches!(part, Self::Gram(_)));
                grams.sort_by_cached_key(|gram| std::cmp::Reverse(gram.rarity()));
                grams.truncate(keep);
                grams.extend(others.into_iter().map(|part| part.thinned(keep)));
                Self::and(grams)
            }
            Self::Or(parts) => Self::or(parts.into_iter().map(|part| part.thinned(keep))),
            other => other,
        }
    }

    /// Within the bound, whatever that loses.
    fn cut(self) -> Self {
        if self.size() <= MAX_GRAMS {
            return self;
        }
        let Self::And(mut parts) = self else { return Self::All };
        parts.sort_by_cached_key(Self::size);
        let mut left = MAX_GRAMS;
        parts.retain(|part| {
            let fits = part.size() <= left;
            left -= if fits { part.size() } else { 0 };
            fits
        });
        Self::and(parts)
    }

    /// How seldom the letters of a gram are, where no dictionary is at hand.
    fn rarity(&self) -> u32 {
        let Self::Gram(gram) = self else { return 0 };
        let of = |symbol: u32| match char::from_u32(symbol) {
            Some(' ') => 0,
            // From the most to the least frequent letter of European languages, roughly.
            Some(char) if char.is_ascii_uppercase() => {
                "EATIONRSLDCUMPGHBFVYWKXJQZ".find(char).map_or(0, |at| at as u32 + 2)
            }
            Some(char) if char.is_ascii() => 16,
            _ => 24,
        };
        let (a, b, c) = numbers(*gram);
        of(a) + of(b) + of(c)
    }
}
