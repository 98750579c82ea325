//! A hundred thousand events pass a reader that does not read.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;

use chat_stories::{DEADLINE, Person, Stage};
use serde_json::{Value, json};

const EVENTS: u64 = 100_000;
/// Callers that make them: what waits together shares a commit.
const CALLERS: u64 = 16;
/// What the daemon's memory may grow by meanwhile: its caches fill, the reader's share does not grow. The events
/// themselves are several times as much.
const ROOM_KIB: u64 = 24 * 1024;

/// A connection that says these lines and keeps what it hears for later.
fn connect(socket: &Path, lines: &str) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(lines.as_bytes()).unwrap();
    BufReader::new(stream)
}

fn call(id: u64, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string() + "\n"
}

fn line(reader: &mut impl BufRead) -> Value {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line in time");
    serde_json::from_str(&line).expect("a line of JSON")
}

/// A subscription to what is noted about others, from the beginning of the flood.
fn subscribe(socket: &Path) -> BufReader<UnixStream> {
    let mut reader = connect(socket, &call(1, "events.subscribe", &json!({"types": ["contact.updated"]})));
    assert!(line(&mut reader)["result"].is_object());
    reader
}

/// Reads the whole flood; every number of the log once and in order.
fn read_all(mut reader: BufReader<UnixStream>) {
    let (mut heard, mut before) = (0, 0);
    while heard < EVENTS {
        let event = line(&mut reader)["params"].take();
        if event["type"] == "heartbeat" {
            continue;
        }
        assert_eq!(event["type"], "contact.updated", "{event}");
        let seq = event["seq"].as_u64().unwrap();
        assert!(seq > before, "{seq} after {before}");
        (heard, before) = (heard + 1, seq);
    }
}

/// Notes something about a user of one's own, again and again.
fn pour(socket: PathBuf, caller: u64) {
    let share = EVENTS / CALLERS;
    let lines = move |n| call(n, "contact.set", &json!({"user": format!("user{caller}"), "note": format!("note {n}")}));
    let mut reader = connect(&socket, "");
    let mut writer = reader.get_ref().try_clone().unwrap();
    let writing = thread::spawn(move || (0..share).for_each(|n| writer.write_all(lines(n).as_bytes()).unwrap()));
    for _ in 0..share {
        let answer = line(&mut reader);
        assert!(answer["result"].is_object(), "{answer}");
    }
    writing.join().unwrap();
}

fn memory_kib(person: &Person) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", person.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_reader_that_stops_costs_no_memory_delays_nobody_and_catches_up_on_everything() {
    let stage = Stage::open();
    let alice = stage.member("alice");
    let socket = alice.data().join("chat.sock");
    let (stalled, lively) = (subscribe(&socket), subscribe(&socket));
    let lively = thread::spawn(move || read_all(lively));
    let before = memory_kib(&alice);
    let pouring: Vec<_> = (0..CALLERS)
        .map(|caller| {
            thread::spawn({
                let socket = socket.clone();
                move || pour(socket, caller)
            })
        })
        .collect();
    pouring.into_iter().for_each(|caller| caller.join().unwrap());
    lively.join().expect("who reads hears everything meanwhile");
    let after = memory_kib(&alice);
    assert!(after < before + ROOM_KIB, "from {before} to {after} KiB");
    read_all(stalled);
    assert_eq!(alice.ctl(&["who"]).success(), "alice\n");
}
