//! One account on two machines: let in after comparing, living together, and one of them ended.

use chat_stories::{Person, Process, Stage, binaries};
use serde_json::{Value, json};

/// Alice's second machine, whose daemon runs.
fn another_machine(stage: &Stage, of: &Person) -> Person {
    let mut machine = Person::new(of.name(), &stage.room(&format!("{}-2", of.name())));
    machine.start();
    machine
}

fn digits(answer: &Value) -> String {
    answer["digits"].as_str().expect("sixty digits").to_owned()
}

/// The machine asks to be let in: what its screen shows.
fn asks(stage: &Stage, machine: &Person) -> String {
    let words = ["login", machine.name(), "--invite-stdin", "--password-stdin", "--json"];
    let outcome = machine.ctl_with(&words, &format!("{}\n{}\n", stage.server.invite(), machine.password));
    assert_eq!(outcome.code, Some(77), "{}", outcome.stderr);
    let answer: Value = serde_json::from_str(outcome.stdout.trim()).expect("an object");
    assert_eq!(answer["state"], "approval_required");
    digits(&answer)
}

fn status(machine: &mut Person) -> Value {
    machine.call("account.status", json!({})).expect("status")
}

fn told(event: &Value, kind: &str) -> bool {
    event["type"] == kind
}

#[test]
fn alice_enters_a_second_machine_and_ends_it_again() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    alice.send("@bob", "before");
    bob.hears("@alice", "alice", "before");

    let mut laptop = another_machine(&stage, &alice);
    let on_the_laptop = asks(&stage, &laptop);
    let on_the_old_one = digits(&alice.event("a device to wait", |event| told(event, "device.waiting"))["data"]);
    assert_eq!(on_the_laptop, on_the_old_one, "both screens show the same");

    // each side is told what the other screen shows, and the laptop's daemon is restarted in between
    let wrong = alice.ctl(&["device", "approve", "--digits", &"1".repeat(60)]);
    assert_eq!(wrong.code, Some(65), "{}", wrong.stderr);
    let _ = laptop.ctl(&["device", "approve", "--digits", &on_the_old_one]).success();
    laptop.kill();
    laptop.start();
    assert_eq!(status(&mut laptop)["confirmed"], true);
    let _ = alice.ctl(&["device", "approve", "--digits", &on_the_laptop]).success();
    laptop.event("to be let in", |event| told(event, "device.added") && event["data"]["this"] == true);
    laptop.turns("online");

    let id = bob.send("@alice", "to both of you");
    for machine in [&mut alice, &mut laptop] {
        machine.hears("@bob", "bob", "to both of you");
    }
    bob.sees(&id, "delivered");
    laptop.send("@bob", "from the laptop");
    bob.hears("@alice", "alice", "from the laptop");
    let seen = alice.hears("@bob", "alice", "from the laptop");
    assert_eq!(seen["outgoing"], true);
    laptop.call("chat.mark_read", json!({"to": "@bob"})).expect("read");
    alice.event("the chat to be read", |event| told(event, "chat.read") && event["data"]["unread"] == 0);
    assert_eq!(laptop.history("@bob").len(), 2, "a new device begins empty");

    let device = status(&mut laptop)["device_id"].as_str().expect("an id").to_owned();
    assert!(alice.ctl(&["device", "revoke", &device, "--yes"]).success().contains("revoked"));
    laptop.event("to be told", |event| {
        told(event, "connection")
            && event["data"]["state"] == "auth_failed"
            && event["data"]["reason"].to_string().contains("revoked")
    });
    assert_eq!(status(&mut laptop)["state"], "revoked");
    laptop.stop();
    laptop.start();
    assert_eq!(status(&mut laptop)["state"], "revoked", "also after a restart");
    let refused = laptop.call("msg.send", json!({"to": "@bob", "text": "still me"})).expect_err("no longer");
    assert!(refused.message.contains("revoked"), "{}", refused.message);
    let sent = laptop.ctl(&["send", "@bob", "still me"]);
    assert_eq!(sent.code, Some(77), "{}", sent.stderr);
    assert!(sent.stderr.contains("`chatctl logout --forget-keys --yes`"), "{}", sent.stderr);
    bob.send("@alice", "to one of you");
    alice.hears("@bob", "bob", "to one of you");
    assert_eq!(laptop.history("@bob").len(), 2);
}

/// Exchanges the hashes of two accounts, as whoever holds the database can.
const SWAP: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
hashes = dict(db.execute('SELECT username, password FROM chat_app'))
for user, other in (('alice', 'bob'), ('bob', 'alice')):
    db.execute('UPDATE chat_app SET password = ? WHERE username = ?', (hashes[other], user))
db.commit()
";

#[test]
fn atk_23_swapped_password_hashes_let_nobody_in_and_change_no_identity_for_those_who_talk() {
    let stage = Stage::open();
    let (mut alice, mut bob) = (stage.member("alice"), stage.member("bob"));
    bob.send("@alice", "before");
    alice.hears("@bob", "bob", "before");
    let seen = |person: &mut Person, of: &str| person.call("identity.get", json!({"user": of})).unwrap();
    let before = (seen(&mut bob, "alice"), seen(&mut alice, "bob"));

    let mut swap = binaries::python(&stage.room("tools"));
    swap.args(["-c", SWAP]).arg(stage.server.data().join("chat.db"));
    let _ = Process::run("swap.py", swap, "").success();
    // bob's password opens alice's account now: its first use
    let mut thief = another_machine(&stage, &alice);
    thief.password.clone_from(&bob.password);
    asks(&stage, &thief);
    alice.event("a device to wait", |event| told(event, "device.waiting"));

    for person in [&mut alice, &mut bob] {
        person.kill();
        person.start();
        person.turns("online");
    }
    let id = bob.send("@alice", "still you?");
    alice.hears("@bob", "bob", "still you?");
    bob.sees(&id, "delivered");
    alice.send("@bob", "still me");
    bob.hears("@alice", "alice", "still me");
    assert_eq!((seen(&mut bob, "alice"), seen(&mut alice, "bob")), before);
    let waits = thief.call("msg.send", json!({"to": "@bob", "text": "it is me, alice"}));
    assert!(waits.is_err(), "{waits:?}");
    for person in [&alice, &bob] {
        let of_identity = |event: &&Value| event["type"].as_str().is_some_and(|kind| kind.starts_with("identity."));
        let about: Vec<_> = person.events().iter().filter(of_identity).collect();
        assert!(about.is_empty(), "{about:?}");
    }
}
