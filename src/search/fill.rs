//! Short reads change what ripgrep answers.
//!
//! grep-searcher looks for a NUL in each piece that one `read` returned, and searches what it has
//! as soon as that piece holds a line end. A file answers every read in full; a network does not,
//! and the same object would be binary or not depending on how its packets fell. [`Fill`] makes
//! any reader behave as a file: a read is short only at the end.

use std::io::{self, Read};

/// A reader whose every read fills the buffer unless the end is reached.
#[derive(Debug)]
pub struct Fill<R>(pub R);

impl<R: Read> Read for Fill<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.0.read(&mut buf[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What was read before the error is dropped: the object is not searched further,
                // and half a block would be searched as if it were the end.
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}
