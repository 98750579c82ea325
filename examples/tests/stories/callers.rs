//! Every way into chatd, as other people's programs take it: `nc`, `curl`, a WebSocket library, pipes, server-sent events.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use chat_stories::{Outcome, Person, Process, Stage, binaries};
use serde_json::{Value, json};

/// Hello, a message to oneself, and everything in the log, a line each.
fn lines(text: &str) -> String {
    let calls = [
        ("hello", json!({"api": "1", "client": "story/1"})),
        ("msg.send", json!({"to": "self", "text": text})),
        ("events.subscribe", json!({"from": "start", "types": ["message.new"]})),
    ];
    let line = |(id, (method, params)): (usize, &(&str, Value))| {
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string() + "\n"
    };
    calls.iter().enumerate().map(line).collect()
}

/// Whether all three calls were answered, and the message came back as an event.
fn check(said: &str, text: &str) {
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let result = |id: u64| &lines.iter().find(|line| line["id"] == id).unwrap_or_else(|| panic!("{said}"))["result"];
    assert_eq!(result(0)["api"], "1", "{said}");
    assert_eq!(result(1)["chat"], "self", "{said}");
    assert!(result(2)["subscription"].is_string(), "{said}");
    assert!(lines.iter().any(|line| line["params"]["data"]["text"] == text), "{said}");
}

/// A program of the system, in nobody's environment.
fn system(name: &str, stage: &Stage) -> Command {
    let mut command = Command::new(name);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).current_dir(stage.room("tools"));
    command
}

/// Somebody whose daemon offers the port too, which port, and a token.
fn with_port(stage: &Stage, scopes: &[&str]) -> (Person, String, String) {
    let mut person = stage.stranger("alice");
    person.start_with(&["--http-listen", "127.0.0.1:0"]);
    let _ = person.enter("register", &stage.server.invite()).success();
    let said = person.said();
    let port = said.split("address=127.0.0.1:").nth(1).unwrap_or_else(|| panic!("no port in: {said}"));
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let made = person.call("token.create", json!({"name": "story", "scopes": scopes})).unwrap();
    (person, port, made["token"].as_str().unwrap().to_owned())
}

fn library(stage: &Stage, words: &[&str]) -> Value {
    let mut command = binaries::python(&stage.room("tools"));
    command.arg(binaries::repository().join("examples/tests/callers.py")).args(words);
    let said = Process::run("callers.py", command, "").success();
    serde_json::from_str(&said).expect("one object")
}

#[test]
fn netcat_says_hello_sends_and_subscribes() {
    let stage = Stage::open();
    let alice = stage.member("alice");
    let mut nc = system("nc", &stage);
    nc.arg("-N").arg("-U").arg(alice.data().join("chat.sock"));
    let said = Process::run("nc", nc, &lines("over netcat")).success();
    check(&said, "over netcat");
}

#[test]
fn curl_says_hello_sends_and_subscribes_on_the_socket() {
    let stage = Stage::open();
    let alice = stage.member("alice");
    let curl = |words: &[&str]| {
        let mut curl = system("curl", &stage);
        curl.args(["--silent", "--show-error", "--no-buffer", "--unix-socket"]).arg(alice.data().join("chat.sock"));
        curl.args(words);
        curl
    };
    let batch = format!("[{}]", lines("over curl").lines().take(2).collect::<Vec<_>>().join(","));
    let words = ["--header", "Content-Type: application/json", "--data", &batch, "http://chatd/rpc"];
    let answers: Value = serde_json::from_str(&Process::run("curl", curl(&words), "").success()).unwrap();
    assert_eq!((&answers[0]["result"]["api"], &answers[1]["result"]["chat"]), (&json!("1"), &json!("self")));
    let events = Process::start("curl", curl(&["http://chatd/events?from=start&types=message.new"]));
    events.line("the event", |line| (line.starts_with("data: ") && line.contains("over curl")).then_some(()));
    events.line("its id", |line| line.strip_prefix("id: ")?.parse::<u64>().ok());
    events.kill();
}

#[test]
fn a_websocket_library_says_hello_sends_and_subscribes() {
    let stage = Stage::open();
    let (alice, port, token) = with_port(&stage, &["read:events", "send"]);
    let socket = alice.data().join("chat.sock");
    for words in [vec!["websocket", socket.to_str().unwrap()], vec!["websocket", &port, &token]] {
        let saw = library(&stage, &words);
        assert_eq!((&saw["api"], &saw["text"]), (&json!("1"), &json!("said over a WebSocket")), "{words:?}");
    }
}

#[test]
fn server_sent_events_are_resumed_where_a_library_was() {
    let stage = Stage::open();
    let (_alice, port, token) = with_port(&stage, &["read:events", "send"]);
    let saw = library(&stage, &["events", &port, &token]);
    assert_eq!(saw["seen"], saw["sent"], "each once, in order");
    assert_eq!(saw["api"], "1");
}

#[test]
fn a_parent_says_hello_sends_and_subscribes_over_pipes() {
    let stage = Stage::open();
    let mut alice = stage.member("alice");
    alice.stop();
    let mut chatd = alice.chatd();
    chatd.arg("stdio");
    let Outcome { code, stdout, stderr } = Process::run("chatd stdio", chatd, &lines("over pipes"));
    assert_eq!(code, Some(0), "{stderr}");
    check(&stdout, "over pipes");
    alice.start();
    assert_eq!(alice.history("self"), ["alice: over pipes"], "it was stored");
}

#[test]
fn a_token_made_on_the_command_line_of_the_owner_opens_no_more_than_it_says() {
    let stage = Stage::open();
    let (mut alice, port, token) = with_port(&stage, &["read:history"]);
    let curl = |body: &str| {
        let mut curl = system("curl", &stage);
        curl.args(["--silent", "--header", "Content-Type: application/json", "--data", body]);
        curl.args(["--header", &format!("Authorization: Bearer {token}"), &format!("http://127.0.0.1:{port}/rpc")]);
        serde_json::from_str::<Value>(&Process::run("curl", curl, "").success()).unwrap()
    };
    let send = json!({"jsonrpc": "2.0", "id": 1, "method": "msg.send", "params": {"to": "self", "text": "no"}});
    assert_eq!(curl(&send.to_string())["error"]["data"]["kind"], "forbidden_scope");
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "msg.list", "params": {"to": "self"}});
    assert!(curl(&list.to_string())["result"].is_object());
    let journal = alice.call("audit.list", json!({})).unwrap();
    assert_eq!(journal["entries"][0]["refused"], "forbidden_scope", "{journal}");
    // the place of a token survives the daemon, and its end does too
    alice.kill();
    alice.start();
    assert_eq!(alice.call("token.list", json!({})).unwrap()["tokens"][0]["name"], "story");
}

/// A user who is not the one who runs this.
const NOBODY: u32 = 65_534;
/// Set where the tests cannot be run by root.
const NO_OTHER_UID: &str = "CHAT_NO_OTHER_UID";

#[test]
fn atk_59_a_process_of_another_user_that_reaches_the_socket_is_told_nothing() {
    if std::env::var_os(NO_OTHER_UID).is_some() {
        return;
    }
    assert!(
        rustix::process::geteuid().is_root(),
        "only root can be two users: run this test as root, or leave it out with {NO_OTHER_UID}=1"
    );
    let stage = Stage::open();
    let alice = stage.member("alice");
    let socket = alice.data().join("chat.sock");
    // somebody opened what chatd keeps closed
    for directory in socket.ancestors().skip(1).take_while(|above| *above != std::path::Path::new("/tmp")) {
        fs::set_permissions(directory, Permissions::from_mode(0o711)).unwrap();
    }
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    let call = |command: Command| Process::run("nc", command, &lines("am I somebody?"));
    let (mut foreign, mut own) = (system("nc", &stage), system("nc", &stage));
    foreign.args(["-N", "-U"]).arg(&socket).current_dir("/").uid(NOBODY).gid(NOBODY);
    own.args(["-N", "-U"]).arg(&socket);
    let (foreign, own) = (call(foreign), call(own));
    // nothing to complain of either: it was connected
    assert_eq!((foreign.stdout.as_str(), foreign.stderr.as_str()), ("", ""));
    check(&own.stdout, "am I somebody?");
    assert_eq!(alice.ctl(&["who"]).success(), "alice\n", "its own user is served");
}
