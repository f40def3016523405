//! Replays docs/SEMANTICS.md with the real program.
//!
//! A document about behaviour rots, and examples pasted into a test are a second document. The
//! examples are read from the document itself, as the document explains them at its head, and run
//! over the loopback server; those whose keys a file system can hold run over a directory too,
//! which must say the same.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use r2vfs::vfs::Compression;
use tempfile::TempDir;

use crate::support::{BUCKET, Fault, Order, Rule, Stored, TestServer};

/// One fenced block.
#[derive(Debug, Default)]
struct Block {
    line: usize,
    flags: Vec<String>,
    objects: Vec<Put>,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Store(Put),
    /// A command line with all that it says, in the form of the document.
    Say {
        line: String,
        says: String,
    },
}

#[derive(Debug)]
struct Put {
    key: Vec<u8>,
    content: Vec<u8>,
    encoding: Option<&'static str>,
    class: Option<&'static str>,
    /// What happens at the nth get of the object, counted from 1.
    fault: Option<(u64, Fault)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_tells_what_the_program_does() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SEMANTICS.md");
    let blocks = parse(&std::fs::read_to_string(file).expect("the document"));
    let (mut failures, mut replayed) = (String::new(), [0, 0]);
    let mut places: Vec<Place> = Vec::new();
    for block in &blocks {
        if !block.objects.is_empty() {
            places = vec![Place::server(block).await];
            places.extend(Place::directory(block));
        }
        assert!(!places.is_empty(), "line {}: no keys yet", block.line);
        for place in &places {
            for step in &block.steps {
                let (line, says) = match step {
                    Step::Store(put) => {
                        place.store(put);
                        continue;
                    }
                    Step::Say { line, says } => (line, says),
                };
                let said = place.say(line);
                if !fits(&said, says) {
                    writeln!(
                        failures,
                        "line {}, over {}:\n$ {line}\n{said}\nthe document says:\n{says}\n",
                        block.line,
                        place.name()
                    )
                    .expect("a string takes all");
                }
                replayed[usize::from(place.server.is_none())] += 1;
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    // A parser that finds nothing would pass as well.
    assert!(replayed[0] > 100 && replayed[1] > 50, "only {replayed:?} commands were replayed");
}

/// Where the keys of a block are.
struct Place {
    home: TempDir,
    server: Option<TestServer>,
}

impl Place {
    async fn server(block: &Block) -> Self {
        let server = TestServer::start().await;
        if block.flags.iter().any(|flag| flag == "by-component") {
            server.faults().list_in(Order::Components);
        }
        let place = Self { home: TempDir::new().expect("a directory"), server: Some(server) };
        block.objects.iter().for_each(|put| place.store(put));
        place
    }

    /// `None` where a file system cannot hold the keys, or what is shown needs a server.
    fn directory(block: &Block) -> Option<Self> {
        let plain = |put: &Put| {
            let text = std::str::from_utf8(&put.key).unwrap_or("//");
            put.encoding.is_none()
                && put.class.is_none()
                && put.fault.is_none()
                && text.split('/').all(|s| !matches!(s, "" | "." | "..") && s.len() < 256)
                && !text.contains('\0')
        };
        let twin = |put: &Put| {
            let dir = [&put.key[..], b"/"].concat();
            block.objects.iter().any(|other| other.key.starts_with(&dir))
        };
        if !block.flags.is_empty() || !block.objects.iter().all(|put| plain(put) && !twin(put)) {
            return None;
        }
        let place = Self { home: TempDir::new().expect("a directory"), server: None };
        block.objects.iter().for_each(|put| place.store(put));
        Some(place)
    }

    fn store(&self, put: &Put) {
        let Some(server) = &self.server else {
            let key = std::str::from_utf8(&put.key).expect("a key that a file system can hold");
            let file = self.bucket_dir().join(key);
            std::fs::create_dir_all(file.parent().expect("a parent")).expect("directories");
            return std::fs::write(file, &put.content).expect("a file");
        };
        let mut stored = Stored::new(put.content.clone());
        if let Some(encoding) = put.encoding {
            stored = stored.content_encoding(encoding);
        }
        if let Some(class) = put.class {
            stored = stored.storage_class(class);
        }
        server.store().put_object(&put.key, stored);
        if let Some((nth, fault)) = &put.fault {
            let key = std::str::from_utf8(&put.key).expect("a key that can be asked for");
            let rule = Rule::gets(fault.clone()).key(key).skip(nth - 1);
            server.faults().add(match fault {
                Fault::Replace(_) | Fault::Delete => rule.times(1),
                _ => rule,
            });
        }
    }

    fn name(&self) -> &'static str {
        if self.server.is_some() { "the server" } else { "a directory" }
    }

    fn bucket_dir(&self) -> PathBuf {
        self.home.path().join("bucket")
    }

    /// Runs a command line and gives what it says as the document writes it.
    fn say(&self, line: &str) -> String {
        let bucket = match self.server {
            Some(_) => format!("s3://{BUCKET}"),
            None => self.bucket_dir().display().to_string(),
        };
        let words = words(line).into_iter().map(|word| word.replace("BUCKET", &bucket));
        let mut words = words.collect::<Vec<_>>().into_iter();
        assert_eq!(words.next().as_deref(), Some("r2vfs"), "{line}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_r2vfs"));
        command.args(words).env_clear().env("R2VFS_BUCKET", &bucket).stdin(Stdio::null());
        command.env("HOME", self.home.path()).current_dir(self.home.path());
        command.envs(self.server.iter().flat_map(TestServer::env));
        let output = command.output().expect("the program starts");
        let mut said = shown(&output.stdout);
        for line in shown(&output.stderr).lines() {
            writeln!(said, "! {line}").expect("a string takes all");
        }
        match output.status.code() {
            Some(0) => {}
            code => writeln!(said, "? {}", code.unwrap_or(-1)).expect("a string takes all"),
        }
        said
    }
}

/// Bytes as the document writes them: a NUL as `\0`, what is not UTF-8 as U+FFFD, and `\` in a
/// line of its own after a last line that does not end.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).replace('\0', "\\0").replace('\r', "\\r");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str("\n\\\n");
    }
    text
}

/// Whether `said` is what the document says, where `…` is any text within a line and a line of
/// `…` alone is any lines.
fn fits(said: &str, says: &str) -> bool {
    let (said, says): (Vec<_>, Vec<_>) = (said.lines().collect(), says.lines().collect());
    lines_fit(&said, &says)
}

fn lines_fit(said: &[&str], says: &[&str]) -> bool {
    match says {
        [] => said.is_empty(),
        ["…", rest @ ..] => (0..=said.len()).any(|skip| lines_fit(&said[skip..], rest)),
        [one, rest @ ..] => {
            said.first().is_some_and(|line| line_fits(line, one)) && lines_fit(&said[1..], rest)
        }
    }
}

fn line_fits(said: &str, says: &str) -> bool {
    let mut parts = says.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut left) = said.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return left.is_empty() };
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

fn parse(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in document.lines().enumerate() {
        let Some(block) = &mut open else {
            if let Some(info) = line.strip_prefix("```semantics") {
                let flags = info.split_whitespace().map(str::to_owned).collect();
                open = Some(Block { line: index + 1, flags, ..Block::default() });
            }
            continue;
        };
        if line == "```" {
            blocks.extend(open.take());
        } else if let Some(command) = line.strip_prefix("$ ") {
            block.steps.push(Step::Say { line: command.to_owned(), says: String::new() });
        } else if let Some(object) = line.strip_prefix("+ ") {
            block.steps.push(Step::Store(put(object)));
        } else if let Some(Step::Say { says, .. }) = block.steps.last_mut() {
            says.push_str(line);
            says.push('\n');
        } else if !line.is_empty() {
            block.objects.push(put(line));
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// `KEY = [WORD]… "CONTENT" [+ [WORD]… "CONTENT"]… [; at get N: what]`.
fn put(line: &str) -> Put {
    try_put(line).unwrap_or_else(|| panic!("no object: {line}"))
}

fn try_put(line: &str) -> Option<Put> {
    let (key, rest) = line.split_once(" = ")?;
    let key = match key.strip_prefix('"') {
        Some(quoted) => unescape(quoted.strip_suffix('"')?),
        None => key.as_bytes().to_vec(),
    };
    let (parts, event) = match rest.split_once(" ; at get ") {
        Some((parts, event)) => (parts, Some(event)),
        None => (rest, None),
    };
    let mut put = Put { key, content: Vec::new(), encoding: None, class: None, fault: None };
    for part in parts.split(" + ") {
        let (words, text) = part.split_once('"')?;
        let mut content = unescape(text.strip_suffix('"')?);
        // The word next to the content works on it first.
        for word in words.split_whitespace().rev() {
            match word {
                "gzip" => content = compress(Compression::Gzip, &content),
                "zstd" => content = compress(Compression::Zstd, &content),
                "utf-16le" => content = utf16(&content, u16::to_le_bytes),
                "utf-16be" => content = utf16(&content, u16::to_be_bytes),
                "encoded" => put.encoding = Some("gzip"),
                "glacier" => put.class = Some("GLACIER"),
                times => {
                    let times = times.strip_suffix('×')?.parse().ok()?;
                    content = content.repeat(times);
                }
            }
        }
        put.content.extend(content);
    }
    if let Some(event) = event {
        let (nth, what) = event.split_once(": ")?;
        let fault = match what {
            "deleted" => Fault::Delete,
            "refused" => Fault::forbidden("AccessDenied"),
            text => Fault::Replace(unescape(text.trim_matches('"')).into()),
        };
        put.fault = Some((nth.parse().ok()?, fault));
    }
    Some(put)
}

fn compress(compression: Compression, content: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            std::io::Write::write_all(&mut encoder, content).expect("memory takes all");
            encoder.finish().expect("memory takes all")
        }
        Compression::Zstd => {
            ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
        }
    }
}

fn utf16(content: &[u8], bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let text = std::str::from_utf8(content).expect("text");
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect()
}

/// `\n`, `\r`, `\t`, `\0`, `\\`, `\"`, `\xFF` (a byte) and `\u{e9}` (a character).
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (taken, value) = match escape.as_bytes()[0] {
            b'n' => (1, vec![b'\n']),
            b'r' => (1, vec![b'\r']),
            b't' => (1, vec![b'\t']),
            b'0' => (1, vec![0]),
            b'x' => (3, vec![u8::from_str_radix(&escape[1..3], 16).expect("two hex digits")]),
            b'u' => {
                let end = escape.find('}').expect("a closed escape");
                let number = u32::from_str_radix(&escape[2..end], 16).expect("hex digits");
                let character = char::from_u32(number).expect("a character");
                (end + 1, character.to_string().into_bytes())
            }
            other => (1, vec![other]),
        };
        bytes.extend(value);
        rest = &escape[taken..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// A command line split as a shell does it: `'…'` takes all, `"…"` and `$'…'` too, the last with
/// escapes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let quote = ["$'", "'", "\""].into_iter().find(|quote| rest.starts_with(quote));
        if let Some(quote) = quote {
            let close = &quote[quote.len() - 1..];
            let (inside, after) =
                rest[quote.len()..].split_once(close).unwrap_or_else(|| panic!("quotes: {line}"));
            let text = match quote {
                "$'" => String::from_utf8(unescape(inside)).expect("an argument is text"),
                _ => inside.to_owned(),
            };
            word.get_or_insert_default().push_str(&text);
            rest = after;
        } else {
            match first {
                ' ' => words.extend(word.take()),
                other => word.get_or_insert_default().push(other),
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    words.extend(word);
    words
}

#[test]
fn the_document_s_own_notation() {
    assert_eq!(words("r2vfs cat $'/a\\tb' 'c d'\"e\""), ["r2vfs", "cat", "/a\tb", "c de"]);
    assert_eq!(
        unescape("a\\n\\xff\\u{e9}\\\\"),
        [b"a\n\xff".as_slice(), "é\\".as_bytes()].concat()
    );
    assert!(fits("/a:1:x\n/b\n", "/a:…\n/b\n") && fits("a\nb\nc\n", "a\n…\n"));
    assert!(!fits("/a:1:x\n", "/b…\n") && !fits("a\nb\n", "a\n") && !fits("ab\n", "ab…b\n"));
    let put = put("\"a\\tb\" = encoded 2× \"x\" + \"z\" ; at get 2: \"y\"");
    assert_eq!((put.key.as_slice(), put.encoding), (b"a\tb".as_slice(), Some("gzip")));
    assert_eq!(put.content, b"xxz");
    assert!(matches!(put.fault, Some((2, Fault::Replace(new))) if new == "y"));
}
