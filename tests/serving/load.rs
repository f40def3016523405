//! Many clients at once, whose every answer is checked.
//!
//! A load test that counts statuses finds a server that falls over, and not one that mixes
//! answers up under pressure or calls a part the whole when the bucket fails. Here the text of
//! every file follows from its name, so each answer is compared with the one that must come: a
//! complete one is equal to it, and one that is not complete says so and holds nothing else.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Fault, Rule, TestServer};

/// How much, and against what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) tenants: usize,
    /// Directories of a tenant, of [`FILES`] files each.
    pub(crate) dirs: usize,
    /// Lines of a file.
    pub(crate) lines: usize,
    /// At most so many calls a client.
    pub(crate) calls: u64,
    pub(crate) time: Duration,
    /// Of one call.
    pub(crate) deadline: Duration,
    /// Of a thousand requests to the bucket, so many meet a 503, and as many a reset.
    pub(crate) per_mille: u64,
    /// The first tenants have an index.
    pub(crate) indexed: usize,
}

const FILES: usize = 20;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) calls: u64,
    /// Answers that say that something is missing which was asked for.
    pub(crate) partial: u64,
    /// By kind.
    pub(crate) errors: BTreeMap<String, u64>,
    /// What was not as it must be; the first few.
    pub(crate) wrong: Vec<String>,
    /// By tool, sorted.
    pub(crate) times: BTreeMap<&'static str, Vec<Duration>>,
    /// The server's resident memory in KiB: after a quarter of the time, and at most.
    pub(crate) memory: (u64, u64),
    /// Requests that the bucket was sent, and those that met a fault.
    pub(crate) bucket: (u64, u64),
}

impl Figures {
    fn join(&mut self, other: Self) {
        self.calls += other.calls;
        self.partial += other.partial;
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        for (tool, times) in other.times {
            self.times.entry(tool).or_default().extend(times);
        }
        self.wrong.extend(other.wrong);
        self.wrong.truncate(10);
    }
}

/// A file of a tenant.
#[derive(Clone, Copy)]
struct File {
    tenant: usize,
    dir: usize,
    file: usize,
}

impl File {
    fn path(self) -> String {
        format!("/d{:02}/f{:02}.md", self.dir, self.file)
    }

    /// A line, from 1 on; the third names what greps look for.
    fn line(self, number: usize) -> String {
        let Self { tenant, dir, file } = self;
        match number {
            3 => format!("tenant{tenant} needle{} rare{}x{file}", file % 5, dir % 7),
            _ => format!("tenant{tenant} d{dir} f{file} line {number} of words and more words"),
        }
    }

    fn text(self, lines: usize) -> String {
        (1..=lines).map(|number| self.line(number) + "\n").collect()
    }
}

fn token(tenant: usize) -> String {
    format!("load-{tenant}")
}

/// Runs it: a bucket, a server over it, and the clients.
pub(crate) fn run(load: Load, binary: &Path, home: &Path) -> Figures {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = runtime.block_on(TestServer::start());
    let mut config = String::new();
    for tenant in 0..load.tenants {
        for (dir, file) in (0..load.dirs).flat_map(|dir| (0..FILES).map(move |file| (dir, file))) {
            let one = File { tenant, dir, file };
            store.store().put(format!("t{tenant}{}", one.path()), one.text(load.lines));
        }
        let digest = Sha256::digest(token(tenant));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let location = store.location(&format!("t{tenant}/"));
        // Little memory, so that most reads go to the bucket.
        config += &format!(
            "[[tenant]]\nname = \"t{tenant}\"\ntokens = [\"sha256:{digest}\"]\nrate = 1e6\n\
             burst = 1000000\nconcurrency = {}\nmemory_cache_mib = 2\ndeadline_ms = {}\n\
             [[tenant.mount]]\n\
             point = \"/\"\nlocation = '{location}'\n",
            load.clients,
            load.deadline.as_millis()
        );
        if tenant < load.indexed {
            let mut build = Command::new(binary);
            build.args(["-b", &location, "index", "build"]).env_clear().env("HOME", home);
            let output = build.envs(store.env()).output().expect("it runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    fs::write(home.join("load.toml"), config).expect("a file");
    let mut server = start(binary, home, &store);
    let address = address(&mut server, home);
    store.reset();
    if load.per_mille > 0 {
        store.faults().add(Rule::all(Fault::slow_down()).per_mille(load.per_mille));
        store.faults().add(Rule::all(Fault::Reset).per_mille(load.per_mille));
        // Retries cure most of it; this one can never be read, and nobody tries twice.
        let lost = File { tenant: 0, dir: 1, file: 3 };
        store
            .faults()
            .add(Rule::gets(Fault::forbidden("AccessDenied")).key(&format!("t0{}", lost.path())));
    }
    let (over, first, most) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let (began, id) = (Instant::now(), server.id());
    let mut figures = Figures::default();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..load.clients)
            .map(|nth| scope.spawn(move || client(load, nth, address, began + load.time)))
            .collect();
        let watcher = scope.spawn(|| {
            while !over.load(Relaxed) {
                let now = resident(id);
                most.fetch_max(now, Relaxed);
                if began.elapsed() <= load.time / 4 {
                    first.fetch_max(now, Relaxed);
                }
                std::thread::park_timeout(Duration::from_millis(250));
            }
        });
        for one in clients {
            figures.join(one.join().expect("a client"));
        }
        over.store(true, Relaxed);
        watcher.thread().unpark();
    });
    figures.times.values_mut().for_each(|times| times.sort_unstable());
    figures.memory = (first.load(Relaxed), most.load(Relaxed));
    let counts = store.counts();
    figures.bucket = (counts.lists + counts.gets, store.faults().hits());
    drop(server.stdin.take());
    let ended = server.wait().expect("it ends");
    if !ended.success() {
        figures.wrong.push(format!("the server ended with {ended}"));
    }
    figures
}

fn start(binary: &Path, home: &Path, store: &TestServer) -> Child {
    let mut command = Command::new(binary);
    command.args(["serve", "--config", "load.toml", "--listen", "127.0.0.1:0"]);
    command.args(["--port-file", "url", "--exit-with-stdin"]);
    command.env_clear().env("HOME", home).current_dir(home).envs(store.env());
    command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts")
}

fn address(server: &mut Child, home: &Path) -> SocketAddr {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Ok(url) = fs::read_to_string(home.join("url")) {
            let address = url.trim().strip_prefix("http://").and_then(|text| text.parse().ok());
            return address.expect("an address");
        }
        let ended = server.try_wait().expect("a child");
        assert!(ended.is_none() && Instant::now() < until, "the server does not listen: {ended:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Resident memory in KiB; 0 where the system does not say.
fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The next number of a fixed sequence.
fn next(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize % below
}

fn client(load: Load, nth: usize, address: SocketAddr, until: Instant) -> Figures {
    let mut figures = Figures::default();
    let mut state = nth as u64 + 1;
    let tenant = nth % load.tenants;
    let mut connection = None;
    while figures.calls < load.calls && Instant::now() < until {
        let (tool, arguments, expected) = question(load, tenant, &mut state);
        let over_mcp = next(&mut state, 2) == 0;
        let began = Instant::now();
        let stream = connection.take().unwrap_or_else(|| Connection::new(address));
        let heard = stream.call(tenant, tool, &arguments, over_mcp);
        figures.calls += 1;
        figures.times.entry(tool).or_default().push(began.elapsed());
        let answer = match heard {
            Ok((stream, answer)) => {
                connection = Some(stream);
                answer
            }
            Err(error) => {
                figures.wrong.push(format!("{tool} {arguments}: {error}"));
                continue;
            }
        };
        if let Some(kind) = answer["error"]["kind"].as_str() {
            *figures.errors.entry(kind.to_owned()).or_default() += 1;
            continue;
        }
        // A read of three lines of many has what was asked for.
        let complete = answer["envelope"]["complete"] == true || is_at_its_limit(&answer);
        figures.partial += u64::from(!complete);
        if let Err(why) = expected.check(&answer, complete) {
            let shown: String = answer.to_string().chars().take(600).collect();
            figures.wrong.push(format!("{tool} {arguments}: {why}: {shown}"));
        }
    }
    figures
}

/// Whether nothing is missing but what is past the limit of the call.
fn is_at_its_limit(answer: &Value) -> bool {
    let lacks = answer["envelope"]["incomplete"].as_array();
    lacks.is_some_and(|lacks| {
        !lacks.is_empty() && lacks.iter().all(|lack| lack["reason"] == "limit")
    })
}

/// What an answer must hold: names or lines, each once, in their order.
struct Expected {
    all: Vec<Value>,
    of: fn(&Value) -> Vec<Value>,
    /// Ranked answers hold some of these, and are complete with them.
    ranked: bool,
}

impl Expected {
    fn check(&self, answer: &Value, complete: bool) -> Result<(), &'static str> {
        let found = (self.of)(answer);
        if complete && !self.ranked && found != self.all {
            return Err("it says that it is complete, and is not what it must be");
        }
        if complete && self.ranked && found.is_empty() {
            return Err("it says that it is complete, and nothing was found");
        }
        // In order, too, where there is one.
        let mut rest = self.all.iter();
        let known = |one: &Value| match self.ranked {
            true => self.all.contains(one),
            false => rest.any(|other| other == one),
        };
        if !found.iter().all(known) {
            return Err("it holds what is not there, or in another order");
        }
        let told = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
        let envelope = &answer["envelope"];
        if !complete && !told(&envelope["incomplete"]) && envelope["skipped_by_reason"].is_null() {
            return Err("it is not complete and does not say why");
        }
        Ok(())
    }
}

fn each(list: &Value, of: impl Fn(&Value) -> Value) -> Vec<Value> {
    list.as_array().map(|list| list.iter().map(of).collect()).unwrap_or_default()
}

/// A call, and what must come of it.
fn question(load: Load, tenant: usize, state: &mut u64) -> (&'static str, Value, Expected) {
    let (dir, file) = (next(state, load.dirs), next(state, FILES));
    let one = File { tenant, dir, file };
    let in_dir = |pick: &dyn Fn(usize) -> bool| -> Vec<File> {
        (0..FILES).filter(|file| pick(*file)).map(|file| File { tenant, dir, file }).collect()
    };
    let paths = |files: Vec<File>| files.iter().map(|file| json!(file.path())).collect();
    let exact = |all: Vec<Value>, of| Expected { all, of, ranked: false };
    match next(state, 20) {
        0..=3 => (
            "list",
            json!({"path": format!("/d{dir:02}/")}),
            exact(paths(in_dir(&|_| true)), |answer| {
                each(&answer["entries"], |entry| entry["path"].clone())
            }),
        ),
        4..=5 => (
            "stat",
            json!({"path": one.path()}),
            exact(vec![json!(one.text(load.lines).len())], |answer| vec![answer["size"].clone()]),
        ),
        6..=10 => {
            let offset = 1 + next(state, load.lines - 3);
            let all = (offset..offset + 3).map(|n| json!(one.line(n))).collect();
            let arguments = json!({"path": one.path(), "offset": offset, "limit": 3});
            let lines = |answer: &Value| each(&answer["lines"], |line| line["text"].clone());
            ("read", arguments, exact(all, lines))
        }
        11..=12 => (
            "glob",
            json!({"pattern": format!("/*/f{file:02}.md")}),
            exact(
                (0..load.dirs).map(|dir| json!(File { tenant, dir, file }.path())).collect(),
                |answer| each(&answer["paths"], Value::clone),
            ),
        ),
        13..=16 => (
            "grep",
            json!({
                "pattern": format!("needle{}\\b", file % 5), "path": format!("/d{dir:02}/"),
                "output_mode": "content",
            }),
            exact(
                in_dir(&|other| other % 5 == file % 5)
                    .into_iter()
                    .map(|file| json!([file.path(), file.line(3)]))
                    .collect(),
                |answer| {
                    each(&answer["files"], |file| json!([file["path"], file["lines"][0]["text"]]))
                },
            ),
        ),
        17 => (
            "grep",
            json!({"pattern": format!("rare{}x{file}$", dir % 7)}),
            exact(
                (0..load.dirs)
                    .filter(|other| other % 7 == dir % 7)
                    .map(|dir| json!(File { tenant, dir, file }.path()))
                    .collect(),
                |answer| each(&answer["files"], |file| file["path"].clone()),
            ),
        ),
        _ if tenant < load.indexed => (
            "search",
            json!({"query": format!("needle{}", file % 5), "limit": 5}),
            Expected {
                all: (0..load.dirs)
                    .flat_map(|dir| (0..FILES).map(move |file| File { tenant, dir, file }))
                    .filter(|other| other.file % 5 == file % 5)
                    .map(|file| json!(file.path()))
                    .collect(),
                of: |answer| each(&answer["hits"], |hit| hit["path"].clone()),
                ranked: true,
            },
        ),
        _ => {
            let all = vec![json!("needle"), json!(one.line(3))];
            let of = |answer: &Value| vec![json!("needle"), answer["lines"][0]["text"].clone()];
            ("read", json!({"path": one.path(), "offset": 3, "limit": 1}), exact(all, of))
        }
    }
}

/// A connection that is used again and again.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(300))).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Self(BufReader::new(stream))
    }

    /// The typed answer, or `{"error": …}`, over one of the two protocols.
    fn call(
        mut self,
        tenant: usize,
        tool: &str,
        arguments: &Value,
        over_mcp: bool,
    ) -> Result<(Self, Value), String> {
        let mut arguments = arguments.clone();
        arguments["format"] = json!("structured");
        let (target, body) = match over_mcp {
            false => (format!("/v1/{tool}"), arguments),
            true => {
                let params = json!({"name": tool, "arguments": arguments});
                let call =
                    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
                ("/mcp".to_owned(), call)
            }
        };
        let (token, body) = (token(tenant), body.to_string());
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             MCP-Protocol-Version: 2025-11-25\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let sent = self.0.get_mut().write_all(request.as_bytes());
        sent.map_err(|error| format!("it cannot be sent: {error}"))?;
        let (status, text) = self.hear().map_err(|error| format!("no answer: {error}"))?;
        let json: Value =
            serde_json::from_slice(&text).map_err(|error| format!("{status}: no JSON: {error}"))?;
        if !over_mcp {
            return Ok((self, json));
        }
        let result = &json["result"];
        let answer = match result["isError"] == true {
            false => result["structuredContent"].clone(),
            true => {
                let told = result["content"][0]["text"].as_str().unwrap_or_default();
                json!({"error": serde_json::from_str::<Value>(told).unwrap_or(json!({"kind": told}))})
            }
        };
        match answer.is_object() {
            true => Ok((self, answer)),
            false => Err(format!("{status}: {json}")),
        }
    }

    fn hear(&mut self) -> std::io::Result<(u16, Vec<u8>)> {
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0);
            }
            if let Some(rest) = line.strip_prefix("content-length:") {
                length = rest.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((status, body))
    }
}
