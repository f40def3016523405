//! Which objects a search walks to.
//!
//! `-g`, `-t` and `--max-filesize` look like three filters over a path, and are not: ripgrep asks
//! its override globs of every directory on the way down (so that `-g '!docs'` leaves all below
//! it), does not ask them of the directory where the walk starts, and does not ask the types at
//! all where a glob has already spoken. [`Selection`] asks ripgrep's own crate in that order.

use std::sync::Mutex;

use ignore::{
    Match,
    overrides::{Override, OverrideBuilder},
    types::{Types, TypesBuilder},
};
use serde::{Deserialize, Serialize};

use super::heads;
use crate::error::{Error, Kind, Result};

/// Bytes of all globs together; their automata grow with them.
const MAX_BYTES: usize = 64 << 10;

/// What a walk selects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectionOptions {
    /// `-g`, in gitignore's syntax; the last that matches decides, `!` excludes.
    pub globs: Vec<String>,
    /// `--iglob`: the same for letters in either case; after all of `globs`.
    pub iglobs: Vec<String>,
    /// `--glob-case-insensitive`: `globs` are as `iglobs`.
    pub glob_case_insensitive: bool,
    /// `-t`: file types to select.
    pub types: Vec<String>,
    /// `-T`: file types to leave out; after all of `types`.
    pub types_not: Vec<String>,
    /// `--type-clear`: forgets the globs of a type, before `type_add`.
    pub type_clear: Vec<String>,
    /// `--type-add`: `name:glob` or `name:include:other,…`.
    pub type_add: Vec<String>,
    /// `--max-filesize`, in bytes.
    pub max_filesize: Option<u64>,
}

impl SelectionOptions {
    /// Compiles the globs and types.
    ///
    /// # Errors
    /// [`Kind::InvalidPattern`] for a glob (with the column, counted in characters from 1),
    /// [`Kind::InvalidArgument`] for a type.
    pub fn build(&self) -> Result<Selection> {
        let bytes: usize = self.globs.iter().chain(&self.iglobs).map(String::len).sum();
        if bytes > MAX_BYTES {
            return Err(Error::new(
                Kind::InvalidPattern,
                format!("the globs hold {bytes} bytes, more than {MAX_BYTES}"),
            )
            .hint("ask with fewer globs at a time"));
        }
        Ok(Selection {
            overrides: self.overrides()?,
            types: self.types()?,
            max_filesize: self.max_filesize,
            last: Mutex::new(Directories::default()),
        })
    }

    fn overrides(&self) -> Result<Override> {
        // Paths are handed over without their leading slash, as if the root were the current
        // directory: the root "." is the one that the crate never strips from a path.
        let mut builder = OverrideBuilder::new(".");
        let wrong = |glob: &str, error: ignore::Error| {
            let what = match &error {
                ignore::Error::Glob { err, .. } => err.clone(),
                other => other.to_string(),
            };
            let column = heads::fault_column(glob);
            Error::new(
                Kind::InvalidPattern,
                format!("the glob {glob:?} is wrong at column {column}: {what}"),
            )
            .hint("put a backslash before a special character that is meant literally")
            .because(error)
        };
        let mut add = |globs: &[String], caseless: bool| -> Result<()> {
            for glob in globs {
                if let Some(column) = heads::too_deep(glob) {
                    let most = heads::MAX_DEPTH;
                    let message = format!(
                        "the glob is wrong at column {column}: braces are nested more than {most} \
                         deep"
                    );
                    return Err(Error::new(Kind::InvalidPattern, message)
                        .hint("write the alternatives as several globs"));
                }
                builder
                    .case_insensitive(caseless)
                    .and_then(|b| b.add(glob))
                    .map_err(|e| wrong(glob, e))?;
            }
            Ok(())
        };
        add(&self.globs, self.glob_case_insensitive)?;
        add(&self.iglobs, true)?;
        builder.build().map_err(|error| {
            Error::new(Kind::InvalidPattern, "the globs do not compile").because(error)
        })
    }

    fn types(&self) -> Result<Types> {
        let mut builder = TypesBuilder::new();
        builder.add_defaults();
        for name in &self.type_clear {
            builder.clear(name);
        }
        for definition in &self.type_add {
            builder.add_def(definition).map_err(|error| {
                Error::new(
                    Kind::InvalidArgument,
                    format!("the file type definition {definition:?} is wrong"),
                )
                .hint("write name:glob (web:*.html) or name:include:type,type; a name has only letters and digits")
                .because(error)
            })?;
        }
        for name in &self.types {
            builder.select(name);
        }
        for name in &self.types_not {
            builder.negate(name);
        }
        builder.build().map_err(|error| match &error {
            ignore::Error::UnrecognizedFileType(name) => {
                let message = format!("the file type {name:?} is not known");
                Error::new(Kind::InvalidArgument, message)
                    .hint("--type-list shows the known ones, --type-add makes a new one")
            }
            _ => Error::new(Kind::InvalidArgument, format!("a file type is wrong: {error}"))
                .because(error),
        })
    }
}

/// Compiled [`SelectionOptions`].
#[derive(Debug)]
pub struct Selection {
    overrides: Override,
    types: Types,
    max_filesize: Option<u64>,
    /// Paths come in order: the directories of one path are nearly always those of the next.
    last: Mutex<Directories>,
}

/// The directories of the path asked last, outermost first, with what was said of each.
#[derive(Debug, Default)]
struct Directories {
    scope: String,
    path: String,
    /// (length of the directory's path without a final slash, whether the walk enters it)
    verdicts: Vec<(usize, bool)>,
}

impl Selection {
    /// Whether a walk that starts at `scope` (a canonical directory path) comes to the file at
    /// `path` (canonical, below `scope`) of `size` bytes. A file that was named is not asked.
    pub fn selects(&self, scope: &str, path: &str, size: u64) -> bool {
        if self.max_filesize.is_some_and(|max| size > max) {
            return false;
        }
        if !self.overrides.is_empty() && !self.enters(scope, path) {
            return false;
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        match self.overrides.matched(path, false) {
            Match::Ignore(_) => false,
            Match::Whitelist(_) => true,
            Match::None => !self.types.matched(path, false).is_ignore(),
        }
    }

    /// Whether the walk enters every directory between `scope` and `path`.
    fn enters(&self, scope: &str, path: &str) -> bool {
        // A poisoned lock only means that another search panicked between two pushes.
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.scope != scope {
            *last = Directories { scope: scope.to_owned(), ..Directories::default() };
        }
        let known = |&(end, _): &(usize, bool)| {
            path.get(..=end).is_some_and(|dir| last.path.starts_with(dir) && dir.ends_with('/'))
        };
        let shared = last.verdicts.iter().take_while(|v| known(v)).count();
        last.verdicts.truncate(shared);
        let from = last.verdicts.last().map_or(scope.len(), |&(end, _)| end + 1);
        let mut enter = last.verdicts.last().is_none_or(|&(_, enter)| enter);
        if let Some(rest) = path.get(from..) {
            for (slash, _) in rest.match_indices('/') {
                let end = from + slash;
                let dir = path.get(1..end).unwrap_or_default();
                enter = enter && !self.overrides.matched(dir, true).is_ignore();
                last.verdicts.push((end, enter));
            }
        }
        path.clone_into(&mut last.path);
        enter
    }
}

/// Every file type with its globs, by name.
pub fn type_list() -> Vec<(String, Vec<String>)> {
    let mut builder = TypesBuilder::new();
    builder.add_defaults();
    builder.definitions().iter().map(|d| (d.name().to_owned(), d.globs().to_vec())).collect()
}
