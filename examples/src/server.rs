//! A chat server in a directory of its own, on a port the system chose.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::binaries;
use crate::process::{Outcome, Process};

/// Settings that make tests quick; none of them is what a test is about.
const QUICK: [&str; 5] = [
    "passwords.bcrypt_cost=4",
    "passwords.at_once=2",
    "passwords.per_source=16",
    "connections.presence_seconds=0",
    "rates.failed_logins=1000",
];

/// A server, running or not.
pub struct Server {
    home: PathBuf,
    settings: Vec<String>,
    database: Option<String>,
    address: Option<String>,
    /// Where it stands by how much the clock is wrong, if it is.
    clock: Option<PathBuf>,
    process: Option<Process>,
}

impl Server {
    /// Prepares a server in `home`; it does not run yet.
    #[must_use]
    pub fn init(home: &Path) -> Self {
        let server = Self::found(home, None);
        let _ = server.admin(&["init"]).success();
        server
    }

    /// A server that is set up in `home` already, and listens there once it is started.
    #[must_use]
    pub fn found(home: &Path, address: Option<&str>) -> Self {
        let (home, settings) = (home.to_owned(), QUICK.map(str::to_owned).to_vec());
        Self { home, settings, database: None, address: address.map(str::to_owned), clock: None, process: None }
    }

    /// Sets its clock wrong by `offset` from the next start on; see [`binaries::set_clock`].
    pub fn set_clock(&mut self, offset: &str) {
        self.clock = Some(binaries::set_clock(&self.home, offset));
    }

    /// Uses this database from the next start on.
    pub fn use_database(&mut self, url: &str) {
        self.database = Some(url.to_owned());
    }

    /// Sets `key=value` from the next start on.
    pub fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// Starts it and waits until it listens: on a free port at first, later on the same one again.
    ///
    /// # Panics
    /// If it does not.
    pub fn start(&mut self) {
        let command = self.run();
        self.listens(Process::start("chat-server", command));
    }

    /// The same, with its log going there.
    ///
    /// # Panics
    /// If it does not listen.
    pub fn start_logging(&mut self, log: Stdio) {
        let command = self.run();
        self.listens(Process::start_logging("chat-server", command, log));
    }

    fn run(&self) -> Command {
        self.command(&["run", "--listen", self.address.as_deref().unwrap_or("127.0.0.1:0")])
    }

    fn listens(&mut self, process: Process) {
        let address = process.line("where it listens", |line| line.strip_prefix("listening on ").map(str::to_owned));
        self.address = Some(address);
        self.process = Some(process);
    }

    /// Where it listens.
    ///
    /// # Panics
    /// If it never ran.
    #[must_use]
    pub fn address(&self) -> &str {
        self.address.as_deref().expect("started")
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks it to end and waits for that.
    ///
    /// # Panics
    /// If it does not end well.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            let outcome = process.stop();
            assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        }
    }

    /// Everything it wrote to its log since it was started.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.as_ref().map(Process::said).unwrap_or_default()
    }

    /// Has it read its settings again.
    ///
    /// # Panics
    /// If it does not run.
    pub fn reload(&self) {
        self.process.as_ref().expect("running").signal(Signal::HUP);
    }

    /// Process id.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("running").id()
    }

    /// An invite, with the port that was chosen.
    ///
    /// # Panics
    /// If the server refuses.
    #[must_use]
    pub fn invite(&self) -> String {
        let printed = self.admin(&["invite", "--public", self.address()]).success();
        printed.trim().to_owned()
    }

    /// Runs one of its administration commands.
    #[must_use]
    pub fn admin(&self, words: &[&str]) -> Outcome {
        self.admin_with(words, "")
    }

    /// The same, with standard input.
    #[must_use]
    pub fn admin_with(&self, words: &[&str], input: &str) -> Outcome {
        Process::run(&words.join(" "), self.command(words), input)
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// A command of its program, with its settings.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = binaries::program("chat-server", &self.home);
        command.args(words).arg("--data").arg(self.data());
        for setting in &self.settings {
            command.arg("--set").arg(setting);
        }
        if let Some(url) = &self.database {
            command.arg("--database").arg(url);
        }
        if let Some(offset) = &self.clock {
            binaries::shift_clock(&mut command, offset);
        }
        command
    }
}
