//! Configuration files: bounded, strict, and with the line of what is wrong.
//!
//! The command line and the server read different files with the same `mount` tables; rules of
//! their own in each would let one file mean two things. [`parse`] and [`MountTable`] are for both.

use std::{fs, io::Read, path::Path};

use serde::{Deserialize, de::DeserializeOwned};

use super::{Location, Overrides};
use crate::error::{Error, Kind, Result};

/// A bucket that a file names.
#[derive(Clone, Debug, PartialEq)]
pub struct MountPlan {
    /// Where it stands: `/`, or `/kb`.
    pub point: String,
    /// Where it is.
    pub location: Location,
    /// What is different from the environment.
    pub overrides: Overrides,
}

/// A `mount` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MountTable {
    point: String,
    location: String,
    endpoint: Option<String>,
    region: Option<String>,
    profile: Option<String>,
    #[serde(default)]
    anonymous: bool,
}

impl MountTable {
    /// What the table says, in a file that lies in `home`.
    pub(crate) fn plan(self, home: &Path) -> Result<MountPlan> {
        let Self { point, location, endpoint, region, profile, anonymous } = self;
        if !point.starts_with('/') {
            return Err(Error::new(Kind::Config, "a point does not start with `/`")
                .hint("write it as in point = \"/kb\""));
        }
        let parsed = Location::parse(&location);
        let mut location = parsed.map_err(|error| {
            reworded(&error, error.kind(), format!("{point}: {}", error.message()))
        })?;
        // A path in a file is relative to the file, wherever the program is started.
        if let Location::Directory { path } = &mut location {
            *path = home.join(&*path);
        }
        let overrides = Overrides { endpoint, region, profile, anonymous };
        Ok(MountPlan { point, location, overrides })
    }
}

/// The text of a file of at most `mib` MiB; a larger one was given by mistake. `hint` says what the
/// file should be.
pub(crate) fn read(file: &Path, mib: u64, hint: &str) -> Result<String> {
    let shown = file.display();
    let max = mib << 20;
    let mut text = String::new();
    fs::File::open(file)
        .and_then(|opened| opened.take(max + 1).read_to_string(&mut text))
        .map_err(|error| {
            Error::new(Kind::Config, format!("{shown} cannot be read: {error}"))
                .because(error)
                .hint(hint)
        })?;
    if text.len() as u64 > max {
        let what = format!("{shown} is larger than {mib} MiB");
        return Err(Error::new(Kind::Config, what).hint(hint));
    }
    Ok(text)
}

/// The tables of `text`, or the line that is not as it should be.
pub(crate) fn parse<T: DeserializeOwned>(file: &Path, text: &str, hint: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let line = |end: usize| text.as_bytes()[..end].iter().filter(|&&b| b == b'\n').count() + 1;
        let span = error.span().map(|span| line(span.start.min(text.len())));
        let place = span.map_or_else(String::new, |line| format!(" line {line}:"));
        let what = error.message().lines().collect::<Vec<_>>().join(", ");
        Error::new(Kind::Config, format!("{}:{place} {what}", file.display())).hint(hint)
    })
}

/// An error in other words, with the advice of the first.
pub(crate) fn reworded(error: &Error, kind: Kind, message: String) -> Error {
    let other = Error::new(kind, message);
    match error.advice() {
        Some(advice) => other.hint(advice),
        None => other,
    }
}
