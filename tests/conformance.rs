//! The tools and resources that the MCP conformance suite expects of a server, behind the routes,
//! the guard and the transport of `r2vfs serve`.
//!
//! Most of the suite calls tools by names of its own, which a server of files has not got; what
//! it finds about framing, streams, headers and errors is about the transport that it passed
//! through. Prints its URL and ends with its standard input; `.ci/clients` runs it.

#![allow(clippy::disallowed_methods, reason = "a program of its own")]

use std::{sync::Arc, time::Duration};

use r2vfs::{
    bucket::Permits,
    config::{self, Location, Settings},
    get_virtual_sandbox,
    http::{App, Rules, listen, router_with},
    platform::Platform,
    sandbox::{Format, SandboxOptions},
    server::{Open, Tenant, Tenants, limits::Limits, tenant::Log},
    vfs::Mount,
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ListResourceTemplatesResult,
        ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProgressNotificationParam,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities,
        ServerConfig, Tool,
    },
    service::RequestContext,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One red pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAA\
                   AABJRU5ErkJggg==";

/// No samples.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

#[derive(Clone)]
struct Fixtures;

fn of<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn tools() -> Result<Vec<Tool>, ErrorData> {
    let plain = |name: &str| json!({"name": name, "description": "A fixture", "inputSchema": {"type": "object"}});
    let names = [
        "test_simple_text",
        "test_image_content",
        "test_audio_content",
        "test_embedded_resource",
        "test_multiple_content_types",
        "test_error_handling",
        "test_tool_with_progress",
    ];
    let mut tools: Vec<Value> = names.map(plain).into();
    let text = json!({"type": "string"});
    tools.push(json!({
        "name": "json_schema_2020_12_tool",
        "description": "Keywords of JSON Schema 2020-12",
        "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {"address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": text, "city": text},
            }},
            "properties": {
                "name": text,
                "address": {"$ref": "#/$defs/address"},
                "contactMethod": {"type": "string", "enum": ["phone", "email"]},
                "phone": text,
                "email": text,
            },
            "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
            "if": {
                "properties": {"contactMethod": {"const": "phone"}},
                "required": ["contactMethod"],
            },
            "then": {"required": ["phone"]},
            "else": {"required": ["email"]},
            "additionalProperties": false,
        },
    }));
    tools.push(json!({
        "name": "test_header_parameter",
        "description": "A parameter that is a header, too",
        "inputSchema": {
            "type": "object",
            "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
        },
    }));
    of(Value::Array(tools))
}

fn embedded(uri: &str, kind: &str, text: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": text}})
}

impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_resources().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools()?))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools().ok()?.into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let image = json!({"type": "image", "data": PNG, "mimeType": "image/png"});
        let text = |text: &str| json!({"type": "text", "text": text});
        let content = match &*request.name {
            "test_image_content" => vec![image],
            "test_audio_content" => {
                vec![json!({"type": "audio", "data": WAV, "mimeType": "audio/wav"})]
            }
            "test_embedded_resource" => vec![embedded(
                "test://embedded-resource",
                "text/plain",
                "This is an embedded resource content.",
            )],
            "test_multiple_content_types" => vec![
                text("Multiple content types test:"),
                image,
                embedded(
                    "test://mixed-content-resource",
                    "application/json",
                    r#"{"test":"data","value":123}"#,
                ),
            ],
            "test_error_handling" => {
                vec![text("This tool intentionally returns an error for testing")]
            }
            "test_tool_with_progress" => {
                for part in [0.0, 50.0, 100.0] {
                    if let Some(token) = context.meta.get_progress_token() {
                        let word = ProgressNotificationParam::new(token, part).with_total(100.0);
                        // Whether it was heard is for the suite to say.
                        drop(context.peer.notify_progress(word).await);
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                vec![text("All of it is done.")]
            }
            "test_simple_text" => vec![text("This is a simple text response for testing.")],
            "json_schema_2020_12_tool" | "test_header_parameter" => {
                vec![text(&json!(request.arguments).to_string())]
            }
            name => {
                return Err(ErrorData::invalid_params(format!("there is no tool {name}"), None));
            }
        };
        let wrong = &*request.name == "test_error_handling";
        let content = of(Value::Array(content))?;
        Ok(match wrong {
            true => CallToolResult::error(content).into(),
            false => CallToolResult::success(content).into(),
        })
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(of(json!([
            {"uri": "test://static-text", "name": "text", "mimeType": "text/plain"},
            {"uri": "test://static-binary", "name": "binary", "mimeType": "image/png"},
        ]))?))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(of(json!([
            {"uriTemplate": "test://template/{id}/data", "name": "template"},
        ]))?))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
        let content = match (uri, id) {
            ("test://static-text", _) => json!({
                "uri": uri, "mimeType": "text/plain",
                "text": "This is the content of the static text resource.",
            }),
            ("test://static-binary", _) => {
                json!({"uri": uri, "mimeType": "image/png", "blob": PNG})
            }
            (_, Some(id)) => {
                let data =
                    json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
                json!({"uri": uri, "mimeType": "application/json", "text": data.to_string()})
            }
            _ => {
                let data = Some(json!({"uri": uri}));
                return Err(ErrorData::resource_not_found("there is no such resource", data));
            }
        };
        Ok(ReadResourceResult::new(of(json!([content]))?).into())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // There must be one, and nothing of it is read.
    let location = Location::Directory { path: "fixtures/kb".into() };
    let (settings, permits, platform) = (Settings::default(), Permits::new(1), Platform::tokio());
    let bucket = config::open(&location, &settings, &permits, &platform)?;
    let mounts = vec![Mount { point: "/".to_owned(), bucket }];
    let sandbox = get_virtual_sandbox(mounts, platform, SandboxOptions::default())?;
    let limits = Limits { rate: 1000.0, burst: 1000, concurrency: 32 };
    let tenant = Arc::new(Tenant::new("conformance", sandbox, limits, Log::default()));
    let listener = listen::bind(([127, 0, 0, 1], 0).into())?;
    let address = listener.local_addr()?;
    let rules = Rules::new(address, Vec::new(), Vec::new());
    let tenants = Tenants::new(Open::anyone(tenant));
    let app = App::new(tenants, Log::default(), rules, Format::Text);
    println!("http://{address}");
    let (stop, stopped) = tokio::sync::watch::channel(false);
    std::thread::spawn(move || {
        drop(std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
        stop.send_replace(true);
    });
    let router = router_with(&app, || Fixtures);
    listen::serve(listener, router, Arc::clone(&app), listen::MAX_CONNECTIONS, stopped).await;
    Ok(())
}
