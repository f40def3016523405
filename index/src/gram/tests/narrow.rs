//! What the planner makes of patterns: which texts satisfy them and, above all, which do not.

use super::{grams_of, query, satisfied};
use crate::gram::{Query, plan_literal};

/// Each pattern is satisfied by the texts of the first list and not by those of the second. Those
/// of the first need not match: they say what is not worth asking for.
#[track_caller]
fn narrows(pattern: &str, yes: &[&str], no: &[&str]) {
    let query = query(pattern);
    for text in yes {
        assert!(satisfied(&query, &grams_of(text.as_bytes())), "{pattern} and {text:?}: {query:?}");
    }
    for text in no {
        assert!(!satisfied(&query, &grams_of(text.as_bytes())), "{pattern} or {text:?}: {query:?}");
    }
}

#[track_caller]
fn says_nothing(pattern: &str) {
    assert_eq!(query(pattern), Query::All, "{pattern}");
}

#[test]
fn what_lies_between_two_literals_does_not_matter() {
    narrows("foo.*bar", &["foo bar", "bar foo", "xfoobarx"], &["foo", "bar", "fo obar"]);
    narrows("foo[^/]{2,9}bar", &["foo//bar"], &["foo"]);
    narrows(r"foo(?:\w+\s)*bar", &["foo bar"], &["foo", "bar"]);
    narrows("foo.bar", &["foo bar"], &["foo"]);
}

#[test]
fn case_does_not_matter_to_the_grams() {
    narrows("(?i)straße", &["STRASSE STRAẞE", "straße"], &["strasse", "strase"]);
    narrows("(?i)kiss", &["\u{212A}I\u{17F}\u{17F}", "KISS", "kiss"], &["kis", "kiß"]);
    narrows("Straße", &["straße"], &["strasse"]);
    narrows(r"[Ee]rror: \d+", &["error: 7", "ERROR: x"], &["error 7", "rror: 7"]);
    narrows("[eE][rR][rR]or", &["error"], &["errr"]);
    narrows("(?i)ΣΊΣΥΦΟΣ", &["σίσυφος", "Σίσυφοσ"], &["σισυφος"]);
    narrows("(?i-u)warn", &["WARN", "warn"], &["wart"]);
}

#[test]
fn one_alternative_is_enough() {
    narrows("error|warning|failure", &["error", "a warning", "failures"], &["erro warnin ailure"]);
    narrows("(?:foo|bar)baz", &["foobaz", "barbaz"], &["baz foo bar", "quxbaz"]);
    narrows(
        "(?:cannot|can't) (?:open|find)",
        &["cannot open", "can't find"],
        &["can open", "cannot"],
    );
    narrows("gr[ae]y", &["gray", "grey"], &["groy", "gry"]);
    narrows("colou?r", &["color", "colour"], &["colr"]);
    says_nothing("error|.*");
    says_nothing("(?:error)?");
}

#[test]
fn anchors_and_word_boundaries_are_free() {
    narrows(r"\bword\b", &["swordfish", "word"], &["wor", "worrd"]);
    narrows("^token$", &["tokens"], &["toke"]);
    narrows(r"(?m)^a\bcd$", &["xacdx"], &["cd"]);
    narrows(r"\Ayes\z", &["yes"], &["ye"]);
}

#[test]
fn scripts_without_spaces_are_narrowed_by_two_characters() {
    narrows("観測", &["可観測性"], &["観", "測", "測観", "観 測"]);
    narrows("观测|追踪", &["的观测。", "追踪"], &["追测"]);
    narrows("関数を", &["この関数を"], &["関数", "数を"]);
    narrows("한국어", &["한국어를"], &["한국", "국어"]);
    narrows("テレメトリー", &["テレメトリー"], &["テレメトリ", "レメトリー"]);
    narrows("ログ", &["プログラム", "ログ"], &["ロ グ", "グロ"]);
}

#[test]
fn other_alphabets_are_narrowed_like_ours() {
    narrows("(?i)ошибка", &["ОШИБКА", "ошибка"], &["ошибки", "шибка"]);
    narrows("ошибка.*сети", &["ошибка в сети"], &["ошибка", "сети"]);
    narrows("שלום", &["שלום"], &["שלו"]);
}

#[test]
fn one_and_two_characters_are_found_by_what_begins_with_them() {
    narrows("R2", &["on r2", "r2d2"], &["r 2", "2r"]);
    narrows("é", &["café", "CAFÉ"], &["cafe"]);
    narrows("[éüñ]", &["ü"], &["u", "ö"]);
    narrows("—", &["a—b"], &["a-b"]);
    narrows("错", &["错", "有错。", "错误"], &["误"]);
    says_nothing("x");
    says_nothing(r"\(");
}

#[test]
fn large_classes_outside_ascii_are_ranges() {
    narrows(r"\p{Greek}", &["π", "Ω", "\u{2126}"], &["a", "я", "™"]);
    narrows(r"[а-яё]+", &["Я", "ё"], &["ya", "π"]);
    narrows(r"\p{Han}{2,}", &["中"], &["カ", "a"]);
    narrows(r"[^\x00-\x7F]", &["\u{212A}", "ſ", "中", "é", "\u{10FFFF}"], &["k", "", "a\nb"]);
    narrows(r"(?:\p{Greek}|foo)!", &["π", "foo!"], &["fo", "!"]);
}

#[test]
fn repetitions_keep_their_beginning_and_end() {
    narrows("(?:ab)+c", &["abc", "ababc"], &["ab", "bc"]);
    narrows("fo+bar", &["fobar", "foooobar"], &["fbar", "foobr"]);
    narrows("x{4}y", &["xxxxy"], &["xxx y"]);
    narrows("(?:foo){3}", &["foofoofoo"], &["foo"]);
    narrows("(?:foo|bar)+", &["foo", "bar"], &["fo ba"]);
    narrows("id_[0-9]+_name", &["id_7_name"], &["id_7", "7_name"]);
    says_nothing("(?:foo)*");
    says_nothing("(?:foo){0,3}");
}

#[test]
fn where_nothing_is_known_it_says_so() {
    for pattern in [
        "",
        "^",
        "$",
        r"\b",
        ".",
        ".*",
        r"\w+",
        "[a-z]+@[a-z]+",
        r"[0-9]{4}",
        r"(?s-u:.)",
        "a|b",
        r"\s*$",
    ] {
        says_nothing(pattern);
    }
}

#[test]
fn what_cannot_match_has_no_candidate() {
    assert_eq!(query(r"[a&&b]"), Query::None);
    assert_eq!(query(r"foo[a&&b]"), Query::None);
    assert!(matches!(query(r"[a&&b]|foo"), Query::Range(..) | Query::Gram(_)));
}

#[test]
fn bytes_that_are_no_text_are_a_gap() {
    narrows(r"(?-u:foo\xFFbar)", &["foo bar"], &["foo", "bar"]);
    // The two bytes of é, however they are written.
    narrows(r"(?-u:caf\xC3\xA9s)", &["cafés"], &["cafes", "caf és"]);
    // Half of it may belong to anything.
    narrows(r"(?-u:foo\xC3)", &["fooé", "foo"], &["fo"]);
    let split = plan_literal(b"\xA9foo\xE4\xB8");
    assert!(satisfied(&split, &grams_of("éfoo中".as_bytes())));
    assert!(!satisfied(&split, &grams_of("éfo中".as_bytes())));
}

#[test]
fn three_frequent_letters_are_found_with_any_fourth() {
    narrows("the", &["the", "then", "thé the\u{e9}", "the中"], &["th", "he", "hte"]);
    narrows("then", &["athens"], &["the n", "he then".split_at(5).0]);
    narrows("not open", &["could not open it"], &["cannot, open", "not only; to open"]);
}
