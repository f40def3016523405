//! The OpenAPI document's schemas against what the tools really answer.

use serde_json::{Map, Value, json};

use super::program::{Serving, program};
use crate::support::{Fault, Rule, Stored, TestServer};

/// JSON Schema, as far as the document uses it: another keyword is a panic, not a pass. Stricter in
/// one thing: where properties are described, there are no others.
struct Document(Value);

impl Document {
    /// What a call of `tool` is answered with.
    fn answer(&self, tool: &str) -> &Value {
        let call = &self.0["paths"][format!("/v1/{tool}")]["post"];
        &call["responses"]["200"]["content"]["application/json"]["schema"]
    }

    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{at}: {what}: {value} against {schema}"));
        let Some(keywords) = schema.as_object() else {
            return if *schema == json!(true) { Ok(()) } else { wrong("nothing is allowed") };
        };
        for (keyword, told) in keywords {
            match keyword.as_str() {
                "description" | "title" => {}
                "$ref" => {
                    let pointer = told.as_str().and_then(|to| to.strip_prefix('#'));
                    let meant = pointer.and_then(|pointer| self.0.pointer(pointer));
                    self.check(meant.expect("it is in the document"), value, at)?;
                }
                "type" => {
                    let kinds = told.as_array().map_or(std::slice::from_ref(told), Vec::as_slice);
                    if !kinds.iter().any(|kind| is(value, kind.as_str().expect("a name"))) {
                        return wrong("another type");
                    }
                }
                "const" if told != value => return wrong("another value"),
                "enum" if !told.as_array().expect("values").contains(value) => {
                    return wrong("another value");
                }
                "minimum" if value.as_f64() < told.as_f64() => return wrong("less"),
                "minItems" if value.as_array().map(Vec::len) < size(told) => return wrong("fewer"),
                "maxItems" if value.as_array().map(Vec::len) > size(told) => return wrong("more"),
                "const" | "enum" | "minimum" | "minItems" | "maxItems" => {}
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        self.check(told, item, &format!("{at}/*"))?;
                    }
                }
                "required" => {
                    let names = told.as_array().expect("names").iter().filter_map(Value::as_str);
                    for name in names.filter(|_| value.is_object()) {
                        if value.get(name).is_none() {
                            return wrong(name);
                        }
                    }
                }
                "properties" | "additionalProperties" | "patternProperties" => {}
                "anyOf" | "oneOf" => {
                    let ways = told.as_array().expect("schemas").iter();
                    let tried: Vec<_> = ways.map(|way| self.check(way, value, at)).collect();
                    match tried.iter().filter(|one| one.is_ok()).count() {
                        0 => return Err(format!("{at}: no way fits: {tried:#?}")),
                        1 => {}
                        _ if keyword == "anyOf" => {}
                        several => return wrong(&format!("{several} ways fit")),
                    }
                }
                other => panic!("{at}: the keyword {other} is not known here: {schema}"),
            }
        }
        self.check_names(keywords, value, at)
    }

    fn check_names(
        &self,
        schema: &Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let (own, other) = (schema.get("properties"), schema.get("additionalProperties"));
        let Some(object) = value.as_object().filter(|_| own.or(other).is_some()) else {
            return Ok(());
        };
        for (name, value) in object {
            let at = format!("{at}/{name}");
            match own.and_then(|own| own.get(name)).or(other) {
                Some(schema) => self.check(schema, value, &at)?,
                None => return Err(format!("{at}: it is not described")),
            }
        }
        Ok(())
    }
}

fn size(told: &Value) -> Option<usize> {
    told.as_u64().and_then(|size| usize::try_from(size).ok())
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("no type is called {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_the_document_says() {
    let store = TestServer::start().await;
    let page =
        |n: usize| format!("# Page {n}\n\nHow to find a needle.\n\n## Wells\n\nneedle {n}\n");
    store.store().fill((0..20).map(|n| (format!("docs/{n:02}.md"), page(n))));
    store.store().put_object("docs/typed.txt", Stored::new("needle\n").content_type("text/plain"));
    let server = Serving::with(&["-b", &store.location("")], None, &store.env());
    let build = ["-b", &store.location(""), "index", "build"];
    let built = program(server.dir.path(), build).envs(store.env()).output().expect("it runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    // None of these is in the index.
    store.store().put("nul.bin", "needle\n\0 needle\n");
    store.store().put("forbidden.md", "needle\n");
    store.store().put("docs", "beside the directory of its name");
    store
        .faults()
        .add(Rule::gets(Fault::forbidden("AccessDenied")).key("forbidden.md").times(1000));

    let document = Document(server.get("/openapi.json", &[]).is(200).json());
    let calls = [
        ("list", json!({"path": "/"})),
        ("list", json!({"recursive": true, "limit": 3})),
        ("stat", json!({"path": "/docs"})),
        ("stat", json!({"path": "/", "report": true})),
        ("read", json!({"path": "/docs/typed.txt"})),
        // Now its type is known.
        ("stat", json!({"path": "/docs/typed.txt"})),
        ("read", json!({"path": "/docs/01.md", "limit": 1, "max_line": 3})),
        ("read", json!({"path": "/docs/01.md", "tail": 2})),
        ("read", json!({"path": "/nul.bin"})),
        ("read", json!({"path": "/docs/"})),
        ("glob", json!({"pattern": "**/*.md", "limit": 2})),
        ("grep", json!({"pattern": "needle"})),
        ("grep", json!({"pattern": "needle 7", "path": "/docs/"})),
        ("grep", json!({"pattern": "needle", "output_mode": "count"})),
        ("grep", json!({"pattern": "needle", "output_mode": "content", "context": 1})),
        ("grep", json!({"pattern": "needle", "dry_run": true})),
        ("search", json!({"query": "how do I find a needle?"})),
    ];
    let mut seen = String::new();
    for (tool, arguments) in calls {
        let schema = document.answer(tool);
        for format in [None, Some("structured"), Some("text")] {
            let mut arguments = arguments.clone();
            if let Some(format) = format {
                arguments["format"] = format.into();
            }
            let answer = server.call(tool, &arguments).is(200).json();
            if let Err(why) = document.check(schema, &answer, tool) {
                panic!("{tool} {arguments}: {why}");
            }
            seen += &answer.to_string();
        }
    }
    // The calls are worth something only if they bring what is rarely there.
    let rare = [
        "incomplete",
        "cursor",
        "skipped",
        "skipped_by_reason",
        "index",
        "also_dir",
        "content_type",
        "indexed",
        "report",
        "number",
        "cut",
        "next_offset",
        "total_lines",
        "binary",
        "count",
        "context",
        "estimate",
        "marks",
    ];
    let missing: Vec<_> =
        rare.iter().filter(|name| !seen.contains(&format!("\"{name}\":"))).collect();
    assert!(missing.is_empty(), "no answer had {missing:?}");
    // What is wrong is found: a name more, a name less, another type.
    let list = document.answer("list");
    let good = server.call("list", &json!({})).is(200).json();
    for (pointer, value) in [
        ("/entries/0/path", json!(1)),
        ("/entries", Value::Null),
        ("/envelope/complete", json!("yes")),
        ("/envelope/cost", json!({})),
        ("/entries/0", json!({"path": "/", "more": 1})),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).expect("it is there") = value;
        assert!(document.check(list, &bad, "list").is_err(), "{pointer}");
    }
}
