//! Devices of an account, true, lost and invented.

use std::collections::BTreeSet;

use chat_protocol::fixtures::device_keys;
use chat_protocol::ids::{DeviceId, Head, HeadHash};
use chat_protocol::session::content::{Body, Conversation, LogEntries};
use chat_stories::Person;
use serde_json::json;

use crate::cast::{acquainted, approve, asks_in, count, get_on, is, later, second};
use crate::operator::{Operator, now};
use crate::puppet::Puppet;

/// Every device anything was ever sealed for.
fn addressed(operator: &Operator) -> BTreeSet<DeviceId> {
    let seen = operator.seen();
    seen.submits.iter().flat_map(|submit| &submit.to).map(|(device, _)| *device).collect()
}

#[test]
fn atk_28_a_device_the_server_adds_or_that_a_stolen_password_enrols_is_never_sealed_for() {
    let operator = Operator::open();
    let (mut alice, mut bob) = acquainted(&operator);
    let real = [operator.device("alice"), operator.device("bob")];

    // with the password a device can be enrolled, and waits
    let (mut thief, digits, stolen) = asks_in(&operator, "bob", "thief");
    bob.event("that a device waits", is("device.waiting"));
    approve(&mut thief, stolen, &digits).expect("the thief says what it likes");
    get_on(&mut alice, &mut bob);

    // the server lets it in all the same
    operator.let_in(stolen);
    get_on(&mut alice, &mut bob);

    // and says that another one is in the log: an entry it can only sign with a key of its own
    let (invented, log) = (Puppet::new("bob", 0), operator.log("bob"));
    let head = Head { seq: 1, hash: HeadHash::new([9; 32]) };
    let entries: Vec<_> = log.entries_from(0).map(<[u8]>::to_vec).chain([invented.forge(&log)]).collect();
    operator.lies().show_log("bob", head, entries.iter().map(Vec::as_slice));
    alice.send("@bob", "who are you?");
    alice.says("that it does not believe the log", |line| line.contains("WARN") && line.contains("user=bob"));

    assert_eq!(addressed(&operator), BTreeSet::from(real));
    assert_eq!(count(&alice, "identity.changed"), 0);
    assert!(thief.history("@alice").is_empty());
}

#[test]
fn atk_70_a_message_that_names_the_chat_of_somebody_else_is_not_shown_there() {
    let operator = Operator::open();
    let (mut alice, mut carol) = (operator.member("alice"), operator.member("carol"));
    get_on(&mut carol, &mut alice);
    let bob = Puppet::new("bob", 0);
    operator.enrol(&bob);
    let device = operator.device("alice");
    let mut talk = bob.begin(&operator.log("alice"), device, &operator.bundle(device));
    for chat in ["carol", "alice", "bob"] {
        let envelope = talk.say_in(Conversation::Direct(chat.parse().unwrap()), &format!("from {chat}, honestly"));
        operator.deliver((&bob.user, bob.device()), device, &envelope);
    }
    alice.hears("@bob", "bob", "from bob, honestly");
    let honestly = |chat: &[String]| chat.iter().filter(|line| line.ends_with("honestly")).count();
    assert_eq!(honestly(&alice.history("@carol")) + honestly(&alice.history("@alice")), 0);
    let texts = alice.history("@bob");
    assert_eq!((texts.len(), honestly(&texts)), (3, 1), "two markers, and what he may say: {texts:?}");
}

#[test]
fn atk_30_a_revocation_that_the_server_keeps_back_is_found_out_by_the_next_message() {
    let operator = Operator::open();
    let mut alice = operator.member("alice");
    let mut phone = Puppet::new("bob", 0);
    let tablet = phone.second(1);
    operator.enrol(&phone);
    let device = operator.device("alice");
    let mut talk = phone.begin(&operator.log("alice"), device, &operator.bundle(device));
    let say = |envelope| operator.deliver((&phone.user, phone.device()), device, &envelope);
    say(talk.say("hello"));
    alice.hears("@bob", "bob", "hello");

    // the phone has revoked the tablet; the server shows that to nobody, and lets the phone speak on
    let mut knows = phone.log.clone();
    knows.extend(&[phone.entry_revoking(tablet.device())]).unwrap();
    operator.lies().deaf_to.insert(phone.user.clone());
    talk.heads.own = knows.head();
    say(talk.say("my tablet is lost"));
    operator.settled(device);
    later(&mut alice, "+61s");
    alice.event("that a part of the log is kept back", is("identity.log_withheld"));
    let shown = alice.hears("@bob", "bob", "my tablet is lost");
    assert_eq!(shown["unverified_log"], true, "{shown}");
    let known = alice.call("identity.get", json!({"user": "bob"})).unwrap();
    assert_eq!((&known["state"], &known["log_withheld"]), (&json!("tofu"), &json!(true)), "bob has done no wrong");

    // what the phone sends itself needs no server
    let entries = knows.entries_from(2).map(|entry| entry.to_vec().into()).collect();
    say(talk.control(Body::LogEntries(LogEntries { user: phone.user.clone(), entries })));
    alice.event("that bob has other devices", is("identity.devices"));
    alice.send("@bob", "to the phone alone");
    operator.until("a message for the phone", |seen| seen.envelopes(phone.device()).pop());
    assert!(operator.seen().envelopes(tablet.device()).is_empty());
}

#[test]
fn atk_30_a_revocation_that_the_server_swallows_reaches_peers_from_device_to_device() {
    let operator = Operator::open();
    let (mut alice, mut bob) = acquainted(&operator);
    let (mut laptop, device) = second(&operator, &mut alice);
    bob.send("@alice", "to both");
    alice.hears("@bob", "bob", "to both");
    laptop.hears("@bob", "bob", "to both");

    operator.lies().deaf_to.insert("alice".parse().unwrap());
    alice.call("device.revoke", json!({"device_ids": [device.to_string()]})).expect("an own device");
    alice.event("that it is revoked, as the server says", is("device.revoked"));
    assert_eq!(operator.log("alice").head().seq, 1, "the server swallowed it");
    alice.send("@bob", "my laptop is gone");
    bob.hears("@alice", "alice", "my laptop is gone");
    bob.event("that alice has other devices", |event| {
        is("identity.devices")(event) && event["data"]["revoked"] == json!([device.to_string()])
    });
    let before = operator.seen().envelopes(device).len();
    get_on(&mut bob, &mut alice);
    assert_eq!(operator.seen().envelopes(device).len(), before, "nothing is sealed for it any more");
}

#[test]
fn atk_24_a_revoked_device_is_ended_and_let_in_no_more() {
    let operator = Operator::open();
    let (mut alice, mut bob) = acquainted(&operator);
    let (mut laptop, device) = second(&operator, &mut alice);
    bob.send("@alice", "to both");
    alice.hears("@bob", "bob", "to both");
    laptop.hears("@bob", "bob", "to both");

    alice.call("device.revoke", json!({"device_ids": [device.to_string()]})).expect("an own device");
    alice.event("that it is revoked", is("device.revoked"));
    laptop.turns("auth_failed");
    // what bob seals before he knows is refused; from then on he seals nothing for it
    get_on(&mut bob, &mut alice);
    let before = operator.seen().envelopes(device).len();
    laptop.stop();
    laptop.start();
    laptop.turns("auth_failed");
    get_on(&mut bob, &mut alice);
    assert_eq!(operator.seen().envelopes(device).len(), before, "nothing is sealed for it any more");
    assert!(laptop.call("msg.send", json!({"to": "@bob", "text": "let me in"})).is_err());
}

#[test]
fn atk_30_what_a_revoked_device_sends_is_not_believed() {
    let operator = Operator::open();
    let mut alice = operator.member("alice");
    let mut phone = Puppet::new("bob", 0);
    let tablet = phone.second(1);
    operator.enrol(&phone);
    let (log, device) = (operator.log("alice"), operator.device("alice"));
    let [mut from_phone, mut from_tablet] =
        [&phone, &tablet].map(|puppet| puppet.begin(&log, device, &operator.bundle(device)));
    let say = |puppet: &Puppet, envelope| operator.deliver((&puppet.user, puppet.device()), device, &envelope);
    say(&phone, from_phone.say("from the phone"));
    say(&tablet, from_tablet.say("from the tablet"));
    alice.hears("@bob", "bob", "from the phone");
    alice.hears("@bob", "bob", "from the tablet");

    let revoking = phone.entry_revoking(tablet.device());
    phone.log.extend(&[&revoking]).unwrap();
    operator.append(&phone);
    alice.call("identity.get", json!({"user": "bob"})).expect("somebody known");
    // on the session it had, on one of its own, and in an entry of the log
    say(&tablet, from_tablet.say("i am still bob"));
    say(&tablet, tablet.begin(&log, device, &operator.bundle(device)).say("i am bob again"));
    let mut thief = tablet.twin(tablet.log.clone());
    let (keys, shown) = (device_keys(7), phone.log.clone());
    let entry = thief.entry_adding(&keys, &keys.certify(&thief.user, now()).unwrap());
    thief.log.extend(&[&entry]).unwrap();
    let entries: Vec<_> = shown.entries_from(0).map(<[u8]>::to_vec).chain([entry]).collect();
    operator.lies().show_log("bob", thief.log.head(), entries.iter().map(Vec::as_slice));
    let known = alice.call("identity.get", json!({"user": "bob"})).expect("somebody known");
    assert_eq!(known["seen"][0]["head"]["hash"], phone.log.head().hash.to_string(), "{known}");
    say(&phone, from_phone.say("only i am"));
    alice.hears("@bob", "bob", "only i am");
    assert_eq!(alice.history("@bob"), ["bob: from the phone", "bob: from the tablet", "bob: only i am"]);
}

#[test]
fn atk_71_a_fabricated_log_or_request_shows_other_digits_and_nothing_is_signed() {
    let operator = Operator::open();
    let mut bob = operator.member("bob");
    // somebody else asks, with the password and its own consent
    let (mut thief, of_thief, stolen) = asks_in(&operator, "bob", "thief");
    approve(&mut thief, stolen, &of_thief).expect("the thief says what it likes");
    // and to the true one the server names another account in the place of bob's
    let rival = Puppet::new("bob", 0);
    operator.lies().show_log("bob", rival.log.head(), rival.log.entries_from(0));
    let (mut laptop, of_laptop, device) = asks_in(&operator, "bob", "laptop");
    operator.lies().logs.clear();
    let id = device.to_string();
    let asked =
        bob.event("that the laptop waits", |event| is("device.waiting")(event) && event["data"]["device_id"] == id);
    let of_bob = asked["data"]["digits"].as_str().unwrap();

    assert_ne!(of_bob, of_laptop, "the two screens differ");
    let conflict = |person: &mut Person, whom, digits: &str| {
        assert_eq!(approve(person, whom, digits).unwrap_err().kind, "conflict");
    };
    conflict(&mut bob, device, &of_laptop);
    conflict(&mut laptop, device, of_bob);
    conflict(&mut bob, stolen, &of_laptop);
    operator.reconnect(&mut bob);
    assert_eq!(operator.log("bob").head().seq, 0, "nothing was signed");
}
