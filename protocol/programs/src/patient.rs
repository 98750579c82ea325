//! A writer that waits where the one behind it says "not now".
//!
//! Whoever shares a pipe or a terminal with a program may have made it non-blocking: a full one then answers
//! `EAGAIN`, which `write_all` takes for a failure after half of a line.

use std::io::{self, ErrorKind, Write};
use std::thread::sleep;
use std::time::Duration;

/// Between two tries. A reader that is slower than this is waited for anyway.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes as if the writer behind it could block.
#[derive(Debug)]
pub struct Patient<W>(pub W);

impl<W: Write> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        patiently(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        patiently(|| self.0.flush())
    }
}

fn patiently<T>(mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match act() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(PAUSE),
            done => return done,
        }
    }
}
