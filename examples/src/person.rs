//! Somebody with a daemon and a command line.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::{Outcome, Process};
use crate::socket::{Refused, Socket};
use crate::{DEADLINE, binaries};

/// Between two looks for the socket of a daemon that cannot say that it is ready.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A person: name, password, data directory, and a daemon that may run.
pub struct Person {
    name: String,
    home: PathBuf,
    /// What the person types where a password is asked.
    pub password: String,
    /// Where it stands by how much the daemon's clock is wrong, if it ever was.
    clock: Option<PathBuf>,
    daemon: Option<Process>,
    socket: Option<Socket>,
    events: Vec<Value>,
}

impl Person {
    /// Somebody whose daemon does not run and who has no account.
    #[must_use]
    pub fn new(name: &str, home: &Path) -> Self {
        let password = format!("{name} likes long passwords");
        let (name, home) = (name.to_owned(), home.to_owned());
        Self { name, home, password, clock: None, daemon: None, socket: None, events: Vec::new() }
    }

    /// Name of the account.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name as a target.
    #[must_use]
    pub fn at(&self) -> String {
        format!("@{}", self.name)
    }

    /// The daemon's data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Process id of the daemon.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.daemon.as_ref().expect("running").id()
    }

    /// Everything the daemon wrote to its log since it was started.
    #[must_use]
    pub fn said(&self) -> String {
        self.daemon.as_ref().map(Process::said).unwrap_or_default()
    }

    /// Waits for a line of the daemon's log, since it was started.
    ///
    /// # Panics
    /// If the daemon does not run, or never says it.
    pub fn says(&self, what: &str, is_it: impl Fn(&str) -> bool) {
        self.daemon.as_ref().expect("running").line(what, |line| is_it(line).then_some(()));
    }

    /// A command that starts this person's daemon.
    #[must_use]
    pub fn chatd(&self) -> Command {
        let mut command = binaries::program("chatd", &self.home);
        command.arg("--data-dir").arg(self.data());
        if let Some(offset) = &self.clock {
            binaries::shift_clock(&mut command, offset);
        }
        command
    }

    /// Sets the daemon's clock wrong by `offset`, as `+10y` or `-61s`: of one that runs at once if it was started with a
    /// clock that is set, of others from their next start on.
    ///
    /// # Panics
    /// If that cannot be written down.
    pub fn set_clock(&mut self, offset: &str) {
        self.clock = Some(binaries::set_clock(&self.home, offset));
    }

    /// A command line of this person.
    #[must_use]
    pub fn chatctl(&self, words: &[&str]) -> Command {
        let mut command = binaries::program("chatctl", &self.home);
        command.env("CHATD_DATA_DIR", self.data()).args(words);
        command
    }

    /// Starts the daemon, waits until it is ready, and follows its events where we stopped reading them.
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// The same, with more words on the daemon's command line.
    pub fn start_with(&mut self, words: &[&str]) {
        let mut chatd = self.chatd();
        chatd.args(words);
        let daemon = Process::start(&format!("chatd of {}", self.name), chatd);
        daemon.line("that it is ready", |line| line.contains("ready").then_some(()));
        self.follow(daemon);
    }

    /// Starts the daemon with its log going there.
    ///
    /// # Panics
    /// If it does not serve.
    pub fn start_logging(&mut self, log: Stdio) {
        let daemon = Process::start_logging(&format!("chatd of {}", self.name), self.chatd(), log);
        let until = Instant::now() + DEADLINE;
        while UnixStream::connect(self.data().join("chat.sock")).is_err() {
            assert!(Instant::now() < until, "{} never served", self.name);
            std::thread::sleep(LOOK_AGAIN);
        }
        self.follow(daemon);
    }

    fn follow(&mut self, daemon: Process) {
        self.daemon = Some(daemon);
        let mut socket = Socket::connect(&self.data().join("chat.sock"));
        let from = self.events.last().map_or_else(|| json!("start"), |event| event["seq"].clone());
        socket.call("events.subscribe", json!({"from": from})).expect("anyone may subscribe");
        self.socket = Some(socket);
    }

    /// Ends the daemon without warning.
    pub fn kill(&mut self) {
        self.socket = None;
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    /// Asks the daemon to end and waits for that.
    ///
    /// # Panics
    /// If it does not end well.
    pub fn stop(&mut self) {
        self.socket = None;
        if let Some(daemon) = self.daemon.take() {
            let outcome = daemon.stop();
            assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        }
    }

    /// Has the daemon sleep, or wakes it.
    ///
    /// # Panics
    /// If it does not run.
    pub fn freeze(&self, frozen: bool) {
        let daemon = self.daemon.as_ref().expect("running");
        daemon.signal(if frozen { Signal::STOP } else { Signal::CONT });
    }

    /// Runs the command line to its end.
    #[must_use]
    pub fn ctl(&self, words: &[&str]) -> Outcome {
        self.ctl_with(words, "")
    }

    /// The same, with standard input.
    #[must_use]
    pub fn ctl_with(&self, words: &[&str], input: &str) -> Outcome {
        Process::run(&format!("chatctl {}", words.join(" ")), self.chatctl(words), input)
    }

    /// Registers, logs in or resets through the command line, with invite and password on its standard input.
    #[must_use]
    pub fn enter(&self, verb: &str, invite: &str) -> Outcome {
        let mut words = vec![verb, &self.name, "--invite-stdin", "--password-stdin"];
        if verb == "reset" {
            words.extend(["--confirm", &self.name]);
        }
        self.ctl_with(&words, &format!("{invite}\n{}\n", self.password))
    }

    /// Calls a method of the daemon.
    ///
    /// # Errors
    /// What the daemon refused.
    ///
    /// # Panics
    /// If the daemon does not run.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, Refused> {
        self.socket.as_mut().expect("the daemon runs").call(method, params)
    }

    /// Calls one method many times without waiting in between; see [`Socket::pipeline`].
    ///
    /// # Panics
    /// If the daemon does not run.
    pub fn pipeline(&mut self, method: &str, params: Vec<Value>) -> Vec<Result<Value, Refused>> {
        self.socket.as_mut().expect("the daemon runs").pipeline(method, params)
    }

    /// Sends a text and returns the id of the message.
    ///
    /// # Panics
    /// If the daemon refuses.
    pub fn send(&mut self, to: &str, text: &str) -> String {
        let sent = self.call("msg.send", json!({"to": to, "text": text})).expect("sending is accepted");
        sent["id"].as_str().expect("an id").to_owned()
    }

    /// Waits for the first event, since the beginning of the story, that `found` recognises.
    pub fn event(&mut self, awaited: &str, found: impl Fn(&Value) -> bool) -> Value {
        self.later(awaited, 0, found)
    }

    /// Waits for an event that `found` recognises among those read after the first `known`.
    pub fn later(&mut self, awaited: &str, known: usize, found: impl Fn(&Value) -> bool) -> Value {
        if let Some(event) = self.events.iter().skip(known).find(|event| found(event)) {
            return event.clone();
        }
        let until = Instant::now() + DEADLINE;
        loop {
            let event = self.next_event(awaited, until);
            if found(&event) {
                return event;
            }
        }
    }

    fn next_event(&mut self, awaited: &str, until: Instant) -> Value {
        let awaited = format!("{}: {awaited}", self.name);
        let event = self.socket.as_mut().expect("the daemon runs").event(&awaited, until);
        if event.get("seq").is_some() {
            self.events.push(event.clone());
        }
        event
    }

    /// Waits until the text arrived in the chat, from whom it says.
    pub fn hears(&mut self, chat: &str, from: &str, text: &str) -> Value {
        let is_it = |event: &Value| {
            let data = &event["data"];
            event["type"] == "message.new" && event["chat"] == chat && data["from"] == from && data["text"] == text
        };
        self.event(&format!("`{text}` from {from} in {chat}"), is_it)["data"].clone()
    }

    /// Waits until a message this person sent got so far (or, for `accepted`, further).
    pub fn sees(&mut self, id: &str, state: &str) {
        let is_it = |event: &Value| {
            event["type"] == "message.status" && event["data"]["id"] == id && event["data"]["state"] == state
        };
        self.event(&format!("message {id} {state}"), is_it);
    }

    /// Waits until the daemon is connected and logged in, by asking it.
    pub fn online(&mut self) {
        self.event("to be online", |event| event["type"] == "connection" && event["data"]["state"] == "online");
    }

    /// Waits for this state of the connection, from now on.
    pub fn turns(&mut self, state: &str) {
        if self.call("daemon.health", json!({})).expect("health")["connection"]["state"] == state {
            return;
        }
        let is_it = |event: &Value| event["type"] == "connection" && event["data"]["state"] == state;
        let until = Instant::now() + DEADLINE;
        while !is_it(&self.next_event(&format!("the connection to be {state}"), until)) {}
    }

    /// The texts of a chat, in its order, each with its author: `alice: hi`.
    ///
    /// # Panics
    /// If the daemon refuses.
    pub fn history(&mut self, chat: &str) -> Vec<String> {
        let page = self.call("msg.list", json!({"to": chat, "limit": 500})).expect("history");
        let messages = page["messages"].as_array().expect("a list").clone();
        let ids: BTreeSet<_> = messages.iter().map(|message| message["id"].to_string()).collect();
        assert_eq!(ids.len(), messages.len(), "a message is there twice");
        messages.iter().map(|message| format!("{}: {}", text(&message["from"]), text(&message["text"]))).collect()
    }

    /// Every durable event read so far.
    #[must_use]
    pub fn events(&self) -> &[Value] {
        &self.events
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
