//! Globs against globset's own matcher, one pattern at a time, and heads against what matches.

use globset::{GlobBuilder, GlobMatcher};
use proptest::{collection::vec, prelude::*, sample::select};
use r2vfs::{Kind, search::GlobOptions};

use super::{cases, runner};

fn options(patterns: &[&str]) -> GlobOptions {
    GlobOptions { patterns: patterns.iter().map(|&p| p.into()).collect(), ..Default::default() }
}

fn matching<'a>(patterns: &[&str], paths: &[&'a str]) -> Vec<&'a str> {
    let globs = options(patterns).build().expect("valid globs");
    paths.iter().copied().filter(|p| globs.matches(p)).collect()
}

fn heads(patterns: &[&str]) -> Vec<String> {
    options(patterns).build().expect("valid globs").heads()
}

#[test]
fn the_last_pattern_that_matches_decides() {
    let paths = ["/a.md", "/docs/a.md", "/docs/keep.md", "/docs/x.txt"];
    assert_eq!(matching(&["**/*.md", "!docs/**"], &paths), ["/a.md"]);
    assert_eq!(
        matching(&["**/*.md", "!docs/**", "docs/keep.md"], &paths),
        ["/a.md", "/docs/keep.md"]
    );
    assert_eq!(
        matching(&["!docs/**", "**/*.md"], &paths),
        ["/a.md", "/docs/a.md", "/docs/keep.md"]
    );
}

#[test]
fn exclusions_alone_start_from_every_path() {
    assert_eq!(matching(&["!**/*.md"], &["/a.md", "/a.txt", "/d/b.md"]), ["/a.txt"]);
    assert_eq!(heads(&["!docs/**"]), ["/"]);
}

#[test]
fn an_escaped_exclamation_mark_is_a_name() {
    assert_eq!(matching(&[r"\!a"], &["/!a", "/a"]), ["/!a"]);
}

#[test]
fn a_leading_slash_changes_nothing() {
    assert_eq!(matching(&["/docs/*"], &["/docs/a", "/x/docs/a"]), ["/docs/a"]);
    assert_eq!(matching(&["/**", "!/docs/*"], &["/docs/a", "/a"]), ["/a"]);
}

#[test]
fn a_base_makes_patterns_relative() {
    let base = Some("/docs/en/".to_owned());
    let globs = GlobOptions { base, ..options(&["*.md"]) }.build().expect("valid globs");
    assert!(globs.matches("/docs/en/a.md"));
    assert!(!globs.matches("/docs/en/x/a.md"));
    assert!(!globs.matches("/a.md"));
    assert_eq!(globs.heads(), ["/docs/en/"]);
}

#[test]
fn heads_are_tight() {
    assert_eq!(heads(&["docs/en/**/*.md"]), ["/docs/en/"]);
    assert_eq!(heads(&["docs/en/re*"]), ["/docs/en/re"]);
    assert_eq!(heads(&["{docs,kb}/en/*.md"]), ["/docs/en/", "/kb/en/"]);
    assert_eq!(heads(&["{docs/{a,b},kb}/x?"]), ["/docs/a/x", "/docs/b/x", "/kb/x"]);
    assert_eq!(heads(&[r"a\*b/c\[1\]/*"]), ["/a*b/c[1]/"]);
    assert_eq!(heads(&["docs/a.md"]), ["/docs/a.md"]);
    assert_eq!(heads(&["a{,b}/c"]), ["/ab/c"], "globset drops an empty branch");
    assert_eq!(heads(&["docs/**", "docs/en/**", "kb/*", "!kb/x"]), ["/docs/", "/kb/"]);
    assert_eq!(heads(&["**/*.md"]), ["/"]);
    assert_eq!(heads(&["[ab]/c"]), ["/"]);
    let many = format!("d/{{{}}}/x", (0..100).map(|i| i.to_string()).collect::<Vec<_>>().join(","));
    assert_eq!(heads(&[&many]), ["/d/"]);
}

#[test]
fn a_caseless_head_stops_at_a_letter() {
    let caseless = |p| GlobOptions { case_insensitive: true, ..options(&[p]) };
    assert_eq!(caseless("2024/01/Docs/*").build().expect("valid").heads(), ["/2024/01/"]);
    assert_eq!(caseless("docs/*").build().expect("valid").heads(), ["/"]);
    assert!(caseless("docs/*").build().expect("valid").matches("/DOCS/a"));
}

#[test]
fn errors_name_the_column() {
    for (glob, column) in [
        ("a/[b", 3),
        ("/é{a,b", 3),
        ("a}", 2),
        ("!ab\\", 4),
        ("[z-a]", 4),
        ("a{b,{c}", 2),
        ("[]-a]x[", 7),
    ] {
        let error = options(&[glob]).build().expect_err(glob);
        assert_eq!(error.kind(), Kind::InvalidPattern);
        let message = error.to_string();
        assert!(message.contains(&format!("column {column}:")), "{glob}: {message}");
    }
    let error = options(&["a", "!/"]).build().expect_err("empty");
    assert!(error.to_string().contains("glob 2 of 2 is empty"), "{error}");
}

/// Patterns and paths over the same few characters, so that they meet.
fn globs() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "a", "b", "A", "-", ".", "/", "/", "*", "**", "**/", "/**", "?", "[a]", "[!a]", "[a-b.]",
        "{a,b}", "{", "}", ",", r"\*", r"\a", "!", "[", "]", r"\", "é", "{a/,b*}", "{,a}",
    ]);
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn paths() -> impl Strategy<Value = Vec<String>> {
    let name = vec(select(vec!["a", "b", "A", "-", ".", "*", "é", "]", "!"]), 1..4);
    // A canonical path has no such names; globset takes them for directories.
    let name = name.prop_map(|n| n.concat()).prop_map(|n| match n.as_str() {
        "." | ".." => n + "a",
        _ => n,
    });
    let path = vec(name, 1..4).prop_map(|names| names.join("/"));
    vec(path, 1..30)
}

fn reference(pattern: &str, caseless: bool) -> Option<(bool, GlobMatcher)> {
    let (exclude, glob) = match pattern.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let glob = glob.strip_prefix('/').unwrap_or(glob);
    let built = GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .case_insensitive(caseless)
        .build()
        .ok()?;
    (!glob.is_empty()).then(|| (exclude, built.compile_matcher()))
}

#[test]
fn lists_equal_globset_one_by_one() {
    let strategy = (vec(globs(), 1..4), paths(), any::<bool>());
    let outcome = runner(cases(3_000)).run(&strategy, |(patterns, paths, case_insensitive)| {
        let options = GlobOptions { patterns, case_insensitive, base: None };
        let model: Option<Vec<_>> =
            options.patterns.iter().map(|p| reference(p, case_insensitive)).collect();
        let built = options.build();
        prop_assert_eq!(built.is_ok(), model.is_some(), "{:?}", built);
        let (Ok(globs), Some(model)) = (built, model) else { return Ok(()) };
        let heads = globs.heads();
        for path in paths {
            let expected = model
                .iter()
                .rfind(|(_, glob)| glob.is_match(&path))
                .map_or(model.iter().all(|&(exclude, _)| exclude), |&(exclude, _)| !exclude);
            let path = format!("/{path}");
            prop_assert_eq!(globs.matches(&path), expected, "{}", &path);
            if expected {
                prop_assert!(heads.iter().any(|h| path.starts_with(h)), "{} {:?}", &path, &heads);
            }
        }
        for (i, head) in heads.iter().enumerate() {
            prop_assert!(heads.iter().enumerate().all(|(j, h)| i == j || !head.starts_with(h)));
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
