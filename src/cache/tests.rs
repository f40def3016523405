use std::{
    collections::VecDeque,
    future::Future,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
};

use futures_util::{FutureExt, future::join_all};
use proptest::prelude::*;
use tokio::sync::Semaphore;

use super::*;
use crate::{
    bucket::{BucketId, ETag, Got, ListPage, ListRequest, Meter},
    platform::BoxFuture,
};

/// A bucket of made-up objects that counts gets and can hold them back at a gate.
#[derive(Debug)]
pub(super) struct Fake {
    pub(super) gets: AtomicU64,
    running: AtomicUsize,
    gate: Semaphore,
    failures: Mutex<VecDeque<Kind>>,
    trusted: AtomicBool,
    pub(super) on_disk: bool,
}

impl Fake {
    pub(super) fn new() -> Self {
        Self {
            gets: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            gate: Semaphore::new(1 << 20),
            failures: Mutex::default(),
            trusted: AtomicBool::new(true),
            on_disk: true,
        }
    }

    fn closed() -> Self {
        Self { gate: Semaphore::new(0), ..Self::new() }
    }
}

/// What an object holds: it depends on the key, the version and the place.
pub(super) fn content(object: &Object, range: Range<u64>) -> Vec<u8> {
    let mut seed = xxhash_rust::xxh3::xxh3_64(object.key.as_bytes());
    seed ^= xxhash_rust::xxh3::xxh3_64(object.etag.0.as_bytes());
    let table: Vec<u8> = (0..2 * 251_u64).map(|at| ((at % 251) ^ seed) as u8).collect();
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < range.end - range.start {
        let at = ((range.start + bytes.len() as u64) % 251) as usize;
        bytes.extend_from_slice(&table[at..at + 251]);
    }
    bytes.truncate((range.end - range.start) as usize);
    bytes
}

pub(super) fn object(key: &str, size: u64) -> Object {
    let etag = ETag("0123456789abcdef0123456789abcdef".into());
    Object { key: key.into(), size, etag, modified: None, archived: false }
}

impl Bucket for Fake {
    fn id(&self) -> BucketId {
        BucketId(7)
    }

    fn worth_disk_cache(&self) -> bool {
        self.on_disk
    }

    fn trusts(&self, _object: &Object) -> bool {
        self.trusted.load(SeqCst)
    }

    fn list(&self, _call: &Call, _request: ListRequest) -> BoxFuture<'_, Result<ListPage>> {
        Box::pin(async { Ok(ListPage::default()) })
    }

    fn peek(
        &self,
        _call: &Call,
        _key: &str,
        _max: u64,
    ) -> BoxFuture<'_, Result<Option<(Object, Bytes)>>> {
        Box::pin(async { Ok(None) })
    }

    fn get(&self, call: &Call, request: GetRequest) -> BoxFuture<'_, Result<Got>> {
        struct Running<'a>(&'a AtomicUsize);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        call.meter.get();
        Box::pin(async move {
            self.gets.fetch_add(1, SeqCst);
            self.running.fetch_add(1, SeqCst);
            let _running = Running(&self.running);
            self.gate.acquire().await.map_err(|_| Error::new(Kind::Io, "closed"))?.forget();
            if let Some(kind) = self.failures.lock().expect("not poisoned").pop_front() {
                return Err(Error::new(kind, "as told"));
            }
            let headers =
                Headers { content_encoding: None, content_type: Some("text/markdown".into()) };
            let bytes = content(&request.object, request.range);
            Ok(Got { bytes: bytes.into(), headers: Arc::new(headers) })
        })
    }
}

pub(super) struct Reader {
    pub(super) cache: Cache,
    pub(super) fake: Arc<Fake>,
    bucket: Arc<dyn Bucket>,
}

impl Reader {
    pub(super) fn new(fake: Fake, options: CacheOptions) -> Self {
        let fake = Arc::new(fake);
        let bucket = fake.clone();
        Self { cache: Cache::new(options, Platform::tokio()), fake, bucket }
    }

    fn in_memory(fake: Fake) -> Self {
        Self::new(fake, CacheOptions { memory: 64 << 20, disk: None })
    }

    /// Reads and compares with what the object holds; answers the cost as (gets, hits).
    pub(super) async fn read(&self, object: &Object, range: Range<u64>, usage: Use) -> (u64, u64) {
        let call = Call { meter: Arc::new(Meter::default()), deadline: None };
        let range_of = range.clone();
        let blocks = self.cache.range(&self.bucket, &call, object, range, usage).await;
        let blocks = blocks.expect("bytes");
        assert!(
            blocks.chunks.concat() == content(object, range_of.clone()),
            "other bytes than {range_of:?} of {}",
            object.key
        );
        let cost = call.meter.cost();
        (cost.get_requests, cost.cache_hits)
    }

    async fn whole(&self, object: &Object) {
        let mut at = 0;
        while at < object.size {
            let end = (at + MAX_GET).min(object.size);
            self.read(object, at..end, Use::Scan).await;
            at = end;
        }
    }

    fn try_range(
        &self,
        object: &Object,
        range: Range<u64>,
        usage: Use,
    ) -> impl Future<Output = Result<Blocks>> + Send + 'static {
        let (cache, bucket, object) = (self.cache.clone(), self.bucket.clone(), object.clone());
        async move { cache.range(&bucket, &Call::default(), &object, range, usage).await }
    }

    fn under_way(&self) -> usize {
        self.cache.inner.flights.len()
    }
}

#[tokio::test]
async fn a_hundred_readers_of_a_cold_object_make_the_gets_of_one() {
    let reader = Reader::in_memory(Fake::new());
    let object = object("large", 2 * MAX_GET + MAX_GET / 2 + 5);
    join_all((0..100).map(|_| reader.whole(&object))).await;
    assert_eq!(reader.fake.gets.load(SeqCst), object.size.div_ceil(MAX_GET));
    assert_eq!(reader.under_way(), 0);
}

#[tokio::test]
async fn readers_of_overlapping_ranges_get_no_block_twice() {
    let reader = Reader::in_memory(Fake::closed());
    let object = object("large", 4 << 20);
    let mut first = Box::pin(reader.try_range(&object, 0..2 << 20, Use::Scan));
    let mut second = Box::pin(reader.try_range(&object, 1 << 20..3 << 20, Use::Scan));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    reader.fake.gate.add_permits(2);
    let (first, second) = tokio::join!(first, second);
    assert!(first.expect("bytes").chunks.concat() == content(&object, 0..2 << 20));
    assert!(second.expect("bytes").chunks.concat() == content(&object, 1 << 20..3 << 20));
    assert_eq!(reader.fake.gets.load(SeqCst), 2);
    assert_eq!(reader.read(&object, 0..3 << 20, Use::Scan).await, (0, 12));
}

#[tokio::test]
async fn a_waiter_that_goes_takes_nobody_with_it() {
    let reader = Reader::in_memory(Fake::closed());
    let object = object("k", 1000);
    let mut first = Box::pin(reader.try_range(&object, 0..1000, Use::Read));
    assert!(first.as_mut().now_or_never().is_none());
    let rest: Vec<_> =
        (0..5).map(|_| tokio::spawn(reader.try_range(&object, 0..1000, Use::Read))).collect();
    tokio::task::yield_now().await;
    drop(first);
    assert_eq!(reader.fake.running.load(SeqCst), 1);
    reader.fake.gate.add_permits(1);
    for waiter in rest {
        let blocks = waiter.await.expect("no panic").expect("bytes");
        assert_eq!(blocks.chunks.concat(), content(&object, 0..1000));
    }
    assert_eq!(reader.fake.gets.load(SeqCst), 1);
}

#[tokio::test]
async fn when_all_waiters_go_the_get_stops() {
    let reader = Reader::in_memory(Fake::closed());
    let object = object("k", 1000);
    let mut waiters: Vec<_> =
        (0..3).map(|_| Box::pin(reader.try_range(&object, 0..1000, Use::Read))).collect();
    for waiter in &mut waiters {
        assert!(waiter.as_mut().now_or_never().is_none());
    }
    assert_eq!((reader.fake.running.load(SeqCst), reader.under_way()), (1, 1));
    drop(waiters);
    assert_eq!((reader.fake.running.load(SeqCst), reader.under_way()), (0, 0));
    reader.fake.gate.add_permits(1);
    assert_eq!(reader.read(&object, 0..1000, Use::Read).await, (1, 0));
}

#[tokio::test]
async fn an_error_is_given_to_all_waiters_and_not_kept() {
    let reader = Reader::in_memory(Fake::closed());
    let object = object("k", 1000);
    let waiters: Vec<_> =
        (0..5).map(|_| tokio::spawn(reader.try_range(&object, 0..1000, Use::Read))).collect();
    tokio::task::yield_now().await;
    reader.fake.failures.lock().expect("not poisoned").push_back(Kind::Unavailable);
    reader.fake.gate.add_permits(2);
    for waiter in waiters {
        let error = waiter.await.expect("no panic").expect_err("the error of the get");
        assert_eq!(error.kind(), Kind::Unavailable);
    }
    assert_eq!(reader.fake.gets.load(SeqCst), 1);
    assert_eq!(reader.read(&object, 0..1000, Use::Read).await, (1, 0));
}

#[tokio::test]
async fn the_deadline_of_one_reader_is_not_the_error_of_another() {
    let reader = Reader::in_memory(Fake::closed());
    let object = object("k", 1000);
    let first = tokio::spawn(reader.try_range(&object, 0..1000, Use::Read));
    tokio::task::yield_now().await;
    let second = tokio::spawn(reader.try_range(&object, 0..1000, Use::Read));
    tokio::task::yield_now().await;
    reader.fake.failures.lock().expect("not poisoned").push_back(Kind::Deadline);
    reader.fake.gate.add_permits(2);
    assert_eq!(first.await.expect("no panic").expect_err("late").kind(), Kind::Deadline);
    let blocks = second.await.expect("no panic").expect("bytes");
    assert_eq!(blocks.chunks.concat(), content(&object, 0..1000));
}

#[tokio::test]
async fn what_is_read_while_a_scan_gets_it_is_protected() {
    let reader = Reader::in_memory(Fake::closed());
    let object = object("k", 1000);
    let scan = tokio::spawn(reader.try_range(&object, 0..1000, Use::Scan));
    tokio::task::yield_now().await;
    let read = tokio::spawn(reader.try_range(&object, 0..1000, Use::Read));
    tokio::task::yield_now().await;
    reader.fake.gate.add_permits(1);
    scan.await.expect("no panic").expect("bytes");
    read.await.expect("no panic").expect("bytes");
    let usage = reader.cache.usage();
    assert_eq!((usage.protected, usage.memory > 1000), (usage.memory, true));
}

#[tokio::test]
async fn a_version_that_is_not_trusted_is_never_kept() {
    let reader = Reader::in_memory(Fake::new());
    let object = object("k", 1000);
    reader.fake.trusted.store(false, SeqCst);
    for _ in 0..2 {
        assert_eq!(reader.read(&object, 10..900, Use::Read).await, (1, 0));
    }
    assert_eq!(reader.cache.usage(), CacheUsage::default());
}

#[tokio::test]
async fn versions_and_keys_are_not_mixed() {
    let reader = Reader::in_memory(Fake::new());
    let one = object("k", 1000);
    let next = Object { etag: ETag("another".into()), ..one.clone() };
    let other = object("l", 1000);
    for object in [&one, &next, &other] {
        assert_eq!(reader.read(object, 0..1000, Use::Read).await, (1, 0));
    }
}

#[tokio::test]
async fn a_range_outside_the_object_or_longer_than_a_get_is_refused() {
    let reader = Reader::in_memory(Fake::new());
    let object = object("k", 2 * MAX_GET);
    #[expect(clippy::reversed_empty_ranges)]
    for range in [0..2 * MAX_GET + 1, 5..4, 0..MAX_GET + 1] {
        let error = reader.try_range(&object, range, Use::Read).await.expect_err("refused");
        assert_eq!(error.kind(), Kind::InvalidArgument);
    }
    // Not aligned, so 33 blocks: one more than a get may bring.
    assert_eq!(reader.read(&object, 1..MAX_GET + 1, Use::Read).await, (2, 0));
    assert_eq!(reader.read(&object, 9..9, Use::Read).await, (0, 0));
}

#[test]
fn a_block_that_is_kept_keeps_nothing_else_in_memory() {
    let wide = Bytes::from(vec![1; 1 << 20]);
    let inside = |part: &Bytes| wide.as_ptr_range().contains(&part.as_ptr());
    assert!(!cut(wide.slice(100..200)).iter().any(inside), "a slice of a wider answer");
    assert!(!cut(wide.clone()).iter().any(inside), "blocks of one answer");
    let mut spare = Vec::with_capacity(1 << 20);
    spare.extend_from_slice(b"few");
    let [kept] = <[Bytes; 1]>::try_from(cut(Bytes::from(spare))).expect("one block");
    assert_eq!(kept.try_into_mut().expect("not shared").capacity(), 3);
    let own = Bytes::from(vec![1; 1000]);
    let at = own.as_ptr();
    assert_eq!(cut(own)[0].as_ptr(), at, "an answer that is exactly one block is not copied");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_range_is_answered_exactly_whatever_is_cached(
        memory in prop::sample::select(vec![0_u64, 600_000, 64 << 20]),
        size in 0_u64..2_000_000,
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(async {
            let reader = Reader::new(Fake::new(), CacheOptions { memory, disk: None });
            let object = object("k", size);
            for (a, b, read) in cuts {
                let (a, b) = (a.index(size as usize + 1) as u64, b.index(size as usize + 1) as u64);
                let usage = if read { Use::Read } else { Use::Scan };
                reader.read(&object, a.min(b)..a.max(b), usage).await;
                assert!(reader.cache.usage().memory <= memory);
            }
        });
    }
}
