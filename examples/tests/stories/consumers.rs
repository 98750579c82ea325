//! Scripts that read the log: killed at any moment, they miss nothing and get nothing twice that they acknowledged.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use chat_stories::{Person, Process, Stage};
use serde_json::json;

/// Notes each event in a file, then acknowledges it. What is in the file was handled.
const READER: &str = r#"
import json, os, socket, sys
path, notes = sys.argv[1:]
sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
sock.connect(path)
def say(number, method, **params):
    request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    sock.sendall(json.dumps(request).encode() + b"\n")
say(1, "events.subscribe", consumer="reader", types=["message.new"], max_inflight=50)
with open(notes, "a") as file:
    for line in sock.makefile("rb"):
        message = json.loads(line)
        if message.get("method") != "event" or "seq" not in message["params"]:
            continue
        event = message["params"]
        file.write(f"{event['seq']} {event['data']['text']}\n")
        file.flush()
        say(2, "events.ack", consumer="reader", seq=event["seq"])
        print(event["data"]["text"], flush=True)
"#;

const MESSAGES: usize = 10_000;

fn reader(stage: &Stage, owner: &Person, notes: &std::path::Path) -> Process {
    let script = stage.room("reader").join("reader.py");
    fs::write(&script, READER).unwrap();
    let mut command = Command::new("python3");
    command.env_clear().env("PATH", std::env::var("PATH").unwrap());
    command.arg(script).arg(owner.data().join("chat.sock")).arg(notes);
    Process::start("reader.py", command)
}

/// Sends notes to oneself, all of them on one connection without waiting for answers; ends when all are answered.
fn pour(owner: &Person) -> thread::JoinHandle<()> {
    let mut output = UnixStream::connect(owner.data().join("chat.sock")).unwrap();
    let answers = BufReader::new(output.try_clone().unwrap());
    thread::spawn(move || {
        for number in 0..MESSAGES {
            let params = json!({"to": "self", "text": number.to_string()});
            let call = json!({"jsonrpc": "2.0", "id": number, "method": "msg.send", "params": params});
            writeln!(output, "{call}").unwrap();
        }
    });
    thread::spawn(move || {
        for line in answers.lines().take(MESSAGES) {
            let line = line.unwrap();
            assert!(line.contains("\"result\""), "{line}");
        }
    })
}

fn handled(notes: &std::path::Path) -> Vec<(u64, String)> {
    let text = fs::read_to_string(notes).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let line = |line: &str| line.split_once(' ').map(|(seq, text)| (seq.parse().unwrap(), text.to_owned()));
    whole.lines().filter_map(line).collect()
}

fn acked(owner: &mut Person) -> u64 {
    let answer = owner.call("events.consumers", json!({})).unwrap();
    answer["consumers"][0]["acked_seq"].as_u64().unwrap()
}

#[test]
fn a_reader_killed_among_ten_thousand_messages_misses_none_and_gets_none_twice_after_its_ack() {
    let stage = Stage::open();
    let mut alice = stage.member("alice");
    let notes = stage.room("reader").join("notes");
    alice.call("events.pull", json!({"consumer": "reader"})).unwrap();
    let pouring = pour(&alice);
    let mut places = Vec::new();
    for kill in 1..=5 {
        let reader = reader(&stage, &alice, &notes);
        let point = (kill * 1_500).to_string();
        reader.line("that it is in the midst of it", |text| (text == point).then_some(()));
        reader.kill();
        places.push((handled(&notes).len(), acked(&mut alice)));
    }
    pouring.join().unwrap();
    let last = reader(&stage, &alice, &notes);
    let end = (MESSAGES - 1).to_string();
    last.line("the last message", |text| (text == end).then_some(()));

    let handled = handled(&notes);
    for (before, acked) in places {
        assert!(handled[before..].iter().all(|(seq, _)| *seq > acked), "nothing that was acknowledged comes again");
    }
    let mut texts: Vec<usize> = handled.iter().map(|(_, text)| text.parse().unwrap()).collect();
    println!("{} events handled for {MESSAGES} messages", texts.len());
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts, (0..MESSAGES).collect::<Vec<_>>());
}

#[test]
fn a_listener_with_a_name_outlives_its_daemon_and_its_own_end() {
    let stage = Stage::open();
    let mut alice = stage.member("alice");
    let words = ["listen", "--consumer", "log", "--type", "message.new", "--own", "--exec", "cat"];
    let first = Process::start("listen", alice.chatctl(&words));
    first.line("that it listens", |line| line.starts_with("Listening").then_some(()));
    alice.send("self", "one");
    first.line("the first message", |line| line.contains("\"one\"").then_some(()));
    alice.kill();
    first.line("that the daemon is gone", |line| line.contains("waiting for it").then_some(()));
    alice.start();
    alice.send("self", "two");
    first.line("the second message", |line| line.contains("\"two\"").then_some(()));
    // what follows is acknowledged only once the second was
    alice.send("self", "three");
    first.line("the third message", |line| line.contains("\"three\"").then_some(()));
    first.kill();
    alice.send("self", "four");
    let second = alice.chatctl(&["listen", "--consumer", "log", "--type", "message.new", "--own", "--json"]);
    let second = Process::start("listen again", second);
    second.line("the fourth message", |line| line.contains("\"four\"").then_some(()));
    assert!(!second.said().contains("\"two\""), "what was acknowledged does not come again");
    second.kill();
}
