//! `read`: a window of lines.

use super::super::{
    args::Read,
    exit::Exit,
    failure::{Failures, Stop, say},
    options::Options,
    output::Out,
    wait::Waiter,
};
use super::close;
use crate::{
    sandbox::{ReadArgs, VirtualSandbox},
    tree::path::visible,
};

/// What a window may hold here, in bytes: as much as the tool allows. An agent's answer must be
/// small; whoever types `--limit 5000` wants 5,000 whole lines.
const WHOLE: u64 = 8 << 20;

/// Prints the window, and says on standard error where it goes on if that was not asked for.
pub(in crate::cli) async fn run(
    sandbox: &VirtualSandbox,
    options: &Options,
    read: Read,
    out: &mut Out,
) -> Result<Exit, Stop> {
    let arguments = ReadArgs {
        path: read.path.clone(),
        offset: read.offset,
        limit: read.limit,
        tail: read.tail,
        max_bytes: Some(WHOLE),
        max_line: Some(WHOLE),
    };
    let answer = Waiter::new("reading").until(out, sandbox.read(arguments)).await??;
    let result = answer.result;
    if options.json {
        out.message("read", &result)?;
    } else {
        for line in &result.lines {
            out.write(line.text.as_bytes())?;
            out.write(b"\n")?;
        }
    }
    let mut failures = Failures::default();
    close(options, out, &mut failures, &answer.envelope)?;
    let got_all = read.limit.is_some_and(|limit| result.lines.len() as u64 >= limit);
    if let (Some(next), false, false) = (result.next_offset, got_all, options.json) {
        let path = visible(&result.path);
        say(&format!("r2vfs: {path}: there are more lines\n  next: add --offset {next}"));
    }
    for line in result.lines.iter().filter(|line| line.cut > 0) {
        let path = visible(&result.path);
        say(&format!("r2vfs: {path}: {} bytes of a line were cut off", line.cut));
        failures.count();
    }
    Ok(failures.exit(true))
}
