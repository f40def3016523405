//! Writes an index into a bucket, and can write nothing else.
//!
//! A bucket type with a `put` would hand every reader the means to destroy what it reads. A
//! [`Publisher`] is a type of its own, with a client and credentials of its own, that no
//! [`Bucket`](super::Bucket) leads to and no tool of the sandbox reaches. It knows one prefix, and
//! of that only the names that an index's files have: also under a root that was mistyped it
//! cannot touch an object of anybody else's.
//!
//! Publishers race. [`Publisher::put`] takes a [`Condition`], so that the later of two sees that
//! it lost; whether the server looks at conditions at all (Garage does not) is found out by
//! [`Publisher::probe_conditions`]. A repeated PUT whose first try came through without its answer
//! meets itself: what is there is then compared, and it counts as done.
//!
//! - [`directory`]: the same in a directory
//! - `s3::write`, `s3::upload`: over the S3 protocol

use std::path::Path;

use bytes::Bytes;

use super::{ETag, MAX_GET, Object, Permits, RESERVED};
use crate::{
    config::{Location, Settings},
    error::{Error, Kind, Result},
    platform::Platform,
};

#[cfg(feature = "local")]
mod directory;

/// When a PUT may take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// In any case.
    Always,
    /// Only where nothing has the name.
    Absent,
    /// Only over this version.
    Matches(ETag),
}

/// What became of a PUT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there, as this version.
    Done(ETag),
    /// The condition does not hold: another publisher was faster. Nothing was written.
    Lost,
}

/// What a server makes of the conditions of a PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditions {
    /// It holds to them: two publishers cannot destroy each other's work.
    Honoured,
    /// It writes whatever they say, or does not implement them.
    Ignored,
}

/// Told how many more bytes of a file have arrived.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// Writes the files of one index. See the module's head.
#[derive(Debug)]
pub struct Publisher {
    target: Target,
}

#[derive(Debug)]
enum Target {
    #[cfg(feature = "s3")]
    S3(Box<super::s3::write::S3Writer>),
    #[cfg(feature = "local")]
    Directory(directory::DirectoryWriter),
}

/// The same call on whichever kind it is.
macro_rules! on_target {
    ($publisher:expr, $writer:ident => $call:expr) => {
        match &$publisher.target {
            #[cfg(feature = "s3")]
            Target::S3($writer) => $call,
            #[cfg(feature = "local")]
            Target::Directory($writer) => $call,
        }
    };
}

impl Publisher {
    /// Writes under the reserved prefix of a location. Sends nothing.
    ///
    /// # Errors
    /// What opening a bucket there fails with.
    pub fn open(
        location: &Location,
        settings: &Settings,
        permits: &Permits,
        platform: &Platform,
    ) -> Result<Self> {
        Self::at(location, RESERVED, settings, permits, platform)
    }

    /// Writes under the root of a location that is given to the index (`--to`). Sends nothing; a
    /// directory is made when the first file is put.
    ///
    /// # Errors
    /// What opening a bucket there fails with.
    pub fn open_root(
        location: &Location,
        settings: &Settings,
        permits: &Permits,
        platform: &Platform,
    ) -> Result<Self> {
        Self::at(location, "", settings, permits, platform)
    }

    fn at(
        location: &Location,
        below: &str,
        settings: &Settings,
        permits: &Permits,
        platform: &Platform,
    ) -> Result<Self> {
        let target = match location {
            #[cfg(feature = "s3")]
            Location::R2 { .. } | Location::S3 { .. } => {
                let mut location = location.clone();
                if let Location::R2 { prefix, .. } | Location::S3 { prefix, .. } = &mut location {
                    prefix.push_str(below);
                }
                let writer =
                    super::s3::write::S3Writer::open(&location, settings, permits, platform)?;
                Target::S3(Box::new(writer))
            }
            #[cfg(feature = "local")]
            Location::Directory { path } => {
                Target::Directory(directory::DirectoryWriter::open(path, below, platform)?)
            }
            #[cfg(not(all(feature = "s3", feature = "local")))]
            _ => {
                let _ = (below, settings, permits);
                return Err(Error::new(
                    Kind::Config,
                    "this build cannot write to that kind of location",
                )
                .hint("build it with the features `s3` and `local`"));
            }
        };
        Ok(Self { target })
    }

    /// Puts a small file, of at most [`MAX_GET`] bytes.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] where the keys may not write, and what the request fails with. After an
    /// error of [`Kind::Unavailable`] it is not known whether the file was written.
    pub async fn put(&self, name: &str, bytes: Bytes, condition: Condition) -> Result<Outcome> {
        own(name)?;
        if bytes.len() as u64 > MAX_GET {
            return Err(Error::new(Kind::TooLarge, "the file is too large to be put at once")
                .hint("put it from a file"));
        }
        on_target!(self, writer => writer.put(name, bytes, &condition).await)
    }

    /// Puts the file at `path` of this machine, of any length, in whatever way its length asks
    /// for. `progress` is told of bytes as they are through. One that is sent in parts is put
    /// whatever the condition says (not every server knows conditions there): that is safe for a
    /// name that nothing else has.
    ///
    /// # Errors
    /// [`Kind::Io`] where the file cannot be read, and as [`put`](Self::put). What had begun of a
    /// large one is given up.
    pub async fn put_file(
        &self,
        name: &str,
        path: &Path,
        condition: &Condition,
        progress: Progress<'_>,
    ) -> Result<Outcome> {
        own(name)?;
        on_target!(self, writer => writer.put_file(name, path, condition, progress).await)
    }

    /// A file, whole, with its version; `None` where there is none. `max` as for
    /// [`Bucket::peek`](super::Bucket::peek).
    ///
    /// # Errors
    /// As [`Bucket::peek`](super::Bucket::peek).
    pub async fn get(&self, name: &str, max: u64) -> Result<Option<(Object, Bytes)>> {
        own(name)?;
        on_target!(self, writer => writer.get(name, max).await)
    }

    /// Deletes a file. That it is not there is no error.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] where the keys may not delete, and what the request fails with.
    pub async fn delete(&self, name: &str) -> Result<()> {
        own(name)?;
        on_target!(self, writer => writer.delete(name).await)
    }

    /// Every file that an index may have written, by name; also what a publisher that was killed
    /// has left.
    ///
    /// # Errors
    /// What listing fails with.
    pub async fn list(&self) -> Result<Vec<Object>> {
        let mut all = on_target!(self, writer => writer.list().await)?;
        all.retain(|object| own(&object.key).is_ok());
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all.dedup_by(|a, b| a.key == b.key);
        Ok(all)
    }

    /// Whether the place is a directory of somebody else's: it has a file that no index has. What a
    /// bucket holds beside an index is not asked.
    ///
    /// # Errors
    /// What reading the directory fails with.
    pub async fn holds_others(&self) -> Result<bool> {
        match &self.target {
            #[cfg(feature = "s3")]
            Target::S3(_) => Ok(false),
            #[cfg(feature = "local")]
            Target::Directory(writer) => writer.holds_others().await,
        }
    }

    /// Gives up multipart uploads that began before this moment (milliseconds since the Unix
    /// epoch), which a publisher that was killed has left: storage for them is billed and no
    /// listing shows them. How many there were.
    ///
    /// # Errors
    /// What the requests fail with; [`Kind::Protocol`] where the server cannot list uploads.
    pub async fn abort_uploads(&self, before: i64) -> Result<u64> {
        on_target!(self, writer => writer.abort_uploads(before).await)
    }

    /// Finds out what the server makes of conditions, by an object that is deleted afterwards.
    /// Five requests. One that is dropped half-way leaves the object to [`list`](Self::list).
    ///
    /// # Errors
    /// What writing or deleting fails with.
    pub async fn probe_conditions(&self) -> Result<Conditions> {
        let name = format!("{PROBE}{:032x}", unique());
        let found = self.probe(&name).await;
        let cleaned = self.delete(&name).await;
        let found = found?;
        cleaned?;
        Ok(found)
    }

    async fn probe(&self, name: &str) -> Result<Conditions> {
        let put = |text: &'static str, condition| async move {
            match self.put(name, Bytes::from_static(text.as_bytes()), condition).await {
                Ok(outcome) => Ok(Some(outcome)),
                // The server says that it does not know conditions: it will not hold to them.
                Err(error) if error.kind() == Kind::Protocol => Ok(None),
                Err(error) => Err(error),
            }
        };
        let Some(Outcome::Done(first)) = put("first", Condition::Absent).await? else {
            return Ok(Conditions::Ignored);
        };
        let refused = put("second", Condition::Absent).await? == Some(Outcome::Lost);
        let wrong = Condition::Matches(ETag("00000000000000000000000000000000".into()));
        let refused = refused && put("third", wrong).await? == Some(Outcome::Lost);
        let right = Condition::Matches(first);
        let honoured = refused && matches!(put("fourth", right).await?, Some(Outcome::Done(_)));
        Ok(if honoured { Conditions::Honoured } else { Conditions::Ignored })
    }
}

/// What the names of throw-away files begin with.
const PROBE: &str = "probe-";

/// What the names of files that are not whole yet begin with.
#[cfg(feature = "local")]
const PART: &str = "part-";

/// A number that nobody else has.
fn unique() -> u128 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // Seeded by the system for each process, and different for each call: enough for a name.
    let random = || u128::from(RandomState::new().build_hasher().finish());
    random() << 64 | random()
}

/// Whether a file of this name can be an index's: `manifest….json`, `<32 hex digits>.seg`, and the
/// names of what is thrown away.
///
/// # Errors
/// [`Kind::InvalidArgument`] for any other: a publisher writes and deletes nothing else.
pub(in crate::bucket) fn own(name: &str) -> Result<()> {
    let plain = |text: &str| {
        text.len() <= 100
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let hex = |text: &str| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let is = |start: &str, end: &str, rule: &dyn Fn(&str) -> bool| {
        name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).is_some_and(rule)
    };
    if is("manifest", ".json", &plain)
        || is("", ".seg", &hex)
        || is(PROBE, "", &hex)
        || is("part-", "", &plain)
    {
        return Ok(());
    }
    Err(Error::new(Kind::InvalidArgument, "no file of an index has this name"))
}

#[cfg(test)]
mod tests {
    use super::own;

    #[test]
    fn only_names_of_an_index_may_be_written() {
        let hex = "0123456789abcdef0123456789abcdef";
        for name in [
            "manifest.json".to_owned(),
            "manifest-2-of-8.json".to_owned(),
            format!("{hex}.seg"),
            format!("probe-{hex}"),
        ] {
            assert!(own(&name).is_ok(), "{name}");
        }
        for name in [
            "",
            "readme.md",
            "manifest",
            "manifest.json/",
            "manifest/../x.json",
            "a/manifest.json",
            "../manifest.json",
            "0123.seg",
            &format!("{hex}.md"),
            &format!("x{hex}.seg"),
            &format!("probe-{hex}x"),
            "part-\u{e9}",
            "part-a/b",
        ] {
            assert!(own(name).is_err(), "{name}");
        }
    }
}
