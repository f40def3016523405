//! Paths as resource URIs.
//!
//! A path holds any character, a URI few. Every byte but the unreserved ones and `/` is escaped,
//! so that there is one URI for each path and one path for each URI.

use std::fmt::Write as _;

use crate::server::percent;

/// What every URI begins with: the scheme and an empty authority. The path follows with its `/`.
pub(super) const ROOT: &str = "r2vfs://";

/// The URI of a path.
pub(super) fn of(path: &str) -> String {
    let mut uri = ROOT.to_owned();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            uri.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

/// The path of a URI; `None` where it is not one of ours.
pub(super) fn path(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix(ROOT)?;
    let path = percent::decode(rest)?;
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_path_of_ours() {
        for uri in [
            "/a",
            "file:///a",
            "r2vfs://a",
            "r2vfs:/a",
            "r2vfs:///%",
            "r2vfs:///%zz",
            "r2vfs:///%ff",
        ] {
            assert_eq!(path(uri), None, "{uri}");
        }
        assert_eq!(of("/a b/ü%2F.md"), "r2vfs:///a%20b/%C3%BC%252F.md");
    }

    proptest! {
        #[test]
        fn there_and_back(text in "/\\PC{0,20}") {
            prop_assert_eq!(path(&of(&text)), Some(text));
        }
    }
}
