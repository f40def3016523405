//! Between the SDK and the socket: the last word on a request, the first on a response.
//!
//! The SDK reads the body of a listing or an error into memory whatever its length, fails a GET
//! for a header that nobody reads (one byte of metadata that is not UTF-8), and signs
//! `Accept-Encoding`, which proxies rewrite. [`Wire`] bounds what is read, hands on the headers
//! that are used, and adds its own header after the signature.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector, http_client_fn,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::Headers,
};
use aws_smithy_types::{
    body::SdkBody,
    byte_stream::ByteStream,
    date_time::{DateTime, Format},
};

use super::trust;
use crate::{
    config::{Settings, endpoint::Endpoint},
    error::Result,
};

/// How long a connection may take, its TLS handshake included: the AWS SDKs' own number, just
/// over the three seconds after which TCP sends a lost SYN again.
const CONNECT: Duration = Duration::from_millis(3_100);

/// How long an unused connection is kept. A server that closes it earlier is noticed by the
/// client's task; only a request sent at that very moment costs a retry.
const IDLE: Duration = Duration::from_secs(60);

/// A page of 1,000 keys of 1,024 bytes, each byte in percent form, and their metadata, is below
/// 4 MiB.
const LARGEST_PAGE: usize = 16 << 20;

/// An error document; a web page in its place need not be read to its end.
const LARGEST_ERROR: usize = 64 << 10;

/// The headers of an object that are read.
const USED: [&str; 8] = [
    "etag",
    "content-length",
    "content-range",
    "content-encoding",
    "content-type",
    "date",
    "x-amz-request-id",
    "x-amz-id-2",
];

/// Read as well, where it can be.
const MODIFIED: &str = "last-modified";

/// A connector that bounds and trims what comes in.
pub(super) struct Wire {
    inner: Connector,
    heard: Arc<Heard>,
}

/// What the last response said about its server.
#[derive(Debug)]
pub(super) struct Heard {
    /// Seconds since the epoch, by the server's clock; `i64::MIN` before the first response.
    date: AtomicI64,
}

impl Heard {
    /// The server's clock, as of the last response.
    pub(super) fn date(&self) -> Option<i64> {
        Some(self.date.load(Relaxed)).filter(|date| *date != i64::MIN)
    }

    /// Whether any response has come from the endpoint, whatever it said.
    pub(super) fn answered(&self) -> bool {
        self.date.load(Relaxed) != i64::MIN
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// An HTTP client for this endpoint, and what it hears. Certificates are read only where the
/// endpoint or the proxy speaks TLS: that is most of the time an `http` program takes to start.
///
/// # Errors
/// What [`trust`] says of the CA bundle and the proxy.
pub(super) fn client(
    endpoint: &Endpoint,
    settings: &Settings,
    connections: usize,
) -> Result<(SharedHttpClient, Arc<Heard>)> {
    let timeouts = HttpConnectorSettings::builder().connect_timeout(CONNECT).build();
    let mut builder = Connector::builder()
        .connector_settings(timeouts)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(connections);
    let mut secure = endpoint.is_https();
    if let Some((proxy, secure_proxy)) = trust::proxy(settings, secure)? {
        builder = builder.proxy_config(proxy);
        secure |= secure_proxy;
    }
    let inner = if secure {
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        builder.tls_provider(ring).tls_context(trust::tls(settings)?).build()
    } else {
        builder.build_http()
    };
    let heard = Arc::new(Heard { date: AtomicI64::new(i64::MIN) });
    let wire = SharedHttpConnector::new(Wire { inner, heard: heard.clone() });
    Ok((http_client_fn(move |_, _| wire.clone()), heard))
}

impl HttpConnector for Wire {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        // After signing, so that a proxy which rewrites it does not break the signature. R2 and
        // Cloudflare's edge compress or decompress what does not ask for its bytes as they are.
        request.headers_mut().insert("accept-encoding", "identity");
        let listing = request.uri().contains("list-type=2");
        let writing = request.method() != "GET" || request.uri().contains("?uploads");
        let response = self.inner.call(request);
        let heard = self.heard.clone();
        HttpConnectorFuture::new(async move {
            let mut response = response.await?;
            heard.date.store(date(response.headers()).unwrap_or(0), Relaxed);
            let failed = !response.status().is_success();
            if failed || listing || writing {
                let (bound, whole) =
                    if failed { (LARGEST_ERROR, false) } else { (LARGEST_PAGE, true) };
                let body = read(response.take_body(), bound, whole).await?;
                *response.body_mut() = SdkBody::from(body);
            } else {
                trim(&mut response);
            }
            Ok(response)
        })
    }
}

/// Reads a body up to `bound` bytes; what lies beyond is cut off, or with `whole` an error.
async fn read(body: SdkBody, bound: usize, whole: bool) -> Result<Vec<u8>, ConnectorError> {
    let mut body = ByteStream::new(body);
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| ConnectorError::io(error.into()))?;
        let room = bound - bytes.len();
        if chunk.len() > room {
            if whole {
                return Err(ConnectorError::other("the page is larger than 16 MiB".into(), None));
            }
            bytes.extend_from_slice(&chunk[..room]);
            break;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn trim(response: &mut HttpResponse) {
    let mut kept = Headers::new();
    for name in USED {
        if let Some(value) = response.headers().get(name) {
            // A value that came in as a header can go out as one.
            let value = value.to_owned();
            drop(kept.try_insert(name, value));
        }
    }
    // A time that the SDK cannot read would fail the whole answer; without it nothing is lost.
    let modified = response.headers().get(MODIFIED);
    if let Some(value) = modified.filter(|text| DateTime::from_str(text, Format::HttpDate).is_ok())
    {
        let value = value.to_owned();
        drop(kept.try_insert(MODIFIED, value));
    }
    *response.headers_mut() = kept;
}

/// The server's clock, in seconds since the epoch.
pub(super) fn date(headers: &Headers) -> Option<i64> {
    let text = headers.get("date")?;
    DateTime::from_str(text, Format::HttpDate).ok().map(|date| date.secs())
}
