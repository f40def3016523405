//! Sizes, speeds and memory of a segment made of a directory of texts:
//! `cargo run --release -p r2vfs-index --example segment_figures -- DIRECTORY [--no-text]`.

#![allow(clippy::disallowed_methods, reason = "measures time")]

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use r2vfs_index::{
    NewContent, NewDoc, SegmentWriter, Settings, Store,
    bundle::at_once,
    compact::{Merge, merge},
    verify::verify,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let root = PathBuf::from(args.next().ok_or("name a directory")?);
    let settings = Settings { pack: true, text: args.next().is_none() };
    let mut paths = Vec::new();
    walk(&root, &mut paths)?;
    paths.sort();
    let mut docs = Vec::new();
    let mut raw = 0;
    for path in paths {
        let key = path.strip_prefix(&root)?.to_string_lossy().into_owned();
        let stored = std::fs::read(&path)?;
        raw += stored.len();
        let etag = format!("{:032x}", crc32(&stored));
        docs.push((key, etag, stored));
    }
    docs.sort();
    let mb = raw as f64 / 1e6;
    let before = peak();
    println!("{} documents, {mb:.1} MB; peak before {before:.0} MB", docs.len());

    let dir = tempfile::tempdir()?;
    let store = Store::at(dir.path());
    let mut writer = store.lock(None, settings)?;
    let begin = Instant::now();
    // Two segments by turns, so that merging them has to weave.
    let mut segments = Vec::new();
    for half in 0..2 {
        let mut segment = SegmentWriter::create(writer.path(), settings, 64 << 20)?;
        for (key, etag, stored) in docs.iter().skip(half).step_by(2) {
            segment.add(NewDoc {
                key: key.clone(),
                etag: etag.clone(),
                size: stored.len() as u64,
                modified: Some(1_700_000_000_000),
                content: NewContent::Plain(stored.clone().into()),
            })?;
        }
        let added = begin.elapsed();
        segments.push(segment.finish()?);
        println!("segment {half}: added after {added:.2?}, done after {:.2?}", begin.elapsed());
    }
    let took = begin.elapsed().as_secs_f64();
    println!("built at {:.1} MB/s, one thread; peak {:.0} MB more", mb / took, peak() - before);
    writer.commit(segments, &[], None)?;

    let begin = Instant::now();
    let index = store.open()?;
    println!("opened in {:.2?}", begin.elapsed());
    let begin = Instant::now();
    let how = Merge { settings, oldest: true };
    let merged = merge(index.segments(), writer.path(), how)?;
    println!("merged at {:.1} MB/s", mb / begin.elapsed().as_secs_f64());
    let ids: Vec<_> = index.manifest().segments.iter().map(|segment| segment.id.clone()).collect();
    writer.commit(vec![merged], &ids, None)?;

    let index = store.open()?;
    for (name, bytes) in index.manifest().parts() {
        println!("{name}: {bytes} bytes, {:.1} % of the text", bytes as f64 / mb / 1e4);
    }
    let table = index.segments()[0].docs();
    let stored = index.manifest().parts()["docs"] as f64;
    let each = f64::from(table.len());
    println!("docs: {:.1} B each, {:.1} B in memory", stored / each, table.bytes() as f64 / each);
    let begin = Instant::now();
    let pack = index.segments()[0].pack().ok_or("there is no pack")?;
    let mut read = 0;
    for (_, doc) in index.live() {
        if let Some(place) = doc.place {
            read += at_once(pack.text(place))?.len();
        }
    }
    println!("pack read at {:.0} MB/s", read as f64 / 1e6 / begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let verified = at_once(async { Ok(verify(&index, |_| ()).await) })?;
    let rate = mb / begin.elapsed().as_secs_f64();
    println!("verified {} texts at {rate:.1} MB/s: {:?}", verified.texts(), verified.problems());
    println!("peak {:.0} MB more than before", peak() - before);
    Ok(())
}

fn crc32(bytes: &[u8]) -> u128 {
    bytes
        .iter()
        .fold(7, |hash: u128, byte| hash.wrapping_mul(0x1_0000_01b3).wrapping_add((*byte).into()))
}

fn walk(dir: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// The largest resident set so far, in MB; 0 where the system does not tell.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1e3
}
