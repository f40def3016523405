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
