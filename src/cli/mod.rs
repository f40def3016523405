//! The `r2vfs` program: decode a command line, run it in the sandbox, print the answer.
//!
//! The data's way: [`args`] is what was typed, [`options`] what it means, each file of
//! [`command`] runs one command, [`print`] and [`output`] print, [`failure`] tells what went
//! wrong, and [`exit`] has the one table of exit codes.

mod args;
mod exit;
mod failure;
mod options;
mod output;
mod print;
mod usage;
mod wait;
