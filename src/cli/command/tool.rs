//! `tool`: one operation of the sandbox with JSON in and JSON out, as an agent calls it.

use std::io::Read;

use serde_json::Value;

use super::super::{
    args::Tool, exit::Exit, failure::Stop, output::Out, usage::wrong, wait::Waiter,
};
use crate::{
    error::{Error, Kind, Result},
    sandbox::{Envelope, VirtualSandbox},
};

/// Arguments are a few names and patterns; more is another input given by mistake.
const MAX_ARGUMENTS: u64 = 1 << 20;

/// Calls the tool and prints its answer.
pub(in crate::cli) async fn run(
    sandbox: &VirtualSandbox,
    tool: Tool,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let arguments = parse(tool.arguments)?;
    let answer = Waiter::new("working").until(out, sandbox.call(&tool.name, arguments)).await??;
    out.line(&answer)?;
    out.flush()?;
    let envelope = answer.get("envelope").cloned().unwrap_or_default();
    let envelope: Envelope = serde_json::from_value(envelope)
        .map_err(|error| Error::new(Kind::Io, "the answer has no envelope").because(error))?;
    Ok(match (envelope.has_failed(), envelope.matched) {
        (true, _) => Exit::Error,
        (false, 0) if matches!(tool.name.as_str(), "glob" | "grep") => Exit::NoMatch,
        _ => Exit::Match,
    })
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
