//! Sizes, speeds and memory of segments made of a directory of texts:
//! `cargo run --release -p r2vfs-index --example segment_figures -- DIRECTORY [--no-text] [--one]`.
//! Speeds are per second of processor time of one thread, as Linux tells it.

use std::path::{Path, PathBuf};

use r2vfs_index::{
    NewContent, NewDoc, SegmentWriter, Settings, Store,
    bundle::at_once,
    compact::{Merge, merge},
    verify::verify,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let root = PathBuf::from(args.next().ok_or("name a directory")?);
    let options: Vec<String> = args.collect();
    let asked = |option: &str| options.iter().any(|given| given == option);
    let settings = Settings { pack: true, text: !asked("--no-text") };
    let shares = if asked("--one") { 1 } else { 2 };
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
    let begin = cpu();
    // By turns, so that merging them has to weave.
    let mut segments = Vec::new();
    for share in 0..shares {
        let mut segment = SegmentWriter::create(writer.path(), settings, 64 << 20)?;
        for (key, etag, stored) in docs.iter().skip(share).step_by(shares) {
            segment.add(NewDoc {
                key: key.clone(),
                etag: etag.clone(),
                size: stored.len() as u64,
                modified: Some(1_700_000_000_000),
                content: NewContent::Plain(stored.clone().into()),
            })?;
        }
        let added = cpu() - begin;
        segments.push(segment.finish()?);
        println!("segment {share}: added after {added:.2} s, done after {:.2} s", cpu() - begin);
    }
    let took = cpu() - begin;
    println!("built at {:.1} MB/s, one thread; peak {:.0} MB more", mb / took, peak() - before);
    writer.commit(segments, &[], None)?;

    let begin = cpu();
    let index = store.open()?;
    println!("opened in {:.3} s", cpu() - begin);
    let begin = cpu();
    let how = Merge { settings, oldest: true };
    let merged = merge(index.segments(), writer.path(), how)?;
    println!("merged at {:.1} MB/s", mb / (cpu() - begin));
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
    let begin = cpu();
    let pack = index.segments()[0].pack().ok_or("there is no pack")?;
    let mut read = 0;
    for (_, doc) in index.live() {
        if let Some(place) = doc.place {
            read += at_once(pack.text(place))?.len();
        }
    }
    println!("pack read at {:.0} MB/s", read as f64 / 1e6 / (cpu() - begin));
    let begin = cpu();
    let verified = at_once(async { Ok(verify(&index, |_| ()).await) })?;
    let rate = mb / (cpu() - begin);
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

/// Seconds of processor time so far; the kernel counts them in hundredths.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The largest resident set so far, in MB; 0 where the system does not tell.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1e3
}
