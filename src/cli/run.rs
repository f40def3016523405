//! From a meaning to a running command: runtime, buckets, sandbox, dispatch, Ctrl-C.

use std::{future::Future, pin::Pin, sync::Arc};

use tokio::runtime::Runtime;

use super::{
    args::{Command, Common, index::Index},
    command,
    exit::Exit,
    failure::{self, Stop},
    interrupt,
    options::{
        IndexPlaces, Options,
        grep::{GrepOptions, Printing},
        naming,
    },
    output::Out,
};
use crate::{
    bucket::{Bucket, Permits, Unopened},
    cache::{CacheOptions, DiskOptions},
    config,
    error::{Error, Kind, Result},
    indexer::Halt,
    platform::Platform,
    sandbox::{CursorKey, SandboxOptions, VirtualSandbox, get_virtual_sandbox},
    vfs::{Budget, IndexOptions, Mount},
};

/// Threads for what is not searching: requests and their decryption. More only take turns with
/// the searching threads.
const WORKERS: usize = 2;

/// Requests under way at once unless `--concurrency` says otherwise. Measured with 30 ms a request
/// on 2 cores: 5,000 objects take 2.6 s with 64, 1.8 s with 96, 1.4 s with 128; 1,812 objects of a
/// busy SeaweedFS take 1.8, 1.6 and 1.7 s, its own work being the limit from 96 on.
const CONCURRENCY: usize = 96;

/// Runs a command that reads buckets.
pub(super) fn run(common: &Common, command: Command, out: &mut Out) -> Result<Exit, Stop> {
    let lookup = |name: &str| std::env::var(name).ok();
    let options = Options::new(common, &lookup, out.is_terminal())?;
    #[cfg(feature = "server")]
    let options = match command {
        // An agent that waits for more than this takes the server for dead.
        Command::Mcp(_) => Options {
            timeout: options.timeout.or(Some(crate::server::config::DEADLINE)),
            ..options
        },
        _ => options,
    };
    let command = match command {
        Command::Index(index) => return self::index(index, &options, out),
        command => command,
    };
    let ready = Ready::new(command, &options, out)?;
    let runtime = runtime(WORKERS)?;
    let done = runtime.block_on(async {
        let work = Box::pin(ready.run(&options, out));
        interrupt::unless_interrupted(work).await
    });
    let done = done.unwrap_or_else(|| {
        let printed = out.printed();
        out.flush()?;
        failure::say(match printed {
            true => "r2vfs: interrupted: what was printed is not the whole answer",
            false => "r2vfs: interrupted",
        });
        Ok(Exit::Interrupted)
    });
    // Searches on blocking threads may take a moment to notice that nobody waits.
    runtime.shutdown_background();
    done
}

/// Runs a command that writes an index: at Ctrl-C it is asked to keep what is done.
fn index(index: Index, options: &Options, out: &mut Out) -> Result<Exit, Stop> {
    let index = command::index::Ready::new(index, options)?;
    let runtime = runtime(WORKERS)?;
    let halt = Arc::new(Halt::default());
    let asked = halt.clone();
    let done = runtime.block_on(async {
        let (platform, permits) = (Platform::tokio(), permits(options));
        let work = Box::pin(index.run(options, &permits, &platform, &halt, out));
        interrupt::asking(work, move || asked.ask()).await
    });
    runtime.shutdown_background();
    done
}

/// A runtime with this many threads for what is not searching.
pub(super) fn runtime(workers: usize) -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .map_err(|error| {
            Error::new(Kind::Io, format!("threads cannot be started: {error}"))
                .because(error)
                .hint("look at the process limits (ulimit -u)")
        })
}

/// A command whose own options are checked, before anything is opened.
enum Ready {
    Grep(Box<GrepOptions>),
    Other(Box<Command>),
}

impl Ready {
    fn new(command: Command, options: &Options, out: &Out) -> Result<Self> {
        let Command::Grep(with) = command else { return Ok(Self::Other(Box::new(command))) };
        let printing = Printing {
            json: options.json,
            color: options.color,
            color_is_auto: options.color_is_auto,
            terminal: out.is_terminal(),
        };
        let grep = GrepOptions::new(with.own, printing)?;
        Ok(Self::Grep(Box::new(grep)))
    }

    /// What cursors are signed with. A command's are for the next command of whoever has typed
    /// it, who could read the key anyway; a client's are not.
    fn cursor_key(&self) -> Result<CursorKey> {
        match self {
            #[cfg(feature = "server")]
            Self::Other(command) if matches!(**command, Command::Mcp(_)) => {
                command::serve::cursor_key()
            }
            _ => Ok(CursorKey::default()),
        }
    }

    async fn run(self, options: &Options, out: &mut Out) -> Result<Exit, Stop> {
        let platform = Platform::tokio();
        let permits = permits(options);
        if matches!(&self, Self::Other(command) if matches!(**command, Command::Doctor(_))) {
            return command::doctor::run(options, &permits, &platform, out).await;
        }
        let search = match &self {
            Self::Other(command) => match &**command {
                Command::Search(with) => Some(with.own.clone()),
                _ => None,
            },
            Self::Grep(_) => None,
        };
        let key = self.cursor_key()?;
        let mut sandbox = self::sandbox(options, &permits, &platform, &key)?;
        let mut done = Box::pin(self.dispatch(&sandbox, options, out)).await;
        let may = matches!(options.index.places, IndexPlaces::Auto) && options.index.dir.is_some();
        // At most once for each mount: one that was indexed and fails again is not tried again.
        for _ in options.mounts.iter().filter(|_| may) {
            let (Some(search), Err(Stop::Failed(error))) = (&search, &done) else { break };
            if error.kind() != Kind::NoIndex {
                break;
            }
            Box::pin(command::index::on_the_spot(error, options, &permits, &platform)).await?;
            sandbox = self::sandbox(options, &permits, &platform, &key)?;
            done = Box::pin(command::search::run(&sandbox, options, search.clone(), out)).await;
        }
        // What was fetched is worth keeping even for a command that failed; a cache that cannot
        // be written only costs the next run its time.
        sandbox.vfs().cache().flush().await;
        if let Some(notice) = sandbox.vfs().cache().notice() {
            failure::say(&format!("r2vfs: {notice}"));
        }
        done
    }

    fn dispatch<'a>(
        self,
        sandbox: &'a VirtualSandbox,
        options: &'a Options,
        out: &'a mut Out,
    ) -> Pin<Box<dyn Future<Output = Result<Exit, Stop>> + 'a>> {
        match self {
            Self::Grep(grep) => Box::pin(command::grep::run(sandbox, options, *grep, out)),
            Self::Other(command) => match *command {
                Command::Ls(with) => Box::pin(command::ls::run(sandbox, options, with.own, out)),
                Command::Tree(with) => {
                    Box::pin(command::tree::run(sandbox, options, with.own, out))
                }
                Command::Stat(with) => {
                    Box::pin(command::stat::run(sandbox, options, with.own, out))
                }
                Command::Cat(with) => Box::pin(command::cat::run(sandbox, options, with.own, out)),
                Command::Read(with) => {
                    Box::pin(command::read::run(sandbox, options, with.own, out))
                }
                Command::Glob(with) => {
                    Box::pin(command::glob::run(sandbox, options, with.own, out))
                }
                Command::Search(with) => {
                    Box::pin(command::search::run(sandbox, options, with.own, out))
                }
                Command::Tool(with) => {
                    Box::pin(command::tool::run(sandbox, options, with.own, out))
                }
                #[cfg(feature = "server")]
                Command::Mcp(with) => Box::pin(command::mcp::run(sandbox, with.own)),
                // Those that need no sandbox, or make their own, were run before.
                #[cfg(feature = "server")]
                Command::Serve(_) | Command::Token(_) => {
                    Box::pin(std::future::ready(Ok(Exit::Match)))
                }
                Command::Grep(_)
                | Command::Index(_)
                | Command::Doctor(_)
                | Command::Completions(_)
                | Command::Man => Box::pin(std::future::ready(Ok(Exit::Match))),
            },
        }
    }
}

/// The permits that all requests of the program share.
pub(super) fn permits(options: &Options) -> Permits {
    Permits::new(options.concurrency.unwrap_or(CONCURRENCY))
}

/// An error that says which mount it is about, where there can be more than one.
fn named(error: Error, point: &str) -> Error {
    if point == "/" { error } else { error.at(format!("{}/", point.trim_end_matches('/'))) }
}

/// A sandbox over the mounts of the command line.
pub(super) fn sandbox(
    options: &Options,
    permits: &Permits,
    platform: &Platform,
    cursor_key: &CursorKey,
) -> Result<VirtualSandbox> {
    let mut mounts = Vec::with_capacity(options.mounts.len());
    let mut worth_a_disk = false;
    for plan in &options.mounts {
        let opened = config::open(&plan.location, &plan.settings, permits, platform);
        let bucket: Arc<dyn Bucket> = match opened {
            Ok(bucket) => bucket,
            // The other mounts are worth having; this one says what is wrong when it is touched.
            Err(error) if options.mounts.len() > 1 => {
                Arc::new(Unopened::new(named(error, &plan.point)))
            }
            Err(error) => return Err(named(naming(error, &plan.location), &plan.point)),
        };
        worth_a_disk |= bucket.worth_disk_cache();
        mounts.push(Mount { point: plan.point.clone(), bucket });
    }
    let usual = CacheOptions::default();
    // Nothing is put in the way of a command over directories only, not even an empty folder.
    let disk = options.cache.disk.clone().filter(|_| worth_a_disk);
    let cache = CacheOptions {
        memory: options.cache.memory.unwrap_or(usual.memory),
        disk: disk.map(|(dir, budget)| DiskOptions { dir, budget }),
    };
    let index = indexes(options, permits, platform)?;
    let options = SandboxOptions {
        cache,
        freshness: options.freshness,
        index,
        budget: Budget { time: options.timeout, ..Budget::default() },
        cursor_key: cursor_key.clone(),
        ..SandboxOptions::default()
    };
    get_virtual_sandbox(mounts, platform.clone(), options)
}

/// Where indexes are looked for.
pub(super) fn indexes(
    options: &Options,
    permits: &Permits,
    platform: &Platform,
) -> Result<IndexOptions> {
    let mut index = IndexOptions::default();
    match &options.index.places {
        IndexPlaces::Off => {}
        IndexPlaces::Auto => {
            index.local = options.index.dir.clone();
            index.published = true;
        }
        IndexPlaces::At(location) => {
            for plan in &options.mounts {
                let bucket = config::open(location, &plan.settings, permits, platform)
                    .map_err(|error| naming(error, location))?;
                index.elsewhere.insert(plan.point.clone(), bucket);
            }
        }
    }
    Ok(index)
}
