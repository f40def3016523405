//! Globs over whole paths.
//!
//! Three dialects go by the name of glob: the shell's, gitignore's (`-g`, see
//! [`super::Selection`]) and globset's, which is meant here: the pattern is matched against the
//! whole canonical path without its leading `/`, `*` and `?` stop at `/`, `**` does not, `\`
//! takes a character literally.
//!
//! In a list the last pattern that matches a path decides; one that begins with `!` excludes. A
//! list of exclusions alone starts from every path, any other list from none.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use super::heads;
use crate::error::{Error, Kind, Result};

/// More patterns or bytes than a person or a program writes on purpose; globset's automata grow
/// with both.
const MAX_PATTERNS: usize = 1_000;
const MAX_BYTES: usize = 64 << 10;

/// Which paths are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobOptions {
    /// The patterns in order; `!x` excludes what `x` matches, `\!x` is a name with `!`.
    pub patterns: Vec<String>,
    /// ASCII letters match in either case.
    pub case_insensitive: bool,
    /// The canonical directory path that the patterns are relative to, `/` if `None`.
    pub base: Option<String>,
}

/// Compiled [`GlobOptions`].
#[derive(Clone, Debug)]
pub struct Globs {
    set: GlobSet,
    /// For each pattern, whether it excludes.
    excludes: Vec<bool>,
    /// Whether a path that no pattern matches is wanted.
    default: bool,
    base: String,
    heads: Vec<String>,
}

impl GlobOptions {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`Kind::InvalidPattern`] with the column, counted in characters from 1.
    pub fn build(&self) -> Result<Globs> {
        if self.patterns.is_empty() {
            return Err(
                Error::new(Kind::InvalidPattern, "there is no glob").hint("use ** for every path")
            );
        }
        let bytes: usize = self.patterns.iter().map(String::len).sum();
        if self.patterns.len() > MAX_PATTERNS || bytes > MAX_BYTES {
            return Err(Error::new(
                Kind::InvalidPattern,
                format!("more than {MAX_PATTERNS} globs or {MAX_BYTES} bytes of them"),
            )
            .hint("ask with fewer globs at a time"));
        }
        let base = self.base.as_deref().unwrap_or("/");
        let mut set = GlobSetBuilder::new();
        let mut excludes = Vec::with_capacity(self.patterns.len());
        let mut found = Vec::new();
        for (index, pattern) in self.patterns.iter().enumerate() {
            let (exclude, glob) = match pattern.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, pattern.as_str()),
            };
            let glob = glob.strip_prefix('/').unwrap_or(glob);
            if glob.is_empty() {
                let message = format!("{} is empty", self.name(index));
                return Err(Error::new(Kind::InvalidPattern, message)
                    .hint("use ** for every path, * for the names of one directory"));
            }
            if let Some(at) = heads::too_deep(glob) {
                let column = at + pattern.chars().count() - glob.chars().count();
                let name = self.name(index);
                return Err(invalid(format!(
                    "{name} is wrong at column {column}: braces are nested more than {} deep",
                    heads::MAX_DEPTH
                )));
            }
            let parsed = GlobBuilder::new(glob)
                .literal_separator(true)
                .backslash_escape(true)
                .case_insensitive(self.case_insensitive)
                .build()
                .map_err(|error| {
                    let skipped = pattern.chars().count() - glob.chars().count();
                    let column = heads::fault_column(glob) + skipped;
                    let name = self.name(index);
                    invalid(format!("{name} is wrong at column {column}: {}", error.kind()))
                })?;
            set.add(parsed);
            excludes.push(exclude);
            if !exclude {
                let heads = heads::of(glob, self.case_insensitive);
                found.extend(heads.into_iter().map(|head| format!("{base}{head}")));
            }
        }
        let default = excludes.iter().all(|&e| e);
        if default {
            found.push(base.to_owned());
        }
        let set = set
            .build()
            .map_err(|error| invalid(format!("the globs do not compile: {}", error.kind())))?;
        Ok(Globs { set, excludes, default, base: base.to_owned(), heads: heads::minimal(found) })
    }

    fn name(&self, index: usize) -> String {
        match self.patterns.len() {
            1 => "the glob".to_owned(),
            n => format!("glob {} of {n}", index + 1),
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(Kind::InvalidPattern, message)
        .hint("put a backslash before a special character that is meant literally")
}

impl Globs {
    /// Whether the file at this canonical path is wanted.
    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix(&self.base) else { return false };
        if !self.excludes.contains(&true) {
            return self.set.is_match(path);
        }
        // Indices come in ascending order.
        self.set.matches(path).last().map_or(self.default, |&last| !self.excludes[last])
    }

    /// Canonical path prefixes: every path that matches begins with one, and none begins with
    /// another. They may end within a name. `["/"]` where nothing narrows.
    pub fn heads(&self) -> Vec<String> {
        self.heads.clone()
    }
}
