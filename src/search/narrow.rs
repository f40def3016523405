//! What a pattern demands of every object in which it can match.
//!
//! Guessing literals out of a pattern's text goes wrong with the first flag. [`demand`] parses the
//! pattern as the matcher does and hands its structure to the index's planner; [`Reading`] says
//! whether the search would read the bytes that the index has seen.

use r2vfs_index::gram::{Query, plan};
use regex_syntax::ParserBuilder;

use super::{Binary, Case, Encoding, PatternOptions, SearchOptions};

/// The grams that an object needs for a match, or [`Query::All`] where nothing is known.
pub(crate) fn demand(options: &PatternOptions) -> Query {
    let mut parser = ParserBuilder::new();
    parser
        .utf8(false)
        .unicode(options.unicode)
        .multi_line(true)
        .crlf(options.crlf)
        .dot_matches_new_line(options.multiline && options.dotall)
        // Grams are folded: a pattern that is smart about case demands no more if it is not.
        .case_insensitive(options.case != Case::Sensitive);
    let mut alternatives = options.patterns.iter().map(|pattern| {
        let escaped = options.fixed.then(|| regex_syntax::escape(pattern));
        match parser.build().parse(escaped.as_deref().unwrap_or(pattern)) {
            Ok(hir) => plan(&hir),
            // The matcher took it: what this parser refuses is only not narrowed.
            Err(_) => Query::All,
        }
    });
    match options.patterns.as_slice() {
        [_] => alternatives.next().unwrap_or(Query::All),
        _ => Query::or(alternatives),
    }
}

/// What a search reads of an object, as far as the index can speak for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Only what matches is of interest, and bytes are not decoded in a way the index never saw.
    pub narrows: bool,
    /// Byte order marks are followed and a NUL ends a file, as when the index was built.
    pub usual: bool,
    /// A match may lie behind a NUL even so: the whole object is one line.
    pub multiline: bool,
    /// `.gz` and `.zst` files are decompressed, which the index does not do.
    pub search_zip: bool,
}

impl Reading {
    /// What `options` mean for every object of a search.
    pub(crate) fn of(options: &SearchOptions, search_zip: bool) -> Self {
        let told = !options.invert && !options.passthru;
        let named = matches!(options.encoding, Encoding::Named(_));
        Self {
            narrows: told && !named,
            usual: options.encoding == Encoding::Auto
                && options.binary == Binary::Auto
                && !options.null_data,
            multiline: options.multiline,
            search_zip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(change: impl FnOnce(&mut PatternOptions)) -> Query {
        let mut options =
            PatternOptions { patterns: vec!["collector".to_owned()], ..Default::default() };
        change(&mut options);
        demand(&options)
    }

    #[test]
    fn flags_reach_the_planner() {
        let plain = asked(|_| {});
        assert!(!matches!(plain, Query::All), "{plain:?}");
        assert_eq!(asked(|o| o.case = Case::Insensitive), plain);
        assert_eq!(asked(|o| o.case = Case::Smart), plain);
        let dotted = |fixed: bool| {
            asked(|o| {
                o.patterns = vec!["a.c".to_owned()];
                o.fixed = fixed;
            })
        };
        assert_eq!(dotted(false), Query::All);
        assert_ne!(dotted(true), Query::All);
        assert_eq!(asked(|o| o.patterns.clear()), Query::None);
        assert_eq!(asked(|o| o.patterns.push(String::new())), Query::All);
    }

    #[test]
    fn what_the_index_cannot_speak_for() {
        let reading = |change: fn(&mut SearchOptions)| {
            let mut options = SearchOptions::default();
            change(&mut options);
            Reading::of(&options, false)
        };
        assert!(reading(|_| {}).narrows && reading(|_| {}).usual);
        assert!(!reading(|o| o.invert = true).narrows);
        assert!(!reading(|o| o.passthru = true).narrows);
        assert!(!reading(|o| o.encoding = Encoding::Named("utf-16".to_owned())).narrows);
        assert!(!reading(|o| o.encoding = Encoding::None).usual);
        assert!(!reading(|o| o.binary = Binary::Text).usual);
        assert!(!reading(|o| o.null_data = true).usual);
    }
}
