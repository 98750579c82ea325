//! Processes are killed, machines lose their disks; nobody loses or repeats a word.

use std::fs;

use chat_stories::{Person, Process, Stage};
use serde_json::json;

#[test]
fn the_server_is_killed_in_mid_conversation() {
    let mut stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let first = alice.send("@bob", "before the crash");
    bob.hears("@alice", "alice", "before the crash");
    alice.sees(&first, "delivered");
    stage.server.kill();
    alice.turns("offline");
    let second = alice.send("@bob", "while it was down");
    bob.send("@alice", "is it down?");
    stage.server.start();
    bob.hears("@alice", "alice", "while it was down");
    alice.hears("@bob", "bob", "is it down?");
    alice.sees(&second, "delivered");
    assert_eq!(bob.history("@alice").len(), 3);
    assert_eq!(alice.history("@bob").len(), 3);
}

#[test]
fn the_server_drains_on_request_and_everybody_returns() {
    let mut stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    for n in 0..50 {
        alice.send("room:public", &format!("post {n}"));
        alice.send("@bob", &format!("note {n}"));
    }
    stage.server.stop();
    stage.server.start();
    for n in 0..50 {
        bob.hears("room:public", "alice", &format!("post {n}"));
        bob.hears("@alice", "alice", &format!("note {n}"));
    }
    assert_eq!(bob.history("room:public"), (0..50).map(|n| format!("alice: post {n}")).collect::<Vec<_>>());
    assert_eq!(bob.history("@alice"), (0..50).map(|n| format!("alice: note {n}")).collect::<Vec<_>>());
}

#[test]
fn daemons_killed_at_any_moment_lose_and_repeat_nothing() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    for round in 0..4 {
        for n in 0..10 {
            alice.send("@bob", &format!("r{round} m{n}"));
        }
        if round % 2 == 0 {
            alice.kill();
            bob.kill();
            bob.start();
            alice.start();
        } else {
            bob.kill();
            bob.start();
        }
    }
    let last = alice.send("@bob", "the end");
    bob.hears("@alice", "alice", "the end");
    alice.sees(&last, "delivered");
    let mut expected: Vec<_> = (0..4).flat_map(|r| (0..10).map(move |n| format!("alice: r{r} m{n}"))).collect();
    expected.push("alice: the end".to_owned());
    assert_eq!(bob.history("@alice"), expected);
    let news = bob.events().iter().filter(|event| event["type"] == "message.new").count();
    assert_eq!(news, expected.len(), "one event for each message");
}

#[test]
fn a_repeated_client_id_sends_once_even_across_a_crash() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let call = json!({"to": "@bob", "text": "only once", "client_id": "nightly-1"});
    let first = alice.call("msg.send", call.clone()).unwrap();
    alice.kill();
    alice.start();
    let again = alice.call("msg.send", call).unwrap();
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
    let other = alice.call("msg.send", json!({"to": "@bob", "text": "else", "client_id": "nightly-1"})).unwrap_err();
    assert_eq!(other.kind, "idempotency_mismatch");
    let last = alice.send("@bob", "that was it");
    alice.sees(&last, "delivered");
    bob.hears("@alice", "alice", "that was it");
    assert_eq!(bob.history("@alice"), ["alice: only once", "alice: that was it"]);
}

#[test]
fn a_second_daemon_on_the_same_data_leaves_and_names_the_first() {
    let stage = Stage::open();
    let alice = stage.newcomer("alice");
    let second = Process::run("a second chatd", alice.chatd(), "");
    assert_eq!(second.code, Some(75), "{}", second.stderr);
    let words = format!("another chatd (process {})", alice.id());
    assert!(second.stderr.contains(&words), "{}", second.stderr);
    let _ = alice.ctl(&["status"]).success();
}

#[test]
fn who_lost_the_data_directory_resets_and_peers_are_warned() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let id = alice.send("@bob", "from my old machine");
    alice.sees(&id, "delivered");
    alice.kill();
    fs::remove_dir_all(alice.data()).unwrap();
    let alice = stage.newcomer("alice");
    let login = alice.enter("login", &stage.server.invite());
    assert_eq!(login.code, Some(77), "another device is active, so this one has to wait: {}", login.stdout);
    assert!(login.stderr.contains("`chatctl reset NAME`"), "{}", login.stderr);
    let doctor = alice.ctl(&["doctor"]);
    assert!(doctor.stdout.contains("chatctl reset alice"), "{}", doctor.stdout);
    let reset = alice.enter("reset", &stage.server.invite()).waits();
    assert!(reset.contains("a device of the account was seen lately"), "{reset}");
    for verb in ["status", "doctor"] {
        let shown = alice.ctl(&[verb]).stdout;
        assert!(shown.contains("waits until 2"), "{verb}: {shown}");
    }
    let refused = alice.ctl(&["send", "@bob", "am I in?"]);
    assert_eq!(refused.code, Some(77), "{}", refused.stderr);
    bob.send("room:public", "the old identity stands");
}

#[test]
fn a_reset_that_waits_is_shown_and_can_be_cancelled() {
    let stage = Stage::open();
    let mut alice = stage.member("alice");
    let mut thief = Person::new("alice", &stage.room("thief"));
    thief.start();
    let asked = thief.enter("reset", &stage.server.invite()).waits();
    assert!(asked.contains("a device of the account was seen lately"), "{asked}");
    let warned = alice.event("the warning", |event| event["type"] == "account.reset_pending");
    let status = alice.call("account.status", json!({})).unwrap();
    assert_eq!(status["reset_at_ms"], warned["data"]["at_ms"], "{status}");
    let _ = alice.ctl(&["reset", "--cancel"]).success();
    alice.event("the all-clear", |event| event["type"] == "account.reset_cancelled");
    let status = alice.call("account.status", json!({})).unwrap();
    assert!(status["reset_at_ms"].is_null(), "{status}");
}

#[test]
fn after_a_reset_nothing_leaves_until_the_new_identity_is_accepted() {
    let mut stage = Stage::dark();
    stage.server.set("accounts.reset_wait_seconds=0");
    stage.server.start();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    let id = bob.send("@alice", "to your old self");
    bob.sees(&id, "delivered");
    alice.kill();
    fs::remove_dir_all(alice.data()).unwrap();
    let mut alice = stage.newcomer("alice");
    let asked = alice.enter("reset", &stage.server.invite()).waits();
    assert!(asked.contains("a device of the account was seen lately"), "{asked}");
    let done = alice.enter("reset", &stage.server.invite()).success();
    assert!(done.starts_with("the account has a new identity"), "{done}");
    alice.turns("online");
    alice.send("@bob", "it is me, on a new disk");
    let changed = bob.event("the alarm", |event| event["type"] == "identity.changed")["data"].clone();
    assert_eq!(changed["user"], "alice");
    let refused = bob.call("msg.send", json!({"to": "@alice", "text": "who are you?"})).unwrap_err();
    assert_eq!(refused.kind, "identity_changed");
    let accept = json!({"user": "alice", "fingerprint": changed["new"], "head": changed["head"]});
    bob.call("identity.accept", accept).unwrap();
    bob.hears("@alice", "alice", "it is me, on a new disk");
    bob.send("@alice", "welcome back");
    alice.hears("@bob", "bob", "welcome back");
}
