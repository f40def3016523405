//! From a regex to the grams that its matches need.

use regex_syntax::hir::Hir;

use super::{need, query::Query};

/// What every document in which `hir` matches must hold. Look-arounds, anchors and empty matches
/// ask for nothing; flags are in the HIR already, where a letter that matches in either case is
/// the class of both. The query is sound for a search that matches less than `hir` does: line by
/// line, up to a NUL, only whole words.
///
/// The work is bounded whatever the pattern, and the query by [`MAX_GRAMS`](super::MAX_QUERY).
pub fn plan(hir: &Hir) -> Query {
    Query::of(need::need(hir))
}

/// What every document that holds `bytes` must hold, in any spelling of upper and lower case: a
/// gram is the same for all.
pub fn plan_literal(bytes: &[u8]) -> Query {
    Query::of(need::need_literal(bytes))
}
