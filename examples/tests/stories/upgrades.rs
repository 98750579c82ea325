//! Directories that older programs left are opened by today's: all that was there is there, and goes on.
//!
//! `upgrades/205f9b1.tar.gz` has what the programs of that commit wrote, the first whose daemon's rows are read as they are;
//! `upgrades/b2f432f.tar.gz` what older ones did, whose rows are brought over once. In each are the data directories of a server and of the daemons of alice
//! and bob, `made` (when that was, in seconds) and `token` (the text of a token). Who talks in them was made up for it, and
//! their keys are known to everybody. They talked from monday to wednesday, then bob's daemon was ended, alice wrote to him,
//! the server was ended, and she wrote once more.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use chat_stories::{Person, Stage, binaries};
use serde_json::{Value, json};

const TALK: [&str; 6] = [
    "alice: monday, from alice",
    "bob: monday, from bob",
    "bob: tuesday, from bob",
    "bob: wednesday, from bob",
    "alice: waits in the mailbox",
    "alice: waits in the outbox",
];

/// Where the users of the servers wrote down that these listen; no other program has it.
const ADDRESS: &str = "127.61.43.2:5443";

/// The stage as it was left, a minute later: after a month nothing would wait any more.
fn unpacked(name: &str) -> (Stage, Person, Person) {
    let packed = binaries::repository().join(format!("examples/tests/stories/upgrades/{name}.tar.gz"));
    let mut stage = Stage::unpacked(&packed, ADDRESS);
    let made: i64 = fs::read_to_string(stage.room("").join("made")).unwrap().parse().unwrap();
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let offset = format!("{:+}s", made + 60 - now);
    let (mut alice, mut bob) = (stage.stranger("alice"), stage.stranger("bob"));
    stage.server.set_clock(&offset);
    alice.set_clock(&offset);
    bob.set_clock(&offset);
    stage.server.start();
    (stage, alice, bob)
}

fn said(event: &Value, text: &str) -> bool {
    event["type"] == "message.new" && event["data"]["text"] == text
}

#[test]
fn directories_of_older_programs_are_opened_and_go_on() {
    // one after the other: the servers have the same address
    for name in ["205f9b1", "b2f432f"] {
        let (stage, mut alice, mut bob) = unpacked(name);
        alice.start();
        bob.start();
        talk_goes_on(&mut alice, &mut bob);
        what_programs_keep_is_there(&stage, &mut alice);
        nothing_comes_twice_after_another_start(&mut alice, &mut bob);
    }
}

fn talk_goes_on(alice: &mut Person, bob: &mut Person) {
    for waited in ["waits in the mailbox", "waits in the outbox"] {
        bob.hears("@alice", "alice", waited);
        let id = alice.event(waited, |event| said(event, waited))["data"]["id"].as_str().unwrap().to_owned();
        alice.sees(&id, "delivered");
    }
    assert_eq!(alice.history("@bob"), TALK);
    assert_eq!(bob.history("@alice"), TALK);
    assert_eq!(bob.history("room:public"), ["alice: hello, everybody"]);

    let id = alice.send("@bob", "thursday, from alice");
    bob.hears("@alice", "alice", "thursday, from alice");
    alice.sees(&id, "delivered");
    let id = bob.send("@alice", "thursday, from bob");
    alice.hears("@bob", "bob", "thursday, from bob");
    bob.sees(&id, "delivered");
    bob.send("room:public", "hello again");
    alice.hears("room:public", "bob", "hello again");
    for person in [alice, bob] {
        let undecryptable = person.events().iter().filter(|event| event["type"] == "message.undecryptable").count();
        assert_eq!(undecryptable, 0, "{}: {:?}", person.name(), person.events());
    }
}

fn what_programs_keep_is_there(stage: &Stage, alice: &mut Person) {
    let contact = alice.call("contact.get", json!({"user": "bob"})).unwrap();
    assert_eq!((&contact["alias"], &contact["note"]), (&json!("Bobby"), &json!("met on monday")));
    let kept = alice.call("kv.get", json!({"scope": "bot", "key": "count"})).unwrap();
    assert_eq!((&kept["value"], &kept["version"]), (&json!({"n": 7}), &json!(1)));
    assert_eq!(alice.call("account.settings.get", json!({})).unwrap()["history_days"], 365);

    // it acknowledged tuesday
    let asked = json!({"consumer": "reader", "types": ["message.new"], "include_self": false});
    let events = alice.call("events.pull", asked).unwrap()["events"].as_array().unwrap().clone();
    assert!(events.first().is_some_and(|event| said(event, "wednesday, from bob")), "{events:?}");

    let token = stage.room("").join("token");
    let history = alice.ctl(&["--token-file", token.to_str().unwrap(), "history", "@bob"]).success();
    assert!(history.contains("monday, from bob"), "{history}");
    let refused = alice.ctl(&["--token-file", token.to_str().unwrap(), "token", "list"]);
    assert_ne!(refused.code, Some(0), "it may read and send, nothing else: {}", refused.stdout);
}

fn nothing_comes_twice_after_another_start(alice: &mut Person, bob: &mut Person) {
    for (person, chat) in [(&mut *alice, "@bob"), (&mut *bob, "@alice")] {
        person.stop();
        person.start();
        person.turns("online");
        assert_eq!(person.history(chat).len(), TALK.len() + 2);
    }
    bob.send("room:public", "the end");
    alice.hears("room:public", "bob", "the end");
    for person in [alice, bob] {
        let room = person.history("room:public");
        assert_eq!(room, ["alice: hello, everybody", "bob: hello again", "bob: the end"], "{}", person.name());
    }
}
