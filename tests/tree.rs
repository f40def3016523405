//! The tree against dumb models, over an alphabet in which every rule collides with every other.
//!
//! Trees and escapes break where two keys nearly collide, and texts drawn from all of Unicode
//! never do. Ten characters, short keys and many cases find in seconds what a corpus never has:
//! `PROPTEST_CASES=1000000 cargo test tree::` runs a million of each.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, sample::Index};
use r2vfs::{
    Error, Kind,
    bucket::{ETag, Object},
    tree::{
        Child, Decoded, MountTable, Place, Report, Snapshot, SnapshotBuilder, decode, encode,
        encode_dir, visible,
    },
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// The alphabet of the keys: what the rules name, what sorts just before and after `/`, and one
/// letter.
fn key() -> impl Strategy<Value = String> {
    "[-a./%~@2E\u{1}]{0,9}"
}

/// Paths that a rule might let through: the alphabet, the rest of the escapes' digits, and whole
/// escapes, so that most of them come near to being canonical.
fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[-a./%~@2E\u{1}0157F]",
        6 => Just("/".to_owned()),
        1 => Just("%25".to_owned()),
        1 => Just("%2E".to_owned()),
        1 => Just("%~".to_owned()),
        1 => Just("%@".to_owned()),
        1 => Just("%01".to_owned()),
        1 => Just("%7F".to_owned()),
    ];
    (prop::bool::weighted(0.9), vec(piece, 0..7))
        .prop_map(|(rooted, pieces)| ["", "/"][usize::from(rooted)].to_owned() + &pieces.concat())
}

/// What one segment of a path says, straight from the table in the docs.
fn meaning(segment: &str) -> String {
    match segment {
        "%~" => return String::new(),
        "%2E" => return ".".into(),
        "%2E%2E" => return "..".into(),
        _ => {}
    }
    let escapes: Vec<(String, char)> = (0..0x20u8)
        .chain([0x7f, b'%'])
        .map(|byte| (format!("%{byte:02X}"), char::from(byte)))
        .collect();
    let (mut said, mut rest) = (String::new(), segment);
    while let Some(first) = rest.chars().next() {
        match escapes.iter().find(|(escape, _)| rest.starts_with(escape.as_str())) {
            Some((escape, character)) => {
                said.push(*character);
                rest = &rest[escape.len()..];
            }
            None => {
                said.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    said
}

/// The spelling of one segment: control bytes escaped, and as few `%` as it takes for the segment
/// to be read as itself, the first ones that will do.
fn spelling(segment: &str) -> String {
    match segment {
        "" => return "%~".into(),
        "." => return "%2E".into(),
        ".." => return "%2E%2E".into(),
        _ => {}
    }
    let percents = segment.matches('%').count();
    let mut choices: Vec<u32> = (0..1 << percents).collect();
    choices.sort_by_key(|choice| (choice.count_ones(), *choice));
    for choice in choices {
        let mut spelled = String::new();
        let mut number = 0;
        for character in segment.chars() {
            match character {
                '%' => {
                    spelled.push_str(if choice >> number & 1 == 1 { "%25" } else { "%" });
                    number += 1;
                }
                c if c.is_ascii_control() => spelled.push_str(&format!("%{:02X}", c as u32)),
                c => spelled.push(c),
            }
        }
        if meaning(&spelled) == segment && spelled != "%@" {
            return spelled;
        }
    }
    unreachable!("escaping every percent always reads back");
}

/// What a path that must be right may name.
fn meant(path: &str) -> Decoded {
    decode(path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn spelled_dir(prefix: &str) -> String {
    let segments = prefix.split('/').collect::<Vec<_>>();
    let dirs = &segments[..segments.len() - 1];
    "/".to_owned() + &dirs.iter().map(|segment| spelling(segment) + "/").collect::<String>()
}

fn spelled_file(key: &str) -> String {
    let (dir, name) = key.split_at(key.rfind('/').map_or(0, |at| at + 1));
    spelled_dir(dir) + &if name.is_empty() { "%@".to_owned() } else { spelling(name) }
}

/// The only key and prefix that a path could mean, whatever its spelling.
fn could_mean(path: &str) -> (String, String) {
    let body = path.strip_prefix('/').unwrap_or(path);
    let key = body.split('/').map(meaning).collect::<Vec<_>>().join("/");
    let end = if body.is_empty() || body.ends_with('/') { "" } else { "/" };
    let prefix = key.clone() + end;
    match path.strip_suffix("/%@") {
        Some(dir) => (could_mean(&(dir.to_owned() + "/")).1, prefix),
        None => (key, prefix),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_key_has_the_path_with_the_fewest_escapes_and_comes_back(key in key()) {
        let path = encode(&key);
        prop_assert_eq!(&path, &spelled_file(&key));
        prop_assert_eq!(meant(&path).file, Some(key.clone()));
        for (at, _) in key.match_indices('/') {
            let prefix = &key[..=at];
            let path = encode_dir(prefix);
            prop_assert_eq!(&path, &spelled_dir(prefix));
            prop_assert_eq!(meant(&path).dir, Some(prefix.to_owned()));
        }
    }

    #[test]
    fn a_path_is_taken_exactly_if_it_is_the_spelling_of_something(path in path()) {
        let (key, prefix) = could_mean(&path);
        let file = (spelled_file(&key) == path).then_some(key);
        let dir = spelled_dir(&prefix);
        let open = path.starts_with('/') && dir == path.clone() + "/";
        let dir = (dir == path || open).then_some(prefix);
        match decode(&path) {
            Ok(decoded) => {
                prop_assert_eq!((decoded.file, decoded.dir), (file, dir));
            }
            Err(error) => {
                prop_assert_eq!((file, dir), (None, None));
                let advice = error.advice().unwrap_or_default();
                prop_assert!(
                    advice.split([' ', ',']).any(|word| word.starts_with('/') && decode(word).is_ok()),
                    "{} names no path to write instead", advice
                );
            }
        }
    }

    #[test]
    fn nothing_outside_a_mount_can_be_named(path in path(), inner in path()) {
        let table = MountTable::new(vec!["/a".into(), "/-/a/".into(), "/%2E%2E".into()]).expect("apart");
        for path in [path.clone(), "/a".to_owned() + &inner, "/%2E%2E/".to_owned() + &path] {
            let place = table.resolve(&path);
            if path.split('/').any(|segment| segment == "..") {
                prop_assert_eq!(place.as_ref().map_err(Error::kind), Err(Kind::InvalidPath));
            }
            if let Ok(Place::Inside { mount, path: inner }) = place {
                let whole = table.join(mount, &inner);
                prop_assert!(whole == path || whole == path.clone() + "/", "{} is {}", path, whole);
                let point = table.point(mount).to_owned() + "/";
                prop_assert!(whole.starts_with(&point));
                prop_assert!(decode(&inner).is_ok(), "{}", inner);
            }
        }
    }

    #[test]
    fn a_snapshot_answers_as_a_sorted_map(
        listing in vec(object(key()), 0..40),
        picks in vec(any::<Index>(), 2),
        probe in key(),
    ) {
        check(&listing, &picks, &probe)?;
    }
}

proptest! {
    // Many blocks and long skips need many keys; a tenth of the cases is then as much work.
    #![proptest_config(ProptestConfig { cases: (config().cases / 10).max(8), ..config() })]

    #[test]
    fn a_large_snapshot_answers_as_a_sorted_map(
        listing in vec(object("[-a./2]{0,4}(/[a-f]{1,2})?"), 100..700),
        picks in vec(any::<Index>(), 2),
        probe in key(),
    ) {
        check(&listing, &picks, &probe)?;
    }
}

fn object(key: impl Strategy<Value = String>) -> impl Strategy<Value = Object> {
    let etag = prop_oneof![
        3 => any::<u128>().prop_map(|digest| format!("{digest:032x}")),
        1 => (any::<u128>(), any::<u16>()).prop_map(|(digest, n)| format!("{digest:032x}-{n}")),
        1 => "[-0a]{0,3}",
    ];
    let modified = prop_oneof![
        1 => Just(None),
        3 => (0..1u32 << 31).prop_map(|seconds| Some(i64::from(seconds) * 1000)),
        1 => any::<i64>().prop_map(Some),
    ];
    let size = prop_oneof![Just(0), any::<u64>()];
    (key, size, etag, modified, any::<bool>()).prop_map(|(key, size, etag, modified, archived)| {
        Object { key, size, etag: ETag(etag.into()), modified, archived }
    })
}

fn build(listing: impl IntoIterator<Item = Object>) -> Snapshot {
    let mut builder = SnapshotBuilder::new();
    for object in listing {
        builder.push(object);
    }
    builder.finish(String::new(), 7)
}

/// The children of a directory by the definition: the names below it, each once.
fn children_of<'a>(prefix: &str, model: impl Iterator<Item = &'a Object>) -> Vec<Child> {
    let mut children = BTreeMap::new();
    for object in model {
        let Some(name) = object.key.strip_prefix(prefix) else { continue };
        match name.split_once('/') {
            Some((dir, _)) => {
                let dir = format!("{prefix}{dir}/");
                children.insert(dir.clone(), Child::Dir(dir));
            }
            None if name.is_empty() && object.size == 0 => {}
            None => {
                children.insert(object.key.clone(), Child::File(object.clone()));
            }
        }
    }
    children.into_values().collect()
}

/// All that a snapshot answers, beside a sorted map of the same listing.
fn check(listing: &[Object], picks: &[Index], probe: &str) -> Result<(), TestCaseError> {
    let snapshot = build(listing.iter().cloned());
    let model: BTreeMap<String, Object> =
        listing.iter().map(|object| (object.key.clone(), object.clone())).collect();
    let keys: Vec<&str> = model.keys().map(String::as_str).collect();

    prop_assert_eq!(snapshot.len(), model.len());
    prop_assert!(snapshot.scan("", None).eq(model.values().cloned()));
    prop_assert_eq!(snapshot.get(probe), model.get(probe).cloned());
    for (key, object) in &model {
        prop_assert_eq!(snapshot.get(key), Some(object.clone()));
    }

    let mut probes = vec![probe];
    probes.extend(picks.iter().filter(|_| !keys.is_empty()).map(|pick| *pick.get(&keys)));
    for prefix in &probes {
        for from in &probes {
            let want = model.values().filter(|o| o.key.starts_with(prefix) && *o.key >= **from);
            prop_assert!(snapshot.scan(prefix, Some(from)).eq(want.cloned()), "{prefix} {from}");
        }
    }

    let mut dirs: BTreeSet<String> = keys
        .iter()
        .flat_map(|key| key.match_indices('/').map(|(at, _)| key[..=at].to_owned()))
        .collect();
    dirs.insert(String::new());
    for dir in &dirs {
        let want = children_of(dir, model.values());
        prop_assert!(snapshot.has_dir(dir));
        prop_assert!(snapshot.children(dir).eq(want.iter().cloned()), "{dir}");
    }
    let stranger = format!("{probe}/");
    prop_assert_eq!(snapshot.has_dir(&stranger), dirs.contains(&stranger));
    prop_assert!(snapshot.children(&stranger).eq(children_of(&stranger, model.values())));

    // Down from the root by the paths that listings show, every object is met once.
    let mut met = BTreeMap::new();
    let mut open = vec!["/".to_owned()];
    while let Some(path) = open.pop() {
        let dir = meant(&path).dir.expect("a directory's path");
        for child in snapshot.children(&dir) {
            match child {
                Child::Dir(prefix) => open.push(encode_dir(&prefix)),
                Child::File(object) => {
                    let path = encode(&object.key);
                    prop_assert_eq!(meant(&path).file, Some(object.key.clone()));
                    prop_assert!(met.insert(path, object).is_none());
                }
            }
        }
    }
    let hidden =
        |object: &&Object| object.size == 0 && (object.key.is_empty() || object.key.ends_with('/'));
    let markers = model.values().filter(hidden).count();
    prop_assert_eq!(met.len() + markers, model.len());

    let mut greatest: Option<&str> = None;
    let mut out_of_order = 0;
    for object in listing {
        out_of_order += u64::from(greatest.is_some_and(|greatest| *object.key < *greatest));
        greatest = greatest.max(Some(object.key.as_str()));
    }
    let twins = keys
        .iter()
        .filter(|key| !key.is_empty() && !key.ends_with('/') && dirs.contains(&format!("{key}/")));
    let reachable = model.len() as u64;
    let report = Report {
        listed: reachable,
        reachable,
        hidden_markers: markers as u64,
        escaped: keys.iter().filter(|key| spelled_file(key) != format!("/{key}")).count() as u64,
        twins: twins.count() as u64,
        nfc_twins: 0,
        unaddressable: 0,
        duplicates: listing.len() as u64 - reachable,
        out_of_order,
    };
    prop_assert_eq!(snapshot.report(), report);

    let sorted = build(model.values().cloned());
    prop_assert_eq!(snapshot.digest(), sorted.digest());
    if let Some(pick) = picks.first().filter(|_| !keys.is_empty()) {
        let key = *pick.get(&keys);
        let other = model.values().cloned().map(|mut object| {
            if object.key == key {
                object.etag = ETag(format!("{}x", object.etag.0).into());
            }
            object
        });
        prop_assert_ne!(snapshot.digest(), build(other).digest());
    }
    Ok(())
}

fn listed(keys: &[&str]) -> Snapshot {
    build(keys.iter().map(|key| Object {
        key: (*key).to_owned(),
        size: 1,
        etag: ETag("e".into()),
        modified: None,
        archived: false,
    }))
}

#[test]
fn a_listing_in_the_worst_order_is_the_same_listing() {
    let object = |number: u32, etag: &str| Object {
        key: format!("logs/2026/{number:06}.txt"),
        size: u64::from(number),
        etag: ETag(etag.into()),
        modified: Some(i64::from(number) * 1000),
        archived: false,
    };
    let sorted = build((0..40_000).map(|number| object(number, "new")));
    let backwards =
        (0..40_000).rev().flat_map(|number| [object(number, "old"), object(number, "new")]);
    let snapshot = build(backwards);
    assert!(snapshot.scan("", None).eq(sorted.scan("", None)));
    assert_eq!(snapshot.digest(), sorted.digest());
    assert_eq!(snapshot.report().duplicates, 40_000);
}

#[test]
fn what_no_path_can_name_is_counted_and_kept_by_name() {
    let mut builder = SnapshotBuilder::new();
    builder.add_unaddressable("caf%E9".to_owned());
    for len in [1024, 1025] {
        builder.push(Object { key: "k".repeat(len), ..listed(&["k"]).get("k").unwrap() });
    }
    let snapshot = builder.finish("k".to_owned(), 7);
    let report = snapshot.report();
    assert_eq!((report.listed, report.reachable, report.unaddressable), (3, 1, 2));
    assert_eq!(snapshot.unaddressable(), ["caf%E9".to_owned(), "k".repeat(1025)]);
    assert_eq!((snapshot.prefix(), snapshot.listed_at()), ("k", 7));
}

#[test]
fn sixty_byte_keys_take_at_most_70_bytes_each() {
    let keys = 100_000u32;
    let snapshot = build((0..keys).map(|number| {
        let hash = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Object {
            key: format!(
                "support/articles/en/{:04}/article-{number:08}-on-your-buckets.md",
                number / 500
            ),
            size: (hash >> 100) as u64 & 0xffff,
            etag: ETag(format!("{hash:032x}").into()),
            modified: Some(1_700_000_000_000 + (hash >> 90) as i64 % 31_536_000 * 1000),
            archived: false,
        }
    }));
    let each = snapshot.resident_bytes() as f64 / f64::from(keys);
    assert_eq!(snapshot.scan("", None).next().unwrap().key.len(), 60);
    assert!(each <= 70.0, "{each:.1} bytes a key");
}

#[test]
fn the_nearest_names_are_what_was_meant() {
    let tree = listed(&[
        "caf\u{e9}/menu.md",
        "docs/de/install.md",
        "docs/en/faq.md",
        "docs/en/guide/first.md",
        "docs/en/install.md",
        "docs/en/pricing.md",
        "docs/en/we//ird.md",
        "notes/he\u{301}llo.md",
        "notes/zebra.md",
        "readme",
        "readme.md/part",
    ]);
    for (asked, want) in [
        ("/notes/h\u{e9}llo.md", &["/notes/he\u{301}llo.md"][..]),
        ("/cafe\u{301}/menu.md", &["/caf\u{e9}/menu.md"]),
        ("/cafe\u{301}/", &["/caf\u{e9}/"]),
        ("/docs/en/instal.md", &["/docs/en/install.md"]),
        ("/docs/en/FAQ.md", &["/docs/en/faq.md"]),
        ("/docs/en/faq", &["/docs/en/faq.md"]),
        ("/docs/en/faq.md/", &["/docs/en/faq.md"]),
        ("/doc/en/install.md", &["/docs/en/install.md", "/docs/de/install.md"]),
        ("/Docs/En/Instal.md", &["/docs/en/install.md"]),
        ("/docs/ens/", &["/docs/en/"]),
        ("/docs/en/zzz/first.md", &["/docs/en/"]),
        ("/docs/en/first.md", &["/docs/en/guide/first.md"]),
        ("/docs/de/pricing.md", &["/docs/en/pricing.md"]),
        ("/docs/en/guide/faq.md", &["/docs/en/faq.md"]),
        ("/readme/", &["/readme", "/readme.md/"]),
        ("/readme.md", &["/readme.md/", "/readme"]),
        ("/docs/en/we/ird.md", &["/docs/en/we/%~/ird.md"]),
        ("/nothing-like-it", &[]),
        ("not a path", &[]),
    ] {
        assert_eq!(tree.nearest(asked, 5), want, "{asked}");
    }
    assert_eq!(tree.nearest("/readme/", 1), ["/readme"]);
    assert_eq!(tree.report().nfc_twins, 0);
    let twins = listed(&["e\u{301}", "x/\u{e9}", "x/e\u{301}", "\u{212b}", "A\u{30a}", "\u{c5}"]);
    assert_eq!(twins.report().nfc_twins, 5);
    assert_eq!(twins.other_spellings("\u{c5}"), ["A\u{30a}", "\u{212b}"]);
}

#[test]
fn the_nearest_name_is_found_among_a_hundred_thousand_and_in_the_longest_names() {
    let many: Vec<String> = (0..100_000).map(|n| format!("big/article-{n:06}.md")).collect();
    let long: Vec<String> = (0..4000).map(|n| format!("long/{}{n:04}", "x".repeat(1000))).collect();
    let keys: Vec<&str> = many.iter().chain(&long).map(String::as_str).collect();
    let tree = listed(&keys);
    let digit_lost = tree.nearest("/big/article-07777.md", 20);
    assert!(digit_lost.contains(&"/big/article-077770.md".to_owned()), "{digit_lost:?}");
    assert_eq!(tree.nearest("/big/article-077777.mdx", 1), ["/big/article-077777.md"]);
    // Nothing to find is the most work there is; the bound is what ends it.
    tree.nearest(&format!("/long/{}", "y".repeat(1000)), 20);
}

#[test]
fn mounts_never_overlap() {
    let new = |points: &[&str]| MountTable::new(points.iter().map(|p| (*p).to_owned()).collect());
    for (points, want) in [
        (&[][..], "there is nothing to mount"),
        (&["/kb", "/kb/"][..], "two mounts have the same path"),
        (&["/kb/x", "/kb-x", "/kb"][..], "this mount lies inside the mount /kb/"),
        (&["/", "/kb"][..], "this mount lies inside the mount /"),
        (&["kb"][..], "a mount's path is wrong: the path does not start at the root"),
        (&["/kb/../x"][..], "a mount's path is wrong: `..` is not followed"),
        (&["/kb/%@"][..], "a mount's path is wrong: this path is a file's"),
    ] {
        let error = new(points).expect_err(want);
        assert_eq!((error.kind(), error.message()), (Kind::Config, want));
    }

    let table = new(&["/kb/en", "/api", "/kb-old/", "/kb/de"]).unwrap();
    assert_eq!(table.in_order().collect::<Vec<_>>(), [1, 2, 3, 0]);
    assert_eq!(table.children("/"), ["api", "kb-old", "kb"]);
    assert_eq!(table.children("/kb"), ["de", "en"]);
    assert_eq!(table.children("/kb/"), ["de", "en"]);
    for (path, want) in [
        ("/", Place::Above),
        ("/kb", Place::Above),
        ("/kb/", Place::Above),
        ("/kb/en", Place::Inside { mount: 0, path: "/".into() }),
        ("/kb/en/", Place::Inside { mount: 0, path: "/".into() }),
        ("/kb/en/a/b", Place::Inside { mount: 0, path: "/a/b".into() }),
        ("/api/%~/", Place::Inside { mount: 1, path: "/%~/".into() }),
    ] {
        assert_eq!(table.resolve(path).expect(path), want, "{path}");
    }
    for (path, kind) in [
        ("/kb/fr", Kind::NotFound),
        ("/kb/english", Kind::NotFound),
        ("/apis", Kind::NotFound),
        ("/%@", Kind::NotFound),
        ("/api/../kb", Kind::InvalidPath),
        ("api/x", Kind::InvalidPath),
    ] {
        assert_eq!(table.resolve(path).expect_err(path).kind(), kind, "{path}");
    }
    let error = table.resolve("/kb/fr").expect_err("nothing there");
    assert!(error.advice().is_some_and(|advice| advice.contains("/kb/de/")), "{error}");

    let root = new(&["/"]).unwrap();
    assert_eq!((root.point(0), root.join(0, "/a").as_str()), ("", "/a"));
    assert_eq!(root.resolve("/a").unwrap(), Place::Inside { mount: 0, path: "/a".into() });
}

fn fixture(name: &str) -> Vec<serde_json::Value> {
    let file = format!("{ROOT}/fixtures/odd/{name}");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn the_odd_keys_have_the_paths_that_are_written_beside_them() {
    let pairs = fixture("keys.json");
    let field = |at: usize, name: &str| pairs[at][name].as_str().expect(name).to_owned();
    let mut wrong = Vec::new();
    for at in 0..pairs.len() {
        let (key, path) = (field(at, "key"), field(at, "path"));
        let back = decode(&path).map(|decoded| decoded.file);
        if encode(&key) != path || !matches!(&back, Ok(Some(file)) if *file == key) {
            wrong.push(format!(
                "{key:?}: {path} is written, {} is its path: {back:?}",
                encode(&key)
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");

    // And as one bucket: each is found, listed in its directory, and no two have one path.
    let keys: Vec<String> = (0..pairs.len()).map(|at| field(at, "key")).collect();
    let tree = listed(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    let report = tree.report();
    assert_eq!((report.listed, report.duplicates), (keys.len() as u64, 0));
    for key in &keys {
        let dir = &key[..key.rfind('/').map_or(0, |at| at + 1)];
        assert!(tree.children(dir).any(|child| child.key() == key), "{}", visible(key));
    }
}

#[test]
fn the_spellings_that_are_refused_name_the_right_one() {
    for entry in fixture("refused.json") {
        let (path, canonical) =
            (entry["path"].as_str().unwrap(), entry["canonical"].as_str().unwrap());
        let error = decode(path).expect_err(path);
        assert_eq!(error.advice(), Some(format!("write {canonical}").as_str()), "{path:?}");
        assert!(decode(canonical).is_ok(), "{canonical}");
    }
}
