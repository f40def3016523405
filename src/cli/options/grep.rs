//! What the flags of `grep` mean together.
//!
//! ripgrep's flags lean on each other (`-o -c` counts matches, `-v --count-matches` lines,
//! `--vimgrep` brings columns and takes headings away, `--null-data` turns binary detection off).
//! [`GrepOptions`] is what they come to; nothing after it looks at a flag again.

use std::{collections::HashSet, fs::File, io::Read, path::Path};

use grep_printer::{
    ColorSpecs, JSONBuilder, StandardBuilder, SummaryBuilder, SummaryKind, UserColorSpec,
    default_color_specs,
};

use super::super::{
    args::{grep::Grep, unescape},
    print::{Printer, Style},
    usage::wrong,
};
use crate::{
    error::{Error, Kind, Result},
    search::{Binary, Case, Encoding, PatternOptions, SearchOptions, SelectionOptions},
};

/// How much of a `-f` file is read: more than [`PatternOptions::compile`] takes.
const MAX_PATTERN_FILE: u64 = 16 << 20;

/// A search, ready to run.
#[derive(Debug)]
pub(in crate::cli) struct GrepOptions {
    pub pattern: PatternOptions,
    pub search: SearchOptions,
    pub selection: SelectionOptions,
    /// Canonical paths to search; never empty.
    pub paths: Vec<String>,
    /// Whether `.gz` and `.zst` files are searched inside.
    pub decompress: bool,
    pub printer: Printer,
    /// What stands between the output of two files, with its line end.
    pub separator: Option<Vec<u8>>,
    /// What ends a line of output, where a file's output comes in pieces that can be cut short;
    /// a count or a path comes whole.
    pub terminator: Option<&'static [u8]>,
    /// Print nothing and stop at the first match.
    pub quiet: bool,
    pub silent: bool,
    pub json: bool,
    /// Objects without a match are printed too.
    pub every: bool,
}

/// What the rest of the command line says about printing.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Printing {
    pub json: bool,
    pub color: bool,
    /// Colour was neither asked for nor refused.
    pub color_is_auto: bool,
    pub terminal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Lines,
    Count,
    CountMatches,
    WithMatch,
    WithoutMatch,
    Json,
}

impl GrepOptions {
    /// # Errors
    /// [`Kind::InvalidArgument`] where flags contradict each other or hold what they cannot, and
    /// what reading a pattern file fails with.
    pub(in crate::cli) fn new(mut flags: Grep, mut printing: Printing) -> Result<Self> {
        if flags.pcre2 {
            return Err(wrong("look-around and back-references are not supported, so -P is not")
                .hint("write the pattern without them; two greps often do, as do -w and -x"));
        }
        if flags.pretty {
            printing.color |= printing.color_is_auto;
            flags.heading = !flags.no_heading;
        }
        let mode = mode(&flags, printing.json)?;
        let text = flags.text || flags.null_data;
        let binary = match (text, flags.binary || flags.habits.unrestricted >= 3) {
            (true, _) => Binary::Text,
            (false, true) => Binary::SearchAndSuppress,
            (false, false) => Binary::Auto,
        };
        let patterns = patterns(&mut flags)?;
        let size_limit = match flags.regex_size_limit {
            // A limit beyond the address space is no limit.
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
            None => PatternOptions::default().size_limit,
        };
        let pattern = PatternOptions {
            patterns,
            fixed: flags.fixed_strings,
            case: match (flags.ignore_case, flags.smart_case) {
                (true, _) => Case::Insensitive,
                (_, true) => Case::Smart,
                _ => Case::Sensitive,
            },
            word: flags.word_regexp,
            line: flags.line_regexp,
            multiline: flags.multiline,
            dotall: flags.multiline_dotall,
            crlf: flags.crlf,
            null_data: flags.null_data,
            unicode: !flags.no_unicode,
            text,
            size_limit,
        };
        let both = flags.context.unwrap_or(0);
        let search = SearchOptions {
            invert: flags.invert_match,
            before: flags.before_context.unwrap_or(both),
            after: flags.after_context.unwrap_or(both),
            passthru: flags.passthru,
            max_count: flags.max_count,
            line_number: matches!(mode, Mode::Json) || mode == Mode::Lines && !flags.no_line_number,
            binary,
            encoding: flags.encoding.as_deref().map_or(Ok(Encoding::Auto), Encoding::parse)?,
            crlf: flags.crlf,
            null_data: flags.null_data,
            multiline: flags.multiline,
            stop_on_nonmatch: flags.stop_on_nonmatch,
            ..SearchOptions::default()
        };
        let heading = !flags.vimgrep && !flags.no_heading && (flags.heading || printing.terminal);
        let separator = separator(&flags, mode, &search, heading);
        let terminator = match mode {
            Mode::Lines => Some(line_end(&flags)),
            Mode::Json => Some(b"\n".as_slice()),
            _ => None,
        };
        let style = style(&flags, mode, heading)?;
        let printer = Printer::new(style, printing.color, printing.terminal);
        let mut paths = flags.words;
        if paths.is_empty() {
            paths.push("/".to_owned());
        }
        Ok(Self {
            pattern,
            search,
            selection: SelectionOptions {
                globs: flags.glob,
                iglobs: flags.iglob,
                glob_case_insensitive: flags.glob_case_insensitive,
                types: flags.types,
                types_not: flags.types_not,
                type_add: flags.type_add,
                type_clear: flags.type_clear,
                max_filesize: flags.max_filesize,
            },
            paths,
            decompress: flags.search_zip,
            printer,
            separator,
            terminator,
            quiet: flags.quiet,
            silent: flags.no_messages,
            json: printing.json,
            // What has no match is printed too.
            every: mode == Mode::WithoutMatch || flags.include_zero,
        })
    }

    /// Whether anything can match at all; ripgrep does not even look where it cannot.
    pub(in crate::cli) fn can_match(&self) -> bool {
        let something = !self.pattern.patterns.is_empty() || self.search.invert;
        something && self.search.max_count != Some(0)
    }
}

fn mode(flags: &Grep, json: bool) -> Result<Mode> {
    let mode = if flags.files_with_matches {
        Mode::WithMatch
    } else if flags.files_without_match {
        Mode::WithoutMatch
    } else if flags.count_matches || flags.count && flags.only_matching {
        if flags.invert_match { Mode::Count } else { Mode::CountMatches }
    } else if flags.count {
        Mode::Count
    } else {
        Mode::Lines
    };
    match (json, mode) {
        (true, Mode::Lines) => Ok(Mode::Json),
        (true, _) => Err(wrong("--json cannot be combined with counts or lists of files").hint(
            "leave --json out, or leave -c, --count-matches, -l or --files-without-match out \
             and count the messages",
        )),
        (false, mode) => Ok(mode),
    }
}

/// The patterns, each once, in the order in which they were given: those of -e, then those of -f.
fn patterns(flags: &mut Grep) -> Result<Vec<String>> {
    let mut patterns = std::mem::take(&mut flags.regexp);
    if patterns.is_empty() && flags.file.is_empty() {
        if flags.words.is_empty() {
            return Err(wrong("no pattern was given").hint("write `r2vfs grep PATTERN [PATH]...`"));
        }
        return Ok(vec![flags.words.remove(0)]);
    }
    for file in &flags.file {
        patterns.extend(read_patterns(file)?);
    }
    let mut seen = HashSet::new();
    patterns.retain(|pattern| seen.insert(pattern.clone()));
    Ok(patterns)
}

fn read_patterns(file: &Path) -> Result<Vec<String>> {
    let failed = |what: String| {
        Error::new(Kind::InvalidArgument, format!("the pattern file {} {what}", file.display()))
    };
    let mut bytes = Vec::new();
    let read = |reader: &mut dyn Read, bytes: &mut Vec<u8>| {
        reader.take(MAX_PATTERN_FILE + 1).read_to_end(bytes)
    };
    let result = if file == Path::new("-") {
        read(&mut std::io::stdin().lock(), &mut bytes)
    } else {
        File::open(file).and_then(|mut opened| read(&mut opened, &mut bytes))
    };
    if let Err(error) = result {
        return Err(failed(format!("cannot be read: {error}"))
            .because(error)
            .hint("-f reads a local file with one pattern a line, or `-` for standard input"));
    }
    if bytes.len() as u64 > MAX_PATTERN_FILE {
        return Err(failed(format!("is larger than {} MiB", MAX_PATTERN_FILE >> 20))
            .hint("search for fewer patterns at a time"));
    }
    let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    lines
        .split(|&byte| byte == b'\n')
        .enumerate()
        .map(|(index, line)| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            String::from_utf8(line.to_vec()).map_err(|error| {
                failed(format!("is not UTF-8 in line {}", index + 1))
                    .because(error)
                    .hint(r"write other bytes as (?-u:\xFF)")
            })
        })
        .collect()
}

fn separator(flags: &Grep, mode: Mode, search: &SearchOptions, heading: bool) -> Option<Vec<u8>> {
    if mode != Mode::Lines || flags.quiet {
        return None;
    }
    let context = !search.passthru && (search.before > 0 || search.after > 0);
    let mut between = match (heading, context) {
        (true, _) => Vec::new(),
        (false, true) => context_separator(flags)?,
        (false, false) => return None,
    };
    between.extend_from_slice(line_end(flags));
    Some(between)
}

fn line_end(flags: &Grep) -> &'static [u8] {
    match (flags.crlf, flags.null_data) {
        (true, _) => b"\r\n",
        (_, true) => b"\0",
        _ => b"\n",
    }
}

fn context_separator(flags: &Grep) -> Option<Vec<u8>> {
    match &flags.context_separator {
        _ if flags.no_context_separator => None,
        Some(text) => Some(unescape(text)),
        None => Some(b"--".to_vec()),
    }
}

fn style(flags: &Grep, mode: Mode, heading: bool) -> Result<Style> {
    let mut specs = default_color_specs();
    for spec in &flags.colors {
        specs.push(spec.parse::<UserColorSpec>().map_err(|error| {
            wrong(format!("--colors `{spec}`: {error}"))
                .hint("write for example `match:fg:blue` or `path:style:bold`")
        })?);
    }
    let colors = ColorSpecs::new(&specs);
    let path = !flags.no_filename;
    let terminator = flags.null.then_some(b'\0');
    let replacement = flags.replace.as_ref().map(|text| text.clone().into_bytes());
    let kind = match (mode, flags.quiet) {
        (Mode::WithoutMatch, true) => SummaryKind::QuietWithoutMatch,
        (mode, true) if mode != Mode::Json => SummaryKind::QuietWithMatch,
        (Mode::Count, _) => SummaryKind::Count,
        (Mode::CountMatches, _) => SummaryKind::CountMatches,
        (Mode::WithMatch, _) => SummaryKind::PathWithMatch,
        (Mode::WithoutMatch, _) => SummaryKind::PathWithoutMatch,
        (Mode::Json, _) => {
            let mut builder = JSONBuilder::new();
            builder.replacement(replacement);
            return Ok(Style::Json(builder));
        }
        (Mode::Lines, _) => {
            let field = |text: &Option<String>, usual: &[u8]| {
                text.as_deref().map_or_else(|| usual.to_vec(), unescape)
            };
            let mut builder = StandardBuilder::new();
            builder
                .color_specs(colors)
                .heading(heading)
                .path(path)
                .path_terminator(terminator)
                .column(!flags.no_column && (flags.column || flags.vimgrep))
                .byte_offset(flags.byte_offset)
                .only_matching(flags.only_matching)
                .per_match(flags.vimgrep)
                .per_match_one_line(true)
                .replacement(replacement)
                .max_columns(flags.max_columns.filter(|&columns| columns > 0))
                .max_columns_preview(flags.max_columns_preview)
                .trim_ascii(flags.trim)
                .separator_context(context_separator(flags))
                .separator_field_match(field(&flags.field_match_separator, b":"))
                .separator_field_context(field(&flags.field_context_separator, b"-"));
            return Ok(Style::Lines(builder));
        }
    };
    let mut builder = SummaryBuilder::new();
    builder
        .kind(kind)
        .color_specs(colors)
        .path(path)
        .path_terminator(terminator)
        .exclude_zero(!flags.include_zero);
    Ok(Style::Summary(builder))
}
