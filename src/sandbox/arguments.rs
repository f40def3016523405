//! Arguments as a model writes them, and errors that let it write them right the next time.
//!
//! What a deserialiser says of wrong input ("unknown field `paht`, expected one of …") names what
//! was wrong and not what to write. Here each argument is held against the tool's own schema
//! first: names that other tools use are taken, the nearest name is suggested for others, and a
//! wrong type is named with the right one. What passes fits the type that the tool takes.

use serde_json::{Map, Value};

use super::tools::{Format, TOOLS, Tool};
use crate::{
    error::{Error, Kind, Result},
    tree::path::{is_visible, visible},
};

/// Arguments that a call may have: more is another input given by mistake.
const MOST: usize = 64;

/// Strings of one argument.
const MOST_STRINGS: usize = 1000;

/// Bytes of one string; patterns have bounds of their own below it.
const LONGEST: usize = 256 << 10;

/// Characters of a wrong value that an error repeats.
const QUOTED: usize = 60;

/// `head_limit: 0` is "no limit" where the name comes from; this is the most that any tool gives.
const NO_LIMIT: u64 = 100_000;

/// The arguments of one call, under the names that the tool itself uses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    pub(super) tool: &'static Tool,
    pub(super) arguments: Map<String, Value>,
    /// The paths as they were written, where [`unshown`] reads another name in them.
    pub(super) literal: Option<Value>,
    /// How the answer is wanted, where the call says so.
    pub(super) format: Option<Format>,
}

impl PartialEq for Tool {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Given {
    /// Reads the arguments of a call of the tool `name`.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for an unknown tool or argument, a wrong type, and what is
    /// missing.
    pub(super) fn read(name: &str, arguments: Value) -> Result<Self> {
        let tool = Tool::find(name).ok_or_else(|| unknown_tool(name))?;
        let given = match arguments {
            Value::Object(given) => given,
            Value::Null => Map::new(),
            other => {
                return Err(wrong(tool, format!("the arguments are {}", described(&other)))
                    .hint(r#"give one JSON object, as in {"path": "/"}"#));
            }
        };
        if given.len() > MOST {
            return Err(wrong(tool, format!("more than {MOST} arguments")).hint(takes(tool)));
        }
        let mut arguments = Map::new();
        // In two turns: an argument's own name counts before an alias, whatever their order.
        let (own, other): (Vec<_>, Vec<_>) = given
            .into_iter()
            .partition(|(name, _)| tool.properties().is_some_and(|names| names.contains_key(name)));
        // Null is as good as leaving an argument out, if there is one of that name.
        for (name, value) in own.into_iter().filter(|(_, value)| !value.is_null()) {
            let value = checked(tool, &name, &name, value)?;
            arguments.insert(name, value);
        }
        for (written, value) in other {
            let Some((name, value)) = meant(tool, &written, value, &arguments)? else { continue };
            if value.is_null() {
                continue;
            }
            let value = checked(tool, name, &written, value)?;
            if arguments.insert(name.to_owned(), value).is_some() {
                return Err(wrong(tool, format!("`{written}` and `{name}` are the same argument"))
                    .hint(format!("give only `{name}`")));
            }
        }
        if let Some(name) = tool.required.iter().find(|name| !arguments.contains_key(**name)) {
            return Err(wrong(tool, format!("the argument `{name}` is missing")).hint(takes(tool)));
        }
        let format = match arguments.remove("format") {
            None => None,
            Some(format) => serde_json::from_value(format).ok(),
        };
        let literal = match arguments.get_mut("path") {
            None => None,
            Some(path) => unshown_paths(path).map(|meant| std::mem::replace(path, meant)),
        };
        Ok(Self { tool, arguments, literal, format })
    }

    /// The same call with its paths as they were written: a name may hold what looks like a
    /// character made visible.
    pub(super) fn literally(&self) -> Option<Self> {
        let mut again = self.clone();
        again.arguments.insert("path".to_owned(), again.literal.take()?);
        Some(again)
    }

    /// The arguments as the tool's own type.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for what the type does not take.
    pub(super) fn typed<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(Value::Object(self.arguments.clone())).map_err(|error| {
            wrong(self.tool, format!("the arguments are wrong: {error}"))
                .because(error)
                .hint(takes(self.tool))
        })
    }
}

/// The path that was shown as `shown`, where [`visible`] changed it: names are shown with
/// `\u{202e}` for what could not be seen, and come back so. A name that holds these eight
/// characters themselves is shown in the same way, so where the path names nothing, `shown` may.
pub fn unshown(shown: &str) -> Option<String> {
    let mut path = String::with_capacity(shown.len());
    let mut rest = shown;
    while let Some((before, behind)) = rest.split_once("\\u{") {
        path.push_str(before);
        let hidden = behind.split_once('}').and_then(|(digits, behind)| {
            let character = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
            (!is_visible(character)).then_some((character, behind))
        });
        match hidden {
            Some((character, behind)) => {
                path.push(character);
                rest = behind;
            }
            None => {
                path.push_str("\\u{");
                rest = behind;
            }
        }
    }
    path.push_str(rest);
    (path != shown).then_some(path)
}

/// The same for an argument: one path, or a list of them.
fn unshown_paths(written: &Value) -> Option<Value> {
    match written {
        Value::String(path) => unshown(path).map(Value::from),
        Value::Array(paths) => {
            let meant = |path: &Value| unshown_paths(path).unwrap_or_else(|| path.clone());
            let all: Vec<Value> = paths.iter().map(meant).collect();
            (all != *paths).then_some(Value::Array(all))
        }
        _ => None,
    }
}

/// What the unknown name `written` is meant to be; `None` for what changes nothing here.
fn meant(
    tool: &'static Tool,
    written: &str,
    value: Value,
    given: &Map<String, Value>,
) -> Result<Option<(&'static str, Value)>> {
    // Numbers are always there, as `-n` asks.
    if tool.name == "grep" && matches!(written, "-n" | "line_numbers") {
        return Ok(None);
    }
    if let Some((_, name)) = tool.aliases.iter().find(|(alias, _)| *alias == written) {
        let value = match value.as_u64() {
            Some(0) if written == "head_limit" => NO_LIMIT.into(),
            _ => value,
        };
        return Ok(Some((name, value)));
    }
    let mut error = wrong(tool, format!("unknown argument `{}`", clipped(written)));
    error = match nearest(tool, written, given) {
        Some(name) => error.hint(format!("did you mean `{name}`? {}", takes(tool))),
        None => error.hint(takes(tool)),
    };
    Err(error)
}

/// The argument whose name, or whose alias, is nearest to `written`.
fn nearest(tool: &'static Tool, written: &str, given: &Map<String, Value>) -> Option<&'static str> {
    let written: String = written.chars().take(QUOTED).collect::<String>().to_lowercase();
    // `pat` is one letter from `path`, and may be the beginning of what the call lacks.
    let begun = |name: &&&str| {
        written.len() >= 3 && name.starts_with(written.as_str()) && !given.contains_key(**name)
    };
    if let Some(name) = tool.required.iter().find(begun) {
        return Some(name);
    }
    let own = tool.names().into_iter().filter_map(|name| {
        let name = tool.properties()?.get_key_value(name)?.0;
        Some((name.as_str(), name.as_str()))
    });
    let best = own.chain(tool.aliases.iter().map(|(alias, name)| (*alias, *name)));
    best.map(|(like, name)| (strsim::damerau_levenshtein(&written, like), like, name))
        .filter(|(distance, like, _)| *distance <= (like.len().max(written.len()) / 2).clamp(1, 3))
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., name)| name)
        // Unlike anything else, it may still be another program's name for what is lacking.
        .or_else(|| tool.required.iter().copied().find(|name| !given.contains_key(*name)))
}

/// The value if it is of the type that the schema names.
fn checked(tool: &Tool, name: &str, written: &str, value: Value) -> Result<Value> {
    let schema = tool.properties().and_then(|names| names.get(name)).unwrap_or(&Value::Null);
    let is_list = schema.get("anyOf").is_some();
    let expected = match schema.get("type").and_then(Value::as_str) {
        _ if is_list => "a string or a list of strings",
        Some("string") => "a string",
        Some("boolean") => "true or false",
        Some("integer") => "a whole number from 0 up",
        _ => return Ok(value),
    };
    let value = match value {
        // 10.0 is what some languages make of 10.
        Value::Number(number) if expected.starts_with("a whole") => {
            let whole = number.as_u64().or_else(|| {
                let float = number.as_f64()?;
                (float.fract() == 0.0 && (0.0..9e15).contains(&float)).then_some(float as u64)
            });
            whole.map_or(Value::Number(number), Value::from)
        }
        other => other,
    };
    let fits = match (&value, expected) {
        (Value::String(_), "a string") | (Value::Bool(_), "true or false") => true,
        (Value::Number(number), _) => expected.starts_with("a whole") && number.is_u64(),
        (Value::String(_), _) => is_list,
        (Value::Array(items), _) => is_list && items.iter().all(Value::is_string),
        _ => false,
    };
    if !fits {
        let found = described(&value);
        let example = match expected {
            "a string" => r#""text""#,
            "true or false" => "true",
            _ if is_list => r#"["one", "another"]"#,
            _ => "10",
        };
        return Err(wrong(tool, format!("`{}` must be {expected}, not {found}", clipped(written)))
            .hint(format!("write it as in {{\"{name}\": {example}}}")));
    }
    let strings = match &value {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let longest = strings.iter().filter_map(Value::as_str).map(str::len).max().unwrap_or(0);
    if strings.len() > MOST_STRINGS || longest > LONGEST {
        return Err(wrong(tool, format!("`{written}` is too long"))
            .hint(format!("at most {MOST_STRINGS} strings of at most {LONGEST} bytes")));
    }
    if let (Some(Value::Array(allowed)), Some(text)) = (schema.get("enum"), value.as_str()) {
        let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        if !allowed.contains(&text) {
            let error = wrong(
                tool,
                format!("`{written}` must be {}, not {}", one_of(&allowed), described(&value)),
            );
            let near = allowed
                .iter()
                .max_by(|a, b| {
                    strsim::jaro_winkler(text, a).total_cmp(&strsim::jaro_winkler(text, b))
                })
                .filter(|near| strsim::jaro_winkler(text, near) > 0.8);
            return Err(match near {
                Some(near) => error.hint(format!("did you mean \"{near}\"?")),
                None => error.hint(format!("give one of them, or leave `{name}` out")),
            });
        }
    }
    Ok(value)
}

fn one_of(allowed: &[&str]) -> String {
    let quoted: Vec<String> = allowed.iter().map(|name| format!("\"{name}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.join(""),
    }
}

fn wrong(tool: &Tool, message: String) -> Error {
    Error::new(Kind::InvalidArgument, format!("{}: {message}", tool.name))
}

fn takes(tool: &Tool) -> String {
    format!("{} takes {}", tool.name, tool.names().join(", "))
}

fn unknown_tool(name: &str) -> Error {
    let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
    let lower: String = name.chars().take(QUOTED).collect::<String>().to_lowercase();
    let known = match lower.as_str() {
        "ls" | "list_directory" | "list_dir" | "tree" => Some("list"),
        "cat" | "read_file" | "open" | "head" | "tail" => Some("read"),
        "find" | "find_file" | "search_files" => Some("glob"),
        "rg" | "grep_search" | "grep_files" => Some("grep"),
        _ => names.iter().copied().find(|name| strsim::damerau_levenshtein(&lower, name) <= 1),
    };
    let error = Error::new(Kind::InvalidArgument, format!("there is no tool {:?}", clipped(name)));
    let all = format!("the tools are {}", names.join(", "));
    error.hint(match known {
        Some(name) => format!("did you mean {name}? {all}"),
        None => all,
    })
}

/// What a value is, for an error; a string is repeated, its beginning if it is long.
fn described(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string {:?}", clipped(text)),
        Value::Array(items) if items.iter().all(Value::is_string) => "a list of strings".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// At most [`QUOTED`] characters, with a mark where some are left out, and all of them visible.
fn clipped(text: &str) -> String {
    let mut clipped: String = visible(&text.chars().take(QUOTED).collect::<String>());
    if text.chars().nth(QUOTED).is_some() {
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(tool: &str, arguments: Value) -> Value {
        Value::Object(Given::read(tool, arguments).expect("they are good").arguments)
    }

    #[track_caller]
    fn fails(tool: &str, arguments: Value, message: &str, hint: &str) {
        let error = Given::read(tool, arguments).expect_err("they are wrong");
        assert_eq!(error.message(), message);
        assert!(error.advice().unwrap_or_default().starts_with(hint), "{error}");
        assert_eq!(error.kind(), Kind::InvalidArgument);
    }

    #[test]
    fn names_of_other_tools_are_taken() {
        let given = json!({
            "regex": "x", "include": "*.md", "-A": 1, "-B": 2, "-C": 3, "-i": true, "-n": true,
            "head_limit": 0,
        });
        let meant = json!({
            "pattern": "x", "glob": "*.md", "after": 1, "before": 2, "context": 3,
            "case_insensitive": true, "limit": NO_LIMIT,
        });
        assert_eq!(read("grep", given), meant);
        let given = json!({"file_path": "/a", "offset": 3.0, "limit": null});
        assert_eq!(read("read", given), json!({"path": "/a", "offset": 3}));
        assert_eq!(read("list", Value::Null), json!({}));
        let format = Given::read("list", json!({"format": "structured"})).expect("it is good");
        assert_eq!(format.format, Some(Format::Structured));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_right() {
        fails(
            "grep",
            json!({"pat": "x"}),
            "grep: unknown argument `pat`",
            "did you mean `pattern`?",
        );
        fails(
            "grep",
            json!({"query": "x"}),
            "grep: unknown argument `query`",
            "did you mean `pattern`?",
        );
        fails(
            "grep",
            json!({"pattern": "x", "pat": "/"}),
            "grep: unknown argument `pat`",
            "did you mean `path`?",
        );
        fails("read", json!({"pth": "/a"}), "read: unknown argument `pth`", "did you mean `path`?");
        fails(
            "grep",
            json!({"pattern": "x", "caseinsensitive": true}),
            "grep: unknown argument `caseinsensitive`",
            "did you mean `case_insensitive`?",
        );
        fails(
            "grep",
            json!({"pattern": "x", "zzzzzz": 1}),
            "grep: unknown argument `zzzzzz`",
            "grep takes pattern, after",
        );
        fails(
            "grep",
            json!({"pattern": "x", "include": "a", "glob": "b"}),
            "grep: `include` and `glob` are the same argument",
            "give only `glob`",
        );
        fails("glob", json!({}), "glob: the argument `pattern` is missing", "glob takes pattern");
        fails(
            "list",
            json!({"limit": "10"}),
            "list: `limit` must be a whole number from 0 up, not the string \"10\"",
            "write it as in {\"limit\": 10}",
        );
        fails(
            "list",
            json!({"limit": -1}),
            "list: `limit` must be a whole number from 0 up, not the number -1",
            "",
        );
        fails(
            "list",
            json!({"recursive": "yes"}),
            "list: `recursive` must be true or false, not the string \"yes\"",
            "",
        );
        fails(
            "grep",
            json!({"pattern": ["a", 1]}),
            "grep: `pattern` must be a string or a list of strings, not a list",
            "write it as in {\"pattern\": [\"one\", ",
        );
        fails(
            "stat",
            json!({"path": ["/a"]}),
            "stat: `path` must be a string, not a list of strings",
            "",
        );
        fails(
            "grep",
            json!({"pattern": "x", "output_mode": "contents"}),
            "grep: `output_mode` must be \"files_with_matches\", \"content\" or \"count\", not the string \"contents\"",
            "did you mean \"content\"?",
        );
        fails("list", json!(["/"]), "list: the arguments are a list of strings", "give one JSON");
        fails("grap", json!({}), "there is no tool \"grap\"", "did you mean grep?");
        fails("read_file", json!({}), "there is no tool \"read_file\"", "did you mean read?");
    }

    #[test]
    fn what_was_shown_is_read_again() {
        let of = |path| unshown(path).unwrap_or_else(|| "the same".to_owned());
        assert_eq!(of("/a\\u{202e}b\\u{1}"), "/a\u{202e}b\u{1}");
        assert_eq!(of("/plain"), "the same");
        // Nobody shows these so.
        assert_eq!(of("/\\u{61}\\u{zz}\\u{\\u{110000}"), "the same");
        let several = json!({"pattern": "x", "path": ["/a", "/\\u{200b}"]});
        let given = Given::read("grep", several.clone()).expect("it is good");
        assert_eq!(given.arguments["path"], json!(["/a", "/\u{200b}"]));
        assert_eq!(Value::Object(given.literally().expect("it differs").arguments), several);
        assert!(Given::read("stat", json!({"path": "/a"})).expect("it is good").literal.is_none());
    }

    #[test]
    fn what_is_repeated_is_short_and_visible() {
        let long = "\u{202e}".repeat(10_000);
        let error = Given::read("list", json!({"path": "/", long.as_str(): 1})).expect_err("wrong");
        assert!(error.to_string().len() < 2000 && !error.to_string().contains('\u{202e}'));
        let many: Map<String, Value> = (0..65).map(|n| (n.to_string(), json!(1))).collect();
        Given::read("list", Value::Object(many)).expect_err("too many");
    }
}
