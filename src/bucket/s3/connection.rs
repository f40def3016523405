//! Why no response came: name, address, proxy, certificate, or a socket that broke.
//!
//! The HTTP client hides the types of the layers below it, and their texts name hosts and
//! addresses. [`classify`] looks for their fixed words only, and says the rest in its own.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::result::ConnectorError;

use super::errors::{Failure, Retry};
use crate::error::{Error, Kind};

/// No response came. The texts of the layers below name addresses, so only what kind of thing
/// went wrong is kept.
pub(super) fn classify(error: &ConnectorError) -> Failure {
    let text = chain(error);
    if text.contains("certificate") || text.contains("CertificateError") {
        return Failure::never(
            Kind::Config,
            format!("the server's certificate is not trusted: {}", certificate_fault(&text)),
            "set AWS_CA_BUNDLE to the certificates of the authority that signed it; behind a \
             proxy that opens TLS, the proxy's",
        );
    }
    if text.contains("InvalidContentType") || text.contains("corrupt message") {
        return Failure::never(
            Kind::Protocol,
            "the server does not speak TLS",
            "write the endpoint with http:// instead of https://, if that is meant",
        );
    }
    if text.contains("larger than 16 MiB") {
        return Failure::never(
            Kind::Protocol,
            "a page of the listing is larger than 16 MiB",
            "the endpoint is not an S3 server, or breaks the limit of 1,000 keys a page",
        );
    }
    let unreached = |what: &str| Failure {
        error: Error::new(Kind::Unavailable, what)
            .hint("check the endpoint, the network and HTTPS_PROXY, then run `r2vfs doctor`"),
        retry: Retry::Unreached,
    };
    if text.contains("dns error") || text.contains("failed to lookup") {
        return unreached("the endpoint's name cannot be resolved");
    }
    if text.contains("Connection refused") {
        return unreached("the endpoint refuses connections");
    }
    if text.contains("connect timeout") || text.contains("connect") && error.is_timeout() {
        return unreached("the endpoint cannot be reached in time");
    }
    if text.contains("tunnel") || text.contains("proxy") {
        return unreached("the proxy does not let the connection through");
    }
    if text.contains("tcp connect") || text.contains("unreachable") {
        return unreached("the endpoint cannot be reached");
    }
    if text.contains("invalid HTTP") || text.contains("Parse(") {
        return Failure::never(
            Kind::Protocol,
            "the endpoint does not answer in HTTP",
            "check the endpoint's port and whether it wants https",
        );
    }
    Failure::soon("the connection broke")
}

/// All messages of an error and its causes.
fn chain(error: &dyn StdError) -> String {
    let mut text = format!("{error:?}");
    let mut next = Some(error);
    while let Some(error) = next {
        text.push_str("; ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

fn certificate_fault(text: &str) -> &'static str {
    [
        ("UnknownIssuer", "it is signed by an unknown authority"),
        ("NotValidForName", "it is for another host name"),
        ("Expired", "it has expired, or this machine's clock is wrong"),
        ("NotValidYet", "it is not valid yet, or this machine's clock is wrong"),
        ("CaUsedAsEndEntity", "it is an authority's own certificate"),
    ]
    .into_iter()
    .find(|(mark, _)| text.contains(mark))
    .map_or("it was refused", |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broken_connection_has_its_own_words() {
        let io = |text: &str| ConnectorError::io(text.to_owned().into());
        for (error, retry, part) in [
            (io("dns error: failed to lookup address"), Retry::Unreached, "cannot be resolved"),
            (io("tcp connect error: Connection refused"), Retry::Unreached, "refuses connections"),
            (io("invalid peer certificate: UnknownIssuer"), Retry::Never, "unknown authority"),
            (io("invalid peer certificate: Expired"), Retry::Never, "has expired"),
            (
                io("received corrupt message of type InvalidContentType"),
                Retry::Never,
                "not speak TLS",
            ),
            (io("connection reset by peer"), Retry::Soon, "connection broke"),
        ] {
            let failure = classify(&error);
            assert_eq!(failure.retry, retry, "{part}");
            let text = failure.error.to_string();
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
