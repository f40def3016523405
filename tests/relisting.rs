//! A listing in ranges equals one page after another: whatever came or went since the keys were
//! learned, while it runs, and whatever a server does wrong.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use proptest::prelude::*;
use r2vfs::{
    Result,
    bucket::{
        Bucket, BucketId, Call, ETag, GetRequest, Got, ListPage, ListRequest, Milestones, Object,
        Pages, Ranges,
    },
    platform::{BoxFuture, Platform},
};

use r2vfs::{
    sandbox::{GlobArgs, OneOrMany, SandboxOptions, VirtualSandbox},
    tree::{Snapshot, SnapshotBuilder},
    vfs::{Budget, Mount},
};

use crate::support::{
    Order, Quirk, TestServer,
    kit::{s3_bucket, sandbox_with},
};

/// What a server does with a request that starts in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The first few keys after the start are left out.
    Loses(usize),
    /// Only the second key after the start is left out.
    LosesSecond,
    /// It starts with the first key of all.
    Ignores,
    /// A page of it begins with the key to start after.
    Includes,
    /// Each of its pages comes twice.
    Repeats,
    /// Its pages are turned round.
    Backwards,
    /// It is cut short and names no token.
    NoToken,
}

/// A bucket in memory that changes and errs as told.
#[derive(Debug)]
struct Server {
    keys: Mutex<BTreeSet<String>>,
    /// Keys that come or go, one before each request.
    changes: Mutex<Vec<(String, bool)>>,
    fault: Fault,
    /// All pages are out of order, not only those from the middle.
    disorderly: bool,
    lists: AtomicU64,
    started: AtomicBool,
    /// Of each request, by the test's clock.
    round: Duration,
}

impl Server {
    fn new(keys: &BTreeSet<String>, fault: Fault) -> Arc<Self> {
        Arc::new(Self {
            keys: Mutex::new(keys.clone()),
            changes: Mutex::default(),
            fault,
            disorderly: false,
            lists: AtomicU64::new(0),
            started: AtomicBool::new(false),
            round: Duration::ZERO,
        })
    }

    fn page(&self, request: &ListRequest) -> ListPage {
        self.lists.fetch_add(1, SeqCst);
        let mut keys = self.keys.lock().expect("whole");
        if let Some((key, comes)) = self.changes.lock().expect("whole").pop() {
            if comes {
                keys.insert(key)
            } else {
                keys.remove(&key)
            };
        }
        let max = request.max_keys.unwrap_or(1000) as usize;
        let started = request.start_after.is_some();
        if started {
            self.started.store(true, SeqCst);
        }
        // A token is the last key of the page before, and how often that page has come.
        let token = request.token.as_deref().and_then(|token| token.split_once(' '));
        let (times, after) = match token {
            Some((times, after)) => (times.parse().expect("a number"), Some(after.to_owned())),
            None => (0, request.start_after.clone()),
        };
        let first = started && token.is_none();
        let fold = |key: &str| {
            let rest = &key[request.prefix.len()..];
            let cut = rest.find('/').filter(|_| request.one_level)?;
            Some(key[..request.prefix.len() + cut + 1].to_owned())
        };
        let passed = |name: &str| match (&after, self.fault) {
            (Some(_), Fault::Ignores) if first => false,
            (Some(after), Fault::Includes) if first => name < after.as_str(),
            (Some(after), _) => name <= after.as_str(),
            (None, _) => false,
        };
        let from = match &after {
            Some(after) if !request.one_level && self.fault != Fault::Ignores => after,
            _ => &request.prefix,
        };
        let from = from.max(&request.prefix);
        let mut names: Vec<(String, bool)> = Vec::new();
        for key in keys.range(from.clone()..).take_while(|key| key.starts_with(&request.prefix)) {
            let (name, is_key) = fold(key).map_or((key.clone(), true), |prefix| (prefix, false));
            if !passed(&name) && names.last().is_none_or(|last| last.0 != name) {
                names.push((name, is_key));
            }
            // Some more than a page, for the faults that leave keys out.
            if names.len() > 2 * max + 10 {
                break;
            }
        }
        match self.fault {
            Fault::Loses(some) if first => drop(names.drain(..some.min(names.len()))),
            Fault::LosesSecond if first && names.len() > 1 => drop(names.remove(1)),
            _ => {}
        }
        let truncated = names.len() > max;
        names.truncate(max);
        let mut page = ListPage { truncated, ..ListPage::default() };
        if let Some((last, _)) = names.last().filter(|_| truncated) {
            page.next = Some(format!("0 {last}"));
        }
        if self.fault == Fault::Repeats && started && times == 0 && truncated {
            // The page is asked for again by the token of the one before.
            page.next = Some(format!("1 {}", after.unwrap_or_default()));
        }
        if self.fault == Fault::NoToken && first {
            page.next = None;
        }
        if (self.fault == Fault::Backwards && started) || self.disorderly {
            names.reverse();
        }
        for (name, is_key) in names {
            if !is_key {
                page.prefixes.push(name);
                continue;
            }
            // Keys with a `!` stand for those that nothing can address.
            match name.contains('!') {
                true => page.unaddressable.push(name),
                false => page.objects.push(object(name)),
            }
        }
        page
    }
}

fn object(key: String) -> Object {
    Object { key, size: 1, etag: ETag("e".into()), modified: None, archived: false }
}

impl Bucket for Server {
    fn id(&self) -> BucketId {
        BucketId(0)
    }

    fn worth_disk_cache(&self) -> bool {
        true
    }

    fn trusts(&self, _: &Object) -> bool {
        true
    }

    fn list(&self, call: &Call, request: ListRequest) -> BoxFuture<'_, Result<ListPage>> {
        call.meter.list();
        Box::pin(async move {
            // Others get their turn, so that answers come in many orders.
            for _ in 0..request.start_after.as_ref().map_or(0, |after| after.len() % 3) {
                tokio::task::yield_now().await;
            }
            if !self.round.is_zero() {
                tokio::time::sleep(self.round).await;
            }
            Ok(self.page(&request))
        })
    }

    fn get(&self, _: &Call, _: GetRequest) -> BoxFuture<'_, Result<Got>> {
        unreachable!("nothing is read")
    }

    fn peek(&self, _: &Call, _: &str, _: u64) -> BoxFuture<'_, Result<Option<(Object, Bytes)>>> {
        unreachable!("nothing is read")
    }
}

/// What a listing came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    keys: Vec<String>,
    odd: Vec<String>,
}

impl Listed {
    fn take(&mut self, page: ListPage) {
        self.keys.extend(page.objects.into_iter().map(|object| object.key));
        self.odd.extend(page.unaddressable);
    }

    /// Sorted, each once: what a snapshot is made of.
    fn sorted(mut self) -> Self {
        self.keys.sort();
        self.keys.dedup();
        self.odd.sort();
        self.odd.dedup();
        self
    }
}

async fn in_a_row(bucket: Arc<dyn Bucket>, request: ListRequest) -> Listed {
    let mut pages = Pages::new(bucket, Call::default(), request);
    let mut listed = Listed::default();
    while let Some(page) = pages.next().await.expect("a page") {
        listed.take(page);
    }
    listed
}

/// In ranges; and whether it began again, what it remarked, and how many pages it noted.
async fn in_ranges(
    bucket: Arc<dyn Bucket>,
    request: ListRequest,
    milestones: Milestones,
) -> (Listed, bool, Vec<String>, u64) {
    let platform = Platform::tokio();
    let mut ranges = Ranges::new(bucket, Call::default(), platform, request, milestones);
    let mut listed = Listed::default();
    let mut restarted = false;
    while let Some(page) = ranges.next().await.expect("a page") {
        if ranges.restarted() && !restarted {
            restarted = true;
        }
        assert!(!page.objects.is_empty() || !page.unaddressable.is_empty() || restarted);
        listed.take(page);
    }
    assert_eq!(ranges.next().await.expect("over"), None);
    (listed, restarted, ranges.remarks().to_vec(), ranges.notes().pages)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// Keys over a tiny alphabet, so that they are prefixes and neighbours of each other; `!` marks
/// what cannot be addressed.
fn keys(most: usize) -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set("[ab/-]{0,5}[ab/]", 0..most)
}

fn with_odd(most: usize) -> impl Strategy<Value = BTreeSet<String>> {
    (keys(most), prop::collection::btree_set("[ab]{0,3}!", 0..3))
        .prop_map(|(keys, odd)| keys.into_iter().chain(odd).collect())
}

fn milestones(learned: &BTreeSet<String>) -> Milestones {
    let keys: Vec<&str> =
        learned.iter().map(String::as_str).filter(|key| !key.contains('!')).collect();
    Milestones::of(keys.into_iter())
}

fn request(prefix: &str, page: u32) -> ListRequest {
    ListRequest { prefix: prefix.into(), max_keys: Some(page), ..ListRequest::default() }
}

fn cases(many: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(many);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(256))]

    /// Whatever came or went since the keys were learned.
    #[test]
    fn ranges_equal_a_row_and_cost_eighteen_requests_more(
        now in with_odd(60),
        learned in keys(60),
        page in 1_u32..=5,
        prefix in "[ab]?/?",
    ) {
        run(async {
            let server = Server::new(&now, Fault::None);
            let want = in_a_row(server.clone(), request(&prefix, page)).await;
            server.lists.store(0, SeqCst);
            let learned = milestones(&learned).below(&prefix);
            let (got, restarted, remarks, pages) =
                in_ranges(server.clone(), request(&prefix, page), learned).await;
            assert_eq!(got.keys, want.keys);
            assert_eq!(got.sorted(), want.sorted());
            assert_eq!((restarted, remarks), (false, Vec::<String>::new()));
            let lists = server.lists.load(SeqCst);
            let all = now.iter().filter(|key| key.starts_with(&prefix)).count() as u64;
            let least = all.div_ceil(u64::from(page));
            // A range cannot tell whether a key that nothing can address is past its end.
            let odd = 16 * now.iter().filter(|key| key.contains('!')).count() as u64;
            assert!(lists <= least + 18 + odd, "{lists} requests for {all} keys, {page} a page");
            assert_eq!(pages, lists);
        });
    }

    /// Whatever a server does wrong where a listing starts in the middle.
    #[test]
    fn ranges_equal_a_row_on_a_faulty_server_and_say_so(
        now in with_odd(60),
        learned in keys(60),
        page in 1_u32..=5,
        fault in prop::sample::select(vec![
            Fault::Loses(1), Fault::Loses(3), Fault::Ignores, Fault::Includes, Fault::Repeats,
            Fault::Backwards, Fault::NoToken,
        ]),
    ) {
        run(async {
            let server = Server::new(&now, fault);
            let want = in_a_row(server.clone(), request("", page)).await;
            let (got, restarted, remarks, _) =
                in_ranges(server.clone(), request("", page), milestones(&learned)).await;
            if !restarted {
                assert!(got.keys.is_sorted_by(|a, b| a < b), "out of order: {:?}", got.keys);
                assert_eq!(got.keys, want.keys);
            }
            assert_eq!(got.sorted(), want.sorted());
            // Said wherever the fault did any harm to a listing that was built on it.
            assert!(remarks.len() <= 2, "{remarks:?}");
        });
    }

    /// Whatever comes or goes while it runs.
    #[test]
    fn ranges_lose_nothing_that_was_there_throughout(
        start in keys(60),
        learned in keys(60),
        page in 1_u32..=5,
        changes in prop::collection::vec(("[ab/-]{0,5}[ab/]", any::<bool>()), 0..60),
    ) {
        run(async {
            let server = Server::new(&start, Fault::None);
            let touched: BTreeSet<String> = changes.iter().map(|c| c.0.clone()).collect();
            *server.changes.lock().expect("whole") = changes;
            let (got, restarted, ..) =
                in_ranges(server.clone(), request("", page), milestones(&learned)).await;
            assert!(!restarted);
            assert!(got.keys.is_sorted_by(|a, b| a < b), "out of order: {:?}", got.keys);
            let got: BTreeSet<String> = got.keys.into_iter().collect();
            let throughout: BTreeSet<String> = start.difference(&touched).cloned().collect();
            let lost: Vec<_> = throughout.difference(&got).collect();
            assert!(lost.is_empty(), "lost {lost:?}");
            let ever: BTreeSet<String> = start.union(&touched).cloned().collect();
            assert!(got.is_subset(&ever));
            let lists = server.lists.load(SeqCst);
            assert!(lists < 1_000, "{lists} requests");
        });
    }

    /// A server that never lists in byte order.
    #[test]
    fn on_a_disorderly_server_it_ends_in_a_row(
        now in with_odd(40),
        learned in keys(60),
        page in 1_u32..=5,
    ) {
        run(async {
            let mut server = Server::new(&now, Fault::None);
            Arc::get_mut(&mut server).expect("mine").disorderly = true;
            let want = in_a_row(server.clone(), request("", page)).await;
            let (got, ..) = in_ranges(server.clone(), request("", page), milestones(&learned)).await;
            assert_eq!(got.sorted(), want.sorted());
        });
    }
}

/// Keys `0000/000000` and on, a hundred in a directory.
fn many(count: usize) -> BTreeSet<String> {
    (0..count).map(|n| format!("{:04}/{n:06}.md", n / 2_500)).collect()
}

#[tokio::test]
async fn each_fault_is_found_and_said() {
    let keys = many(20_000);
    let plain = ListRequest::default();
    for (fault, how) in [
        (Fault::None, None),
        (Fault::Loses(1), Some("directory by directory")),
        (Fault::Loses(900), Some("directory by directory")),
        (Fault::LosesSecond, Some("directory by directory")),
        (Fault::Ignores, Some("directory by directory")),
        (Fault::Includes, Some("directory by directory")),
        (Fault::NoToken, Some("directory by directory")),
        (Fault::Repeats, Some("one page after another")),
        (Fault::Backwards, Some("one page after another")),
    ] {
        let server = Server::new(&keys, fault);
        let (got, _, remarks, _) =
            in_ranges(server.clone(), plain.clone(), milestones(&keys)).await;
        assert!(server.started.load(SeqCst), "it did start in the middle");
        assert_eq!(remarks.len(), usize::from(how.is_some()), "{fault:?}: {remarks:?}");
        if let Some(how) = how {
            assert!(remarks[0].contains(how), "{fault:?}: {}", remarks[0]);
        }
        assert!(got.sorted().keys.iter().eq(keys.iter()), "{fault:?}");
        let lists = server.lists.load(SeqCst);
        assert!(lists <= 90, "{fault:?} took {lists} requests");
    }
    // Where there is one directory for everything, the fall back goes one page after another.
    let flat: BTreeSet<String> = (0..20_000).map(|n| format!("{n:06}.md")).collect();
    let server = Server::new(&flat, Fault::Loses(1));
    let (got, restarted, remarks, _) = in_ranges(server, plain, milestones(&flat)).await;
    assert!(got.keys.iter().eq(flat.iter()) && !restarted);
    assert!(remarks[0].contains("one page after another"), "{remarks:?}");
}

#[tokio::test]
async fn a_listing_waits_for_who_reads_it() {
    // Pages of a thousand long keys: far more than may wait.
    let long = "x".repeat(900);
    let keys: BTreeSet<String> = (0..150_000).map(|n| format!("{n:06}{long}")).collect();
    let server = Server::new(&keys, Fault::None);
    let platform = Platform::tokio();
    let bucket: Arc<dyn Bucket> = server.clone();
    let mut ranges =
        Ranges::new(bucket, Call::default(), platform, ListRequest::default(), milestones(&keys));
    let mut count = ranges.next().await.expect("a page").expect("a page").objects.len();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let lists = server.lists.load(SeqCst);
    assert!(lists <= 100, "{lists} pages of a megabyte were fetched for one that was read");
    while let Some(page) = ranges.next().await.expect("a page") {
        count += page.objects.len();
    }
    assert_eq!(count, keys.len());
    assert!(server.lists.load(SeqCst) <= 150 + 18);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_keys_take_a_few_rounds() {
    let keys = many(100_000);
    let mut now = keys.clone();
    // A hundredth went, and as many came elsewhere.
    keys.iter().step_by(100).for_each(|key| assert!(now.remove(key)));
    now.extend((0..1_000).map(|n| format!("0020/new-{n}.md")));
    for (learned, most) in [(&keys, 8), (&now, 7)] {
        let mut server = Server::new(&now, Fault::None);
        Arc::get_mut(&mut server).expect("mine").round = Duration::from_millis(30);
        let began = tokio::time::Instant::now();
        let (got, restarted, remarks, _) =
            in_ranges(server.clone(), ListRequest::default(), milestones(learned)).await;
        let rounds = began.elapsed().as_millis().div_ceil(30);
        assert!(got.keys.iter().eq(&now) && !restarted && remarks.is_empty(), "{remarks:?}");
        let lists = server.lists.load(SeqCst);
        println!("100,000 keys: {lists} LISTs in {rounds} rounds");
        assert!(lists <= 100 + 18, "{lists} requests");
        assert!(rounds <= most, "{rounds} rounds");
    }
}

/// A sandbox over a server that holds these keys.
async fn over(keys: &BTreeSet<String>) -> (TestServer, VirtualSandbox) {
    let server = TestServer::start().await;
    server.store().fill(keys.iter().map(|key| (key, "x")));
    let mounts =
        vec![Mount { point: "/".into(), bucket: s3_bucket(&server, &server.location("")) }];
    let sandbox = sandbox_with(mounts, SandboxOptions::default());
    (server, sandbox)
}

/// Every path, and the notes beside them.
async fn everything(sandbox: &VirtualSandbox, budget: Budget) -> (Vec<String>, Vec<String>) {
    let vfs = sandbox.vfs();
    let mut walk = vfs.walk(&vfs.op(budget), vfs.everything());
    let mut paths = Vec::new();
    while let Some(batch) = walk.next().await.expect("a batch") {
        paths.extend(batch.into_iter().map(|entry| entry.object.key));
    }
    (paths, walk.take_notes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_listed_once_is_listed_again_in_a_few_rounds() {
    let keys = many(20_000);
    let (server, sandbox) = over(&keys).await;
    let (first, notes) = everything(&sandbox, Budget::default()).await;
    assert!(first.iter().eq(&keys) && notes.is_empty(), "{notes:?}");
    assert_eq!((server.counts().lists, server.counts().most_at_once), (20, 1), "in a row");

    // Some came and some went since.
    let mut now = keys.clone();
    for n in (0..20_000).step_by(40) {
        now.remove(&format!("{:04}/{n:06}.md", n / 2_500));
        now.insert(format!("{:04}/{n:06}.txt", n / 2_500));
    }
    server.store().fill(now.difference(&keys).map(|key| (key, "new")));
    keys.difference(&now).for_each(|key| assert!(server.store().delete(key)));
    server.reset();
    server.faults().delay(Duration::from_millis(20));
    let (second, notes) = everything(&sandbox, Budget::default()).await;
    assert!(second.iter().eq(&now) && notes.is_empty(), "{notes:?}");
    let counts = server.counts();
    assert!(counts.lists <= 20 + 18, "{} requests", counts.lists);
    assert!(counts.most_at_once > 4, "{} at once", counts.most_at_once);

    // A part of it, and a budget that allows no more than a row.
    server.faults().clear();
    server.reset();
    let budget = Budget { requests: Some(22), ..Budget::default() };
    let (third, _) = everything(&sandbox, budget).await;
    assert!(third.iter().eq(&now));
    assert_eq!((server.counts().lists, server.counts().most_at_once), (20, 1));
    server.reset();
    let glob = GlobArgs {
        pattern: OneOrMany::One("/000[0-3]/**".into()),
        limit: Some(20_000),
        ..GlobArgs::default()
    };
    let answer = sandbox.glob(glob).await.expect("a glob");
    assert_eq!(answer.result.paths.len(), 10_000);
    assert!(server.counts().lists <= 10 + 18);
    assert!(server.log().iter().any(|asked| asked.start_after.is_some()), "in ranges");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_splits_the_first_listing() {
    let keys = many(9_000);
    let (server, sandbox) = over(&keys).await;
    // Another listing, of which half is gone.
    let mut builder = SnapshotBuilder::new();
    keys.iter().step_by(2).map(|key| format!("{key}~")).for_each(|key| builder.push(object(key)));
    let old: Snapshot = builder.finish(String::new(), 0);
    sandbox.vfs().hint_listing(0, &old);
    server.faults().delay(Duration::from_millis(20));
    let (paths, notes) = everything(&sandbox, Budget::default()).await;
    assert!(paths.iter().eq(&keys) && notes.is_empty(), "{notes:?}");
    let counts = server.counts();
    assert!(counts.most_at_once > 1 && counts.lists <= 9 + 18, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_start_in_the_middle_is_found_out_and_listed_whole() {
    let mut keys = many(6_000);
    // Between these an order by path and the order of bytes differ.
    keys.extend((0..300).map(|n| format!("0001-{n:03}.md")));
    let (server, sandbox) = over(&keys).await;
    everything(&sandbox, Budget::default()).await;
    for (quirk, how) in [
        (Quirk::StartAfterLoses, "directory by directory"),
        (Quirk::IgnoreStartAfter, "directory by directory"),
    ] {
        server.faults().quirk(quirk);
        server.reset();
        let (paths, notes) = everything(&sandbox, Budget::default()).await;
        assert!(paths.iter().eq(&keys), "{quirk:?}");
        assert!(notes.len() == 1 && notes[0].contains(how), "{quirk:?}: {notes:?}");
        assert!(server.counts().lists < 40, "{quirk:?}: {:?}", server.counts());
        server.faults().clear();
    }
    server.faults().list_in(Order::Components);
    let (paths, notes) = everything(&sandbox, Budget::default()).await;
    let mut sorted = paths.clone();
    sorted.sort();
    assert!(sorted.iter().eq(&keys), "each key once");
    assert!(notes.iter().any(|note| note.contains("out of byte order")), "{notes:?}");
    // It is remembered: no ranges on this server any more.
    server.reset();
    everything(&sandbox, Budget::default()).await;
    assert_eq!(server.counts().most_at_once, 1);
}
