//! Many fixed strings at once.
//!
//! An alternation of many literals is a regex only in name: the engine parses it, builds an NFA
//! and a prefilter, and then a lazy DFA in each thread that searches. [`LiteralMatcher`] gives the
//! same matches (leftmost, and of those that start together the first in the list) from one
//! Aho-Corasick automaton that all threads share.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use grep_matcher::{ByteSet, Captures, LineTerminator, Match, Matcher, NoError};

/// Up to this many bytes of patterns the automaton is a full DFA, of about 530 bytes a byte: 4 MiB.
/// It searches as fast as the regex's DFA; the compact automaton needs two to three times as long
/// for 128 to 1,000 strings and is even with the regex from about 2,000 (`benches/search.rs`).
const DENSE: usize = 8 << 10;

/// Fixed strings, case-sensitive, none of them empty.
#[derive(Clone, Debug)]
pub struct LiteralMatcher {
    automaton: AhoCorasick,
    line_terminator: Option<LineTerminator>,
    non_matching: ByteSet,
}

impl LiteralMatcher {
    /// `None` when the automaton would be larger than `size_limit` bytes. `line_terminator` is
    /// what no pattern holds, if matches must not span lines.
    pub fn new(
        patterns: &[String],
        line_terminator: Option<LineTerminator>,
        size_limit: usize,
    ) -> Option<Self> {
        let mut non_matching = ByteSet::full();
        for byte in patterns.iter().flat_map(|p| p.bytes()) {
            non_matching.remove(byte);
        }
        let bytes: usize = patterns.iter().map(String::len).sum();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .kind((bytes <= DENSE).then_some(AhoCorasickKind::DFA))
            .build(patterns)
            .ok()?;
        (automaton.memory_usage() <= size_limit).then_some(Self {
            automaton,
            line_terminator,
            non_matching,
        })
    }
}

/// The one capture of a literal: the match itself.
#[derive(Clone, Debug)]
pub struct WholeMatch(Option<Match>);

impl Captures for WholeMatch {
    fn len(&self) -> usize {
        1
    }

    fn get(&self, i: usize) -> Option<Match> {
        if i == 0 { self.0 } else { None }
    }
}

impl Matcher for LiteralMatcher {
    type Captures = WholeMatch;
    type Error = NoError;

    #[inline]
    fn find_at(&self, haystack: &[u8], at: usize) -> Result<Option<Match>, NoError> {
        let input = aho_corasick::Input::new(haystack).span(at..haystack.len());
        Ok(self.automaton.find(input).map(|m| Match::new(m.start(), m.end())))
    }

    #[inline]
    fn shortest_match_at(&self, haystack: &[u8], at: usize) -> Result<Option<usize>, NoError> {
        // Any end of any match does: the searcher only wants the line it lies in.
        let input = aho_corasick::Input::new(haystack).span(at..haystack.len()).earliest(true);
        Ok(self.automaton.find(input).map(|m| m.end()))
    }

    fn new_captures(&self) -> Result<WholeMatch, NoError> {
        Ok(WholeMatch(None))
    }

    fn capture_count(&self) -> usize {
        1
    }

    fn captures_at(
        &self,
        haystack: &[u8],
        at: usize,
        caps: &mut WholeMatch,
    ) -> Result<bool, NoError> {
        caps.0 = self.find_at(haystack, at)?;
        Ok(caps.0.is_some())
    }

    fn non_matching_bytes(&self) -> Option<&ByteSet> {
        Some(&self.non_matching)
    }

    fn line_terminator(&self) -> Option<LineTerminator> {
        self.line_terminator
    }
}
