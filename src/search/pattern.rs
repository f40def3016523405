//! What the patterns of one search become.
//!
//! The flags do not stand side by side: `--crlf` and `--null-data` say which byte a pattern may
//! not hold, `-U` takes that ban away, `-a` allows NUL, smart case looks into the parsed regex.
//! [`PatternOptions`] is what was asked for, [`Pattern`] the one matcher it comes to, exactly as
//! ripgrep 15 builds its own.

use grep_matcher::LineTerminator;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use serde::{Deserialize, Serialize};

use super::{LiteralMatcher, fault};
use crate::error::{Error, Kind, Result};

/// From this number on fixed strings go through Aho-Corasick. Below it both use the same vector
/// search; at 16 the regex already takes 3 to 5 times as long to build and search 4 MiB, at 64
/// one and a half (`benches/search.rs`).
pub const MANY: usize = 16;

/// The largest compiled pattern, in bytes. ripgrep allows 100 MiB; a grep here shares 150 MiB
/// with everything else.
pub const SIZE_LIMIT: usize = 32 << 20;

/// The lazy DFA's cache, in bytes, for each thread that searches. ripgrep allows 1,000 MiB; the
/// engine falls back to slower ones beyond it, with the same matches.
const DFA_CACHE: usize = 8 << 20;

/// How letter case is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// As written.
    #[default]
    Sensitive,
    /// `-i`: by Unicode simple case folding.
    Insensitive,
    /// `-S`: insensitive unless a pattern holds an upper-case literal.
    Smart,
}

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternOptions {
    /// A line that matches any of these matches. None at all matches nothing; an empty one
    /// matches every line.
    pub patterns: Vec<String>,
    /// `-F`: the patterns are literal text.
    pub fixed: bool,
    /// How letter case is taken.
    pub case: Case,
    /// `-w`: only between word boundaries.
    pub word: bool,
    /// `-x`: only whole lines; wins over `word`.
    pub line: bool,
    /// `-U`: a match may span lines.
    pub multiline: bool,
    /// `--multiline-dotall`: `.` also matches a line end, with `multiline` only.
    pub dotall: bool,
    /// `--crlf`: `$` also matches before `\r\n`.
    pub crlf: bool,
    /// `--null-data`: lines end in NUL; `crlf` wins.
    pub null_data: bool,
    /// Unicode classes, boundaries and case; off with `--no-unicode`.
    pub unicode: bool,
    /// `-a`: NUL may be matched.
    pub text: bool,
    /// Bytes that the compiled pattern may take.
    pub size_limit: usize,
}

impl Default for PatternOptions {
    fn default() -> Self {
        Self {
            patterns: Vec::new(),
            fixed: false,
            case: Case::Sensitive,
            word: false,
            line: false,
            multiline: false,
            dotall: false,
            crlf: false,
            null_data: false,
            unicode: true,
            text: false,
            size_limit: SIZE_LIMIT,
        }
    }
}

/// A compiled pattern. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// The general case.
    Regex(RegexMatcher),
    /// Many fixed strings.
    Literals(LiteralMatcher),
}

impl PatternOptions {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`Kind::InvalidPattern`] with the column (counted in characters from 1) where a pattern
    /// does not parse, holds what a line cannot hold, or compiles to more than the limit.
    pub fn compile(&self) -> Result<Pattern> {
        let bytes: usize = self.patterns.iter().map(String::len).sum();
        // An automaton or NFA takes at least this many bytes for each byte of pattern.
        if bytes > self.size_limit / 16 {
            return Err(Error::new(
                Kind::InvalidPattern,
                format!("the patterns hold {bytes} bytes, more than {}", self.size_limit / 16),
            )
            .hint("search for fewer or shorter patterns at a time"));
        }
        if self.is_many_literals()
            && let Some(literals) =
                LiteralMatcher::new(&self.patterns, self.line_terminator(), self.size_limit)
        {
            return Ok(Pattern::Literals(literals));
        }
        self.regex().build_many(&self.patterns).map(Pattern::Regex).map_err(|e| fault::of(self, e))
    }

    /// What ends a line as far as the pattern is concerned: a byte it can never match, or `None`
    /// where matches may span lines.
    pub(super) fn line_terminator(&self) -> Option<LineTerminator> {
        if self.multiline {
            None
        } else if self.crlf {
            Some(LineTerminator::crlf())
        } else if self.null_data {
            Some(LineTerminator::byte(b'\0'))
        } else {
            Some(LineTerminator::byte(b'\n'))
        }
    }

    /// Whether NUL in a pattern is an error: such a byte is never searched, it makes the object
    /// binary.
    pub(super) fn bans_nul(&self) -> bool {
        !self.text && !self.null_data
    }

    fn is_many_literals(&self) -> bool {
        self.patterns.len() >= MANY
            && !self.word
            && !self.line
            && self.case == Case::Sensitive
            && self.patterns.iter().all(|p| {
                // Text that only happens to be a regex is left to the regex: what a meta
                // character or a line end means there is not decided twice.
                !p.is_empty()
                    && (self.fixed || !p.chars().any(regex_syntax::is_meta_character))
                    && self.line_terminator().is_none_or(|t| !p.bytes().any(|b| holds(t, b)))
                    && !(self.bans_nul() && p.contains('\0'))
            })
    }

    fn regex(&self) -> RegexMatcherBuilder {
        let mut builder = RegexMatcherBuilder::new();
        builder
            .multi_line(true)
            .octal(false)
            .unicode(self.unicode)
            .fixed_strings(self.fixed)
            .case_insensitive(self.case == Case::Insensitive)
            .case_smart(self.case == Case::Smart)
            .whole_line(self.line)
            .word(self.word && !self.line)
            .dot_matches_new_line(self.multiline && self.dotall)
            .size_limit(self.size_limit)
            .dfa_size_limit(DFA_CACHE);
        // `crlf` sets both the anchors and the terminator: the terminator comes after it.
        if self.crlf {
            builder.crlf(true);
        }
        match self.line_terminator() {
            None => builder.line_terminator(None),
            Some(t) if t.is_crlf() => &mut builder,
            Some(t) => builder.line_terminator(Some(t.as_byte())),
        };
        if self.bans_nul() {
            builder.ban_byte(Some(b'\0'));
        }
        builder
    }
}

/// Whether `byte` is part of a line's end.
pub(super) fn holds(terminator: LineTerminator, byte: u8) -> bool {
    terminator.as_bytes().contains(&byte)
}

#[cfg(test)]
mod tests {
    use grep_matcher::Matcher;
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn options(patterns: &[&str]) -> PatternOptions {
        PatternOptions {
            patterns: patterns.iter().map(|&p| p.to_owned()).collect(),
            ..PatternOptions::default()
        }
    }

    fn message(options: PatternOptions) -> String {
        let error = options.compile().expect_err("refused");
        assert_eq!(error.kind(), Kind::InvalidPattern);
        let text = error.to_string();
        assert!(!text.contains('\n'), "one line: {text}");
        text
    }

    #[test]
    fn errors_name_the_column_and_what_to_do() {
        let text = message(options(&["é(b"]));
        assert!(text.starts_with("the pattern is wrong at column 2: unclosed group"), "{text}");
        assert!(text.contains("-F"), "{text}");
        let text = message(options(&["a", r"x\p{Nope}"]));
        assert!(text.starts_with("pattern 2 of 2 is wrong at column 2:"), "{text}");
        let text = message(options(&["a(?=b)"]));
        assert!(text.contains("column 2: look-around"), "{text}");
        assert!(text.contains("no -P"), "{text}");
        let text = message(options(&["a", r"foo\nbar"]));
        assert!(text.contains("pattern 2 of 2 is wrong at column 4:"), "{text}");
        assert!(text.contains("-U"), "{text}");
        let text = message(options(&[r"[\n]"]));
        assert!(text.contains("column 2:"), "{text}");
        let text = message(PatternOptions { fixed: true, ..options(&["é\nb"]) });
        assert!(text.contains("column 2:") && text.contains("-U"), "{text}");
        let text = message(options(&[r"a\x00"]));
        assert!(text.contains("column 2:") && text.contains("-a"), "{text}");
    }

    #[test]
    fn size_limits_are_told() {
        let text = message(PatternOptions { size_limit: 10_000, ..options(&[r"\w{100}"]) });
        assert!(text.contains("size limit"), "{text}");
        let text = message(PatternOptions { size_limit: 100, ..options(&["seven b"]) });
        assert!(text.contains("7 bytes, more than 6"), "{text}");
    }

    #[test]
    fn what_a_line_cannot_hold_depends_on_the_flags() {
        let compiles = |o: PatternOptions| o.compile().is_ok();
        let lf = || options(&[r"a\nb"]);
        assert!(compiles(PatternOptions { multiline: true, ..lf() }));
        assert!(compiles(PatternOptions { null_data: true, ..lf() }));
        assert!(!compiles(PatternOptions { crlf: true, ..options(&[r"a\rb"]) }));
        assert!(compiles(PatternOptions { text: true, ..options(&[r"a\x00"]) }));
        assert!(!compiles(PatternOptions { null_data: true, ..options(&[r"a\x00"]) }));
    }

    #[test]
    fn no_pattern_matches_nothing_and_an_empty_one_everything() {
        let matches = |o: PatternOptions| match o.compile().expect("valid") {
            Pattern::Regex(m) => m.is_match(b"x").expect("infallible"),
            Pattern::Literals(m) => m.is_match(b"x").expect("infallible"),
        };
        assert!(!matches(options(&[])));
        assert!(matches(options(&[""])));
    }

    #[test]
    fn only_plain_text_becomes_literals() {
        let many = |extra: &str| {
            let mut patterns: Vec<String> = (0..MANY).map(|i| format!("word{i}")).collect();
            patterns.push(extra.to_owned());
            PatternOptions { patterns, ..PatternOptions::default() }
        };
        let literal =
            |o: &PatternOptions| matches!(o.compile().expect("valid"), Pattern::Literals(_));
        assert!(literal(&many("plain")));
        assert!(!literal(&many("a.b")));
        assert!(literal(&PatternOptions { fixed: true, ..many("a.b") }));
        assert!(!literal(&many("")));
        assert!(!literal(&PatternOptions { word: true, ..many("plain") }));
        assert!(!literal(&PatternOptions { case: Case::Insensitive, ..many("plain") }));
        assert!(literal(&PatternOptions { fixed: true, multiline: true, ..many("a\nb") }));
        assert!(PatternOptions { fixed: true, ..many("a\nb") }.compile().is_err());
    }

    proptest! {
        /// The same matches in the same order as the alternation of the same literals.
        #[test]
        fn literals_equal_the_regex(
            patterns in vec("[ab]{1,3}", 1..8),
            haystack in vec(select(b"abab\nc".to_vec()), 0..40),
            multiline: bool,
        ) {
            let options = PatternOptions { patterns, multiline, ..PatternOptions::default() };
            let regex = options.regex().build_many(&options.patterns).expect("valid");
            let literals =
                LiteralMatcher::new(&options.patterns, options.line_terminator(), SIZE_LIMIT)
                    .expect("small");
            fn all(matcher: &impl Matcher, haystack: &[u8]) -> Vec<(usize, usize)> {
                let mut found = Vec::new();
                let outcome = matcher.find_iter(haystack, |m| {
                    found.push((m.start(), m.end()));
                    true
                });
                assert!(outcome.is_ok());
                found
            }
            prop_assert_eq!(all(&literals, &haystack), all(&regex, &haystack));
            prop_assert_eq!(literals.line_terminator(), regex.line_terminator());
            let line = |end: Option<usize>| {
                end.map(|e| haystack[..e].iter().filter(|&&b| b == b'\n').count())
            };
            prop_assert_eq!(
                line(literals.shortest_match(&haystack).expect("infallible")),
                line(regex.shortest_match(&haystack).expect("infallible"))
            );
            for byte in 0..=255 {
                prop_assert_eq!(
                    literals.non_matching_bytes().map(|s| s.contains(byte)),
                    regex.non_matching_bytes().map(|s| s.contains(byte))
                );
            }
        }
    }
}
