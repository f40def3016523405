//! `man` and `completions`: made from the parser itself, so that they cannot fall behind it.

use clap_complete::Shell;

use super::super::{args, exit::Exit, failure::Stop, output::Out};

/// Prints the manual page of the program and of each command, in roff.
pub(in crate::cli) fn page(out: &mut Out) -> Result<Exit, Stop> {
    let mut text = Vec::new();
    let mut command = args::command();
    // So that the page of a command is called `r2vfs grep`.
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    let own = |one: &&clap::Command| one.get_name() != "help";
    for one in command.get_subcommands().filter(own) {
        let name = format!("r2vfs-{}", one.get_name());
        clap_mangen::Man::new(one.clone()).title(name).render(&mut text)?;
    }
    out.write(&text)?;
    out.flush()?;
    Ok(Exit::Match)
}

/// Prints a completion script.
pub(in crate::cli) fn completions(out: &mut Out, shell: Shell) -> Result<Exit, Stop> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "r2vfs", &mut text);
    out.write(&text)?;
    out.flush()?;
    Ok(Exit::Match)
}
