//! Clients that are slow, too many, or ask for too much.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::TestServer;

use super::{
    client::{connect, raw, send},
    program::{Serving, kb, settled},
};

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let server = Serving::over(&kb());
    let long = format!("{{\"path\": \"{}\"}}", "a".repeat(1 << 20));
    for target in ["/v1/list", "/mcp"] {
        let answer = send(server.address, "POST", target, &[JSON], long.as_bytes()).is(413);
        assert!(answer.text().contains("1 MiB"), "{answer}");
    }
    // Announced, and never sent.
    let head = "POST /v1/list HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n";
    raw(server.address, head.as_bytes(), false).is(413);
    // Not announced, and without an end.
    let head = "POST /v1/list HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let request = head.to_owned() + &chunk.repeat(20);
    raw(server.address, request.as_bytes(), false).is(413);

    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let nested = format!("{{\"path\": {deep}}}");
    send(server.address, "POST", "/v1/list", &[JSON], nested.as_bytes()).is(400);
    send(server.address, "POST", "/mcp", &[JSON], nested.as_bytes());
    for pattern in
        ["(".repeat(10_000), "(\\w{1000}){1000}".to_owned(), "[a-z\\d]{1000000}".to_owned()]
    {
        let answer = server.call("grep", &json!({ "pattern": pattern })).is(400);
        assert!(answer.body.len() < 8000, "{} bytes", answer.body.len());
    }
    // Long, and as good as any.
    for long in ["a".repeat(500_000), ".".repeat(5_000), "[a-z]".repeat(10_000)] {
        let answer = server.call("grep", &json!({"pattern": long, "format": "text"}));
        assert!(matches!(answer.status, 200 | 400) && answer.body.len() < 50_000, "{answer}");
    }
    let glob = "{a,b}".repeat(20_000);
    server.call("glob", &json!({ "pattern": glob })).is(400);
    let header = ("X-Long", "y".repeat(100_000));
    let answer = send(server.address, "GET", "/healthz", &[(header.0, &header.1)], b"");
    assert_eq!(answer.status, 431, "{answer}");
    server.call("list", &json!({"path": "/"})).is(200);
}

/// Whether the server closes within `limit`.
fn is_closed(stream: &mut TcpStream, limit: Duration) -> bool {
    stream.set_read_timeout(Some(limit)).expect("a timeout");
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                return !matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                );
            }
        }
    }
}

#[test]
fn headers_and_bodies_that_never_end_are_given_up() {
    let server = Serving::over(&kb());
    let started = Instant::now();
    let mut silent = connect(server.address);
    let mut slow = connect(server.address);
    slow.write_all(b"POST /v1/list HTTP/1.1\r\nHost: localhost\r\nX-").expect("it listens");
    let mut body = connect(server.address);
    body.write_all(
        b"POST /v1/list HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
          Content-Length: 20\r\n\r\n{",
    )
    .expect("it listens");
    let mut answer = [0; 12];
    body.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(is_closed(&mut silent, Duration::from_secs(30)));
    assert!(is_closed(&mut slow, Duration::from_secs(30)));
    assert!(started.elapsed() < Duration::from_secs(40));
}

#[test]
fn idle_connections_give_way_to_those_that_ask() {
    let config = "[server]\nmax_connections = 20\n";
    let root = kb().display().to_string();
    let server = Serving::with(&["-b", &root], Some(config), &[]);
    let idle: Vec<TcpStream> = (0..200).map(|_| connect(server.address)).collect();
    let started = Instant::now();
    server.call("list", &json!({"path": "/"})).is(200);
    assert!(started.elapsed() < Duration::from_secs(5), "an idle connection was waited for");
    assert!(server.metric("r2vfs_connections_shed_total", "") >= 180);
    let open = idle.into_iter().filter(|stream| {
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let mut stream = stream;
        stream.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    });
    assert!(open.count() <= 20);
}

/// Lets this process, and those that it starts, open so many files. `Err`: how many they may, where
/// only root could raise it.
#[cfg(target_os = "linux")]
fn allow_files(wanted: u64) -> Result<(), u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // No limit is none at all.
    let is_enough = |most: Option<u64>| most.is_none_or(|most| most >= wanted);
    if is_enough(limit.current) {
        return Ok(());
    }
    if !is_enough(limit.maximum) {
        return Err(limit.maximum.unwrap_or(u64::MAX));
    }
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("it is within the hard limit");
    Ok(())
}

#[test]
#[cfg(target_os = "linux")]
fn ten_thousand_idle_connections_leave_room_for_one_that_asks() {
    const IDLE: usize = 10_000;
    // The tests beside this one open files too.
    if let Err(most) = allow_files(IDLE as u64 + 2000) {
        eprintln!("LEFT OUT: the hard limit of open files is {most}; see ulimit -Hn");
        return;
    }
    let root = kb().display().to_string();
    // As many as the system allows, and the usual number.
    let all = format!("[server]\nmax_connections = {}\n", IDLE + 100);
    for config in [all.as_str(), "[server]\n"] {
        let server = Serving::with(&["-b", &root], Some(config), &[]);
        let idle: Vec<TcpStream> = (0..IDLE).map(|_| connect(server.address)).collect();
        let started = Instant::now();
        server.call("list", &json!({"path": "/"})).is(200);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.id()));
        let status = status.expect("a status");
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it");
        let kib: u64 = memory.trim().trim_end_matches(" kB").parse().expect("a number");
        assert!(kib < 300 << 10, "{kib} KiB for {IDLE} idle connections");
        drop(idle);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_stops_the_fetching() {
    let store = TestServer::start().await;
    for n in 0..400 {
        store.store().put(format!("{n:03}.md"), "some text\n".repeat(100));
    }
    store.faults().delay(Duration::from_millis(100));
    let words = ["-b", &store.location(""), "--concurrency", "4"];
    let server = Serving::with(&words, None, &store.env());
    for accept in ["application/json", "application/x-ndjson"] {
        store.reset();
        let mut stream = connect(server.address);
        let body = json!({"pattern": "nowhere"}).to_string();
        let request = format!(
            "POST /v1/grep HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Accept: {accept}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it listens");
        let until = Instant::now() + Duration::from_secs(20);
        while store.counts().gets < 8 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(stream);
        let gets = settled(&store).await;
        assert!((8..200).contains(&gets), "{accept}: {gets} gets");
        let cancelled = server.metric("r2vfs_calls_total", "outcome=\"cancelled\"");
        assert!(cancelled > 0, "{accept}: it was not counted");
    }
}
