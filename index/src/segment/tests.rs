use std::sync::Arc;

use bytes::Bytes;

use super::{LongText, NewContent, NewDoc, Preparer, Segment, SegmentWriter};
use crate::{
    bundle::at_once,
    docs::{Doc, State},
    manifest::Settings,
    pack::MAX_TEXT,
    store::Dir,
};

const PLAIN: State = State::PLAIN;
const GRAMS: State = State::GRAMS;
const TEXT: State = State::TEXT;

fn new(key: &str, size: u64, content: NewContent) -> NewDoc {
    NewDoc { key: key.into(), etag: "e".into(), size, modified: Some(5), content }
}

fn plain(key: &str, stored: impl Into<Bytes>) -> NewDoc {
    let stored = stored.into();
    new(key, stored.len() as u64, NewContent::Plain(stored))
}

fn prepare(doc: NewDoc) -> Doc {
    Preparer::new(Settings::default()).prepare(doc).unwrap().doc().clone()
}

fn flags(doc: NewDoc) -> State {
    prepare(doc).state
}

#[test]
fn a_search_that_reads_the_stored_bytes_is_told_by_them() {
    assert_eq!(flags(plain("a", "text\n")), GRAMS.with(PLAIN).with(TEXT));
    assert_eq!(flags(plain("a", "")), GRAMS.with(PLAIN).with(TEXT));
    assert_eq!(flags(plain("a", "\u{feff}text")), GRAMS.with(PLAIN).with(TEXT));
    let late = [b"x".repeat(9000), vec![0], b"rest".to_vec()].concat();
    let doc = prepare(plain("a", late.clone()));
    assert_eq!((doc.state, doc.nul, doc.lines), (GRAMS.with(TEXT), Some(9000), None));
    let doc = prepare(plain("a", &b"bin\0ary"[..]));
    assert_eq!((doc.state, doc.nul), (GRAMS, Some(3)));
    let decoded = new("a", 4, NewContent::Decoded(Bytes::from_static(b"longer than stored")));
    assert_eq!(flags(decoded), GRAMS.with(TEXT));
}

#[test]
fn a_nul_is_counted_from_behind_the_mark_as_a_search_does() {
    for text in ["\u{feff}bin\0ary", "bin\0ary"] {
        assert_eq!(prepare(plain("a", text)).nul, Some(3), "{text:?}");
        let mut long = LongText::plain();
        text.bytes().for_each(|byte| long.feed(&[byte]));
        let long = new("a", text.len() as u64, NewContent::Long(Box::new(long)));
        assert_eq!(prepare(long).nul, Some(3), "{text:?}");
    }
}

#[test]
fn utf_16_that_nobody_decoded_is_not_covered() {
    for mark in [[0xff, 0xfe], [0xfe, 0xff]] {
        let stored = [&mark[..], b"a\0b\0"].concat();
        assert_eq!(flags(plain("a", stored.clone())), State::NONE);
        let mut long = LongText::plain();
        stored.iter().for_each(|byte| long.feed(&[*byte]));
        assert_eq!(flags(new("a", 6, NewContent::Long(Box::new(long)))), State::NONE);
    }
}

#[test]
fn what_is_hardly_text_has_no_full_text() {
    let latin = "una canci\u{f3}n de oto\u{f1}o, ya lo s\u{e9}; ".repeat(20);
    let latin: Vec<u8> = latin.chars().map(|char| char as u8).collect();
    assert_eq!(flags(plain("a", latin)), GRAMS.with(PLAIN).with(TEXT));
    let noise: Vec<u8> =
        (0..999u64).map(|at| xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes()) as u8 | 1).collect();
    assert_eq!(flags(plain("a", noise)), GRAMS.with(PLAIN));
}

#[test]
fn what_was_read_in_part_is_refused() {
    let short = new("a", 5, NewContent::Plain(Bytes::from_static(b"four")));
    assert!(Preparer::new(Settings::default()).prepare(short).is_err());
}

#[test]
fn lines_are_counted() {
    for (text, lines) in [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2)] {
        assert_eq!(prepare(plain("a", text)).lines, Some(lines), "{text:?}");
        let mut long = LongText::plain();
        text.bytes().for_each(|byte| long.feed(&[byte]));
        let doc = prepare(new("a", text.len() as u64, NewContent::Long(Box::new(long))));
        assert_eq!(doc.lines, Some(lines), "{text:?}");
    }
}

/// The same bytes, whole and in pieces, say the same.
#[test]
fn a_long_text_is_told_like_a_short_one() {
    let texts: [&[u8]; 4] = [b"some text\nof two lines", b"a\0b", b"\0", "\u{e9}\u{e9}".as_bytes()];
    for text in texts {
        for cut in 1..4 {
            let mut preparer = Preparer::new(Settings::default());
            let whole = preparer.prepare(plain("a", text)).unwrap();
            let mut long = LongText::plain();
            text.chunks(cut).for_each(|piece| long.feed(piece));
            let long = new("a", text.len() as u64, NewContent::Long(Box::new(long)));
            let long = preparer.prepare(long).unwrap();
            assert_eq!(long.doc, whole.doc, "{text:?}");
            assert_eq!(long.grams, whole.grams, "{text:?}");
            assert!(long.packed.is_none());
        }
    }
}

#[test]
fn a_segment_holds_what_was_added() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::create(dir.path(), Settings::default(), 16 << 20).unwrap();
    let huge = Bytes::from(vec![b'x'; MAX_TEXT + 1]);
    let docs = [
        plain("a.md", "# A\n\ntext"),
        new("b", 7, NewContent::Archived),
        new("c", 7, NewContent::Gone),
        plain("d.bin", &b"\x7fELF\0"[..]),
        plain("e", ""),
        plain("f", huge),
        new("g", 7, NewContent::Unreadable),
    ];
    for doc in docs {
        writer.add(doc).unwrap();
    }
    assert!(writer.add(plain("a", "too late")).is_err());
    assert_eq!(writer.raw_bytes(), 9 + 5 + MAX_TEXT as u64 + 1);
    let reference = writer.finish().unwrap();
    assert_eq!((reference.docs, reference.gone), (7, 1));
    assert_eq!(reference.text_bytes, 9 + 4 + MAX_TEXT as u64 + 1);

    let source = Arc::new(Dir::new(dir.path()));
    let segment = at_once(Segment::open(source.clone(), reference.clone())).unwrap();
    let states: Vec<_> = segment.docs().iter().map(|(_, doc)| (doc.key, doc.state)).collect();
    let all = GRAMS.with(PLAIN).with(TEXT);
    let expected = [
        ("a.md", all.with(State::PACKED)),
        ("b", State::ARCHIVED),
        ("c", State::GONE),
        ("d.bin", GRAMS),
        ("e", all.with(State::PACKED)),
        ("f", all),
        ("g", State::UNREADABLE),
    ];
    assert_eq!(states, expected.map(|(key, state)| (key.to_owned(), state)));
    let pack = segment.pack().unwrap();
    let (_, doc) = segment.docs().find("a.md").unwrap();
    assert_eq!(at_once(pack.text(doc.place.unwrap())).unwrap(), "# A\n\ntext");

    let other = crate::SegmentRef { docs: 8, ..reference };
    assert!(at_once(Segment::open(source, other)).is_err(), "the manifest says otherwise");
}

#[test]
fn without_a_pack_nothing_is_packed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { pack: false, text: false };
    let mut writer = SegmentWriter::create(dir.path(), settings, 16 << 20).unwrap();
    writer.add(plain("a", "text")).unwrap();
    let reference = writer.finish().unwrap();
    let source = Arc::new(Dir::new(dir.path()));
    let segment = at_once(Segment::open(source, reference)).unwrap();
    assert!(segment.pack().is_none());
    assert_eq!(segment.docs().get(0).unwrap().state, GRAMS.with(PLAIN));
}
