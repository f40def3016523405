//! The property that all of this is for: a document with a match is never left out.

use grep_matcher::Matcher;
use grep_regex::RegexMatcherBuilder;
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    strategy::Union,
};
use regex_syntax::{
    ParserBuilder,
    hir::{
        Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look,
        Repetition,
    },
};

use super::{grams_in, grams_of, satisfied};
use crate::gram::{MAX_QUERY, plan, plan_literal};

/// Few enough to meet, odd enough to matter: letters with three spellings, letters that fold to
/// ASCII or look as if they did, marks, ideographs, kana, digits, line ends, the last character.
const CHARS: [char; 30] = [
    'a',
    'A',
    'b',
    'k',
    'K',
    '\u{212A}',
    's',
    'S',
    'ſ',
    'ß',
    'ẞ',
    'i',
    'ı',
    'İ',
    'σ',
    'ς',
    'Σ',
    'é',
    '\u{301}',
    '中',
    '文',
    'カ',
    'я',
    'Я',
    '1',
    ' ',
    '\n',
    '\r',
    '\u{10FFFF}',
    '𐐀',
];

/// Pieces of a document; some are no UTF-8, and some of those make a character together.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let char = select(CHARS.to_vec()).prop_map(|char| char.to_string().into_bytes());
    let byte = select(vec![0xC3, 0xA9, 0xE4, 0xB8, 0xAD, 0x80, 0xFF, 0xF0, 0x9F, 0xED, 0xA0, 0])
        .prop_map(|byte| vec![byte]);
    prop_oneof![8 => char, 1 => byte]
}

/// Of many pieces, or of few that come again.
pub(super) fn document() -> impl Strategy<Value = Vec<u8>> {
    let few = (vec(pieces(), 1..4), vec(any::<Index>(), 0..16)).prop_map(|(pieces, picks)| {
        picks.iter().flat_map(|pick| pieces[pick.index(pieces.len())].clone()).collect()
    });
    prop_oneof![vec(pieces(), 0..24).prop_map(|pieces| pieces.concat()), few]
}

/// A text that `hir` matches, but for its looks: without it, hardly any long pattern would match
/// any document. `choices` decide what it leaves open.
fn sample(hir: &Hir, choices: &mut impl Iterator<Item = usize>, text: &mut Vec<u8>) {
    let mut choice = |count: usize| choices.next().unwrap_or(0) % count.max(1);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.extend_from_slice(&literal.0),
        HirKind::Class(Class::Unicode(class)) => {
            let Some(range) = class.ranges().get(choice(class.ranges().len())) else { return };
            let within = choice(range.len().min(64)) as u32;
            let char = char::from_u32(range.start() as u32 + within).unwrap_or(range.start());
            text.extend_from_slice(char.to_string().as_bytes());
        }
        HirKind::Class(Class::Bytes(class)) => {
            let Some(range) = class.ranges().get(choice(class.ranges().len())) else { return };
            text.push(range.start() + choice(range.len()) as u8);
        }
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(u32::MAX).min(repetition.min + 3);
            let times = repetition.min as usize + choice((most - repetition.min) as usize + 1);
            (0..times).for_each(|_| sample(&repetition.sub, choices, text));
        }
        HirKind::Capture(capture) => sample(&capture.sub, choices, text),
        HirKind::Concat(parts) => parts.iter().for_each(|part| sample(part, choices, text)),
        HirKind::Alternation(parts) => {
            let part = &parts[choice(parts.len())];
            sample(part, choices, text);
        }
    }
}

/// Documents for a pattern, each with a text that it may match between others.
fn documents_of(hir: &Hir, around: &[(Vec<u8>, Vec<u8>)], choices: &[u16]) -> Vec<Vec<u8>> {
    let mut choices = choices.iter().map(|choice| usize::from(*choice)).cycle();
    let mut documents = Vec::new();
    for (before, after) in around {
        let mut document = before.clone();
        let start = document.len();
        sample(hir, &mut choices, &mut document);
        // Repetitions of repetitions grow.
        document.truncate(start + 2_000);
        document.extend_from_slice(after);
        documents.push(document);
    }
    documents
}

fn around() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let side = || prop_oneof![Just(Vec::new()), document()];
    vec((side(), side()), 1..6)
}

/// Patterns as people write them, and worse.
pub(super) fn pattern() -> impl Strategy<Value = String> {
    let literal = vec(select(CHARS.to_vec()), 1..5)
        .prop_map(|chars| regex_syntax::escape(&chars.into_iter().collect::<String>()));
    let class = select(vec![
        r"[ab]",
        "[a-k]",
        "[^a]",
        r"\w",
        r"\s",
        r"\d",
        ".",
        r"\p{Greek}",
        r"\p{Han}",
        r"\p{Lu}",
        r"[^\x00-\x7F]",
        "[kK]",
        "[а-яё]",
        r"\P{Cyrillic}",
        "[中文]",
        "[[:alpha:]]",
        r"(?-u:\w)",
        r"(?-u:[\x80-\xFF])",
        r"(?-u:\xC3)",
        r"(?-u:\xA9)",
        r"(?-u:\xE4\xB8)",
        r"(?-u:.)",
        r"\PL",
    ])
    .prop_map(str::to_owned);
    let look =
        select(vec!["^", "$", r"\b", r"\B", r"\A", r"\z", r"\b{start}", r"\b{end-half}", ""])
            .prop_map(str::to_owned);
    let leaf = prop_oneof![6 => literal, 3 => class, 1 => look];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let times = select(vec![
            "*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}", "{3,}", "{0}", "{5}",
        ]);
        let flags = select(vec!["", "i", "s", "m", "x", "u", "U", "R", "i-u", "im", "-i", "is-u"]);
        prop_oneof![
            4 => vec(inner.clone(), 1..5).prop_map(|parts| parts.concat()),
            2 => vec(inner.clone(), 1..5).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            2 => (inner.clone(), times).prop_map(|(part, times)| format!("(?:{part}){times}")),
            1 => (inner.clone(), flags).prop_map(|(part, flags)| {
                if flags.is_empty() { format!("({part})") } else { format!("(?{flags}:{part})") }
            }),
        ]
    })
}

/// Trees that no pattern parses to.
fn tree() -> impl Strategy<Value = Hir> {
    let literal = vec(pieces(), 1..4).prop_map(|pieces| Hir::literal(pieces.concat()));
    let class = vec((select(CHARS.to_vec()), 0..3_u32, any::<bool>()), 0..6).prop_map(|ranges| {
        let mut class = ClassUnicode::new(ranges.iter().map(|&(char, more, _)| {
            ClassUnicodeRange::new(char, char::from_u32(char as u32 + more).unwrap_or(char))
        }));
        if ranges.iter().any(|range| range.2) {
            class.try_case_fold_simple().expect("the tables are compiled in");
        }
        Hir::class(Class::Unicode(class))
    });
    let bytes = vec((any::<u8>(), 0..4_u8), 0..5).prop_map(|ranges| {
        Hir::class(Class::Bytes(ClassBytes::new(
            ranges
                .into_iter()
                .map(|(byte, more)| ClassBytesRange::new(byte, byte.saturating_add(more))),
        )))
    });
    let look = select(vec![Look::Start, Look::EndLF, Look::StartCRLF, Look::WordUnicode])
        .prop_map(Hir::look);
    let leaf = Union::new_weighted(vec![
        (6, literal.boxed()),
        (3, class.boxed()),
        (1, bytes.boxed()),
        (1, look.boxed()),
        (1, Just(Hir::empty()).boxed()),
    ]);
    leaf.prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            3 => vec(inner.clone(), 0..5).prop_map(Hir::concat),
            2 => vec(inner.clone(), 0..5).prop_map(Hir::alternation),
            2 => (inner, 0..5_u32, proptest::option::of(0..4_u32), any::<bool>()).prop_map(
                |(sub, min, more, greedy)| Hir::repetition(Repetition {
                    min,
                    max: more.map(|more| min + more),
                    greedy,
                    sub: Box::new(sub),
                })
            ),
        ]
    })
}

#[derive(Clone, Copy, Debug)]
struct Flags {
    insensitive: bool,
    multi_line: bool,
    dot_all: bool,
    swap_greed: bool,
    verbose: bool,
    unicode: bool,
    crlf: bool,
    by_line: bool,
    word: bool,
}

fn flags() -> impl Strategy<Value = Flags> {
    (any::<u16>()).prop_map(|bits| Flags {
        insensitive: bits & 1 != 0,
        multi_line: bits & 2 != 0,
        dot_all: bits & 4 != 0,
        swap_greed: bits & 8 != 0,
        verbose: bits & 0x70 == 0x10,
        unicode: bits & 0x700 != 0x100,
        crlf: bits & 0x3000 == 0,
        by_line: bits & 0x800 != 0,
        word: bits & 0xC000 == 0,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_global_rejects: u32::MAX, ..ProptestConfig::default() })]

    /// The one that matters, with the matcher that verifies candidates.
    #[test]
    fn where_a_pattern_matches_its_query_is_satisfied(
        pattern in pattern(),
        flags in flags(),
        around in around(),
        choices in vec(any::<u16>(), 1..40),
    ) {
        let mut builder = RegexMatcherBuilder::new();
        builder
            .case_insensitive(flags.insensitive)
            .multi_line(flags.multi_line)
            .dot_matches_new_line(flags.dot_all)
            .swap_greed(flags.swap_greed)
            .ignore_whitespace(flags.verbose)
            .unicode(flags.unicode)
            .crlf(flags.crlf)
            .word(flags.word)
            .size_limit(1 << 20)
            .dfa_size_limit(1 << 20);
        if flags.by_line && !flags.crlf {
            builder.line_terminator(Some(b'\n'));
        }
        let hir = ParserBuilder::new()
            .utf8(false)
            .case_insensitive(flags.insensitive)
            .multi_line(flags.multi_line)
            .dot_matches_new_line(flags.dot_all)
            .swap_greed(flags.swap_greed)
            .ignore_whitespace(flags.verbose)
            .unicode(flags.unicode)
            .crlf(flags.crlf)
            .build()
            .parse(&pattern);
        let (Ok(matcher), Ok(hir)) = (builder.build(&pattern), hir) else {
            return Err(TestCaseError::reject("the pattern does not compile"));
        };
        let query = plan(&hir);
        prop_assert!(query.size() <= MAX_QUERY);
        for document in &documents_of(&hir, &around, &choices) {
            let parts: Vec<&[u8]> = if flags.by_line {
                document.split(|byte| *byte == b'\n').collect()
            } else {
                vec![document]
            };
            let matches = parts.iter().any(|part| matcher.is_match(part).expect("infallible"));
            prop_assert!(
                !matches || satisfied(&query, &grams_of(document)),
                "{pattern:?} with {flags:?} matches {document:?}, but {query:?}"
            );
        }
    }

    /// The same for trees that did not come from a pattern.
    #[test]
    fn where_a_tree_matches_its_query_is_satisfied(
        hir in tree(), around in around(), choices in vec(any::<u16>(), 1..40),
    ) {
        let matcher = RegexMatcherBuilder::new().size_limit(1 << 20).build(&hir.to_string());
        let Ok(matcher) = matcher else {
            return Err(TestCaseError::reject("too large"));
        };
        let query = plan(&hir);
        for document in &documents_of(&hir, &around, &choices) {
            let matches = matcher.is_match(document).expect("infallible");
            prop_assert!(
                !matches || satisfied(&query, &grams_of(document)),
                "{hir} matches {document:?}, but {query:?}"
            );
        }
    }

    #[test]
    fn a_document_that_holds_a_literal_satisfies_it(
        before in document(), literal in document(), after in document(),
    ) {
        let query = plan_literal(&literal);
        let holder = [before, literal.clone(), after].concat();
        prop_assert!(satisfied(&query, &grams_of(&holder)), "{literal:?} in {holder:?}: {query:?}");
    }

    #[test]
    fn pieces_have_the_grams_of_the_whole(document in document(), size in 1..9_usize) {
        prop_assert_eq!(grams_in(&document, size), grams_of(&document));
    }
}
