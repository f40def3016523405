//! S3's rules for bucket names, checked before the first request: a server answers a name it
//! cannot have with anything from 400 to a redirect, and none of it says which rule was broken.

use crate::error::{Error, Kind, Result};

/// Checks a bucket's name, which is never shown.
///
/// # Errors
/// [`Kind::Config`] with the rule that the name breaks.
pub(super) fn check(scheme: &str, name: &str) -> Result<()> {
    let refuse = |what: &str, hint: &str| {
        Err(Error::new(Kind::Config, format!("the bucket's name {what}")).hint(hint.to_owned()))
    };
    if name.is_empty() {
        return Err(Error::new(Kind::Config, "the location names no bucket")
            .hint(format!("write {scheme}://BUCKET or {scheme}://BUCKET/PREFIX")));
    }
    if name.starts_with("arn:") {
        return refuse("is an ARN", "access points are not supported: name the bucket itself");
    }
    if name.ends_with("--x-s3") {
        return refuse(
            "is that of an S3 Express directory bucket",
            "directory buckets list in no order and are not supported: use a general purpose one",
        );
    }
    if name.contains('@') {
        return refuse(
            "holds an `@`",
            "credentials do not belong in a location: set them in the environment or a profile",
        );
    }
    if !(3..=63).contains(&name.len()) {
        return refuse(
            &format!("has {} characters", name.len()),
            "bucket names have 3 to 63 characters",
        );
    }
    if let Some(bad) = name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '.')) {
        let shown = crate::config::shown(bad);
        return refuse(
            &format!("holds {shown}"),
            "bucket names have lower-case letters, digits, `-` and `.` only",
        );
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !name.ends_with(|c: char| c.is_ascii_alphanumeric())
    {
        return refuse(
            "begins or ends with a `-` or a `.`",
            "bucket names begin and end with a letter or a digit",
        );
    }
    if name.contains("..") {
        return refuse("holds two dots in a row", "write one dot");
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return refuse(
            "is an IP address",
            "give the server's address with --endpoint, and the bucket's name in the location",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn each_rule_has_its_own_message() {
        for good in ["abc", "a.b", "0a-9.z", &"x".repeat(63)] {
            check("s3", good).expect(good);
        }
        for (bad, part) in [
            ("", "names no bucket"),
            ("ab", "has 2 characters"),
            (&*"x".repeat(64), "has 64 characters"),
            ("Docs", "holds `D`"),
            ("a_b", "holds `_`"),
            ("a b", "holds ` `"),
            ("ab\u{202e}c", "holds U+202E"),
            ("-ab", "begins or ends"),
            ("ab.", "begins or ends"),
            ("a..b", "two dots"),
            ("127.0.0.1", "IP address"),
            ("key:secret@b", "credentials"),
            ("arn:aws:s3:::b", "ARN"),
            ("fast--use1-az4--x-s3", "directory bucket"),
        ] {
            let message = check("s3", bad).expect_err(bad).to_string();
            assert!(message.contains(part), "{bad:?}: {message}");
        }
    }
}
