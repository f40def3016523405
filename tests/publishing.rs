//! Writing an index into a bucket: what every kind of place promises, and what a server that
//! fails, lies or answers another publisher does to it.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::{Duration, SystemTime},
};

use r2vfs::{
    Error, Kind,
    bucket::{
        ETag, MAX_GET, Permits, RESERVED,
        publish::{Condition, Conditions, Outcome, Publisher},
    },
    config::Location,
    platform::Platform,
};
use tempfile::TempDir;

use crate::support::{
    ACCESS_KEY, BUCKET, Fault, Kind as Asked, Quirk, Rule, SECRET_KEY, TestServer, World,
    world::{hurried, settings_of},
};

const MANIFEST: &str = "manifest.json";
const SEGMENT: &str = "0123456789abcdef0123456789abcdef.seg";

/// A publisher under the reserved prefix of what is below `prefix`.
fn publisher(world: &World, prefix: &str) -> Publisher {
    let (location, endpoint) = world.place(prefix);
    let location = Location::parse(&location).expect("a location");
    let settings = settings_of(&endpoint);
    Publisher::open(&location, &settings, &Permits::new(8), &Platform::tokio()).expect("opens")
}

/// A publisher on the loopback server whose clock is fast.
fn on(server: &TestServer) -> Publisher {
    at_pace(server, &hurried(20))
}

fn at_pace(server: &TestServer, platform: &Platform) -> Publisher {
    let location = Location::parse(&server.location("")).expect("a location");
    let settings = settings_of(&server.url());
    Publisher::open(&location, &settings, &Permits::new(8), platform).expect("opens")
}

fn done(outcome: Outcome) -> ETag {
    match outcome {
        Outcome::Done(etag) => etag,
        Outcome::Lost => panic!("lost"),
    }
}

async fn put(publisher: &Publisher, text: &'static str, condition: Condition) -> Outcome {
    publisher.put(MANIFEST, text.into(), condition).await.expect("a put")
}

async fn text(publisher: &Publisher) -> Option<String> {
    let got = publisher.get(MANIFEST, MAX_GET).await.expect("a get");
    got.map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned())
}

/// A file of this length, no two bytes of which are easily confused.
fn file(dir: &TempDir, length: u64) -> (PathBuf, Vec<u8>) {
    let content: Vec<u8> = (0..length).map(|n| (n % 251) as u8 ^ (n >> 20) as u8).collect();
    let path = dir.path().join("file");
    std::fs::write(&path, &content).expect("room on the disk");
    (path, content)
}

async fn conditions_hold(world: World) {
    let publisher = publisher(&world, "");
    assert_eq!(text(&publisher).await, None);
    let none = Condition::Matches(ETag("0123456789abcdef0123456789abcdef".into()));
    assert_eq!(put(&publisher, "x", none.clone()).await, Outcome::Lost, "nothing is there");
    let first = done(put(&publisher, "one", Condition::Absent).await);
    assert_eq!(put(&publisher, "two", Condition::Absent).await, Outcome::Lost);
    assert_eq!(put(&publisher, "two", none).await, Outcome::Lost);
    assert_eq!(text(&publisher).await.as_deref(), Some("one"));
    let second = done(put(&publisher, "three", Condition::Matches(first.clone())).await);
    assert_ne!(first, second);
    assert_eq!(put(&publisher, "four", Condition::Matches(first)).await, Outcome::Lost);
    assert_eq!(text(&publisher).await.as_deref(), Some("three"));
    let third = done(put(&publisher, "five", Condition::Always).await);
    let (object, _) = publisher.get(MANIFEST, 100).await.expect("a get").expect("there");
    assert_eq!(object.etag, third);
    let error = publisher.get(MANIFEST, 3).await.expect_err("longer");
    assert_eq!(error.kind(), Kind::TooLarge);
}

async fn what_is_put_is_what_readers_of_the_bucket_see(world: World) {
    world.put("kb/a.md", b"article").await;
    let publisher = publisher(&world, "kb/");
    let dir = TempDir::new().expect("a folder");
    let (path, content) = file(&dir, 100_000);
    let told = AtomicU64::new(0);
    let progress = |bytes| {
        told.fetch_add(bytes, SeqCst);
    };
    let put = publisher.put_file(SEGMENT, &path, &Condition::Absent, &progress);
    let etag = done(put.await.expect("a file"));
    assert_eq!(told.load(SeqCst), 100_000);
    let again = publisher.put_file(SEGMENT, &path, &Condition::Absent, &progress);
    assert_eq!(again.await.expect("an answer"), Outcome::Lost, "it is there already");
    let bucket = world.open("kb/", &Permits::new(8));
    let key = format!("{RESERVED}{SEGMENT}");
    let peeked = bucket.peek(&Default::default(), &key, 1 << 20).await.expect("a peek");
    let (object, bytes) = peeked.expect("it is there");
    assert_eq!((&object.etag, bytes.to_vec()), (&etag, content));
    let listed = publisher.list().await.expect("a listing");
    let fields = |o: &r2vfs::bucket::Object| (o.size, o.etag.clone(), o.modified);
    assert_eq!(listed.iter().map(fields).collect::<Vec<_>>(), [fields(&object)]);
    assert_eq!(listed[0].key, SEGMENT);
    publisher.delete(SEGMENT).await.expect("a deletion");
    publisher.delete(SEGMENT).await.expect("that it is gone is no error");
    assert!(publisher.list().await.expect("a listing").is_empty());
    let left = bucket.list(&Default::default(), Default::default()).await.expect("a page").objects;
    assert_eq!(left.iter().map(|o| o.key.as_str()).collect::<Vec<_>>(), ["a.md"]);
}

async fn a_large_file_arrives_whole(world: World) {
    let publisher = publisher(&world, "");
    let dir = TempDir::new().expect("a folder");
    // Two whole parts, and one of a byte.
    let (path, content) = file(&dir, (16 << 20) + 1);
    let told = AtomicU64::new(0);
    let progress = |bytes| {
        told.fetch_add(bytes, SeqCst);
    };
    let put = publisher.put_file(SEGMENT, &path, &Condition::Absent, &progress);
    let etag = done(put.await.expect("a file"));
    assert_eq!(told.load(SeqCst), content.len() as u64);
    let object = publisher.list().await.expect("a listing").remove(0);
    assert_eq!((object.size, &object.etag), (content.len() as u64, &etag));
    let bucket = world.open(RESERVED, &Permits::new(8));
    let mut there = Vec::new();
    while there.len() < content.len() {
        let start = there.len() as u64;
        let range = start..object.size.min(start + MAX_GET);
        let request = r2vfs::bucket::GetRequest { object: object.clone(), range };
        there.extend_from_slice(&bucket.get(&Default::default(), request).await.expect("").bytes);
    }
    assert!(there == content, "the bytes differ");
    if let World::Loopback(server) = &world {
        let counts = server.counts();
        assert_eq!((counts.parts, counts.uploads, counts.puts, counts.aborts), (3, 2, 0, 0));
    }
}

async fn nothing_but_an_index_can_be_touched(world: World) {
    // The root of somebody's bucket, given by mistake.
    let names = ["readme.md", "manifest.txt", "a/manifest.json", "0123.seg"];
    world.fill(names.map(|name| (name, "precious"))).await;
    let (location, endpoint) = world.place("");
    let location = Location::parse(&location).expect("a location");
    let publisher = Publisher::open_root(
        &location,
        &settings_of(&endpoint),
        &Permits::new(8),
        &Platform::tokio(),
    )
    .expect("opens");
    for name in names.into_iter().chain(["../x.json", "", "/"]) {
        let refused = publisher.put(name, "x".into(), Condition::Always).await;
        assert_eq!(refused.expect_err(name).kind(), Kind::InvalidArgument);
        let refused = publisher.delete(name).await;
        assert_eq!(refused.expect_err(name).kind(), Kind::InvalidArgument);
    }
    done(publisher.put(MANIFEST, "mine".into(), Condition::Absent).await.expect("a put"));
    let listed = publisher.list().await.expect("a listing");
    assert_eq!(listed.iter().map(|o| o.key.as_str()).collect::<Vec<_>>(), [MANIFEST]);
    let bucket = world.open("", &Permits::new(8));
    for name in names {
        let peeked = bucket.peek(&Default::default(), name, 100).await.expect("a peek");
        assert_eq!(&peeked.expect(name).1[..], b"precious");
    }
}

async fn of_many_publishers_at_once_each_win_is_kept(world: World) {
    let start = done(put(&publisher(&world, ""), "0", Condition::Absent).await);
    drop(start);
    let wins = AtomicU64::new(0);
    let racer = || async {
        let publisher = publisher(&world, "");
        let mut won = 0;
        while won < 5 {
            let read = publisher.get(MANIFEST, 100).await.expect("a get");
            let (object, bytes) = read.expect("there");
            let count: u64 = String::from_utf8_lossy(&bytes).parse().expect("a number");
            let next = (count + 1).to_string();
            let condition = Condition::Matches(object.etag);
            if publisher.put(MANIFEST, next.into(), condition).await.expect("a put")
                != Outcome::Lost
            {
                won += 1;
                wins.fetch_add(1, SeqCst);
            }
        }
    };
    futures_util::future::join_all((0..6).map(|_| racer())).await;
    assert_eq!(wins.load(SeqCst), 30);
    assert_eq!(text(&publisher(&world, "")).await.as_deref(), Some("30"), "none was overwritten");
    let leftovers = publisher(&world, "").list().await.expect("a listing");
    assert_eq!(leftovers.len(), 1, "{leftovers:?}");
}

async fn a_probe_finds_that_conditions_are_honoured_and_leaves_nothing(world: World) {
    let publisher = publisher(&world, "");
    assert_eq!(publisher.probe_conditions().await.expect("a probe"), Conditions::Honoured);
    assert!(publisher.list().await.expect("a listing").is_empty());
    let bucket = world.open("", &Permits::new(8));
    let left = bucket.list(&Default::default(), Default::default()).await.expect("a page");
    assert!(left.objects.is_empty(), "{:?}", left.objects);
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
    conditions_hold,
    what_is_put_is_what_readers_of_the_bucket_see,
    a_large_file_arrives_whole,
    nothing_but_an_index_can_be_touched,
    of_many_publishers_at_once_each_win_is_kept,
    a_probe_finds_that_conditions_are_honoured_and_leaves_nothing,
}

/// An error that anybody may see.
fn harmless(error: &Error) {
    let text = error.to_string();
    for secret in [ACCESS_KEY, SECRET_KEY, "127.0.0.1", "s3://", RESERVED] {
        assert!(!text.contains(secret), "{text} holds {secret}");
    }
    assert!(error.advice().is_some_and(|a| !a.is_empty()), "{text} says nothing to do next");
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_is_no_loss() {
    let server = TestServer::start().await;
    let publisher = on(&server);
    server.faults().add(Rule::puts(Fault::LoseAnswer).times(1));
    let first = done(put(&publisher, "one", Condition::Absent).await);
    assert_eq!((server.counts().puts, server.counts().gets), (2, 1), "it looked what is there");
    server.faults().add(Rule::puts(Fault::LoseAnswer).times(1));
    let second = done(put(&publisher, "two", Condition::Matches(first.clone())).await);
    assert_eq!(text(&publisher).await.as_deref(), Some("two"));
    // A conflict with one's own first try is no loss either.
    server.faults().quirk(Quirk::ConflictIs409);
    server.faults().add(Rule::puts(Fault::LoseAnswer).times(1));
    let conflict =
        Fault::Error { status: 409, code: "ConditionalRequestConflict", retry_after: None };
    server.faults().add(Rule::puts(conflict).times(1));
    server.faults().add(
        Rule::puts(Fault::Error { status: 412, code: "PreconditionFailed", retry_after: None })
            .times(1),
    );
    done(put(&publisher, "three", Condition::Matches(second)).await);
    server.faults().clear();

    // But where somebody else's is there, it is one, whatever broke before.
    server.faults().add(Rule::puts(Fault::Refuse).times(1));
    assert_eq!(put(&publisher, "four", Condition::Matches(first)).await, Outcome::Lost);
    assert_eq!(text(&publisher).await.as_deref(), Some("three"));
}

#[tokio::test]
async fn a_conflict_is_a_loss() {
    let server = TestServer::start().await;
    let publisher = on(&server);
    done(put(&publisher, "one", Condition::Absent).await);
    server.faults().quirk(Quirk::ConflictIs409);
    server.reset();
    assert_eq!(put(&publisher, "two", Condition::Absent).await, Outcome::Lost);
    assert_eq!(server.counts().puts, 1, "at once");
}

#[tokio::test]
async fn passing_faults_of_puts_are_mended() {
    let server = TestServer::start().await;
    let publisher = on(&server);
    for fault in [
        Fault::slow_down(),
        Fault::too_many(),
        Fault::internal(),
        Fault::ErrorIn200("SlowDown"),
        Fault::Refuse,
        Fault::Hang,
        Fault::LoseAnswer,
    ] {
        server.reset();
        server.faults().add(Rule::puts(fault.clone()).times(1));
        done(put(&publisher, "content", Condition::Always).await);
        assert_eq!(server.counts().puts, 2, "{fault:?}");
        server.faults().add(Rule::kind(Asked::Delete, fault).times(1));
        publisher.delete(MANIFEST).await.expect("a deletion");
        assert_eq!(text(&publisher).await, None);
        server.faults().clear();
    }
}

#[tokio::test]
async fn what_cannot_be_mended_is_said_by_its_right_name() {
    let server = TestServer::start().await;
    let publisher = on(&server);
    for (fault, kind) in [
        (Fault::forbidden("AccessDenied"), Kind::Forbidden),
        (Fault::forbidden("SignatureDoesNotMatch"), Kind::Credentials),
        (Fault::Error { status: 404, code: "NoSuchBucket", retry_after: None }, Kind::NoBucket),
        (Fault::Html(200), Kind::Protocol),
        (Fault::Error { status: 400, code: "InvalidDigest", retry_after: None }, Kind::Protocol),
    ] {
        server.reset();
        server.faults().add(Rule::all(fault.clone()));
        let put = publisher.put(MANIFEST, "x".into(), Condition::Absent).await;
        let error = put.expect_err("a fault");
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        harmless(&error);
        assert_eq!(server.counts().puts, 1, "{fault:?}");
        server.faults().clear();
    }
    let error = publisher
        .put(MANIFEST, vec![0; MAX_GET as usize + 1].into(), Condition::Always)
        .await
        .expect_err("too large");
    assert_eq!(error.kind(), Kind::TooLarge);
}

#[tokio::test]
async fn a_server_that_ignores_or_refuses_conditions_is_found_out() {
    let server = TestServer::start().await;
    let publisher = on(&server);
    for quirk in [Quirk::IgnorePutConditions, Quirk::NoPutConditions] {
        server.faults().quirk(quirk);
        assert_eq!(publisher.probe_conditions().await.expect("a probe"), Conditions::Ignored);
        assert_eq!(server.store().len(), 0, "{quirk:?} leaves something");
        server.faults().clear();
    }
    // A server that refuses everything honours nothing.
    let refused = Fault::Error { status: 412, code: "PreconditionFailed", retry_after: None };
    server.faults().add(Rule::puts(refused).skip(1));
    assert_eq!(publisher.probe_conditions().await.expect("a probe"), Conditions::Ignored);
    server.faults().clear();
    // Cleaned up also where the probe fails half-way.
    server.faults().add(Rule::puts(Fault::forbidden("AccessDenied")).skip(2));
    publisher.probe_conditions().await.expect_err("it may not");
    assert_eq!(server.store().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_survives_what_passes_and_is_given_up_otherwise() {
    let server = TestServer::start().await;
    // Megabytes take their time on a busy machine.
    let publisher = at_pace(&server, &Platform::tokio());
    let dir = TempDir::new().expect("a folder");
    let (path, content) = file(&dir, 17 << 20);
    let there = || {
        let object = server.store().get(format!("{RESERVED}{SEGMENT}"));
        object.map(|object| object.content.slice(0..object.content.len()).to_vec())
    };
    for (kind, fault) in [
        (Asked::Part, Fault::slow_down()),
        (Asked::Part, Fault::Refuse),
        (Asked::Part, Fault::LoseAnswer),
        (Asked::Upload, Fault::internal()),
        (Asked::Upload, Fault::ErrorIn200("SlowDown")),
    ] {
        server.faults().add(Rule::kind(kind, fault.clone()).times(1));
        publisher
            .put_file(SEGMENT, &path, &Condition::Always, &|_| {})
            .await
            .expect("it is mended");
        assert!(there().as_ref() == Some(&content), "{fault:?} changed the bytes");
        assert_eq!(server.uploads().len(), 0, "{fault:?}");
        assert!(server.store().delete(format!("{RESERVED}{SEGMENT}")));
        server.faults().clear();
    }
    // Completed, and nobody heard of it.
    server.faults().add(Rule::kind(Asked::Upload, Fault::LoseAnswer).skip(1).times(1));
    let put = publisher.put_file(SEGMENT, &path, &Condition::Always, &|_| {});
    let etag = done(put.await.expect("it is there"));
    assert_eq!(publisher.list().await.expect("a listing")[0].etag, etag);
    assert!(server.store().delete(format!("{RESERVED}{SEGMENT}")));
    server.faults().clear();

    for kind in [Asked::Part, Asked::Upload] {
        server.reset();
        server.faults().add(Rule::kind(kind, Fault::forbidden("AccessDenied")).skip(1));
        let error = publisher
            .put_file(SEGMENT, &path, &Condition::Always, &|_| {})
            .await
            .expect_err("it may not");
        assert_eq!(error.kind(), Kind::Forbidden);
        harmless(&error);
        assert_eq!((server.counts().aborts, server.uploads().len()), (1, 0), "{kind:?}");
        assert_eq!(there(), None);
        server.faults().clear();
    }
    assert!(server.counts().most_at_once <= 8, "the pool allows no more");
}

#[tokio::test]
async fn uploads_of_a_publisher_that_was_killed_are_given_up_when_they_are_old() {
    let server = TestServer::start().await;
    let publisher = on(&server);
    let begin = |key: &str| server.uploads().begin(BUCKET, key, None);
    begin(&format!("{RESERVED}{SEGMENT}"));
    // Not ours, beside and below.
    begin(&format!("{RESERVED}photo.jpg"));
    begin(&format!("elsewhere/{SEGMENT}"));
    let hour = Duration::from_secs(3600);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let before = (now - hour).as_millis() as i64;
    assert_eq!(publisher.abort_uploads(before).await.expect("a look"), 0, "it is young");
    server.uploads().begun_at(SystemTime::now() - 2 * hour);
    assert_eq!(publisher.abort_uploads(before).await.expect("a look"), 1);
    assert_eq!(server.uploads().len(), 2);
}

#[tokio::test]
async fn a_link_does_not_lead_an_index_out_of_its_directory() {
    let (data, elsewhere) = (TempDir::new().expect("a dir"), TempDir::new().expect("a dir"));
    #[cfg(unix)]
    std::os::unix::fs::symlink(elsewhere.path(), data.path().join(".r2vfs")).expect("a link");
    let location = Location::Directory { path: data.path().to_owned() };
    let settings = settings_of("");
    let publisher =
        Publisher::open(&location, &settings, &Permits::new(8), &Platform::tokio()).expect("opens");
    let error = publisher.put(MANIFEST, "x".into(), Condition::Always).await.expect_err("a link");
    assert_eq!(error.kind(), Kind::Io);
    assert_eq!(std::fs::read_dir(elsewhere.path()).expect("a dir").count(), 0);
}
