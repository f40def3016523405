//! Word that a long call is still alive.
//!
//! A client that hears nothing takes a search of a large bucket for a hang and gives up. Where it
//! asked for progress it is told how long the call has been at work; the number grows by the
//! seconds that have passed, because nobody knows how many objects are still to come.

use std::{future::Future, pin::pin, time::Duration};

use futures_util::future::select;
use rmcp::{RoleServer, model::ProgressNotificationParam, service::RequestContext};

/// The first word: a call that is shorter is not worth one, and over HTTP each word turns a plain
/// JSON answer into a stream.
const FIRST: Duration = Duration::from_secs(1);

/// Between words.
const EVERY: Duration = Duration::from_secs(2);

/// Ends when the client cancels the call; until then sends progress, if it was asked for.
pub(super) async fn until_cancelled(context: &RequestContext<RoleServer>, tool: &str) {
    let cancelled = pin!(context.ct.cancelled());
    let telling = pin!(tell(context, tool));
    // Telling never ends by itself.
    select(cancelled, telling).await;
}

async fn tell(context: &RequestContext<RoleServer>, tool: &str) {
    if let Some(token) = context.meta.get_progress_token() {
        let (mut wait, mut passed) = (FIRST, Duration::ZERO);
        loop {
            sleep(wait).await;
            passed += wait;
            wait = EVERY;
            let seconds = passed.as_secs();
            let word = ProgressNotificationParam::new(token.clone(), passed.as_secs_f64())
                .with_message(format!("{tool}: at work for {seconds} s"));
            if context.peer.notify_progress(word).await.is_err() {
                // It cannot be reached; whether it has left is for the transport to say.
                break;
            }
        }
    }
    std::future::pending::<()>().await;
}

fn sleep(duration: Duration) -> impl Future<Output = ()> {
    tokio::time::sleep(duration)
}
