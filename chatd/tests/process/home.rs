//! The program in a home of its own: started, asked, signalled, and heard to its end.
#![allow(dead_code, unreachable_pub, reason = "each test file needs a part")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use chatd::dirs::write_private;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A profile of its own; nothing of the environment reaches the program.
pub struct Home {
    pub outer: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self { outer: tempfile::tempdir().unwrap() }
    }

    pub fn data(&self) -> PathBuf {
        self.outer.path().join("data")
    }

    pub fn config(&self) -> PathBuf {
        self.outer.path().join("config")
    }

    /// Writes the file of the profile `default`.
    pub fn configure(&self, text: &str) -> PathBuf {
        let path = self.config().join("chatd/default.toml");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_private(&path, text.as_bytes()).unwrap();
        path
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.outer.path().join(name);
        write_private(&path, text.as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatd"));
        command.env_clear().current_dir(self.outer.path()).env("XDG_CONFIG_HOME", self.config());
        command.arg("--data-dir").arg(self.data()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command that is to end by itself.
    pub fn ends(&self, args: &[&str]) -> (i32, String) {
        let Output { status, stderr, stdout } = self.command(args).output().unwrap();
        assert!(stdout.is_empty(), "standard output is for data");
        (status.code().unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// What a command that succeeds prints.
    pub fn prints(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts the daemon and waits until it says that it is ready.
    pub fn start(&self, args: &[&str]) -> Daemon {
        self.start_with(args, |_| {})
    }

    /// The same, with more said to the command.
    pub fn start_with(&self, args: &[&str], more: impl FnOnce(&mut Command)) -> Daemon {
        let mut command = self.command(args);
        more(&mut command);
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        while !told.contains("ready") {
            assert!(log.read_line(&mut told).unwrap() > 0, "it ended instead: {told}");
        }
        Daemon { child, log, said: told, socket: self.data().join("chat.sock") }
    }
}

pub struct Daemon {
    pub child: Child,
    pub log: BufReader<std::process::ChildStderr>,
    /// What it logged until it was ready.
    pub said: String,
    pub socket: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut log = String::new();
        if std::thread::panicking() && self.log.read_to_string(&mut log).is_ok() {
            let _ = writeln!(std::io::stderr().lock(), "the daemon logged:\n{log}");
        }
    }
}

impl Daemon {
    pub fn call(&self, method: &str, params: &Value) -> Value {
        let mut socket = UnixStream::connect(&self.socket).unwrap();
        writeln!(socket, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})).unwrap();
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Every event there is and will be.
    pub fn listen(&self) -> Events {
        let mut socket = UnixStream::connect(&self.socket).unwrap();
        let params = json!({"from": "start"});
        writeln!(socket, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": params}))
            .unwrap();
        Events(BufReader::new(socket))
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Reads the log until it says `words`: the line that does.
    pub fn logs(&mut self, words: &str) -> String {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "it ended and never said {words}");
        }
        line
    }

    /// Waits for its end: exit code and what else it logged.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (status.code(), log)
    }
}

pub struct Events(BufReader<UnixStream>);

impl Events {
    pub fn next(&mut self, kind: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the events ended");
            let event: Value = serde_json::from_str(&line).unwrap();
            assert!(event["error"].is_null(), "{event}");
            if event["params"]["type"] == kind || event["params"]["result"]["type"] == kind {
                return event;
            }
        }
    }
}
