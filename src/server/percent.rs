//! Percent-encoding, undone exactly once.
//!
//! A server that decodes twice, or not at all where its router already did, reads `%252F` as a
//! slash. Here the raw path of a request is decoded once, to UTF-8 or not at all.

/// The text behind `%XX` escapes; `None` where an escape is broken or the bytes are no UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
        bytes.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn once_and_only_whole_escapes() {
        assert_eq!(decode("/a%20b/%C3%BC").as_deref(), Some("/a b/ü"));
        assert_eq!(decode("%252e%252E").as_deref(), Some("%2e%2E"));
        assert_eq!(decode("a+b").as_deref(), Some("a+b"));
        for wrong in ["%", "%4", "%zz", "%+1", "%c3", "%ff"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
