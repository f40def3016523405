//! Waiting for the next result without making the reader wait too.
//!
//! A block-buffered pipe shows the first match when 64 KiB are full, and flushing after every
//! result costs a system call each. [`Waiter`] flushes only when the next result is not there yet,
//! and on a terminal that has been silent for a second shows that something is going on.

use std::{
    future::Future,
    io::IsTerminal,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::future::{Either, poll_fn, select};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::sleep;

use super::{failure::Stop, output::Out};

/// Results that follow each other faster than this are printed together: shorter than anyone
/// sees, longer than the gap between two objects of a search that runs at full speed.
const TOGETHER: Duration = Duration::from_millis(10);
/// How long a terminal may be silent before it is told that work goes on.
const SILENT: Duration = Duration::from_secs(1);
/// How often the spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// Waits for results of one command.
#[derive(Debug)]
pub(super) struct Waiter {
    started: Instant,
    what: &'static str,
    bar: Option<ProgressBar>,
    watched: bool,
}

impl Waiter {
    /// `what` goes on, in words (`searching`).
    pub(super) fn new(what: &'static str) -> Self {
        let watched = std::io::stderr().is_terminal();
        Self { started: Instant::now(), what, bar: None, watched }
    }

    /// The answer of `future`, with everything printed so far handed to the reader if it takes a
    /// while.
    pub(super) async fn until<T>(
        &mut self,
        out: &mut Out,
        future: impl Future<Output = T>,
    ) -> Result<T, Stop> {
        let mut future = pin!(future);
        let at_once = poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(value) = at_once.await {
            self.clear();
            return Ok(value);
        }
        let mut pause = TOGETHER;
        let mut silent_since = Instant::now();
        loop {
            match select(future.as_mut(), pin!(sleep(pause))).await {
                Either::Left((value, _)) => {
                    self.clear();
                    return Ok(value);
                }
                Either::Right(_) if pause == TOGETHER => {
                    out.flush()?;
                    pause = if self.bar.is_some() { TICK } else { SILENT };
                    silent_since = Instant::now();
                }
                Either::Right(_) => {
                    pause = TICK;
                    if self.watched && silent_since.elapsed() >= SILENT {
                        self.show();
                    }
                }
            }
        }
    }

    fn show(&mut self) {
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::default_spinner());
            bar
        });
        bar.set_message(format!("{} for {} s", self.what, self.started.elapsed().as_secs()));
        bar.tick();
    }

    // Before anything is printed: a spinner and a match must never share a line.
    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.clear();
    }
}
