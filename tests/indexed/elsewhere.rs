//! An index that is published to a directory of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A bucket whose first article has the needle, and room beside it.
struct Place {
    dir: TempDir,
    bucket: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let bucket = dir.path().join("bucket");
        fs::create_dir_all(bucket.join("docs")).expect("a directory");
        for number in 0..40 {
            let what = if number == 0 { "needle" } else { "haystack" };
            let text = format!("# Article {number}\n\nAbout the {what}.\n");
            fs::write(bucket.join(format!("docs/{number:02}.md")), text).expect("a file");
        }
        Self { dir, bucket }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The exit code, and what is printed on standard output and standard error.
    fn ran(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_r2vfs"))
            .args(words)
            .env_clear()
            .env("R2VFS_BUCKET", &self.bucket)
            .env("HOME", self.dir.path())
            .output()
            .expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    #[track_caller]
    fn does(&self, words: &[&str]) -> String {
        let (code, out, err) = self.ran(words);
        assert_eq!(code, Some(0), "{words:?}\n{out}\n{err}");
        out
    }

    #[track_caller]
    fn fails(&self, words: &[&str], parts: &[&str]) {
        let (code, out, err) = self.ran(words);
        let said = parts.iter().all(|part| err.contains(part));
        assert!(code == Some(2) && said, "{words:?}: {code:?}, {parts:#?}\n{out}\n{err}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn publish(to: &Path) -> [&str; 4] {
    ["index", "publish", "--to", text(to)]
}

fn search(index: &Path) -> [&str; 4] {
    ["--index", text(index), "search", "needle"]
}

#[test]
fn a_copy_of_a_published_index_asks_to_be_published_again() {
    let place = Place::new();
    let (published, copy) = (place.beside("published"), place.beside("copy"));
    place.does(&["index", "build"]);
    place.does(&publish(&published));
    assert!(place.does(&search(&published)).contains("/docs/00.md"));

    fs::create_dir(&copy).expect("a directory");
    for file in fs::read_dir(&published).expect("it is there") {
        let file = file.expect("an entry");
        fs::copy(file.path(), copy.join(file.file_name())).expect("a copy");
    }
    let version = "a published file is in another version than the manifest names, as in a copy";
    let parts = ["/: the index cannot be used: ", version, "next: run `r2vfs index publish`"];
    place.fails(&search(&copy), &parts);
    // What needs no index does without, and says why.
    let (code, out, err) = place.ran(&["--index", text(&copy), "grep", "-c", "needle", "--stats"]);
    assert_eq!((code, out.as_str()), (Some(0), "/docs/00.md:1\n"));
    assert!(err.contains("note: the index is not used: ") && err.contains(version), "{err}");
    // Also where nobody asks for the numbers, and without words of its own where it is told not to.
    let (_, _, err) = place.ran(&["--index", text(&copy), "grep", "-c", "needle"]);
    assert!(err.starts_with("r2vfs: the index is not used: ") && err.contains(version), "{err}");
    let quiet = ["--index", text(&copy), "grep", "-c", "--no-messages", "needle"];
    assert_eq!(place.ran(&quiet).2, "");
    // And what it says helps.
    place.does(&publish(&copy));
    assert!(place.does(&search(&copy)).contains("/docs/00.md"));
}

#[test]
fn a_place_that_was_named_and_has_no_index_is_told() {
    let place = Place::new();
    place.does(&["index", "build"]);
    let docs = place.bucket.join("docs");
    let (code, out, err) = place.ran(&["--index", text(&docs), "grep", "-c", "needle"]);
    assert_eq!((code, out.as_str()), (Some(0), "/docs/00.md:1\n"), "{err}");
    assert!(err.contains("there is none at the place that was named for it"), "{err}");
    // One that is here does not help, for it was not asked for.
    let parts = ["there is none at the place that was named", "or leave --index out, or use grep"];
    place.fails(&["--index", text(&docs), "search", "needle"], &parts);
    let off = ["next: leave `--index off` out"];
    place.fails(&["--index", "off", "search", "needle"], &off);
}

#[test]
fn a_search_says_which_index_it_does_without() {
    let place = Place::new();
    place.does(&["index", "build"]);
    place.does(&["index", "publish"]);
    let dir = place.bucket.join(".r2vfs");
    let files = fs::read_dir(&dir).expect("it is there");
    let segment = files.map(|file| file.expect("an entry").path());
    let segment = segment.into_iter().find(|file| file.extension().is_some_and(|end| end == "seg"));
    let segment = segment.expect("a segment");
    // What is published is lost, and a machine without an index of its own makes one.
    fs::remove_file(segment).expect("it is there");
    let other = place.beside("other");
    let words = ["--index-dir", text(&other), "search", "needle"];
    let (code, out, err) = place.ran(&words);
    assert!(code == Some(0) && out.contains("/docs/00.md"), "{out}\n{err}");
    assert!(err.contains("a published file is not there any more"), "{err}");
    assert!(err.contains("40 objects to index first"), "{err}");
}

/// A page of the full text that only some questions read.
#[test]
fn a_search_makes_a_small_index_anew_where_it_is_damaged() {
    let place = Place::new();
    let dir = place.beside("index");
    place.does(&["--index-dir", text(&dir), "index", "build"]);
    let found = |words: &str| {
        let (code, out, err) = place.ran(&["--index-dir", text(&dir), "search", words]);
        assert!(code == Some(0) && out.contains("/docs/00.md"), "{out}\n{err}");
        err
    };
    let index = fs::read_dir(&dir).expect("it is there").next().expect("one").expect("one").path();
    let files = fs::read_dir(index).expect("it is there").map(|file| file.expect("one").path());
    let file = files.into_iter().find(|file| file.extension().is_some_and(|end| end == "seg"));
    let file = file.expect("a segment");
    let sound = fs::read(&file).expect("it is there");
    let mut anew = 0;
    for page in 0..sound.len() / (32 << 10) + 1 {
        let mut bytes = sound.clone();
        bytes[page * (32 << 10)] ^= 1;
        fs::write(&file, bytes).expect("it can be written");
        anew += u64::from(found("needle").contains("objects to index first"));
        fs::write(&file, &sound).expect("it can be written");
    }
    assert!(anew > 0, "no page of those that a search reads was damaged");
}

#[test]
fn a_place_that_is_no_place_for_an_index_is_refused() {
    let place = Place::new();
    place.does(&["index", "build"]);
    let refused = |to: &Path, why: &str| place.fails(&publish(to), &[why, "next: "]);
    let inside = "is inside the bucket that is indexed";
    refused(&place.bucket, inside);
    refused(&place.bucket.join("index"), inside);
    refused(&place.bucket.join("docs/../docs/new/index"), inside);
    #[cfg(unix)]
    {
        let link = place.beside("link");
        std::os::unix::fs::symlink(&place.bucket, &link).expect("a link");
        refused(&link.join("index"), inside);
    }
    let others = place.beside("others");
    fs::create_dir(&others).expect("a directory");
    for name in ["manifest.json", "notes.md"] {
        fs::write(others.join(name), "{}").expect("a file");
    }
    refused(&others, "has other files in it, and no index");
    assert_eq!(fs::read_dir(&others).expect("it is there").count(), 2, "nothing was written");
    refused(&others.join("notes.md"), "is a file, or lies below one");
    refused(&others.join("notes.md/index"), "is a file, or lies below one");
    assert!(!place.bucket.join("index").exists() && !place.bucket.join("docs/new").exists());

    // Empty, not there, half of an index, and the bucket's own place for it.
    let empty = place.beside("empty");
    fs::create_dir(&empty).expect("a directory");
    let half = place.beside("half");
    fs::create_dir(&half).expect("a directory");
    fs::write(half.join("0123456789abcdef0123456789abcdef.seg"), "cut").expect("a file");
    for to in [empty, half, place.beside("new/index"), place.bucket.join(".r2vfs")] {
        place.does(&publish(&to));
        place.does(&search(&to));
    }
}

#[test]
fn a_published_index_has_a_status() {
    let place = Place::new();
    let published = place.beside("published");
    let other = place.beside("no-index-here");
    place.does(&["index", "build"]);
    place.does(&publish(&published));
    fs::write(place.bucket.join("docs/new.md"), "new\n").expect("a file");
    fs::remove_file(place.bucket.join("docs/39.md")).expect("it is there");

    let here = place.does(&["index", "status"]);
    assert!(here.starts_with("place: this machine\n"), "{here}");
    let there = place.does(&["index", "status", "--index", text(&published)]);
    let objects = "objects: 39 indexed, 0 changed, 1 new, 1 gone, 0 unreadable\n";
    let head = format!("place: published, where --index says\n{objects}documents: 40 ");
    assert!(there.starts_with(&head), "{there}");
    for line in ["\nindex: ", "\n  pack: ", "\n  text: ", "\nversion: 1 of ", "\nlisted: "] {
        assert!(there.contains(line), "{line}: {there}");
    }
    let docs = place.bucket.join("docs");
    let lost = ["index", "status", "--index", text(&docs)];
    place.fails(&lost, &["there is none at the place", "next: run `r2vfs index publish --to`"]);

    // The one in the bucket: if it is asked for, and if there is no other, as for a search.
    place.fails(&["index", "status", "--published"], &["there is no published index"]);
    place.does(&["index", "publish"]);
    let bare = |words: &[&str]| {
        let words =
            [&["index", "status", "--no-list", "--index-dir", text(&other)], words].concat();
        place.does(&words)
    };
    for out in [bare(&[]), bare(&["--published"]), place.does(&["index", "status", "--published"])]
    {
        assert!(out.starts_with("place: published in the bucket\n"), "{out}");
    }
    let none = ["--index", "off", "--index-dir", text(&other), "index", "status"];
    place.fails(&none, &["next: run `r2vfs index build`"]);
}
