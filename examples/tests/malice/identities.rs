//! Who somebody is, as the server tells it.

use chat_protocol::crypto::rsa::Context;
use chat_protocol::crypto::signed::Signed;
use chat_protocol::fixtures::device_keys;
use chat_protocol::ids::Head;
use chat_protocol::{cbor, identity::account_log::AccountLog};
use chat_stories::Person;
use serde_json::{Value, json};

use crate::cast::{acquainted, count, impose, is, text_of};
use crate::operator::{Operator, now};
use crate::puppet::Puppet;

#[test]
fn atk_26_another_key_for_a_verified_or_pinned_peer_is_an_alarm_and_nothing_leaves() {
    let operator = Operator::open();
    let (mut alice, mut bob) = acquainted(&operator);
    let number = identity(&mut bob, "alice")["safety_number"].clone();
    alice.call("identity.verify", json!({"user": "bob", "safety_number": number})).expect("both see one number");
    let (rival, pinned) = (Puppet::new("bob", 0), operator.device("bob"));
    impose(&operator, &rival);

    let before = operator.seen().envelopes(pinned).len();
    let waiting = alice.send("@bob", "for bob alone");
    let changed = alice.event("that bob changed", is("identity.changed"));
    assert_eq!(changed["data"]["new"], rival.log.fingerprint().to_string());
    assert_eq!(alice.call("msg.send", json!({"to": "@bob", "text": "more"})).unwrap_err().kind, "identity_changed");

    operator.reconnect(&mut alice);
    let tries = operator.seen().envelopes(pinned).len() - before;
    assert!(tries <= 1, "it was sealed once, before anybody knew, and not even for the old one since: {tries}");

    // what comes from the new one is held back, what comes from the pinned one is shown
    let device = operator.device("alice");
    let mut talk = rival.begin(&operator.log("alice"), device, &operator.bundle(device));
    operator.deliver((&rival.user, rival.device()), device, &talk.say("it is me, bob"));
    alice.event("that a message is held", is("message.held"));
    bob.send("@alice", "this is the old bob");
    alice.hears("@bob", "bob", "this is the old bob");

    // neither a new connection nor a new process changes anything
    operator.reconnect(&mut alice);
    alice.stop();
    alice.start();
    alice.turns("online");
    assert_eq!(alice.call("msg.send", json!({"to": "@bob", "text": "more"})).unwrap_err().kind, "identity_changed");
    assert_eq!(alice.history("@bob"), ["alice: hello", "alice: for bob alone", "bob: this is the old bob"]);
    assert_eq!(alice.call("msg.get", json!({"id": waiting})).unwrap()["state"], "queued");
    let outbox = alice.call("msg.outbox", json!({})).unwrap()["messages"][0].clone();
    assert_eq!((&outbox["id"], &outbox["held"]), (&json!(waiting), &json!("identity_changed")));
    assert_eq!(count(&alice, "identity.changed"), 1);
    assert!(operator.seen().envelopes(rival.device()).is_empty(), "nothing was sealed for the other one");

    // to bob alice is only pinned, and it is no different
    let rival = Puppet::new("alice", 1);
    impose(&operator, &rival);
    bob.send("@alice", "for alice alone");
    bob.event("that alice changed", is("identity.changed"));
    assert_eq!(bob.call("msg.send", json!({"to": "@alice", "text": "more"})).unwrap_err().kind, "identity_changed");
    assert!(operator.seen().envelopes(rival.device()).is_empty());
}

#[test]
fn atk_27_what_waited_for_the_old_key_is_not_sealed_for_the_new_one() {
    let operator = Operator::open();
    let (mut alice, _bob) = acquainted(&operator);
    let rival = Puppet::new("bob", 0);
    impose(&operator, &rival);
    let waiting = alice.send("@bob", "written for the old one");
    let changed = alice.event("that bob changed", is("identity.changed"));

    let shown = json!({"user": "bob", "fingerprint": changed["data"]["new"], "head": changed["data"]["head"]});
    alice.call("identity.accept", shown).expect("what was shown can be accepted");
    alice.sees(&waiting, "failed");
    operator.reconnect(&mut alice);
    alice.send("@bob", "written for the new one");
    let sealed = operator.until("a message for the new one", |seen| seen.envelopes(rival.device()).pop());
    let (_, content) = rival.read(&sealed, &operator.log("alice")).expect("it is for the one that was accepted");
    assert_eq!(text_of(&content), "written for the new one");
    assert_eq!(operator.seen().envelopes(rival.device()).len(), 1, "and nothing else is");
}

/// An account with a phone that lost its tablet: (phone, tablet).
fn phone_and_tablet(name: &str, n: usize) -> (Puppet, Puppet) {
    let mut phone = Puppet::new(name, n);
    let tablet = phone.second(n + 1);
    let revoking = phone.entry_revoking(tablet.device());
    phone.log.extend(&[revoking]).unwrap();
    (phone, tablet)
}

/// The entry with which a phone would add another device, and where its log stood then.
fn next_entry(phone: &Puppet) -> (Vec<u8>, Head) {
    let keys = device_keys(7);
    let entry = phone.entry_adding(&keys, &keys.certify(&phone.user, now()).unwrap());
    let mut grown = phone.log.clone();
    grown.extend(&[&entry]).unwrap();
    (entry, grown.head())
}

/// Makes alice look at what is shown: she writes, and the server says that her head is outdated.
fn look_at(alice: &mut Person, name: &str) {
    alice.send(&format!("@{name}"), "hello again");
}

fn identity(person: &mut Person, name: &str) -> Value {
    person.call("identity.get", json!({"user": name})).expect("somebody known")
}

fn show(operator: &Operator, log: &AccountLog, head: Head, entries: &[Vec<u8>]) {
    operator.lies().show_log(log.user().as_str(), head, entries.iter().map(Vec::as_slice));
}

fn entries(log: &AccountLog) -> Vec<Vec<u8>> {
    log.entries_from(0).map(<[u8]>::to_vec).collect()
}

#[test]
fn atk_29_a_log_that_does_not_follow_from_the_pinned_one_is_not_taken_in() {
    let operator = Operator::open();
    let mut alice = operator.member("alice");
    let peers = ["rolled", "gapped", "foreign", "signed"].map(|name| phone_and_tablet(name, 0));
    for (phone, _) in &peers {
        operator.enrol(phone);
        alice.send(&format!("@{}", phone.user), "hello");
        operator.until("a message for the phone", |seen| seen.envelopes(phone.device()).pop());
    }
    let [(rolled, _), (gapped, _), (foreign, _), (signed, tablet)] = &peers;

    show(&operator, &rolled.log, rolled.log.head_at(0).unwrap(), &entries(&rolled.log)[..1]);
    let (entry, head) = next_entry(gapped);
    let mut with_gap = [entries(&gapped.log), vec![entry]].concat();
    with_gap.remove(1);
    show(&operator, &gapped.log, head, &with_gap);
    let (entry, head) = next_entry(rolled);
    show(&operator, &foreign.log, head, &[entries(&foreign.log), vec![entry]].concat());
    let (entry, head) = next_entry(signed);
    let Signed { object, .. } = cbor::decode(&entry).unwrap();
    let forged = cbor::encode(&Signed::new(object.0, &tablet.keys.signing, Context::Log, &mut rand::rng()));
    show(&operator, &signed.log, head, &[entries(&signed.log), vec![forged]].concat());

    for (phone, _) in &peers {
        let name = phone.user.as_str();
        let user = format!("user={name}");
        look_at(&mut alice, name);
        alice.says("that it does not believe the log", |line| line.contains("WARN") && line.contains(&user));
        let known = identity(&mut alice, name);
        assert_eq!((&known["state"], &known["seen"][0]["head"]["seq"]), (&json!("tofu"), &json!(2)), "{known}");
        assert_eq!(known["seen"].as_array().unwrap().len(), 1, "{known}");
    }
    assert_eq!(count(&alice, "identity.changed"), 0, "what is not valid says nothing about anybody");
    let unknown = device_keys(7);
    let added = peers.each_ref().map(|(phone, _)| unknown.certify(&phone.user, now()).unwrap().id());
    assert!(added.iter().all(|device| operator.seen().envelopes(*device).is_empty()));
}

#[test]
fn atk_29_a_fork_is_an_alarm_that_keeps_both() {
    let operator = Operator::open();
    let mut alice = operator.member("alice");
    let (phone, _) = phone_and_tablet("bob", 0);
    operator.enrol(&phone);
    alice.send("@bob", "hello");
    operator.until("a message for the phone", |seen| seen.envelopes(phone.device()).pop());

    let before = AccountLog::verify(&phone.user, &entries(&phone.log)[..2]).unwrap();
    let forked = phone.twin(before);
    let (entry, head) = next_entry(&forked);
    show(&operator, &forked.log, head, &[entries(&forked.log), vec![entry]].concat());
    look_at(&mut alice, "bob");
    let changed = alice.event("the fork", is("identity.changed"));
    assert_eq!(changed["data"]["head"]["hash"], head.hash.to_string());
    let known = identity(&mut alice, "bob");
    let heads: Vec<_> = known["seen"].as_array().unwrap().iter().map(|seen| seen["head"]["hash"].clone()).collect();
    assert_eq!(known["state"], "changed");
    assert_eq!(heads, [json!(phone.log.head().hash.to_string()), json!(head.hash.to_string())]);
    assert_eq!(alice.call("msg.send", json!({"to": "@bob", "text": "more"})).unwrap_err().kind, "identity_changed");
}

#[test]
fn atk_72_a_fork_by_a_revoked_device_is_evidence_told_once_and_blocks_nobody() {
    let operator = Operator::open();
    let mut alice = operator.member("alice");
    let (phone, tablet) = phone_and_tablet("bob", 0);
    operator.enrol(&phone);
    alice.send("@bob", "hello");
    operator.until("a message for the phone", |seen| seen.envelopes(phone.device()).pop());

    // the thief goes on as if it had not been revoked, and adds a device of its own
    let (entry, head) = next_entry(&tablet);
    show(&operator, &tablet.log, head, &[entries(&tablet.log), vec![entry]].concat());
    for _ in 0..2 {
        let known = identity(&mut alice, "bob");
        assert_eq!(known["state"], "tofu", "{known}");
        assert!(known["seen"].as_array().unwrap().iter().any(|seen| seen["fork"]["by_revoked"] == true), "{known}");
        operator.reconnect(&mut alice);
    }
    assert_eq!((count(&alice, "identity.fork_evidence"), count(&alice, "identity.changed")), (1, 0));
    operator.lies().logs.clear();
    alice.send("@bob", "hello again");
    operator.until("the next message for the phone", |seen| seen.envelopes(phone.device()).get(1).cloned());
    assert!(operator.seen().envelopes(tablet.device()).is_empty());
}
