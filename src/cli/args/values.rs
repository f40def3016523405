//! How sizes, times and separators are written on a command line.

use std::time::Duration;

use crate::vfs::Freshness;

/// A size in bytes: digits with an optional K, M, G or T (powers of 1,024, as in ripgrep), and an
/// optional `B` or `iB` after it.
pub(in crate::cli) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size: write digits and K, M, G or T, as in 512M");
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = unit.to_ascii_uppercase();
    let shift = match unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit) {
        "" if unit.is_empty() || unit == "B" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("`{text}` is more than {} bytes", u64::MAX))
}

/// The number of a line.
pub(in crate::cli) fn line(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("lines are counted from 1".to_owned()),
        Ok(line) => Ok(line),
        Err(_) => Err("it is no number of a line".to_owned()),
    }
}

/// How many, at least one.
pub(in crate::cli) fn some(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 is needed".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("it is no count".to_owned()),
    }
}

/// The longest `--timeout`: a day. Beyond it nobody waits, and deadlines never overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A duration: seconds (`30`, `1.5`), or a number with `ms`, `s`, `m` or `h`.
pub(in crate::cli) fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write seconds, or a number and ms, s, m or h");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    match Duration::try_from_secs_f64(number * factor) {
        Ok(time) if !time.is_zero() && time <= LONGEST => Ok(time),
        _ => Err(format!("`{text}` is out of bounds: more than nothing and at most 24h")),
    }
}

/// How old a listing may be: `strict`, `bounded=TIME` or `snapshot`.
pub(in crate::cli) fn freshness(text: &str) -> Result<Freshness, String> {
    match text.split_once('=') {
        None if text == "strict" => Ok(Freshness::Strict),
        None if text == "snapshot" => Ok(Freshness::Snapshot),
        Some(("bounded", age)) => seconds(age).map(Freshness::Bounded),
        _ => Err(format!("`{text}` is none of strict, bounded=SECONDS and snapshot")),
    }
}

/// A separator with the escapes that ripgrep takes in one: `\n`, `\r`, `\t`, `\0`, `\\`, `\xFF`.
/// Any other backslash stands for itself.
pub(in crate::cli) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let simple = match (first, after.first()) {
            (b'\\', Some(b'n')) => Some(b'\n'),
            (b'\\', Some(b'r')) => Some(b'\r'),
            (b'\\', Some(b't')) => Some(b'\t'),
            (b'\\', Some(b'0')) => Some(0),
            (b'\\', Some(b'\\')) => Some(b'\\'),
            _ => None,
        };
        let hex = match (first, after) {
            (b'\\', [b'x', high, low, ..]) => {
                digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low)
            }
            _ => None,
        };
        match (simple, hex) {
            (Some(byte), _) => {
                bytes.push(byte);
                rest = &after[1..];
            }
            (None, Some(byte)) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            (None, None) => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024_and_bounded() {
        assert_eq!(bytes("512"), Ok(512));
        assert_eq!(bytes("2K"), Ok(2048));
        assert_eq!(bytes("3MiB"), Ok(3 << 20));
        assert_eq!(bytes("1gb"), Ok(1 << 30));
        for wrong in ["", "M", "-1", "1.5M", "1X", "1iB", "99999999999T"] {
            assert!(bytes(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(seconds("30"), Ok(Duration::from_secs(30)));
        assert_eq!(seconds("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(seconds("1.5m"), Ok(Duration::from_secs(90)));
        for wrong in ["", "0", "-1", "1d", "25h", "ms", "1e9"] {
            assert!(seconds(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn freshness_is_one_of_three() {
        assert_eq!(freshness("strict"), Ok(Freshness::Strict));
        assert_eq!(freshness("bounded=90"), Ok(Freshness::Bounded(Duration::from_secs(90))));
        assert_eq!(freshness("snapshot"), Ok(Freshness::Snapshot));
        for wrong in ["", "bounded", "bounded=", "strict=1", "now"] {
            assert!(freshness(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn separators_are_unescaped_as_in_ripgrep() {
        assert_eq!(unescape(r"a\tb\x00\xfFc\\d\q\x1"), b"a\tb\x00\xffc\\d\\q\\x1");
        assert_eq!(unescape("\\"), b"\\");
    }
}
