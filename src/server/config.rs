//! The file that says whom a server serves.
//!
//! A mistake here shows one customer the articles of another, so nothing is guessed: unknown keys,
//! a token of two tenants, a tenant without a token and a name that would not do as a label are
//! all refused, with the line, before anything is opened.

use std::{
    collections::BTreeMap,
    fmt::Display,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{
    limits::Limits,
    token::TokenDigest,
    window::{WINDOW, WindowLimits},
};
use crate::{
    config::{
        MountPlan,
        file::{self, MountTable},
    },
    error::{Error, Kind, Result},
    sandbox::{MAX_CHARS, MIN_CHARS, SessionLimits},
    vfs::Budget,
};

/// The most MiB of a file: a thousand tenants take a few hundred kilobytes.
const MAX_MIB: u64 = 4;

/// The longest name of a tenant, in bytes.
const MAX_NAME: usize = 64;

/// How long a call may take unless the file says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Memory for the blocks of one tenant unless the file says otherwise: 32 MiB, so that a hundred
/// busy tenants fit into a small machine.
const MEMORY_CACHE: u64 = 32 << 20;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Names under which clients may reach the server (the `Host` header), with or without a
    /// port. Loopback names are always among them where the server listens on the loopback.
    pub allowed_hosts: Vec<String>,
    /// Web origins that may call it, as in `https://app.example.com`.
    pub allowed_origins: Vec<String>,
    /// Who may read `/metrics`, which names every tenant.
    pub metrics_token: Option<TokenDigest>,
    /// Where the audit log is appended; `-` is standard error.
    pub audit_log: Option<PathBuf>,
    /// Connections at a time.
    pub max_connections: Option<usize>,
    /// The tenants, by name.
    pub tenants: BTreeMap<String, TenantPlan>,
}

/// One tenant as the file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantPlan {
    /// The digests of its tokens; several, so that one can be replaced without a gap.
    pub tokens: Vec<TokenDigest>,
    /// Its buckets.
    pub mounts: Vec<MountPlan>,
    /// Calls a second and at a time.
    pub limits: Limits,
    /// What one call may cost.
    pub budget: Budget,
    /// The most results of one call.
    pub max_results: Option<u64>,
    /// The most characters of an answer for a model.
    pub max_chars: Option<usize>,
    /// What its calls may cost together.
    pub window: WindowLimits,
    /// Bytes of memory for its blocks.
    pub memory_cache: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    server: ServerTable,
    #[serde(default)]
    tenant: Vec<TenantTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ServerTable {
    allowed_hosts: Vec<String>,
    allowed_origins: Vec<String>,
    metrics_token: Option<String>,
    audit_log: Option<PathBuf>,
    max_connections: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantTable {
    name: String,
    tokens: Vec<String>,
    mount: Vec<MountTable>,
    rate: Option<f64>,
    burst: Option<u32>,
    concurrency: Option<u32>,
    deadline_ms: Option<u64>,
    max_requests: Option<u64>,
    max_bytes: Option<u64>,
    max_results: Option<u64>,
    max_chars: Option<u64>,
    memory_cache_mib: Option<u64>,
    #[serde(default)]
    session: SessionTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SessionTable {
    seconds: Option<u64>,
    calls: Option<u64>,
    requests: Option<u64>,
    bytes: Option<u64>,
    results: Option<u64>,
    chars: Option<u64>,
}

impl Config {
    /// Reads a file; `None` for one that has neither a `[server]` nor a `[[tenant]]` table and so
    /// is for somebody else. Relative paths in it are relative to the file.
    ///
    /// # Errors
    /// [`Kind::Config`] with the place for anything that is not right.
    pub fn load(file: &Path) -> Result<Option<Self>> {
        let shown = file.display();
        let text = file::read(file, MAX_MIB, HINT)?;
        let parsed: toml::Table = file::parse(file, &text, HINT)?;
        if !parsed.contains_key("server") && !parsed.contains_key("tenant") {
            return Ok(None);
        }
        let parsed: File = file::parse(file, &text, HINT)?;
        let home = file.parent().unwrap_or(Path::new(""));
        Self::of(parsed, home).map(Some).map_err(|error| about(shown, &error))
    }

    fn of(file: File, home: &Path) -> Result<Self> {
        let ServerTable { allowed_hosts, allowed_origins, metrics_token, audit_log, .. } =
            file.server;
        let mut tenants = BTreeMap::new();
        let mut owners = BTreeMap::new();
        let metrics_token = metrics_token.as_deref().map(digest).transpose()?;
        for (at, table) in (1..).zip(file.tenant) {
            let name = table.name.clone();
            check_name(&name).map_err(|error| about(format!("tenant {at}"), &error))?;
            let what = format!("tenant {name}");
            let plan = TenantPlan::of(table, home).map_err(|error| about(&what, &error))?;
            for token in &plan.tokens {
                if owners.insert(*token, ()).is_some() || metrics_token == Some(*token) {
                    return Err(Error::new(
                        Kind::Config,
                        format!("{what}: one of its tokens is somebody else's too"),
                    )
                    .hint("make each tenant tokens of its own with `r2vfs token new`"));
                }
            }
            if tenants.insert(name, plan).is_some() {
                return Err(Error::new(Kind::Config, format!("{what} is there twice"))
                    .hint("give each tenant one table; it may have several mounts and tokens"));
            }
        }
        let max_connections = file.server.max_connections;
        if max_connections == Some(0) {
            return Err(Error::new(Kind::Config, "max_connections is 0"));
        }
        let audit_log = audit_log.map(|path| match path == Path::new("-") {
            true => path,
            false => home.join(path),
        });
        Ok(Self {
            allowed_hosts,
            allowed_origins,
            metrics_token,
            audit_log,
            max_connections,
            tenants,
        })
    }
}

impl TenantPlan {
    fn of(table: TenantTable, home: &Path) -> Result<Self> {
        let usual = Limits::default();
        let limits = Limits {
            rate: table.rate.unwrap_or(usual.rate),
            burst: table.burst.unwrap_or(usual.burst),
            concurrency: table.concurrency.unwrap_or(usual.concurrency),
        };
        if !(limits.rate > 0.0 && limits.rate.is_finite()) {
            return Err(Error::new(Kind::Config, "rate is no number of calls above 0"));
        }
        let zeros = [
            ("burst", u64::from(limits.burst)),
            ("concurrency", u64::from(limits.concurrency)),
            ("deadline_ms", table.deadline_ms.unwrap_or(1)),
            ("max_requests", table.max_requests.unwrap_or(1)),
            ("max_bytes", table.max_bytes.unwrap_or(1)),
            ("max_results", table.max_results.unwrap_or(1)),
            ("session.seconds", table.session.seconds.unwrap_or(1)),
            ("session.calls", table.session.calls.unwrap_or(1)),
            ("session.requests", table.session.requests.unwrap_or(1)),
            ("session.bytes", table.session.bytes.unwrap_or(1)),
            ("session.results", table.session.results.unwrap_or(1)),
            ("session.chars", table.session.chars.unwrap_or(1)),
        ];
        if let Some((name, _)) = zeros.iter().find(|(_, value)| *value == 0) {
            return Err(Error::new(Kind::Config, format!("{name} is 0, so no call could be made")));
        }
        let max_chars = table.max_chars.map(|chars| usize::try_from(chars).unwrap_or(usize::MAX));
        if max_chars.is_some_and(|chars| !(MIN_CHARS..=MAX_CHARS).contains(&chars)) {
            let what = format!("max_chars is not {MIN_CHARS} to {MAX_CHARS}");
            return Err(Error::new(Kind::Config, what));
        }
        let session = &table.session;
        let window = WindowLimits {
            limits: SessionLimits {
                calls: session.calls,
                requests: session.requests,
                bytes: session.bytes,
                results: session.results,
                chars: session.chars,
            },
            every: Some(session.seconds.map_or(WINDOW, Duration::from_secs)),
        };
        let tokens: Vec<_> = table.tokens.iter().map(|text| digest(text)).collect::<Result<_>>()?;
        if tokens.is_empty() {
            return Err(Error::new(Kind::Config, "it has no token, so nobody could be it")
                .hint("make one with `r2vfs token new`"));
        }
        if table.mount.is_empty() {
            return Err(Error::new(Kind::Config, "it has no mount")
                .hint("add a [[tenant.mount]] table with a point and a location"));
        }
        Ok(Self {
            tokens,
            mounts: table.mount.into_iter().map(|m| m.plan(home)).collect::<Result<_>>()?,
            limits,
            budget: Budget {
                time: Some(table.deadline_ms.map_or(DEADLINE, Duration::from_millis)),
                requests: table.max_requests,
                bytes: table.max_bytes,
            },
            max_results: table.max_results,
            max_chars,
            window,
            memory_cache: table.memory_cache_mib.map_or(MEMORY_CACHE, |mib| mib.min(1 << 20) << 20),
        })
    }
}

fn digest(text: &str) -> Result<TokenDigest> {
    let digest = TokenDigest::parse(text)?;
    match digest.is_of_nothing() {
        true => Err(Error::new(Kind::Config, "this is the digest of an empty token")
            .hint("make a token with `r2vfs token new`")),
        false => Ok(digest),
    }
}

/// A name stands in metrics and logs.
fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(plain) {
        true => Ok(()),
        false => Err(Error::new(
            Kind::Config,
            format!("the name is not 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`"),
        )),
    }
}

fn about(what: impl Display, error: &Error) -> Error {
    file::reworded(error, Kind::Config, format!("{what}: {}", error.message()))
}

const HINT: &str = "docs/SERVING.md shows a whole file";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Location;

    fn load(text: &str) -> Result<Option<Config>> {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("r2vfs.toml");
        fs::write(&file, text).expect("a file");
        Config::load(&file)
    }

    const A: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn tenant(name: &str, token: &str) -> String {
        format!(
            "[[tenant]]\nname = \"{name}\"\ntokens = [\"{token}\"]\n\
             [[tenant.mount]]\npoint = \"/\"\nlocation = \"s3://kb1/{name}/\"\n"
        )
    }

    #[test]
    fn a_file_for_somebody_else_is_left_alone() {
        let mounts = "[[mount]]\npoint = \"/\"\nlocation = \"s3://kb1\"\n";
        assert_eq!(load(mounts).expect("TOML"), None);
    }

    #[test]
    fn a_tenant_has_what_the_file_says_and_defaults() {
        let config = load(&tenant("a", A)).expect("right").expect("tenants");
        let plan = &config.tenants["a"];
        assert_eq!(plan.tokens, [TokenDigest::of("abc")]);
        assert_eq!((plan.limits, plan.budget.time), (Limits::default(), Some(DEADLINE)));
        assert_eq!(plan.mounts[0].location, Location::parse("s3://kb1/a/").expect("a location"));
    }

    #[test]
    fn what_would_mix_tenants_up_or_shut_them_out_is_refused() {
        let empty = TokenDigest::of("").to_string();
        let cases = [
            (tenant("a", A) + &tenant("b", A), "somebody else's"),
            (format!("[server]\nmetrics_token = \"{A}\"\n") + &tenant("b", A), "somebody else's"),
            (tenant("a", A) + &tenant("a", &A.replace("ba78", "ba79")), "twice"),
            (tenant("a b", A), "letters"),
            (tenant("a", "abc"), "digest"),
            (tenant("a", &empty), "empty token"),
            (tenant("a", A).replace(&format!("\"{A}\""), ""), "no token"),
            (tenant("a", A).replace("tokens", "rate = 0.0\ntokens"), "rate"),
            (tenant("a", A).replace("tokens", "concurrency = 0\ntokens"), "concurrency"),
            (tenant("a", A) + "[tenant.session]\ncalls = 0\n", "session.calls"),
            (tenant("a", A) + "[tenant.session]\ncals = 1\n", "line 8"),
            (tenant("a", A).replace("tokens", "max_chars = 1\ntokens"), "max_chars"),
            (tenant("a", A).replace("\"/\"", "\"kb\""), "start with `/`"),
            (tenant("a", A) + "pont = 1\n", "line 7"),
        ];
        for (text, word) in cases {
            let error = load(&text).expect_err(&text);
            assert!(error.to_string().contains(word), "{error} does not say {word:?}");
        }
    }
}
