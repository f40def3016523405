//! What counts how much in a ranking. How each was measured is in `docs/INDEX-SEARCH.md`.

/// The constants of the ranking. The defaults are what a search uses; the example `rank_corpus`
/// sets others to measure them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// How soon more of the same word stops counting (BM25's k1).
    pub k1: f32,
    /// How much a long text must hold more of a word (BM25's b).
    pub b: f32,
    /// A word in the title, in words of text.
    pub title: f32,
    /// A word in a heading.
    pub heading: f32,
    /// A word in the path.
    pub path: f32,
    /// The share of the best section in a score; the rest is the article's.
    pub section: f32,
    /// Words of the question that stand together in the best section, in words.
    pub proximity: f32,
    /// How much an article loses that lacks words of the question: 0 is nothing, 1 as much as the
    /// share of what the words say that it lacks.
    pub coverage: f32,
    /// What is left of the score of an article in another language than the question's.
    pub language: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            k1: 1.6,
            b: 0.8,
            title: 2.0,
            heading: 2.0,
            path: 1.0,
            section: 0.5,
            proximity: 0.3,
            coverage: 0.0,
            language: 0.8,
        }
    }
}
