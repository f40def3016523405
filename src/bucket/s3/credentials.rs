//! Which keys sign the requests.
//!
//! The SDK's default chain tries half a dozen sources one after the other, web requests to
//! instance metadata among them, and says "no credentials" in the end. [`find`] asks variables
//! and profile files only, never passes over a source that is half there, and names everything
//! it looked at.

use std::{fs::File, io::Read, path::PathBuf};

use aws_credential_types::Credentials;
use aws_runtime::env_config::{
    file::{EnvConfigFileKind, EnvConfigFiles},
    property::PropertiesKey,
    section::EnvConfigSections,
    source,
};
use aws_types::os_shim_internal::{Env, Fs};
use futures_util::FutureExt;

use crate::{
    config::{Given, Keys, Location, Settings, endpoint::ProfileHints},
    error::{Error, Kind, Result},
};

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// `None`: requests are not signed.
    pub(super) keys: Option<Credentials>,
    /// Where the keys come from, in words.
    pub(super) from: String,
    /// Endpoint and region of the profile.
    pub(super) hints: ProfileHints,
}

/// Profile files are a few hundred bytes; more than this is some other file.
const LARGEST_FILE: u64 = 1 << 20;

/// Keys of a profile that ask for a source which is not supported (docs/LOCATIONS.md).
const UNSUPPORTED: [&str; 9] = [
    "role_arn",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
    "credential_process",
    "sso_session",
    "sso_account_id",
    "sso_start_url",
    "login_session",
];

/// Looks for keys: `--profile`, then variables (for R2 its own before AWS's), then `AWS_PROFILE`
/// or the profile `default`.
///
/// # Errors
/// [`Kind::Credentials`] when there are none or they are half there, [`Kind::Config`] when a
/// profile file cannot be read.
pub(super) fn find(location: &Location, settings: &Settings) -> Result<Found> {
    let r2 = matches!(location, Location::R2 { .. });
    let profiles = &settings.profiles;
    let in_variables = match &profiles.chosen {
        Some(_) => None,
        None if r2 && !settings.r2_keys.is_empty() => {
            Some(&settings.r2_keys).map(|keys| (keys, ["R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY"]))
        }
        None if !settings.aws_keys.is_empty() => Some(&settings.aws_keys)
            .map(|keys| (keys, ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])),
        None => None,
    };
    let keys = match in_variables {
        Some((keys, names)) => Some((from_variables(keys, names)?, names[0].to_owned())),
        None => None,
    };
    // The files are opened only for what is still missing: keys, or the endpoint of a plain S3
    // location. A broken file that nobody needs stops nobody.
    let wanted = profiles.chosen.is_some()
        || (keys.is_none() && !settings.anonymous)
        || (!r2 && settings.endpoint.is_none() && settings.variable_endpoint.is_none())
        || (!r2 && settings.region.is_none());
    let profile = if wanted { Profile::read(settings)? } else { Profile::default() };
    let hints = profile.hints.clone();
    if settings.anonymous {
        return Ok(Found { keys: None, from: "none (anonymous)".to_owned(), hints });
    }
    if let Some((keys, name)) = keys {
        return Ok(Found { keys: Some(keys), from: format!("the variable {name}"), hints });
    }
    match profile.keys()? {
        Some(keys) => Ok(Found { keys: Some(keys), from: profile.words(), hints }),
        None => Err(nothing(r2, settings, &profile)),
    }
}

fn from_variables(keys: &Keys, names: [&str; 2]) -> Result<Credentials> {
    let (Some(id), Some(secret)) = (&keys.id, &keys.secret) else {
        let (here, missing) = match &keys.id {
            Some(_) => (names[0], names[1]),
            None => (names[1], names[0]),
        };
        return Err(credentials(format!("{here} is set and {missing} is not"))
            .hint("set both, or neither to use a profile"));
    };
    for given in [Some(id), Some(secret), keys.token.as_ref()].into_iter().flatten() {
        // A line break copied along makes a signature that fits nothing, and no server says why.
        if !given.value.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(credentials(format!(
                "{} holds a space, a line break or another character that no key has",
                given.from
            ))
            .hint("copy it again, without what stands before or after it"));
        }
    }
    let token = keys.token.as_ref().map(|given| given.value.clone());
    Ok(Credentials::new(&id.value, &secret.value, token, None, "variables"))
}

/// One profile of the files.
#[derive(Debug, Default)]
struct Profile {
    sections: EnvConfigSections,
    /// `None`: the profile `default`, which need not be there.
    named: Option<Given>,
    files: Vec<&'static str>,
    hints: ProfileHints,
}

impl Profile {
    fn read(settings: &Settings) -> Result<Self> {
        let profiles = &settings.profiles;
        // Without any file the builder panics, so it is given an empty one.
        let mut builder =
            EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, String::new());
        let mut files = Vec::new();
        for (kind, given, default, shown) in [
            (EnvConfigFileKind::Config, &profiles.config_file, "config", "~/.aws/config"),
            (
                EnvConfigFileKind::Credentials,
                &profiles.credentials_file,
                "credentials",
                "~/.aws/credentials",
            ),
        ] {
            let home = profiles.home.as_ref().map(|given| PathBuf::from(&given.value));
            let (path, from, must_be) = match (given, home) {
                (Some(given), Some(home)) => match given.value.strip_prefix("~/") {
                    Some(rest) => (home.join(rest), given.from, true),
                    None => (PathBuf::from(&given.value), given.from, true),
                },
                (Some(given), None) => (PathBuf::from(&given.value), given.from, true),
                (None, Some(home)) => (home.join(".aws").join(default), shown, false),
                (None, None) => continue,
            };
            if let Some(text) = read_file(&path, from, must_be)? {
                files.push(from);
                builder = builder.with_contents(kind, text);
            }
        }
        let named = profiles.chosen.clone().or_else(|| profiles.variable.clone());
        let name = named.as_ref().map_or("default", |given| &given.value);
        let sections = parse(builder.build(), name)?;
        if let Some(given) = &named
            && sections.get_profile(&given.value).is_none()
        {
            return Err(credentials(format!("{} names a profile that is not there", given.from))
                .hint(if files.is_empty() {
                    "there is no profile file: write ~/.aws/credentials, or unset it".to_owned()
                } else {
                    format!("add it to {}, or name another", files.join(" or "))
                }));
        }
        let mut profile = Self { sections, named, files, hints: ProfileHints::default() };
        let given = |value: &str| Given { value: value.to_owned(), from: "the profile" };
        profile.hints = ProfileHints {
            endpoint: profile.s3_endpoint().map(given),
            region: profile.sections.get("region").map(given),
        };
        Ok(profile)
    }

    /// `endpoint_url` of the `[services]` section that the profile points at, or its own.
    fn s3_endpoint(&self) -> Option<&str> {
        let of_service = || {
            let key = PropertiesKey::builder()
                .section_key("services")
                .section_name(self.sections.get("services")?)
                .property_name("s3")
                .sub_property_name("endpoint_url")
                .build()
                .ok()?;
            self.sections.other_sections().get(&key).map(String::as_str)
        };
        of_service().or_else(|| self.sections.get("endpoint_url"))
    }

    fn keys(&self) -> Result<Option<Credentials>> {
        let get = |name| self.sections.get(name).filter(|value| !value.is_empty());
        let pair = (get("aws_access_key_id"), get("aws_secret_access_key"));
        let unsupported = UNSUPPORTED.into_iter().find(|name| get(name).is_some());
        match (pair, unsupported) {
            // A role is assumed *with* the keys beside it, so the keys alone are the wrong ones.
            ((Some(id), Some(secret)), None | Some("sso_session" | "sso_account_id")) => {
                if [id, secret].iter().any(|key| !key.bytes().all(|b| b.is_ascii_graphic())) {
                    return Err(credentials("the keys of the profile hold a space".to_owned())
                        .hint("copy them again"));
                }
                let token = get("aws_session_token").map(str::to_owned);
                Ok(Some(Credentials::new(id, secret, token, None, "profile")))
            }
            (_, Some(name)) => Err(credentials(format!(
                "the profile takes its keys from a source that is not supported (`{name}`)"
            ))
            .hint(
                "run `aws configure export-credentials --format env` with that profile and set \
                 what it prints, or name a profile with keys of its own",
            )),
            ((None, None), None) => Ok(None),
            ((Some(_), None), None) => Err(half("aws_secret_access_key")),
            ((None, Some(_)), None) => Err(half("aws_access_key_id")),
        }
    }

    fn words(&self) -> String {
        let files = self.files.join(" and ");
        match &self.named {
            Some(given) => format!("the profile that {} names ({files})", given.from),
            None => format!("the profile `default` ({files})"),
        }
    }
}

fn parse(files: EnvConfigFiles, profile: &str) -> Result<EnvConfigSections> {
    let environment = Env::from_slice(&[("AWS_PROFILE", profile)]);
    let malformed = |what: String| {
        Error::new(Kind::Config, what).hint(
            "a profile file has lines `[profile NAME]` and `NAME = VALUE`; look in ~/.aws/config, \
             then in ~/.aws/credentials",
        )
    };
    // The contents are already here, so nothing in this future ever waits or fails.
    let source = match source::load(&environment, &Fs::from_slice(&[]), &files).now_or_never() {
        Some(Ok(source)) => source,
        Some(Err(_)) | None => return Err(malformed("the profile files cannot be loaded".into())),
    };
    EnvConfigSections::parse(source).map_err(|error| {
        let text = error.to_string();
        let line = text.split_once(" on line ").map_or("", |(_, rest)| rest);
        let number: String = line.chars().take_while(char::is_ascii_digit).collect();
        malformed(format!("line {number} of a profile file does not parse"))
    })
}

fn read_file(path: &PathBuf, from: &'static str, must_be: bool) -> Result<Option<String>> {
    let failed = |what: &str, error: std::io::Error| {
        Error::new(Kind::Config, format!("the profile file of {from} {what}"))
            .hint("check its path and its permissions")
            .because(error)
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_be => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(failed("is not there", error));
        }
        Err(error) => return Err(failed("cannot be opened", error)),
    };
    let mut text = String::new();
    file.take(LARGEST_FILE + 1)
        .read_to_string(&mut text)
        .map_err(|error| failed("cannot be read as text", error))?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(Error::new(Kind::Config, format!("the profile file of {from} is too large"))
            .hint("name a file of at most 1 MiB"));
    }
    Ok(Some(text))
}

fn half(missing: &str) -> Error {
    credentials(format!("the profile has one of the two keys, and no {missing}"))
        .hint("add it, or take the other away")
}

fn nothing(r2: bool, settings: &Settings, profile: &Profile) -> Error {
    let mut looked = Vec::new();
    if settings.profiles.chosen.is_none() {
        if r2 {
            looked.push("R2_ACCESS_KEY_ID");
        }
        looked.push("AWS_ACCESS_KEY_ID");
    }
    if profile.files.is_empty() {
        looked.push("~/.aws/credentials (no file)");
    }
    looked.extend(&profile.files);
    let mut message = format!("no credentials were found in {}", looked.join(", "));
    if let Some(name) = settings.unsupported.first() {
        message.push_str(&format!("; {name} is set, and that source is not supported"));
    }
    let pair = if r2 {
        "R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY"
    } else {
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    };
    credentials(message).hint(format!(
        "set {pair}, name a profile with --profile, or pass --anonymous for a public bucket"
    ))
}

fn credentials(message: String) -> Error {
    Error::new(Kind::Credentials, message)
}

#[cfg(test)]
mod tests;
