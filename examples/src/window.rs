//! The desktop client on a screen of its own, worked by keys and clicks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::process::Process;
use crate::{binaries, stage};

/// Bytes of an X window dump's header that are the same in every version.
const HEADER_BYTES: usize = 100;
/// Bytes of each entry in a dump's table of colours.
const COLOUR_BYTES: usize = 12;

/// An X server without a monitor: what it shows is in a file.
pub struct Screen {
    directory: TempDir,
    display: String,
    _process: Process,
}

impl Screen {
    /// Starts one under a number nobody uses.
    ///
    /// # Panics
    /// If Xvfb is not installed, or does not start.
    #[must_use]
    pub fn open() -> Self {
        let directory = stage::directory();
        let mut command = binaries::tool("Xvfb", directory.path());
        command.args(["-displayfd", "1", "-screen", "0", "1000x720x24", "-nolisten", "tcp", "-fbdir"]);
        command.arg(directory.path());
        let process = Process::start("Xvfb", command);
        let number = process.line("its display", |line| line.parse::<u32>().ok());
        Self { directory, display: format!(":{number}"), _process: process }
    }

    /// How many different colours are to be seen: a blank screen has one.
    ///
    /// # Panics
    /// If the screen's file is not an X window dump.
    #[must_use]
    pub fn colours(&self) -> usize {
        let dump = fs::read(self.file()).expect("Xvfb keeps the screen in a file");
        let field = |at: usize| {
            let bytes = dump[4 * at..4 * at + 4].try_into().expect("four bytes");
            usize::try_from(u32::from_be_bytes(bytes)).expect("a small number")
        };
        let (header, table) = (field(0), field(19));
        assert!(header >= HEADER_BYTES, "not a window dump");
        let pixels = &dump[header + COLOUR_BYTES * table..];
        pixels.chunks_exact(4).map(|pixel| &pixel[..3]).collect::<BTreeSet<_>>().len()
    }

    /// What `DISPLAY` has to be.
    #[must_use]
    pub fn display(&self) -> &str {
        &self.display
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("Xvfb_screen0")
    }
}

/// A window that somebody uses.
pub struct Window {
    process: Process,
    orders: u64,
}

impl Window {
    /// Opens the window of the daemon with this data directory; the daemon need not run.
    ///
    /// # Panics
    /// If no Python has tkinter, or the window does not open.
    #[must_use]
    pub fn open(screen: &Screen, data: &Path) -> Self {
        let mut command = binaries::python_with_tk(screen.directory.path());
        command.env("DISPLAY", &screen.display).env("SCREEN_FILE", screen.file()).env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(binaries::repository().join("examples/desktop/tests/driver.py")).arg(data);
        let process = Process::start("the window", command);
        process.line("that it is open", |line| (line == "ready").then_some(()));
        Self { process, orders: 0 }
    }

    /// Gives one of the driver's orders, waits until it was carried out, and returns what it found.
    ///
    /// # Panics
    /// If it cannot be carried out; says what was on the screen instead.
    pub fn does(&mut self, order: &str) -> String {
        self.orders += 1;
        self.process.tell(&format!("{} {order}", self.orders));
        let (ok, no) = (format!("{} ok ", self.orders), format!("{} no ", self.orders));
        let heard = |line: &str| {
            let refused = line.strip_prefix(&no).map(|why| Err(why.to_owned()));
            refused.or_else(|| line.strip_prefix(&ok).map(|found| Ok(found.to_owned())))
        };
        let answer = self.process.line(&format!("whether it did `{order}`"), heard);
        answer.unwrap_or_else(|why| panic!("`{order}`: {why}"))
    }

    /// Gives several orders, one after the other.
    pub fn all(&mut self, orders: &[&str]) {
        for order in orders {
            self.does(order);
        }
    }

    /// Writes a message and sends it.
    pub fn says(&mut self, text: &str) {
        self.all(&[&format!("type {text}"), "press Return"]);
    }

    /// Fills in a field.
    pub fn fills(&mut self, field: &str, text: &str) {
        self.all(&[&format!("into {field}"), &format!("paste {text}")]);
    }

    /// Closes it, and makes sure that nothing broke meanwhile.
    ///
    /// # Panics
    /// If something did.
    pub fn close(mut self) {
        self.does("quit");
        let outcome = self.process.finish();
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    }
}
