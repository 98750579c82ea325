//! States of a device that are old, copied, stolen, or of another time.

use std::collections::BTreeSet;

use chat_protocol::ids::DeviceId;
use chat_protocol::message::Envelope;
use chat_protocol::message::server::LoggedIn;
use chat_stories::Person;

use crate::cast::{acquainted, copy, count, get_on, is, tell};
use crate::operator::Operator;

fn last(operator: &Operator, to: DeviceId) -> Envelope {
    operator.seen().envelopes(to).pop().expect("a message was sent")
}

/// How often each line is in a chat, at most.
fn most_often(person: &mut Person, chat: &str) -> usize {
    let history = person.history(chat);
    history.iter().map(|line| history.iter().filter(|other| *other == line).count()).max().unwrap_or(0)
}

#[test]
fn atk_51_yesterdays_state_is_noticed_and_its_sessions_are_renewed_in_one_round_trip() {
    let operator = Operator::open();
    let (mut alice, mut bob) = acquainted(&operator);
    let yesterday = operator.stranger("alice", "yesterday");
    alice.stop();
    copy(&alice.data(), &yesterday.data());
    alice.start();
    alice.turns("online");
    // bob says nothing meanwhile: what came to the later state is missing in yesterday's, and waited for like any gap
    for _ in 0..3 {
        tell(&mut alice, &mut bob);
    }
    let to = operator.device("bob");
    let old = last(&operator, to).sid;
    alice.stop();
    std::fs::rename(alice.data(), operator.stranger("alice", "today").data()).unwrap();
    copy(&yesterday.data(), &alice.data());

    let mut alice = operator.newcomer("alice", "alice");
    alice.turns("online");
    alice.says("that its state is old", |line| line.contains("WARN") && line.contains("later states"));
    get_on(&mut alice, &mut bob);
    let first = operator.seen().envelopes(to).into_iter().rfind(|envelope| envelope.init.is_some()).unwrap();
    assert_ne!(first.sid, old, "the old session is not sent on");
    get_on(&mut alice, &mut bob);
    let next = last(&operator, to);
    assert_eq!((next.sid, next.init), (first.sid, None), "after one round trip the new one stands");
    assert_eq!((most_often(&mut alice, "@bob"), most_often(&mut bob, "@alice")), (1, 1), "nothing is shown twice");
    assert_eq!(count(&bob, "message.undecryptable"), 0);
}

#[test]
fn atk_51_a_server_that_only_claims_later_states_has_sessions_renewed_once_a_day() {
    let operator = Operator::open();
    let (mut alice, mut bob) = acquainted(&operator);
    get_on(&mut alice, &mut bob);
    let (device, to) = (operator.device("alice"), operator.device("bob"));
    let mut sids = BTreeSet::from([last(&operator, to).sid]);
    for claimed in [1_000, 2_000, 3_000] {
        let claim = move |truth: LoggedIn| LoggedIn { submit_counter: truth.submit_counter + claimed, ..truth };
        operator.lies().claims.insert(device, Box::new(claim));
        operator.reconnect(&mut alice);
        get_on(&mut alice, &mut bob);
        sids.insert(last(&operator, to).sid);
    }
    assert_eq!(sids.len(), 2, "the one there was, and one more");
    assert_eq!((most_often(&mut alice, "@bob"), most_often(&mut bob, "@alice")), (1, 1));
}

#[test]
fn atk_47_a_stolen_state_opens_nothing_that_was_sealed_after_a_round_trip() {
    let operator = Operator::open();
    let (mut alice, mut bob) = acquainted(&operator);
    get_on(&mut alice, &mut bob);
    let to = operator.device("bob");
    bob.stop();
    copy(&bob.data(), &operator.stranger("bob", "thief").data());
    bob.start();
    bob.turns("online");
    alice.send("@bob", "before the round trip");
    bob.hears("@alice", "alice", "before the round trip");
    let before = last(&operator, to);
    get_on(&mut alice, &mut bob);
    get_on(&mut alice, &mut bob);
    alice.send("@bob", "after the round trip");
    bob.hears("@alice", "alice", "after the round trip");
    let after = last(&operator, to);
    bob.stop();

    let mut thief = operator.newcomer("bob", "thief");
    thief.turns("online");
    for recorded in [&after, &before] {
        operator.deliver((&"alice".parse().unwrap(), operator.device("alice")), to, recorded);
    }
    thief.hears("@alice", "alice", "before the round trip");
    thief.event("that a message does not open", is("message.undecryptable"));
    assert!(!thief.history("@alice").contains(&"alice: after the round trip".to_owned()));
}

#[test]
fn atk_55_clocks_ten_years_and_an_hour_wrong_open_every_message() {
    let operator = Operator::open();
    let mut people = [("alice", "+10y"), ("bob", "-10y"), ("carol", "+1h")].map(|(name, clock)| {
        let mut person = operator.stranger(name, name);
        person.set_clock(clock);
        operator.registered(person)
    });
    for _ in 0..2 {
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let [one, other] = people.get_disjoint_mut([one, other]).unwrap();
            get_on(one, other);
        }
    }
    for person in &mut people[..2] {
        person.event("that its clock is wrong", is("clock_skew"));
    }
    for person in &people {
        assert_eq!(count(person, "message.undecryptable") + count(person, "message.missing"), 0);
    }
}
