//! What was typed after `grep`: ripgrep's flags by ripgrep's names.
//!
//! Of flags that contradict each other the last one holds, as in ripgrep, so that an alias can be
//! overruled; hence the many `overrides_with`. Three spellings differ: `-b` is the bucket (write
//! `--byte-offset`), `--json` and `--stats` are the common flags, and ripgrep's flags about what
//! to ignore are accepted and change nothing, because every object counts here anyway.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::bytes;

#[derive(Debug, Args)]
#[command(
    args_override_self = true,
    override_usage = "r2vfs grep [OPTIONS] PATTERN [PATH]...\n       \
                      r2vfs grep [OPTIONS] -e PATTERN ... [PATH]...\n       \
                      r2vfs grep [OPTIONS] -f FILE ... [PATH]...\n       \
                      r2vfs grep --type-list"
)]
pub(in crate::cli) struct Grep {
    /// A regular expression, then the directories and files to search (all, if there is none)
    #[arg(value_name = "PATTERN [PATH]", required_unless_present_any = ["regexp", "file", "type_list", "pcre2"])]
    pub words: Vec<String>,

    /// A pattern to search for; repeat for more
    #[arg(short = 'e', long, value_name = "PATTERN", allow_hyphen_values = true, help_heading = PATTERNS)]
    pub regexp: Vec<String>,
    /// A local file with one pattern a line (`-` is standard input); repeat for more
    #[arg(short, long, value_name = "FILE", help_heading = PATTERNS)]
    pub file: Vec<PathBuf>,
    /// The patterns are literal text
    #[arg(short = 'F', long, overrides_with = "no_fixed_strings", help_heading = PATTERNS)]
    pub fixed_strings: bool,
    #[arg(long, hide = true, overrides_with = "fixed_strings")]
    pub no_fixed_strings: bool,
    /// Letters match in either case
    #[arg(short, long, overrides_with_all = ["case_sensitive", "smart_case"], help_heading = PATTERNS)]
    pub ignore_case: bool,
    /// Letters match in their own case only (the default)
    #[arg(short = 's', long, overrides_with_all = ["ignore_case", "smart_case"], help_heading = PATTERNS)]
    pub case_sensitive: bool,
    /// As -i when the pattern is all lower case
    #[arg(short = 'S', long, overrides_with_all = ["ignore_case", "case_sensitive"], help_heading = PATTERNS)]
    pub smart_case: bool,
    /// Only matches with word boundaries round them
    #[arg(short, long, overrides_with = "line_regexp", help_heading = PATTERNS)]
    pub word_regexp: bool,
    /// Only matches that are a whole line
    #[arg(short = 'x', long, overrides_with = "word_regexp", help_heading = PATTERNS)]
    pub line_regexp: bool,
    /// Lines that do not match
    #[arg(short = 'v', long, overrides_with = "no_invert_match", help_heading = PATTERNS)]
    pub invert_match: bool,
    #[arg(long, hide = true, overrides_with = "invert_match")]
    pub no_invert_match: bool,
    /// Matches may span lines
    #[arg(short = 'U', long, overrides_with = "no_multiline", help_heading = PATTERNS)]
    pub multiline: bool,
    #[arg(long, hide = true, overrides_with = "multiline")]
    pub no_multiline: bool,
    /// With -U, `.` matches a line end too
    #[arg(long, overrides_with = "no_multiline_dotall", help_heading = PATTERNS)]
    pub multiline_dotall: bool,
    #[arg(long, hide = true, overrides_with = "multiline_dotall")]
    pub no_multiline_dotall: bool,
    /// `$` also matches before `\r\n`
    #[arg(long, overrides_with_all = ["no_crlf", "null_data"], help_heading = PATTERNS)]
    pub crlf: bool,
    #[arg(long, hide = true, overrides_with = "crlf")]
    pub no_crlf: bool,
    /// Lines end in NUL instead of `\n`
    #[arg(long, overrides_with = "crlf", help_heading = PATTERNS)]
    pub null_data: bool,
    /// `\w`, `\d`, `.` and case are ASCII or bytes
    #[arg(long, overrides_with = "unicode", help_heading = PATTERNS)]
    pub no_unicode: bool,
    #[arg(long, hide = true, overrides_with = "no_unicode")]
    pub unicode: bool,
    /// How large a compiled pattern may be
    #[arg(long, value_name = "SIZE", value_parser = bytes, help_heading = PATTERNS)]
    pub regex_size_limit: Option<u64>,
    /// Refused: look-around and back-references are not supported
    #[arg(short = 'P', long, hide = true)]
    pub pcre2: bool,

    /// Stop after this many matching lines of each file
    #[arg(short, long, value_name = "NUM", help_heading = SEARCH)]
    pub max_count: Option<u64>,
    /// Stop a file at the first line after a match that does not match
    #[arg(long, help_heading = SEARCH)]
    pub stop_on_nonmatch: bool,
    /// Search every file as text, NUL bytes or not
    #[arg(short = 'a', long, overrides_with_all = ["no_text", "binary"], help_heading = SEARCH)]
    pub text: bool,
    #[arg(long, hide = true, overrides_with = "text")]
    pub no_text: bool,
    /// Search binary files too, but only say that they match
    #[arg(long, overrides_with_all = ["no_binary", "text"], help_heading = SEARCH)]
    pub binary: bool,
    #[arg(long, hide = true, overrides_with = "binary")]
    pub no_binary: bool,
    /// The text encoding (`auto`, `none`, or a name as in `utf-16`)
    #[arg(short = 'E', long, value_name = "NAME", help_heading = SEARCH)]
    pub encoding: Option<String>,
    /// Search inside .gz and .zst files
    #[arg(short = 'z', long, overrides_with = "no_search_zip", help_heading = SEARCH)]
    pub search_zip: bool,
    #[arg(long, hide = true, overrides_with = "search_zip")]
    pub no_search_zip: bool,

    /// Only files that match the glob; with `!`, only files that do not; repeat for more
    #[arg(short, long, value_name = "GLOB", allow_hyphen_values = true, help_heading = FILES)]
    pub glob: Vec<String>,
    /// As -g, letters in either case
    #[arg(long, value_name = "GLOB", allow_hyphen_values = true, help_heading = FILES)]
    pub iglob: Vec<String>,
    /// Letters of every -g match in either case
    #[arg(long, help_heading = FILES)]
    pub glob_case_insensitive: bool,
    /// Only files of this type; repeat for more
    #[arg(short = 't', long = "type", value_name = "TYPE", help_heading = FILES)]
    pub types: Vec<String>,
    /// No files of this type; repeat for more
    #[arg(short = 'T', long = "type-not", value_name = "TYPE", help_heading = FILES)]
    pub types_not: Vec<String>,
    /// Define a type (`name:*.ext` or `name:include:other`)
    #[arg(long, value_name = "SPEC", help_heading = FILES)]
    pub type_add: Vec<String>,
    /// Forget the globs of a type
    #[arg(long, value_name = "TYPE", help_heading = FILES)]
    pub type_clear: Vec<String>,
    /// Print the types and their globs
    #[arg(long, help_heading = FILES)]
    pub type_list: bool,
    /// No files larger than this
    #[arg(long, value_name = "SIZE", value_parser = bytes, help_heading = FILES)]
    pub max_filesize: Option<u64>,

    /// Lines to print after each match
    #[arg(short = 'A', long, value_name = "NUM", help_heading = OUTPUT)]
    pub after_context: Option<usize>,
    /// Lines to print before each match
    #[arg(short = 'B', long, value_name = "NUM", help_heading = OUTPUT)]
    pub before_context: Option<usize>,
    /// Lines to print before and after each match
    #[arg(short = 'C', long, value_name = "NUM", help_heading = OUTPUT)]
    pub context: Option<usize>,
    /// Print the lines that do not match, too
    #[arg(long, alias = "passthrough", overrides_with_all = ["after_context", "before_context", "context"], help_heading = OUTPUT)]
    pub passthru: bool,
    /// Count matching lines of each file
    #[arg(short, long, overrides_with_all = ["count_matches", "files_with_matches", "files_without_match"], help_heading = OUTPUT)]
    pub count: bool,
    /// Count matches of each file
    #[arg(long, overrides_with_all = ["count", "files_with_matches", "files_without_match"], help_heading = OUTPUT)]
    pub count_matches: bool,
    /// With -c, files without a match too
    #[arg(long, overrides_with = "no_include_zero", help_heading = OUTPUT)]
    pub include_zero: bool,
    #[arg(long, hide = true, overrides_with = "include_zero")]
    pub no_include_zero: bool,
    /// Print only the paths of files that match
    #[arg(short = 'l', long, overrides_with_all = ["count", "count_matches", "files_without_match"], help_heading = OUTPUT)]
    pub files_with_matches: bool,
    /// Print only the paths of files that do not match
    #[arg(long, overrides_with_all = ["count", "count_matches", "files_with_matches"], help_heading = OUTPUT)]
    pub files_without_match: bool,
    /// Print only the matching parts, each on a line
    #[arg(short = 'o', long, help_heading = OUTPUT)]
    pub only_matching: bool,
    /// Print the text in place of each match ($1 and ${name} are groups)
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, help_heading = OUTPUT)]
    pub replace: Option<String>,
    /// Print nothing; stop at the first match
    #[arg(short, long, help_heading = OUTPUT)]
    pub quiet: bool,
    /// Line numbers (the default)
    #[arg(short = 'n', long, overrides_with = "no_line_number", help_heading = OUTPUT)]
    pub line_number: bool,
    /// No line numbers
    #[arg(short = 'N', long, overrides_with = "line_number", help_heading = OUTPUT)]
    pub no_line_number: bool,
    /// Paths (the default)
    #[arg(short = 'H', long, overrides_with = "no_filename", help_heading = OUTPUT)]
    pub with_filename: bool,
    /// No paths
    #[arg(short = 'I', long, overrides_with = "with_filename", help_heading = OUTPUT)]
    pub no_filename: bool,
    /// The path once above its matches (the default on a terminal)
    #[arg(long, overrides_with = "no_heading", help_heading = OUTPUT)]
    pub heading: bool,
    /// The path on each line
    #[arg(long, overrides_with = "heading", help_heading = OUTPUT)]
    pub no_heading: bool,
    /// As --color always --heading --line-number
    #[arg(short, long, help_heading = OUTPUT)]
    pub pretty: bool,
    /// A NUL byte after each path
    #[arg(short = '0', long, help_heading = OUTPUT)]
    pub null: bool,
    /// The column of the first match of each line
    #[arg(long, overrides_with = "no_column", help_heading = OUTPUT)]
    pub column: bool,
    #[arg(long, hide = true, overrides_with = "column")]
    pub no_column: bool,
    /// The byte offset of each line (or, with -o, match); ripgrep's -b
    #[arg(long, help_heading = OUTPUT)]
    pub byte_offset: bool,
    /// One line for each match, with line and column
    #[arg(long, help_heading = OUTPUT)]
    pub vimgrep: bool,
    /// No white space at the start of lines
    #[arg(long, overrides_with = "no_trim", help_heading = OUTPUT)]
    pub trim: bool,
    #[arg(long, hide = true, overrides_with = "trim")]
    pub no_trim: bool,
    /// Do not print lines longer than this many bytes (0: no limit)
    #[arg(short = 'M', long, value_name = "NUM", help_heading = OUTPUT)]
    pub max_columns: Option<u64>,
    /// With -M, print the head of such lines
    #[arg(long, overrides_with = "no_max_columns_preview", help_heading = OUTPUT)]
    pub max_columns_preview: bool,
    #[arg(long, hide = true, overrides_with = "max_columns_preview")]
    pub no_max_columns_preview: bool,
    /// What stands between groups of lines
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, overrides_with = "no_context_separator", help_heading = OUTPUT)]
    pub context_separator: Option<String>,
    /// Nothing between groups of lines
    #[arg(long, overrides_with = "context_separator", help_heading = OUTPUT)]
    pub no_context_separator: bool,
    /// What stands between the fields of a matching line
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = OUTPUT)]
    pub field_match_separator: Option<String>,
    /// What stands between the fields of a context line
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = OUTPUT)]
    pub field_context_separator: Option<String>,
    /// Change a colour (`match:fg:blue`); repeat for more
    #[arg(long, value_name = "SPEC", help_heading = OUTPUT)]
    pub colors: Vec<String>,
    /// No messages about files that could not be searched
    #[arg(long, overrides_with = "messages", help_heading = OUTPUT)]
    pub no_messages: bool,
    #[arg(long, hide = true, overrides_with = "no_messages")]
    pub messages: bool,

    #[command(flatten)]
    pub habits: Habits,
}

const PATTERNS: &str = "Patterns";
const SEARCH: &str = "Search";
const FILES: &str = "Files";
const OUTPUT: &str = "Output";

/// Flags that hands used to ripgrep type anyway. What they ask for is so here, or has no meaning
/// over a bucket; only `-uuu`, which includes `--binary`, changes something.
#[derive(Debug, Args)]
pub(in crate::cli) struct Habits {
    #[arg(short, long, hide = true, action = ArgAction::Count)]
    pub unrestricted: u8,
    #[arg(short = '.', long, hide = true)]
    hidden: bool,
    #[arg(long, hide = true)]
    no_ignore: bool,
    #[arg(long, hide = true)]
    no_ignore_vcs: bool,
    #[arg(long, hide = true)]
    no_config: bool,
    #[arg(long, hide = true)]
    no_mmap: bool,
    #[arg(long, hide = true)]
    line_buffered: bool,
    #[arg(long, hide = true)]
    block_buffered: bool,
    #[arg(long, hide = true, value_enum)]
    sort: Option<Sort>,
    #[arg(short = 'j', long, hide = true)]
    threads: Option<usize>,
    // GNU grep's -r is ripgrep's --replace, so only the long form can be taken.
    #[arg(long, hide = true)]
    recursive: bool,
}

/// The one order there is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum Sort {
    /// As always
    None,
    /// As always
    Path,
}
