//! The tree: what a key costs in time and memory, and what its path costs.
//!
//! `cargo bench --no-default-features --bench bench -- tree` builds neither SDK nor program.

use std::{fmt::Write as _, hint::black_box};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use r2vfs::{
    bucket::{ETag, Object},
    tree::{SnapshotBuilder, decode, encode},
};

/// The `number`-th object of a support bucket: a key of 60 bytes in directories of 200, an MD5
/// as ETag, a time in whole seconds.
fn object(number: u64) -> Object {
    let mut key = String::with_capacity(60);
    // Writing into a String cannot fail.
    write!(key, "support/articles/en/{:05}/{number:08}-on-your-buckets.md", number / 200)
        .expect("text");
    key.extend(std::iter::repeat_n('x', 60 - key.len()));
    let mix = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let seconds = 1_700_000_000 + (mix >> 64) as i64 % 30_000_000;
    Object {
        key,
        size: (mix >> 100) as u64 & 0xffff,
        etag: ETag(format!("{mix:032x}").into()),
        modified: Some(seconds * 1000),
        archived: false,
    }
}

/// A field of /proc/self/status in bytes; 0 where there is no such file.
fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
}

/// Keys that arrive as they do from a listing, one by one: the resident size of the process
/// before and after, and its peak.
fn memory(keys: u64) {
    let before = status("VmRSS");
    let mut builder = SnapshotBuilder::new();
    for number in 0..keys {
        builder.push(object(number));
    }
    let snapshot = builder.finish(String::new(), 0);
    let each = |bytes: u64| bytes as f64 / keys as f64;
    println!(
        "tree/memory/{keys}: {:.1} bytes a key in the snapshot, {:.1} resident, {:.1} at the peak",
        each(snapshot.resident_bytes() as u64),
        each(status("VmRSS").saturating_sub(before)),
        each(status("VmHWM").saturating_sub(before)),
    );
}

pub fn tree(criterion: &mut Criterion) {
    // The smallest first: freed memory of a larger one would hide what it takes.
    for keys in [10_000, 100_000, 1_000_000] {
        memory(keys);
    }

    let mut group = criterion.benchmark_group("tree/build");
    group.sample_size(10);
    for keys in [10_000u64, 100_000, 1_000_000] {
        group.throughput(Throughput::Elements(keys));
        group.bench_with_input(BenchmarkId::from_parameter(keys), &keys, |bencher, keys| {
            bencher.iter_batched(
                || (0..*keys).map(object).collect::<Vec<_>>(),
                |objects| {
                    let mut builder = SnapshotBuilder::new();
                    for object in objects {
                        builder.push(object);
                    }
                    builder.finish(String::new(), 0)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();

    let mut builder = SnapshotBuilder::new();
    for number in 0..1_000_000 {
        builder.push(object(number));
    }
    let snapshot = builder.finish(String::new(), 0);
    let wanted: Vec<String> = (0..1000).map(|number| object(number * 997).key).collect();
    let mut group = criterion.benchmark_group("tree/read");
    group.sample_size(10);
    group.throughput(Throughput::Elements(1_000_000));
    group.bench_function("scan", |bencher| {
        bencher.iter(|| snapshot.scan("", None).map(|object| object.size).sum::<u64>());
    });
    group.bench_function("keys", |bencher| {
        bencher.iter(|| {
            let mut scan = snapshot.scan("", None);
            let mut bytes = 0;
            while let Some(key) = scan.key() {
                bytes += key.len();
                scan.pass();
            }
            bytes
        });
    });
    group.throughput(Throughput::Elements(5000));
    group.bench_function("directories", |bencher| {
        bencher.iter(|| snapshot.children("support/articles/en/").count());
    });
    group.throughput(Throughput::Elements(1000));
    group.bench_function("get", |bencher| {
        bencher.iter(|| wanted.iter().filter_map(|key| snapshot.get(key)).count());
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("nearest", |bencher| {
        bencher
            .iter(|| snapshot.nearest("/support/articles/en/00007/00001500-on-yuor-buckets.md", 5));
    });
    group.finish();

    let odd = "support//50% off/%25/../caf\u{e9}\u{1}/";
    let mut group = criterion.benchmark_group("tree/path");
    for (name, key) in [("plain", wanted[1].as_str()), ("odd", odd)] {
        let path = encode(key);
        group.throughput(Throughput::Bytes(key.len() as u64));
        group.bench_function(format!("encode/{name}"), |bencher| {
            bencher.iter(|| encode(black_box(key)));
        });
        group.bench_function(format!("decode/{name}"), |bencher| {
            bencher.iter(|| decode(black_box(&path)));
        });
    }
    group.finish();
}
