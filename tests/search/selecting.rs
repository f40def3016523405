//! `-g`, `--iglob`, `-t`, `-T` and sizes against `rg --files` over random trees.

use std::{collections::BTreeSet, fs, path::Path};

use proptest::{collection::vec, prelude::*, sample::select};
use r2vfs::{
    Kind,
    search::{SelectionOptions, type_list},
};

use super::{cases, rg, runner};

fn trees() -> impl Strategy<Value = BTreeSet<String>> {
    let letters =
        select(vec!["a", "b", "A", "-", ".", "*", "?", "!", "[", "]", "{", "}", "#", " "]);
    let name = (vec(letters, 1..3), select(vec!["", "", ".md", ".py", ".rs"]))
        .prop_map(|(letters, end)| letters.concat() + end)
        .prop_map(|n| if n == "." || n == ".." { n + "a" } else { n });
    let path = vec(name, 1..4).prop_map(|names| names.join("/"));
    vec(path, 1..10).prop_map(|paths| {
        let mut tree = BTreeSet::<String>::new();
        for path in paths {
            let clash = tree.iter().any(|other| {
                other.starts_with(&format!("{path}/")) || path.starts_with(&format!("{other}/"))
            });
            if !clash {
                tree.insert(path);
            }
        }
        tree
    })
}

fn globs() -> impl Strategy<Value = Vec<String>> {
    let piece = select(vec![
        "a", "b", "-", ".", "/", "/", "*", "**", "?", "!", "[", "]", "{", "}", ",", "[ab]",
        "{a,b}", "*.md", r"\", " ", "#", "A",
    ]);
    let glob = (any::<bool>(), vec(piece, 0..5))
        .prop_map(|(exclude, pieces)| if exclude { "!" } else { "" }.to_owned() + &pieces.concat());
    vec(glob, 0..3)
}

fn selections() -> impl Strategy<Value = SelectionOptions> {
    let names = || vec(select(vec!["md", "py", "rust", "mine", "all"]), 0..2);
    let types = prop_oneof![
        3 => Just((Vec::new(), Vec::new())),
        1 => (names(), names()),
    ];
    (globs(), globs(), any::<bool>(), types, prop::option::weighted(0.2, 0..3u64)).prop_map(
        |(globs, iglobs, glob_case_insensitive, (types, types_not), max_filesize)| {
            SelectionOptions {
                globs,
                iglobs,
                glob_case_insensitive,
                types: types.into_iter().map(Into::into).collect(),
                types_not: types_not.into_iter().map(Into::into).collect(),
                type_clear: vec!["rust".into()],
                type_add: vec!["mine:*a*".into(), "mine:include:md".into(), "rust:*.rs".into()],
                max_filesize,
            }
        },
    )
}

fn arguments(options: &SelectionOptions, scope: &str) -> Vec<String> {
    let mut args = vec!["--files".to_owned(), "-0".to_owned()];
    let mut flags = |name: &str, values: &[String]| {
        args.extend(values.iter().map(|value| format!("--{name}={value}")));
    };
    flags("type-clear", &options.type_clear);
    flags("type-add", &options.type_add);
    flags("type", &options.types);
    flags("type-not", &options.types_not);
    flags("glob", &options.globs);
    flags("iglob", &options.iglobs);
    if options.glob_case_insensitive {
        args.push("--glob-case-insensitive".to_owned());
    }
    if let Some(max) = options.max_filesize {
        args.push(format!("--max-filesize={max}"));
    }
    if scope != "/" {
        // A directory `-` alone would be standard input.
        args.extend(["--".to_owned(), format!(".{scope}")]);
    }
    args
}

/// Writes the tree anew and asks both about each directory as the scope of the walk.
fn compare(
    root: &Path,
    tree: &BTreeSet<String>,
    options: &SelectionOptions,
    old: bool,
) -> Result<(), TestCaseError> {
    fs::remove_dir_all(root)?;
    fs::create_dir(root)?;
    for path in tree {
        let file = root.join(path);
        fs::create_dir_all(file.parent().expect("below the root"))?;
        fs::write(file, "x".repeat(path.len() % 4))?;
    }
    let scopes = tree.iter().filter_map(|p| p.split_once('/')).map(|(dir, _)| format!("/{dir}/"));
    let scopes: BTreeSet<String> = scopes.chain(["/".to_owned()]).collect();
    let ours = options.build();
    for scope in scopes {
        match (rg::run(root, &arguments(options, &scope)), &ours) {
            (Ok(out), Ok(selection)) => {
                let theirs: BTreeSet<String> = out
                    .split(|&b| b == 0)
                    .filter(|p| !p.is_empty())
                    .map(|p| {
                        String::from_utf8_lossy(p.strip_prefix(b"./").unwrap_or(p)).into_owned()
                    })
                    .collect();
                let selected: BTreeSet<String> = tree
                    .iter()
                    .filter(|p| {
                        let path = format!("/{p}");
                        let size = p.len() as u64 % 4;
                        path.starts_with(&scope) && selection.selects(&scope, &path, size)
                    })
                    .cloned()
                    .collect();
                prop_assert_eq!(selected, theirs, "from {}", scope);
            }
            (Err(_), Err(error)) => prop_assert_eq!(error.kind(), Kind::InvalidPattern),
            // Nested braces are new, and so is an escaped slash at the end.
            (Err(message), Ok(_))
                if old
                    && (message.contains("nested alternate") || message.contains("dangling")) => {}
            (Err(message), Ok(_)) => {
                return Err(TestCaseError::fail(format!("only rg refuses: {message}")));
            }
            // A brace that nothing opened was let pass.
            (Ok(_), Err(error)) if old && error.message().contains("unopened") => {}
            (Ok(_), Err(error)) => {
                return Err(TestCaseError::fail(format!("only r2vfs refuses: {error}")));
            }
        }
    }
    Ok(())
}

#[test]
fn selections_equal_ripgrep() {
    if !rg::present() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("root");
    fs::create_dir(&root).expect("created");
    let old = rg::major() < 15;
    let outcome = runner(cases(200))
        .run(&(trees(), selections()), |(tree, options)| compare(&root, &tree, &options, old));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn selects(options: &SelectionOptions, scope: &str, paths: &[&str]) -> Vec<bool> {
    let selection = options.build().expect("valid");
    paths.iter().map(|p| selection.selects(scope, p, 10)).collect()
}

fn with_globs(globs: &[&str]) -> SelectionOptions {
    SelectionOptions { globs: globs.iter().map(|&g| g.into()).collect(), ..Default::default() }
}

#[test]
fn a_directory_that_is_left_out_takes_its_files_with_it() {
    let options = with_globs(&["!docs", "*.md"]);
    let paths = ["/docs/en/a.md", "/a.md", "/x/docs/a.md", "/docs.md"];
    assert_eq!(selects(&options, "/", &paths), [false, true, false, true]);
    // The directory where the walk starts is not asked.
    assert_eq!(selects(&options, "/docs/", &["/docs/en/a.md", "/docs/a.txt"]), [true, false]);
}

#[test]
fn a_glob_that_selects_goes_before_types() {
    let options = SelectionOptions { types: vec!["rust".into()], ..with_globs(&["*.md"]) };
    assert_eq!(selects(&options, "/", &["/a.md", "/a.rs", "/a.txt"]), [true, false, false]);
}

#[test]
fn verdicts_do_not_depend_on_the_order_of_paths() {
    let options = with_globs(&["!b", "!/a/c"]);
    let paths = ["/a/x", "/a/c/x", "/a/cc/x", "/a", "/b", "/b/x", "/a/b/c/x", "/a/x", "/bb/c/x"];
    let alone: Vec<bool> = paths.iter().map(|p| selects(&options, "/", &[p])[0]).collect();
    let selection = options.build().expect("valid");
    for (i, first) in paths.iter().enumerate() {
        for (j, second) in paths.iter().enumerate() {
            assert_eq!(selection.selects("/", first, 1), alone[i], "{first}");
            assert_eq!(selection.selects("/", second, 1), alone[j], "{first} then {second}");
        }
    }
}

#[test]
fn types_are_ripgreps() {
    let list = type_list();
    let rust = list.iter().find(|(name, _)| name == "rust").expect("rust is a type");
    assert_eq!(rust.1, ["*.rs"]);
    let wrong = |o: SelectionOptions| o.build().expect_err("refused").to_string();
    let unknown = wrong(SelectionOptions { types: vec!["rsut".into()], ..Default::default() });
    assert!(unknown.contains("\"rsut\" is not known"), "{unknown}");
    let broken = wrong(SelectionOptions { type_add: vec!["web".into()], ..Default::default() });
    assert!(broken.contains("name:glob"), "{broken}");
    let glob = wrong(with_globs(&["a{b"]));
    assert!(glob.contains("column 2:"), "{glob}");
}
