//! Byte for byte what ripgrep prints.
//!
//! `rg` is run over the same directory by its absolute path, which is then cut off, so that the
//! two outputs differ in nothing. Names are chosen so that ripgrep's order (by components) and
//! ours (by bytes of the key) agree.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::program::{Ran, World};

fn texts() -> World {
    let mut long = "needle at the start of a long line ".repeat(20);
    long.push_str("\n    indented needle\n\tneedle after a tab\n");
    let mut late_nul = b"needle before\n".repeat(4000);
    late_nul.extend_from_slice(b"a \0 needle\nneedle after\n");
    let utf16 = |text: &str| {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect::<Vec<_>>()
    };
    World::new(&[
        (".hidden/needle.txt", b"hidden needle\n"),
        ("README.md", b"# Title\n\nA needle.\nNeedle NEEDLE needle\nlast line without end"),
        ("crlf.txt", b"one needle\r\ntwo\r\nthree needle\r\n"),
        ("data/empty.txt", b""),
        ("data/nul-first.bin", b"\0needle\nneedle\n"),
        ("data/nul-late.bin", &late_nul),
        ("data/nul-mid.bin", b"needle one\nneedle two \0\nneedle three\n"),
        ("data/records.nul", b"needle a\0b\0needle c\0"),
        ("docs/a b/c:d.md", b"- needle-1\n- x\n- y\n- needle-2\n- z\n- w\n- v\n- needle-3"),
        ("docs/blank.md", b"\n\n\nneedle\n\n\n"),
        ("docs/long.md", long.as_bytes()),
        ("docs/spans.md", b"begin\nmid\nend\nneedle begin\nend\n"),
        ("lang/café.md", "Ärger, ÄRGER, ärger: needle\n日本語 needle\n".as_bytes()),
        ("lang/latin1.txt", b"caf\xe9 needle\nplain\n"),
        ("lang/utf16.txt", &utf16("wide needle\nnot here\n")),
        ("src/lib.rs", b"fn needle() {}\n// needle\nfn other() {}\n"),
        ("src/main.py", b"def needle():\n    pass\n"),
        ("zz.log", b"no match here\nnor here\n"),
    ])
}

fn has_rg() -> bool {
    let there = Command::new("rg").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("SKIPPED: there is no `rg` to compare with (apt install ripgrep)");
    }
    there
}

fn rg(world: &World, flags: &[&str], paths: &[&str]) -> Ran {
    let mut command = Command::new("rg");
    command
        .args(["--no-config", "--no-mmap", "-uu", "--sort", "path"])
        .args(flags)
        .stdin(Stdio::null())
        .current_dir(world.root());
    match paths {
        [] => command.arg(world.root()),
        paths => command.args(paths.iter().map(|path| world.root().join(&path[1..]))),
    };
    let mut ran = Ran::of(&mut command);
    ran.out = without_root(&ran.out, world.root());
    ran
}

fn without_root(out: &[u8], root: &Path) -> Vec<u8> {
    let root = root.to_str().expect("a UTF-8 path").as_bytes();
    let mut cut = Vec::with_capacity(out.len());
    let mut rest = out;
    while !rest.is_empty() {
        match rest.strip_prefix(root) {
            Some(after) => rest = after,
            None => {
                cut.push(rest[0]);
                rest = &rest[1..];
            }
        }
    }
    cut
}

/// Runs both on the same flags and paths and compares output and exit code.
#[track_caller]
fn same(world: &World, flags: &str, paths: &[&str]) {
    let flags: Vec<_> = flags.split_whitespace().collect();
    // Line numbers and paths are always there with us, and only on a terminal with ripgrep; but
    // it lets a list of files or a count be, which -n does not change.
    let theirs = rg(world, &[&["-n", "-H"], flags.as_slice()].concat(), paths);
    let ours = world.run(&[&["grep"], flags.as_slice(), paths].concat());
    assert!(
        ours.out == theirs.out && ours.code == theirs.code,
        "{flags:?} {paths:?}\nripgrep {theirs}\n\nr2vfs {ours}"
    );
}

#[test]
fn lines_are_printed_as_ripgrep_prints_them() {
    if !has_rg() {
        return;
    }
    let world = texts();
    for flags in [
        "needle",
        "-i needle",
        "-s Needle",
        "-S needle",
        "-S Needle",
        "-i -s needle",
        "-w needle",
        "-x needle",
        "-F needle-1",
        "-F -e needle-1 -e needle-3",
        "-e needle-1 -e Title",
        "-v needle",
        "-v -i needle",
        "-o needle",
        "-o -i needle",
        "-o -b needle",
        "-A1 needle",
        "-B1 needle",
        "-C1 needle-",
        "-C0 needle",
        "-A2 -B1 needle-2",
        "-C1 --context-separator=## needle-",
        "-C1 --no-context-separator needle-",
        "-m1 needle",
        "-m2 needle",
        "-m0 needle",
        "-m1 -v needle",
        "--column needle",
        "--column -o needle",
        "--vimgrep needle",
        "-b needle",
        "-N needle",
        "-I needle",
        "-I -N needle",
        "-N -n needle",
        "-0 needle",
        "--heading needle",
        "--heading -C1 needle-",
        "--heading --no-heading needle",
        "-r pin needle",
        "-r <$0> needle",
        "-o -r $1 (need)le",
        "--trim needle",
        "-M40 needle",
        "-M40 --max-columns-preview needle",
        "-M0 needle",
        "-M30 -o needle",
        "--passthru needle-2",
        "--crlf needle$",
        "needle$",
        "^$",
        "--field-match-separator=| --field-context-separator=~ -C1 needle-2",
        "--stop-on-nonmatch needle",
        "caf.",
        "(?i)ärger",
        "-i ärger",
        r"--no-unicode -i \w+NEEDLE|needle",
        r"\w+-\d",
        "--color always needle",
        "--color always --heading -C1 --column needle",
        "--color always -o -0 needle",
        "--color always --colors match:fg:blue --colors path:style:bold needle",
        "-p needle",
        "nothing-has-this",
    ] {
        if flags.contains("--stop-on-nonmatch")
            && !rg(&world, &["--stop-on-nonmatch", "x"], &[]).err.is_empty()
        {
            continue; // since ripgrep 14
        }
        // `-b` is the bucket here; the long name is the same in both.
        same(&world, &flags.replace("-b ", "--byte-offset "), &[]);
    }
}

#[test]
fn counts_and_lists_are_printed_as_ripgrep_prints_them() {
    if !has_rg() {
        return;
    }
    let world = texts();
    for flags in [
        "-c needle",
        "-c -v needle",
        "-c -o needle",
        "-c --include-zero needle",
        "-c -I needle",
        "-c -0 needle",
        "-c -m1 needle",
        "--count-matches needle",
        "--count-matches -v needle",
        "--count-matches -i needle",
        "-l needle",
        "-l -0 needle",
        "-l -v needle",
        "--files-without-match needle",
        "--files-without-match .",
        "-l nothing-has-this",
        "-q needle",
        "-q nothing-has-this",
        "-c --color always needle",
        "-l --color always needle",
    ] {
        same(&world, flags, &[]);
    }
}

#[test]
fn binary_files_and_encodings_are_treated_as_ripgrep_treats_them() {
    if !has_rg() {
        return;
    }
    let world = texts();
    for flags in [
        "-a needle",
        "-a -c needle",
        "--binary -c needle",
        "--binary -l needle",
        "-uuu -c needle",
        "--null-data needle",
        "--null-data -c needle",
        "--null-data -C1 needle",
        "-E none needle",
        "-E utf-16le wide",
        "-E latin1 café",
        "-a -E none needle",
    ] {
        same(&world, flags, &[]);
    }
    for flags in ["-c needle", "-l needle", "-a needle", "-q needle"] {
        same(&world, flags, &["/data/nul-mid.bin"]);
        // Named in path order: ripgrep keeps to the order of its arguments, r2vfs to that one.
        same(&world, flags, &["/README.md", "/data/nul-first.bin", "/docs"]);
    }
}

#[test]
fn many_lines_match_as_in_ripgrep() {
    if !has_rg() {
        return;
    }
    let world = texts();
    for flags in [
        r"-U begin\n",
        r"-U begin\nmid",
        r"-U -o begin\n.*",
        r"-U --multiline-dotall begin.*end",
        r"-U (?s)begin.*?end",
        r"-U -c begin\n",
        r"-U --count-matches needle",
        r"-U -C1 mid\nend",
        r"-U -v begin\n",
        r"-U -r X begin\nend",
        r"-U --vimgrep begin\n",
        r"-U --color always mid\nend",
        r"-U -b begin\nend",
        r"-U --no-multiline needle-1",
    ] {
        same(&world, &flags.replace("-b ", "--byte-offset "), &[]);
    }
}

#[test]
fn files_are_selected_as_ripgrep_selects_them() {
    if !has_rg() {
        return;
    }
    let world = texts();
    for flags in [
        "-g *.md needle",
        "-g !*.md needle",
        "-g docs/** needle",
        "-g /docs/* needle",
        "-g !docs needle",
        "-g *.md -g !README.md needle",
        "-g !README.md -g *.md needle",
        "--iglob readme* needle",
        "-g readme* --glob-case-insensitive needle",
        "-g {src,lang}/** needle",
        "-t md needle",
        "-t rust -t py needle",
        "-T md needle",
        "-t all -l needle",
        "--type-add web:*.{log,bin} -t web -l here",
        "--type-add web:include:md,rust -t web -l needle",
        "--max-filesize 100 needle",
        "--max-filesize 1K needle",
    ] {
        same(&world, flags, &[]);
    }
    // In path order: several paths are printed in that order here, and in ripgrep as given.
    for paths in
        [&["/docs/"][..], &["/docs/", "/src/"], &["/README.md"], &["/README.md", "/zz.log"]]
    {
        same(&world, "needle", paths);
        same(&world, "-C1 needle", paths);
        same(&world, "-g *.md needle", paths);
        same(&world, "--heading needle", paths);
    }
}

#[test]
fn the_notice_for_a_binary_file_that_matches_is_told() {
    let world = texts();
    // ripgrep reworded both notices in version 14; these are those of the printer in use.
    world
        .run(&["grep", "needle", "/data/nul-mid.bin"])
        .gives(0, "/data/nul-mid.bin: binary file matches (found \"\\0\" byte around offset 22)\n");
    // A NUL behind the first 64 KiB, which were searched and printed already.
    let mut late = b"needle in the first block\n".repeat(3000);
    late.extend_from_slice(b"a \0 b\n");
    world.put("late.bin", &late);
    let ran = world.run(&["grep", "needle", "-g", "late.bin"]);
    let notice = "\n/late.bin: WARNING: stopped searching binary file after match \
                  (found \"\\0\" byte around offset 78002)\n";
    assert!(ran.text().ends_with(notice), "{ran}");
}

/// The messages of a `--json` stream, with what differs between any two runs taken out.
fn messages(out: &[u8]) -> Vec<Value> {
    let lines = out.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let mut messages: Vec<Value> =
        lines.map(|line| serde_json::from_slice(line).expect("each line is JSON")).collect();
    for message in &mut messages {
        let is_summary = message["type"] == "summary";
        let data = &mut message["data"];
        for times in ["elapsed_total", "stats"] {
            if let Some(inner) = data.get_mut(times).and_then(Value::as_object_mut) {
                // Before version 14 ripgrep left files without a match out of its sums, and the
                // bytes before a match that -m ended with.
                for name in ["elapsed", "secs", "nanos", "human", "bytes_printed", "bytes_searched"]
                {
                    inner.remove(name);
                }
                if is_summary {
                    inner.remove("searches");
                }
            }
        }
    }
    messages
}

#[test]
fn json_messages_are_those_of_ripgrep_and_an_envelope() {
    if !has_rg() {
        return;
    }
    let world = texts();
    for flags in [
        "needle",
        "-i needle",
        "-C1 needle-",
        "-v needle",
        r"-U begin\n",
        "-a needle",
        "-m1 needle",
        "nothing-has-this",
    ] {
        let flags: Vec<_> = flags.split_whitespace().collect();
        let theirs = rg(&world, &[&["--json"], flags.as_slice()].concat(), &[]);
        let ours = world.run(&[&["--json", "grep"], flags.as_slice()].concat());
        let (theirs_said, mut ours_said) = (messages(&theirs.out), messages(&ours.out));
        let envelope = ours_said.pop().expect("an envelope");
        assert_eq!(envelope["type"], "envelope", "{ours}");
        assert_eq!(envelope["data"]["complete"], true, "{ours}");
        assert!(
            ours_said == theirs_said && ours.code == theirs.code,
            "{flags:?}\nripgrep {theirs}\n\nr2vfs {ours}"
        );
    }
}

#[test]
fn patterns_come_from_files_and_standard_input() {
    if !has_rg() {
        return;
    }
    let world = texts();
    let file = world.beside("patterns");
    for patterns in
        ["needle-1\nTitle\n", "needle-1", "", "\n", "Title\r\nneedle-3\r\n", "Title\nTitle\n"]
    {
        std::fs::write(&file, patterns).expect("a file");
        let name = file.to_str().expect("a UTF-8 path");
        for flags in ["-f", "-vf", "-wf", "-Ff"] {
            if flags == "-vf" && patterns.is_empty() {
                continue; // until version 14, ripgrep took no patterns at all for no match, -v or not
            }
            same(&world, &format!("{flags} {name}"), &[]);
        }
        let mut command = world.command(["grep", "-f", "-"]);
        command.stdin(std::fs::File::open(&file).expect("it is there"));
        let theirs = rg(&world, &["-n", "-H", "-f", name], &[]);
        let ours = Ran::of(&mut command);
        assert_eq!((ours.text(), ours.code), (theirs.text(), theirs.code), "{patterns:?}");
    }
}

#[test]
fn types_are_listed_as_in_ripgrep() {
    let listed = texts().run(&["grep", "--type-list"]);
    assert_eq!(listed.code, Some(0));
    // The table grows with each version of ripgrep: some lines that never change.
    for line in ["rust: *.rs\n", "toml: *.toml, Cargo.lock\n", "txt: *.txt\n"] {
        assert!(listed.text().contains(line), "{line}{listed}");
    }
}
