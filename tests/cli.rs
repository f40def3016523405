//! The real program, over temporary directories.

mod bad_input;
#[cfg(feature = "s3")]
mod over_s3;
mod program;
mod ripgrep;

use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
    time::{Duration, Instant},
};

use program::{Ran, World};
use serde_json::Value;

fn articles() -> World {
    World::new(&[
        ("a.md", b"the first\n"),
        ("a/inside.md", b"inside\n"),
        ("docs/en/Guide.md", b"one\ntwo\nthree\n"),
        ("docs/en/faq.md", b"question\nanswer\n"),
        ("docs/index.html", b"<p>two</p>\n"),
        ("odd/%7E 100%.md", b"percent\n"),
        ("odd/new\nline.md", b"escaped\n"),
    ])
}

#[test]
fn ls_lists_one_level_or_all() {
    let world = articles();
    world.say("ls").gives(0, "/a.md\n/a/\n/docs/\n/odd/\n");
    world.say("ls /docs/").gives(0, "/docs/en/\n/docs/index.html\n");
    world.say("ls /docs").gives(0, "/docs/en/\n/docs/index.html\n");
    world.say("ls /docs/index.html").gives(0, "/docs/index.html\n");
    world
        .say("ls -R /docs")
        .gives(0, "/docs/en/\n/docs/en/Guide.md\n/docs/en/faq.md\n/docs/index.html\n");
    let long = world.say("ls -l /docs").text();
    let lines: Vec<_> = long.lines().collect();
    assert!(lines[0].trim_start().starts_with('-') && lines[0].ends_with("/docs/en/"), "{long}");
    let fields: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!((fields[0], fields[2]), ("11", "/docs/index.html"), "{long}");
    assert!(fields[1].len() == 20 && fields[1].ends_with('Z'), "{long}");
}

#[test]
fn an_answer_over_nothing_says_so() {
    let world = World::new(&[]);
    for (words, code) in [("ls", 0), ("grep needle", 1), ("glob **/*.md", 1)] {
        let ran = world.say(words);
        assert!(ran.err.contains("there is no object to look at here"), "{words}: {ran}");
        assert_eq!(ran.code, Some(code), "{words}");
    }
    let ran = articles().say("grep needle");
    assert_eq!(ran.err, "", "objects were looked at");
}

#[test]
fn piped_paths_can_be_given_back() {
    let world = articles();
    let listed = world.say("ls -R /odd/").text();
    assert_eq!(listed, "/odd/%7E 100%.md\n/odd/new%0Aline.md\n");
    let back: Vec<_> = listed.lines().collect();
    world.run(&["cat", back[0], back[1]]).gives(0, "percent\nescaped\n");
}

#[test]
fn tree_indents_what_is_below() {
    let world = articles();
    world
        .say("tree /docs")
        .gives(0, "/docs/\n  en/\n    Guide.md\n    faq.md\n  index.html\n1 directory, 3 files\n");
    world.say("tree -L 1").gives(0, "/\n  a.md\n  a/\n  docs/\n  odd/\n3 directories, 1 file\n");
}

#[test]
fn stat_says_what_is_there() {
    let world = articles();
    let file = world.say("stat /a.md").text();
    for line in ["path: /a.md\n", "kind: file\n", "size: 10\n", "modified: 2", "etag: "] {
        assert!(file.contains(line), "{line}{file}");
    }
    world.say("stat /docs").gives(0, "path: /docs/\nkind: directory\n");
    let report = world.say("stat --report").text();
    assert!(report.contains("  listed: 7\n") && report.contains("  reachable: 7\n"), "{report}");
}

#[test]
fn cat_prints_bytes_and_ranges() {
    let world = articles();
    world.put("bytes.bin", &[0, 255, 10, 13, 0]);
    assert_eq!(world.say("cat /bytes.bin").out, [0, 255, 10, 13, 0]);
    world.say("cat --range 4-6 /docs/en/Guide.md").gives(0, "two");
    world.say("cat --range 8- /docs/en/Guide.md").gives(0, "three\n");
    world.say("cat --range 8-999 /docs/en/Guide.md").gives(0, "three\n");
    let half = world.say("cat /docs/en/faq.md /nowhere /a.md");
    assert_eq!(half.text(), "question\nanswer\nthe first\n");
    half.fails(&["r2vfs: /nowhere: "]);
}

#[test]
fn read_prints_a_window_and_says_where_it_goes_on() {
    let world = articles();
    world.say("read /docs/en/Guide.md").gives(0, "one\ntwo\nthree\n");
    world.say("read /docs/en/Guide.md --offset 2 --limit 1").gives(0, "two\n");
    world.say("read /docs/en/Guide.md --tail 2").gives(0, "two\nthree\n");
    world.put("long.log", &b"line\n".repeat(2500));
    let first = world.say("read /long.log");
    assert_eq!((first.code, first.text().lines().count()), (Some(0), 2000));
    assert_eq!(first.err, "r2vfs: /long.log: there are more lines\n  next: add --offset 2001\n");
}

#[test]
fn glob_prints_files_whose_path_matches() {
    let world = articles();
    world
        .run(&["glob", "**/*.md", "!odd/**"])
        .gives(0, "/a.md\n/a/inside.md\n/docs/en/Guide.md\n/docs/en/faq.md\n");
    world.run(&["glob", "-i", "docs/**/guide.*"]).gives(0, "/docs/en/Guide.md\n");
    world.run(&["glob", "*.html", "--path", "/docs/"]).gives(0, "/docs/index.html\n");
    world.run(&["glob", "*.pdf"]).gives(1, "");
}

#[test]
fn options_stand_before_and_after_the_command() {
    let world = articles();
    let root = world.root().to_str().expect("a UTF-8 path").to_owned();
    let other = World::new(&[("x.md", b"other\n")]);
    let there = other.root().to_str().expect("a UTF-8 path").to_owned();
    world.run(&["-b", &there, "ls"]).gives(0, "/x.md\n");
    world.run(&["ls", "-b", &there]).gives(0, "/x.md\n");
    let (one, two) = (format!("/one={root}"), format!("/two={there}"));
    world
        .run(&["--mount", &one, "cat", "/two/x.md", "/one/a/inside.md", "--mount", &two])
        .gives(0, "other\ninside\n");
    world.run(&["--mount", &one, "--mount", &two, "ls"]).gives(0, "/one/\n/two/\n");
    world.run(&["--mount", &one, "--mount", &two, "grep", "-c", "[io]"]).gives(
        0,
        "/one/a.md:1\n/one/a/inside.md:1\n/one/docs/en/Guide.md:2\n/one/docs/en/faq.md:1\n\
         /one/docs/index.html:1\n/two/x.md:1\n",
    );
}

#[test]
fn a_config_file_names_mounts_relative_to_itself() {
    let world = articles();
    let file = world.beside("mounts.toml");
    std::fs::write(&file, "[[mount]]\npoint = \"/kb\"\nlocation = \"bucket\"\n").expect("a file");
    let file = file.to_str().expect("a UTF-8 path");
    let mut command = world.command(["--config", file, "cat", "/kb/a/inside.md"]);
    Ran::of(command.current_dir("/")).gives(0, "inside\n");
}

#[test]
fn json_ends_in_an_envelope() {
    let world = articles();
    for line in [
        "--json ls",
        "ls -R --json",
        "--json glob **",
        "--json stat /a.md /docs/",
        "--json tree",
        "--json doctor",
    ] {
        let ran = world.say(line);
        let messages: Vec<Value> = ran
            .text()
            .lines()
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect();
        let (last, others) = messages.split_last().expect("an envelope");
        assert_eq!((&last["type"], &last["data"]["complete"]), (&"envelope".into(), &true.into()));
        assert!(!others.is_empty() && others.iter().all(|m| m["type"] != "envelope"), "{ran}");
    }
    let half = world.say("--json stat /nowhere /a.md");
    let last: Value = serde_json::from_str(half.text().lines().last().expect("one")).expect("JSON");
    assert_eq!(last["data"]["skipped"][0]["path"], "/nowhere", "{half}");
    world.say("--json cat /a.md").fails(&["no --json", "next: "]);
}

#[test]
fn stats_say_what_was_looked_at() {
    let ran = articles().say("--stats grep two");
    assert_eq!(ran.text(), "/docs/en/Guide.md:2:two\n/docs/index.html:1:<p>two</p>\n");
    assert!(ran.err.contains("complete: yes\nobjects: 7 listed, 7 searched, 2 matched\n"), "{ran}");
    let ran = articles().say("cat /a.md --stats");
    assert!(ran.text() == "the first\n" && ran.err.contains(" 1 get request, 10 bytes"), "{ran}");
    let ran = articles().say("search --limit 1 --stats two");
    let asked = "complete: as far as was asked, the limit of 1 hit is reached\n";
    assert!(ran.code == Some(0) && ran.err.contains(asked), "{ran}");
    for command in ["cat", "stat"] {
        let ran = articles().run(&["--stats", command, "/a.md", "/no\u{202e}where"]);
        assert_eq!(ran.err.matches("/no\\u{202e}where").count(), 2, "{ran}");
        assert!(!ran.err.contains('\u{202e}') && ran.err.contains("1 matched"), "{ran}");
    }
}

#[test]
fn tools_take_and_give_json() {
    let world = articles();
    let ran = world.run(&["tool", "read", r#"{"path":"/docs/en/faq.md","limit":1}"#]);
    let answer: Value = serde_json::from_slice(&ran.out).expect("JSON");
    assert_eq!((ran.code, &answer["lines"][0]["text"]), (Some(0), &"question".into()), "{ran}");
    let none = world.run(&["tool", "glob", r#"{"pattern":"*.pdf"}"#]);
    assert_eq!(none.code, Some(1), "{none}");
    world.run(&["tool", "wrote", "{}"]).fails(&["\"wrote\"", "next: "]);
    world.run(&["tool", "read", "{\"path\"}"]).fails(&["not JSON", "next: "]);
    world.run(&["tool", "read", r#"{"pth":"/a.md"}"#]).fails(&["`pth`", "did you mean `path`?"]);
    let text = world.run(&["tool", "--text", "read", r#"{"path":"/docs/en/faq.md","limit":1}"#]);
    assert!(text.out.starts_with(b"     1\tquestion\n[lines 1-1"), "{text}");
    let asked = world.run(&["tool", "glob", r#"{"pattern":"*.pdf","format":"text"}"#]);
    assert!(asked.out.starts_with(b"[no file matches \"*.pdf\" among the "), "{asked}");
    assert_eq!(asked.code, Some(1), "{asked}");
    let dry = world.run(&["tool", "grep", r#"{"pattern":"x","dry_run":true}"#]);
    assert_eq!(dry.code, Some(0), "{dry}");
    let long = world.beside("arguments.json");
    let arguments = format!("{{\"path\":\"/a.md\"}}{}", " ".repeat(1 << 20));
    std::fs::write(&long, arguments).expect("a file");
    let mut command = world.command(["tool", "read", "-"]);
    command.stdin(std::fs::File::open(&long).expect("a file"));
    Ran::of(&mut command).fails(&["longer than 1 MiB", "next: "]);
}

#[test]
fn the_table_of_tools_needs_no_bucket() {
    let world = articles();
    let listed = Ran::of(world.command(["tool"]).env_remove("R2VFS_BUCKET"));
    assert!(listed.out.starts_with(b"list: ") && listed.code == Some(0), "{listed}");
    let json = Ran::of(world.command(["tool", "--schemas"]).env_remove("R2VFS_BUCKET"));
    let tools: Value = serde_json::from_slice(&json.out).expect("JSON");
    assert_eq!(tools.as_array().map(Vec::len), Some(6), "{json}");
    assert_eq!(tools[4]["inputSchema"]["required"][0], "pattern", "{json}");
}

#[test]
fn a_mount_that_cannot_be_opened_hides_no_other() {
    let world = articles();
    let good = format!("/good={}", world.root().display());
    let mounts = ["--mount", &good, "--mount", "/bad=./not-there"];
    let run = |words: &[&str]| world.run(&[&mounts[..], words].concat());
    run(&["cat", "/good/a.md"]).gives(0, "the first\n");
    run(&["ls"]).gives(0, "/bad/\n/good/\n");
    run(&["ls", "/bad/"]).fails(&["r2vfs: /bad/: there is no such directory", "next: "]);
    let all = run(&["grep", "-l", "two"]);
    assert_eq!(all.text(), "/good/docs/en/Guide.md\n/good/docs/index.html\n");
    all.fails(&["r2vfs: /bad/: "]);
    world.run(&["--mount", "/bad=./not-there", "ls"]).fails(&["r2vfs: /bad/: "]);
}

#[test]
fn help_completions_and_the_manual_need_no_bucket() {
    let world = articles();
    for line in ["--help", "grep -h", "--version", "man", "completions bash", "completions fish"] {
        let mut command = world.command(line.split(' '));
        let ran = Ran::of(command.env_remove("R2VFS_BUCKET"));
        assert!(ran.code == Some(0) && ran.err.is_empty() && !ran.out.is_empty(), "{line}: {ran}");
    }
    let manual = world.say("man").text();
    assert!(manual.contains("files\\-without\\-match") && manual.contains("grep"), "no grep flags");
    assert!(world.say("completions zsh").text().contains("--files-without-match"));
}

#[test]
fn one_unreadable_file_does_not_hide_the_others() {
    let world = articles();
    let ran = world.run(&["grep", "two", "/docs/", "/nowhere.md"]);
    assert_eq!(ran.text(), "/docs/en/Guide.md:2:two\n/docs/index.html:1:<p>two</p>\n");
    ran.fails(&["r2vfs: /nowhere.md: "]);
    // As in ripgrep, -q asks for one match only, whatever else went wrong.
    assert_eq!(world.run(&["grep", "-q", "two", "/docs/", "/nowhere.md"]).code, Some(0));
    let silent = world.run(&["grep", "--no-messages", "two", "/docs/", "/nowhere.md"]);
    assert_eq!((silent.code, silent.err.as_str()), (Some(2), ""), "{silent}");
}

#[test]
fn doctor_finds_nothing_wrong_with_a_directory() {
    let ran = articles().say("doctor");
    assert!(ran.code == Some(0) && !ran.text().contains("FAIL"), "{ran}");
}

/// Runs the program on a terminal, or gives `None` where there is no way to have one.
fn on_a_terminal(world: &World, words: &str) -> Option<String> {
    let mut command = std::process::Command::new("script");
    command
        .args(["-qec", &format!("{} {words}", env!("CARGO_BIN_EXE_r2vfs")), "/dev/null"])
        .env("R2VFS_BUCKET", world.root())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    match command.output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n")),
        Err(_) => {
            eprintln!("SKIPPED: there is no `script` to make a terminal with");
            None
        }
    }
}

#[test]
fn on_a_terminal_there_are_headings_and_colours_and_names_are_harmless() {
    let world = World::new(&[("a.md", b"one\n"), ("evil\u{202e}dm.md", b"one\nand one\n")]);
    let Some(plain) = on_a_terminal(&world, "--color never grep one") else { return };
    assert_eq!(plain, "/a.md\n1:one\n\n/evil\\u{202e}dm.md\n1:one\n2:and one\n");
    let Some(listed) = on_a_terminal(&world, "ls") else { return };
    assert_eq!(listed, "/a.md\n/evil\\u{202e}dm.md\n");
    let Some(colour) = on_a_terminal(&world, "grep and") else { return };
    assert!(colour.contains("\u{1b}[35m/evil\\u{202e}dm.md\u{1b}[0m\n"), "{colour:?}");
    world.say("ls").gives(0, "/a.md\n/evil\u{202e}dm.md\n");
}

fn many() -> World {
    let world = World::new(&[]);
    for n in 0..300 {
        world.put(&format!("{n:03}.log"), &b"needle in a line of some length\n".repeat(400));
    }
    world
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let world = many();
    for line in
        ["grep needle", "ls -R", "cat /000.log /001.log /002.log /003.log /004.log /005.log"]
    {
        let mut command = world.command(line.split(' '));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut first = String::new();
        let mut reader = BufReader::new(child.stdout.take().expect("a pipe"));
        reader.read_line(&mut first).expect("a line");
        drop(reader);
        let done = child.wait_with_output().expect("it ends");
        let err = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.code() == Some(0) && err.is_empty(), "{line}: {:?} {err}", done.status);
    }
}

#[test]
fn an_interrupt_stops_the_work_and_says_so() {
    let world = many();
    let mut command = world.command(["grep", "needle"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut out = child.stdout.take().expect("a pipe");
    // It prints more than a pipe holds, so it is still at work when the first bytes are here.
    out.read_exact(&mut [0; 10]).expect("some output");
    let started = Instant::now();
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(kill.success());
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).expect("the rest");
    let done = child.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(130), "{err}");
    assert!(err.contains("r2vfs: interrupted: what was printed is not the whole answer"), "{err}");
    assert!(started.elapsed() < Duration::from_secs(10));
}
