//! What every kind of bucket promises: written once, run over each.
//!
//! A promise that is tested over one kind is a habit of that kind. Each function below takes a
//! [`World`] that it fills through that kind's own back door, and looks at it through the trait
//! only; the macro at the end runs all of them over all kinds.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use r2vfs::{
    Kind, Result,
    bucket::{
        Bucket, Call, GetRequest, Got, ListPage, ListRequest, MAX_GET, Object, Pages, Permits,
    },
    platform::Platform,
};

use crate::support::World;

fn open(world: &World) -> Arc<dyn Bucket> {
    world.open("", &Permits::new(8))
}

/// All pages of a listing.
async fn pages(bucket: &Arc<dyn Bucket>, request: ListRequest) -> Vec<ListPage> {
    let mut pages = Pages::new(bucket.clone(), Call::default(), request);
    let mut all = Vec::new();
    while let Some(page) = pages.next().await.expect("a page") {
        all.push(page);
    }
    all
}

/// All objects of a listing by key; fails where one is listed twice.
async fn listing(bucket: &Arc<dyn Bucket>, request: ListRequest) -> BTreeMap<String, Object> {
    let mut all = BTreeMap::new();
    for page in pages(bucket, request).await {
        assert_eq!(page.unaddressable, Vec::<String>::new());
        for object in page.objects {
            let key = object.key.clone();
            assert!(all.insert(key.clone(), object).is_none(), "{key} is listed twice");
        }
    }
    all
}

fn below(prefix: &str) -> ListRequest {
    ListRequest { prefix: prefix.into(), ..ListRequest::default() }
}

async fn one(bucket: &Arc<dyn Bucket>, key: &str) -> Object {
    listing(bucket, below(key)).await.remove(key).unwrap_or_else(|| panic!("{key} is not listed"))
}

async fn get(bucket: &Arc<dyn Bucket>, object: &Object, range: Range<u64>) -> Result<Got> {
    bucket.get(&Call::default(), GetRequest { object: object.clone(), range }).await
}

async fn whole(bucket: &Arc<dyn Bucket>, object: &Object) -> Vec<u8> {
    get(bucket, object, 0..object.size).await.expect("the bytes").bytes.to_vec()
}

fn keys(objects: &BTreeMap<String, Object>) -> Vec<&str> {
    objects.keys().map(String::as_str).collect()
}

async fn every_key_is_listed_once_with_its_size_and_read_as_it_was_put(world: World) {
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(255));
    let longest = "k".repeat(1024);
    let odd = [
        "plain.md",
        "docs/a b+c&d=e.md",
        "docs/%20.md",
        "docs/%2F.md",
        "docs/back\\slash",
        "docs/colon:name?query#hash",
        "docs/quote\"'<>&amp;.md",
        "docs/~tilde",
        "docs/.hidden",
        "docs/...",
        "docs/ space at both ends ",
        "docs/\u{e9}-composed",
        "docs/e\u{301}-decomposed",
        "docs/日本語/ファイル.md",
        "docs/\u{1f980}",
        "docs-x",
        "docs.x",
        "docs0",
        &long,
        &longest,
        "ctrl/\u{1}\t\n\r\u{7f}",
        "a",
        "a/",
        "a/b",
        "a//b",
        "a///b",
        "/leading",
        "//",
        "/",
        "dot/./x",
        "dot/../x",
        "..",
        ".",
    ];
    let put: Vec<&str> = odd.into_iter().filter(|k| world.holds(k)).collect();
    let put: Vec<&str> = put.into_iter().filter(|k| *k != "a" || world.holds_twins()).collect();
    world.fill(put.iter().map(|k| (*k, format!("content of {k}")))).await;
    let bucket = open(&world);
    let listed = listing(&bucket, ListRequest::default()).await;
    let mut want = put.clone();
    want.sort_unstable();
    assert_eq!(keys(&listed), want);
    let now = Platform::tokio().wall_clock().as_millis() as i64;
    for (key, object) in &listed {
        let content = format!("content of {key}");
        assert_eq!(object.size, content.len() as u64, "{key}");
        assert!(!object.etag.0.is_empty() && !object.etag.0.contains('"'), "{:?}", object.etag);
        assert!(!object.archived, "{key}");
        let modified = object.modified.expect("a time");
        assert!((now - modified).abs() < 60_000, "{key} was modified at {modified}, now is {now}");
        assert_eq!(String::from_utf8_lossy(&whole(&bucket, object).await), content, "{key:?}");
    }
}

async fn pages_are_as_short_as_asked_and_leave_nothing_out(world: World) {
    let names: Vec<String> = (0..25).map(|n| format!("d{}/k{n:02}", n / 10)).collect();
    world.fill(names.iter().map(|k| (k, "x"))).await;
    let bucket = open(&world);
    for max in [1, 7, 24, 25, 26] {
        let pages =
            pages(&bucket, ListRequest { max_keys: Some(max), ..ListRequest::default() }).await;
        let mut seen = Vec::new();
        for (nth, page) in pages.iter().enumerate() {
            assert!(page.objects.len() <= max as usize, "page {nth}: {}", page.objects.len());
            assert_eq!(page.next.is_some(), nth + 1 < pages.len());
            assert_eq!(page.truncated, page.next.is_some());
            seen.extend(page.objects.iter().map(|o| o.key.clone()));
        }
        assert_eq!(seen, names, "with {max} keys a page");
    }
}

async fn more_than_a_thousand_keys_take_pages_of_a_thousand(world: World) {
    // SeaweedFS takes a put at a time; the pages of a real server are short enough above.
    let count = if matches!(world, World::SeaweedFs { .. }) { 1001 } else { 2001 };
    let names: Vec<String> = (0..count).map(|n| format!("k{n:05}")).collect();
    world.fill(names.iter().map(|k| (k, "x"))).await;
    let pages = pages(&open(&world), ListRequest::default()).await;
    let lengths: Vec<usize> = pages.iter().map(|p| p.objects.len()).collect();
    assert_eq!(lengths, if count == 1001 { vec![1000, 1] } else { vec![1000, 1000, 1] });
    let seen: Vec<_> = pages.iter().flat_map(|p| &p.objects).map(|o| o.key.clone()).collect();
    assert_eq!(seen, names);
}

async fn a_prefix_need_not_end_at_a_separator(world: World) {
    let names = ["docs/en/read.md", "docs/en/rest.md", "docs/en/run/x", "docs/enx", "docs/fr/re"];
    world.fill(names.map(|k| (k, "x"))).await;
    let bucket = open(&world);
    for prefix in ["", "d", "docs/en", "docs/en/", "docs/en/re", "docs/en/rest.md", "none", "x/"] {
        let listed = listing(&bucket, below(prefix)).await;
        let want: Vec<_> = names.into_iter().filter(|k| k.starts_with(prefix)).collect();
        assert_eq!(keys(&listed), want, "below {prefix:?}");
    }
}

async fn one_level_folds_what_lies_deeper(world: World) {
    world.fill(["a.md", "b/c/d", "b/c/e", "b/x", "b-y", "z/1"].map(|k| (k, "x"))).await;
    let bucket = open(&world);
    for (prefix, objects, prefixes) in [
        ("", &["a.md", "b-y"][..], &["b/", "z/"][..]),
        ("b/", &["b/x"], &["b/c/"]),
        ("b/c/", &["b/c/d", "b/c/e"], &[]),
        ("none/", &[], &[]),
    ] {
        for max_keys in [None, Some(1)] {
            let request = ListRequest { one_level: true, max_keys, ..below(prefix) };
            let pages = pages(&bucket, request).await;
            let mut files: Vec<_> =
                pages.iter().flat_map(|p| &p.objects).map(|o| o.key.as_str()).collect();
            let mut dirs: Vec<_> =
                pages.iter().flat_map(|p| &p.prefixes).map(String::as_str).collect();
            files.sort_unstable();
            dirs.sort_unstable();
            assert_eq!((&files[..], &dirs[..]), (objects, prefixes), "below {prefix:?}");
        }
    }
}

async fn start_after_is_exclusive(world: World) {
    if !world.lists_in_byte_order() {
        // Ranges by start-after are not used on such a server.
        return;
    }
    let names = ["a", "a-", "b/1", "b/2", "b0", "c"];
    world.fill(names.map(|k| (k, "x"))).await;
    let bucket = open(&world);
    for after in ["", "a", "a,", "b/", "b/1", "b/1\u{1}", "b/2", "bz", "c", "d"] {
        let request = ListRequest { start_after: Some(after.into()), ..ListRequest::default() };
        let want: Vec<_> = names.into_iter().filter(|k| *k > after).collect();
        assert_eq!(keys(&listing(&bucket, request).await), want, "after {after:?}");
        let request = ListRequest { start_after: Some(after.into()), ..below("b") };
        let want: Vec<_> = want.into_iter().filter(|k| k.starts_with('b')).collect();
        assert_eq!(keys(&listing(&bucket, request).await), want, "below b, after {after:?}");
    }
}

async fn a_range_gives_exactly_its_bytes(world: World) {
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    world.put("blob.bin", &content).await;
    let bucket = open(&world);
    let object = one(&bucket, "blob.bin").await;
    let size = content.len() as u64;
    assert_eq!(object.size, size);
    for range in [0..1, 0..size, 5..6, 262_143..262_145, size - 1..size, 17..1_000_003] {
        let got = get(&bucket, &object, range.clone()).await.expect("the bytes");
        assert!(got.bytes == content[range.start as usize..range.end as usize], "{range:?}");
        assert_eq!(got.headers.content_encoding, None);
    }
}

async fn an_object_larger_than_one_get_takes_several(world: World) {
    let content: Vec<u8> =
        (0..MAX_GET + 12_345).map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as u8).collect();
    world.put("large.bin", &content).await;
    let bucket = open(&world);
    let object = one(&bucket, "large.bin").await;
    let first = get(&bucket, &object, 0..MAX_GET).await.expect("the first part");
    let second = get(&bucket, &object, MAX_GET..object.size).await.expect("the second part");
    assert!([&first.bytes[..], &second.bytes[..]].concat() == content);
    let error = get(&bucket, &object, 0..MAX_GET + 1).await.expect_err("too much for one get");
    assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
}

async fn a_range_outside_the_object_is_refused_before_it_is_sent(world: World) {
    world.put("k", b"0123456789").await;
    world.put("empty", b"").await;
    let bucket = open(&world);
    let object = one(&bucket, "k").await;
    assert_eq!(one(&bucket, "empty").await.size, 0);
    for range in [0..11, 10..11, 11..12, u64::MAX - 1..u64::MAX] {
        let error = get(&bucket, &object, range.clone()).await.expect_err("no such bytes");
        assert_eq!(error.kind(), Kind::InvalidArgument, "{range:?}: {error}");
    }
}

async fn a_new_version_is_never_read_as_the_old_one(world: World) {
    let bucket = open(&world);
    for (old, new) in [("same size 1", "same size 2"), ("long enough", "x"), ("x", "long enough")] {
        world.put("dir/k", old.as_bytes()).await;
        let object = one(&bucket, "dir/k").await;
        assert_eq!(whole(&bucket, &object).await, old.as_bytes());
        world.put("dir/k", new.as_bytes()).await;
        let error = get(&bucket, &object, 0..object.size).await.expect_err("it changed");
        assert_eq!(error.kind(), Kind::Changed, "{old} to {new}: {error}");
        let now = one(&bucket, "dir/k").await;
        assert_ne!(now.etag, object.etag);
        assert_eq!(whole(&bucket, &now).await, new.as_bytes());
    }
}

async fn an_object_that_is_gone_is_not_found(world: World) {
    world.fill([("stays", "x"), ("goes", "y")]).await;
    let bucket = open(&world);
    let object = one(&bucket, "goes").await;
    world.delete("goes").await;
    let error = get(&bucket, &object, 0..1).await.expect_err("it is gone");
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert_eq!(keys(&listing(&bucket, ListRequest::default()).await), ["stays"]);
}

async fn a_prefix_in_the_location_is_the_root(world: World) {
    let names = ["in/a", "in/b/c", "in-side", "inn/x", "out"];
    world.fill(names.map(|k| (k, k))).await;
    let inner = world.open("in/", &Permits::new(8));
    let listed = listing(&inner, ListRequest::default()).await;
    assert_eq!(keys(&listed), ["a", "b/c"]);
    assert_eq!(whole(&inner, &listed["b/c"]).await, b"in/b/c");
    assert_eq!(keys(&listing(&inner, below("b/")).await), ["b/c"]);
    let after = ListRequest { start_after: Some("a".into()), ..ListRequest::default() };
    if world.lists_in_byte_order() {
        assert_eq!(keys(&listing(&inner, after).await), ["b/c"]);
    }
    let level = pages(&inner, ListRequest { one_level: true, ..ListRequest::default() }).await;
    assert_eq!(level[0].prefixes, ["b/"]);
    assert_ne!(inner.id(), open(&world).id(), "caches must tell one root from another");
    for key in ["../out", "../in/a", "/out"] {
        let object = Object { key: key.into(), size: 3, ..listed["a"].clone() };
        let error = get(&inner, &object, 0..1).await.expect_err("it is outside the root");
        // SeaweedFS calls a key with `..` malformed; the others look and find nothing.
        let refused = [Kind::NotFound, Kind::InvalidPath, Kind::Forbidden, Kind::Protocol];
        assert!(refused.contains(&error.kind()), "{key}: {:?} {error}", error.kind());
    }
}

async fn what_was_done_is_counted(world: World) {
    world.fill((0..10).map(|n| (format!("k{n}"), "0123456789"))).await;
    let bucket = open(&world);
    let call = Call::default();
    let request = ListRequest { max_keys: Some(4), ..ListRequest::default() };
    let mut pages = Pages::new(bucket.clone(), call.clone(), request);
    let mut objects = Vec::new();
    while let Some(page) = pages.next().await.expect("a page") {
        objects.extend(page.objects);
    }
    for object in &objects {
        let request = GetRequest { object: object.clone(), range: 2..9 };
        bucket.get(&call, request).await.expect("the bytes");
    }
    let cost = call.meter.cost();
    assert_eq!(
        (cost.list_requests, cost.get_requests, cost.bytes_fetched, cost.retries),
        (3, 10, 70, 0)
    );
    if let World::Loopback(server) = &world {
        let counts = server.counts();
        assert_eq!((counts.lists, counts.gets, counts.bytes, counts.heads), (3, 10, 70, 0));
        assert_eq!(counts.others, 0, "nothing but lists and gets: {:?}", server.log());
    }
}

async fn nothing_is_sent_after_the_deadline(world: World) {
    world.put("k", b"x").await;
    let bucket = open(&world);
    let object = one(&bucket, "k").await;
    // The platform of the bucket began before this one, so that its clock is past this moment.
    let late = Call { deadline: Some(Duration::ZERO), ..Call::default() };
    let listed = bucket.list(&late, ListRequest::default()).await;
    assert_eq!(listed.expect_err("too late").kind(), Kind::Deadline);
    let got = bucket.get(&late, GetRequest { object, range: 0..1 }).await;
    assert_eq!(got.expect_err("too late").kind(), Kind::Deadline);
    let cost = late.meter.cost();
    assert_eq!((cost.list_requests, cost.get_requests), (0, 0));
}

async fn no_more_is_under_way_at_once_than_the_pool_allows(world: World) {
    let names: Vec<String> = (0..40).map(|n| format!("k{n:02}")).collect();
    world.fill(names.iter().map(|k| (k, k))).await;
    let bucket = world.open("", &Permits::new(3));
    if let World::Loopback(server) = &world {
        server.faults().delay(Duration::from_millis(5));
    }
    let objects = listing(&bucket, ListRequest::default()).await;
    let gets = objects.values().map(|object| whole(&bucket, object));
    let all = futures_util::future::join_all(gets).await;
    assert!(all.iter().map(Vec::as_slice).eq(names.iter().map(|n| n.as_bytes())));
    if let World::Loopback(server) = &world {
        assert_eq!(server.counts().most_at_once, 3);
    }
}

async fn a_peek_tells_the_version_and_all_bytes_or_that_nothing_is_there(world: World) {
    world.fill([("a/small.json", "0123456789"), ("a/empty", "")]).await;
    let bucket = open(&world);
    let call = Call::default();
    for (key, max) in [("a/small.json", 10), ("a/small.json", MAX_GET), ("a/empty", 1)] {
        let (object, bytes) = bucket.peek(&call, key, max).await.expect("a peek").expect("there");
        assert_eq!(object, one(&bucket, key).await, "as it is listed");
        assert_eq!(bytes.to_vec(), whole_or_nothing(&bucket, &object).await);
    }
    for absent in ["a/none", "a", "none/at/all"] {
        assert!(bucket.peek(&call, absent, 10).await.expect("a peek").is_none(), "{absent}");
    }
    let cost = call.meter.cost();
    // An empty object has no range, which costs a second get of S3.
    assert!((6..=7).contains(&cost.get_requests), "{cost:?}");
    assert_eq!((cost.list_requests, cost.bytes_fetched, cost.retries), (0, 20, 0));

    let call = Call::default();
    let error = bucket.peek(&call, "a/small.json", 9).await.expect_err("one byte too long");
    assert_eq!(error.kind(), Kind::TooLarge);
    assert!(call.meter.cost().bytes_fetched <= 9);
    for max in [0, MAX_GET + 1] {
        let error = bucket.peek(&call, "a/small.json", max).await.expect_err("no such bound");
        assert_eq!(error.kind(), Kind::InvalidArgument);
    }
}

async fn whole_or_nothing(bucket: &Arc<dyn Bucket>, object: &Object) -> Vec<u8> {
    if object.size == 0 { Vec::new() } else { whole(bucket, object).await }
}

macro_rules! over_every_kind {
    ($($test:ident,)*) => {
        over_every_kind!(loopback: $($test,)*);
        over_every_kind!(directory: $($test,)*);
        over_every_kind!(seaweedfs: $($test,)*);
    };
    ($kind:ident: $($test:ident,)*) => {
        mod $kind {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    if let Some(world) = super::World::$kind().await {
                        super::$test(world).await;
                    }
                }
            )*
        }
    };
}

over_every_kind! {
    every_key_is_listed_once_with_its_size_and_read_as_it_was_put,
    pages_are_as_short_as_asked_and_leave_nothing_out,
    more_than_a_thousand_keys_take_pages_of_a_thousand,
    a_prefix_need_not_end_at_a_separator,
    one_level_folds_what_lies_deeper,
    start_after_is_exclusive,
    a_range_gives_exactly_its_bytes,
    an_object_larger_than_one_get_takes_several,
    a_range_outside_the_object_is_refused_before_it_is_sent,
    a_new_version_is_never_read_as_the_old_one,
    an_object_that_is_gone_is_not_found,
    a_prefix_in_the_location_is_the_root,
    what_was_done_is_counted,
    nothing_is_sent_after_the_deadline,
    a_peek_tells_the_version_and_all_bytes_or_that_nothing_is_there,
    no_more_is_under_way_at_once_than_the_pool_allows,
}
