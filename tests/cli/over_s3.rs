//! The program over the loopback S3 server: what only a server can do wrong.

use super::program::{Ran, World};
use crate::support::{ACCESS_KEY, Fault, Rule, SECRET_KEY, Stored, TestServer};

struct Bucket {
    server: TestServer,
    world: World,
}

impl Bucket {
    async fn new() -> Self {
        let bucket = Self { server: TestServer::start().await, world: World::new(&[]) };
        let store = bucket.server.store();
        store.put("a", "the object beside a directory\n");
        store.put("a/inside.md", "inside\n");
        store.put("docs/faq.md", "question\nanswer\n");
        store.put("docs/guide.md", "one\ntwo\nthree\n");
        bucket
    }

    fn run_with(&self, location: &str, id: &str, secret: &str, words: &str) -> Ran {
        let mut command = self.world.command(words.split_whitespace());
        command
            .env("R2VFS_BUCKET", location)
            .env("AWS_ENDPOINT_URL_S3", self.server.url())
            .env("AWS_ACCESS_KEY_ID", id)
            .env("AWS_SECRET_ACCESS_KEY", secret);
        Ran::of(&mut command)
    }

    fn say(&self, words: &str) -> Ran {
        self.run_with(&self.server.location(""), ACCESS_KEY, SECRET_KEY, words)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_and_a_directory_of_the_same_name_live_side_by_side() {
    let bucket = Bucket::new().await;
    bucket.say("ls").gives(0, "/a\n/a/\n/docs/\n");
    bucket.say("cat /a").gives(0, "the object beside a directory\n");
    bucket.say("ls /a/").gives(0, "/a/inside.md\n");
    let stat = bucket.say("stat /a").text();
    assert!(stat.contains("kind: file\n") && stat.contains("also_dir: /a/\n"), "{stat}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_a_missing_bucket_and_a_missing_key_are_told_apart() {
    let bucket = Bucket::new().await;
    let location = bucket.server.location("");
    let unknown = bucket.run_with(&location, "nobody", SECRET_KEY, "ls");
    unknown.fails(&["r2vfs: ", "next: "]);
    let wrong = bucket.run_with(&location, ACCESS_KEY, "a-wrong-secret", "ls");
    wrong.fails(&["next: "]);
    let none = bucket.run_with("s3://no-such-bucket", ACCESS_KEY, SECRET_KEY, "ls");
    none.fails(&["bucket", "next: "]);
    let key = bucket.say("cat /docs/giude.md");
    key.fails(&["r2vfs: /docs/giude.md: ", "next: did you mean /docs/guide.md?"]);
    let errors: Vec<_> =
        [&unknown, &wrong, &none].map(|ran| ran.err.lines().next().map(str::to_owned)).to_vec();
    assert!(errors[0] != errors[2] && errors[1] != errors[2], "{errors:#?}");
    for ran in [unknown, wrong, none, key] {
        let secrets = ["127.0.0.1", "no-such-bucket", "a-wrong-secret", SECRET_KEY];
        assert!(!secrets.iter().any(|secret| ran.err.contains(secret)), "{ran}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_is_reported_beside_the_other_matches() {
    let bucket = Bucket::new().await;
    bucket.server.store().put_object("docs/cold.md", Stored::new("one\n").storage_class("GLACIER"));
    let denied = Fault::forbidden("AccessDenied");
    bucket.server.faults().add(Rule::gets(denied).key("docs/faq.md"));
    let ran = bucket.say("grep [eo]");
    assert_eq!(
        ran.text(),
        "/a:1:the object beside a directory\n/a/inside.md:1:inside\n\
         /docs/guide.md:1:one\n/docs/guide.md:2:two\n/docs/guide.md:3:three\n"
    );
    ran.fails(&["r2vfs: /docs/cold.md: ", "r2vfs: /docs/faq.md: "]);
    assert_eq!(ran.err.lines().count(), 2, "{ran}");
    // A failure puts nothing between records that a program splits at NUL.
    let paths = bucket.say("grep -l -0 [eo]");
    assert_eq!(paths.text(), "/a\0/a/inside.md\0/docs/guide.md\0", "{paths}");
    let records = bucket.say("grep --null-data -N [eo]");
    assert_eq!(records.text().matches('\0').count(), 3, "{records}");
    assert!(!records.text().contains("\0\n"), "{records}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_archive_object_is_read() {
    let bucket = Bucket::new().await;
    let restored = Stored::new("thawed\n").storage_class("GLACIER").restored();
    bucket.server.store().put_object("docs/cold.md", restored);
    bucket.say("cat /docs/cold.md").gives(0, "thawed\n");
    bucket.say("grep thawed").gives(0, "/docs/cold.md:1:thawed\n");
    assert!(bucket.say("stat /docs/cold.md").text().contains("archived: yes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_cache_that_cannot_be_used_is_told_once() {
    let bucket = Bucket::new().await;
    let file = bucket.world.beside("file");
    std::fs::write(&file, "").expect("a file");
    let ran = bucket.say(&format!("--cache-dir {} grep answer", file.display()));
    assert_eq!((ran.code, ran.text()), (Some(0), "/docs/faq.md:2:answer\n".to_owned()), "{ran}");
    assert!(ran.err.starts_with("r2vfs: the disk cache cannot be used"), "{ran}");
    assert_eq!(ran.err.lines().count(), 1, "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_command_starts_warm_unless_it_is_told_not_to() {
    let bucket = Bucket::new().await;
    let all = "/docs/faq.md:2:answer\n";
    bucket.say("grep answer").gives(0, all);
    assert_eq!(bucket.server.counts().gets, 4);
    bucket.say("grep answer").gives(0, all);
    assert_eq!(bucket.server.counts().gets, 4);
    bucket.say("--no-disk-cache grep answer").gives(0, all);
    assert_eq!(bucket.server.counts().gets, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_fetched_without_what_stands_before_it() {
    let bucket = Bucket::new().await;
    // Twelve blocks of 256 KiB, of which a range at the end needs one beside the first.
    bucket.server.store().put("large.bin", vec![b'x'; 3 << 20]);
    bucket.say("cat --no-disk-cache --range 3145720- /large.bin").gives(0, "xxxxxxxx");
    let ran = bucket.say("cat --no-disk-cache --range 3145720- /large.bin --stats");
    assert!(ran.err.contains(" 2 get requests, 524288 bytes fetched"), "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_with_what_was_found_and_code_2() {
    let bucket = Bucket::new().await;
    bucket.server.faults().add(Rule::gets(Fault::Hang).key("docs/guide.md"));
    let ran = bucket.say("--timeout 2 grep [eo]");
    assert!(ran.text().starts_with("/a:1:the object"), "{ran}");
    ran.fails(&["the answer is not complete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_is_content_and_finds_a_clock_that_is_off() {
    let bucket = Bucket::new().await;
    let well = bucket.say("doctor");
    assert!(well.code == Some(0) && !well.text().contains("FAIL"), "{well}");
    bucket.server.faults().add(Rule::all(Fault::ClockSkew(3600)));
    let skewed = bucket.say("doctor");
    assert!(skewed.code == Some(2) && skewed.text().contains("clock"), "{skewed}");
    assert!(skewed.text().contains("next: "), "{skewed}");
}
