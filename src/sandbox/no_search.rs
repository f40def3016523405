//! `search` in a build that reads no index.

use super::{Answer, SearchArgs, SearchResult, VirtualSandbox};
use crate::error::{Error, Kind, Result};

impl VirtualSandbox {
    /// The sections that answer a question, best first.
    ///
    /// # Errors
    /// [`Kind::NoIndex`]: this build reads no index, and nothing else ranks.
    #[expect(clippy::unused_async, reason = "the build with an index waits here")]
    pub async fn search(&self, _: SearchArgs) -> Result<Answer<SearchResult>> {
        Err(Error::new(Kind::NoIndex, "there is no index to search").hint("use grep"))
    }
}
