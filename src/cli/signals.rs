//! What a server is told by signals. A handler that is set where the signal is first awaited comes
//! too late for one that was sent as soon as the server said that it listens: until then the
//! default ends the process. [`Ends`] and [`Hangups`] have theirs from when they are made.

use crate::error::{Error, Kind, Result};

/// SIGTERM and SIGINT; elsewhere than on Unix, Ctrl-C.
pub(super) struct Ends {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

/// SIGHUP; elsewhere than on Unix it never comes.
pub(super) struct Hangups {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Ends {
    /// # Errors
    ///
    /// `Io`, if the system has no handler left.
    pub(super) fn new() -> Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::SignalKind;
            Ok(Self {
                terminate: handler(SignalKind::terminate())?,
                interrupt: handler(SignalKind::interrupt())?,
            })
        }
        #[cfg(windows)]
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c().map_err(unhandled)? })
    }

    /// Waits until one of them comes.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        {
            use std::pin::pin;
            let (terminate, interrupt) = (self.terminate.recv(), self.interrupt.recv());
            futures_util::future::select(pin!(terminate), pin!(interrupt)).await;
        }
        #[cfg(windows)]
        self.interrupt.recv().await;
    }
}

impl Hangups {
    /// # Errors
    ///
    /// `Io`, if the system has no handler left.
    pub(super) fn new() -> Result<Self> {
        #[cfg(unix)]
        return Ok(Self { hangup: handler(tokio::signal::unix::SignalKind::hangup())? });
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next one; false if there will be none.
    pub(super) async fn next(&mut self) -> bool {
        #[cfg(unix)]
        return self.hangup.recv().await.is_some();
        #[cfg(not(unix))]
        false
    }
}

#[cfg(unix)]
fn handler(kind: tokio::signal::unix::SignalKind) -> Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(kind).map_err(unhandled)
}

fn unhandled(error: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("signals cannot be handled: {error}")).because(error)
}
