//! Which buckets stand where: from options, a configuration file and the environment.
//!
//! Three sources that all name buckets invite silent mixing. Here an option adds to the file, `-b`
//! is short for a mount at `/`, and the environment counts only where nothing else was said, so
//! that a variable left in a shell never hides or joins what was typed.

use std::{fs, io::Read, ops::Range, path::Path};

use serde::Deserialize;

use super::super::{args::Common, usage::wrong};
use crate::{
    config::{Location, Overrides, Settings},
    error::{Error, Kind, Result},
};

/// A bucket to open and where it stands.
#[derive(Debug)]
pub(in crate::cli) struct MountPlan {
    /// As given: `/`, `/kb` or `/kb/`.
    pub point: String,
    pub location: Location,
    pub settings: Settings,
}

/// The name of the variable that stands in for `-b`.
const BUCKET: &str = "R2VFS_BUCKET";
/// A configuration file holds a few lines; more is another file given by mistake.
const MAX_CONFIG: u64 = 1 << 20;

/// # Errors
/// [`Kind::Config`] where a location or the file is wrong, or nothing names a bucket.
pub(super) fn plan(
    common: &Common,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<MountPlan>> {
    let environment = Settings::from_env(lookup);
    let options = |settings: Settings| {
        settings.with(Overrides {
            endpoint: common.endpoint.clone(),
            region: common.region.clone(),
            profile: common.profile.clone(),
            anonymous: common.anonymous,
        })
    };
    let mount = |point: &str, location: &str| {
        Ok(MountPlan {
            point: point.to_owned(),
            location: Location::parse(location).map_err(|error| about(point, error))?,
            settings: options(environment.clone()),
        })
    };
    let mut plans = Vec::new();
    if let Some(file) = &common.config {
        for entry in read(file)? {
            if !entry.point.starts_with('/') {
                let message = format!("{}: a point does not start with `/`", file.display());
                return Err(
                    Error::new(Kind::Config, message).hint("write it as in point = \"/kb\"")
                );
            }
            let mut location = Location::parse(&entry.location).map_err(|error| {
                let message = format!("{}: {}: {}", file.display(), entry.point, error.message());
                match error.advice() {
                    Some(advice) => Error::new(error.kind(), message).hint(advice),
                    None => Error::new(error.kind(), message),
                }
            })?;
            // A path in a file is relative to the file, wherever the command is started.
            if let (Location::Directory { path }, Some(home)) = (&mut location, file.parent()) {
                *path = home.join(&*path);
            }
            let settings = environment.clone().with(Overrides {
                endpoint: entry.endpoint,
                region: entry.region,
                profile: entry.profile,
                anonymous: entry.anonymous,
            });
            plans.push(MountPlan { point: entry.point, location, settings: options(settings) });
        }
    }
    for text in &common.mount {
        // The text itself is not repeated: it holds the name of a bucket, perhaps in the wrong place.
        let refused = |what: &str| {
            wrong(format!("--mount {what}"))
                .hint("write --mount /POINT=LOCATION, as in --mount /kb=r2://support")
        };
        if !text.starts_with('/') {
            return Err(refused("does not start with the `/` of a mount point"));
        }
        let Some((point, location)) = text.split_once('=') else {
            return Err(refused("names no location"));
        };
        plans.push(mount(point, location)?);
    }
    if let Some(location) = &common.bucket {
        plans.push(mount("/", location)?);
    }
    if plans.is_empty() {
        let Some(location) = lookup(BUCKET).filter(|location| !location.is_empty()) else {
            return Err(Error::new(Kind::Config, "no bucket was named").hint(
                "add -b r2://BUCKET, -b s3://BUCKET/PREFIX or -b DIRECTORY, or set R2VFS_BUCKET",
            ));
        };
        plans.push(mount("/", &location)?);
    }
    Ok(plans)
}

/// A location's error, with the mount that it is about.
fn about(point: &str, error: Error) -> Error {
    if point == "/" { error } else { error.at(point) }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    mount: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    point: String,
    location: String,
    endpoint: Option<String>,
    region: Option<String>,
    profile: Option<String>,
    #[serde(default)]
    anonymous: bool,
}

fn read(file: &Path) -> Result<Vec<Entry>> {
    let shown = file.display();
    let hint = "give --config a TOML file with [[mount]] tables that hold a point and a location";
    let unreadable = |error: std::io::Error| {
        Error::new(Kind::Config, format!("{shown} cannot be read: {error}"))
            .because(error)
            .hint(hint)
    };
    let mut text = String::new();
    fs::File::open(file)
        .and_then(|opened| opened.take(MAX_CONFIG + 1).read_to_string(&mut text))
        .map_err(unreadable)?;
    if text.len() as u64 > MAX_CONFIG {
        return Err(Error::new(Kind::Config, format!("{shown} is larger than 1 MiB")).hint(hint));
    }
    let parsed: ConfigFile = toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| line_of(&text, span));
        let place = line.map_or_else(String::new, |line| format!(" line {line}:"));
        let what = error.message().lines().collect::<Vec<_>>().join(", ");
        Error::new(Kind::Config, format!("{shown}:{place} {what}")).hint(hint)
    })?;
    if parsed.mount.is_empty() {
        return Err(Error::new(Kind::Config, format!("{shown} has no mount")).hint(hint));
    }
    Ok(parsed.mount)
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    text.as_bytes().iter().take(span.start).filter(|&&byte| byte == b'\n').count() + 1
}
