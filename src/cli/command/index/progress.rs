//! How far a job is: a bar for a person, a line now and then for a log.

use std::{
    future::Future,
    io::IsTerminal,
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::sleep;

use super::super::super::failure::say;
use crate::indexer::{Progress, Tally};

/// How often a bar moves.
const TICK: Duration = Duration::from_millis(200);
/// How often a log gets a line.
const LINE: Duration = Duration::from_secs(5);

/// The answer of `work`, while `tally` is shown on standard error.
pub(super) async fn shown<T>(tally: &Tally, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let started = Instant::now();
    let bar = std::io::stderr().is_terminal().then(bar);
    loop {
        let pause = if bar.is_some() { TICK } else { LINE };
        match select(work.as_mut(), pin!(sleep(pause))).await {
            Either::Left((done, _)) => {
                if let Some(bar) = bar {
                    bar.finish_and_clear();
                }
                return done;
            }
            Either::Right(_) => {
                let (now, elapsed) = (tally.now(), started.elapsed());
                match &bar {
                    Some(bar) => draw(bar, now, elapsed),
                    None => say(&format!("r2vfs: {}", words(now, elapsed))),
                }
            }
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:24} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn draw(bar: &ProgressBar, now: Progress, elapsed: Duration) {
    bar.set_length(now.wanted_bytes.max(1));
    bar.set_position(now.fetched_bytes.min(now.wanted_bytes));
    bar.set_message(words(now, elapsed));
}

fn words(now: Progress, elapsed: Duration) -> String {
    if now.to_check > 0 {
        let (done, all) = (HumanBytes(now.checked), HumanBytes(now.to_check));
        return format!("{done} of {all} of the index checked");
    }
    if now.merging {
        return format!("{} objects indexed, joining segments", now.committed);
    }
    if now.wanted == 0 {
        return format!("{} objects listed, {} of them unchanged", now.listed, now.held);
    }
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rate = now.fetched_bytes as f64 / seconds;
    let more = if now.whole { "" } else { " or more" };
    let mut text = format!(
        "{} of {}{more} objects, {} of {}, {}/s",
        now.fetched,
        now.wanted,
        HumanBytes(now.fetched_bytes),
        HumanBytes(now.wanted_bytes),
        HumanBytes(rate as u64),
    );
    // By objects and bytes, whichever lasts longer: small ones cost a request each.
    let left = |done: u64, all: u64| match done {
        0 => None,
        done => Some(all.saturating_sub(done) as f64 * seconds / done as f64),
    };
    let left = left(now.fetched, now.wanted).zip(left(now.fetched_bytes, now.wanted_bytes));
    if let (true, Some((objects, bytes))) = (now.whole, left) {
        let left = Duration::from_secs_f64(objects.max(bytes).min(1e9));
        text.push_str(&format!(", {} left", HumanDuration(left)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_told_once_the_listing_is_whole() {
        let now = Progress {
            listed: 100,
            wanted: 100,
            wanted_bytes: 100 << 20,
            fetched: 50,
            fetched_bytes: 25 << 20,
            ..Progress::default()
        };
        let elapsed = Duration::from_secs(10);
        let text = words(now, elapsed);
        assert_eq!(text, "50 of 100 or more objects, 25.00 MiB of 100.00 MiB, 2.50 MiB/s");
        let text = words(Progress { whole: true, ..now }, elapsed);
        assert!(text.ends_with("2.50 MiB/s, 30 seconds left"), "{text}");
    }
}
