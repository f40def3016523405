//! Generated patterns, contents and flags: [`Hits`] beside the `rg` binary.

use std::{fmt, path::Path};

use proptest::{prelude::*, sample::select};
use r2vfs::search::{
    Binary, Case, Encoding, Found, Hit, HitKind, HitMode, Hits, PatternOptions, Report,
    SearchOptions,
};

use super::{
    cases,
    rg::{self, Record, lossy},
    runner,
};

/// One comparison.
#[derive(Clone)]
pub(crate) struct Trial {
    pub(crate) files: Vec<Vec<u8>>,
    pub(crate) pattern: PatternOptions,
    pub(crate) search: SearchOptions,
    pub(crate) mode: HitMode,
    pub(crate) only_matching: bool,
    pub(crate) explicit: bool,
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<String> = self.files.iter().map(|c| lossy(c)).collect();
        write!(f, "rg {}\nfiles {files:#?}", self.arguments().join(" "))
    }
}

pub(crate) fn contents() -> impl Strategy<Value = Vec<u8>> {
    let word = select(vec![
        "a", "b", "A", "foo", "Foo", "fo", "bar", "é", "É", " ", " ", "", "-", "_", "\t", "ß", "9",
        "foo bar", "\r", "€", "ſ", "K",
    ]);
    let line = prop::collection::vec(word, 0..5).prop_map(|words| words.concat().into_bytes());
    let end = prop_oneof![8 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\0")];
    let odd = prop_oneof![
        40 => Just(&b""[..]),
        1 => Just(&b"\0"[..]),
        1 => Just(&b"\xff"[..]),
        1 => Just(&b"\xe2\x82"[..]),
    ];
    let lines = prop::collection::vec((line, odd, end), 0..12).prop_map(|lines| {
        lines.iter().flat_map(|(l, o, e)| [l, *o, e.as_bytes()].concat()).collect::<Vec<u8>>()
    });
    (lines, any::<bool>(), 0..20u8).prop_map(|(mut bytes, ended, bom)| {
        if !ended {
            bytes.pop();
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match bom {
            3 => [b"\xef\xbb\xbf", bytes.as_slice()].concat(),
            1 => [b"\xff\xfe".to_vec(), utf16(&text(&bytes), u16::to_le_bytes)].concat(),
            2 => [b"\xfe\xff".to_vec(), utf16(&text(&bytes), u16::to_be_bytes)].concat(),
            _ => bytes,
        }
    })
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

fn patterns() -> impl Strategy<Value = (Vec<String>, bool)> {
    let atom = select(vec![
        "a",
        "b",
        "foo",
        "Foo",
        "o",
        "é",
        ".",
        r"\w",
        r"\s",
        r"\b",
        "^",
        "$",
        "[ab]",
        "[^a]",
        "o+",
        "x*",
        r"\d",
        r"\S+",
        "(?i:a)",
        "(a|b)",
        r"\p{L}",
        " ",
        "-",
        r"\W",
        "ß",
        "k",
        "f.o",
        r"\B",
        "a?",
        r"\r",
        r"\A",
        r"\z",
        "(?-u:\\xff)",
        "bar",
    ]);
    let breaks = prop_oneof![12 => Just(""), 1 => Just(r"\n"), 1 => Just(r"(?s:.)")];
    let regex = (prop::collection::vec(atom, 0..4), breaks, any::<bool>()).prop_map(
        |(atoms, extra, front)| {
            if front { format!("{extra}{}", atoms.concat()) } else { atoms.concat() + extra }
        },
    );
    let literal = select(vec![
        "a", "foo", "Foo", "foo bar", "", "b", "é", "o", ".", "fo", "bar", "-", "A", "ß", " ",
    ])
    .prop_map(str::to_owned);
    prop_oneof![
        8 => prop::collection::vec(regex, 1..3).prop_map(|p| (p, false)),
        2 => prop::collection::vec(literal.clone(), 1..5).prop_map(|p| (p, true)),
        1 => prop::collection::vec(literal, 20..72).prop_map(|mut p| {
            p.retain(|l| !l.is_empty());
            while p.len() < 16 { p.push("zzz".into()); }
            (p, true)
        }),
    ]
}

fn has_bare_return(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().any(|(i, &b)| b == b'\r' && bytes.get(i + 1) != Some(&b'\n'))
}

fn one_in(n: u32) -> impl Strategy<Value = bool> {
    prop::bool::weighted(1.0 / f64::from(n))
}

pub(crate) fn trials() -> impl Strategy<Value = Trial> {
    let flags = (
        (
            patterns(),
            select(vec![Case::Sensitive, Case::Sensitive, Case::Insensitive, Case::Smart]),
        ),
        (one_in(5), one_in(8), one_in(4), one_in(2), one_in(8), one_in(12), one_in(12)),
        (one_in(5), one_in(4), 0..3usize, 0..3usize, one_in(10), one_in(4), 0..4u64),
        (
            select(vec![Binary::Auto, Binary::Auto, Binary::Text, Binary::SearchAndSuppress]),
            prop_oneof![
                8 => Just(Encoding::Auto),
                1 => Just(Encoding::None),
                1 => Just(Encoding::Named("utf-16le".into())),
                1 => Just(Encoding::Named("latin1".into())),
            ],
            prop_oneof![
                8 => Just(HitMode::Content),
                1 => Just(HitMode::FilesWithMatches),
                1 => Just(HitMode::FilesWithoutMatch),
                1 => Just(HitMode::Count),
                1 => Just(HitMode::CountMatches),
            ],
            one_in(5),
            one_in(4),
        ),
    );
    (prop::collection::vec(contents(), 1..5), flags).prop_map(|(files, flags)| {
        let (((patterns, fixed), case), shape, lines, how) = flags;
        let (word, line, multiline, dotall, crlf, null_data, ascii) = shape;
        let (invert, context, before, after, passthru, limited, max) = lines;
        let (binary, encoding, mode, only_matching, explicit) = how;
        let null_data = null_data && !crlf;
        // A match that ends between `\r` and `\n` cannot be told from its printed form.
        let only_matching = only_matching && mode == HitMode::Content && !(crlf && multiline);
        Trial {
            files,
            pattern: PatternOptions {
                patterns,
                fixed,
                case,
                word: word && !line,
                line,
                multiline,
                dotall,
                crlf,
                null_data,
                unicode: !ascii,
                text: binary == Binary::Text,
                ..PatternOptions::default()
            },
            search: SearchOptions {
                invert,
                before: if context { before } else { 0 },
                after: if context { after } else { 0 },
                passthru: passthru && mode == HitMode::Content && !context,
                max_count: limited.then_some(max),
                binary,
                encoding,
                crlf,
                null_data,
                multiline,
                ..SearchOptions::default()
            },
            mode,
            only_matching,
            explicit,
        }
    })
}

impl Trial {
    fn arguments(&self) -> Vec<String> {
        let (p, s) = (&self.pattern, &self.search);
        let mut args: Vec<String> =
            ["-H", "-n", "-b", "-0", "--no-heading", "--context-separator=QQ"]
                .map(Into::into)
                .into();
        let mut flag = |on: bool, name: &str| {
            if on {
                args.push(name.to_owned());
            }
        };
        flag(p.fixed, "-F");
        flag(p.case == Case::Insensitive, "-i");
        flag(p.case == Case::Smart, "-S");
        flag(p.word, "-w");
        flag(p.line, "-x");
        flag(p.multiline, "-U");
        flag(p.dotall, "--multiline-dotall");
        flag(p.crlf, "--crlf");
        flag(p.null_data, "--null-data");
        flag(!p.unicode, "--no-unicode");
        flag(s.binary == Binary::Text, "-a");
        flag(s.binary == Binary::SearchAndSuppress, "--binary");
        flag(s.invert, "-v");
        flag(s.passthru, "--passthru");
        flag(s.before > 0, &format!("-B{}", s.before));
        flag(s.after > 0, &format!("-A{}", s.after));
        flag(s.max_count.is_some(), &format!("-m{}", s.max_count.unwrap_or_default()));
        flag(s.encoding == Encoding::None, "--encoding=none");
        if let Encoding::Named(label) = &s.encoding {
            flag(true, &format!("--encoding={label}"));
        }
        flag(self.only_matching, "-o");
        flag(self.mode == HitMode::FilesWithMatches, "-l");
        flag(self.mode == HitMode::FilesWithoutMatch, "--files-without-match");
        flag(self.mode == HitMode::Count, "-c");
        flag(self.mode == HitMode::CountMatches, "--count-matches");
        for pattern in &p.patterns {
            args.extend(["-e".to_owned(), pattern.clone()]);
        }
        if self.explicit {
            args.extend((0..self.files.len()).map(|i| format!("Q{i}")));
        }
        args
    }

    /// What ripgrep 13 (Debian's) answers differently from its newer library crates.
    #[allow(clippy::nonminimal_bool, reason = "each line is one difference")]
    fn differs_by_version(&self) -> bool {
        let limited = self.search.max_count.is_some_and(|max| max > 0);
        let counts = self.mode == HitMode::Count || self.mode == HitMode::CountMatches;
        // -m counts matches, not the groups of lines that they make up.
        (self.search.multiline && limited)
            // A match in the context after the last one is shown as a match or as context,
            // depending on how the searcher goes through the lines.
            || (self.search.after > 0 && limited)
            // After -m the other lines are passed through.
            || (self.search.passthru && limited)
            // Boundaries take no character: `-w ''` matches at both ends of a space.
            || (self.pattern.word && (self.only_matching || counts))
            // A line of -v holds no match and is one all the same.
            || (self.search.multiline && self.search.invert && self.mode != HitMode::Content)
            // Many literals forgot -x.
            || (self.pattern.line && self.pattern.patterns.len() > 10)
            // Anchors of the text hold at every line; `\B` needs valid UTF-8 beside it, and
            // `\b^` is found after a line end.
            || self.pattern.patterns.iter().any(|p| {
                [r"\A", r"\z", r"\B", r"\b"].iter().any(|anchor| p.contains(anchor))
            })
            // Empty matches were counted otherwise at the ends of lines.
            || (self.search.multiline && counts)
            || self.mode == HitMode::CountMatches
            // Line anchors hold beside the NUL that ends a line.
            || (self.search.null_data
                && (self.pattern.line
                    || self.pattern.patterns.iter().any(|p| p.contains(['^', '$']))))
            // A bare `\r` ends a line for the anchors.
            || (self.search.crlf && self.files.iter().any(|f| has_bare_return(f)))
            // An inverted search stopped at its first match, before the NUL.
            || (self.search.invert && self.mode == HitMode::FilesWithMatches)
    }

    /// What ripgrep 15 gets wrong and r2vfs does not, or what both get wrong in different ways.
    fn is_wrong(&self) -> bool {
        let limited = self.search.max_count.is_some();
        // Matches in the context after the last one of `-m` are counted.
        (self.mode != HitMode::Content && self.search.after > 0 && limited)
            // Reading a whole file at once ripgrep loses the half character at its end.
            || (self.search.multiline
                && self.search.encoding == Encoding::Named("utf-16le".into())
                && self.files.iter().any(|f| f.len() % 2 == 1))
            // The library takes "no more matches wanted" for "no more matches": what follows
            // is shown as if it did not match.
            || ((self.search.multiline || self.search.passthru || self.search.after > 0)
                && self.search.invert
                && limited)
    }

    fn run(&self) -> Result<Vec<(Found, Vec<Hit>)>, r2vfs::Error> {
        let pattern = self.pattern.compile()?;
        let mut searcher = self.search.searcher()?;
        searcher.set_binary_detection(self.search.binary_detection(self.explicit));
        let mut hits =
            Hits { mode: self.mode, only_matching: self.only_matching, ..Hits::default() };
        let mut all = Vec::new();
        for (i, content) in self.files.iter().enumerate() {
            let mut chunks: Vec<Vec<Hit>> = Vec::new();
            let path = format!("/Q{i}");
            let found = hits
                .search(&pattern, &mut searcher, &path, content.as_slice(), &mut chunks)
                .expect("bytes in memory can be searched");
            all.push((found, chunks.concat()));
        }
        Ok(all)
    }

    /// Our answer as ripgrep would print it.
    fn ours(&self, all: &[(Found, Vec<Hit>)]) -> Answer {
        let convert = self.search.binary_detection(self.explicit).convert_byte().is_some();
        match self.mode {
            HitMode::Content => {
                let mut records = Vec::new();
                for (file, (found, hits)) in all.iter().enumerate() {
                    for hit in hits {
                        self.lines(file, hit, &mut records);
                    }
                    let quit = self.search.binary_detection(self.explicit).quit_byte().is_some();
                    if let Some(offset) = found.binary_offset.filter(|_| found.matched) {
                        assert!(convert || quit);
                        records.push(Record::Binary { file, offset });
                    }
                }
                Answer::Records(records)
            }
            mode => Answer::Counts(
                all.iter()
                    .enumerate()
                    .filter_map(|(file, (found, _))| {
                        // ripgrep does not even begin then.
                        let begun = self.search.max_count != Some(0);
                        let left = found.binary_offset.is_some() && !convert && !found.matched;
                        let count = match mode {
                            HitMode::FilesWithMatches => u64::from(found.matched),
                            HitMode::FilesWithoutMatch => {
                                u64::from(!found.matched && !left && begun)
                            }
                            HitMode::Count => found.lines,
                            _ => found.matches,
                        };
                        (count > 0).then_some((file, count))
                    })
                    .collect(),
            ),
        }
    }

    /// A hit of several lines is printed line by line.
    fn lines(&self, file: usize, hit: &Hit, records: &mut Vec<Record>) {
        if hit.kind == HitKind::Break {
            records.push(Record::Break);
            return;
        }
        let terminator = if self.search.null_data { b'\0' } else { b'\n' };
        let mut offset = hit.offset;
        let matched = hit.kind == HitKind::Match;
        let first = hit.line.expect("lines are counted");
        let parts = hit.text.split(|&b| b == terminator);
        for (line, part) in (first..).zip(parts) {
            let mut text = part.to_vec();
            let last = offset + part.len() as u64 == hit.offset + hit.text.len() as u64;
            if self.search.crlf && !last && text.last() == Some(&b'\r') {
                text.pop();
            }
            if !(self.only_matching && self.search.multiline && text.is_empty()) {
                let offset = if self.only_matching { hit.offset } else { offset };
                records.push(Record::Line { file, matched, line, offset, text });
            }
            offset += part.len() as u64 + 1;
        }
    }

    fn theirs(&self, out: &[u8]) -> Answer {
        let terminator = if self.search.null_data { b'\0' } else { b'\n' };
        match self.mode {
            HitMode::Content => {
                let mut records = rg::records(out, terminator, self.search.crlf);
                // Of a multi-line match ripgrep prints the parts that lie in each line, and of
                // an empty one nothing where its line is empty too.
                if self.only_matching && self.search.multiline {
                    records.retain(|r| !matches!(r, Record::Line { text, .. } if text.is_empty()));
                }
                Answer::Records(records)
            }
            HitMode::FilesWithMatches | HitMode::FilesWithoutMatch => Answer::Counts(
                out.split(|&b| b == 0)
                    .filter(|name| !name.is_empty())
                    .map(|name| (usize::from(name[1] - b'0'), 1))
                    .collect(),
            ),
            _ => Answer::Counts(
                out.split(|&b| b == b'Q')
                    .skip(1)
                    .map(|row| {
                        let digits: String = row[2..]
                            .iter()
                            .take_while(|b| b.is_ascii_digit())
                            .map(|&b| char::from(b))
                            .collect();
                        (usize::from(row[0] - b'0'), digits.parse().expect("a count"))
                    })
                    .collect(),
            ),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Records(Vec<Record>),
    Counts(Vec<(usize, u64)>),
}

fn compare(dir: &Path, trial: &Trial) -> Result<(), TestCaseError> {
    for i in 0..5 {
        match trial.files.get(i) {
            Some(content) => std::fs::write(dir.join(format!("Q{i}")), content)?,
            None => drop(std::fs::remove_file(dir.join(format!("Q{i}")))),
        }
    }
    let theirs = rg::run(dir, &trial.arguments());
    match (theirs, trial.run()) {
        (Err(_), Err(_)) => Ok(()),
        (Ok(out), Ok(all)) => {
            let theirs = trial.theirs(&out);
            // ripgrep 13 counts no match in a line that it found to match by look-around alone.
            if !matches!(&theirs, Answer::Counts(c) if c.iter().any(|&(_, n)| n == 0)) {
                prop_assert_eq!(trial.ours(&all), theirs, "{}", lossy(&out));
            }
            Ok(())
        }
        // The library crates take a character for its bytes where ripgrep 13 gave up.
        (Err(message), Ok(_)) if message.contains("Unicode not allowed here") => Ok(()),
        // `a|\n` is a class to them, and a class can do without its line end.
        (Err(message), Ok(_)) if message.contains("is not allowed in a regex") => Ok(()),
        (Err(message), Ok(_)) => Err(TestCaseError::fail(format!("only rg refuses: {message}"))),
        // Then ripgrep does not even look at the pattern.
        (Ok(_), Err(_)) if trial.search.max_count == Some(0) => Ok(()),
        (Ok(_), Err(error)) => Err(TestCaseError::fail(format!("only r2vfs refuses: {error}"))),
    }
}

#[test]
fn hits_equal_ripgrep() {
    if !rg::present() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let old = rg::major() < 15;
    let outcome = runner(cases(300)).run(&trials(), |trial| {
        if if old { trial.differs_by_version() } else { trial.is_wrong() } {
            Ok(())
        } else {
            compare(dir.path(), &trial)
        }
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
