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
use super::found;
use crate::{bucket::Permits, config, platform::Platform};

/// Looks at every mount; a broken one does not hide the others.
pub(in crate::cli) async fn run(
    options: &Options,
    permits: &Permits,
    platform: &Platform,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let mut failures = Failures::default();
    let mut waiter = Waiter::new("checking");
    for plan in &options.mounts {
        if !options.json {
            let point = out.shown(&plan.point).into_owned();
            out.line(point)?;
        }
        let look = config::diagnose(&plan.location, &plan.settings, permits, platform);
        for finding in waiter.until(out, look).await? {
            if !finding.ok {
                failures.count();
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
    out.flush()?;
    found(&failures)
}
