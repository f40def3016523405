//! An S3 server on the loopback interface.
//!
//! A mock of the client would test what we believe the protocol to be. [`TestServer`] is spoken to
//! over TCP by the real SDK: s3s checks signatures and speaks XML, the store answers exactly, and
//! faults are thrown between both and the socket, where real ones happen.
//!
//! It runs on a thread of its own, so that it also answers a test that waits for a child process,
//! and so that a test's paused clock is not the server's.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{Sleep, sleep},
};

use super::{
    counts::{Asked, Counts, Kind, Running, Totals},
    faults::{Fault, Faults, Quirk},
    protocol::{Buckets, Service},
    store::{Store, Stored},
    uploads::Uploads,
};

/// The credentials that the server knows.
pub(crate) const ACCESS_KEY: &str = "testak";
pub(crate) const SECRET_KEY: &str = "testsk";

/// The bucket that is there from the start.
pub(crate) const BUCKET: &str = "bucket";

/// Pieces in which a body is handed to the connection, so that a count of bytes means something
/// when the client stops half-way.
const PIECE: usize = 64 << 10;

/// A server; it stops when dropped.
#[derive(Debug)]
pub(crate) struct TestServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    buckets: Arc<Buckets>,
    counts: Arc<Counts>,
    faults: Arc<Faults>,
    uploads: Uploads,
    signed: S3Service,
    open: S3Service,
}

impl TestServer {
    /// A server on a free port, with the empty bucket [`BUCKET`].
    pub(crate) async fn start() -> Self {
        Self::listen(0).expect("a free port on the loopback interface")
    }

    /// A server on this port; 0 is any free one.
    pub(crate) fn listen(port: u16) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;

        let buckets = Arc::new(Buckets::default());
        buckets.make(BUCKET);
        let faults = Arc::new(Faults::default());
        let uploads = Uploads::default();
        let service =
            Service { buckets: buckets.clone(), faults: faults.clone(), uploads: uploads.clone() };
        let mut signed = S3ServiceBuilder::new(service.clone());
        signed.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let shared = Arc::new(Shared {
            buckets,
            counts: Arc::default(),
            faults,
            uploads,
            signed: signed.build(),
            open: S3ServiceBuilder::new(service).build(),
        });

        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("loopback-s3".into()).spawn({
            let shared = shared.clone();
            move || {
                runtime.block_on(async {
                    let listener = TcpListener::from_std(listener).expect("the listener");
                    tokio::select! {
                        () = accept(listener, shared) => {}
                        // Also when the sender is dropped.
                        _ = stopped => {}
                    }
                });
            }
        })?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The location of a prefix in the bucket [`BUCKET`].
    pub(crate) fn location(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// The environment in which a program finds this server.
    pub(crate) fn env(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL_S3", self.url()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.into()),
        ]
    }

    /// What is in the bucket [`BUCKET`].
    pub(crate) fn store(&self) -> Store {
        self.bucket(BUCKET)
    }

    /// What is in a bucket, made if it is not there. Names have 3 to 63 lower-case characters.
    pub(crate) fn bucket(&self, name: &str) -> Store {
        self.shared.buckets.make(name)
    }

    /// The multipart uploads under way.
    pub(crate) fn uploads(&self) -> &Uploads {
        &self.shared.uploads
    }

    /// The switches.
    pub(crate) fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Totals since the start or the last [`reset`](Self::reset).
    pub(crate) fn counts(&self) -> Totals {
        self.shared.counts.totals()
    }

    /// What was asked, in order (the first 100,000 requests).
    pub(crate) fn log(&self) -> Vec<Asked> {
        self.shared.counts.log()
    }

    /// Sets the counts to zero.
    pub(crate) fn reset(&self) {
        self.shared.counts.reset();
    }

    /// Waits until no request is under way; whether that was so within five seconds.
    pub(crate) async fn quiet(&self) -> bool {
        for _ in 0..1000 {
            if self.counts().running == 0 {
                return true;
            }
            sleep(Duration::from_millis(5)).await;
        }
        false
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the loopback server panicked");
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut http = hyper::server::conn::http1::Builder::new();
    // A Worker or a proxy may keep header lines long; a key of 1,024 bytes is 3,072 in a path.
    http.timer(TokioTimer::new()).max_buf_size(1 << 20);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: give those that are open the time to close.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        shared.counts.connected();
        // Small answers must not wait for an acknowledgement; where that fails they only wait.
        stream.set_nodelay(true).ok();
        let reset = Arc::new(AtomicBool::new(false));
        let shared = shared.clone();
        let io = TokioIo::new(Socket { stream, reset: reset.clone() });
        let answer = service_fn(move |request| {
            let (shared, reset) = (shared.clone(), reset.clone());
            async move { shared.answer(request, &reset).await }
        });
        let connection = http.serve_connection(io, answer);
        // A connection that ends badly is what faults are for.
        tokio::spawn(async move { connection.await.ok() });
    }
}

impl Shared {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        reset: &Arc<AtomicBool>,
    ) -> Result<Response<Answer>, Broken> {
        let (asked, bucket) = describe(&request);
        let running = self.counts.begin(asked.clone());
        let (head, body) = request.into_parts();
        // Read to its end first: a client that is still sending cannot hear the answer.
        let Ok(body) = body.collect().await else {
            return Err(Broken);
        };
        let mut request = Request::from_parts(head, s3s::Body::from(body.to_bytes()));
        let wait = self.faults.wait();
        if !wait.is_zero() {
            sleep(wait).await;
        }
        let fault = self.faults.decide(asked.kind, &asked.name);
        match &fault {
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Refuse) => {
                reset.store(true, SeqCst);
                return Err(Broken);
            }
            Some(Fault::Replace(content)) => {
                if let Some(store) = self.buckets.find(&bucket) {
                    store.put_object(&asked.name, Stored::new(content.clone()));
                }
            }
            Some(Fault::Delete) => {
                if let Some(store) = self.buckets.find(&bucket) {
                    store.delete(&asked.name);
                }
            }
            Some(fault) => {
                if let Some(response) = instead(fault) {
                    return Ok(response.map(|bytes| Answer::new(bytes, End::Clean, running)));
                }
            }
            None => {}
        }

        let service = if self.faults.has(Quirk::Open) {
            request.headers_mut().remove(AUTHORIZATION);
            &self.open
        } else {
            &self.signed
        };
        let Ok(response) = service.call(request).await else {
            return Err(Broken);
        };
        let (mut head, body) = response.into_parts();
        let Ok(collected) = body.collect().await else {
            return Err(Broken);
        };
        let mut bytes = collected.to_bytes();
        if matches!(fault, Some(Fault::LoseAnswer)) {
            reset.store(true, SeqCst);
            return Err(Broken);
        }
        if head.status == StatusCode::NOT_MODIFIED {
            bytes = Bytes::new();
            head.headers.remove(CONTENT_TYPE);
        }
        let mut end = End::Clean;
        if let Some(fault) = &fault {
            (bytes, end) = spoil(fault, &mut head.headers, bytes, reset);
        }
        Ok(Response::from_parts(head, Answer::new(bytes, end, running)))
    }
}

/// What a request is for, and the bucket's name.
fn describe(request: &Request<Incoming>) -> (Asked, String) {
    let path = decode(request.uri().path().trim_start_matches('/').as_bytes(), false);
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let query = request.uri().query().unwrap_or_default();
    let parameter = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.split_once('=').filter(|p| p.0 == name));
        pair.map(|(_, value)| decode(value.as_bytes(), true))
    };
    let kind = match (request.method().as_str(), key.is_empty()) {
        ("GET", true)
            if !bucket.is_empty()
                && parameter("location").is_none()
                && !query.split('&').any(|name| name == "uploads" || name == "uploads=") =>
        {
            Kind::List
        }
        ("GET", false) => Kind::Get,
        ("HEAD", false) => Kind::Head,
        ("PUT", false) if parameter("partNumber").is_some() => Kind::Part,
        ("PUT", false) => Kind::Put,
        ("POST", false) => Kind::Upload,
        ("DELETE", false) if parameter("uploadId").is_some() => Kind::Abort,
        ("DELETE", false) => Kind::Delete,
        _ => Kind::Other,
    };
    let name =
        if kind == Kind::List { parameter("prefix").unwrap_or_default() } else { key.to_owned() };
    let header = |name: &str| {
        request.headers().get(name).and_then(|v| v.to_str().ok()).map(ToOwned::to_owned)
    };
    let asked = Asked {
        kind,
        name,
        range: header("range"),
        if_match: header("if-match"),
        start_after: parameter("start-after"),
    };
    (asked, bucket.to_owned())
}

/// Percent decoding; what is no UTF-8 afterwards no key can be.
fn decode(text: &[u8], plus: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let digit = |i: usize| text.get(at + i).and_then(|d| char::from(*d).to_digit(16));
        match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
                continue;
            }
            (b'+', ..) if plus => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The whole answer that a fault gives in the server's place, if it does.
fn instead(fault: &Fault) -> Option<Response<Bytes>> {
    let xml = |code: &str| {
        Bytes::from(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>\
             <Message>a fault that the test asked for</Message><RequestId>1</RequestId></Error>"
        ))
    };
    let html =
        || Bytes::from_static(b"<!doctype html><html><body><h1>It works!</h1></body></html>");
    let mut headers = HeaderMap::new();
    let (status, kind, body) = match fault {
        Fault::Error { status, code, retry_after } => {
            if let Some(seconds) = retry_after {
                headers.insert("retry-after", HeaderValue::from(*seconds));
            }
            (*status, "application/xml", xml(code))
        }
        Fault::ClockSkew(seconds) => {
            headers.insert(DATE, http_date(*seconds));
            (403, "application/xml", xml("RequestTimeTooSkewed"))
        }
        Fault::ErrorIn200(code) => (200, "application/xml", xml(code)),
        Fault::Empty(status) => (*status, "application/xml", Bytes::new()),
        Fault::Html(status) => (*status, "text/html", html()),
        _ => return None,
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status of three digits");
    *response.headers_mut() = headers;
    Some(response)
}

/// The server's own answer, made wrong.
fn spoil(
    fault: &Fault,
    headers: &mut HeaderMap,
    bytes: Bytes,
    reset: &Arc<AtomicBool>,
) -> (Bytes, End) {
    let half = bytes.slice(..bytes.len() / 2);
    let whole = bytes.len();
    let (bytes, end, length) = match fault {
        Fault::Stall => (half, End::Never, whole),
        Fault::Truncate => (half, End::breaking(None), whole),
        Fault::Reset => (half, End::breaking(Some(reset.clone())), whole),
        Fault::ShortBody => {
            (bytes.slice(..whole.saturating_sub(1)), End::Clean, whole.saturating_sub(1))
        }
        Fault::LongBody => ([&bytes[..], b"!"].concat().into(), End::Clean, whole + 1),
        Fault::WrongContentRange => {
            if headers.contains_key(CONTENT_RANGE) {
                let range = format!("bytes {whole}-{}/{}", 2 * whole, 2 * whole + 1);
                headers.insert(CONTENT_RANGE, range.parse().expect("a header"));
            }
            (bytes, End::Clean, whole)
        }
        Fault::WrongETag => {
            headers.insert(ETAG, HeaderValue::from_static("\"00000000000000000000000000000000\""));
            (bytes, End::Clean, whole)
        }
        _ => (bytes, End::Clean, whole),
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    (bytes, end)
}

/// The date, this many seconds from now, as HTTP writes it.
fn http_date(ahead: i64) -> HeaderValue {
    use s3s::dto::{Timestamp, TimestampFormat};
    let now = std::time::SystemTime::now();
    let shift = Duration::from_secs(ahead.unsigned_abs());
    let at = if ahead < 0 { now - shift } else { now + shift };
    let mut text = Vec::new();
    Timestamp::from(at).format(TimestampFormat::HttpDate, &mut text).expect("a date");
    HeaderValue::from_bytes(&text).expect("a header")
}

/// The connection breaks.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the test asked for a broken connection")
    }
}

impl std::error::Error for Broken {}

/// How a body ends.
#[derive(Debug)]
enum End {
    Clean,
    Never,
    /// After a moment in which hyper sends what it has; with the flag, by a reset.
    Broken {
        after: Pin<Box<Sleep>>,
        reset: Option<Arc<AtomicBool>>,
    },
}

impl End {
    fn breaking(reset: Option<Arc<AtomicBool>>) -> Self {
        Self::Broken { after: Box::pin(sleep(Duration::from_millis(10))), reset }
    }
}

/// The body of an answer.
#[derive(Debug)]
struct Answer {
    rest: Bytes,
    end: End,
    running: Running,
}

impl Answer {
    fn new(rest: Bytes, end: End, mut running: Running) -> Self {
        if rest.is_empty() && matches!(end, End::Clean) {
            running.done();
        }
        Self { rest, end, running }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if !this.rest.is_empty() {
            let piece = this.rest.split_to(this.rest.len().min(PIECE));
            this.running.sent(piece.len());
            if this.rest.is_empty() && matches!(this.end, End::Clean) {
                this.running.done();
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &mut this.end {
            End::Clean => Poll::Ready(None),
            End::Never => Poll::Pending,
            End::Broken { after, reset } => {
                ready!(after.as_mut().poll(cx));
                if let Some(reset) = reset {
                    reset.store(true, SeqCst);
                }
                this.running.done();
                Poll::Ready(Some(Err(Broken)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && matches!(self.end, End::Clean)
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            End::Clean => SizeHint::with_exact(self.rest.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

/// A socket that can be made to end with a reset instead of an orderly close.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(SeqCst) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(SeqCst) {
            // With no time to linger, closing sends RST. A failure leaves an orderly close, which
            // the client has to survive just as well.
            self.stream.set_zero_linger().ok();
        }
    }
}
