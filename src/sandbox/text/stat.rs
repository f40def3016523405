//! `stat` as text: one fact a line.

use super::{footer::Footer, name};
use crate::sandbox::{Answer, StatResult, answer::utc, arguments::Given};

pub(super) fn render(answer: &Answer<StatResult>, _: &Given) -> String {
    let stat = &answer.result;
    let path = name(&stat.path);
    let mut lines = vec![format!("path: {path}"), format!("kind: {}", stat.kind)];
    let mut fact = |what: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{what}: {value}")));
    };
    fact("size", stat.size.map(|size| format!("{size} B, as stored")));
    fact("modified", stat.modified.map(utc));
    fact("content type", stat.content_type.as_deref().map(name));
    fact("etag", stat.etag.as_deref().map(name));
    fact("lines", stat.lines.map(|lines| lines.to_string()));
    fact("indexed", stat.indexed.map(|yes| if yes { "yes" } else { "no" }.to_owned()));
    fact(
        "archived",
        stat.archived.then(|| "yes: it must be restored before it can be read".into()),
    );
    fact("also a directory", stat.also_dir.then(|| format!("{path}/")));
    for (mount, report) in &stat.report {
        if let Ok(serde_json::Value::Object(counts)) = serde_json::to_value(report) {
            let counts: Vec<String> =
                counts.iter().map(|(what, n)| format!("{what} {n}")).collect();
            lines.push(format!("{}: {}", name(mount), counts.join(", ")));
        }
    }
    Footer::new().worth(&answer.envelope).lacks(&answer.envelope).below(lines.join("\n"))
}
