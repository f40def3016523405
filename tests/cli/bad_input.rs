//! Each kind of bad input has its own message, says what to do next, and ends with 2.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use super::program::{Ran, World};

fn world() -> World {
    World::new(&[("docs/guide.md", b"text\n"), ("docs/faq.md", b"text\n")])
}

#[test]
fn a_location() {
    let world = world();
    world.run(&["-b", "r2://", "ls"]).fails(&["names no bucket", "next: "]);
    world.run(&["-b", "ftp://host/x", "ls"]).fails(&["ftp", "next: "]);
    world.run(&["-b", "s3://Bad_Bucket", "ls"]).fails(&["bucket's name", "next: "]);
    let missing = "there is no such directory: ./not-there";
    for command in [&["ls"][..], &["index", "build"], &["index", "publish"]] {
        world.run(&[&["-b", "./not-there"], command].concat()).fails(&[missing, "next: "]);
    }
    world.run(&["--index", "./not-there", "grep", "x"]).fails(&[missing, "next: "]);
    let doctor = world.run(&["-b", "./not-there", "doctor"]);
    assert!(doctor.text().contains(missing), "{doctor}");
    world.run(&["--mount", "/kb", "ls"]).fails(&["names no location", "--mount /POINT=LOCATION"]);
    for wrong in ["s3://private", "s3://private=/kb", "kb=s3://private", "/kb=s3:private"] {
        let ran = world.run(&["--mount", wrong, "ls"]);
        ran.fails(&["next: "]);
        assert!(!ran.err.contains("private"), "{ran}");
    }
    let root = world.root().to_str().expect("a UTF-8 path").to_owned();
    let (one, two) = (format!("/kb={root}"), format!("/kb/in={root}"));
    world.run(&["--mount", &one, "--mount", &two, "ls"]).fails(&["/kb"]);
    let mut command = world.command(["ls"]);
    Ran::of(command.env_remove("R2VFS_BUCKET")).fails(&["no bucket was named", "R2VFS_BUCKET"]);
}

#[test]
fn a_missing_credential_or_account() {
    let world = world();
    world.run(&["-b", "r2://bucket", "ls"]).fails(&["no credentials", "R2_ACCESS_KEY_ID"]);
    let mut command = world.command(["-b", "r2://bucket", "ls"]);
    command.env("R2_ACCESS_KEY_ID", "test").env("R2_SECRET_ACCESS_KEY", "test");
    Ran::of(&mut command).fails(&["account id", "next: ", "R2_ACCOUNT_ID"]);
    let s3 = ["-b", "s3://bucket", "--endpoint", "http://127.0.0.1:1", "ls"];
    world.run(&s3).fails(&["no credentials", "next: "]);
}

#[test]
fn a_path() {
    let world = world();
    world.say("cat /docs/giude.md").fails(&["r2vfs: /docs/giude.md: ", "next: ", "/docs/guide.md"]);
    world.say("read /docs/guide").fails(&["/docs/guide.md"]);
    world.say("cat docs/guide.md").fails(&["next: ", "/docs/guide.md"]);
    world.say("cat /docs/../secret").fails(&["..", "next: "]);
    world.say("cat /docs/").fails(&["directory", "next: "]);
    world.say("ls /nowhere/").fails(&["r2vfs: /nowhere/: "]);
    world.say("stat /nowhere").fails(&["r2vfs: /nowhere: "]);
    world.say("grep x /nowhere").fails(&["r2vfs: /nowhere: "]);
    world.say("search token rotate").fails(&["next: ", "was it meant as 'token rotate'?"]);
    let ran = world.say("search token /rotate");
    assert!(!ran.err.contains("was it meant"), "{ran}");
}

#[test]
fn a_pattern() {
    let world = world();
    world.run(&["grep", "ab(c"]).fails(&["column 3", "next: "]);
    world.run(&["grep", r"a\n"]).fails(&["next: "]);
    world.run(&["grep", r"(?=x)"]).fails(&["look-around"]);
    world.run(&["grep", "-P", "x"]).fails(&["look-around", "-P", "next: "]);
    world.run(&["grep", r"(\w{1000}){1000}"]).fails(&["next: "]);
    world.run(&["grep", "--regex-size-limit", "1K", r"\w{50}"]).fails(&["next: "]);
    world.run(&["glob", "docs/{a,b"]).fails(&["column", "next: "]);
    world.run(&["glob", "docs/[z-a]"]).fails(&["column", "next: "]);
    world.run(&["grep", "-g", "[", "x"]).fails(&["next: "]);
    world.run(&["grep", "-t", "nonsense", "x"]).fails(&["nonsense"]);
    world.run(&["grep", "-E", "klingon", "x"]).fails(&["klingon", "next: "]);
    world.run(&["grep", "--colors", "x:y", "x"]).fails(&["--colors", "next: "]);
    world.run(&["grep", "-f", "/not/there"]).fails(&["/not/there", "next: "]);
    world.run(&["grep"]).fails(&["next: "]);
    world.run(&["--json", "grep", "-c", "x"]).fails(&["--json", "next: "]);
}

#[test]
fn a_number() {
    let world = world();
    let lines = world.say("read /docs/faq.md --offset 0");
    lines.fails(&["'--offset <LINE>': lines are counted from 1", "next: "]);
    for line in [
        "read /docs/faq.md --limit 0",
        "read /docs/faq.md --limit 9999999",
        "read /docs/faq.md --offset 99",
        "tree -L 0",
        "grep -A x y",
        "grep -C 99999999 y",
        "grep -m -1 y",
        "--concurrency 0 ls",
        "--timeout 0 ls",
        "--memory-cache lots ls",
        "cat --range 9-5 /docs/faq.md",
        "cat --range -5 /docs/faq.md",
    ] {
        world.say(line).fails(&["next: "]);
    }
}

#[test]
fn a_config_file_with_its_line() {
    let world = world();
    let file = world.beside("mounts.toml");
    let name = file.to_str().expect("a UTF-8 path");
    world.run(&["--config", name, "ls"]).fails(&["mounts.toml cannot be read", "next: "]);
    for (text, line) in [
        ("[[mount]]\npoint = \"/kb\"\nlocation = 7\n", "line 3:"),
        ("[[mount]]\npoint = \"/kb\"\nlocaton = \"x\"\n", "line 3:"),
        ("\n\n[[mount]\n", "line 3:"),
        ("[[mount]]\npoint = \"/kb\"\n", "line 1:"),
    ] {
        std::fs::write(&file, text).expect("a file");
        world.run(&["--config", name, "ls"]).fails(&["mounts.toml:", line, "next: "]);
    }
    for text in ["[[tenant]]\nname = \"acme\"\n", "[server]\n"] {
        std::fs::write(&file, text).expect("a file");
        let what = "mounts.toml is a configuration of `r2vfs serve`";
        world.run(&["--config", name, "ls"]).fails(&[what, "[[mount]] tables"]);
    }
}

#[test]
fn a_command_line() {
    let world = world();
    world.say("find /").fails(&["no command `find`", "next: write `r2vfs glob`"]);
    world.say("grep --ignore-cse x").fails(&["--ignore-cse", "next: ", "--ignore-case"]);
    world.run(&[]).fails(&["no command", "next: "]);
    world.say("index buidl").fails(&["no command `buidl`", "next: write `r2vfs index build`"]);
    let commands = ["index", "token"];
    for command in &commands[..if cfg!(feature = "server") { 2 } else { 1 }] {
        let ran = world.say(command);
        assert_eq!(ran.code, Some(2), "{ran}");
        assert!(ran.err.contains(&format!("Usage: r2vfs {command} ")), "{ran}");
    }
    let help = world.say("help");
    assert!(help.code == Some(0) && help.text().contains("Usage: r2vfs "), "{help}");
    world.say("tool lst {}").fails(&["\"lst\"", "next: did you mean list?"]);
    world.say("tool list --schemas").fails(&["--schemas", "next: "]);
}

/// A server that answers every request with `answer`, and its address.
fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            // Whatever the client does with the answer is what the test is about.
            if stream.read(&mut request).is_ok() {
                drop(stream.write_all(answer.as_bytes()));
            }
        }
    });
    address
}

fn over(world: &World, endpoint: &str, words: &[&str]) -> Ran {
    let mut command = world.command(["-b", "s3://bucket", "--endpoint", endpoint]);
    command
        .args(words)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "secret-words");
    Ran::of(&mut command)
}

#[test]
fn an_endpoint_that_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let closed = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    let ran = over(&world(), &closed, &["--timeout", "20", "ls"]);
    ran.fails(&["next: "]);
    assert!(!ran.err.contains("127.0.0.1") && !ran.err.contains("secret"), "{ran}");
}

#[test]
fn an_endpoint_that_is_not_s3() {
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\
                Connection: close\r\n\r\n<html>hi</html>";
    let ran = over(&world(), &server(html), &["ls"]);
    ran.fails(&["next: "]);
    assert!(!ran.err.contains("127.0.0.1"), "{ran}");
}

#[test]
fn doctor_says_in_words_what_is_wrong() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let closed = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    let ran = over(&world(), &closed, &["--timeout", "20", "doctor"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(ran.text().contains("FAIL") && ran.text().contains("next: "), "{ran}");
}
