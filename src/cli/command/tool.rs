//! `tool`: one operation of the sandbox with JSON in, and JSON or text out, as an agent calls it.

use std::io::Read;

use serde_json::Value;

use super::super::{
    args::Tool, exit::Exit, failure::Stop, options::Options, output::Out, usage::wrong,
    wait::Waiter,
};
use crate::{
    error::{Error, Kind, Result},
    sandbox::{Body, CallOptions, DEADLINE, Envelope, Format, TOOLS, VirtualSandbox},
    vfs::Budget,
};

/// Arguments are a few names and patterns; more is another input given by mistake.
const MAX_ARGUMENTS: u64 = 1 << 20;

/// Calls the tool and prints its answer.
pub(in crate::cli) async fn run(
    sandbox: &VirtualSandbox,
    options: &Options,
    tool: Tool,
    out: &mut Out,
) -> Result<Exit, Stop> {
    // An agent waits no longer here than it does for a server; a person sees that a command works.
    let time = options.timeout.or(Some(DEADLINE));
    let sandbox = &sandbox.bounded(Budget { time, ..Budget::default() });
    let name = tool.name.unwrap_or_default();
    let arguments = parse(tool.arguments)?;
    let mut waiter = Waiter::new("working");
    let dry_run = arguments.get("dry_run") == Some(&Value::Bool(true));
    let asks_for_text = arguments.get("format").and_then(Value::as_str) == Some("text");
    let envelope = if tool.text || asks_for_text {
        let options = CallOptions { format: Format::Text, ..CallOptions::default() };
        let answer = Box::pin(sandbox.call_text(&name, arguments, &options));
        let answer = waiter.until(out, answer).await?;
        match answer.body? {
            Body::Text(text) => out.line(text)?,
            Body::Structured(json) => out.line(json)?,
        }
        answer.envelope
    } else {
        let answer = waiter.until(out, Box::pin(sandbox.call(&name, arguments))).await??;
        out.line(&answer)?;
        let envelope = answer.get("envelope").cloned().unwrap_or_default();
        serde_json::from_value::<Envelope>(envelope)
            .map_err(|error| Error::new(Kind::Io, "the answer has no envelope").because(error))?
    };
    out.flush()?;
    // A dry run finds nothing on purpose.
    let may_find_nothing = matches!(name.as_str(), "glob" | "grep" | "search") && !dry_run;
    Ok(match (envelope.has_failed(), envelope.matched) {
        (true, _) => Exit::Error,
        (false, 0) if may_find_nothing => Exit::NoMatch,
        _ => Exit::Match,
    })
}

/// Prints the table of tools: for a person, or as JSON.
pub(in crate::cli) fn table(out: &mut Out, json: bool) -> Result<Exit, Stop> {
    if json {
        out.line(Value::from_iter(TOOLS.iter().map(crate::sandbox::Tool::listed)))?;
    } else {
        for tool in &TOOLS {
            out.line(format_args!("{}: {}", tool.name, tool.description))?;
            let properties = tool.schema().get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                let needed =
                    if tool.required.contains(&name.as_str()) { " (required)" } else { "" };
                let what = property.get("description").and_then(Value::as_str).unwrap_or_default();
                out.line(format_args!("  {name}{needed}: {what}"))?;
            }
        }
    }
    out.flush()?;
    Ok(Exit::Match)
}

fn parse(text: String) -> Result<Value> {
    let mut text = text;
    if text == "-" {
        text.clear();
        let read = std::io::stdin().lock().take(MAX_ARGUMENTS + 1).read_to_string(&mut text);
        read.map_err(|error| {
            wrong(format!("the arguments on standard input cannot be read: {error}"))
                .because(error)
                .hint("pass one JSON object")
        })?;
        if text.len() as u64 > MAX_ARGUMENTS {
            return Err(wrong("the arguments on standard input are longer than 1 MiB")
                .hint("pass one JSON object"));
        }
    }
    serde_json::from_str(&text).map_err(|error| {
        wrong(format!("the arguments are not JSON: {error}"))
            .because(error)
            .hint(r#"pass one JSON object, as in '{"path":"/"}'"#)
    })
}
