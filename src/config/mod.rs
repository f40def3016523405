//! What the outside says: locations, settings, and how a bucket is opened from the two.
//!
//! Reading the environment wherever a value is needed makes a library that cannot be tested or
//! embedded. [`Settings::from_env`] asks a function handed in by the front end, once, and keeps
//! with each value where it came from, so that an error can name the variable.

use std::{fmt, sync::Arc};

use crate::{
    bucket::{Bucket, Call, GetRequest, ListRequest, Permits},
    error::Result,
    platform::Platform,
};

mod bucket_name;
#[cfg(feature = "s3")]
pub(crate) mod endpoint;
#[cfg(feature = "cli")]
pub(crate) mod file;
mod location;

#[cfg(feature = "cli")]
pub use file::MountPlan;
pub use location::{Jurisdiction, Location};

/// A value and where it came from (`--endpoint`, `AWS_REGION`).
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    /// The value, never empty.
    pub value: String,
    /// The option, variable or file that it came from: safe to show, unlike the value.
    pub from: &'static str,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given(from {})", self.from)
    }
}

/// A pair of keys as given by variables, perhaps incomplete: an incomplete pair is an error that
/// names what is missing, never a reason to try the next source in silence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// The access key id.
    pub id: Option<Given>,
    /// The secret access key.
    pub secret: Option<Given>,
    /// The session token of temporary keys.
    pub token: Option<Given>,
}

impl Keys {
    /// Neither half is there.
    pub fn is_empty(&self) -> bool {
        self.id.is_none() && self.secret.is_none()
    }
}

/// Files and names that profiles are read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profiles {
    /// `--profile`: it beats keys in variables, as in the AWS command line.
    pub chosen: Option<Given>,
    /// `AWS_PROFILE` (or `AWS_DEFAULT_PROFILE`): keys in variables beat it.
    pub variable: Option<Given>,
    /// `AWS_SHARED_CREDENTIALS_FILE`; `~/.aws/credentials` if `None`.
    pub credentials_file: Option<Given>,
    /// `AWS_CONFIG_FILE`; `~/.aws/config` if `None`.
    pub config_file: Option<Given>,
    /// The home directory, for the two defaults.
    pub home: Option<Given>,
}

/// Which proxy stands before which kind of endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `https://` endpoints.
    pub https: Option<Given>,
    /// For `http://` endpoints.
    pub http: Option<Given>,
    /// For both, where the one above is not set.
    pub all: Option<Given>,
    /// Hosts that are reached directly, separated by commas.
    pub except: Option<Given>,
}

/// How buckets are reached: endpoint, region, keys, trust and proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `--endpoint`: beats everything.
    pub endpoint: Option<Given>,
    /// `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`.
    pub variable_endpoint: Option<Given>,
    /// `--region`, `AWS_REGION` or `AWS_DEFAULT_REGION`.
    pub region: Option<Given>,
    /// `R2_ACCOUNT_ID` or `CLOUDFLARE_ACCOUNT_ID`.
    pub account_id: Option<Given>,
    /// `R2_JURISDICTION`.
    pub jurisdiction: Option<Given>,
    /// Read without keys.
    pub anonymous: bool,
    /// `R2_ACCESS_KEY_ID` and its fellows: asked first for `r2://`, never for `s3://`.
    pub r2_keys: Keys,
    /// `AWS_ACCESS_KEY_ID` and its fellows.
    pub aws_keys: Keys,
    /// Profile files.
    pub profiles: Profiles,
    /// `AWS_CA_BUNDLE`: a PEM file of the only roots that are trusted.
    pub ca_bundle: Option<Given>,
    /// Proxies.
    pub proxies: Proxies,
    /// `R2VFS_PATH_STYLE`: `true` or `false`; by endpoint if `None`.
    pub path_style: Option<Given>,
    /// Variables that name a credential source which is not supported, so that "nothing was
    /// found" can say what was seen and passed over.
    pub unsupported: Vec<&'static str>,
}

/// What options on a command line say, over what the environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--endpoint`
    pub endpoint: Option<String>,
    /// `--region`
    pub region: Option<String>,
    /// `--profile`
    pub profile: Option<String>,
    /// `--anonymous`
    pub anonymous: bool,
}

/// Variables of the credential sources that are named in docs/LOCATIONS.md as not supported.
const UNSUPPORTED: [&str; 4] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

impl Settings {
    /// What the environment says. `lookup` answers for one variable; an empty value counts as
    /// not set. Nothing is checked here: [`open`] does, for what it uses.
    pub fn from_env(lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = lookup(name).filter(|value| !value.is_empty())?;
                Some(Given { value, from: name })
            })
        };
        let aws_keys = Keys {
            id: first(&["AWS_ACCESS_KEY_ID"]),
            secret: first(&["AWS_SECRET_ACCESS_KEY"]),
            token: first(&["AWS_SESSION_TOKEN"]),
        };
        let r2_keys = Keys {
            id: first(&["R2_ACCESS_KEY_ID"]),
            secret: first(&["R2_SECRET_ACCESS_KEY"]),
            // Beside a whole pair of AWS keys, AWS_SESSION_TOKEN belongs to those.
            token: first(&["R2_SESSION_TOKEN"])
                .or_else(|| aws_keys.token.clone().filter(|_| aws_keys.is_empty())),
        };
        Self {
            endpoint: None,
            variable_endpoint: first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
            region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
            account_id: first(&["R2_ACCOUNT_ID", "CLOUDFLARE_ACCOUNT_ID"]),
            jurisdiction: first(&["R2_JURISDICTION"]),
            anonymous: false,
            r2_keys,
            aws_keys,
            profiles: Profiles {
                chosen: None,
                variable: first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]),
                credentials_file: first(&["AWS_SHARED_CREDENTIALS_FILE"]),
                config_file: first(&["AWS_CONFIG_FILE"]),
                home: first(&["HOME", "USERPROFILE"]),
            },
            ca_bundle: first(&["AWS_CA_BUNDLE"]),
            proxies: Proxies {
                https: first(&["HTTPS_PROXY", "https_proxy"]),
                http: first(&["HTTP_PROXY", "http_proxy"]),
                all: first(&["ALL_PROXY", "all_proxy"]),
                except: first(&["NO_PROXY", "no_proxy"]),
            },
            path_style: first(&["R2VFS_PATH_STYLE"]),
            unsupported: UNSUPPORTED
                .into_iter()
                .filter(|name| lookup(name).is_some_and(|value| !value.is_empty()))
                .collect(),
        }
    }

    /// The same with what the options say on top.
    #[must_use]
    pub fn with(mut self, overrides: Overrides) -> Self {
        let given = |value: Option<String>, from| value.map(|value| Given { value, from });
        self.endpoint = given(overrides.endpoint, "--endpoint").or(self.endpoint);
        self.region = given(overrides.region, "--region").or(self.region);
        self.profiles.chosen = given(overrides.profile, "--profile").or(self.profiles.chosen);
        self.anonymous |= overrides.anonymous;
        self
    }
}

/// Opens the bucket or directory at a location. Sends nothing; reads the files that the settings
/// name (profiles, CA bundle) where they are needed.
///
/// # Errors
/// [`Kind::Config`](crate::Kind::Config) for a setting that is wrong, [`Kind::Credentials`](crate::Kind::Credentials) where no keys are found,
/// and what the directory kind says of its path. A kind that this build leaves out is
/// a configuration error too.
pub fn open(
    location: &Location,
    settings: &Settings,
    permits: &Permits,
    platform: &Platform,
) -> Result<Arc<dyn Bucket>> {
    match location {
        #[cfg(feature = "s3")]
        Location::R2 { .. } | Location::S3 { .. } => Ok(Arc::new(
            crate::bucket::s3::S3Bucket::open(location, settings, permits.clone(), platform)?,
        )),
        #[cfg(not(feature = "s3"))]
        Location::R2 { .. } | Location::S3 { .. } => Err(left_out("s3", settings, permits)),
        #[cfg(feature = "local")]
        Location::Directory { path } => Ok(Arc::new(crate::bucket::local::LocalBucket::open(
            path,
            permits.clone(),
            platform.clone(),
        )?)),
        #[cfg(not(feature = "local"))]
        Location::Directory { .. } => {
            let _ = platform;
            Err(left_out("local", settings, permits))
        }
    }
}

#[cfg(not(all(feature = "s3", feature = "local")))]
fn left_out(feature: &str, _: &Settings, _: &Permits) -> crate::Error {
    crate::Error::new(crate::Kind::Config, "this build cannot read that kind of location")
        .hint(format!("build it with the feature `{feature}`"))
}

/// Looks at everything between this machine and the objects of a location, for `r2vfs doctor`.
/// Costs two or three LISTs and two GETs, by the deadline of `call`, or within half a minute where
/// it has none.
pub async fn diagnose(
    location: &Location,
    settings: &Settings,
    permits: &Permits,
    platform: &Platform,
    call: &Call,
) -> Vec<Finding> {
    match location {
        #[cfg(feature = "s3")]
        Location::R2 { .. } | Location::S3 { .. } => {
            Box::pin(crate::bucket::s3::diagnose::run(location, settings, permits, platform, call))
                .await
        }
        _ => match read_one(location, settings, permits, platform, call).await {
            Ok(detail) => {
                vec![Finding { ok: true, what: "directory".to_owned(), detail, next: None }]
            }
            Err(error) => vec![Finding {
                ok: false,
                what: "directory".to_owned(),
                detail: match location {
                    Location::Directory { path } => {
                        format!("{}: {}", error.message(), path.display())
                    }
                    _ => error.message().to_owned(),
                },
                next: error.advice().map(str::to_owned),
            }],
        },
    }
}

/// Lists a page and reads a byte.
async fn read_one(
    location: &Location,
    settings: &Settings,
    permits: &Permits,
    platform: &Platform,
    call: &Call,
) -> Result<String> {
    let bucket = open(location, settings, permits, platform)?;
    let page = bucket.list(call, ListRequest::default()).await?;
    let more = if page.truncated { " and more" } else { "" };
    let count = format!("{} files{more} are listed", page.objects.len());
    match page.objects.into_iter().find(|object| object.size > 0) {
        Some(object) => {
            bucket.get(call, GetRequest { object, range: 0..1 }).await?;
            Ok(format!("{count}, and one was read"))
        }
        None => Ok(format!("{count}, none of them with content")),
    }
}

/// One thing that a diagnosis looked at. For the operator: it may name endpoint and bucket, so
/// it must not reach an agent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was looked at, in a few words.
    pub what: String,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    pub next: Option<String>,
}

/// A character for an error message: itself, or its code point where it would not show.
pub(crate) fn shown(c: char) -> String {
    if c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric() {
        format!("`{c}`")
    } else {
        format!("U+{:04X}", u32::from(c))
    }
}
