//! `cat`: whole files, or a range of bytes, as they are.

use std::{ops::Range, time::Instant};

use super::super::{
    args::Cat,
    exit::Exit,
    failure::{Failures, Stop},
    options::Options,
    output::Out,
    usage::wrong,
    wait::Waiter,
};
use super::{budget, close, found};
use crate::{
    error::{Error, Result},
    sandbox::{Envelope, SkipReason, VirtualSandbox},
};

/// Prints each file, one after another; one that fails does not hide the others.
pub(in crate::cli) async fn run(
    sandbox: &VirtualSandbox,
    options: &Options,
    cat: Cat,
    out: &mut Out,
) -> Result<Exit, Stop> {
    if options.json {
        return Err(wrong("cat gives bytes as they are, so there is no --json for it")
            .hint("leave --json out, or use `r2vfs --json read`")
            .into());
    }
    let range = cat.range.as_deref().map(parse).transpose()?;
    let mut failures = Failures::default();
    let mut waiter = Waiter::new("reading");
    let started = Instant::now();
    let op = sandbox.op(budget(options));
    let mut envelope = Envelope::default();
    for path in &cat.paths {
        let mut fail = |error: Error| {
            let error = error.at(path.as_str());
            failures.tell(&error);
            envelope.skip(path, SkipReason::of(&error), error.message());
        };
        let opened = Box::pin(sandbox.bytes(path, range.clone(), &op));
        match waiter.until(out, opened).await? {
            Ok(mut bytes) => loop {
                match waiter.until(out, bytes.next()).await? {
                    Some(Ok(chunk)) => out.write(&chunk)?,
                    Some(Err(error)) => break fail(error),
                    None => break envelope.matched += 1,
                }
            },
            Err(error) => fail(error),
        }
    }
    envelope.cost = op.call.meter.cost();
    envelope.as_of = op.as_of();
    envelope.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    envelope.settle();
    close(options, out, &mut failures, &envelope)?;
    found(&failures)
}

/// `A-B`, both included as in HTTP and curl, or `A-` to the end.
fn parse(text: &str) -> Result<Range<u64>> {
    let bad = |what: &str| {
        wrong(format!("--range {text}: {what}"))
            .hint("write A-B, as in 0-99 for the first 100 bytes, or A- to read to the end")
    };
    let (first, last) = text.split_once('-').ok_or_else(|| bad("there is no `-`"))?;
    if first.is_empty() {
        return Err(bad("the first byte is missing"));
    }
    let number = |digits: &str| digits.parse::<u64>().map_err(|_| bad("that is no number"));
    let first = number(first)?;
    if last.is_empty() {
        return Ok(first..u64::MAX);
    }
    match number(last)?.checked_add(1) {
        Some(end) if end > first => Ok(first..end),
        _ => Err(bad("the last byte is before the first, or out of bounds")),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn ranges_include_both_ends() {
        assert_eq!(parse("0-99").ok(), Some(0..100));
        assert_eq!(parse("7-7").ok(), Some(7..8));
        assert_eq!(parse("5-").ok(), Some(5..u64::MAX));
        for text in ["", "5", "-5", "9-8", "a-b", "0-18446744073709551615", "1-2-3"] {
            assert!(parse(text).is_err(), "{text} was taken");
        }
    }
}
