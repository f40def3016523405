//! The `r2vfs` program; all of it is in [`r2vfs::cli`].

fn main() -> std::process::ExitCode {
    r2vfs::cli::main()
}
