//! Until the n-grams and the full text are merged.
#![allow(missing_docs, dead_code)]
use crate::{
    bundle::{Bundle, BundleWriter},
    fault::Result,
};
use std::ops::Range;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grams {
    Distinct(Vec<u64>),
    Dense,
}
#[derive(Debug)]
pub struct Extractor;
impl Extractor {
    pub fn new() -> Self {
        Self
    }
    pub fn feed(&mut self, _: &[u8]) {}
    pub fn finish(&mut self) -> Grams {
        Grams::Dense
    }
}
#[derive(Debug)]
pub struct GramWriter;
impl GramWriter {
    pub fn new() -> Self {
        Self
    }
    pub fn add(&mut self, _: u32, _: &Grams) {}
    pub fn memory(&self) -> usize {
        0
    }
    pub fn write(self, _: &mut BundleWriter) -> Result<()> {
        Ok(())
    }
}
#[derive(Clone, Debug)]
pub struct GramReader;
impl GramReader {
    pub fn open(_: &Bundle) -> Result<Option<Self>> {
        Ok(None)
    }
}
pub fn merge_grams(_: &[(GramReader, Vec<Option<u32>>)], _: &mut BundleWriter) -> Result<()> {
    Ok(())
}
#[derive(Clone, Debug)]
pub struct Section {
    pub lines: Range<u64>,
}
pub fn sections(_: &str, _: &str) -> Vec<Section> {
    Vec::new()
}
#[derive(Debug)]
pub struct TextWriter;
impl TextWriter {
    pub fn new(_: usize) -> Result<Self> {
        Ok(Self)
    }
    pub fn add(&mut self, _: &str, _: u64, _: &[Section]) -> Result<()> {
        Ok(())
    }
    pub fn write(self, _: &mut BundleWriter) -> Result<()> {
        Ok(())
    }
}
