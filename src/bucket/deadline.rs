//! Waiting, but not for ever.
//!
//! A future that is dropped at its deadline stops its request; a timer beside each of the many
//! chunks of a body would cost more than the chunks. [`within`] starts one only where it has to
//! wait.

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use futures_util::future::poll_fn;

use crate::platform::Platform;

/// The future's value, or `None` when `until` (on the monotonic clock) comes first. The timer
/// starts only when the future is not ready at once: most chunks of a body are.
pub(super) async fn within<T>(
    platform: &Platform,
    until: Option<Duration>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    let mut timer = None;
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        let Some(until) = until else { return Poll::Pending };
        let timer =
            timer.get_or_insert_with(|| platform.sleep(until.saturating_sub(platform.monotonic())));
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}
