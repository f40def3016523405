//! A TCP proxy that adds a fixed round trip.
//!
//! Kernel traffic shaping is not to be had on every machine, and a server that sleeps before each
//! answer charges nothing for a connection and delays nothing that is streamed. [`DelayProxy`]
//! delays bytes, not requests: whatever comes in leaves half a round trip later, in both
//! directions, and a new connection cannot carry anything before a round trip of its own.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// Bytes on the way in one direction of one connection. Like a TCP window it bounds the rate of a
/// connection, to 1 MiB for each half round trip (70 MB/s at 30 ms), and with it the memory.
const WINDOW: usize = 1 << 20;

/// The largest piece that is passed on at once.
const PIECE: usize = 64 << 10;

/// A running proxy; it stops when dropped, and so do its connections.
#[derive(Debug)]
pub(crate) struct DelayProxy {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl DelayProxy {
    /// Listens on `port` (0 is any free one) of 127.0.0.1 and passes everything on to `to`.
    pub(crate) async fn start(port: u16, to: SocketAddr, round_trip: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicU64::new(0));
        let counter = connections.clone();
        let task = tokio::spawn(async move {
            let mut running = tokio::task::JoinSet::new();
            loop {
                // Those that are over must not pile up.
                while running.try_join_next().is_some() {}
                let Ok((client, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                counter.fetch_add(1, Relaxed);
                running.spawn(connection(client, to, round_trip));
            }
        });
        Ok(Self { address, connections, task })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }
}

impl Drop for DelayProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(client: TcpStream, to: SocketAddr, round_trip: Duration) {
    // The kernel has completed the handshake already: the client believes that it may send, and
    // what it sends now would in truth leave it a round trip later.
    let open = Instant::now() + round_trip;
    let Ok(server) = TcpStream::connect(to).await else {
        return;
    };
    // Delays of our own only; without this option they are merely less exact.
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let half = round_trip / 2;
    let up = direction(client_in, server_out, half, open);
    let down = direction(server_in, client_out, half, open);
    // An error in one direction ends both: dropping the other half tells the peer.
    drop(tokio::try_join!(up, down));
}

/// Passes bytes on, each `delay` after it came, none as if it had come before `open`.
async fn direction(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
    open: Instant,
) -> io::Result<()> {
    let window = Arc::new(Semaphore::new(WINDOW));
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let read = async move {
        let mut buffer = vec![0; PIECE];
        loop {
            let length = from.read(&mut buffer).await?;
            let due = Instant::now().max(open) + delay;
            // The window is never closed, and a piece is smaller than the window.
            let room = window.clone().acquire_many_owned(length as u32).await;
            let room = room.map_err(io::Error::other)?;
            // At the end of the stream an empty piece keeps the order of bytes and end.
            if sender.send((due, buffer[..length].to_vec(), room)).is_err() || length == 0 {
                return io::Result::Ok(());
            }
        }
    };
    let write = async move {
        while let Some((due, piece, room)) = receiver.recv().await {
            sleep_until(due).await;
            if piece.is_empty() {
                break;
            }
            to.write_all(&piece).await?;
            drop(room);
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(|_| ())
}
