//! Which buckets stand where: from options, a configuration file and the environment.
//!
//! Three sources that all name buckets invite silent mixing. Here an option adds to the file, `-b`
//! is short for a mount at `/`, and the environment counts only where nothing else was said, so
//! that a variable left in a shell never hides or joins what was typed.

use std::path::Path;

use serde::Deserialize;

use super::super::{args::Common, usage::wrong};
use crate::{
    config::{
        Location, Overrides, Settings,
        file::{MountTable, parse, read, reworded},
    },
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

/// An error of opening `location`, with the path that was typed: inward of the command line, where
/// agents are answered, none is told.
pub(in crate::cli) fn naming(error: Error, location: &Location) -> Error {
    match location {
        Location::Directory { path } => {
            let message = format!("{}: {}", error.message(), path.display());
            reworded(&error, error.kind(), message)
        }
        _ => error,
    }
}

/// The name of the variable that stands in for `-b`.
const BUCKET: &str = "R2VFS_BUCKET";
/// The most MiB of a configuration file, which holds a few lines.
const MAX_MIB: u64 = 1;

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
        let home = file.parent().unwrap_or(Path::new(""));
        for table in tables(file)? {
            let named = table.plan(home).map_err(|error| {
                let message = format!("{}: {}", file.display(), error.message());
                reworded(&error, error.kind(), message)
            })?;
            let settings = options(environment.clone().with(named.overrides));
            plans.push(MountPlan { point: named.point, location: named.location, settings });
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
    mount: Vec<MountTable>,
}

fn tables(file: &Path) -> Result<Vec<MountTable>> {
    let shown = file.display();
    let hint = "give --config a TOML file with [[mount]] tables that hold a point and a location";
    let text = read(file, MAX_MIB, hint)?;
    // Both kinds of file are given to an option of the same name.
    let serves = |table: &toml::Table| table.contains_key("tenant") || table.contains_key("server");
    if toml::from_str(&text).is_ok_and(|table| serves(&table)) {
        let what = format!("{shown} is a configuration of `r2vfs serve`, with tenants and tokens");
        return Err(Error::new(Kind::Config, what).hint(hint));
    }
    let parsed: ConfigFile = parse(file, &text, hint)?;
    if parsed.mount.is_empty() {
        return Err(Error::new(Kind::Config, format!("{shown} has no mount")).hint(hint));
    }
    Ok(parsed.mount)
}
