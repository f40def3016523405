//! The one public error.
//!
//! An error that names the layer it came from ("S3 error", "IO error") leaves the caller
//! guessing. [`Error`] carries a [`Kind`] named by what the caller can do about it, the path it
//! is about, one sentence on what was wrong, one on what to do next, and the source.
//!
//! Nothing in an error's text may name an endpoint, a bucket, a prefix outside the root, or a
//! credential: an agent reads it.

use std::{error::Error as StdError, fmt, sync::Arc};

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// A path is malformed or not in its canonical spelling; the hint has the right one.
    InvalidPath,
    /// A regex or a glob does not parse, or compiles to more than the limit.
    InvalidPattern,
    /// An argument is out of bounds or contradicts another.
    InvalidArgument,
    /// A location, a mount, a configuration file or an environment variable is wrong.
    Config,
    /// Nothing is at this path; the hint has the nearest names.
    NotFound,
    /// There is no index, or none that can be used, where only an index can answer: make one.
    NoIndex,
    /// The path is a directory where a file is wanted, or the other way about.
    WrongType,
    /// The bucket itself does not exist.
    NoBucket,
    /// No credentials were found, or the server does not know them.
    Credentials,
    /// The credentials are valid and do not allow this.
    Forbidden,
    /// The object changed while it was read; ask again.
    Changed,
    /// The object is in an archive class and must be restored first.
    Archived,
    /// A bound was reached: an object, a line, a decompression or an answer is too large.
    TooLarge,
    /// The bytes are not what their name or header says (a broken gzip stream).
    Undecodable,
    /// The server failed or throttled after all retries; try later.
    Unavailable,
    /// The deadline passed.
    Deadline,
    /// The budget of requests or bytes is spent.
    Budget,
    /// The endpoint answers with something that is not the S3 protocol, or breaks its rules.
    Protocol,
    /// The caller stopped the work.
    Cancelled,
    /// The local system failed (disk full, permission on a cache directory).
    Io,
}

/// An error with its kind, path, cause and what to do next. Cheap to clone.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    message: String,
    path: Option<String>,
    hint: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// `message` says what was wrong, without a final full stop and without the path.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            path: None,
            hint: None,
            source: None,
        }))
    }

    fn edit(mut self, f: impl FnOnce(&mut Inner)) -> Self {
        f(Arc::make_mut(&mut self.0));
        self
    }

    /// The path (in its canonical spelling) that the error is about. The innermost one wins.
    #[must_use]
    pub fn at(self, path: impl Into<String>) -> Self {
        if self.0.path.is_some() {
            return self;
        }
        self.edit(|e| e.path = Some(path.into()))
    }

    /// What to do next, as a sentence without a final full stop.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.edit(|e| e.hint = Some(hint.into()))
    }

    /// The cause, for `Error::source` chains and logs; never part of the message.
    #[must_use]
    pub fn because(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.edit(|e| e.source = Some(Arc::new(source)))
    }

    /// What the caller can act on.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What was wrong, alone.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The canonical path it is about.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// What to do next.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

/// By what a caller sees; the source may be of any type and does not count.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.0, &other.0);
        (a.kind, &a.message, &a.path, &a.hint) == (b.kind, &b.message, &b.path, &b.hint)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.0.path {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(hint) = &self.0.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("path", &self.0.path)
            .field("message", &self.0.message)
            .field("hint", &self.0.hint)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}
