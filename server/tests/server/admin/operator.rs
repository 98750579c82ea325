//! An administrator's operator: a directory with a server's data, and the program at hand.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

pub struct Operator {
    pub root: TempDir,
}

pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Operator {
    pub fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub fn set_up() -> Self {
        let operator = Self::new();
        assert_eq!(operator.run(&["init", "--public", "chat.example.org:8897"]).code, 0);
        operator
    }

    pub fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
        command.env_clear().env("HOME", self.root.path()).current_dir(self.root.path());
        command.args(words).arg("--data").arg(self.data());
        command
    }

    pub fn run(&self, words: &[&str]) -> Outcome {
        self.finish(self.command(words), "")
    }

    pub fn finish(&self, command: Command, input: &str) -> Outcome {
        let output = assert_cmd::Command::from_std(command).write_stdin(input).output().unwrap();
        let text =
            |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(self.root.path().to_str().unwrap(), "ROOT");
        Outcome { code: output.status.code().unwrap(), out: text(output.stdout), err: talk(&text(output.stderr)) }
    }

    pub fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.data().join("chat.db")).unwrap()
    }

    pub fn adopt(&self, names: &[&str]) {
        assert_eq!(self.run(&["migrate"]).code, 0);
        for name in names {
            let sql = "INSERT INTO chat_app (username, password) VALUES (?1, 'x')";
            self.sqlite().execute(sql, [name]).unwrap();
        }
    }
}

/// Standard error without the log, whose lines begin with a date.
pub fn talk(err: &str) -> String {
    err.lines().filter(|line| !line.starts_with("20")).map(|line| format!("{line}\n")).collect()
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A running server, the first line it printed, and where the next ones come from; ended with its owner.
pub struct Running(pub Child, pub String, BufReader<ChildStdout>);

impl Running {
    pub fn start(command: Command) -> Self {
        Self::start_logging(command, Stdio::null())
    }

    /// The same, with its log going there.
    pub fn start_logging(mut command: Command, log: Stdio) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self(child, String::new(), out);
        running.1 = running.line();
        running
    }

    /// The next line it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.2.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Sends it a signal, by its name.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status().unwrap().success());
    }

    /// Asks it to end; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}
