use std::{collections::BTreeSet, os::unix::fs::symlink, time::SystemTime};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{bucket::Pages, platform::Hooks};

fn bucket(dir: &Path) -> LocalBucket {
    LocalBucket::open(dir, Permits::new(4), Platform::tokio()).expect("a directory")
}

fn write(dir: &Path, key: &str, text: &str) {
    let path = dir.join(key);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, text).expect("written");
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Listing {
    keys: Vec<String>,
    prefixes: Vec<String>,
    unaddressable: Vec<String>,
    pages: u64,
}

async fn list(bucket: &Arc<dyn Bucket>, request: ListRequest) -> Listing {
    let mut pages = Pages::new(Arc::clone(bucket), Call::default(), request);
    let mut listing = Listing::default();
    while let Some(page) = pages.next().await.expect("a page") {
        listing.keys.extend(page.objects.into_iter().map(|object| object.key));
        listing.prefixes.extend(page.prefixes);
        listing.unaddressable.extend(page.unaddressable);
    }
    listing.pages = pages.notes().pages;
    assert_eq!(pages.notes().out_of_order, 0, "{:?}", listing.keys);
    listing
}

async fn all(dir: &Path) -> Listing {
    list(&(Arc::new(bucket(dir)) as _), ListRequest::default()).await
}

async fn get(bucket: &LocalBucket, object: &Object) -> Result<Bytes> {
    let request = GetRequest { object: object.clone(), range: 0..object.size };
    bucket.get(&Call::default(), request).await.map(|got| got.bytes)
}

async fn only(bucket: &LocalBucket) -> Object {
    let page = bucket.list(&Call::default(), ListRequest::default()).await.expect("a page");
    <[Object; 1]>::try_from(page.objects).expect("one object")[0].clone()
}

/// What S3 answers over a set of keys, in the plainest words.
fn model(keys: &BTreeSet<String>, request: &ListRequest) -> Listing {
    let mut listing = Listing::default();
    for key in keys {
        let Some(rest) = key.strip_prefix(request.prefix.as_str()) else { continue };
        if request.start_after.as_ref().is_some_and(|after| key <= after) {
            continue;
        }
        match rest.find('/').filter(|_| request.one_level) {
            Some(at) => {
                let prefix = format!("{}{}", request.prefix, &rest[..=at]);
                if listing.prefixes.last() != Some(&prefix) {
                    listing.prefixes.push(prefix);
                }
            }
            None => listing.keys.push(key.clone()),
        }
    }
    let count = listing.keys.len() + listing.prefixes.len();
    listing.pages = count.div_ceil(request.max_keys.unwrap_or(1000) as usize).max(1) as u64;
    listing
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn lists_as_a_bucket_of_these_keys_does(
        paths in prop::collection::vec("[a.0-]{1,2}(/[a.0-]{1,2}){0,3}", 0..40),
        requests in prop::collection::vec(
            ("[a.0/-]{0,4}", any::<bool>(), prop::option::of("[a.0/-]{0,5}"), 1_u32..7), 8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let dir = TempDir::new()?;
        let mut keys = BTreeSet::new();
        for path in paths {
            if path.split('/').any(|segment| segment == "." || segment == "..") {
                continue;
            }
            let file = dir.path().join(&path);
            // Where a file is in the way of a directory, or the reverse, the first one stays.
            if fs::create_dir_all(file.parent().expect("a parent")).is_ok()
                && fs::write(&file, "").is_ok()
            {
                keys.insert(path);
            }
        }
        runtime.block_on(async {
            let bucket: Arc<dyn Bucket> = Arc::new(bucket(dir.path()));
            for (prefix, one_level, start_after, max) in requests {
                let request = ListRequest {
                    prefix, one_level, start_after, token: None, max_keys: Some(max),
                };
                let expected = model(&keys, &request);
                let listing = list(&bucket, request.clone()).await;
                assert_eq!(listing, expected, "{request:?}");
                // By tokens alone, as by another process.
                let mut pages = Listing { pages: expected.pages, ..Listing::default() };
                let mut next = Some(request);
                while let Some(request) = next {
                    let other = self::bucket(dir.path());
                    let page = other.list(&Call::default(), request.clone()).await.expect("a page");
                    pages.keys.extend(page.objects.into_iter().map(|object| object.key));
                    pages.prefixes.extend(page.prefixes);
                    next = page.next.map(|token| ListRequest { token: Some(token), ..request });
                }
                assert_eq!(pages, expected);
            }
        });
    }
}

#[tokio::test]
async fn a_full_last_page_is_the_last() {
    let dir = TempDir::new().expect("a directory");
    for at in 0..2_000 {
        write(dir.path(), &format!("d{}/{at}", at % 7), "");
    }
    let listing = all(dir.path()).await;
    assert_eq!((listing.keys.len(), listing.pages), (2_000, 2));
}

#[tokio::test]
async fn a_listing_abandoned_long_ago_does_not_answer_for_a_new_one() {
    let dir = TempDir::new().expect("a directory");
    for key in ["a", "b", "d"] {
        write(dir.path(), key, "");
    }
    let bucket = bucket(dir.path());
    let request = ListRequest { max_keys: Some(2), ..ListRequest::default() };
    bucket.list(&Call::default(), request.clone()).await.expect("a page");
    write(dir.path(), "c", "");
    let listing = list(&(Arc::new(bucket) as _), request).await;
    assert_eq!(listing.keys, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn links_are_followed_inside_the_root_and_never_round_in_circles() {
    let outside = TempDir::new().expect("a directory");
    write(outside.path(), "secret", "s");
    let dir = TempDir::new().expect("a directory");
    write(dir.path(), "docs/a.md", "a");
    let link = |target: &Path, name: &str| symlink(target, dir.path().join(name)).expect("linked");
    link(outside.path(), "out");
    link(&outside.path().join("secret"), "out.md");
    link(Path::new("docs/a.md"), "in.md");
    link(Path::new("docs"), "in");
    link(Path::new("nowhere"), "dangling");
    link(Path::new("dangling2"), "dangling2");
    link(Path::new("."), "here");
    link(Path::new(".."), "docs/up");
    let listing = all(dir.path()).await;
    assert_eq!(listing.keys, ["docs/a.md", "in.md", "in/a.md"]);
    assert_eq!(listing.unaddressable, [] as [&str; 0]);
    let bucket: Arc<dyn Bucket> = Arc::new(bucket(dir.path()));
    for (prefix, expected) in
        [("out/", &[][..]), ("here/", &[]), ("docs/up/", &[]), ("in/", &["in/a.md"])]
    {
        let request = ListRequest { prefix: prefix.into(), ..ListRequest::default() };
        assert_eq!(list(&bucket, request).await.keys, expected, "{prefix}");
    }
}

#[tokio::test]
async fn a_key_leads_nowhere_but_to_what_was_listed() {
    let outside = TempDir::new().expect("a directory");
    write(outside.path(), "secret", "s");
    let dir = TempDir::new().expect("a directory");
    write(dir.path(), "a", "a");
    symlink(outside.path().join("secret"), dir.path().join("out")).expect("linked");
    let bucket = bucket(dir.path());
    let mut object = only(&bucket).await;
    let up = format!("../{}/secret", outside.path().file_name().unwrap_or_default().display());
    for key in ["out", up.as_str(), "/a", "a/", "./a", "", "b", "a/b", "a\0"] {
        object.key = key.into();
        let error = get(&bucket, &object).await.expect_err(key);
        assert!(matches!(error.kind(), Kind::NotFound | Kind::Changed), "{key}: {error:?}");
    }
}

#[tokio::test]
async fn names_that_no_key_can_be_are_reported_and_cost_nothing_else() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let dir = TempDir::new().expect("a directory");
    write(dir.path(), "a%", "");
    write(dir.path(), "z/z", "");
    let odd = |bytes: &[u8]| dir.path().join(OsStr::from_bytes(bytes));
    fs::write(odd(b"b\xff%"), "").expect("written");
    fs::create_dir(odd(b"c\xfe")).expect("made");
    fs::write(odd(b"c\xfe/inside"), "").expect("written");
    // Five times 250 bytes and the slashes between: longer than a key.
    let long = [["n".repeat(250).as_str(); 5].join("/"), "f".into()].join("/");
    write(dir.path(), &long, "");
    let listing = all(dir.path()).await;
    assert_eq!(listing.keys, ["a%", "z/z"]);
    let deep = format!("{}/", ["n".repeat(250).as_str(); 5].join("/"));
    assert_eq!(listing.unaddressable, ["b%FF%25", "c%FE/", deep.as_str()]);
}

#[tokio::test]
async fn what_is_no_regular_file_is_no_object() {
    let dir = TempDir::new().expect("a directory");
    write(dir.path(), "a", "");
    fs::create_dir_all(dir.path().join("empty/empty")).expect("made");
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s")).expect("bound");
    assert_eq!(all(dir.path()).await.keys, ["a"]);
    let request = ListRequest { one_level: true, ..ListRequest::default() };
    let listing = list(&(Arc::new(bucket(dir.path())) as _), request).await;
    assert_eq!(listing.prefixes, [] as [&str; 0], "a bucket knows no empty directory");
}

/// As root every directory can be read; the rule is then tested by whoever is not.
#[tokio::test]
async fn a_directory_that_cannot_be_read_is_reported_and_costs_nothing_else() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().expect("a directory");
    write(dir.path(), "private/a", "");
    write(dir.path(), "z", "zz");
    let mode = |key: &str, mode| {
        fs::set_permissions(dir.path().join(key), fs::Permissions::from_mode(mode)).expect("set");
    };
    mode("private", 0o000);
    mode("z", 0o000);
    if fs::read_dir(dir.path().join("private")).is_ok() {
        return;
    }
    let listing = all(dir.path()).await;
    let bucket = bucket(dir.path());
    let z = only(&bucket).await;
    let request = ListRequest { prefix: "private/".into(), ..ListRequest::default() };
    let below = bucket.list(&Call::default(), request).await;
    let unread = get(&bucket, &z).await;
    mode("private", 0o700);
    assert_eq!((listing.keys, listing.unaddressable), (vec!["z".into()], vec!["private/".into()]));
    assert_eq!(below.expect_err("no permission").kind(), Kind::Forbidden);
    assert_eq!(unread.expect_err("no permission").kind(), Kind::Forbidden);
}

#[tokio::test]
async fn a_rewrite_of_the_same_size_with_its_time_set_back_is_seen() {
    let dir = TempDir::new().expect("a directory");
    write(dir.path(), "a", "one");
    let bucket = bucket(dir.path());
    let before = only(&bucket).await;
    assert_eq!(get(&bucket, &before).await.expect("bytes"), "one");
    let path = dir.path().join("a");
    let modified = path.metadata().and_then(|metadata| metadata.modified()).expect("a time");
    // The clock of the file system ticks every few milliseconds; the rule of two seconds is for
    // what happens between two ticks.
    loop {
        fs::write(&path, "two").expect("written");
        File::options()
            .write(true)
            .open(&path)
            .and_then(|f| f.set_modified(modified))
            .expect("set");
        if etag(&path.metadata().expect("there")) != before.etag {
            break;
        }
    }
    let after = only(&bucket).await;
    assert_eq!((after.modified, after.size), (before.modified, before.size));
    assert_ne!(after.etag, before.etag);
    assert_eq!(get(&bucket, &before).await.expect_err("changed").kind(), Kind::Changed);
    assert_eq!(get(&bucket, &after).await.expect("bytes"), "two");
}

#[tokio::test]
async fn another_file_of_the_same_name_is_another_version() {
    let dir = TempDir::new().expect("a directory");
    write(dir.path(), "a", "one");
    write(dir.path(), ".b", "two");
    let bucket = bucket(dir.path());
    let request = ListRequest { prefix: "a".into(), ..ListRequest::default() };
    let page = bucket.list(&Call::default(), request).await.expect("a page");
    fs::rename(dir.path().join(".b"), dir.path().join("a")).expect("renamed");
    let error = get(&bucket, &page.objects[0]).await.expect_err("changed");
    assert_eq!(error.kind(), Kind::Changed);
    fs::remove_file(dir.path().join("a")).expect("removed");
    let error = get(&bucket, &page.objects[0]).await.expect_err("gone");
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_file_is_trusted_two_seconds_after_its_last_change() {
    let dir = TempDir::new().expect("a directory");
    write(dir.path(), "a", "one");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    // An old mtime proves nothing: it can be set.
    File::options()
        .write(true)
        .open(dir.path().join("a"))
        .and_then(|file| file.set_modified(UNIX_EPOCH))
        .expect("set");
    let an_hour = Duration::from_secs(3_600);
    // Milliseconds since an hour ago, so that the clock can stand before the file's times.
    let ahead = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&ahead);
    let platform = Platform::new(Hooks {
        sleep: Box::new(|_| Box::pin(std::future::pending())),
        spawn: Box::new(drop),
        wall_clock: Box::new(move |()| now - an_hour + Duration::from_millis(clock.load(Relaxed))),
        monotonic: Box::new(|()| Duration::ZERO),
        run_blocking: None,
        run_worker: None,
        parallelism: 1,
    });
    let bucket = LocalBucket::open(dir.path(), Permits::new(1), platform).expect("a directory");
    let object = only(&bucket).await;
    let trusted = [0, 3_600_000, 3_601_500, 3_602_500].map(|millis| {
        ahead.store(millis, Relaxed);
        bucket.trusts(&object)
    });
    assert_eq!(trusted, [false, false, false, true]);
    ahead.store(3_602_500, Relaxed);
    let foreign = Object { etag: ETag("d41d8cd98f00b204e9800998ecf8427e".into()), ..object };
    assert!(!bucket.trusts(&foreign));
}

#[tokio::test]
async fn requests_are_counted_and_end_at_the_deadline() {
    let dir = TempDir::new().expect("a directory");
    write(dir.path(), "a", "one two");
    let bucket = bucket(dir.path());
    let call = Call { meter: Arc::new(Meter::default()), deadline: None };
    let page = bucket.list(&call, ListRequest::default()).await.expect("a page");
    let request = GetRequest { object: page.objects[0].clone(), range: 4..7 };
    assert_eq!(bucket.get(&call, request.clone()).await.expect("bytes").bytes, "two");
    let cost = call.meter.cost();
    assert_eq!((cost.list_requests, cost.get_requests, cost.bytes_fetched), (1, 1, 3));
    let late = Call { deadline: Some(Duration::ZERO), ..call };
    let error = bucket.get(&late, request).await.expect_err("too late");
    assert_eq!(error.kind(), Kind::Deadline);
    assert_eq!(late.meter.cost(), cost);
}

#[tokio::test]
async fn a_root_that_is_no_directory_says_what_to_do_and_no_path() {
    let dir = TempDir::new().expect("a directory");
    write(dir.path(), "plain-7", "");
    for (name, says) in [("nowhere", "no such directory"), ("plain-7", "is a file")] {
        let path = dir.path().join(name);
        let error = LocalBucket::open(&path, Permits::new(1), Platform::tokio()).expect_err(name);
        assert_eq!(error.kind(), Kind::Config);
        let text = error.to_string();
        assert!(text.contains(says) && !text.contains(name) && error.advice().is_some(), "{text}");
    }
}

#[tokio::test]
async fn a_token_of_another_listing_is_refused() {
    let dir = TempDir::new().expect("a directory");
    for token in ["", "x.k.a", "1.q.a", "1.k"] {
        let request = ListRequest { token: Some(token.into()), ..ListRequest::default() };
        let error = bucket(dir.path()).list(&Call::default(), request).await.expect_err(token);
        assert_eq!(error.kind(), Kind::InvalidArgument);
    }
}

#[tokio::test]
async fn nothing_outside_the_root_is_read_or_listed() {
    let dir = TempDir::new().expect("a directory");
    let root = dir.path().join("root");
    write(dir.path(), "secret", "s");
    write(&root, "a/b", "x");
    let bucket: Arc<dyn Bucket> = Arc::new(bucket(&root));
    let secret = fs::metadata(dir.path().join("secret")).expect("a file");
    for key in ["../secret", "a/../../secret", "/../secret", "./../secret", "a/../b", "a//b", ""] {
        let object = object(key.to_owned(), &secret);
        let request = GetRequest { object, range: 0..1 };
        let error = bucket.get(&Call::default(), request).await.expect_err(key);
        assert_eq!(error.kind(), Kind::NotFound, "{key}");
    }
    for prefix in ["../", "..", "../s", "a/../", "a/../../", "/", "//", "./", "a//", "a/./", "/a/"]
    {
        let request = ListRequest { prefix: prefix.to_owned(), ..ListRequest::default() };
        assert_eq!(list(&bucket, request.clone()).await.keys, [] as [&str; 0], "{prefix}");
        let one_level = list(&bucket, ListRequest { one_level: true, ..request }).await;
        assert!(one_level.keys.is_empty() && one_level.prefixes.is_empty(), "{prefix}");
    }
}

#[tokio::test]
async fn a_permit_is_not_waited_for_beyond_the_deadline() {
    let dir = TempDir::new().expect("a directory");
    let (permits, platform) = (Permits::new(1), Platform::tokio());
    let bucket = LocalBucket::open(dir.path(), permits.clone(), platform.clone());
    let bucket = bucket.expect("a directory");
    let held = permits.acquire().await.expect("free");
    let deadline = platform.monotonic() + Duration::from_millis(50);
    let call = Call { deadline: Some(deadline), ..Call::default() };
    let error = bucket.list(&call, ListRequest::default()).await.expect_err("it is held");
    assert_eq!(error.kind(), Kind::Deadline);
    drop(held);
}
