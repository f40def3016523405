//! An index against a map, over whatever may happen to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use bytes::Bytes;
use proptest::prelude::*;

use super::Index;
use crate::{
    bundle::at_once,
    compact::{Merge, merge},
    docs::State,
    fault::{Fault, FaultKind},
    gram::{Candidates, plan_literal},
    manifest::Settings,
    rank::TextReader,
    segment::{LongText, NewContent, NewDoc, SegmentWriter},
    store::{Store, Writer},
    verify::verify,
};

const MEMORY: usize = 16 << 20;

/// What an update finds under a key.
#[derive(Clone, Debug)]
enum Found {
    Gone,
    Unreadable,
    Text(Vec<u8>),
    Decoded(Vec<u8>),
    Long(Vec<u8>),
}

#[derive(Clone, Debug)]
enum Step {
    /// A segment with these.
    Update(BTreeMap<String, (u8, Found)>),
    /// The segments from one share of the list to another become one.
    Compact(u8, u8),
}

/// What the index must say: of each key the ETag and what was found.
type Model = BTreeMap<String, (String, Found)>;

fn new(key: &str, etag: u8, found: &Found) -> NewDoc {
    let (size, content) = match found {
        Found::Gone => (0, NewContent::Gone),
        Found::Unreadable => (5, NewContent::Unreadable),
        Found::Text(text) => (text.len() as u64, NewContent::Plain(text.clone().into())),
        Found::Decoded(text) => (1, NewContent::Decoded(text.clone().into())),
        Found::Long(text) => {
            let mut long = LongText::plain();
            text.chunks(3).for_each(|piece| long.feed(piece));
            (text.len() as u64, NewContent::Long(Box::new(long)))
        }
    };
    let etag = format!("{etag:032x}");
    NewDoc { key: key.into(), etag, size, modified: Some(size as i64 * 1000), content }
}

fn update(writer: &mut Writer, docs: &BTreeMap<String, (u8, Found)>, settings: Settings) {
    let mut segment = SegmentWriter::create(writer.path(), settings, MEMORY).unwrap();
    for (key, (etag, found)) in docs {
        segment.add(new(key, *etag, found)).unwrap();
    }
    let segment = segment.finish().unwrap();
    writer.commit(vec![segment], &[], None).unwrap();
}

fn compact(writer: &mut Writer, from: usize, to: usize, settings: Settings) {
    let index = writer.store().open().unwrap();
    let segments = &index.segments()[from..to];
    let how = Merge { settings, oldest: from == 0 };
    let merged = merge(segments, writer.path(), how).unwrap();
    let ids: Vec<_> = segments.iter().map(|segment| segment.reference().id.clone()).collect();
    writer.commit(vec![merged], &ids, None).unwrap();
}

fn apply(model: &mut Model, docs: &BTreeMap<String, (u8, Found)>) {
    for (key, (etag, found)) in docs {
        match found {
            Found::Gone => model.remove(key),
            _ => model.insert(key.clone(), (format!("{etag:032x}"), found.clone())),
        };
    }
}

fn check(index: &Index, model: &Model, settings: Settings) {
    let live: Vec<_> = index.live().map(|(_, doc)| (doc.key, doc.etag)).collect();
    let expected: Vec<_> =
        model.iter().map(|(key, (etag, _))| (key.clone(), etag.clone())).collect();
    assert_eq!(live, expected);
    for key in keys() {
        let found = index.find(&key);
        assert_eq!(found.is_some(), model.contains_key(&key), "{key}");
        if let Some((at, doc)) = found {
            assert_eq!(index.get(at), Some(doc));
        }
    }
    let mut verified = at_once(async { Ok(verify(index, |_| ()).await) }).unwrap();
    assert!(verified.problems().is_empty(), "{:?}", verified.problems());
    for (at, doc) in index.live() {
        let (_, found) = &model[&doc.key];
        let (text, plain) = match found {
            Found::Text(text) | Found::Long(text) => (text, true),
            Found::Decoded(text) => (text, false),
            _ => {
                assert_eq!(doc.state, State::UNREADABLE);
                continue;
            }
        };
        let nul = text.iter().position(|byte| *byte == 0);
        assert_eq!(doc.nul, nul.map(|nul| nul as u64));
        assert_eq!(doc.state.has(State::PLAIN), plain && nul.is_none());
        let packed = settings.pack && matches!(found, Found::Text(_)) && nul.is_none();
        assert_eq!(doc.state.has(State::PACKED), packed);
        at_once(verified.prove(at, text)).unwrap();
        let segment = &index.segments()[at.segment as usize];
        // Literals of the text name it among the candidates.
        let covered = &text[..nul.unwrap_or(text.len())];
        for window in covered.windows(4).step_by(1 + covered.len() / 12) {
            let docs = segment.docs().len();
            let query = plan_literal(window);
            let candidates = segment.grams().unwrap().candidates(&query, docs);
            match at_once(candidates).unwrap() {
                Candidates::All => {}
                Candidates::Docs(docs) => assert!(docs.contains(&at.doc), "{window:?}"),
            }
        }
    }
}

/// The full text has each live document that has words, and after compaction no other.
fn check_text(index: &Index, model: &Model, compacted: bool) {
    let mut has: Vec<BTreeSet<u64>> = Vec::new();
    for segment in index.segments() {
        let reader = TextReader::open(segment.bundle()).unwrap();
        let rows = reader.iter().flat_map(|reader| reader.articles().rows());
        has.push(rows.map(|row| row.oid).collect());
    }
    let mut live = BTreeSet::new();
    for (at, doc) in index.live().filter(|(_, doc)| doc.state.has(State::TEXT)) {
        live.insert(doc.oid());
        if let (_, Found::Text(text)) = &model[&doc.key]
            && text.iter().any(u8::is_ascii_alphabetic)
            && doc.nul.is_none()
        {
            assert!(has[at.segment as usize].contains(&doc.oid()), "{doc:?}");
        }
    }
    if compacted {
        assert!(has.iter().flatten().all(|oid| live.contains(oid)));
    }
}

fn keys() -> Vec<String> {
    let letters = ["", "a", "b", "é"];
    letters.iter().flat_map(|a| letters.map(|b| format!("{a}{b}"))).collect()
}

fn found() -> impl Strategy<Value = Found> {
    let text = || {
        let byte = prop_oneof![8 => 97..103u8, 1 => Just(b'\n'), 1 => Just(b'K')];
        let odd = prop_oneof![8 => 97..100u8, 1 => any::<u8>(), 1 => Just(0u8)];
        prop_oneof![
            3 => proptest::collection::vec(byte, 0..40),
            1 => proptest::collection::vec(odd, 0..20),
        ]
        .prop_filter("no UTF-16", |text| {
            !text.starts_with(b"\xff\xfe") && !text.starts_with(b"\xfe\xff")
        })
    };
    prop_oneof![
        2 => Just(Found::Gone),
        1 => Just(Found::Unreadable),
        6 => text().prop_map(Found::Text),
        1 => text().prop_map(Found::Decoded),
        1 => text().prop_map(Found::Long),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let key = proptest::sample::select(
        keys().into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>(),
    );
    let docs = proptest::collection::btree_map(key, (0..4u8, found()), 0..8);
    prop_oneof![
        3 => docs.prop_map(Step::Update),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(from, len)| Step::Compact(from, len)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_is_the_map(
        steps in proptest::collection::vec(step(), 1..9),
        pack in any::<bool>(),
        text in proptest::bool::weighted(0.2),
    ) {
        let settings = Settings { pack, text };
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        let mut writer = store.lock(None, settings).unwrap();
        writer.commit(Vec::new(), &[], None).unwrap();
        let mut model = Model::new();
        for step in &steps {
            match step {
                Step::Update(docs) => {
                    update(&mut writer, docs, settings);
                    apply(&mut model, docs);
                }
                Step::Compact(from, len) => {
                    let count = writer.manifest().segments.len();
                    if count > 0 {
                        let from = usize::from(*from) % count;
                        let to = from + 1 + usize::from(*len) % (count - from);
                        compact(&mut writer, from, to, settings);
                    }
                }
            }
            let index = store.open().unwrap();
            check(&index, &model, settings);
            if text {
                check_text(&index, &model, false);
            }
        }
        let count = writer.manifest().segments.len();
        if count > 0 {
            compact(&mut writer, 0, count, settings);
        }
        let index = store.open().unwrap();
        check(&index, &model, settings);
        if text {
            check_text(&index, &model, true);
        }
        let gone: u32 = index.segments().iter().map(|segment| segment.docs().gone()).sum();
        prop_assert_eq!(gone, 0, "nothing is left that a tombstone could hide");
    }
}

/// Texts that shrink little, so that blocks and their number can be told.
fn noisy(len: usize, seed: u64) -> Vec<u8> {
    let byte = |at: u64| xxhash_rust::xxh3::xxh3_64_with_seed(&at.to_le_bytes(), seed);
    (0..len as u64).map(|at| b' ' + (byte(at) % 64) as u8).collect()
}

#[test]
fn compaction_copies_blocks_and_packs_anew_what_is_mostly_dead() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    let settings = Settings { pack: true, text: false };
    let mut writer = store.lock(None, settings).unwrap();
    let mut model = Model::new();
    // Four blocks of ten texts each, and a text of three blocks.
    let mut docs: BTreeMap<_, _> =
        (0..40u64).map(|at| (format!("{at:02}"), (1, Found::Text(noisy(13_000, at))))).collect();
    docs.insert("long".into(), (1, Found::Text(noisy(300_000, 99))));
    update(&mut writer, &docs, settings);
    apply(&mut model, &docs);
    // Nine texts of the second block go, one of the third changes.
    let mut changes: BTreeMap<_, _> =
        (10..19).map(|at| (format!("{at}"), (2, Found::Gone))).collect();
    changes.insert("25".into(), (2, Found::Text(b"short".to_vec())));
    update(&mut writer, &changes, settings);
    apply(&mut model, &changes);
    compact(&mut writer, 0, 2, settings);
    let index = store.open().unwrap();
    check(&index, &model, settings);
    let pack = index.segments()[0].pack().unwrap();
    // Three copied, one with what was left of the second, one with the change, three of the long.
    assert_eq!(pack.blocks(), 8);
    let parts = &index.segments()[0].reference().parts;
    let raw = 31 * 13_000 + 300_000;
    assert!(parts["pack"] < raw * 9 / 10, "{} of {raw}", parts["pack"]);
}

/// Whatever byte of whatever file is changed, opening or proving finds it.
#[test]
fn any_changed_byte_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    let settings = Settings { pack: true, text: false };
    let mut writer = store.lock(None, settings).unwrap();
    let docs: BTreeMap<_, _> = ["a", "b", "c"]
        .into_iter()
        .map(|key| (key.to_owned(), (1, Found::Text(noisy(700, key.len() as u64)))))
        .collect();
    update(&mut writer, &docs, settings);
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        // A prime step meets every field of every part without a run for every byte.
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at / 7 % 8);
            fs::write(&path, &changed).unwrap();
            match store.open() {
                Err(fault) => assert!(
                    matches!(fault.kind(), FaultKind::Damaged | FaultKind::Format),
                    "{path:?} {at}: {fault:?}"
                ),
                Ok(index) => {
                    let verified = at_once(async { Ok(verify(&index, |_| ()).await) }).unwrap();
                    assert!(!verified.problems().is_empty(), "{path:?} {at}");
                }
            }
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert!(store.open().is_ok());
}

#[test]
fn a_text_that_is_not_covered_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    let settings = Settings { pack: false, text: false };
    let mut writer = store.lock(None, settings).unwrap();
    let docs = [("a".to_owned(), (1, Found::Text(b"the text that was".to_vec())))].into();
    update(&mut writer, &docs, settings);
    let index = store.open().unwrap();
    let (at, _) = index.find("a").unwrap();
    let mut verified = at_once(async { Ok(verify(&index, |_| ()).await) }).unwrap();
    at_once(verified.prove(at, b"the text that was")).unwrap();
    assert_eq!((verified.docs(), verified.texts()), (1, 1));
    for other in [&b"the text that is"[..], b"the text that\0was", b"the text that was!"] {
        assert_eq!(at_once(verified.prove(at, other)).unwrap_err().kind(), FaultKind::Damaged);
    }
    let told: Vec<_> = verified.problems().iter().map(Fault::detail).collect();
    let is = |what: &str| format!("the index is wrong about \"a\": {what}");
    assert_eq!(
        told,
        [is("its n-grams are not those of its text"), is("its first NUL is elsewhere")]
    );
}

/// A page that is damaged is met by every document on it, and by every n-gram.
#[test]
fn a_damaged_page_is_told_once_and_a_text_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    let settings = Settings { pack: true, text: false };
    let mut writer = store.lock(None, settings).unwrap();
    let docs: BTreeMap<_, _> =
        (0..20).map(|n| (format!("{n:02}"), (1, Found::Text(noisy(9000, n))))).collect();
    update(&mut writer, &docs, settings);
    let index = store.open().unwrap();
    let mut verified = at_once(async { Ok(verify(&index, |_| ()).await) }).unwrap();
    assert_eq!((verified.docs(), verified.texts()), (20, 20));
    for (at, doc) in index.live() {
        let (_, Found::Text(text)) = &docs[&doc.key] else { panic!("it is a text") };
        at_once(verified.prove(at, text)).unwrap();
    }
    assert_eq!((verified.docs(), verified.texts()), (20, 20));

    let segment = &index.segments()[0];
    let path = dir.path().join(&segment.bundle().file().name);
    let bytes = fs::read(&path).unwrap();
    let pages = segment.bundle().file().hot.div_ceil(crate::bundle::PAGE);
    for page in 0..pages {
        let mut changed = bytes.clone();
        changed[(page * crate::bundle::PAGE) as usize] ^= 1;
        fs::write(&path, &changed).unwrap();
        let index = store.open().unwrap();
        let verified = at_once(async { Ok(verify(&index, |_| ()).await) }).unwrap();
        let told: Vec<_> = verified.problems().iter().map(Fault::detail).collect();
        assert_eq!(told.len(), 1, "page {page} of {pages}: {told:#?}");
    }
}

/// Reads through other sources share what was fetched, and pay for the rest themselves.
#[test]
fn an_index_is_read_through_another_source() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    let settings = Settings { pack: true, text: false };
    let mut writer = store.lock(None, settings).unwrap();
    let docs = [("a".to_owned(), (1, Found::Text(noisy(9000, 1))))].into();
    update(&mut writer, &docs, settings);
    let index = store.open().unwrap();
    let memory = std::sync::Arc::new(crate::bundle::Memory::new());
    for segment in &writer.manifest().segments {
        let bytes = fs::read(dir.path().join(&segment.file.name)).unwrap();
        memory.put(&segment.file.name, Bytes::from(bytes));
    }
    let source: std::sync::Arc<dyn crate::Source> = memory.clone();
    let through = index.through(&source).unwrap();
    assert_eq!(memory.reads().calls, 0, "nothing is read to open it");
    let (at, doc) = through.find("a").unwrap();
    let text = |index: &Index| {
        let pack = index.segments()[at.segment as usize].pack().unwrap().clone();
        at_once(async move { pack.text(doc.place.unwrap()).await }).unwrap()
    };
    assert_eq!(text(&through), noisy(9000, 1));
    assert_eq!(memory.reads().calls, 1);
    assert_eq!(text(&index), noisy(9000, 1));
    assert_eq!(memory.reads().calls, 1);
}
