//! The n-grams of documents, and which of them a regex needs.

mod fold;
mod need;

pub use fold::fold;
pub use need::{GAP, Need, need};
