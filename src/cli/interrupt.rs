//! Ctrl-C.
//!
//! The default handler kills the process wherever it is, also between the two halves of a file in
//! the disk cache, and leaves a reader to guess whether the output is whole. Here the first Ctrl-C
//! drops the command's future, which stops every request and search, and says that the output is
//! partial; a command that cannot be dropped because it is stuck in a write is ended all the same.

use std::{future::Future, pin::pin, time::Duration};

use futures_util::future::{Either, select};

use super::{exit::Exit, failure};

/// How long a command may take to stop. Longer than a search takes to notice that nobody waits.
const GRACE: Duration = Duration::from_secs(2);

/// Runs `work` to its end. The first Ctrl-C only calls `ask`, after which the work is to end by
/// itself in good order; the second ends the process with 130.
pub(super) async fn asking<T>(
    work: impl Future<Output = T>,
    ask: impl FnOnce() + Send + 'static,
) -> T {
    let signal = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_err() {
            // No handler could be set, so the default one still ends the process.
            return;
        }
        failure::say("r2vfs: interrupted: keeping what is done (Ctrl-C again to end at once)");
        ask();
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(Exit::Interrupted.code().into());
        }
    });
    let done = work.await;
    signal.abort();
    done
}

/// Runs `work` until it ends or Ctrl-C is pressed: then `None`, and the process ends with 130
/// even if the caller hangs.
pub(super) async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Option<T> {
    let signal = tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_err() {
            // No handler could be set, so the default one still ends the process.
            std::future::pending::<()>().await;
        }
        tokio::spawn(async {
            tokio::time::sleep(GRACE).await;
            failure::say("r2vfs: interrupted while the output was being written");
            std::process::exit(Exit::Interrupted.code().into());
        });
    });
    match select(pin!(work), signal).await {
        Either::Left((done, signal)) => {
            signal.abort();
            Some(done)
        }
        Either::Right(_) => None,
    }
}
