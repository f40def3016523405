//! Where the objects are: `r2://BUCKET/PREFIX`, `s3://BUCKET/PREFIX`, `file:PATH` or a plain path.
//!
//! A URL parser is the wrong tool: it folds `//` and `..`, decodes `%2F` and cuts at `?`, and each
//! of these is an ordinary part of a key. [`Location::parse`] cuts the text at fixed places and
//! keeps every other byte as it was typed.

use std::{path::PathBuf, str::FromStr};

use super::bucket_name;
use crate::{
    bucket::MAX_KEY,
    error::{Error, Kind, Result},
};

/// Where a tree's objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A bucket on Cloudflare R2.
    R2 {
        /// The bucket's name, valid by S3's rules.
        bucket: String,
        /// The root: empty, or ending in `/`. Exact bytes.
        prefix: String,
        /// The jurisdiction named in the location itself, which beats `R2_JURISDICTION`.
        jurisdiction: Option<Jurisdiction>,
    },
    /// A bucket on AWS or on any server that speaks S3.
    S3 {
        /// The bucket's name, valid by S3's rules.
        bucket: String,
        /// The root: empty, or ending in `/`. Exact bytes.
        prefix: String,
    },
    /// A directory of this machine.
    Directory {
        /// As typed; relative to the working directory.
        path: PathBuf,
    },
}

/// Where R2 promises to keep a bucket's data; each has an endpoint of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jurisdiction {
    /// No promise, the usual endpoint.
    Default,
    /// The European Union.
    Eu,
    /// FedRAMP.
    Fedramp,
    /// The United States (since 2026-08-17, R2 changelog).
    Us,
}

impl Jurisdiction {
    /// What stands between the account and the domain in the endpoint's host name.
    #[cfg(feature = "s3")]
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Eu => ".eu",
            Self::Fedramp => ".fedramp",
            Self::Us => ".us",
        }
    }
}

impl FromStr for Jurisdiction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "default" => Self::Default,
            "eu" => Self::Eu,
            "fedramp" => Self::Fedramp,
            "us" => Self::Us,
            _ => {
                return Err(Error::new(Kind::Config, "there is no such R2 jurisdiction")
                    .hint("write eu, fedramp, us or default"));
            }
        })
    }
}

const JURISDICTION: &str = "?jurisdiction=";
const FORMS: &str = "write r2://BUCKET/PREFIX, s3://BUCKET/PREFIX, file:PATH or a path";
const SCHEMES: [&str; 3] = ["r2", "s3", "file"];

impl Location {
    /// Reads a location as a person types it.
    ///
    /// A PREFIX always means the "directory" of that name: `s3://b/docs` and `s3://b/docs/` are
    /// both the root `docs/`, and an object named `docs` is outside. It is taken byte for byte:
    /// nothing is decoded, `//` and a leading `/` stay. Only an R2 location may end in
    /// `?jurisdiction=eu`; any other `?` belongs to the prefix.
    ///
    /// # Errors
    /// [`Kind::Config`], with a message of its own for each malformed form.
    pub fn parse(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(config("the location is empty", FORMS));
        }
        if text.contains('\0') {
            return Err(config("the location holds a NUL byte", FORMS));
        }
        let Some((scheme, rest)) = split_scheme(text) else {
            return Ok(Self::Directory { path: text.into() });
        };
        match scheme {
            "s3" => {
                let (bucket, prefix) = split_bucket(scheme, rest)?;
                Ok(Self::S3 { bucket, prefix })
            }
            "r2" => {
                let (rest, jurisdiction) = match rest.rsplit_once(JURISDICTION) {
                    Some((rest, name)) => (rest, Some(name.parse()?)),
                    None => (rest, None),
                };
                let (bucket, prefix) = split_bucket(scheme, rest)?;
                Ok(Self::R2 { bucket, prefix, jurisdiction })
            }
            "file" => directory(rest),
            "http" | "https" => Err(web_address(rest)),
            _ => Err(unknown_scheme(scheme)),
        }
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// What stands before the first `:`, when it can only be meant as a scheme: followed by `//`, or
/// one of ours. Anything else with a colon in it (`a:b`, `C:\kb`) is a path.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let looks = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    let ours = SCHEMES.contains(&scheme);
    (looks && (ours || rest.starts_with("//"))).then_some((scheme, rest))
}

fn split_bucket(scheme: &str, rest: &str) -> Result<(String, String)> {
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(config(
            format!("`{scheme}:` is not followed by `//`"),
            format!("write {scheme}://BUCKET/PREFIX, or ./{scheme}:… for a path of that name"),
        ));
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    bucket_name::check(scheme, bucket)?;
    if prefix.len() >= MAX_KEY {
        return Err(config(
            format!("the prefix has {} bytes, and a key has at most {MAX_KEY}", prefix.len()),
            "name a shorter prefix",
        ));
    }
    let mut prefix = prefix.to_owned();
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    Ok((bucket.to_owned(), prefix))
}

fn directory(rest: &str) -> Result<Location> {
    let path = match rest.strip_prefix("//") {
        // `file:///a` has an empty host; `file://a` names a host, and there is none to ask.
        Some(host) if !host.starts_with('/') => {
            return Err(config(
                "`file://` is followed by a host name",
                "write file:PATH, or file:/PATH for an absolute one",
            ));
        }
        Some(path) => path,
        None => rest,
    };
    if path.is_empty() {
        return Err(config("`file:` is not followed by a path", "write file:PATH"));
    }
    Ok(Location::Directory { path: path.into() })
}

fn web_address(rest: &str) -> Error {
    let host = rest.trim_start_matches('/').split(['/', ':', '?']).next().unwrap_or_default();
    let hint = if host.ends_with(".r2.cloudflarestorage.com") {
        "for R2 write r2://BUCKET/PREFIX and set R2_ACCOUNT_ID to the first part of that address"
    } else if host.ends_with(".amazonaws.com") {
        "for AWS write s3://BUCKET/PREFIX and set AWS_REGION"
    } else {
        "write s3://BUCKET/PREFIX and give the server's address with --endpoint or \
         AWS_ENDPOINT_URL_S3"
    };
    config("a web address is not a location", hint)
}

fn unknown_scheme(scheme: &str) -> Error {
    let lower = scheme.to_ascii_lowercase();
    let nearest = match lower.as_str() {
        "s3a" | "s3n" | "aws" | "minio" => "s3",
        "cloudflare" | "cf" => "r2",
        _ => SCHEMES
            .into_iter()
            .min_by_key(|known| strsim::levenshtein(&lower, known))
            .unwrap_or("s3"),
    };
    let form = if nearest == "file" { "file:PATH" } else { &format!("{nearest}://BUCKET/PREFIX") };
    // A scheme is letters, digits and `+.-` by `split_scheme`, so it is harmless to show.
    let shown: String = scheme.chars().take(20).collect();
    config(format!("`{shown}://` is no kind of location"), format!("did you mean {form}?"))
}

fn config(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(Kind::Config, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = Location::parse(text).expect_err(text);
        assert_eq!(error.kind(), Kind::Config, "{text}");
        error.to_string()
    }

    fn s3(bucket: &str, prefix: &str) -> Location {
        Location::S3 { bucket: bucket.into(), prefix: prefix.into() }
    }

    #[test]
    fn a_prefix_is_kept_byte_for_byte_and_ends_in_a_slash() {
        for (text, prefix) in [
            ("s3://kbase", ""),
            ("s3://kbase/", ""),
            ("s3://kbase/docs", "docs/"),
            ("s3://kbase/docs/", "docs/"),
            ("s3://kbase//docs", "/docs/"),
            ("s3://kbase//", "/"),
            ("s3://kbase/a//../%2F?x=1#y", "a//../%2F?x=1#y/"),
            ("s3://kbase/x?jurisdiction=eu", "x?jurisdiction=eu/"),
        ] {
            assert_eq!(Location::parse(text).expect(text), s3("kbase", prefix), "{text}");
        }
    }

    #[test]
    fn r2_takes_a_jurisdiction() {
        let parse = |text| match Location::parse(text) {
            Ok(Location::R2 { bucket, prefix, jurisdiction }) => (bucket, prefix, jurisdiction),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(parse("r2://kbase"), ("kbase".into(), "".into(), None));
        let eu = Some(Jurisdiction::Eu);
        assert_eq!(parse("r2://kbase?jurisdiction=eu"), ("kbase".into(), "".into(), eu));
        assert_eq!(parse("r2://kbase/a?b?jurisdiction=eu"), ("kbase".into(), "a?b/".into(), eu));
        assert!(refused("r2://kbase?jurisdiction=mars").contains("eu, fedramp, us"));
    }

    #[test]
    fn a_path_is_what_has_no_scheme() {
        for (text, path) in [
            ("docs", "docs"),
            ("./s3:x", "./s3:x"),
            ("/a/b", "/a/b"),
            (r"C:\kb", r"C:\kb"),
            ("notes:2024", "notes:2024"),
            ("file:docs", "docs"),
            ("file:/docs", "/docs"),
            ("file:///docs", "/docs"),
        ] {
            let location = Location::parse(text).expect(text);
            assert_eq!(location, Location::Directory { path: path.into() });
        }
    }

    #[test]
    fn each_malformed_form_has_its_own_message() {
        let messages = [
            ("", "is empty"),
            ("  ", "is empty"),
            ("a\0b", "NUL"),
            ("s3:kbase", "not followed by `//`"),
            ("s3:/kbase", "not followed by `//`"),
            ("file:", "not followed by a path"),
            ("file://host/x", "host name"),
            ("https://example.com/b", "--endpoint"),
            ("https://0.r2.cloudflarestorage.com/b", "R2_ACCOUNT_ID"),
            ("https://b.s3.eu-west-1.amazonaws.com", "AWS_REGION"),
            ("s4://kbase", "did you mean s3://BUCKET/PREFIX?"),
            ("r3://kbase", "did you mean r2://BUCKET/PREFIX?"),
            ("R2://kbase", "did you mean r2://BUCKET/PREFIX?"),
            ("fiel://kbase", "did you mean file:PATH?"),
            ("s3://", "no bucket"),
            ("s3://ab", "3 to 63"),
        ];
        for (text, part) in messages {
            let message = refused(text);
            assert!(message.contains(part), "{text}: {message}");
        }
        assert!(refused(&format!("s3://kbase/{}", "x".repeat(1024))).contains("1024 bytes"));
    }
}
