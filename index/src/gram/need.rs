//! What every match of a regex must hold, as a boolean expression over pieces of text.
//!
//! Taking the longest literal of a pattern loses `(foo|bar)baz`; multiplying all alternatives out
//! explodes on `(a|b|c){100}`. Here each [`Part`] of a pattern has a short list of [`Text`]s, of
//! which every match is one. A text is folded characters with [`GAP`]s where nothing is known, so
//! one value holds what stands at the beginning, at the end and between. Neighbours multiply as
//! long as the list stays short; then it is [settled](Part::settle): what its texts say goes into
//! a [`Need`], and only their edges live on, for pieces that reach over the border.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use super::fold::{fold, folded};

/// Any number of unknown characters or bytes, also none. As a character it is one that Unicode
/// never assigns; where a document or a pattern has it all the same, nothing is made of it.
pub(super) const GAP: char = '\u{10FFFF}';

/// Folded characters that follow one another in a match, but for [`GAP`]s.
pub(super) type Text = Vec<char>;

/// A condition on a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Nothing is known.
    All,
    /// Nothing matches.
    None,
    /// The document, folded, holds this text, which has no [`GAP`].
    Piece(Text),
    /// The document holds a character outside ASCII whose gram is in one of these ranges.
    Single(Vec<(u32, u32)>),
    /// All of these.
    And(Vec<Need>),
    /// One of these.
    Or(Vec<Need>),
}

/// The texts of one part: all spellings of six characters in two forms each, or three groups of
/// four alternatives.
const MAX_TEXTS: usize = 64;
/// The symbols of all texts of one part: what multiplying costs.
const MAX_SYMBOLS: usize = 4096;
/// A longer literal keeps its two ends, so that a pattern of megabytes is not copied for each
/// alternative; 64 characters in a row are rare enough.
const MAX_TEXT: usize = 128;
/// A gram is at most four characters, so one that reaches over a border has at most three on
/// either side.
const EDGE: usize = 3;
/// A class with more members (folded) is a gap. Ten digits are worth it, 26 letters are not: one
/// of their grams is found nearly everywhere.
const MAX_CLASS: usize = 10;
/// The symbols of all needs of one part. What goes beyond is forgotten, which only widens.
const MAX_NEED: usize = 16 << 10;
/// The texts of all branches of one alternation. What has more is a list of words, of which nearly
/// every document has one.
const MAX_BRANCHES: usize = 512;
/// The ranges of a class outside ASCII; more are joined over what lies between. Scripts have up
/// to 40, most of them small.
const MAX_RANGES: usize = 32;
/// The parser stops at 250; a tree built by hand may go on.
const MAX_DEPTH: usize = 512;

/// What every match of `hir` needs, before it comes to grams. [`plan()`](super::plan()) goes on from
/// here; other designs of grams are measured from here too (`examples/gram_designs.rs`).
pub fn need(hir: &Hir) -> Need {
    Part::of(hir, 0).whole()
}

/// What every occurrence of `bytes` needs.
pub(super) fn need_literal(bytes: &[u8]) -> Need {
    Part::one(text_of(bytes)).whole()
}

/// What is known of one part of a pattern: each of its matches is one of `texts`, and lies in a
/// document that satisfies all of `needs`.
#[derive(Clone)]
struct Part {
    texts: Vec<Text>,
    needs: Vec<Need>,
    /// Symbols in `needs`.
    size: usize,
}

impl Part {
    fn of(hir: &Hir, depth: usize) -> Self {
        if depth > MAX_DEPTH {
            return Self::unknown();
        }
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::one(Text::new()),
            HirKind::Literal(literal) => Self::one(text_of(&literal.0)),
            HirKind::Class(class) => {
                let mut part = Self::new(texts_of(class));
                if part.texts == [[GAP]] {
                    part.add(singles_of(class).into_iter().collect(), 2 * MAX_RANGES);
                }
                part
            }
            HirKind::Capture(capture) => Self::of(&capture.sub, depth + 1),
            HirKind::Repetition(repetition) => Self::repeated(repetition, depth + 1),
            HirKind::Concat(parts) => parts
                .iter()
                .fold(Self::one(Text::new()), |whole, hir| whole.then(Self::of(hir, depth + 1))),
            HirKind::Alternation(parts) => {
                Self::any(parts.iter().map(|hir| Self::of(hir, depth + 1)))
            }
        }
    }

    fn new(texts: Vec<Text>) -> Self {
        Self { texts, needs: Vec::new(), size: 0 }
    }

    fn one(text: Text) -> Self {
        Self::new(vec![text])
    }

    fn unknown() -> Self {
        Self::one(vec![GAP])
    }

    fn repeated(repetition: &Repetition, depth: usize) -> Self {
        if repetition.max == Some(0) {
            return Self::one(Text::new());
        }
        if repetition.min == 0 && repetition.max != Some(1) {
            return Self::unknown();
        }
        let once = Self::of(&repetition.sub, depth);
        let again = Self::new(once.texts.clone());
        if repetition.min == 0 {
            // Its needs hold only where it is there.
            return Self::any([again, Self::one(Text::new())].into_iter());
        }
        // Four copies of single characters make any gram that more of them do.
        let mut run = once;
        let mut copies = 1;
        while copies < repetition.min.min(4) && run.texts.len() * again.texts.len() <= MAX_TEXTS / 4
        {
            run = run.then(again.clone());
            copies += 1;
        }
        if copies == repetition.min && repetition.max == Some(copies) {
            return run;
        }
        // Where it ends with the last of these copies, that is both sides of the gap.
        run.then(Self::unknown()).then(again)
    }

    fn then(mut self, mut next: Self) -> Self {
        let mut levels = [EDGE, 1, 0].into_iter();
        let mut next_levels = levels.clone();
        loop {
            let (a, b) = (self.texts.len(), next.texts.len());
            let symbols = symbols(&self.texts) * b + symbols(&next.texts) * a;
            if a * b <= MAX_TEXTS && symbols <= MAX_SYMBOLS {
                break;
            }
            // The longer list gives way first.
            let level = if a >= b { levels.next() } else { None };
            if let Some(edge) = level {
                self = self.settle(edge);
            } else if let Some(edge) = next_levels.next() {
                next = next.settle(edge);
            } else if let Some(edge) = levels.next() {
                self = self.settle(edge);
            } else {
                break;
            }
        }
        let mut texts = Vec::with_capacity(self.texts.len() * next.texts.len());
        for left in &self.texts {
            for right in &next.texts {
                let mut text = left.clone();
                right.iter().for_each(|&char| push(&mut text, char));
                texts.push(text);
            }
        }
        self.texts = texts;
        self.add(next.needs, next.size);
        self.fitting()
    }

    /// One of `parts`.
    fn any(parts: impl Iterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        let (mut count, mut size) = (0, 0);
        for part in parts {
            count += part.texts.len();
            size += part.size + symbols(&part.texts);
            if count > MAX_BRANCHES || size > MAX_NEED {
                return Self::unknown();
            }
            all.push(part);
        }
        if all.iter().all(|part| part.needs.is_empty()) {
            return Self::new(all.into_iter().flat_map(|part| part.texts).collect()).fitting();
        }
        // From here on it is forgotten which text came with which needs.
        let texts = all.iter().flat_map(|part| &part.texts).map(|text| edges(text, EDGE)).collect();
        let need = Need::or(all.into_iter().map(Self::whole));
        let mut part = Self::new(texts);
        part.add(vec![need], size);
        part.fitting()
    }

    /// All that is known, as a condition.
    fn whole(mut self) -> Need {
        let texts = self.of_texts();
        self.needs.push(texts);
        Need::and(self.needs)
    }

    fn of_texts(&self) -> Need {
        Need::or(self.texts.iter().map(|text| {
            let pieces = text.split(|&char| char == GAP).filter(|piece| !piece.is_empty());
            Need::and(pieces.map(|piece| Need::Piece(piece.to_vec())))
        }))
    }

    fn add(&mut self, needs: Vec<Need>, size: usize) {
        if self.size + size <= MAX_NEED {
            self.needs.extend(needs);
            self.size += size;
        }
    }

    /// The same with what its texts say moved into the needs, and of each text only the edges.
    fn settle(mut self, edge: usize) -> Self {
        let (need, size) = (self.of_texts(), symbols(&self.texts));
        if need != Need::All {
            self.add(vec![need], size);
        }
        for text in &mut self.texts {
            *text = edges(text, edge);
        }
        self.texts.sort();
        self.texts.dedup();
        self
    }

    /// The same within the bounds.
    fn fitting(mut self) -> Self {
        self.texts.sort();
        self.texts.dedup();
        for edge in [EDGE, 1, 0] {
            if self.texts.len() <= MAX_TEXTS
                && symbols(&self.texts) <= MAX_SYMBOLS
                && self.texts.iter().all(|text| text.len() <= MAX_TEXT)
            {
                break;
            }
            self = self.settle(edge);
        }
        self
    }
}

fn symbols(texts: &[Text]) -> usize {
    texts.iter().map(Vec::len).sum()
}

fn push(text: &mut Text, char: char) {
    if char != GAP || text.last() != Some(&GAP) {
        text.push(char);
    }
}

/// `edge` characters of either end, with what lies between unknown.
fn edges(text: &Text, edge: usize) -> Text {
    if text.len() <= 2 * edge && !text.contains(&GAP) {
        return text.clone();
    }
    let known = |char: &&char| **char != GAP;
    let mut short: Text = text.iter().take(edge).take_while(known).copied().collect();
    short.push(GAP);
    let tail = text.iter().rev().take(edge).take_while(known).count();
    short.extend(&text[text.len() - tail..]);
    short
}

/// A complete sequence in a literal is one in every document that holds the literal, for it begins
/// with a byte at which decoding starts afresh. What an incomplete one becomes depends on what
/// stands around the literal: a gap.
fn text_of(bytes: &[u8]) -> Text {
    let ends = if bytes.len() > 8 * MAX_TEXT {
        // Cutting inside a sequence leaves incomplete ones, which are gaps.
        [&bytes[..MAX_TEXT * 4], &b"\xFF"[..], &bytes[bytes.len() - MAX_TEXT * 4..]].concat()
    } else {
        bytes.to_vec()
    };
    let mut text = Text::new();
    for chunk in ends.utf8_chunks() {
        chunk.valid().chars().for_each(|char| push(&mut text, fold(char)));
        if !chunk.invalid().is_empty() {
            push(&mut text, GAP);
        }
    }
    if text.len() > MAX_TEXT {
        let half = MAX_TEXT / 2 - 1;
        let tail = text.split_off(text.len() - half);
        text.truncate(half);
        push(&mut text, GAP);
        tail.into_iter().for_each(|char| push(&mut text, char));
    }
    text
}

/// The members of a class, each a text of its own, or a gap.
fn texts_of(class: &Class) -> Vec<Text> {
    let mut members = BTreeSet::new();
    let mut add = |range: (u32, u32)| {
        // Folding joins up to four characters; a longer range is never few.
        let few = range.1 - range.0 < MAX_CLASS as u32 * 4;
        for code in range.0..=if few { range.1 } else { range.0 } {
            members.insert(char::from_u32(code).map_or(GAP, fold));
        }
        few && members.len() <= MAX_CLASS && !members.contains(&GAP)
    };
    let known = match class {
        Class::Unicode(class) => {
            class.ranges().iter().all(|r| add((u32::from(r.start()), u32::from(r.end()))))
        }
        // A byte beyond ASCII is a part of something unknown.
        Class::Bytes(class) => class
            .ranges()
            .iter()
            .all(|r| r.end() < 0x80 && add((u32::from(r.start()), u32::from(r.end())))),
    };
    if known { members.into_iter().map(|char| vec![char]).collect() } else { vec![vec![GAP]] }
}

/// What a class without ASCII says, however large it is: scripts, and all that is not ASCII.
fn singles_of(class: &Class) -> Option<Need> {
    let Class::Unicode(class) = class else { return None };
    let mut ranges = Vec::new();
    for range in class.ranges() {
        let (first, last) = (u32::from(range.start()), u32::from(range.end()));
        if first < 0x80 {
            return None;
        }
        ranges.push((first, last));
        // The grams of letters are those of their representatives.
        ranges.extend(folded(first, last).filter(|range| range.1 >= 0x80));
    }
    ranges.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    if joined.len() > MAX_RANGES {
        let mut gaps: Vec<u32> = joined.windows(2).map(|pair| pair[1].0 - pair[0].1).collect();
        gaps.sort_unstable_by(|a, b| b.cmp(a));
        // At most MAX_RANGES - 1 gaps are wider than this one.
        let narrow = gaps[MAX_RANGES - 1];
        let mut fewer: Vec<(u32, u32)> = Vec::new();
        for (first, last) in joined {
            match fewer.last_mut() {
                Some(before) if first - before.1 <= narrow => before.1 = last,
                _ => fewer.push((first, last)),
            }
        }
        joined = fewer;
    }
    Some(Need::Single(joined))
}

impl Need {
    fn and(needs: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        for need in needs {
            match need {
                Self::All => {}
                Self::None => return Self::None,
                Self::And(needs) => all.extend(needs),
                need => all.push(need),
            }
        }
        match all.len() {
            0 => Self::All,
            1 => all.remove(0),
            _ => Self::And(all),
        }
    }

    fn or(needs: impl IntoIterator<Item = Self>) -> Self {
        let mut any = Vec::new();
        for need in needs {
            match need {
                Self::None => {}
                Self::All => return Self::All,
                Self::Or(needs) => any.extend(needs),
                need => any.push(need),
            }
        }
        match any.len() {
            0 => Self::None,
            1 => any.remove(0),
            _ => Self::Or(any),
        }
    }
}
