//! Joins the full text of segments and leaves out what is dead.
//!
//! Merging inside one tantivy index would need all of it to be writable, and reading the inputs
//! through ranged reads would hold whole files in memory. The inputs' files are copied to a scratch
//! folder and mapped; what is written goes from disk to disk.

use std::{fs::File, io::Write, path::Path};

use tantivy::{
    Index,
    directory::MmapDirectory,
    fastfield::{AliveBitSet, write_alive_bitset},
    indexer::merge_filtered_segments,
};

use super::{
    articles::Articles,
    reader::TextReader,
    rounds::guarded,
    schema::settings,
    shelf::{FILES, meta, path},
    writer::{directory, unwritten, write_parts},
};
use crate::{
    bundle::{BundleWriter, at_once},
    fault::Result,
};

/// Writes the full text of what lives in `inputs`, open segments with who tells what lives of
/// them, in their order. Its files lie in a folder of
/// their own in `scratch` meanwhile. Where nothing lives, no part is written.
///
/// # Errors
/// What reading the inputs, which must lie in memory or on this machine, and writing fails with.
pub fn merge(
    inputs: &[(TextReader, &dyn Fn(u64) -> bool)],
    scratch: &Path,
    out: &mut BundleWriter,
) -> Result<()> {
    guarded(|| join(inputs, scratch, out))
}

fn join(
    inputs: &[(TextReader, &dyn Fn(u64) -> bool)],
    scratch: &Path,
    out: &mut BundleWriter,
) -> Result<()> {
    let dir = tempfile::Builder::new().prefix("merge-").tempdir_in(scratch)?;
    let mut segments = Vec::new();
    let mut filters = Vec::new();
    let mut articles = Articles::default();
    for (at, (reader, alive)) in inputs.iter().enumerate() {
        let table = reader.articles();
        let mut sections = tantivy::BitSet::with_max_value(table.sections());
        let mut lives = 0;
        for (number, row) in table.rows().iter().enumerate() {
            if alive(row.oid) {
                articles.push(*row);
                lives += row.sections;
                for section in table.sections_of(number as u32) {
                    sections.insert(section);
                }
            }
        }
        if lives == 0 {
            continue;
        }
        let folder = dir.path().join(at.to_string());
        copy_out(reader, &folder)?;
        let directory = MmapDirectory::open(&folder).map_err(|error| unwritten(error.into()))?;
        let index = Index::open(directory).map_err(unwritten)?;
        segments.extend(index.searchable_segments().map_err(unwritten)?);
        let mut bits = Vec::new();
        write_alive_bitset(&sections, &mut bits)?;
        filters.push(
            (lives < table.sections())
                .then(|| AliveBitSet::open(tantivy::directory::OwnedBytes::new(bits))),
        );
    }
    if segments.is_empty() {
        return Ok(());
    }
    let merged = dir.path().join("merged");
    let index = merge_filtered_segments(&segments, settings(), filters, directory(&merged)?)
        .map_err(unwritten)?;
    write_parts(&index, &merged, &articles, out)
}

/// Copies tantivy's files of a segment into a new folder.
fn copy_out(reader: &TextReader, folder: &Path) -> Result<()> {
    /// Bytes copied at once.
    const COPY: u64 = 4 << 20;
    std::fs::create_dir(folder)?;
    for file in FILES {
        let Some(part) = reader.part(file) else { continue };
        let mut out = File::create_new(folder.join(path(file)))?;
        let mut at = 0;
        while at < part.len() {
            let end = (at + COPY).min(part.len());
            out.write_all(&at_once(part.read(at..end))?)?;
            at = end;
        }
    }
    std::fs::write(folder.join("meta.json"), meta(reader.articles().sections())?)?;
    Ok(())
}
