//! Is it the endpoint, the keys, the clock or the server? One question after the other.
//!
//! The first failing request says only that something is wrong: a skewed clock, a wrong region
//! and a proxy all look like "forbidden" to somebody. [`run`] asks the cheapest question that
//! tells each apart, and stops where the rest would only repeat the first failure.

use std::time::Duration;

use super::{
    S3Bucket,
    errors::{self, Asked},
};
use crate::{
    bucket::{Call, GetRequest, ListRequest, Object, Permits, deadline::within},
    config::{Finding, Location, Settings},
    error::{Error, Kind},
    platform::Platform,
};

/// All of it is over by then unless the call has a deadline: a person is waiting.
const WHOLE: Duration = Duration::from_secs(30);

/// S3 refuses signatures that are 15 minutes off; half of that is worth a word.
const TOLERATED_SKEW: i64 = 450;

/// Looks at everything between here and the objects. Costs 2 LISTs and 2 GETs.
pub(crate) async fn run(
    location: &Location,
    settings: &Settings,
    permits: &Permits,
    platform: &Platform,
    call: &Call,
) -> Vec<Finding> {
    let bucket = match S3Bucket::open(location, settings, permits.clone(), platform) {
        Ok(bucket) => bucket,
        Err(error) => return vec![failed("settings", &error)],
    };
    let deadline = call.deadline.unwrap_or_else(|| platform.monotonic() + WHOLE);
    let call = Call { deadline: Some(deadline), ..call.clone() };
    let mut findings = vec![good("settings", bucket.in_words())];
    let request = ListRequest { max_keys: Some(1_000), ..Default::default() };
    let listed = bucket.page(&call, &request).await;
    findings.push(match (&listed, bucket.heard.answered()) {
        (_, true) => good("endpoint", format!("{} answers", bucket.endpoint.url)),
        (Err(error), false) => {
            let mut finding = failed("endpoint", error);
            finding.detail = format!("{}: {}", bucket.endpoint.url, finding.detail);
            findings.push(finding);
            return findings;
        }
        (Ok(_), false) => good("endpoint", "nothing was asked".to_owned()),
    });
    findings.push(bucket.clock());
    let page = match listed {
        Ok(page) => page,
        Err(error) => {
            let what = match error.kind() {
                Kind::Credentials => "credentials",
                Kind::NoBucket => "bucket",
                Kind::Forbidden => "permission to list",
                _ => "listing",
            };
            findings.push(failed(what, &error));
            return findings;
        }
    };
    findings.push(good("credentials", format!("accepted, from {}", bucket.keys_from)));
    let more = if page.truncated { " and more" } else { "" };
    let count = format!("{} keys{more} in the first page", page.objects.len());
    findings.push(good("listing", count));
    if !page.unaddressable.is_empty() {
        findings.push(bad(
            "keys",
            format!("{} keys of the first page cannot be read", page.unaddressable.len()),
            "`r2vfs stat --report` names them: those that are not UTF-8 must be renamed",
        ));
    }
    match page.objects.iter().find(|object| object.size > 1 && !object.archived) {
        Some(object) => {
            findings.push(bucket.range(&call, object).await);
            findings.push(bucket.condition(&call, object).await);
        }
        None => findings.push(good(
            "reading",
            "not tried: no object of two bytes or more in the first page".to_owned(),
        )),
    }
    if let [first, second, ..] = &page.objects[..] {
        findings.push(bucket.start_after(&call, first, second).await);
    }
    findings
}

impl S3Bucket {
    fn in_words(&self) -> String {
        let Self { endpoint, bucket, root, .. } = self;
        let style = if endpoint.path_style { "path style" } else { "virtual hosts" };
        let below = if root.is_empty() { String::new() } else { format!(" below {root}") };
        format!(
            "bucket {bucket}{below} at {} (from {}), region {}, {style}, keys from {}",
            endpoint.url, endpoint.from, endpoint.region, self.keys_from
        )
    }

    fn clock(&self) -> Finding {
        match self.heard.date().filter(|date| *date > 0).map(|date| self.now() - date) {
            None => good("clock", "the server gives no date to compare with".to_owned()),
            Some(by) if by.abs() <= TOLERATED_SKEW => {
                good("clock", format!("{} s from the server's", by.abs()))
            }
            Some(by) => bad(
                "clock",
                format!("this machine's clock is {}", errors::skew_in_words(by)),
                "set the clock, best by NTP: signatures 15 minutes off are refused",
            ),
        }
    }

    async fn range(&self, call: &Call, object: &Object) -> Finding {
        let range = object.size / 2..object.size / 2 + 1;
        match self.bytes(call, &GetRequest { object: object.clone(), range }).await {
            Ok(_) => good("reading", "one byte by range and version".to_owned()),
            Err(error) => failed("reading", &error),
        }
    }

    /// Whether a wrong version is refused. Where it is not, r2vfs still compares the ETag.
    async fn condition(&self, call: &Call, object: &Object) -> Finding {
        call.meter.get();
        let sent = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(format!("{}{}", self.root, object.key))
            .range("bytes=0-0")
            .if_match("\"00000000000000000000000000000000\"")
            .send();
        let Some(answer) = within(&self.platform, call.deadline, Box::pin(sent)).await else {
            return bad(
                "If-Match",
                "the server did not answer in time".to_owned(),
                "allow more time with --timeout",
            );
        };
        match answer {
            Ok(_) => bad(
                "If-Match",
                "the server ignores it and sends another version than the one asked for".to_owned(),
                "nothing: every answer's ETag is compared, so a change is still noticed",
            ),
            Err(error) => {
                let error = errors::from_sdk(error, Asked::Bytes, self.now()).error;
                match error.kind() {
                    Kind::Changed => good("If-Match", "a wrong version is refused".to_owned()),
                    _ => failed("If-Match", &error),
                }
            }
        }
    }

    async fn start_after(&self, call: &Call, first: &Object, second: &Object) -> Finding {
        let request = ListRequest {
            start_after: Some(first.key.clone()),
            max_keys: Some(2),
            ..Default::default()
        };
        let page = match self.page(call, &request).await {
            Ok(page) => page,
            Err(error) => return failed("start-after", &error),
        };
        match page.objects.first() {
            Some(next) if next.key == second.key => {
                good("start-after", "the listing goes on where it should".to_owned())
            }
            _ if second.key <= first.key => bad(
                "start-after",
                "keys are listed out of byte order, so start-after cannot be relied on".to_owned(),
                "nothing: such a listing is read whole and sorted",
            ),
            _ => bad(
                "start-after",
                "the listing goes on at another key than it should".to_owned(),
                "nothing: listings go by continuation token",
            ),
        }
    }
}

fn good(what: &str, detail: String) -> Finding {
    Finding { ok: true, what: what.to_owned(), detail, next: None }
}

fn bad(what: &str, detail: String, next: &str) -> Finding {
    Finding { ok: false, what: what.to_owned(), detail, next: Some(next.to_owned()) }
}

fn failed(what: &str, error: &Error) -> Finding {
    let cause = std::error::Error::source(error).map(|cause| format!(" ({cause})"));
    Finding {
        ok: false,
        what: what.to_owned(),
        detail: format!("{}{}", error.message(), cause.unwrap_or_default()),
        next: error.advice().map(str::to_owned),
    }
}
