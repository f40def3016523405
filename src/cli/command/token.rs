//! `token new`: a bearer token and what the server keeps of it.

use super::super::{
    args::serve::{Token, TokenCommand},
    exit::Exit,
    failure::Stop,
    output::Out,
};
use crate::server::token;

/// Prints both, each on a line of its own that says whose it is.
pub(in crate::cli) fn run(out: &mut Out, token: &Token) -> Result<Exit, Stop> {
    match token.command {
        TokenCommand::New => {
            let (token, digest) = token::new()?;
            out.line(format_args!("token:  {token}"))?;
            out.line(format_args!("digest: {digest}"))?;
        }
    }
    out.flush()?;
    Ok(Exit::Match)
}
