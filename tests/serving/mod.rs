//! The servers as clients see them: the real program, over real sockets and pipes.

mod abuse;
mod api;
mod client;
mod isolation;
mod load;
mod loaded;
mod mcp;
mod neighbours;
mod objects;
mod program;
mod schemas;
mod sessions;
mod stdio;
mod tenants;
