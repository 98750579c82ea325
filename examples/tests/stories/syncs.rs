//! What is acknowledged was synced, once: counted in the system calls of the programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use chat_stories::{Process, Socket, Stage, binaries};
use serde_json::json;

const MESSAGES: usize = 50;
/// What a program may have to write by itself meanwhile: the time it has seen, say.
const OWN: usize = 2;

/// What a program syncs is noted here.
struct Trace(PathBuf);

impl Trace {
    /// Runs a program that it follows, with all its threads. It is no parent of the program, which would be left behind.
    fn start(&self, home: &Path, program: &Command) -> Process {
        let mut command = binaries::tool("strace", home);
        command.args(["-D", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o"]).arg(&self.0);
        command.arg(program.get_program()).args(program.get_args());
        Process::start("strace", command)
    }

    /// How often a write-ahead log was synced: the thread that writes it into the database syncs that too, beside commits.
    fn syncs_of_log(&self) -> usize {
        let calls = std::fs::read_to_string(&self.0).expect("what strace noted");
        calls.lines().filter(|line| line.contains("sync(") && line.contains("-wal>")).count()
    }

    /// Asserts that as many syncs as messages come, and no more of them than a program's own.
    fn assert_once_each(&self, who: &str, send: impl FnMut(usize)) {
        let before = self.syncs_of_log();
        (0..MESSAGES).for_each(send);
        let syncs = self.syncs_of_log() - before;
        assert!((MESSAGES..=MESSAGES + OWN).contains(&syncs), "{syncs} syncs at {who} for {MESSAGES} messages");
    }
}

#[test]
fn messages_one_after_another_are_synced_once_each_by_the_server_and_by_the_daemon_they_wait_in() {
    let mut stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let hello = alice.send("@bob", "hello");
    alice.sees(&hello, "delivered");
    // nobody fetches or acknowledges anything
    bob.stop();
    stage.server.stop();
    alice.turns("offline");

    let (room, trace) = (stage.room("server"), Trace(stage.room("trace").join("server")));
    let server = trace.start(&room, &stage.server.command(&["run", "--listen", stage.server.address()]));
    alice.turns("online");
    trace.assert_once_each("the server", |n| {
        let sent = alice.send("@bob", &format!("text {n}"));
        alice.sees(&sent, "accepted");
    });
    let _ = server.stop();
    alice.stop();

    let (room, trace) = (stage.room("alice"), Trace(stage.room("trace").join("alice")));
    let daemon = trace.start(&room, &alice.chatd());
    daemon.line("that it is ready", |line| line.contains("ready").then_some(()));
    let mut socket = Socket::connect(&alice.data().join("chat.sock"));
    trace.assert_once_each("the sender", |n| {
        socket.call("msg.send", json!({"to": "@bob", "text": format!("later {n}")})).expect("it is queued");
    });
    let _ = daemon.stop();
}
