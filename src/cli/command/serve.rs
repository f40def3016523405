//! `serve`: from a configuration to a server that runs until it is told to stop.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;

use super::super::{
    args::{Common, serve::Serve},
    exit::Exit,
    failure::{Stop, say, tell},
    options::Options,
    run,
    signals::{Ends, Hangups},
    usage::wrong,
};
use crate::{
    config::{Overrides, Settings},
    error::{Error, Kind, Result},
    http::{self, App, Rules, listen},
    platform::Platform,
    sandbox::{CursorKey, Format},
    server::{
        Config, Open, Tenant, TenantOptions, Tenants, config::DEADLINE, limits::Limits,
        tenant::Log, token,
    },
};

/// What a local client may ask for: the machine is its own.
const LOCAL: Limits = Limits { rate: 1000.0, burst: 1000, concurrency: 32 };

/// Serves until SIGTERM, SIGINT or, where that was asked for, the end of standard input.
pub(in crate::cli) fn run(mut common: Common, serve: &Serve) -> Result<Exit, Stop> {
    let file = common.config.clone();
    let config = file.as_deref().map(Config::load).transpose()?.flatten();
    if config.is_some() {
        common.config = None;
    }
    let config = config.unwrap_or_default();
    let served = Served::new(common, serve, &config)?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = run::runtime(threads)?;
    let done = runtime.block_on(served.run(serve, config, file));
    runtime.shutdown_background();
    done
}

/// What is checked before anything is opened.
struct Served {
    options: Options,
    settings: Settings,
}

impl Served {
    fn new(common: Common, serve: &Serve, config: &Config) -> Result<Self> {
        let lookup = |name: &str| std::env::var(name).ok();
        let settings = Settings::from_env(&lookup).with(Overrides {
            endpoint: common.endpoint.clone(),
            region: common.region.clone(),
            profile: common.profile.clone(),
            anonymous: common.anonymous,
        });
        let mut options = match config.tenants.is_empty() {
            true => Options::new(&common, &lookup, false)?,
            false if common.bucket.is_some() || !common.mount.is_empty() => {
                return Err(wrong("the configuration has tenants, and the command line a bucket")
                    .hint(
                        "give each tenant its own [[tenant.mount]] tables, and no -b or --mount",
                    ));
            }
            false => Options::with_mounts(&common, &lookup, false, Vec::new())?,
        };
        options.timeout.get_or_insert(DEADLINE);
        if config.tenants.is_empty() && !serve.listen.ip().is_loopback() {
            return Err(wrong(format!(
                "{} can be reached from elsewhere, and nobody needs a token",
                serve.listen
            ))
            .hint(
                "listen on 127.0.0.1, or give --config a file with [[tenant]] tables, each with \
                 a token of `r2vfs token new`",
            ));
        }
        Ok(Self { options, settings })
    }

    async fn run(self, serve: &Serve, config: Config, file: Option<PathBuf>) -> Result<Exit, Stop> {
        let platform = Platform::tokio();
        let permits = run::permits(&self.options);
        let log = Log::default();
        let audit_log = serve.audit_log.clone().or_else(|| config.audit_log.clone());
        log.audit.open(audit_log.as_deref(), &log.metrics)?;
        let tenant_options = TenantOptions {
            settings: self.settings.clone(),
            index: run::indexes(&self.options, &permits, &platform)?,
            cursor_key: cursor_key()?,
            permits: permits.clone(),
            platform: platform.clone(),
            freshness: self.options.freshness,
            disk: self.options.cache.disk.clone(),
            log: log.clone(),
        };
        let open = match config.tenants.is_empty() {
            true => {
                let key = &tenant_options.cursor_key;
                let sandbox = run::sandbox(&self.options, &permits, &platform, key)?;
                Open::anyone(Arc::new(Tenant::new("local", sandbox, LOCAL, log.clone())))
            }
            false => Open::new(&config, None, &tenant_options, &mut tell)?,
        };
        let listener = listen::bind(serve.listen).map_err(|error| {
            Error::new(Kind::Io, format!("{} cannot be listened on: {error}", serve.listen))
                .because(error)
                .hint("end what listens there, or take another port with --listen")
        })?;
        let address = listener.local_addr().map_err(|error| {
            Error::new(Kind::Io, format!("the port is not known: {error}")).because(error)
        })?;
        let format = if serve.structured { Format::Structured } else { Format::Text };
        let rules = rules(address, &config);
        let app = App::new(Tenants::new(open), log, rules, format);
        let (stop, stopped) = watch::channel(false);
        let stop = Arc::new(stop);
        // Before anybody is told that the server listens: whoever was may send a signal, and
        // without a handler it would end the process.
        tokio::spawn(until_told(Ends::new()?, Arc::clone(&stop)));
        let file = file.filter(|_| !config.tenants.is_empty());
        tokio::spawn(reload(Hangups::new()?, Arc::clone(&app), file, address, tenant_options));
        let url = format!("http://{address}");
        if let Some(file) = &serve.port_file {
            write_whole(file, &format!("{url}\n"))?;
        }
        say(&format!("listening on {url}"));
        if serve.exit_with_stdin {
            stop_with_stdin(Arc::clone(&stop));
        }
        let most = config.max_connections.unwrap_or(listen::MAX_CONNECTIONS);
        listen::serve(listener, http::router(&app), Arc::clone(&app), most, stopped).await;
        for tenant in app.tenants.now().all() {
            tenant.flush().await;
        }
        app.log.audit.close();
        Ok(Exit::Match)
    }
}

/// The variable with the secret that cursors are signed with: several servers that share it go on
/// where another stopped.
const CURSOR_KEY: &str = "R2VFS_CURSOR_KEY";

/// The configured secret, else one that ends with this process.
pub(in crate::cli) fn cursor_key() -> Result<CursorKey> {
    match std::env::var(CURSOR_KEY).ok().filter(|secret| !secret.is_empty()) {
        Some(secret) if secret.len() < 16 => {
            Err(wrong(format!("{CURSOR_KEY} is shorter than 16 bytes"))
                .hint("make it of random bytes, as in `openssl rand -hex 32`"))
        }
        Some(secret) => Ok(CursorKey::new(secret.as_bytes())),
        None => Ok(CursorKey::new(token::new()?.0.as_bytes())),
    }
}

fn rules(address: SocketAddr, config: &Config) -> Rules {
    Rules::new(address, config.allowed_hosts.clone(), config.allowed_origins.clone())
}

/// Whoever waits for the file must not read half of it.
fn write_whole(file: &Path, text: &str) -> Result<()> {
    let written = match file.parent().filter(|_| !file.starts_with("/dev")) {
        Some(dir) => {
            let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
            tempfile::NamedTempFile::new_in(dir).and_then(|mut temporary| {
                std::io::Write::write_all(&mut temporary, text.as_bytes())?;
                temporary.persist(file).map(drop).map_err(|error| error.error)
            })
        }
        // A pipe of the parent's, as in /dev/fd/3.
        None => fs::write(file, text),
    };
    written.map_err(|error| {
        Error::new(Kind::Io, format!("{} cannot be written: {error}", file.display()))
            .because(error)
            .hint("let --port-file name a file in a directory that is there")
    })
}

async fn until_told(mut ends: Ends, stop: Arc<watch::Sender<bool>>) {
    ends.next().await;
    say("r2vfs: calls under way may end, for at most 10 s");
    stop.send_replace(true);
    // Whoever asks a second time does not want to wait.
    ends.next().await;
    std::process::exit(Exit::Interrupted.code().into());
}

/// A read of standard input cannot be given up, so it has a thread of its own that the process
/// does not wait for.
fn stop_with_stdin(stop: Arc<watch::Sender<bool>>) {
    std::thread::spawn(move || {
        drop(std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
        stop.send_replace(true);
    });
}

/// Reads the configuration, if it has tenants, again at each SIGHUP, and opens the log again. A
/// wrong one changes nothing and is told.
async fn reload(
    mut hangups: Hangups,
    app: Arc<App>,
    file: Option<PathBuf>,
    address: SocketAddr,
    options: TenantOptions,
) {
    while hangups.next().await {
        let Some(file) = &file else {
            match app.log.audit.reopen() {
                Ok(()) => say("r2vfs: there are no tenants to read again"),
                Err(error) => tell(&error),
            }
            continue;
        };
        match reread(&app, file, address, &options) {
            Ok(tenants) => {
                say(&format!("r2vfs: the configuration was read again: {tenants} tenants"))
            }
            Err(error) => {
                tell(&error);
                say("r2vfs: the configuration is still the one from before");
            }
        }
    }
}

fn reread(app: &App, file: &Path, address: SocketAddr, options: &TenantOptions) -> Result<usize> {
    let config =
        Config::load(file)?.filter(|config| !config.tenants.is_empty()).ok_or_else(|| {
            Error::new(Kind::Config, format!("{} has no tenant any more", file.display()))
                .hint("to serve nobody, end the server")
        })?;
    let before = app.tenants.now();
    let open = Open::new(&config, Some(&before), options, &mut tell)?;
    app.log.audit.reopen()?;
    app.set_rules(rules(address, &config));
    app.tenants.replace(open);
    Ok(config.tenants.len())
}
