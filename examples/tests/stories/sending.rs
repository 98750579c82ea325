//! Sends that can be piled up, repeated, waited for and taken back.

use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use chat_stories::{Person, Process, Stage};
use serde_json::{Value, json};

/// How many messages both senders of the race have.
const RACED: usize = 12;

#[test]
fn a_thousand_sends_on_one_socket_all_arrive_in_order() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let calls = (0..1000).map(|n| json!({"to": "@bob", "text": format!("{n}")})).collect();
    let answers = alice.pipeline("msg.send", calls);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    bob.hears("@alice", "alice", "999");
    assert_eq!(everything(&mut bob, "@alice"), (0..1000).map(|n| format!("{n}")).collect::<Vec<_>>());
}

/// The texts of a chat, page by page from its beginning.
fn everything(person: &mut Person, chat: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut before: Option<Value> = None;
    loop {
        let mut params = json!({"to": chat, "limit": 500});
        if let Some(before) = &before {
            params["before"] = before.clone();
        }
        let page = person.call("msg.list", params).unwrap();
        let messages = page["messages"].as_array().unwrap();
        let older: Vec<_> = messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect();
        texts.splice(0..0, older);
        if page["more"] != json!(true) {
            return texts;
        }
        before = Some(messages[0]["id"].clone());
    }
}

/// Sends each text until it is taken, with the same key each time, as a script would.
fn insist(commands: Vec<Command>, done: &Sender<()>) {
    for mut command in commands {
        while !command.output().unwrap().status.success() {
            thread::yield_now();
        }
        // whoever counted has seen enough
        let _ = done.send(());
    }
}

#[test]
fn one_key_from_two_processes_sends_once_while_the_daemon_is_killed() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let (done, progress) = channel();
    let senders: Vec<_> = (0..2)
        .map(|_| {
            let commands = (0..RACED).map(|n| raced(&alice, n)).collect();
            let done = done.clone();
            thread::spawn(move || insist(commands, &done))
        })
        .collect();
    drop(done);
    for sent in 1..=2 * RACED {
        progress.recv().unwrap();
        if sent % 4 == 0 {
            alice.kill();
            alice.start();
        }
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let last = alice.send("@bob", "the end");
    alice.sees(&last, "delivered");
    bob.hears("@alice", "alice", "the end");
    let mut heard = bob.history("@alice");
    heard.sort();
    let mut expected: Vec<_> = (0..RACED).map(|n| format!("alice: job {n:02}")).collect();
    expected.push("alice: the end".to_owned());
    assert_eq!(heard, expected);
}

fn raced(alice: &Person, n: usize) -> Command {
    let params = json!({"to": "@bob", "text": format!("job {n:02}"), "client_id": format!("nightly-{n}")});
    let mut command = alice.chatctl(&["rpc", "msg.send"]);
    command.arg(params.to_string());
    command
}

#[test]
fn a_message_is_waited_for_edited_answered_and_taken_back() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let id = alice.send("@bob", "lunhc?");
    let status = alice.call("msg.wait", json!({"id": id, "state": "delivered"})).unwrap();
    assert_eq!(status["state"], "delivered");
    alice.call("msg.edit", json!({"id": id, "text": "lunch?"})).unwrap();
    bob.event("the edit", |event| event["type"] == "message.edited" && event["data"]["text"] == "lunch?");
    bob.call("msg.react", json!({"id": id, "emoji": "👍"})).unwrap();
    alice.event("the sign", |event| event["type"] == "message.reaction" && event["data"]["user"] == "bob");
    let refused = bob.call("msg.delete", json!({"id": id, "scope": "all"})).unwrap_err();
    assert_eq!(refused.kind, "no_permission");
    alice.call("msg.delete", json!({"id": id, "scope": "all"})).unwrap();
    bob.event("the end of it", |event| event["type"] == "message.deleted" && event["data"]["why"] == "author");
    let gone = bob.call("msg.get", json!({"id": id})).unwrap();
    assert_eq!((&gone["text"], &gone["deleted"]), (&json!(""), &json!(true)));
}

#[test]
fn what_waits_survives_a_kill_and_can_be_cancelled_after() {
    let mut stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    stage.server.kill();
    alice.turns("offline");
    let year = json!(4_000_000_000_000_u64);
    let refused = alice.call("msg.send", json!({"to": "@bob", "text": "hi", "at_ms": year})).unwrap_err();
    assert_eq!(refused.kind, "invalid_params");
    let dropped = alice.send("@bob", "not this");
    let kept = alice.send("@bob", "but this");
    alice.kill();
    alice.start();
    let status = alice.call("msg.cancel", json!({"id": dropped})).unwrap();
    assert_eq!(status["state"], "cancelled");
    let soon = json!({"id": kept, "state": "accepted", "timeout_ms": 1});
    assert_eq!(alice.call("msg.wait", soon).unwrap_err().kind, "timeout");
    stage.server.start();
    bob.hears("@alice", "alice", "but this");
    let late = alice.call("msg.cancel", json!({"id": kept})).unwrap_err();
    assert_eq!(late.kind, "conflict");
    let again = alice.call("msg.resend", json!({"id": dropped})).unwrap();
    bob.hears("@alice", "alice", "not this");
    assert_ne!(again["id"], json!(dropped));
    let _ = Process::run("a look", alice.chatctl(&["history", "@bob"]), "").success();
}
