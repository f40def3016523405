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

/// From this number on fixed strings go through Aho-Corasick.
pub const MANY: usize = 64;

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
