//! Where a pattern is wrong.
//!
//! grep-regex joins all patterns into one regex before it parses, so that its errors point into
//! a text nobody wrote, with a drawing of several lines. Here the patterns are parsed again, one
//! by one, to name the pattern and its column; only what has no place is told without one.

use grep_regex::ErrorKind;
use regex_syntax::{
    ast::{self, Ast},
    hir::translate::TranslatorBuilder,
};

use super::{PatternOptions, pattern::holds};
use crate::error::{Error, Kind};

/// What the error of a compiled `options` was, in one line.
pub(super) fn of(options: &PatternOptions, error: grep_regex::Error) -> Error {
    let found = match error.kind() {
        ErrorKind::NotAllowed(literal) => not_allowed(options, literal),
        ErrorKind::Banned(_) => banned(options),
        _ => options.patterns.iter().enumerate().find_map(|(i, p)| syntax(options, i, p)),
    };
    match found {
        Some(fault) => fault,
        // The size limit, or patterns that are wrong only together.
        None => {
            let text = error.to_string();
            let last = text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("unknown error");
            let message = format!("the pattern does not compile: {}", last.trim());
            let fault = Error::new(Kind::InvalidPattern, message);
            if text.contains("size limit") {
                fault.hint("use smaller repetition counts, fewer patterns or --no-unicode")
            } else {
                fault
            }
        }
        .because(error),
    }
}

fn fault(options: &PatternOptions, index: usize, column: usize, what: &str) -> Error {
    let which = match options.patterns.len() {
        1 => "the pattern".to_owned(),
        n => format!("pattern {} of {n}", index + 1),
    };
    Error::new(Kind::InvalidPattern, format!("{which} is wrong at column {column}: {what}"))
}

/// Columns are counted in characters from 1.
fn column(pattern: &str, offset: usize) -> usize {
    pattern.bytes().take(offset).filter(|b| !(0x80..0xC0).contains(b)).count() + 1
}

fn syntax(options: &PatternOptions, index: usize, pattern: &str) -> Option<Error> {
    if options.fixed {
        return None;
    }
    let parsed = ast::parse::ParserBuilder::new().build().parse(pattern);
    let (what, offset) = match parsed {
        Err(error) => (error.kind().to_string(), error.span().start.offset),
        Ok(tree) => {
            let error = TranslatorBuilder::new()
                .utf8(false)
                .unicode(options.unicode)
                .build()
                .translate(pattern, &tree)
                .err()?;
            (error.kind().to_string(), error.span().start.offset)
        }
    };
    let hint = if what.contains("look-around") || what.contains("backreferences") {
        "this regex engine has neither look-around nor backreferences, and there is no -P"
    } else {
        "escape the character with a backslash, or use -F to search for the text as it is"
    };
    Some(fault(options, index, column(pattern, offset), &what).hint(hint))
}

fn not_allowed(options: &PatternOptions, literal: &str) -> Option<Error> {
    let terminator = options.line_terminator()?;
    let (index, column) = first(options, |c| u8::try_from(c).is_ok_and(|b| holds(terminator, b)))?;
    let what = format!("the literal {literal:?} is not allowed, a line never holds it");
    Some(fault(options, index, column, &what).hint("use -U (--multiline) to search across lines"))
}

fn banned(options: &PatternOptions) -> Option<Error> {
    let (index, column) = first(options, |c| c == '\0')?;
    let what = "a NUL byte cannot be matched, it makes an object binary";
    Some(fault(options, index, column, what).hint("use -a (--text) to search binary objects"))
}

/// The first literal that `is` accepts: its pattern and column.
fn first(options: &PatternOptions, is: impl Fn(char) -> bool) -> Option<(usize, usize)> {
    options.patterns.iter().enumerate().find_map(|(index, pattern)| {
        let offset = if options.fixed {
            pattern.char_indices().find(|&(_, c)| is(c))?.0
        } else {
            let tree = ast::parse::Parser::new().parse(pattern).ok()?;
            ast::visit(&tree, Finder { is: &is, found: None }).ok()??
        };
        Some((index, column(pattern, offset)))
    })
}

struct Finder<'a, F> {
    is: &'a F,
    found: Option<usize>,
}

impl<F: Fn(char) -> bool> Finder<'_, F> {
    fn look(&mut self, literal: &ast::Literal) {
        if self.found.is_none() && (self.is)(literal.c) {
            self.found = Some(literal.span.start.offset);
        }
    }
}

impl<F: Fn(char) -> bool> ast::Visitor for Finder<'_, F> {
    type Output = Option<usize>;
    type Err = ();

    fn finish(self) -> Result<Option<usize>, ()> {
        Ok(self.found)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), ()> {
        if let Ast::Literal(literal) = ast {
            self.look(literal);
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), ()> {
        if let ast::ClassSetItem::Literal(literal) = item {
            self.look(literal);
        }
        Ok(())
    }
}
