//! Builds a plain tantivy index of a directory's files: the yardstick for `r2vfs index build`.
//!
//! One document a file with its path and its text, tantivy's own writer with all of its threads,
//! its default tokenizer, committed to a directory on disk. Prints the bytes read, the bytes
//! written and the seconds.

#![allow(clippy::disallowed_methods, reason = "a program of its own, which measures")]

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use tantivy::{
    Index, doc,
    schema::{STORED, STRING, Schema, TEXT},
};

fn files(root: &Path, into: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = std::env::args().nth(1).ok_or("usage: bare_tantivy DIRECTORY")?;
    let target = tempfile::tempdir()?;
    let mut paths = Vec::new();
    files(Path::new(&root), &mut paths)?;
    paths.sort();

    let began = Instant::now();
    let mut schema = Schema::builder();
    let path = schema.add_text_field("path", STRING | STORED);
    let body = schema.add_text_field("body", TEXT);
    let index = Index::create_in_dir(target.path(), schema.build())?;
    let mut writer = index.writer::<tantivy::TantivyDocument>(256 << 20)?;
    let mut bytes = 0;
    for file in paths {
        let content = fs::read(&file)?;
        bytes += content.len();
        let text = String::from_utf8_lossy(&content).into_owned();
        writer.add_document(doc!(path => file.display().to_string(), body => text))?;
    }
    writer.commit()?;
    writer.wait_merging_threads()?;
    let seconds = began.elapsed().as_secs_f64();

    let mut written = 0;
    for entry in fs::read_dir(target.path())? {
        written += entry?.metadata()?.len();
    }
    println!("{bytes} {written} {seconds:.3}");
    Ok(())
}
