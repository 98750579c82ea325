//! How far long work is: one line that is written over, on a terminal only.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two words about it.
const PAUSE: Duration = Duration::from_millis(100);

/// The line.
pub(super) struct Progress {
    shown: bool,
    next: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { shown: io::stderr().is_terminal(), next: Instant::now() + PAUSE }
    }

    /// Says that so many rows of a table are done.
    pub(super) fn rows(&mut self, table: &str, rows: u64) {
        if self.shown && Instant::now() >= self.next {
            self.next = Instant::now() + PAUSE;
            // erase to the end of the line: the words before may have been longer
            let _ = write!(io::stderr().lock(), "\r{table}: {rows} rows\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}
