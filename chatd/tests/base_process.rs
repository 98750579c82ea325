//! The program itself: how it begins, refuses to begin, is asked for things, and ends.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::handshake::ServerKey;
use chat_protocol::invite::Invite;
use chat_server::config::Config;
use chat_server::serve::{self, Keys};
use chat_server::store::sqlite::SqliteStore;
use chatd::dirs::write_private;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A profile of its own; nothing of the environment reaches the program.
struct Home {
    outer: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { outer: tempfile::tempdir().unwrap() }
    }

    fn data(&self) -> PathBuf {
        self.outer.path().join("data")
    }

    fn config(&self) -> PathBuf {
        self.outer.path().join("config")
    }

    /// Writes the file of the profile `default`.
    fn configure(&self, text: &str) -> PathBuf {
        let path = self.config().join("chatd/default.toml");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_private(&path, text.as_bytes()).unwrap();
        path
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.outer.path().join(name);
        write_private(&path, text.as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatd"));
        command.env_clear().current_dir(self.outer.path()).env("XDG_CONFIG_HOME", self.config());
        command.arg("--data-dir").arg(self.data()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command that is to end by itself.
    fn ends(&self, args: &[&str]) -> (i32, String) {
        let Output { status, stderr, stdout } = self.command(args).output().unwrap();
        assert!(stdout.is_empty(), "standard output is for data");
        (status.code().unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// What a command that succeeds prints.
    fn prints(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts the daemon and waits until it says that it is ready.
    fn start(&self, args: &[&str]) -> Daemon {
        let mut child = self.command(args).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        while !told.contains("ready") {
            assert!(log.read_line(&mut told).unwrap() > 0, "it ended instead: {told}");
        }
        Daemon { child, log, socket: self.data().join("chat.sock") }
    }
}

struct Daemon {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    socket: PathBuf,
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
    fn call(&self, method: &str, params: &Value) -> Value {
        let mut socket = UnixStream::connect(&self.socket).unwrap();
        writeln!(socket, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})).unwrap();
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Every event there is and will be.
    fn listen(&self) -> Events {
        let mut socket = UnixStream::connect(&self.socket).unwrap();
        let params = json!({"from": "start"});
        writeln!(socket, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": params}))
            .unwrap();
        Events(BufReader::new(socket))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: exit code and what else it logged.
    fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (status.code(), log)
    }
}

struct Events(BufReader<UnixStream>);

impl Events {
    fn next(&mut self, kind: &str) -> Value {
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

#[test]
fn it_is_of_use_without_network_and_account_and_ends_when_told() {
    let home = Home::new();
    let daemon = home.start(&[]);
    let status = daemon.call("account.status", &json!({}));
    assert!(status["result"].is_object(), "{status}");
    let sent = daemon.call("msg.send", &json!({"to": "@bob", "text": "hi"}));
    assert_eq!(sent["error"]["data"]["kind"], "unauthenticated", "{sent}");

    // a closed terminal does not end it
    daemon.signal(Signal::HUP);
    assert!(daemon.call("daemon.info", &json!({}))["result"].is_object());
    let socket = daemon.socket.clone();
    daemon.signal(Signal::TERM);
    let (code, log) = daemon.ended();
    assert_eq!(code, Some(0), "{log}");
    assert!(!socket.exists());

    let daemon = home.start(&[]);
    assert!(daemon.call("daemon.shutdown", &json!({}))["error"].is_null());
    assert_eq!(daemon.ended().0, Some(0));
}

#[test]
fn a_second_daemon_exits_at_once_and_names_the_first() {
    let home = Home::new();
    let daemon = home.start(&[]);
    let (code, told) = home.ends(&[]);
    assert_eq!(code, 75);
    let holder = format!("another chatd (process {}) uses", daemon.child.id());
    assert!(told.contains(&holder), "{told}");
}

#[test]
fn atk_57_memory_goes_into_no_core_file() {
    let home = Home::new();
    let daemon = home.start(&[]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");

    daemon.signal(Signal::ABORT);
    assert_eq!(daemon.ended().0, None, "it should have died of the signal");
    for dir in [home.outer.path(), &home.data()] {
        for entry in fs::read_dir(dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.starts_with("core"), "{name} was written");
        }
    }
    // and whatever it was killed in the middle of, it starts again
    home.start(&[]);
}

#[test]
fn atk_63_an_open_data_directory_is_refused_with_its_chmod() {
    let home = Home::new();
    fs::create_dir(home.data()).unwrap();
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o755)).unwrap();
    let (code, told) = home.ends(&[]);
    assert_eq!(code, 73);
    assert!(told.contains(&format!("chmod 700 {}", home.data().display())), "{told}");
}

#[test]
fn a_passphrase_opens_the_store_and_can_be_changed_while_it_runs() {
    let home = Home::new();
    let (first, second) = (home.file("first", "correct horse\n"), home.file("second", "battery staple\n"));
    let daemon = home.start(&["--passphrase-file", &first]);
    let (code, told) = home.ends(&["change-key", "--passphrase-file", &first, "--new-passphrase-file", &second]);
    assert_eq!((code, told.as_str()), (0, ""));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().0, Some(0));

    let (code, told) = home.ends(&["--passphrase-file", &first]);
    assert_eq!(code, 77);
    assert!(told.contains("the passphrase does not open this store"), "{told}");
    let (code, told) = home.ends(&[]);
    assert_eq!(code, 77);
    assert!(told.contains("use --passphrase or --passphrase-file"), "{told}");
    home.start(&["--passphrase-file", &second]);
    for text in [told.as_str(), &fs::read_to_string(home.data().join("lock")).unwrap()] {
        assert!(!text.contains("battery"), "atk_62: {text}");
    }
}

#[test]
fn atk_58_a_damaged_store_is_named_and_left_alone() {
    let home = Home::new();
    let daemon = home.start(&[]);
    daemon.signal(Signal::TERM);
    daemon.ended();
    let path = home.data().join("store.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 0xff;
    bytes.truncate(5000);
    write_private(&path, &bytes).unwrap();
    let (code, told) = home.ends(&[]);
    assert_eq!(code, 65, "{told}");
    assert!(told.contains("damaged"), "{told}");
    assert!(fs::read(&path).unwrap() == bytes, "it was written to");
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    let home = Home::new();
    assert_eq!(home.ends(&["--no-such-option"]).0, 64);
    assert_eq!(home.ends(&["--profile", "a/b"]).0, 64);
    assert_eq!(home.ends(&["--log", "=,="]).0, 64);
}

#[test]
fn every_setting_is_shown_with_who_says_so() {
    let home = Home::new();
    let path = home.configure("log = \"warn\"\n[http]\norigins = [\"https://chat.example\"]\n");
    let shown = home.prints(&["config", "--effective", "--key-file", "/stick/key"]);
    let origin = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap();
        line.split("  ").filter(|part| !part.is_empty()).skip(1).map(|part| part.trim().to_owned()).collect::<Vec<_>>()
    };
    let file = format!("file {}", path.display());
    assert_eq!(origin("data_dir"), [home.data().to_str().unwrap(), "command line --data-dir"]);
    assert_eq!(origin("socket"), [home.data().join("chat.sock").to_str().unwrap(), "default"]);
    assert_eq!(origin("key_file"), ["/stick/key", "command line --key-file"]);
    assert_eq!(origin("log"), ["warn", &file]);
    assert_eq!(origin("http.listen"), ["-", "default"]);
    assert_eq!(origin("http.origins"), ["https://chat.example", &file]);

    let output = home.command(&["config", "--json"]).env("CHATD_LOG", "trace").output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let log = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|line| line["key"] == "log");
    let said = json!({"key": "log", "value": "trace", "origin": {"from": "environment", "name": "CHATD_LOG"}});
    assert_eq!(log, Some(said));
}

#[test]
fn the_printed_defaults_are_a_file_that_changes_nothing() {
    let home = Home::new();
    let before = home.prints(&["config"]);
    home.configure(&home.prints(&["config", "--defaults"]));
    assert_eq!(home.prints(&["config"]), before);
}

#[test]
fn a_wrong_file_keeps_the_daemon_from_starting_and_says_where() {
    let home = Home::new();
    let path = home.configure("\nlgo = \"debug\"\n");
    let (code, told) = home.ends(&[]);
    let words = format!("Error: {}, line 2: unknown key `lgo`; did you mean `log`?\n", path.display());
    assert_eq!((code, told), (78, words));

    home.configure("[http]\nlisten = \"0.0.0.0:8898\"\n");
    let (code, told) = home.ends(&[]);
    assert!(code == 78 && told.contains("`http.listen` (file ") && told.contains("in the clear"), "{told}");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    let (code, told) = home.ends(&[]);
    assert_eq!(code, 73);
    assert!(told.contains(&format!("fix it with `chmod go-w {}`", path.display())), "{told}");
}

/// The real server, on a thread of its own; the text of its invite.
fn server(dir: &Path) -> String {
    let (store, _) = SqliteStore::open(&dir.join("server.db")).unwrap();
    let mut config = Config::default();
    config.passwords.bcrypt_cost = 4;
    let key = ServerKey::from_bytes([1; 32]);
    let secret = FernetKey::from_bytes([2; 32]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let invite =
        Invite { host: "127.0.0.1".into(), port, server_key: key.public(), secret: secret.clone(), token: None };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let keys = Keys { server: key, next: None, secret };
            serve::run(config, std::sync::Arc::new(store), listener, keys, Default::default()).await
        })
    });
    invite.to_text().to_string()
}

#[test]
fn an_account_is_registered_through_the_socket_and_is_there_after_a_kill() {
    let home = Home::new();
    let invite = server(home.outer.path());
    let daemon = home.start(&["--log", "debug"]);
    let params = json!({"invite": invite, "user": "alice", "password": "correct horse"});
    let entered = daemon.call("account.register", &params);
    assert_eq!(entered["result"]["state"], "ready", "{entered}");
    let device = entered["result"]["device_id"].clone();

    daemon.signal(Signal::KILL);
    let (_, log) = daemon.ended();
    assert!(!log.contains("correct horse") && !log.contains(&invite), "atk_62: {log}");
    let daemon = home.start(&[]);
    let status = daemon.call("account.status", &json!({}));
    assert_eq!((&status["result"]["user"], &status["result"]["device_id"]), (&json!("alice"), &device), "{status}");
    let again = daemon.call("account.register", &params);
    assert_eq!(again["error"]["data"]["kind"], "already_exists", "{again}");
}

#[test]
fn what_alice_writes_to_bob_arrives_and_outlives_both_daemons() {
    let (alice, bob) = (Home::new(), Home::new());
    let invite = server(alice.outer.path());
    let [alice_daemon, bob_daemon] = [(&alice, "alice"), (&bob, "bob")].map(|(home, user)| {
        let daemon = home.start(&[]);
        let entered =
            daemon.call("account.register", &json!({"invite": invite, "user": user, "password": "correct horse"}));
        assert_eq!(entered["result"]["state"], "ready", "{entered}");
        daemon
    });
    let mut events = bob_daemon.listen();
    let sent = alice_daemon.call("msg.send", &json!({"to": "@bob", "text": "are you there?"}));
    assert!(sent["result"]["id"].is_string(), "{sent}");
    let arrived = events.next("message.new");
    assert!(arrived.to_string().contains("are you there?"), "{arrived}");

    drop((alice_daemon, bob_daemon));
    for home in [&alice, &bob] {
        let daemon = home.start(&[]);
        let other = if std::ptr::eq(home, &alice) { "@bob" } else { "@alice" };
        let listed = daemon.call("msg.list", &json!({"to": other}));
        assert!(listed.to_string().contains("are you there?"), "{listed}");
    }
}
