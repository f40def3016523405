//! What a client of ours does when a server fails: what can be mended is, with as few requests as
//! that takes; what cannot is said, at once and by its right name; nothing is lost in silence.

use std::{sync::Arc, time::Duration};

use r2vfs::{
    Error, Kind,
    bucket::{Bucket, Call, GetRequest, ListRequest, ListingNotes, Object, Pages, Permits},
};

use crate::support::{
    ACCESS_KEY, Fault, Order, Quirk, Rule, SECRET_KEY, Store, TestServer,
    world::{hurried, open_at},
};

/// Nothing that an agent reads may hold this.
const NAME: &str = "private-bucket-name";

/// Retries and time-outs take minutes by design; twenty times as fast leaves a busy machine
/// enough room to answer within them.
const HURRY: u32 = 20;

struct Setting {
    server: TestServer,
    store: Store,
    bucket: Arc<dyn Bucket>,
    call: Call,
}

impl Setting {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let store = server.bucket(NAME);
        let permits = Permits::new(16);
        let bucket = open_at(&format!("s3://{NAME}"), &server.url(), &permits, &hurried(HURRY));
        Self { server, store, bucket, call: Call::default() }
    }

    /// A listing as far as it comes, and what was noted of it.
    async fn list(&self) -> (Vec<Object>, Vec<String>, ListingNotes, Result<(), Error>) {
        let mut pages = Pages::new(self.bucket.clone(), self.call.clone(), ListRequest::default());
        let (mut objects, mut unaddressable) = (Vec::new(), Vec::new());
        let end = loop {
            match pages.next().await {
                Ok(Some(page)) => {
                    objects.extend(page.objects);
                    unaddressable.extend(page.unaddressable);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        (objects, unaddressable, pages.notes(), end)
    }

    async fn keys(&self) -> Vec<String> {
        let (objects, _, _, end) = self.list().await;
        end.expect("the whole listing");
        objects.into_iter().map(|o| o.key).collect()
    }

    /// The object as listed now; the counts begin after it.
    async fn object(&self, key: &str) -> Object {
        let (objects, ..) = self.list().await;
        self.server.reset();
        objects.into_iter().find(|o| o.key == key).expect("the object")
    }

    async fn get(&self, object: &Object) -> Result<Vec<u8>, Error> {
        let request = GetRequest { object: object.clone(), range: 0..object.size };
        self.bucket.get(&self.call, request).await.map(|got| got.bytes.to_vec())
    }
}

/// An error that an agent may see.
fn harmless(error: &Error) {
    let text = error.to_string();
    for secret in [NAME, ACCESS_KEY, SECRET_KEY, "127.0.0.1", "localhost"] {
        assert!(!text.contains(secret), "{text} holds {secret}");
    }
    assert!(error.advice().is_some_and(|a| !a.is_empty()), "{text} says nothing to do next");
}

fn passing() -> Vec<(&'static str, Fault)> {
    vec![
        ("503 SlowDown", Fault::slow_down()),
        ("503 SlowDown, Retry-After", Fault::retry_after(1)),
        ("429", Fault::too_many()),
        ("500", Fault::internal()),
        ("502 without a body", Fault::Empty(502)),
        ("504 from a proxy", Fault::Html(504)),
        ("SlowDown in a 200", Fault::ErrorIn200("SlowDown")),
        ("refused", Fault::Refuse),
        ("reset in the body", Fault::Reset),
        ("cut in the body", Fault::Truncate),
        ("no answer", Fault::Hang),
        ("no second half", Fault::Stall),
    ]
}

#[tokio::test]
async fn a_passing_fault_costs_one_more_get_and_no_byte() {
    let setting = Setting::new().await;
    let content: Vec<u8> = (0..500_000_u32).map(|n| (n % 251) as u8).collect();
    setting.store.put("k", content.clone());
    let object = setting.object("k").await;
    for (name, fault) in passing() {
        setting.server.reset();
        let before = setting.call.meter.cost();
        setting.server.faults().add(Rule::gets(fault).times(1));
        let got = setting.get(&object).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(got == content, "{name}: other bytes");
        let cost = setting.call.meter.cost();
        assert_eq!(setting.server.counts().gets, 2, "{name}");
        assert_eq!(cost.get_requests - before.get_requests, 2, "{name}");
        assert_eq!(cost.retries - before.retries, 1, "{name}");
    }
}

#[tokio::test]
async fn a_passing_fault_costs_one_more_list_and_no_key() {
    let setting = Setting::new().await;
    let names: Vec<String> = (0..1500).map(|n| format!("k{n:04}")).collect();
    setting.store.fill(names.iter().map(|k| (k, "x")));
    for (name, fault) in passing() {
        setting.server.reset();
        // The second page, where keys could be lost between two others.
        setting.server.faults().add(Rule::lists(fault).skip(1).times(1));
        let (objects, _, _, end) = setting.list().await;
        end.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(objects.iter().map(|o| &o.key).eq(&names), "{name}: {} keys", objects.len());
        assert_eq!(setting.server.counts().lists, 3, "{name}");
        setting.server.faults().clear();
    }
}

#[tokio::test]
async fn what_no_repeat_can_mend_is_said_at_once() {
    let setting = Setting::new().await;
    setting.store.put("k", "0123456789");
    let object = setting.object("k").await;
    let error = |status, code| Fault::Error { status, code, retry_after: None };
    for (fault, kind) in [
        (Fault::forbidden("AccessDenied"), Kind::Forbidden),
        (Fault::forbidden("InvalidAccessKeyId"), Kind::Credentials),
        (Fault::forbidden("SignatureDoesNotMatch"), Kind::Credentials),
        (Fault::forbidden("ExpiredToken"), Kind::Credentials),
        (Fault::forbidden("InvalidObjectState"), Kind::Archived),
        (Fault::Empty(403), Kind::Forbidden),
        (Fault::Html(403), Kind::Protocol),
        (Fault::Empty(401), Kind::Credentials),
        (error(404, "NoSuchKey"), Kind::NotFound),
        (error(404, "NoSuchBucket"), Kind::NoBucket),
        (error(400, "InvalidArgument"), Kind::Protocol),
        (error(501, "NotImplemented"), Kind::Protocol),
        (Fault::ErrorIn200("AccessDenied"), Kind::Forbidden),
        (Fault::Html(200), Kind::Protocol),
        (Fault::Empty(200), Kind::Protocol),
        (Fault::WrongETag, Kind::Changed),
        (Fault::ShortBody, Kind::Undecodable),
        (Fault::LongBody, Kind::Undecodable),
        (Fault::Delete, Kind::NotFound),
    ] {
        setting.store.put("k", "0123456789");
        setting.server.reset();
        let shown = format!("{fault:?}");
        setting.server.faults().add(Rule::gets(fault).times(1));
        let error = setting.get(&object).await.expect_err(&shown);
        assert_eq!(error.kind(), kind, "{shown}: {error}");
        assert_eq!(setting.server.counts().gets, 1, "{shown}: {error}");
        harmless(&error);
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_called_so() {
    let setting = Setting::new().await;
    setting.store.put("k", "x");
    let object = setting.object("k").await;
    setting.server.faults().add(Rule::all(Fault::ClockSkew(3600)));
    let error = setting.get(&object).await.expect_err("a clock that is wrong");
    assert!(error.to_string().contains("clock"), "{error}");
    assert_eq!(setting.server.counts().gets, 1);
    harmless(&error);
}

#[tokio::test]
async fn a_change_between_two_gets_never_mixes_versions() {
    let setting = Setting::new().await;
    for quirk in [None, Some(Quirk::IgnoreIfMatch)] {
        setting.server.faults().clear();
        if let Some(quirk) = quirk {
            setting.server.faults().quirk(quirk);
        }
        setting.store.put("k", "a".repeat(1000));
        let object = setting.object("k").await;
        // The connection breaks in the first half; then comes another version of the same length.
        setting.server.faults().add(Rule::gets(Fault::Truncate).times(1));
        setting.server.faults().add(Rule::gets(Fault::Replace("b".repeat(1000).into())).times(1));
        let error = setting.get(&object).await.expect_err("half of each");
        assert_eq!(error.kind(), Kind::Changed, "{quirk:?}: {error}");
        assert_eq!(setting.server.counts().gets, 2, "{quirk:?}");
    }
}

#[tokio::test]
async fn a_range_that_is_ignored_is_not_taken_for_the_bytes() {
    let setting = Setting::new().await;
    setting.store.put("k", "0123456789");
    let object = setting.object("k").await;
    setting.server.faults().quirk(Quirk::IgnoreRange);
    assert_eq!(setting.get(&object).await.expect("the whole object"), b"0123456789");
    let part = GetRequest { object: object.clone(), range: 3..6 };
    let error = setting.bucket.get(&setting.call, part.clone()).await.expect_err("other bytes");
    assert_eq!(error.kind(), Kind::Protocol, "{error}");
    setting.server.faults().clear();
    setting.server.faults().add(Rule::gets(Fault::WrongContentRange).times(1));
    let error = setting.bucket.get(&setting.call, part).await.expect_err("other bytes");
    assert!(matches!(error.kind(), Kind::Protocol | Kind::Undecodable), "{error}");
    harmless(&error);
}

#[tokio::test]
async fn a_server_that_only_fails_is_given_up_within_the_deadline_or_the_tries() {
    let setting = Setting::new().await;
    setting.store.put("k", "x");
    let object = setting.object("k").await;
    setting.server.faults().add(Rule::gets(Fault::slow_down()));
    let error = setting.get(&object).await.expect_err("nothing but failures");
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert_eq!(setting.server.counts().gets, 10);
    harmless(&error);

    setting.server.reset();
    let platform = hurried(HURRY);
    let deadline = platform.monotonic() + Duration::from_secs(2);
    let call = Call { deadline: Some(deadline), ..Call::default() };
    let location = format!("s3://{NAME}");
    let bucket = open_at(&location, &setting.server.url(), &Permits::new(1), &platform);
    let request = GetRequest { object, range: 0..1 };
    let error = bucket.get(&call, request).await.expect_err("nothing but failures");
    assert_eq!(error.kind(), Kind::Deadline, "{error}");
    assert!(setting.server.counts().gets < 10);
    harmless(&error);
}

#[tokio::test]
async fn a_listing_that_cannot_end_is_an_error() {
    let setting = Setting::new().await;
    setting.store.fill((0..3500).map(|n| (format!("k{n:04}"), "x")));
    for (quirk, most) in [
        (Quirk::NoToken, 1),
        (Quirk::RepeatedToken, 3),
        (Quirk::TokenCycle, 4),
        (Quirk::EmptyPages, 101),
    ] {
        setting.server.reset();
        setting.server.faults().clear();
        setting.server.faults().quirk(quirk);
        let (_, _, _, end) = setting.list().await;
        let error = end.expect_err("an end");
        assert_eq!(error.kind(), Kind::Protocol, "{quirk:?}: {error}");
        assert!(
            setting.server.counts().lists <= most,
            "{quirk:?}: {}",
            setting.server.counts().lists
        );
        harmless(&error);
    }
}

#[tokio::test]
async fn a_listing_in_another_order_or_doubled_is_whole_and_noted() {
    let setting = Setting::new().await;
    let mut names: Vec<String> = (0..2300).map(|n| format!("d{}/k{n:04}", n % 3)).collect();
    names.extend(["d1-x".to_owned(), "d1.x".to_owned()]);
    names.sort_unstable();
    setting.store.fill(names.iter().map(|k| (k, "x")));
    let (_, _, notes, _) = setting.list().await;
    assert_eq!((notes.pages, notes.out_of_order), (3, 0));
    for order in [Order::Components, Order::Reversed, Order::Shuffled] {
        setting.server.faults().list_in(order);
        let (objects, _, notes, end) = setting.list().await;
        end.expect("the whole listing");
        let mut keys: Vec<_> = objects.into_iter().map(|o| o.key).collect();
        assert_ne!(keys, names, "{order:?} is an order of its own");
        keys.sort_unstable();
        assert!(keys == names, "{order:?}");
        assert_ne!(notes.out_of_order, 0, "{order:?}");
    }
    setting.server.faults().clear();
    setting.server.faults().quirk(Quirk::DoubledKeys);
    let (objects, _, notes, end) = setting.list().await;
    end.expect("the whole listing");
    // The first and the last key of three pages, and the last of the page before on two.
    assert_eq!((objects.len(), notes.out_of_order), (names.len() + 8, 8));
    let mut keys: Vec<_> = objects.into_iter().map(|o| o.key).collect();
    keys.dedup();
    assert!(keys == names);
}

#[tokio::test]
async fn keys_are_exact_whether_or_not_the_server_encodes_them() {
    let setting = Setting::new().await;
    let mut names = vec!["a b", "a+b", "a%20b", "a%2Bb", "é", "x&y<z>", "q?#", "100%", "%41"];
    names.sort_unstable();
    setting.store.fill(names.iter().map(|k| (k, "x")));
    assert_eq!(setting.keys().await, names);
    setting.server.faults().quirk(Quirk::NoUrlEncoding);
    assert_eq!(setting.keys().await, names, "from a server that ignores encoding-type");
}

#[tokio::test]
async fn a_forged_key_costs_nobody_else_their_place() {
    let setting = Setting::new().await;
    setting.store.fill(["a", "z"].map(|k| (k, "x")));
    setting.store.put([b'm', 0xff], "x");
    setting.store.put("n".repeat(1500), "x");
    let (objects, unaddressable, _, end) = setting.list().await;
    end.expect("the whole listing");
    let keys: Vec<_> = objects.into_iter().map(|o| o.key).collect();
    assert_eq!(keys, ["a", "z"]);
    assert_eq!(unaddressable.len(), 2, "{unaddressable:?}");
    assert_eq!(unaddressable[0], "m%FF");
}

#[tokio::test]
async fn a_get_that_is_dropped_stops_at_the_server() {
    let setting = Setting::new().await;
    setting.store.put("k", "x".repeat(8 << 20));
    let object = setting.object("k").await;
    for fault in [Fault::Hang, Fault::Stall] {
        setting.server.reset();
        setting.server.faults().add(Rule::gets(fault).times(1));
        {
            let get = std::pin::pin!(setting.get(&object));
            let patience = tokio::time::sleep(Duration::from_millis(100));
            tokio::select! {
                got = get => panic!("an answer from a server that hangs: {:?}", got.map(|b| b.len())),
                () = patience => {}
            }
        }
        assert!(setting.server.quiet().await, "the request goes on without its caller");
        let counts = setting.server.counts();
        assert_eq!((counts.gets, counts.abandoned), (1, 1));
    }
}

#[tokio::test]
async fn five_percent_of_everything_costs_no_byte_and_few_requests() {
    let setting = Setting::new().await;
    let content = |n: usize| format!("object {n} ").repeat(n % 500 + 1);
    setting.store.fill((0..600).map(|n| (format!("k{n:04}"), content(n))));
    for (fault, share) in [
        (Fault::slow_down(), 50),
        (Fault::Reset, 10),
        (Fault::Truncate, 10),
        (Fault::Stall, 5),
        (Fault::ErrorIn200("SlowDown"), 5),
    ] {
        setting.server.faults().add(Rule::gets(fault).per_mille(share));
    }
    let (objects, ..) = setting.list().await;
    assert_eq!(objects.len(), 600);
    let gets = objects.iter().map(|object| setting.get(object));
    for (n, got) in futures_util::future::join_all(gets).await.into_iter().enumerate() {
        assert!(got.unwrap_or_else(|e| panic!("{n}: {e}")) == content(n).as_bytes(), "object {n}");
    }
    let (counts, hits) = (setting.server.counts(), setting.server.faults().hits());
    assert!(hits >= 30, "only {hits} faults were met");
    assert_eq!(counts.gets, 600 + hits);
    assert!(counts.gets <= 690, "{counts:?}");
}

#[tokio::test]
async fn a_peek_is_mended_as_a_get_is_and_refused_by_its_right_name() {
    let setting = Setting::new().await;
    let content: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    setting.store.put("k", content.clone());
    let peek = |key: &'static str, max| setting.bucket.peek(&setting.call, key, max);
    for (name, fault) in passing() {
        setting.server.reset();
        let before = setting.call.meter.cost();
        setting.server.faults().add(Rule::gets(fault).times(1));
        let (object, bytes) = peek("k", 1 << 20).await.expect(name).expect("it is there");
        assert_eq!((object.size, bytes.to_vec()), (200_000, content.clone()), "{name}");
        let cost = setting.call.meter.cost();
        assert_eq!(cost.get_requests - before.get_requests, 2, "{name}");
        assert_eq!(cost.retries - before.retries, 1, "{name}");
        setting.server.faults().clear();
    }

    setting.server.reset();
    let error = peek("k", 1_000).await.expect_err("too long");
    assert_eq!(error.kind(), Kind::TooLarge);
    harmless(&error);
    assert!(setting.server.quiet().await);
    assert!(setting.server.counts().bytes <= 1_000, "no more was sent than asked for");
    for (fault, kind) in [
        (Fault::forbidden("AccessDenied"), Kind::Forbidden),
        (Fault::Html(200), Kind::Protocol),
        (Fault::Error { status: 404, code: "NoSuchBucket", retry_after: None }, Kind::NoBucket),
        (Fault::WrongContentRange, Kind::Protocol),
        (Fault::LongBody, Kind::Undecodable),
        (Fault::ShortBody, Kind::Undecodable),
    ] {
        setting.server.faults().add(Rule::gets(fault.clone()));
        let error = peek("k", 1 << 20).await.expect_err("a fault");
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        harmless(&error);
        setting.server.faults().clear();
    }
    // Servers that ignore the range: what fits is taken, of what does not no byte is waited for.
    setting.server.faults().quirk(Quirk::IgnoreRange);
    assert!(peek("k", 200_000).await.expect("it fits").is_some());
    assert_eq!(peek("k", 199_999).await.expect_err("too long").kind(), Kind::TooLarge);
}
