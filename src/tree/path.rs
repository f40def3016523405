//! Keys are any text; paths are what people and agents type. Between them stands one spelling.
//!
//! The obvious mapping, "the key is the path", loses objects: `a//b`, `a/../b`, `a/` and a key
//! with a line feed in it cannot be named, and `a` hides `a/b`. Percent-encoding everything
//! names them all and makes `100% cotton.md` unreadable. [`encode`] escapes only what would
//! otherwise be lost or misread, from a closed set; [`decode`] takes only what `encode` writes,
//! so that one object has one path and a path found in an answer can be compared as text.
//!
//! | in the key | in the path |
//! |---|---|
//! | a control byte (00–1F, 7F) | `%00`–`%1F`, `%7F` |
//! | a whole segment `.` or `..` | `%2E`, `%2E%2E` |
//! | an empty segment (`a//b`, a leading `/`) | `%~` |
//! | the end of a key that ends in `/` (or of the empty key) | the file `%@` |
//! | a `%` that would read as one of these, or as `%25` | `%25` |
//!
//! A directory's path ends in `/` and a file's does not, so the object `a` and the prefix `a/`
//! live side by side.

use crate::{
    bucket::MAX_KEY,
    error::{Error, Kind, Result},
};

/// The longest canonical path in bytes: no escape is longer than three bytes for one byte of the
/// key, then the leading `/` and the `%@` of a marker.
pub const MAX_PATH: usize = 3 * MAX_KEY + 3;

const EMPTY: &str = "%~";
const MARKER: &str = "%@";
const DOT: &str = "%2E";
const DOT_DOT: &str = "%2E%2E";
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// What a path may name. At least one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The key of the object with this path; `None` where the path can only be a directory.
    pub file: Option<String>,
    /// The prefix of the directory with this path, empty or ending in `/`; `None` where the path
    /// can only be a file.
    pub dir: Option<String>,
}

/// The canonical path of the object with this key. Never ends in `/`.
///
/// ```
/// # use r2vfs::tree::path::encode;
/// assert_eq!(encode("docs/100% off.md"), "/docs/100% off.md");
/// assert_eq!(encode("docs//"), "/docs/%~/%@");
/// ```
pub fn encode(key: &str) -> String {
    let (dirs, name) = key.rsplit_once('/').map_or((None, key), |(dirs, name)| (Some(dirs), name));
    let mut path = String::with_capacity(key.len() + 4);
    path.push('/');
    for segment in dirs.into_iter().flat_map(|dirs| dirs.split('/')) {
        push_segment(&mut path, segment);
        path.push('/');
    }
    if name.is_empty() {
        path.push_str(MARKER);
    } else {
        push_segment(&mut path, name);
    }
    path
}

/// The canonical path of the directory that holds the keys with this prefix, which is empty or
/// ends in `/`. Always ends in `/`.
///
/// ```
/// # use r2vfs::tree::path::encode_dir;
/// assert_eq!(encode_dir(""), "/");
/// assert_eq!(encode_dir("a//"), "/a/%~/");
/// ```
pub fn encode_dir(prefix: &str) -> String {
    let mut path = String::with_capacity(prefix.len() + 4);
    path.push('/');
    if prefix.is_empty() {
        return path;
    }
    for segment in prefix.strip_suffix('/').unwrap_or(prefix).split('/') {
        push_segment(&mut path, segment);
        path.push('/');
    }
    path
}

/// What a canonical path may name.
///
/// # Errors
/// [`Kind::InvalidPath`] for anything that neither [`encode`] nor [`encode_dir`] writes (the last
/// `/` of a directory may be left out) and for keys longer than [`MAX_KEY`]. The advice names
/// the canonical spelling.
pub fn decode(path: &str) -> Result<Decoded> {
    if path.len() > MAX_PATH {
        return Err(too_long(path));
    }
    check_spelling(path)?;
    let Some(rest) = path.get(1..).filter(|rest| !rest.is_empty()) else {
        return Ok(Decoded { file: None, dir: Some(String::new()) });
    };
    let (body, closed) = rest.strip_suffix('/').map_or((rest, false), |body| (body, true));
    let (dirs, last) =
        body.rsplit_once('/').map_or((None, body), |(dirs, last)| (Some(dirs), last));
    let mut key = String::with_capacity(rest.len() + 1);
    for segment in dirs.into_iter().flat_map(|dirs| dirs.split('/')) {
        push_meaning(&mut key, segment);
        key.push('/');
    }
    let mut decoded = Decoded { file: None, dir: None };
    if last == MARKER {
        decoded.file = Some(key);
    } else {
        push_meaning(&mut key, last);
        if !closed && last != EMPTY {
            decoded.file = Some(key.clone());
        }
        key.push('/');
        decoded.dir = Some(key);
    }
    // A prefix one byte longer than the longest key holds nothing.
    decoded.file = decoded.file.filter(|key| key.len() <= MAX_KEY);
    decoded.dir = decoded.dir.filter(|prefix| prefix.len() <= MAX_KEY);
    if decoded.file.is_none() && decoded.dir.is_none() {
        return Err(too_long(path));
    }
    Ok(decoded)
}

/// Whether a path is absolute and spelled as [`encode`] or [`encode_dir`] would spell it. Says
/// nothing about its length.
///
/// # Errors
/// [`Kind::InvalidPath`], with the canonical spelling in the advice.
pub(super) fn check_spelling(path: &str) -> Result<()> {
    // Nearly every path is plain: spelling it anew would cost more than all the rest.
    let plain = path.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    if plain.is_some_and(is_plain) {
        return Ok(());
    }
    let canonical = respell(path, |_| true);
    if canonical == path {
        return Ok(());
    }
    let segments = || path.strip_prefix('/').unwrap_or(path).split('/');
    let whole = |token: &str| segments().any(|segment| segment == token);
    let shorter = || respell(path, |segment| !matches!(segment, "" | "."));
    let (message, advice) = if path.is_empty() {
        ("the path is empty".into(), "write / for the root".into())
    } else if whole("..") {
        (
            "`..` is not followed".into(),
            format!("write the path from the root; where the key itself has `..`, {canonical}"),
        )
    } else if whole(".") {
        (
            "the path has a `.` segment".into(),
            format!("write {}, or {canonical} where the key itself has the dot", shorter()),
        )
    } else if path.contains("//") {
        (
            "the path has an empty segment".into(),
            format!("write {}, or {canonical} where the key itself has `//`", shorter()),
        )
    } else if !path.starts_with('/') {
        ("the path does not start at the root".into(), format!("write {canonical}"))
    } else if path.contains(|c: char| c.is_ascii_control()) {
        ("the path has a raw control character".into(), format!("write {canonical}"))
    } else if segments().rev().skip(1).any(|segment| segment == MARKER) {
        (
            "`%@` names an object and holds nothing".into(),
            format!("leave out what follows it, or write {canonical} for a directory named `%@`"),
        )
    } else {
        ("this is not the canonical spelling of the path".to_string(), format!("write {canonical}"))
    };
    Err(Error::new(Kind::InvalidPath, message).at(visible(path)).hint(advice))
}

pub(super) fn too_long(path: &str) -> Error {
    // The start is enough to recognise it by, and an error is no place for a megabyte.
    let start: String = path.chars().take(80).collect();
    Error::new(Kind::InvalidPath, format!("the path is longer than a key can be ({MAX_KEY} bytes)"))
        .at(format!("{}…", visible(&start)))
        .hint("shorten it, or list the directory above it")
}

/// The canonical path of what a path says when each segment that is `kept` is read as literally
/// as it can be.
fn respell(path: &str, kept: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(path.len() + 8);
    out.push('/');
    let rest = path.strip_prefix('/').unwrap_or(path);
    if rest.is_empty() {
        return out;
    }
    let (body, closed) = rest.strip_suffix('/').map_or((rest, false), |body| (body, true));
    let mut segments = body.split('/').filter(|segment| kept(segment)).peekable();
    let mut text = String::new();
    while let Some(segment) = segments.next() {
        let inner = closed || segments.peek().is_some();
        if segment == EMPTY || (segment == MARKER && !inner) {
            out.push_str(segment);
        } else {
            text.clear();
            push_meaning(&mut text, segment);
            push_segment(&mut out, &text);
        }
        if inner {
            out.push('/');
        }
    }
    out
}

/// Escapes one segment of a key.
fn push_segment(out: &mut String, segment: &str) {
    match segment {
        "" => out.push_str(EMPTY),
        "." => out.push_str(DOT),
        ".." => out.push_str(DOT_DOT),
        // The first `%` is enough: what follows then is no whole segment any more.
        EMPTY | MARKER | DOT | DOT_DOT => {
            out.push_str("%25");
            out.push_str(&segment[1..]);
        }
        text => push_text(out, text),
    }
}

fn push_text(out: &mut String, text: &str) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if must_escape(byte, &bytes[at + 1..]) {
            out.push_str(&text[copied..at]);
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
            copied = at + 1;
        }
    }
    out.push_str(&text[copied..]);
}

/// Looking behind a byte in the key is as good as looking behind it in the path: an escape starts
/// with `%`, so the next two characters are hex digits in both or in neither.
fn must_escape(byte: u8, behind: &[u8]) -> bool {
    byte.is_ascii_control() || (byte == b'%' && token(behind).is_some())
}

/// Whether the path of this key is the key itself behind a `/`.
pub(super) fn is_plain(key: &str) -> bool {
    key.split('/').all(|segment| {
        let bytes = segment.as_bytes();
        !matches!(segment, "" | "." | ".." | EMPTY | MARKER | DOT | DOT_DOT)
            && !bytes.iter().enumerate().any(|(at, byte)| must_escape(*byte, &bytes[at + 1..]))
    })
}

/// What one segment of a path says: the reverse of [`push_segment`], and total.
fn push_meaning(out: &mut String, segment: &str) {
    match segment {
        EMPTY => {}
        DOT => out.push('.'),
        DOT_DOT => out.push_str(".."),
        text => {
            let mut rest = text;
            while let Some(at) = rest.find('%') {
                out.push_str(&rest[..at]);
                match token(&rest.as_bytes()[at + 1..]) {
                    Some(byte) => {
                        out.push(char::from(byte));
                        rest = &rest[at + 3..];
                    }
                    None => {
                        out.push('%');
                        rest = &rest[at + 1..];
                    }
                }
            }
            out.push_str(rest);
        }
    }
}

/// The byte that `%` and what follows it stand for inside a segment, if they are in the set.
fn token(behind: &[u8]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let [high, low, ..] = behind else { return None };
    let byte = digit(*high)? << 4 | digit(*low)?;
    (byte.is_ascii_control() || byte == b'%').then_some(byte)
}

/// Text made harmless for a terminal: control, bidi and zero-width characters are written as
/// `\u{202e}`, everything else stays. One way only: never decode it.
///
/// ```
/// # use r2vfs::tree::path::visible;
/// assert_eq!(visible("a\u{202e}txt.exe"), "a\\u{202e}txt.exe");
/// ```
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_visible(character) {
            out.push(character);
        } else {
            out.extend(character.escape_unicode());
        }
    }
    out
}

/// Whether a character stays as it is where text is made [`visible`].
pub(crate) fn is_visible(character: char) -> bool {
    !character.is_control() && !is_unseen(character)
}

/// Characters that take no room or reorder others: Unicode's Bidi_Control and
/// Default_Ignorable_Code_Point sets (DerivedCoreProperties.txt), and the two separators that
/// some terminals break a line at.
fn is_unseen(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(file: Option<&str>, dir: Option<&str>) -> Decoded {
        Decoded { file: file.map(str::to_owned), dir: dir.map(str::to_owned) }
    }

    #[test]
    fn a_path_says_whether_it_can_be_a_file_or_a_directory() {
        for (path, want) in [
            ("/", names(None, Some(""))),
            ("/%@", names(Some(""), None)),
            ("/a/b", names(Some("a/b"), Some("a/b/"))),
            ("/a/b/", names(None, Some("a/b/"))),
            ("/a/%@", names(Some("a/"), None)),
            ("/a/%~", names(None, Some("a//"))),
            ("/%~/", names(None, Some("/"))),
            ("/a/%2E%2E", names(Some("a/.."), Some("a/../"))),
        ] {
            assert_eq!(decode(path).expect(path), want, "{path}");
        }
    }

    #[test]
    fn the_advice_names_the_canonical_spelling() {
        for (path, want) in [
            ("", "write / for the root"),
            ("docs/a.md", "write /docs/a.md"),
            ("/a//b", "write /a/b, or /a/%~/b where the key itself has `//`"),
            ("//", "write /, or /%~/ where the key itself has `//`"),
            ("/./a/", "write /a/, or /%2E/a/ where the key itself has the dot"),
            (".", "write /, or /%2E where the key itself has the dot"),
            ("/a/../b", "write the path from the root; where the key itself has `..`, /a/%2E%2E/b"),
            ("/a\tb", "write /a%09b"),
            ("/%2520", "write /%20"),
            ("/a/%@/b", "leave out what follows it, or write /a/%25@/b for a directory named `%@`"),
            ("/%@/", "leave out what follows it, or write /%25@/ for a directory named `%@`"),
        ] {
            let error = decode(path).expect_err(path);
            assert_eq!(error.kind(), Kind::InvalidPath, "{path}");
            assert_eq!(error.advice(), Some(want), "{path}");
        }
    }

    #[test]
    fn an_error_shows_no_raw_control_character() {
        let error = decode("/\u{1b}[2J\u{202e}").expect_err("raw escape").to_string();
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }

    #[test]
    fn a_key_has_at_most_1024_bytes() {
        let key = "k".repeat(MAX_KEY);
        assert_eq!(decode(&encode(&key)).expect("longest"), names(Some(&key), None));
        let prefix = "/".repeat(MAX_KEY);
        assert_eq!(encode(&prefix).len(), MAX_PATH);
        assert_eq!(decode(&encode(&prefix)).expect("longest"), names(Some(&prefix), None));
        for path in [encode(&"k".repeat(MAX_KEY + 1)), encode_dir(&"/".repeat(MAX_KEY + 1))] {
            let error = decode(&path).expect_err("too long");
            assert_eq!(error.kind(), Kind::InvalidPath);
            assert!(error.to_string().len() < 300, "{error}");
        }
    }

    #[test]
    fn what_a_terminal_would_hide_is_shown() {
        assert_eq!(visible("plain é 日本 \\"), "plain é 日本 \\");
        assert_eq!(visible("\u{1b}[31m\u{85}"), "\\u{1b}[31m\\u{85}");
        assert_eq!(visible("a\u{200b}b\u{feff}"), "a\\u{200b}b\\u{feff}");
    }
}
