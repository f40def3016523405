//! Futures side by side, and futures that never wait.

use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll, Waker},
};

use crate::{
    fault::{Fault, FaultKind, Result},
    source::BoxFuture,
};

/// Runs `futures` side by side and returns what each gave, in their order. The first fault ends
/// all. Each is polled at every wake, so they should be few: one a file, not one a range.
///
/// # Errors
/// The first fault of any of them.
pub async fn side_by_side<T>(futures: Vec<BoxFuture<'_, Result<T>>>) -> Result<Vec<T>> {
    let mut running: Vec<Option<BoxFuture<'_, Result<T>>>> =
        futures.into_iter().map(Some).collect();
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut waiting = false;
        for (running, done) in running.iter_mut().zip(&mut done) {
            let Some(future) = running else { continue };
            match future.as_mut().poll(context) {
                Poll::Ready(Ok(value)) => {
                    *done = Some(value);
                    *running = None;
                }
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                Poll::Pending => waiting = true,
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(Ok(())) }
    })
    .await?;
    Ok(done.into_iter().flatten().collect())
}

/// Runs a future that reads only where reading does not wait: memory, or a local directory. What
/// merges segments is synchronous and reads them so.
///
/// # Errors
/// [`FaultKind::Invalid`] when it waits after all.
pub fn at_once<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => Err(Fault::new(
            FaultKind::Invalid,
            "an index that lies far away cannot be read here: copy it to a local directory first",
        )),
    }
}
