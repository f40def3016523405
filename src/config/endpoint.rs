//! Which server holds the bucket, and how it wants to be spoken to.
//!
//! The SDK's own endpoint rules know AWS only; for everything else they take a URL on trust, and
//! a URL that ends in the bucket's name (as R2's dashboard shows it) then asks for
//! `/bucket/bucket/key`. [`Endpoint::resolve`] applies the order of precedence and checks the
//! URL once, with messages that name the variable and never the address.

use std::net::Ipv6Addr;

use super::{Given, Jurisdiction, Location, Settings};
use crate::error::{Error, Kind, Result};

/// A server and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `https://host[:port][/path]`, without a `/` at the end.
    pub(crate) url: String,
    /// For the signature.
    pub(crate) region: String,
    /// `/bucket/key` on the host, rather than `bucket.host`.
    pub(crate) path_style: bool,
    /// The option or variable that it came from, for the operator.
    pub(crate) from: &'static str,
}

/// What a profile adds to the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProfileHints {
    pub(crate) endpoint: Option<Given>,
    pub(crate) region: Option<Given>,
}

const R2_DOMAIN: &str = ".r2.cloudflarestorage.com";

impl Endpoint {
    pub(crate) fn is_https(&self) -> bool {
        self.url.starts_with("https:")
    }

    /// # Errors
    /// [`Kind::Config`] where the settings name no endpoint, or name it wrongly.
    pub(crate) fn resolve(
        location: &Location,
        settings: &Settings,
        profile: &ProfileHints,
    ) -> Result<Self> {
        let asked = settings.region.as_ref().or(profile.region.as_ref());
        let (url, from) = match location {
            Location::R2 { jurisdiction, .. } => r2(settings, profile, *jurisdiction)?,
            _ => match [&settings.endpoint, &settings.variable_endpoint, &profile.endpoint]
                .into_iter()
                .flatten()
                .next()
            {
                Some(given) => (check_url(given)?, given.from),
                None => {
                    let region = asked.map_or("us-east-1", |given| &given.value);
                    // China's regions have a domain of their own.
                    let china = if region.starts_with("cn-") { ".cn" } else { "" };
                    (format!("https://s3.{region}.amazonaws.com{china}"), "AWS")
                }
            },
        };
        let host = host(&url);
        let aws = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
        let r2 = matches!(location, Location::R2 { .. }) || host.ends_with(R2_DOMAIN);
        let region = match (asked, r2) {
            // R2 has the one region `auto`; AWS_REGION is about some other server.
            (_, true) => "auto".to_owned(),
            (Some(given), false) => check_region(given)?,
            (None, false) => "us-east-1".to_owned(),
        };
        let path_style = match &settings.path_style {
            Some(given) => match given.value.as_str() {
                "true" => true,
                "false" => false,
                _ => {
                    return Err(wrong(given, "is neither true nor false", "write true or false"));
                }
            },
            None => !aws,
        };
        Ok(Self { url, region, path_style, from })
    }
}

fn r2(
    settings: &Settings,
    profile: &ProfileHints,
    named: Option<Jurisdiction>,
) -> Result<(String, &'static str)> {
    // An address says by itself where the bucket is: what the location says would go unheard.
    let address = |given: &Given| match named {
        Some(_) => Err(wrong(
            given,
            "and the jurisdiction in the location cannot both say where the bucket is",
            "leave ?jurisdiction= out of the location, or give R2_ACCOUNT_ID instead of an endpoint",
        )),
        None => Ok((check_url(given)?, given.from)),
    };
    if let Some(given) = &settings.endpoint {
        return address(given);
    }
    if let Some(given) = &settings.account_id {
        let id = &given.value;
        if id.len() != 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong(
                given,
                "is not an account id",
                "it has 32 hexadecimal digits: copy it from the R2 page of the Cloudflare dashboard",
            ));
        }
        let jurisdiction = match (named, &settings.jurisdiction) {
            (Some(named), _) => named,
            (None, Some(given)) => given.value.parse().map_err(|_| {
                wrong(given, "is no R2 jurisdiction", "set it to eu, fedramp, us or default")
            })?,
            (None, None) => Jurisdiction::Default,
        };
        let id = id.to_ascii_lowercase();
        return Ok((format!("https://{id}{}{R2_DOMAIN}", jurisdiction.label()), given.from));
    }
    match settings.variable_endpoint.as_ref().or(profile.endpoint.as_ref()) {
        Some(given) => address(given),
        None => Err(Error::new(Kind::Config, "R2's endpoint is not known: there is no account id")
            .hint("set R2_ACCOUNT_ID (or CLOUDFLARE_ACCOUNT_ID), or give --endpoint")),
    }
}

/// Checks an endpoint's URL and gives it without a `/` at the end.
fn check_url(given: &Given) -> Result<String> {
    let wrong = |what: &str, hint: &str| Err(wrong(given, what, hint));
    let Some((scheme, rest)) = given.value.split_once("://") else {
        return wrong("has no scheme", "write https://HOST or http://HOST:PORT");
    };
    if scheme != "https" && scheme != "http" {
        return wrong("is neither http nor https", "write https://HOST or http://HOST:PORT");
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if authority.contains('@') {
        return wrong(
            "holds credentials",
            "leave them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        );
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => (address, port),
            _ => return wrong("has a malformed IPv6 address", "write http://[::1]:9000"),
        },
        None => match authority.find(':') {
            Some(at) => authority.split_at(at),
            None => (authority, ""),
        },
    };
    if host.is_empty() {
        return wrong("names no host", "write https://HOST or http://HOST:PORT");
    }
    if !authority.starts_with('[')
        && !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    {
        return wrong(
            "has a host name with a character that no host name has",
            "write https://HOST; an international name in its xn-- form",
        );
    }
    if !port.is_empty()
        && !port.strip_prefix(':').is_some_and(|n| n.parse::<u16>().is_ok_and(|n| n > 0))
    {
        return wrong("has a malformed port", "write http://HOST:PORT, PORT from 1 to 65535");
    }
    if path.contains(['?', '#', ' ', '\\', '%']) || !path.bytes().all(|b| b.is_ascii_graphic()) {
        return wrong("has more than a host and a path", "write https://HOST or https://HOST/PATH");
    }
    let path = path.trim_end_matches('/');
    if host.ends_with(R2_DOMAIN) && !path.is_empty() {
        return wrong(
            "ends in a path, which an R2 endpoint has not",
            "leave the bucket out of it: the location names the bucket",
        );
    }
    Ok(format!("{scheme}://{}{path}", authority.to_ascii_lowercase()))
}

fn check_region(given: &Given) -> Result<String> {
    let region = &given.value;
    if region.len() <= 63 && region.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    {
        return Ok(region.clone());
    }
    Err(wrong(given, "is no region", "regions look like eu-west-1, auto or garage"))
}

/// The host of a URL that was checked.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    if authority.starts_with('[') {
        return authority;
    }
    authority.split(':').next().unwrap_or(authority)
}

fn wrong(given: &Given, what: &str, hint: &str) -> Error {
    Error::new(Kind::Config, format!("{} {what}", given.from)).hint(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    const ACCOUNT: &str = "0123456789abcdef0123456789ABCDEF";

    fn settings(variables: &[(&str, &str)]) -> Settings {
        Settings::from_env(&|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        })
    }

    fn resolve(location: &str, variables: &[(&str, &str)]) -> Result<Endpoint> {
        let location = Location::parse(location)?;
        Endpoint::resolve(&location, &settings(variables), &ProfileHints::default())
    }

    fn url(location: &str, variables: &[(&str, &str)]) -> String {
        resolve(location, variables).expect(location).url
    }

    #[test]
    fn r2_has_an_endpoint_for_each_jurisdiction() {
        let id = ACCOUNT.to_lowercase();
        let base = [("R2_ACCOUNT_ID", ACCOUNT)];
        assert_eq!(url("r2://kbase", &base), format!("https://{id}.r2.cloudflarestorage.com"));
        assert_eq!(
            url("r2://kbase?jurisdiction=eu", &base),
            format!("https://{id}.eu.r2.cloudflarestorage.com")
        );
        let fedramp = [("CLOUDFLARE_ACCOUNT_ID", ACCOUNT), ("R2_JURISDICTION", "fedramp")];
        assert_eq!(
            url("r2://kbase", &fedramp),
            format!("https://{id}.fedramp.r2.cloudflarestorage.com")
        );
        let plain = format!("https://{id}.r2.cloudflarestorage.com");
        assert_eq!(url("r2://kbase?jurisdiction=default", &fedramp), plain);
        let endpoint = resolve("r2://kbase", &[base[0], ("AWS_REGION", "eu-west-1")]);
        let endpoint = endpoint.expect("it is whole");
        assert_eq!((endpoint.region.as_str(), endpoint.path_style), ("auto", true));
    }

    #[test]
    fn the_nearest_word_on_the_endpoint_wins() {
        let both = [("AWS_ENDPOINT_URL_S3", "http://a:1/"), ("AWS_ENDPOINT_URL", "http://b:2")];
        assert_eq!(url("s3://kbase", &both), "http://a:1");
        assert_eq!(url("s3://kbase", &both[1..]), "http://b:2");
        assert_eq!(url("r2://kbase", &both), "http://a:1");
        let with = settings(&both)
            .with(Overrides { endpoint: Some("http://[::1]:9000".into()), ..Default::default() });
        let location = Location::parse("s3://kbase").expect("a location");
        let endpoint = Endpoint::resolve(&location, &with, &ProfileHints::default());
        let endpoint = endpoint.expect("an endpoint");
        assert_eq!((&*endpoint.url, endpoint.from), ("http://[::1]:9000", "--endpoint"));
        let profile = ProfileHints {
            endpoint: Some(Given { value: "http://p".into(), from: "the profile" }),
            region: Some(Given { value: "garage".into(), from: "the profile" }),
        };
        let endpoint = Endpoint::resolve(&location, &settings(&[]), &profile).expect("whole");
        assert_eq!((&*endpoint.url, &*endpoint.region), ("http://p", "garage"));
    }

    #[test]
    fn aws_is_addressed_by_region_and_host() {
        let endpoint = resolve("s3://kbase", &[("AWS_REGION", "eu-west-1")]).expect("whole");
        assert_eq!(endpoint.url, "https://s3.eu-west-1.amazonaws.com");
        assert!(!endpoint.path_style);
        assert_eq!(
            url("s3://kbase", &[("AWS_REGION", "cn-north-1")]),
            "https://s3.cn-north-1.amazonaws.com.cn"
        );
        let forced = [("R2VFS_PATH_STYLE", "true")];
        assert!(resolve("s3://kbase", &forced).expect("whole").path_style);
    }

    #[test]
    fn a_wrong_value_names_its_variable_and_never_itself() {
        for (name, value, part) in [
            ("AWS_ENDPOINT_URL", "minio.internal:9000", "no scheme"),
            ("AWS_ENDPOINT_URL", "s3://minio.internal", "neither http nor https"),
            ("AWS_ENDPOINT_URL", "http://", "names no host"),
            ("AWS_ENDPOINT_URL", "http://me:secret@minio", "holds credentials"),
            ("AWS_ENDPOINT_URL", "http://minio:90000", "malformed port"),
            ("AWS_ENDPOINT_URL", "http://minio:", "malformed port"),
            ("AWS_ENDPOINT_URL", "http://[::1", "malformed IPv6"),
            ("AWS_ENDPOINT_URL", "http://mi nio", "no host name has"),
            ("AWS_ENDPOINT_URL", "http://minio/?x", "more than a host"),
            (
                "AWS_ENDPOINT_URL",
                "https://x.r2.cloudflarestorage.com/kbase",
                "leave the bucket out",
            ),
            ("AWS_REGION", "eu west", "is no region"),
            ("R2VFS_PATH_STYLE", "yes", "neither true nor false"),
        ] {
            let message = resolve("s3://kbase", &[(name, value)]).expect_err(value).to_string();
            assert!(message.contains(part) && message.starts_with(name), "{value}: {message}");
            assert!(!message.contains("minio") && !message.contains("secret"), "{message}");
        }
        let message = resolve("r2://kbase", &[("R2_ACCOUNT_ID", "me")]).expect_err("me");
        assert!(message.to_string().contains("32 hexadecimal"), "{message}");
        let message = resolve("r2://kbase", &[]).expect_err("nothing set");
        assert!(message.to_string().contains("R2_ACCOUNT_ID"), "{message}");
        let odd = [("R2_ACCOUNT_ID", ACCOUNT), ("R2_JURISDICTION", "mars")];
        let message = resolve("r2://kbase", &odd).expect_err("mars").to_string();
        assert!(message.contains("R2_JURISDICTION"), "{message}");
    }

    #[test]
    fn a_jurisdiction_beside_an_address_is_refused() {
        let variable = [("AWS_ENDPOINT_URL", "http://a:1")];
        let message = resolve("r2://kbase?jurisdiction=eu", &variable).expect_err("both");
        assert!(message.to_string().contains("jurisdiction"), "{message}");
        let option = settings(&[("R2_ACCOUNT_ID", ACCOUNT)])
            .with(Overrides { endpoint: Some("http://a:1".into()), ..Default::default() });
        let location = Location::parse("r2://kbase?jurisdiction=eu").expect("a location");
        let refused = Endpoint::resolve(&location, &option, &ProfileHints::default());
        assert!(refused.expect_err("both").message().starts_with("--endpoint"));
    }
}
