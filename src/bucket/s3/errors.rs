//! What a failed attempt means, and whether a repeat can mend it.
//!
//! A status alone says too little (R2 throttles with 403, SeaweedFS answers 200 with an error
//! inside, a login page answers 200 to everything), and the code in the body is not always
//! there. [`classify`] reads both into a [`Failure`]: an error for the caller, free of anything
//! that the server wrote but its code, and a verdict on retrying.

use std::{error::Error as StdError, fmt, time::Duration};

use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::Headers,
};

use super::{connection, wire};
use crate::error::{Error, Kind};

/// Whether another attempt can end differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// It will fail in the same way.
    Never,
    /// It may succeed, after a pause.
    Soon,
    /// It may succeed, and the server names the pause.
    After(Duration),
    /// No connection came about. A wrong address fails like this for ever, so it is tried less
    /// often where nothing has ever answered.
    Unreached,
}

/// One failed attempt.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) retry: Retry,
}

/// What was asked for: the same status means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Page,
    Bytes,
    /// To write or delete.
    #[cfg(feature = "publish")]
    Write,
}

impl Failure {
    pub(super) fn never(kind: Kind, message: impl Into<String>, hint: &str) -> Self {
        Self { error: Error::new(kind, message).hint(hint), retry: Retry::Never }
    }

    pub(super) fn soon(message: impl Into<String>) -> Self {
        Self { error: Error::new(Kind::Unavailable, message), retry: Retry::Soon }
    }

    fn because(mut self, cause: Cause) -> Self {
        self.error = self.error.because(cause);
        self
    }
}

/// What the server said, for logs and for its operator. Only codes and ids: a server's message
/// repeats bucket names and signed headers.
#[derive(Debug)]
pub(super) struct Cause {
    status: u16,
    code: Option<String>,
    request_id: Option<String>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, ", request {id}")?;
        }
        Ok(())
    }
}

impl StdError for Cause {}

/// Codes that mean "too much" or "my fault", whatever the status beside them.
const PASSING: [&str; 17] = [
    "BandwidthLimitExceeded",
    "Busy",
    // A conditional PUT that met another of its name; whoever sends one reads it first.
    "ConditionalRequestConflict",
    "InternalError",
    "OperationAborted",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "ServerBusy",
    "ServiceUnavailable",
    "SlowDown",
    "SlowDownRead",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "XMinioServerNotInitialized",
];

/// One response that is no success, or that claims to be one and is not.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a Headers,
    pub(super) body: &'a [u8],
    /// This machine's clock, seconds since the epoch.
    pub(super) now: i64,
}

/// Reads an SDK error.
pub(super) fn from_sdk<E>(error: SdkError<E, HttpResponse>, asked: Asked, now: i64) -> Failure
where
    E: StdError + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => {
            let Some(raw) = error.raw_response() else {
                return Failure::soon("the response could not be read");
            };
            let body = raw.body().bytes().unwrap_or_default();
            let status = raw.status().as_u16();
            classify(&Answer { status, headers: raw.headers(), body, now }, asked)
        }
        SdkError::TimeoutError(_) => Failure::soon("the server did not answer in time"),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => connection::classify(error),
            None => Failure::soon("the request could not be sent"),
        },
        _ => Failure::never(
            Kind::Config,
            "the request could not be built or signed",
            "check the endpoint, the region and the keys for characters that do not belong there",
        ),
    }
}

/// Status and code of a response that is no success; 0 and nothing where none came.
#[cfg(feature = "publish")]
pub(super) fn told<E>(error: &SdkError<E, HttpResponse>) -> (u16, String) {
    let Some(raw) = error.raw_response() else { return (0, String::new()) };
    let body = raw.body().bytes().unwrap_or_default();
    (raw.status().as_u16(), element(body, "Code").unwrap_or_default())
}

/// What a response that is no success means.
pub(super) fn classify(answer: &Answer<'_>, asked: Asked) -> Failure {
    let code = element(answer.body, "Code").and_then(|code| plain(&code));
    let cause = Cause {
        status: answer.status,
        code: code.clone(),
        request_id: answer
            .headers
            .get("x-amz-request-id")
            .map(str::to_owned)
            .or_else(|| element(answer.body, "RequestId"))
            .and_then(|id| plain(&id)),
    };
    let code = code.unwrap_or_default();
    let passing = PASSING.contains(&code.as_str());
    let broken = matches!(answer.status, 408 | 429 | 500..=599)
        && !matches!(answer.status, 501 | 505)
        && code != "NotImplemented";
    if passing || broken {
        let what = match code.as_str() {
            "" => format!("the server answers {}", answer.status),
            code => format!("the server answers {} {code}", answer.status),
        };
        let mut failure = Failure::soon(what).because(cause);
        if let Some(pause) = retry_after(answer) {
            failure.retry = Retry::After(pause);
        }
        return failure;
    }
    by_code(&code, answer, asked).unwrap_or_else(|| by_status(&code, answer, asked)).because(cause)
}

fn by_code(code: &str, answer: &Answer<'_>, asked: Asked) -> Option<Failure> {
    use Failure as F;
    Some(match code {
        "NoSuchKey" => no_key(),
        "NoSuchBucket" | "NotFound" if asked == Asked::Page => no_bucket(),
        "NoSuchBucket" => no_bucket(),
        "InvalidBucketName" => F::never(
            Kind::Config,
            "the server does not accept the bucket's name",
            "check the bucket in the location",
        ),
        "InvalidObjectState" => F::never(
            Kind::Archived,
            "the object is archived",
            "restore it first; until then it is skipped",
        ),
        "PreconditionFailed" | "InvalidRange" | "NoSuchVersion" => changed(),
        "RequestTimeTooSkewed" | "RequestExpired" => skewed(answer),
        "SignatureDoesNotMatch" => F::never(
            Kind::Credentials,
            "the server does not accept the signature",
            "check the secret access key, and that no proxy rewrites the requests",
        ),
        "InvalidAccessKeyId" => F::never(
            Kind::Credentials,
            "the server does not know the access key",
            "check the access key id, and that it is a key of this endpoint",
        ),
        "ExpiredToken" | "TokenRefreshRequired" => {
            F::never(Kind::Credentials, "the session token has expired", "fetch new temporary keys")
        }
        "InvalidToken" | "InvalidSecurity" | "Unauthorized" => F::never(
            Kind::Credentials,
            "the server does not accept the credentials",
            "check the keys and the session token (unset AWS_SESSION_TOKEN if they have none)",
        ),
        // R2: "Credential access key has length 20, should be 32".
        "InvalidArgument" if contains(answer.body, "access key has length") => F::never(
            Kind::Credentials,
            "the access key id has the wrong length for this server",
            "use a key of this endpoint: R2's have 32 hexadecimal digits",
        ),
        "AuthorizationHeaderMalformed"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "Redirect"
        | "IllegalLocationConstraintException" => elsewhere(answer),
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "Forbidden" => forbidden(asked),
        "NotImplemented" => F::never(
            Kind::Protocol,
            "the server does not implement this request",
            "check that the endpoint is an S3 server that knows ListObjectsV2",
        ),
        "KeyTooLongError" | "XMinioInvalidObjectName" | "InvalidURI" => F::never(
            Kind::Protocol,
            format!("the server does not accept this key ({code})"),
            "the object is in its listing and cannot be read: rename it",
        ),
        _ => return None,
    })
}

fn by_status(code: &str, answer: &Answer<'_>, asked: Asked) -> Failure {
    if is_web_page(answer) {
        return Failure::never(
            Kind::Protocol,
            format!("the endpoint answers {} with a web page, not with S3", answer.status),
            "check the endpoint: a console or a login page listens there",
        );
    }
    let coded = if code.is_empty() { String::new() } else { format!(" {code}") };
    match answer.status {
        301 | 302 | 303 | 307 | 308 => elsewhere(answer),
        401 => Failure::never(
            Kind::Credentials,
            format!("the server does not accept the credentials (401{coded})"),
            "check the keys",
        ),
        403 => forbidden(asked),
        404 if asked == Asked::Bytes => no_key(),
        404 if asked == Asked::Page && !code.is_empty() => no_bucket(),
        412 | 416 => changed(),
        200..=299 => Failure::never(
            Kind::Protocol,
            "the endpoint's answer is not the S3 protocol",
            "check the endpoint's address and port",
        ),
        400 => Failure::never(
            Kind::Protocol,
            format!("the server refuses the request as malformed (400{coded})"),
            "run `r2vfs doctor`; a server that refuses what others accept may want another region \
             or path style",
        ),
        status => Failure::never(
            Kind::Protocol,
            format!("the server refuses the request ({status}{coded})"),
            "check that the endpoint is an S3 server, and run `r2vfs doctor`",
        ),
    }
}

fn no_key() -> Failure {
    Failure::never(
        Kind::NotFound,
        "the object is not there any more",
        "list again: it was deleted after the listing",
    )
}

fn no_bucket() -> Failure {
    Failure::never(
        Kind::NoBucket,
        "the bucket does not exist at this endpoint",
        "check the bucket's name, the account id or endpoint, and the jurisdiction",
    )
}

pub(super) fn changed() -> Failure {
    Failure::never(Kind::Changed, "the object changed after it was listed", "ask again")
}

fn forbidden(asked: Asked) -> Failure {
    match asked {
        Asked::Page => Failure::never(
            Kind::Forbidden,
            "the credentials do not allow listing this bucket",
            "give the token read access to the bucket (docs/LOCATIONS.md has the least that is \
             needed), or check the bucket's name",
        ),
        Asked::Bytes => Failure::never(
            Kind::Forbidden,
            "the credentials do not allow reading this object",
            "give the token read access to objects, not only to the listing",
        ),
        #[cfg(feature = "publish")]
        Asked::Write => Failure::never(
            Kind::Forbidden,
            "the credentials do not allow writing to this bucket",
            "publish with a token that may write; readers need none",
        ),
    }
}

fn skewed(answer: &Answer<'_>) -> Failure {
    let by = wire::date(answer.headers).map(|server| answer.now - server);
    let message = match by {
        Some(by) if by != 0 => format!("this machine's clock is {}", skew_in_words(by)),
        _ => "this machine's clock is too far from the server's".to_owned(),
    };
    Failure::never(Kind::Credentials, message, "set the clock, best by NTP")
}

/// "17 minutes ahead of the server's"; `by` is this clock less the server's, in seconds.
pub(super) fn skew_in_words(by: i64) -> String {
    let (size, unit) = match by.unsigned_abs() {
        seconds @ 0..120 => (seconds, "seconds"),
        seconds @ 120..7_200 => (seconds / 60, "minutes"),
        seconds @ 7_200..172_800 => (seconds / 3_600, "hours"),
        seconds => (seconds / 86_400, "days"),
    };
    format!("{size} {unit} {} the server's", if by < 0 { "behind" } else { "ahead of" })
}

/// The bucket is in another region, or behind another address.
fn elsewhere(answer: &Answer<'_>) -> Failure {
    let region = answer
        .headers
        .get("x-amz-bucket-region")
        .map(str::to_owned)
        .or_else(|| element(answer.body, "Region"))
        // "the region 'us-east-1' is wrong; expecting 'eu-west-1'"
        .or_else(|| {
            let message = element(answer.body, "Message")?;
            let (_, rest) = message.split_once("expecting")?;
            rest.split(['\'', '"']).nth(1).map(str::to_owned)
        })
        // Garage: "unexpected scope: D/us-east-1/s3/aws4_request, expected: D/garage/s3/…"
        .or_else(|| {
            let message = element(answer.body, "Message")?;
            let (_, rest) = message.split_once("expected: ")?;
            rest.split('/').nth(1).map(str::to_owned)
        })
        .and_then(|region| plain(&region));
    match region {
        Some(region) => Failure::never(
            Kind::Config,
            format!("the bucket is in the region {region}"),
            &format!("set AWS_REGION={region} or pass --region {region}"),
        ),
        None => Failure::never(
            Kind::Config,
            "the bucket is at another endpoint or in another region",
            "check --region (AWS_REGION) and the endpoint",
        ),
    }
}

fn retry_after(answer: &Answer<'_>) -> Option<Duration> {
    let text = answer.headers.get("retry-after")?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at =
        aws_smithy_types::DateTime::from_str(text, aws_smithy_types::date_time::Format::HttpDate)
            .ok()?;
    // Against the server's own clock where it gives one.
    let now = wire::date(answer.headers).unwrap_or(answer.now);
    u64::try_from(at.secs() - now).ok().map(Duration::from_secs)
}

fn is_web_page(answer: &Answer<'_>) -> bool {
    let html = answer.headers.get("content-type").is_some_and(|t| t.starts_with("text/html"));
    let start: Vec<u8> = answer
        .body
        .iter()
        .skip_while(|b| b.is_ascii_whitespace())
        .take(9)
        .map(u8::to_ascii_lowercase)
        .collect();
    html || start.starts_with(b"<!doctype") || start.starts_with(b"<html")
}

/// The text of the first `<name>…</name>`. Enough for error documents, which are flat, and it
/// also reads one that was cut off or stands inside another document.
fn element(body: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    Some(value.replace("&#39;", "'").replace("&apos;", "'").replace("&quot;", "\""))
}

fn contains(body: &[u8], part: &str) -> bool {
    body.windows(part.len()).any(|window| window == part.as_bytes())
}

/// A code, an id or a region as it may be shown: the server chose it, so it may hold anything.
fn plain(text: &str) -> Option<String> {
    let good = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+/=".contains(&b));
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
