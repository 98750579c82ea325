//! Both daemons as a service manager knows them: told when they are ready, watched, handed their socket.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use chat_stories::{DEADLINE, Process, Socket, Stage, binaries};
use serde_json::json;

/// What a service manager hears.
struct Manager {
    socket: UnixDatagram,
    path: std::path::PathBuf,
}

impl Manager {
    fn new(stage: &Stage) -> Self {
        let path = stage.room("manager").join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        Self { socket, path }
    }

    /// A command whose process reports here, and is watched.
    fn watched(&self, mut command: Command) -> Command {
        command.env("NOTIFY_SOCKET", &self.path).env("WATCHDOG_USEC", "200000");
        command
    }

    fn hears(&self, wanted: &str) {
        let until = Instant::now() + DEADLINE;
        let mut said = [0; 4096];
        while Instant::now() < until {
            let Ok(length) = self.socket.recv(&mut said) else { continue };
            if String::from_utf8_lossy(&said[..length]).lines().any(|line| line == wanted) {
                return;
            }
        }
        panic!("{wanted} was never said");
    }
}

#[test]
fn chatd_tells_that_it_is_ready_alive_and_ending() {
    let stage = Stage::dark();
    let manager = Manager::new(&stage);
    let daemon = Process::start("chatd", manager.watched(stage.stranger("alice").chatd()));
    manager.hears("READY=1");
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    assert_eq!(daemon.stop().code, Some(0));
    manager.hears("STOPPING=1");
}

#[test]
fn the_server_tells_that_it_is_ready_alive_and_ending() {
    let stage = Stage::dark();
    let manager = Manager::new(&stage);
    let server =
        Process::start("chat-server", manager.watched(stage.server.command(&["run", "--listen", "127.0.0.1:0"])));
    manager.hears("READY=1");
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    assert_eq!(server.stop().code, Some(0));
    manager.hears("STOPPING=1");
}

#[test]
fn the_server_rereads_its_settings_when_asked_and_keeps_them_when_they_are_wrong() {
    let stage = Stage::dark();
    let manager = Manager::new(&stage);
    let settings = stage.server.data().join("server.toml");
    let server =
        Process::start("chat-server", manager.watched(stage.server.command(&["run", "--listen", "127.0.0.1:0"])));
    manager.hears("READY=1");
    let reload = |text: &str, wanted: &str| {
        std::fs::write(&settings, text).unwrap();
        server.signal(rustix::process::Signal::HUP);
        let line = server.line(wanted, |line| line.contains(wanted).then(|| line.to_owned()));
        manager.hears("RELOADING=1");
        manager.hears("READY=1");
        line
    };
    let changed = reload("registration = \"invite\"\n[mailbox]\nqueue = 9\n", "the settings were read again");
    assert!(changed.contains("changed=\"registration\""), "{changed}");
    server.line("what stays", |line| line.contains("kept=\"mailbox.queue\"").then_some(()));
    let wrong = reload("registration = \"nobody\"\n", "nothing is changed: ");
    assert!(wrong.contains("server.toml, line 1: `registration` takes `open` or `invite`"), "{wrong}");
    assert_eq!(server.stop().code, Some(0));
}

/// What Prometheus' own parser makes of a text: how many metrics, and a few values.
const PARSE: &str = r"
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.argv[1]))
assert all(family.documentation and family.type in ('counter', 'gauge', 'histogram') for family in families), families
values = {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}
print(json.dumps({'families': len(families), **values}))
";

#[test]
fn the_metrics_of_chatd_are_what_prometheus_reads() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let sent = alice.call("msg.send", json!({"to": "@bob", "text": "count me"})).unwrap();
    let wanted = json!({"id": sent["id"], "state": "delivered", "timeout_ms": 20_000});
    alice.call("msg.wait", wanted).unwrap();
    let read = |person: &mut chat_stories::Person| {
        let text = person.call("daemon.metrics", json!({})).unwrap()["text"].as_str().unwrap().to_owned();
        let mut python = binaries::python(&stage.room("tools"));
        python.args(["-c", PARSE, &text]);
        let values: serde_json::Value = serde_json::from_str(&Process::run("parser", python, "").success()).unwrap();
        assert_eq!(values["families"], text.lines().filter(|line| line.starts_with("# TYPE ")).count());
        assert!(!text.contains("alice") && !text.contains("bob"), "{text}");
        values
    };
    let (here, there) = (read(&mut alice), read(&mut bob));
    let value = |values: &serde_json::Value, name: &str| values[name].as_f64().unwrap_or_else(|| panic!("{values}"));
    assert!(value(&here, "chatd_messages_sent_total") == 1.0 && value(&here, "chatd_messages_received_total") == 0.0);
    assert!(value(&there, "chatd_messages_sent_total") == 0.0 && value(&there, "chatd_messages_received_total") == 1.0);
    for values in [&here, &there] {
        assert!(value(values, "chatd_ready") == 1.0 && value(values, "chatd_connects_total") == 1.0, "{values}");
        assert!(value(values, "chatd_newest_seq") > 0.0 && value(values, "chatd_rtt_seconds") >= 0.0, "{values}");
        assert!(value(values, "chatd_commit_duration_seconds_count") > 0.0, "{values}");
    }
}

/// Listens, as a socket unit does, and becomes the daemon: the process id stays, the socket is descriptor 3.
const HANDOVER: &str = r"
import os, socket, sys
path, program, *arguments = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(path)
listener.listen()
if listener.fileno() == 3:
    os.set_inheritable(3, True)
else:
    os.dup2(listener.fileno(), 3)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))
os.execv(program, [program, *arguments])
";

#[test]
fn chatd_serves_the_socket_it_is_handed_and_leaves_it_there() {
    let stage = Stage::dark();
    let alice = stage.stranger("alice");
    let path = stage.room("handed").join("chat.sock");
    let mut command = Command::new("python3");
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("HOME", stage.room("alice"));
    command.args(["-c", HANDOVER]).arg(&path).arg(binaries::directory().join("chatd"));
    command.arg("--data-dir").arg(alice.data()).arg("--socket").arg(&path);
    let daemon = Process::start("chatd by socket unit", command);
    daemon.line("that it is ready", |line| line.contains("ready").then_some(()));
    let mut socket = Socket::connect(&path);
    let info = socket.call("daemon.info", json!({})).unwrap();
    assert_eq!(info["pid"], daemon.id());
    assert_eq!(daemon.stop().code, Some(0));
    assert!(path.exists(), "the socket is the service manager's");
}

/// What `make install` does with programs that are there already.
#[test]
fn an_installation_is_whole_and_goes_without_a_trace() {
    let stage = Stage::dark();
    let (built, root) = (stage.room("built"), stage.room("root"));
    for program in ["chat-server", "chatd", "chatctl"] {
        std::fs::create_dir_all(built.join("release")).unwrap();
        std::fs::copy(binaries::directory().join(program), built.join("release").join(program)).unwrap();
    }
    let make = |target: &str| {
        let mut command = Command::new("make");
        command.env("CARGO_TARGET_DIR", &built).arg("-C").arg(binaries::repository()).arg(target);
        command.arg("PREFIX=/usr").arg(format!("DESTDIR={}", root.display()));
        Process::run(target, command, "").success()
    };
    make("install");
    let unit = std::fs::read_to_string(root.join("usr/lib/systemd/user/chatd.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/chatd\n"), "{unit}");
    for file in [
        "lib/systemd/system/chat-server.service",
        "share/man/man1/chatctl.1",
        "share/man/man1/chat-server.1",
        "share/man/man1/chat-server-user-passwd.1",
        "share/man/man1/chatd-change-key.1",
        "share/zsh/site-functions/_chatctl",
        "share/bash-completion/completions/chat-server",
    ] {
        assert!(std::fs::metadata(root.join("usr").join(file)).unwrap().len() > 200, "{file}");
    }
    make("uninstall");
    let mut left = vec![root];
    while let Some(path) = left.pop() {
        assert!(path.is_dir(), "{} stayed", path.display());
        left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
    }
}
