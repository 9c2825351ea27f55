//! The streams that a command writes to, and what it means when they cannot be written to.

use std::io::{self, Write};

/// A stream whose reader may go when it has seen enough (`tremplin check … | head`): the rest falls away, and the command
/// ends as it would have, with the same exit code.
pub struct Stream<'a> {
    to: &'a mut dyn Write,
    name: &'static str,
}

impl<'a> Stream<'a> {
    /// `name` stands in the message when it cannot be written to, say on a full disk.
    pub fn new(name: &'static str, to: &'a mut dyn Write) -> Self {
        Self { to, name }
    }

    fn settle<T>(&self, result: io::Result<T>, without_reader: T) -> io::Result<T> {
        result.or_else(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Ok(without_reader),
            // Interrupted: the caller tries again.
            io::ErrorKind::Interrupted => Err(error),
            kind => Err(io::Error::new(kind, format!("failed to write {}: {error}", self.name))),
        })
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes);
        self.settle(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.to.flush();
        self.settle(flushed, ())
    }
}
