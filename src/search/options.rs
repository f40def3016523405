//! How lines are searched, and what of the searcher is decided per object.

use std::io;

use grep_matcher::LineTerminator;
use grep_searcher::{BinaryDetection, Encoding as Charset, Searcher, SearcherBuilder};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// The largest line, and the largest object of a multi-line search, held in memory: 16 MiB.
pub const HEAP_LIMIT: usize = 16 << 20;

/// More context than this is a whole-file read in disguise, and the searcher keeps it in memory.
pub const MAX_CONTEXT: usize = 100_000;

/// What a NUL byte means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binary {
    /// An object found by a walk is left at its first NUL; one that was named is searched to the
    /// end and its lines are suppressed after the NUL was seen.
    #[default]
    Auto,
    /// `--binary`: every object as if it had been named.
    SearchAndSuppress,
    /// `-a`: a NUL is a byte like any other.
    Text,
}

/// How bytes become characters before they are searched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// By byte order mark (UTF-8, UTF-16), otherwise as the bytes are.
    #[default]
    Auto,
    /// The bytes as they are, a byte order mark included.
    None,
    /// A label of the Encoding Standard (`utf-16le`, `latin1`, `shift_jis`); a byte order mark
    /// goes before it.
    Named(String),
}

impl Encoding {
    /// What `--encoding LABEL` means: `auto`, `none` or a label.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for an unknown label.
    pub fn parse(label: &str) -> Result<Self> {
        match label {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            label => charset(label).map(|_| Self::Named(label.to_owned())),
        }
    }
}

fn charset(label: &str) -> Result<Charset> {
    Charset::new(label).map_err(|error| {
        Error::new(Kind::InvalidArgument, format!("the encoding {label:?} is not known"))
            .hint("use auto, none, or a label such as utf-16le, latin1, windows-1252, shift_jis")
            .because(io::Error::other(error.to_string()))
    })
}

/// How one object is searched, whatever the pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchOptions {
    /// `-v`: the lines that do not match.
    pub invert: bool,
    /// `-B`: lines shown before a match.
    pub before: usize,
    /// `-A`: lines shown after a match.
    pub after: usize,
    /// `--passthru`: every line; `before` and `after` are ignored.
    pub passthru: bool,
    /// `-m`: matching lines per object.
    pub max_count: Option<u64>,
    /// Whether lines are counted.
    pub line_number: bool,
    /// What a NUL means.
    pub binary: Binary,
    /// How bytes become characters.
    pub encoding: Encoding,
    /// `--crlf`: a line ends in `\r\n` or `\n`.
    pub crlf: bool,
    /// `--null-data`: a line ends in NUL; `crlf` wins.
    pub null_data: bool,
    /// `-U`: a match may span lines.
    pub multiline: bool,
    /// Bytes a line, or an object in a multi-line search, must stay below.
    pub heap_limit: usize,
    /// `--stop-on-nonmatch`: the first run of matching lines only.
    pub stop_on_nonmatch: bool,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            invert: false,
            before: 0,
            after: 0,
            passthru: false,
            max_count: None,
            line_number: true,
            binary: Binary::Auto,
            encoding: Encoding::Auto,
            crlf: false,
            null_data: false,
            multiline: false,
            heap_limit: HEAP_LIMIT,
            stop_on_nonmatch: false,
        }
    }
}

impl SearchOptions {
    /// A searcher; its binary detection is that of a walk until the caller sets another.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for an unknown encoding, too much context or no heap at all.
    pub fn searcher(&self) -> Result<Searcher> {
        if self.before.max(self.after) > MAX_CONTEXT {
            return Err(Error::new(
                Kind::InvalidArgument,
                format!("a context of more than {MAX_CONTEXT} lines"),
            )
            .hint("read the object instead, or use --passthru"));
        }
        if self.heap_limit == 0 {
            return Err(Error::new(Kind::InvalidArgument, "a heap limit of 0 bytes")
                .hint("leave it at its default of 16 MiB"));
        }
        let mut builder = SearcherBuilder::new();
        builder
            .line_terminator(if self.crlf {
                LineTerminator::crlf()
            } else if self.null_data {
                LineTerminator::byte(b'\0')
            } else {
                LineTerminator::byte(b'\n')
            })
            .binary_detection(self.binary_detection(false))
            .invert_match(self.invert)
            .line_number(self.line_number)
            .multi_line(self.multiline)
            .max_matches(self.max_count)
            .heap_limit(Some(self.heap_limit))
            .stop_on_nonmatch(self.stop_on_nonmatch);
        if self.passthru {
            builder.passthru(true);
        } else {
            builder.before_context(self.before).after_context(self.after);
        }
        match &self.encoding {
            Encoding::Auto => {}
            Encoding::None => {
                builder.bom_sniffing(false);
            }
            Encoding::Named(label) => {
                builder.encoding(Some(charset(label)?));
            }
        }
        Ok(builder.build())
    }

    /// What a NUL does in one object; `explicit` when its path was named rather than walked to.
    pub fn binary_detection(&self, explicit: bool) -> BinaryDetection {
        match self.binary {
            _ if self.null_data => BinaryDetection::none(),
            Binary::Text => BinaryDetection::none(),
            Binary::Auto if !explicit => BinaryDetection::quit(b'\0'),
            Binary::Auto | Binary::SearchAndSuppress => BinaryDetection::convert(b'\0'),
        }
    }
}
