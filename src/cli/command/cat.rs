//! `cat`: whole files, or a range of bytes, as they are.

use std::ops::Range;

use super::super::{
    args::Cat,
    exit::Exit,
    failure::{Failures, Stop},
    options::Options,
    output::Out,
    usage::wrong,
    wait::Waiter,
};
use super::{budget, found};
use crate::{error::Result, sandbox::VirtualSandbox};

/// Prints each file, one after another; one that fails does not hide the others.
pub(in crate::cli) async fn run(
    sandbox: &VirtualSandbox,
    options: &Options,
    cat: Cat,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let range = cat.range.as_deref().map(parse).transpose()?;
    let mut failures = Failures::default();
    let mut waiter = Waiter::new("reading");
    for path in &cat.paths {
        let opened = sandbox.bytes(path, range.clone(), budget(options));
        match waiter.until(out, opened).await? {
            Ok(mut bytes) => {
                while let Some(chunk) = waiter.until(out, bytes.next()).await? {
                    match chunk {
                        Ok(chunk) => out.write(&chunk)?,
                        Err(error) => failures.tell(&error.at(path.as_str())),
                    }
                }
            }
            Err(error) => failures.tell(&error),
        }
    }
    out.flush()?;
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
