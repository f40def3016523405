//! What every request must pass before a handler sees it.
//!
//! A page in a browser can reach a server on the loopback under a name of its own (DNS
//! rebinding), and a check in each handler is missing in the next one. [`guard`] stands before
//! all routes: it looks at `Host` and `Origin`, finds the tenant of the token and whether it may
//! ask now, reads the body within its bounds of size and time, and only then lets the router look
//! at the path. Until the body is whole the connection counts as idle, and gives way to others. So an
//! answer without a good token is the same, and takes the same time, for every path.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::{App, MAX_BODY, cors::Named, listen::Begun, problem::Problem};
use crate::server::Tenant;

/// How long a body may take to arrive: 1 MiB in it is 800 kbit/s, which every client has.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Who may call, beside having a token.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Hosts, with or without a port; all if empty and `loopback` is not set.
    pub hosts: Vec<String>,
    /// Web origins, as in `https://app.example.com`.
    pub origins: Vec<String>,
    /// The names of the loopback are hosts and origins too, at any port.
    pub loopback: bool,
}

impl Rules {
    /// The rules of a server that listens on `address`. On the loopback a browser on this very
    /// machine is a way in, so only loopback names and those of the configuration are taken.
    /// Elsewhere every request needs a token that no foreign page has, and `Host` is checked
    /// where the configuration says which names there are.
    pub fn new(address: SocketAddr, hosts: Vec<String>, origins: Vec<String>) -> Self {
        Self { hosts, origins, loopback: address.ip().is_loopback() }
    }

    fn takes_host(&self, host: Option<&str>) -> bool {
        if self.hosts.is_empty() && !self.loopback {
            return true;
        }
        let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else {
            return false;
        };
        // `Authority` takes any letters for a port, and a name of someone before an `@`.
        let port = &authority.as_str()[authority.host().len()..];
        if authority.as_str().contains('@') || !port.is_empty() && authority.port_u16().is_none() {
            return false;
        }
        (self.loopback && is_loopback(authority.host()))
            || self.hosts.iter().any(|one| {
                one.eq_ignore_ascii_case(authority.as_str())
                    || one.eq_ignore_ascii_case(authority.host())
            })
    }

    /// A request without an origin is from no web page.
    fn takes_origin(&self, origin: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        if self.origins.iter().any(|one| one.eq_ignore_ascii_case(origin)) {
            return true;
        }
        // A bare name is no origin, though it is a URI.
        let uri = origin.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some());
        let host = uri.as_ref().and_then(Uri::host);
        self.loopback && host.is_some_and(is_loopback)
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// One value of a header that may be there once.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(&name).iter();
    let (first, second) = (values.next(), values.next());
    let wrong = || {
        Problem::request(
            StatusCode::BAD_REQUEST,
            &format!("the header {name} is there twice, or is no text"),
            "send it once",
        )
    };
    match (first, second) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| wrong()),
        (Some(_), Some(_)) => Err(wrong()),
    }
}

/// The token of `Authorization: Bearer TOKEN`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// See the module's head.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let named = Named::of(request.headers(), &app.rules().origins);
    let response = match admit(&app, request, named.as_ref()).await {
        Ok(Admitted::Request(request)) => next.run(request).await,
        Ok(Admitted::Permission(response)) => response,
        Err(problem) => problem.into_response(),
    };
    match named {
        Some(named) => named.show(response),
        None => response,
    }
}

enum Admitted {
    /// For the router.
    Request(Request),
    /// It was a browser's question, and this is the answer.
    Permission(Response),
}

async fn admit(
    app: &App,
    mut request: Request,
    named: Option<&Named>,
) -> Result<Admitted, Problem> {
    // Probes come from an orchestrator that knows neither a name nor a token, and learn nothing.
    if matches!(request.uri().path(), "/healthz" | "/readyz") {
        *request.body_mut() = Body::empty();
        return Ok(Admitted::Request(request));
    }
    let headers = request.headers();
    let rules = app.rules();
    let host = single(headers, header::HOST)?;
    // A target in absolute form has its own host, which wins over the header.
    let host = request.uri().authority().map(Authority::as_str).or(host);
    if !rules.takes_host(host) {
        return Err(forbidden("Host", "add the name to allowed_hosts of the configuration"));
    }
    if !rules.takes_origin(single(headers, header::ORIGIN)?) {
        return Err(forbidden("Origin", "add the origin to allowed_origins of the configuration"));
    }
    // It comes without a token.
    if let Some(answer) = named.and_then(|named| named.permission(request.method(), headers)) {
        return Ok(Admitted::Permission(answer));
    }
    // The document is the same for everybody, and metrics have a token of their own.
    if !matches!(request.uri().path(), "/openapi.json" | "/metrics") {
        let Some(tenant) = app.tenants.now().tenant(bearer(headers)) else {
            app.log.metrics.unauthorized.fetch_add(1, Relaxed);
            return Err(Problem::unauthorized());
        };
        tenant.knock()?;
        request.extensions_mut().insert(tenant);
    }
    let is_awaited =
        request.method() == Method::POST && request.extensions().get::<Arc<Tenant>>().is_some();
    let (parts, body) = request.into_parts();
    // A body that nobody asked for is not waited for.
    if !is_awaited {
        Begun::of(&parts.extensions);
        return Ok(Admitted::Request(Request::from_parts(parts, Body::empty())));
    }
    let body = match timeout(BODY_TIME, whole(&parts.headers, body)).await {
        Ok(body) => body?,
        Err(_) => {
            return Err(Problem::request(
                StatusCode::REQUEST_TIMEOUT,
                "the body took too long to arrive",
                "send it within 10 s",
            ));
        }
    };
    Begun::of(&parts.extensions);
    Ok(Admitted::Request(Request::from_parts(parts, Body::from(body))))
}

fn forbidden(name: &str, hint: &str) -> Problem {
    let message = format!("the {name} of this request is not one that is served here");
    Problem::request(StatusCode::FORBIDDEN, &message, hint)
}

async fn whole(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let large = || {
        Problem::request(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than 1 MiB",
            "send only the arguments of one call",
        )
    };
    let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if told.and_then(|told| told.parse::<u64>().ok()).is_some_and(|told| told > MAX_BODY as u64) {
        return Err(large());
    }
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::request(
                StatusCode::BAD_REQUEST,
                "the body ended before its end",
                "send it whole",
            )
        })?;
        if bytes.len() + chunk.len() > MAX_BODY {
            return Err(large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(address: &str, hosts: &[&str], origins: &[&str]) -> Rules {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        Rules::new(address.parse().expect("an address"), owned(hosts), owned(origins))
    }

    #[test]
    fn on_the_loopback_only_its_own_names_are_taken() {
        let rules = rules("127.0.0.1:8787", &["kb.test:9"], &["https://app.test"]);
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:8787", "[::1]:80", "kb.test:9"] {
            assert!(rules.takes_host(Some(host)), "{host}");
        }
        for host in [
            "evil.test",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "kb.test",
            "a@localhost",
            "",
            "localhost:x",
        ] {
            assert!(!rules.takes_host(Some(host)), "{host}");
        }
        assert!(!rules.takes_host(None));
        for origin in ["http://localhost:6274", "http://[::1]", "https://app.test"] {
            assert!(rules.takes_origin(Some(origin)), "{origin}");
        }
        for origin in ["null", "https://evil.test", "https://app.test.evil.test", "localhost", ""] {
            assert!(!rules.takes_origin(Some(origin)), "{origin}");
        }
        assert!(rules.takes_origin(None));
    }

    #[test]
    fn elsewhere_the_configured_names_are_taken_or_all() {
        assert!(rules("0.0.0.0:1", &[], &[]).takes_host(Some("any.test")));
        let named = rules("0.0.0.0:1", &["kb.test"], &[]);
        assert!(named.takes_host(Some("kb.test:443")) && named.takes_host(Some("KB.test")));
        assert!(!named.takes_host(Some("localhost")) && !named.takes_host(Some("x.kb.test")));
        assert!(!named.takes_origin(Some("http://localhost")));
    }
}
