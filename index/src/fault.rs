//! Why an index cannot be used or written. A reader answers every kind by searching the bucket
//! itself and saying so; a builder stops and keeps what was committed.

use std::{error::Error, fmt, sync::Arc};

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Fault>;

/// What is wrong, by what a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// There is no index, or a file that it names is not there: build, or open the manifest again.
    Missing,
    /// A checksum, a length or a structure is wrong: build anew.
    Damaged,
    /// It was written by another version of this crate: build anew.
    Format,
    /// It is the index of another bucket: name another directory.
    Foreign,
    /// Another process writes to it: wait.
    Locked,
    /// There is no room left on the disk: make room and go on.
    Full,
    /// Reading or writing its files failed; the source tells more.
    Io,
    /// What was handed in cannot be indexed or asked for.
    Invalid,
}

/// See [`FaultKind`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: FaultKind,
    detail: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault with what is wrong in words.
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), source: None }
    }

    /// The same with the error behind it.
    #[must_use]
    pub fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// In words, without the error behind it.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

/// A full disk is told apart, because making room helps.
impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::QuotaExceeded
            | std::io::ErrorKind::FileTooLarge => FaultKind::Full,
            std::io::ErrorKind::NotFound => FaultKind::Missing,
            std::io::ErrorKind::UnexpectedEof => FaultKind::Damaged,
            _ => FaultKind::Io,
        };
        let detail = match kind {
            FaultKind::Full => "there is no room left on the disk for the index",
            FaultKind::Missing => "a file of the index is not there",
            FaultKind::Damaged => "a file of the index is cut short",
            _ => "a file of the index cannot be read or written",
        };
        Self::new(kind, detail).because(error)
    }
}
