//! The articles of a segment, in the order of their sections.
//!
//! A column of 64-bit identities per section would be the largest thing that every query needs. An
//! article's sections lie side by side, so one row per article is enough: 20 bytes and a few, in
//! one hot part.

use std::ops::Range;

use crate::{
    coding::{Decoder, put_varint},
    fault::Result,
    text::Lang,
};

/// What ranking knows of an article without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Article {
    /// Its identity, by which a caller admits it.
    pub(crate) oid: u64,
    /// How many sections it has, at least one.
    pub(crate) sections: u32,
    /// Words in all of them.
    pub(crate) words: u32,
    pub(crate) lang: Lang,
    /// Hash of its path without the language in it; 0 when it has none.
    pub(crate) shape: u32,
    /// Hash of its text, near for near texts; 0 for one too short to tell.
    pub(crate) likeness: u32,
}

/// All of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Articles {
    rows: Vec<Article>,
    /// The first section of each, and the end.
    starts: Vec<u32>,
    words: u64,
}

impl Articles {
    pub(crate) fn push(&mut self, row: Article) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.starts.push(self.sections() + row.sections);
        self.words += u64::from(row.words);
        self.rows.push(row);
    }

    pub(crate) fn rows(&self) -> &[Article] {
        &self.rows
    }

    /// How many sections all have.
    pub(crate) fn sections(&self) -> u32 {
        self.starts.last().copied().unwrap_or_default()
    }

    /// Words in all.
    pub(crate) fn words(&self) -> u64 {
        self.words
    }

    /// The sections of one.
    pub(crate) fn sections_of(&self, article: u32) -> Range<u32> {
        let at = article as usize;
        self.starts[at]..self.starts[at + 1]
    }

    /// The article of a section at or behind `from`, which is at or before it.
    pub(crate) fn of_section(&self, section: u32, from: u32) -> u32 {
        let starts = &self.starts[from as usize..];
        // Sections come in order, so that it is mostly this one or one of the next.
        let mut step = 1;
        while step < starts.len() && starts[step] <= section {
            step *= 2;
        }
        let near = &starts[step / 2..step.min(starts.len())];
        let within = near.partition_point(|start| *start <= section);
        from + (step / 2 + within) as u32 - 1
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.rows.len() as u64);
        for row in &self.rows {
            put_varint(&mut out, u64::from(row.sections));
            put_varint(&mut out, u64::from(row.words));
            out.push(row.lang.byte());
            out.extend_from_slice(&row.oid.to_le_bytes());
            out.extend_from_slice(&row.shape.to_le_bytes());
            out.extend_from_slice(&row.likeness.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        /// The least an article takes.
        const LEAST: usize = 19;
        let mut decoder = Decoder::new(bytes, "the table of articles");
        let count = decoder.count(LEAST)?;
        let mut articles = Self::default();
        articles.rows.reserve(count);
        articles.starts.reserve(count + 1);
        for _ in 0..count {
            let sections = decoder.varint32()?;
            let words = decoder.varint32()?;
            let lang = Lang::from_byte(decoder.byte()?);
            let (oid, shape, likeness) = (decoder.u64()?, decoder.u32()?, decoder.u32()?);
            if sections == 0 || articles.sections().checked_add(sections).is_none() {
                return Err(decoder.damaged("an article has no sections, or too many"));
            }
            articles.push(Article { oid, sections, words, lang, shape, likeness });
        }
        Ok(articles)
    }

    /// The languages of its articles, the commonest first.
    pub(crate) fn languages(&self) -> Vec<(Lang, usize)> {
        let mut counts: std::collections::BTreeMap<Lang, usize> = Default::default();
        for row in &self.rows {
            *counts.entry(row.lang).or_default() += 1;
        }
        counts.into_iter().collect()
    }
}
