//! `doctor`: tries each mount step by step and says in words what is wrong.
//!
//! Other commands must not name endpoint or bucket, because an agent reads what they say. This
//! one is for whoever set the mounts up, and names what it looked at.

use super::super::{
    exit::Exit,
    failure::{Failures, Stop},
    options::Options,
    output::Out,
    wait::Waiter,
};
use super::{close, found};
use crate::{
    bucket::{Call, Permits},
    config,
    platform::Platform,
    sandbox::{Envelope, Reason},
};

/// Looks at every mount; a broken one does not hide the others.
pub(in crate::cli) async fn run(
    options: &Options,
    permits: &Permits,
    platform: &Platform,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let mut failures = Failures::default();
    let mut waiter = Waiter::new("checking");
    let (started, mut wrong) = (platform.monotonic(), 0_u64);
    let deadline = options.timeout.map(|time| started.saturating_add(time));
    let call = Call { deadline, ..Call::default() };
    for plan in &options.mounts {
        if !options.json {
            let point = out.shown(&plan.point).into_owned();
            out.line(point)?;
        }
        let look = config::diagnose(&plan.location, &plan.settings, permits, platform, &call);
        for finding in waiter.until(out, look).await? {
            if !finding.ok {
                failures.count();
                wrong += 1;
            }
            if options.json {
                out.message("finding", &finding)?;
                continue;
            }
            let mark = if finding.ok { "ok  " } else { "FAIL" };
            let what = out.shown(&finding.what).into_owned();
            let detail = out.shown(&finding.detail).into_owned();
            out.line(format_args!("  {mark}  {what}: {detail}"))?;
            if let Some(next) = &finding.next {
                let next = out.shown(next).into_owned();
                out.line(format_args!("        next: {next}"))?;
            }
        }
    }
    let mut envelope = Envelope { cost: call.meter.cost(), ..Envelope::default() };
    if wrong > 0 {
        envelope.lacks(Reason::Error, format!("{wrong} findings are not as they should be"));
    }
    let elapsed = platform.monotonic().saturating_sub(started);
    envelope.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    envelope.settle();
    close(options, out, &mut failures, &envelope)?;
    found(&failures)
}
