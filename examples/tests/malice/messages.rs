//! Messages on their way, in the hands of whoever carries them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use chat_protocol::ids::DeviceId;
use chat_protocol::message::Envelope;
use chat_stories::Person;
use serde_json::json;

use crate::cast::{acquainted, count, flip, get_on, is, later};
use crate::lies::Seen;
use crate::operator::Operator;

/// The last message for a device.
fn last(operator: &Operator, to: DeviceId) -> Envelope {
    operator.seen().envelopes(to).pop().expect("a message was sent")
}

/// Delivers in the name of somebody's one device.
fn deliver(operator: &Operator, from: &str, to: DeviceId, envelope: &Envelope) {
    operator.deliver((&from.parse().unwrap(), operator.device(from)), to, envelope);
}

fn does_not_open(person: &mut Person, times: usize) {
    while count(person, "message.undecryptable") < times {
        let known = person.events().len();
        person.later("that a message does not open", known, is("message.undecryptable"));
    }
}

#[test]
fn atk_40_a_message_delivered_to_its_author_or_somebody_else_opens_nowhere() {
    let operator = Operator::open();
    let (mut alice, mut bob) = acquainted(&operator);
    let mut carol = operator.member("carol");
    let (a, b, c) = (operator.device("alice"), operator.device("bob"), operator.device("carol"));
    bob.send("@alice", "for alice");
    alice.hears("@bob", "bob", "for alice");
    let sealed = last(&operator, a);
    deliver(&operator, "bob", b, &sealed);
    deliver(&operator, "alice", b, &sealed);
    deliver(&operator, "alice", a, &sealed);
    deliver(&operator, "carol", a, &sealed);
    deliver(&operator, "bob", c, &sealed);
    does_not_open(&mut bob, 2);
    does_not_open(&mut alice, 2);
    does_not_open(&mut carol, 1);
    get_on(&mut alice, &mut bob);
    assert!(carol.history("@bob").is_empty() && carol.history("@alice").is_empty());
    assert_eq!(alice.history("@bob").len(), 4);
}

#[test]
fn atk_42_old_spliced_and_repeated_messages_are_shown_once_or_not_at_all() {
    let operator = Operator::open();
    let (mut alice, mut bob) = acquainted(&operator);
    let to = operator.device("bob");
    bob.send("@alice", "so that the next one is no first message");
    alice.hears("@bob", "bob", "so that the next one is no first message");
    alice.send("@bob", "one");
    bob.hears("@alice", "alice", "one");
    let one = last(&operator, to);
    alice.send("@bob", "two");
    bob.hears("@alice", "alice", "two");
    let two = last(&operator, to);
    for replayed in [&one, &two, &Envelope { header: one.header.clone(), ..two.clone() }] {
        deliver(&operator, "alice", to, replayed);
    }
    does_not_open(&mut bob, 3);
    get_on(&mut alice, &mut bob);
    bob.stop();
    bob.start();
    bob.turns("online");
    deliver(&operator, "alice", to, &one);
    does_not_open(&mut bob, 4);
    get_on(&mut alice, &mut bob);
    let history = bob.history("@alice");
    assert_eq!(history.iter().filter(|line| *line == "alice: one").count(), 1, "{history:?}");
    assert_eq!(history.iter().filter(|line| *line == "alice: two").count(), 1, "{history:?}");
}

/// How many sessions were begun with a device.
fn begun(seen: &Seen, to: DeviceId) -> usize {
    let firsts = seen.envelopes(to).into_iter().filter(|envelope| envelope.init.is_some());
    firsts.map(|envelope| envelope.sid).collect::<BTreeSet<_>>().len()
}

#[test]
fn atk_50_while_nothing_opens_each_side_begins_anew_once_an_hour_and_no_loop_starts() {
    let operator = Operator::open();
    let (mut alice, mut bob) = acquainted(&operator);
    get_on(&mut alice, &mut bob);
    let (a, b) = (operator.device("alice"), operator.device("bob"));
    let begun = |seen: &Seen| begun(seen, a) + begun(seen, b);
    let before = begun(&operator.seen());
    for device in [a, b] {
        operator.lies().tampered.insert(device, Box::new(|envelope| vec![flip(envelope)]));
    }
    for n in 0..5 {
        for (from, to) in [(&mut alice, "@bob"), (&mut bob, "@alice")] {
            let id = from.send(to, &format!("lost {n}"));
            from.sees(&id, "accepted");
        }
    }
    does_not_open(&mut bob, 3);
    operator.until("a new beginning", |seen| (begun(seen) > before).then_some(()));
    // whatever would follow by itself has followed when these were answered
    for person in [&mut alice, &mut bob] {
        operator.reconnect(person);
    }
    [a, b].iter().for_each(|device| operator.settled(*device));
    assert!(begun(&operator.seen()) <= before + 2, "one each");
    let sent = operator.seen().submits.len();
    assert!(sent < 40, "{sent} submits for 12 messages");

    operator.lies().tampered.clear();
    let known = [a, b].map(|to| (to, operator.seen().envelopes(to).len()));
    for (from, to) in [(&mut alice, "@bob"), (&mut bob, "@alice")] {
        from.send(to, "at last");
    }
    // it opens, which a receipt says, and is shown once those before it are given up
    for (to, known) in known {
        operator.until("text and receipt", |seen| (seen.envelopes(to).len() > known + 1).then_some(()));
    }
    for person in [&mut alice, &mut bob] {
        later(person, "+2m");
    }
    alice.hears("@bob", "bob", "at last");
    bob.hears("@alice", "alice", "at last");
}

#[test]
fn atk_52_texts_and_receipts_have_one_size() {
    let operator = Operator::open();
    let (mut alice, mut bob) = acquainted(&operator);
    let texts: Vec<_> = (1..=150).map(|n| json!({"to": "@bob", "text": "x".repeat(n)})).collect();
    let sent = alice.pipeline("msg.send", texts);
    let last = sent.last().unwrap().as_ref().unwrap()["id"].as_str().unwrap().to_owned();
    alice.sees(&last, "delivered");
    bob.call("chat.mark_read", json!({"to": "@alice"})).expect("what was read can be marked");
    alice.sees(&last, "read");
    let (to, back) = (operator.device("bob"), operator.device("alice"));
    let seen = operator.seen();
    let sizes: BTreeSet<_> =
        seen.envelopes(to).iter().chain(&seen.envelopes(back)).map(|envelope| envelope.token.len()).collect();
    assert!(seen.envelopes(to).len() > 150 && !seen.envelopes(back).is_empty());
    assert_eq!(sizes.len(), 1, "{sizes:?}");
}

#[test]
fn atk_49_both_begin_at_once_and_nothing_is_lost_or_repeated() {
    let operator = Operator::open();
    let (mut alice, mut bob) = (operator.member("alice"), operator.member("bob"));
    let (a, b) = (operator.device("alice"), operator.device("bob"));
    let held = Arc::new(Mutex::new(Vec::new()));
    for device in [a, b] {
        let held = Arc::clone(&held);
        operator.lies().tampered.insert(
            device,
            Box::new(move |envelope| {
                held.lock().unwrap().push((device, envelope));
                Vec::new()
            }),
        );
    }
    let mut ids = Vec::new();
    for n in 0..3 {
        for (from, to) in [(&mut alice, "@bob"), (&mut bob, "@alice")] {
            let id = from.send(to, &format!("at once {n}"));
            from.sees(&id, "accepted");
            ids.push(id);
        }
    }
    operator.lies().tampered.clear();
    for (to, envelope) in held.lock().unwrap().iter().rev() {
        let from = if *to == a { "bob" } else { "alice" };
        deliver(&operator, from, *to, envelope);
    }
    for n in 0..3 {
        alice.hears("@bob", "bob", &format!("at once {n}"));
        bob.hears("@alice", "alice", &format!("at once {n}"));
        alice.sees(&ids[2 * n], "delivered");
        bob.sees(&ids[2 * n + 1], "delivered");
    }
    get_on(&mut alice, &mut bob);
    for (person, chat) in [(&mut alice, "@bob"), (&mut bob, "@alice")] {
        let history = person.history(chat);
        assert_eq!(history.len(), 8, "{history:?}");
        assert_eq!(history.iter().collect::<BTreeSet<_>>().len(), 8, "{history:?}");
    }
}
