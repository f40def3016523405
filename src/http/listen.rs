//! Connections: how many, for how long, and how they end.
//!
//! A server that accepts whatever comes is full when somebody opens ten thousand connections and
//! says nothing on them, or one header byte a minute. [`serve`] holds a bounded number; when all
//! places are taken, the one that has waited longest for its client to say something gives way.
//! Headers, bodies and reading have a time, and at a shutdown every call under way may end.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Extensions};
use futures_util::future::{Either, select};
use hyper::{
    Request,
    body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{App, stall::Stall};
use crate::server::Pass;

/// Connections at a time unless the configuration says otherwise: half of the 1,024 files that a
/// process may usually open; the buckets need connections too.
pub const MAX_CONNECTIONS: usize = 512;

/// How long a client may take to send the headers of a request, and how long a connection may
/// lie idle between two.
const HEADER_TIME: Duration = Duration::from_secs(15);

/// Bytes of a request's head.
const HEADER_BYTES: usize = 32 << 10;

/// How long calls under way may take to end at a shutdown. Longer than the usual deadline of a
/// call would keep a new version from taking over.
const GRACE: Duration = Duration::from_secs(10);

/// After a failure to accept: most often no file is left, which the next idle connection cures.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections that wait to be taken. With the usual 128 a burst of a few hundred fills the queue,
/// and whoever comes then waits a second for its system to ask again.
const BACKLOG: u32 = 1024;

/// Listens on an address.
///
/// # Errors
/// Of the system: the address is taken, or not one of this machine.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // So that a restart need not wait for connections of the last run; elsewhere it would let two
    // servers share a port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` holds `true`, then lets calls under way end, for at most ten seconds.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    app: Arc<App>,
    most: usize,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Places::new(most, Arc::clone(&app)));
    loop {
        let accepted = {
            let stopped = pin!(stop.wait_for(|stop| *stop));
            match select(pin!(listener.accept()), stopped).await {
                Either::Right(_) => break,
                Either::Left((accepted, _)) => accepted,
            }
        };
        match accepted {
            Ok((stream, _)) => {
                if let Some(place) = Places::take(&places) {
                    tokio::spawn(hold(stream, place, router.clone(), stop.clone()));
                }
            }
            Err(error) if is_the_clients(&error) => {}
            Err(_) => {
                places.make_room();
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    app.drain();
    // Those that are left are cut off with the process.
    drop(timeout(GRACE, places.empty()).await);
}

fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

async fn hold(stream: TcpStream, place: Place, router: Router, mut stop: watch::Receiver<bool>) {
    // Answers are small; waiting for more to send costs 40 ms.
    drop(stream.set_nodelay(true));
    let (places, id, leave) = (Arc::clone(&place.places), place.id, Arc::clone(&place.leave));
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let busy =
            Arc::new(Busy { places: Arc::clone(&places), id, begun: AtomicBool::new(false) });
        request.extensions_mut().insert(Begun(Arc::clone(&busy)));
        let answer = service.call(request);
        async move {
            let mut response = match answer.await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let _pass = response.extensions_mut().remove();
            let held = |body| Body::new(Held { body, _busy: busy, _pass });
            Ok::<_, Infallible>(response.map(held))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(Stall::new(stream)), service);
    let mut connection = pin!(connection);
    let over = pin!(async {
        let stopped = pin!(stop.wait_for(|stop| *stop));
        matches!(select(stopped, pin!(leave.notified())).await, Either::Left(_))
    });
    match select(connection.as_mut(), over).await {
        // A client that broke off is told of by what it broke off.
        Either::Left(_) => {}
        Either::Right((true, _)) => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
        Either::Right((false, _)) => {}
    }
    drop(place);
}

/// The places for connections.
#[derive(Debug)]
struct Places {
    most: usize,
    app: Arc<App>,
    next: AtomicU64,
    taken: Mutex<BTreeMap<u64, Taken>>,
    left: Notify,
}

#[derive(Debug)]
struct Taken {
    /// Requests whose answers are not through; one at a time, as HTTP/1.1 has it.
    busy: u32,
    /// Since when it is idle.
    since: Instant,
    leave: Arc<Notify>,
}

/// A connection's place, free again when it is dropped.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    id: u64,
    leave: Arc<Notify>,
}

impl Places {
    fn new(most: usize, app: Arc<App>) -> Self {
        let (next, taken, left) = (AtomicU64::new(0), Mutex::default(), Notify::new());
        Self { most, app, next, taken, left }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<u64, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection; `None` where all are busy.
    fn take(places: &Arc<Self>) -> Option<Place> {
        if places.taken().len() >= places.most && !places.make_room() {
            places.app.log.metrics.shed.fetch_add(1, Relaxed);
            return None;
        }
        let (id, leave) = (places.next.fetch_add(1, Relaxed), Arc::new(Notify::new()));
        let one = Taken { busy: 0, since: Instant::now(), leave: Arc::clone(&leave) };
        places.taken().insert(id, one);
        places.app.log.metrics.connections.fetch_add(1, Relaxed);
        Some(Place { places: Arc::clone(places), id, leave })
    }

    /// Sends the connection away that has been idle for longest, if any is.
    fn make_room(&self) -> bool {
        let mut taken = self.taken();
        let idle = taken.iter().filter(|(_, one)| one.busy == 0);
        let Some(id) = idle.min_by_key(|(_, one)| one.since).map(|(id, _)| *id) else {
            return false;
        };
        // Its place is free at once; its task ends when it is next polled.
        if let Some(one) = taken.remove(&id) {
            one.leave.notify_one();
        }
        drop(taken);
        self.app.log.metrics.shed.fetch_add(1, Relaxed);
        true
    }

    async fn empty(&self) {
        loop {
            let mut left = pin!(self.left.notified());
            left.as_mut().enable();
            if self.taken().is_empty() {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(&self.id);
        self.places.app.log.metrics.connections.fetch_sub(1, Relaxed);
        self.places.left.notify_waiters();
    }
}

/// A request under way on a connection, until its answer is through.
#[derive(Debug)]
struct Busy {
    places: Arc<Places>,
    id: u64,
    begun: AtomicBool,
}

/// What a request carries to say that it has arrived, body and all. Before that its connection
/// counts as idle: whoever sends a byte now and then must not hold a place for it.
#[derive(Clone, Debug)]
pub(super) struct Begun(Arc<Busy>);

impl Begun {
    /// The request that these belong to has arrived.
    pub(super) fn of(extensions: &Extensions) {
        if let Some(Self(busy)) = extensions.get()
            && !busy.begun.swap(true, Relaxed)
            && let Some(one) = busy.places.taken().get_mut(&busy.id)
        {
            one.busy += 1;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if !*self.begun.get_mut() {
            return;
        }
        if let Some(one) = self.places.taken().get_mut(&self.id) {
            one.busy -= 1;
            one.since = Instant::now();
        }
    }
}

/// A body that keeps its connection busy until its end.
#[derive(Debug)]
struct Held {
    body: Body,
    _busy: Arc<Busy>,
    /// The place of its tenant that the answer takes.
    _pass: Option<Arc<Option<Pass>>>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
