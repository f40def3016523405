//! The oracle: the `rg` binary, its output taken apart.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// `rg`, or the one that `R2VFS_RG` names.
fn program() -> Command {
    Command::new(std::env::var_os("R2VFS_RG").unwrap_or_else(|| "rg".into()))
}

/// Whether `rg` can be run; says so where it cannot.
pub(super) fn present() -> bool {
    let found = program().arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("SKIPPED: rg is not installed, nothing to compare with (apt install ripgrep)");
    }
    found
}

/// Its first version number: 13 from Debian 12, 15 with the library crates used here.
pub(super) fn major() -> u32 {
    let output = program().arg("--version").output().expect("rg runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(1).and_then(|v| v.split('.').next());
    version.and_then(|v| v.parse().ok()).expect("a version")
}

/// Runs `rg` in `dir`: its standard output, or its message where it refuses the arguments.
pub(super) fn run(dir: &Path, args: &[String]) -> Result<Vec<u8>, String> {
    let output = program()
        .args(["--no-config", "--no-mmap", "-uu", "--sort=path", "--color=never"])
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("rg runs");
    match output.status.code() {
        Some(0 | 1) => Ok(output.stdout),
        _ => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// One line of ripgrep's output. `file` is the number in a name `Q<number>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Line { file: usize, matched: bool, line: u64, offset: u64, text: Vec<u8> },
    Break,
    Binary { file: usize, offset: u64 },
}

/// Takes `rg -H -n -b -0 --no-heading --context-separator=QQ` apart. No content holds a `Q`.
pub(super) fn records(out: &[u8], terminator: u8, crlf: bool) -> Vec<Record> {
    let mut records = Vec::new();
    let mut rest = out;
    let mut last = None;
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(2);
        if head == b"QQ" {
            records.push(Record::Break);
            let end = tail.iter().position(|&b| b == terminator || b == b'\n').expect("an end");
            rest = &tail[end + 1..];
            continue;
        }
        assert_eq!(head[0], b'Q', "{:?} in {:?}", lossy(rest), lossy(out));
        let file = usize::from(head[1] - b'0');
        // Between files ripgrep writes the separator too.
        while last.is_some_and(|last| last != file) && records.last() == Some(&Record::Break) {
            records.pop();
        }
        last = Some(file);
        if let Some(message) = tail.strip_prefix(b": ") {
            let end = message.iter().position(|&b| b == b'\n').expect("a message has an end");
            let text = String::from_utf8_lossy(&message[..end]).into_owned();
            let digits = text.rsplit_once("offset ").expect("an offset").1;
            let digits = digits.trim_end_matches(')');
            // Nothing was shown after the break.
            while records.last() == Some(&Record::Break) {
                records.pop();
            }
            records.push(Record::Binary { file, offset: digits.parse().expect("a number") });
            rest = &message[end + 1..];
            continue;
        }
        let tail = tail.strip_prefix(b"\0").expect("a NUL after the name");
        let (line, sep, tail) = number(tail);
        let (offset, sep2, tail) = number(tail);
        assert_eq!(sep, sep2);
        let end = tail.iter().position(|&b| b == terminator).unwrap_or(tail.len());
        let mut text = tail[..end].to_vec();
        if crlf && text.last() == Some(&b'\r') {
            text.pop();
        }
        records.push(Record::Line { file, matched: sep == b':', line, offset, text });
        rest = tail.get(end + 1..).unwrap_or_default();
    }
    while records.last() == Some(&Record::Break) {
        records.pop();
    }
    records
}

fn number(text: &[u8]) -> (u64, u8, &[u8]) {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let number = std::str::from_utf8(&text[..digits]).expect("digits").parse().expect("a number");
    (number, text[digits], &text[digits + 1..])
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
