//! The `r2vfs` program: decode a command line, run it in the sandbox, print the answer.
//!
//! Everything a command needs could be set up first, but a search of cached objects takes less
//! time than that: each step happens only for the commands that need it, and help, completions
//! and wrong command lines need no runtime, bucket or cache. The way: [`args`] is what was typed,
//! [`options`] what it means, each file of [`command`] runs one command, [`mod@print`] and [`output`]
//! print, [`failure`] tells what went wrong, and [`exit`] has the one table of exit codes.

#![expect(
    clippy::disallowed_methods,
    reason = "the one front end that is a native program: it has a clock, threads and an environment"
)]

use std::process::ExitCode;

mod args;
mod command;
mod exit;
mod failure;
mod interrupt;
mod options;
mod output;
mod print;
mod run;
#[cfg(feature = "server")]
mod signals;
mod usage;
mod wait;

use args::Command;
use exit::Exit;
use failure::Stop;
use output::Out;

/// Runs the program with the arguments and the environment of this process.
pub fn main() -> ExitCode {
    let (common, command) = match args::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => return usage::show(&error).into(),
    };
    let mut out = Out::new();
    let done = match command {
        Command::Completions(completions) => command::man::completions(&mut out, completions.shell),
        Command::Man => command::man::page(&mut out),
        #[cfg(feature = "server")]
        Command::Token(token) => command::token::run(&mut out, &token),
        #[cfg(feature = "server")]
        Command::Serve(with) => command::serve::run(common, &with.own),
        Command::Grep(with) if with.own.type_list => command::grep::types(&mut out),
        Command::Search(with) if with.own.corpus.is_some() => command::search::corpus(&with.own),
        Command::Tool(with) if with.own.name.is_none() => {
            command::tool::table(&mut out, with.own.schemas)
        }
        command => run::run(&common, command, &mut out),
    };
    match done {
        Ok(exit) => exit,
        // As in ripgrep: whoever closed the pipe has seen enough.
        Err(Stop::PipeClosed) => Exit::Match,
        Err(Stop::Failed(error)) => {
            // What was printed before stands above what went wrong.
            drop(out.flush());
            failure::tell(&error);
            Exit::of(error.kind())
        }
    }
    .into()
}
