//! Tenants: tokens, limits, logs, and their configuration.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    client::send,
    isolation::Tenants,
    program::{Serving, kb, program},
};

/// A tenant of a configuration with one mount, and with `more` lines of its table.
pub(super) fn tenant(name: &str, digest: &str, location: &str, more: &str) -> String {
    format!(
        "[[tenant]]\nname = \"{name}\"\ntokens = [\"{digest}\"]\n{more}\
         [[tenant.mount]]\npoint = \"/\"\nlocation = '{location}'\n"
    )
}

pub(super) fn new_token() -> (String, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let output = program(dir.path(), ["token", "new"]).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let word = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().to_owned()
    };
    (word("token:"), word("digest:"))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_every_answer_is_the_same() {
    let world = Tenants::start("").await;
    let json = ("Content-Type", "application/json");
    let good = &world.tokens[0];
    let forged = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(format!("Basic {good}")),
        Some(good.clone()),
        Some(format!("Bearer {}", &good[..good.len() - 1])),
        Some(format!("Bearer {good}0")),
        Some(format!("Bearer {}", good.to_uppercase())),
        Some(format!("Bearer sha256:{}", "0".repeat(64))),
        Some(format!("Bearer {}", "r2vfs_".repeat(100))),
    ];
    let routes = [
        ("POST", "/v1/list"),
        ("POST", "/v1/nothing"),
        ("GET", "/v1/object/readme.md"),
        ("GET", "/v1/object/nothing"),
        ("POST", "/mcp"),
        ("GET", "/nowhere"),
    ];
    let mut first: Option<(Vec<u8>, Vec<String>)> = None;
    for token in &forged {
        for (method, target) in routes {
            let mut headers = vec![json];
            headers.extend(token.as_deref().map(|token| ("Authorization", token)));
            let answer = send(world.server.address, method, target, &headers, b"{}").is(401);
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            let names = answer.headers.keys().filter(|name| *name != "date").cloned().collect();
            let seen = (answer.body, names);
            assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen, "{method} {target}");
        }
    }
    // Not for tenants either.
    world.object(0, "/metrics").is(401);
    world.server.get("/metrics", &[]).is(401);
    world.server.get("/healthz", &[]).is(200);
    assert!(world.store.counts().gets == 0, "nothing was fetched for nobody");
}

#[test]
fn limits_hold_a_tenant_back_and_no_other() {
    let ((slow, slow_digest), (free, free_digest)) = (new_token(), new_token());
    let root = kb().display().to_string();
    let (metrics, metrics_digest) = new_token();
    let config = format!("[server]\nmetrics_token = \"{metrics_digest}\"\n")
        + &tenant("slow", &slow_digest, &root, "rate = 0.01\nburst = 2\n")
        + &tenant("free", &free_digest, &root, "");
    let server = Serving::with(&["--audit-log", "audit"], Some(&config), &[]);
    let call = |token: &str| server.call_as(Some(token), "list", &json!({"path": "/"}), &[]);
    call(&slow).is(200);
    call(&slow).is(200);
    let refused = call(&slow).is(429);
    assert_eq!(refused.kind(), "rate-limited");
    let wait: u64 = refused.headers["retry-after"].parse().expect("seconds");
    assert!((90..=100).contains(&wait), "{wait}");
    call(&free).is(200);
    let params = json!({"name": "list", "arguments": {"path": "/"}});
    let bearer = format!("Bearer {slow}");
    let headers = [("Authorization", bearer.as_str())];
    let told = super::mcp::post(server.address, &headers, "tools/call", &params).is(200).json();
    assert_eq!(told["result"]["isError"], true, "{told}");
    assert!(told["result"]["content"][0]["text"].to_string().contains("wait"), "{told}");

    let bearer = format!("Bearer {metrics}");
    let counted = server.get("/metrics", &[("Authorization", &bearer)]).is(200).text();
    assert!(counted.contains("tenant=\"slow\",tool=\"list\",outcome=\"rate-limited\"} 2"));
    // A thread of its own writes it.
    let log = || fs::read_to_string(server.dir.path().join("audit")).expect("a log");
    let started = Instant::now();
    while log().lines().count() < 5 && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<_> = lines.iter().map(|l| (l["tenant"].clone(), l["outcome"].clone())).collect();
    let expected = [
        ("slow", "complete"),
        ("slow", "complete"),
        ("slow", "rate-limited"),
        ("free", "complete"),
        ("slow", "rate-limited"),
    ];
    assert_eq!(told, expected.map(|(tenant, outcome)| (json!(tenant), json!(outcome))));
    assert!(lines[0]["arguments"] == json!({"path": "/"}) && lines[0]["front"] == "http", "{log}");
    assert!(lines[4]["front"] == "mcp" && !log.contains(&slow), "{log}");
}

#[test]
fn the_configuration_is_read_again() {
    let ((old, old_digest), (new, new_digest)) = (new_token(), new_token());
    let root = kb().display().to_string();
    let config = |tokens: &str| {
        format!(
            "[[tenant]]\nname = \"t\"\ntokens = [{tokens}]\n\
             [[tenant.mount]]\npoint = \"/\"\nlocation = '{root}'\n"
        )
    };
    let server = Serving::with(&[], Some(&config(&format!("\"{old_digest}\""))), &[]);
    let status =
        |token: &str| server.call_as(Some(token), "list", &json!({"path": "/"}), &[]).status;
    assert_eq!((status(&old), status(&new)), (200, 401));
    let file = server.dir.path().join("r2vfs.toml");
    let becomes = |token: &str, wanted: u16| {
        (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            status(token) == wanted
        })
    };
    fs::write(&file, "[[tenant]]\n").expect("a file");
    server.signal("-HUP");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(status(&old), 200, "a wrong file changes nothing");
    fs::write(&file, config(&format!("\"{new_digest}\""))).expect("a file");
    server.signal("-HUP");
    assert!(becomes(&new, 200) && status(&old) == 401);
}
