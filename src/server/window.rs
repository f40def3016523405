//! What a client may spend in a stretch of time.
//!
//! HTTP has no conversations: MCP's newest revision has no sessions, and an agent that has spent
//! one would begin the next. A [`Window`] is a session that belongs to the tenant and begins anew
//! when its time is over; on standard input and output it lasts as long as the process.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::sandbox::{Session, SessionLimits};

/// How long a window lasts unless the configuration says otherwise: an hour, so that an agent
/// that has run wild is held until somebody can look, and not for a day.
pub const WINDOW: Duration = Duration::from_secs(3600);

/// What all calls may cost together, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowLimits {
    /// What they may cost.
    pub limits: SessionLimits,
    /// After this long it begins anew; `None` is never.
    pub every: Option<Duration>,
}

/// See the module's head.
#[derive(Debug)]
pub struct Window {
    plan: WindowLimits,
    now: Mutex<(Instant, Arc<Session>)>,
}

impl Window {
    /// A window that begins now.
    pub fn new(plan: WindowLimits) -> Self {
        let first = (Instant::now(), Arc::new(Session::new(plan.limits)));
        Self { plan, now: Mutex::new(first) }
    }

    /// The session that a call which begins now is paid from; `None` where nothing is bounded.
    pub fn session(&self) -> Option<Arc<Session>> {
        if self.plan.limits == SessionLimits::default() {
            return None;
        }
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if self.plan.every.is_some_and(|every| now.0.elapsed() >= every) {
            *now = (Instant::now(), Arc::new(Session::new(self.plan.limits)));
        }
        Some(Arc::clone(&now.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_anew_when_its_time_is_over() {
        let limits = SessionLimits { calls: Some(1), ..SessionLimits::default() };
        let long = Window::new(WindowLimits { limits, every: Some(WINDOW) });
        let same = |a: &Window| {
            let (first, second) = (a.session().expect("bounded"), a.session().expect("bounded"));
            Arc::ptr_eq(&first, &second)
        };
        assert!(same(&long) && same(&Window::new(WindowLimits { limits, every: None })));
        let over = Window::new(WindowLimits { limits, every: Some(Duration::ZERO) });
        assert!(!same(&over));
        assert!(Window::new(WindowLimits::default()).session().is_none());
    }
}
