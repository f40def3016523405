//! Which certificates are trusted, and which proxy stands in between.
//!
//! The SDK's HTTP client panics on a bundle that it cannot read and reads proxies from the
//! process's own environment. Here a bundle is checked first, block by block, and the proxy is
//! the one of the [`Settings`].

use std::{fs::File, io::Read};

use aws_smithy_http_client::{
    proxy::ProxyConfig,
    tls::{TlsContext, TrustStore},
};
use rustls::{RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};

use crate::{
    config::{Given, Settings},
    error::{Error, Kind, Result},
};

/// Debian's whole bundle has about 220 KiB.
const LARGEST_BUNDLE: u64 = 8 << 20;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The roots for TLS: those of `AWS_CA_BUNDLE` alone, or else the system's.
///
/// # Errors
/// [`Kind::Config`] when the bundle cannot be read or holds no certificate.
pub(super) fn tls(settings: &Settings) -> Result<TlsContext> {
    let trust = match &settings.ca_bundle {
        None => TrustStore::default(),
        Some(given) => {
            let mut trust = TrustStore::empty();
            for block in certificates(&read(given)?) {
                trust.add_pem_certificate(block);
            }
            trust
        }
    };
    TlsContext::builder().with_trust_store(trust).build().map_err(|error| {
        Error::new(Kind::Config, "TLS cannot be set up").hint("check AWS_CA_BUNDLE").because(error)
    })
}

fn read(given: &Given) -> Result<String> {
    let wrong = |what: &str| {
        Error::new(Kind::Config, format!("the file of {} {what}", given.from))
            .hint("name a PEM file with the certificates of the authorities to trust")
    };
    let file =
        File::open(&given.value).map_err(|error| wrong("cannot be opened").because(error))?;
    let mut bytes = Vec::new();
    file.take(LARGEST_BUNDLE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| wrong("cannot be read").because(error))?;
    if bytes.len() as u64 > LARGEST_BUNDLE {
        return Err(wrong("has more than 8 MiB"));
    }
    // Comments in a bundle may be in any encoding; the blocks between them are ASCII.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if certificates(&text).next().is_none() {
        return Err(wrong("holds no certificate that can be read"));
    }
    Ok(text)
}

/// The PEM blocks that a root store accepts: one odd certificate must not spoil the rest.
fn certificates(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(BEGIN).filter_map(move |(at, _)| {
        let end = text[at..].find(END)? + at + END.len();
        let block = &text[at..end];
        let certificate = CertificateDer::from_pem_slice(block.as_bytes()).ok()?;
        RootCertStore::empty().add(certificate).ok()?;
        Some(block)
    })
}

/// The proxy for an endpoint of this scheme, if there is one.
///
/// # Errors
/// [`Kind::Config`] when its address is malformed.
pub(super) fn proxy(settings: &Settings, https: bool) -> Result<Option<(ProxyConfig, bool)>> {
    let proxies = &settings.proxies;
    let own = if https { &proxies.https } else { &proxies.http };
    let Some(given) = own.as_ref().or(proxies.all.as_ref()) else {
        return Ok(None);
    };
    // `HTTPS_PROXY=host:3128` is common and means http.
    let address = match given.value.contains("://") {
        true => given.value.clone(),
        false => format!("http://{}", given.value),
    };
    // The parser's own message repeats the address, which may hold a password.
    let proxy = ProxyConfig::all(address.as_str()).map_err(|_| {
        Error::new(Kind::Config, format!("{} is not the address of an HTTP proxy", given.from))
            .hint("write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT")
    })?;
    let proxy = match &proxies.except {
        Some(except) => proxy.no_proxy(&except.value),
        None => proxy,
    };
    Ok(Some((proxy, address.starts_with("https://"))))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Made for this test (`openssl req -x509`, P-256); its key was thrown away.
    const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBkzCCATigAwIBAgIUSJ8wVTqx0YFgAD1ojInqY4tMUzgwCgYIKoZIzj0EAwIw\n\
FTETMBEGA1UEAwwKcjJ2ZnMgdGVzdDAgFw0yNjExMjQwNjQ3NTJaGA8yMTI2MTAz\n\
MTA2NDc1MlowFTETMBEGA1UEAwwKcjJ2ZnMgdGVzdDBZMBMGByqGSM49AgEGCCqG\n\
SM49AwEHA0IABKkZSCeXX+I3/gJET3r+mK9SY4O6IgI6V5d4S6jGyYUHsL+1KyMq\n\
NbmmoFT1K9Nbn2ACJ47gE104eJcFaGu0NsqjZDBiMB0GA1UdDgQWBBTcYFsHgTYs\n\
ViFMWai52fXXe/hH0zAfBgNVHSMEGDAWgBTcYFsHgTYsViFMWai52fXXe/hH0zAP\n\
BgNVHREECDAGhwR/AAABMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAw\n\
RgIhAJWLA8w988y8zhyqbBCezcQcPByoXUCuexfDcZNWGwKvAiEA1t08jnIgNj5L\n\
8ce1IL7D/FsdEXzj0cc0kE6yX+Fj00A=\n\
-----END CERTIFICATE-----";

    fn settings(variables: &[(&str, &str)]) -> Settings {
        Settings::from_env(&|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        })
    }

    fn bundle(text: &str) -> Result<TlsContext> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("writable");
        tls(&settings(&[("AWS_CA_BUNDLE", file.path().to_str().expect("UTF-8"))]))
    }

    #[test]
    fn a_bundle_is_read_block_by_block() {
        let odd = format!("{BEGIN}\nbm8gY2VydGlmaWNhdGU=\n{END}\n");
        assert_eq!(certificates(&format!("# a\n{AUTHORITY}\n{odd}{AUTHORITY}")).count(), 2);
        bundle(&format!("{odd}{AUTHORITY}")).expect("one good block is enough");
        for text in ["", "hello", odd.as_str(), &AUTHORITY[..200]] {
            let error = bundle(text).expect_err(text);
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.to_string().contains("holds no certificate"), "{error}");
        }
        let error = tls(&settings(&[("AWS_CA_BUNDLE", "/nowhere/ca.pem")])).expect_err("no file");
        assert!(error.to_string().contains("AWS_CA_BUNDLE cannot be opened"), "{error}");
    }

    #[test]
    fn the_proxy_goes_by_the_scheme_of_the_endpoint() {
        let both = [("HTTPS_PROXY", "https://p:1"), ("http_proxy", "p:2")];
        let secure = |variables: &[_], https| {
            proxy(&settings(variables), https).expect("an address").map(|(_, secure)| secure)
        };
        assert_eq!(secure(&both, true), Some(true));
        assert_eq!(secure(&both, false), Some(false));
        assert_eq!(secure(&both[..1], false), None);
        assert_eq!(secure(&[("ALL_PROXY", "http://p")], true), Some(false));
        for odd in ["socks5://user:hunter2@p:1", "http://", "ht tp://hunter2"] {
            let error = proxy(&settings(&[("HTTPS_PROXY", odd)]), true).expect_err(odd);
            assert!(error.to_string().starts_with("HTTPS_PROXY is not"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
