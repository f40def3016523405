//! What counts how much in a ranking. How each was measured is in `docs/INDEX-SEARCH.md`.

/// The constants of the ranking. The defaults are what a search uses; the example `rank_corpus`
/// sets others to measure them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// How soon more of the same word stops counting (BM25's k1). Above the usual 1.2, because an
    /// article's sections are counted together.
    pub k1: f32,
    /// How much a long text must hold more of a word (BM25's b).
    pub b: f32,
    /// A word in the title, in words of text.
    pub title: f32,
    /// A word in the path, added to what the text scores, in occurrences that no other precedes:
    /// a folder says what a page is about that never says it.
    pub path: f32,
    /// Neighbours of the question that stand together in the best section, in words.
    pub proximity: f32,
    /// Words further apart than this are not together.
    pub window: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { k1: 2.0, b: 0.85, title: 2.0, path: 1.2, proximity: 0.2, window: 2 }
    }
}
