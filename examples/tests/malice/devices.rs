//! Devices of an account, true, lost and invented.

use std::collections::BTreeSet;

use chat_protocol::fixtures::device_keys;
use chat_protocol::ids::DeviceId;
use chat_protocol::session::content::Conversation;
use serde_json::json;

use crate::cast::{acquainted, count, get_on, is, later};
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
    let mut thief = operator.newcomer("bob", "thief");
    let waits = thief.enter("login", &operator.invite());
    let stolen: DeviceId = operator.waiting("bob");
    assert!(waits.stdout.contains("approv") || waits.stderr.contains("approv"), "{waits:?}");
    get_on(&mut alice, &mut bob);

    // the server lets it in all the same
    operator.let_in(stolen);
    get_on(&mut alice, &mut bob);

    // and says that it is in the log: an entry it can only sign with a key of its own
    let mut invented = Puppet::new("bob", 0);
    let (keys, log) = (device_keys(1), operator.log("bob"));
    let cert = keys.certify(&invented.user, now()).unwrap();
    let entry = invented.entry_adding(&keys, &cert);
    invented.log.extend(&[&entry]).unwrap();
    let entries: Vec<_> = log.entries_from(0).map(<[u8]>::to_vec).chain([entry]).collect();
    operator.lies().show_log("bob", invented.log.head(), entries.iter().map(Vec::as_slice));
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
    operator.deliver((&phone.user, phone.device()), device, &talk.say("hello"));
    alice.hears("@bob", "bob", "hello");

    // the phone revokes the tablet; the server takes the entry, shows it to nobody, and lets the phone speak on
    let revoking = phone.entry_revoking(tablet.device());
    phone.log.extend(&[&revoking]).unwrap();
    talk.heads.own = phone.log.head();
    operator.deliver((&phone.user, phone.device()), device, &talk.say("my tablet is lost"));
    alice.hears("@bob", "bob", "my tablet is lost");
    later(&mut alice, "+61s");
    alice.event("that a part of the log is kept back", is("identity.log_withheld"));
    assert_eq!(alice.call("identity.get", json!({"user": "bob"})).unwrap()["state"], "tofu", "bob has done no wrong");
}
