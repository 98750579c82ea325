//! What sessions begin with, as the server hands it out.

use std::time::Duration;

use chat_protocol::fixtures::device_keys;
use chat_protocol::ids::SessionId;
use chat_protocol::limits::MAX_ONE_TIME_KEYS;
use chat_protocol::message::{Blob, Envelope};
use chat_protocol::session::init::Init;
use chat_server::store::TakenBundle;

use crate::cast::{get_on, tell};
use crate::lies::Seen;
use crate::operator::{Operator, now};
use crate::puppet::Puppet;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The one-time key the first message of a session names.
fn one_time_of(envelope: &Envelope) -> Option<chat_protocol::ids::KeyHash> {
    Init::read(envelope.init.as_ref().expect("a first message")).unwrap().one_time()
}

#[test]
fn atk_31_no_session_begins_from_a_bundle_that_is_not_the_devices_own_and_fresh() {
    let operator = Operator::open();
    let mut alice = operator.member("alice");
    let peers = ["expired", "tomorrow", "other", "swapped", "unlisted"].map(|name| Puppet::new(name, 0));
    peers.iter().for_each(|peer| operator.enrol(peer));
    let [expired, tomorrow, other, swapped, unlisted] = &peers;
    let good = |peer: &Puppet| peer.bundle(2, now(), &peer.keys);
    for (peer, handed_out) in [
        (expired, expired.bundle(2, now() - 31 * DAY, &expired.keys)),
        (tomorrow, tomorrow.bundle(2, now() + DAY, &tomorrow.keys)),
        (other, good(expired)),
        // prekeys of the server's own, which it can only sign with a key of its own
        (swapped, swapped.twin(swapped.log.clone()).bundle(2, now(), &device_keys(5))),
        (unlisted, TakenBundle { one_time: Some(expired.one_time(1)), ..good(unlisted) }),
    ] {
        operator.lies().bundles.insert(peer.device(), handed_out);
    }
    for peer in &peers {
        let (to, device) = (format!("@{}", peer.user), peer.device().to_string());
        alice.send(&to, "hello");
        alice.says("that it does not use the bundle", |line| line.contains("WARN") && line.contains(&device));
        assert!(operator.seen().envelopes(peer.device()).is_empty(), "{to}");
    }
    for peer in &peers {
        operator.lies().bundles.insert(peer.device(), good(peer));
    }
    operator.reconnect(&mut alice);
    for peer in &peers {
        let sealed = operator.until("a message for the peer", |seen| seen.envelopes(peer.device()).pop());
        assert!(peer.read(&sealed, &operator.log("alice")).is_some(), "a good bundle is used: {}", peer.user);
    }
}

#[test]
fn atk_31_an_older_bundle_than_one_seen_before_is_not_used() {
    let operator = Operator::open();
    let mut alice = operator.member("alice");
    let bob = Puppet::new("bob", 0);
    operator.enrol(&bob);
    let device = bob.device();
    operator.lies().bundles.insert(device, bob.bundle(2, now(), &bob.keys));
    alice.send("@bob", "hello");
    operator.until("a message for bob", |seen| seen.envelopes(device).pop());

    operator.lies().bundles.insert(device, bob.bundle(1, now(), &bob.keys));
    for n in 0..3 {
        let nonsense =
            Envelope { sid: SessionId::new([n; 16]), header: Blob(vec![0; 40]), token: Blob(vec![0; 100]), init: None };
        operator.deliver((&bob.user, device), operator.device("alice"), &nonsense);
    }
    let id = device.to_string();
    alice.says("that it does not use the bundle", |line| line.contains("WARN") && line.contains(&id));
    assert_eq!(operator.seen().bundles.iter().filter(|asked| **asked == device).count(), 2);
    assert_eq!(operator.seen().envelopes(device).len(), 1, "nothing was begun from it");
}

#[test]
fn atk_31_a_one_time_key_handed_out_twice_opens_once_and_what_it_did_not_open_is_asked_for_again() {
    let operator = Operator::open();
    let (mut alice, mut bob, mut carol) = (operator.member("alice"), operator.member("bob"), operator.member("carol"));
    let device = operator.device("bob");
    let handed_out = operator.bundle(device);
    assert!(handed_out.one_time.is_some());
    operator.lies().bundles.insert(device, handed_out);

    alice.send("@bob", "first");
    bob.hears("@alice", "alice", "first");
    let second = carol.send("@bob", "second");
    carol.sees(&second, "accepted");
    get_on(&mut alice, &mut bob);
    operator.settled(device);
    let sealed = operator.seen().envelopes(device);
    assert_eq!(one_time_of(&sealed[0]), one_time_of(&sealed[1]), "both began from the same key");
    bob.hears("@carol", "carol", "second");
    let again = operator.seen().envelopes(device);
    let begun = [sealed[0].sid, sealed[1].sid];
    assert!(again.iter().any(|envelope| !begun.contains(&envelope.sid)), "it was said again, on a session of bob's");
}

#[test]
fn atk_56_sessions_begin_without_one_time_keys_and_those_come_back() {
    let operator = Operator::open();
    let (mut alice, mut bob, mut carol) = (operator.member("alice"), operator.member("bob"), operator.member("carol"));
    let device = operator.device("bob");
    while operator.bundle(device).one_time.is_some() {}

    alice.send("@bob", "without");
    bob.hears("@alice", "alice", "without");
    get_on(&mut alice, &mut bob);
    assert_eq!(one_time_of(&operator.seen().envelopes(device)[0]), None);

    operator.reconnect(&mut bob);
    operator
        .until("a new bundle", |seen| (seen.published.iter().filter(|own| **own == device).count() > 1).then_some(()));
    let with = carol.send("@bob", "with");
    carol.sees(&with, "delivered");
    let last = operator.seen().envelopes(device).into_iter().rfind(|envelope| envelope.init.is_some());
    assert!(one_time_of(&last.unwrap()).is_some(), "bob made new ones");
}

#[test]
fn atk_56_who_draws_one_time_keys_is_limited_and_a_session_that_began_without_one_is_succeeded_by_one_with() {
    let operator = Operator::with_limits();
    let (mut alice, mut bob) = (operator.member("alice"), operator.member("bob"));
    let (user, device) = (bob.name().parse().unwrap(), operator.device("bob"));
    let drawn = ["mallory", "accomplice", "another"].into_iter().enumerate().map(|(n, name)| {
        let puppet = Puppet::new(name, n);
        operator.enrol(&puppet);
        operator.draws_keys(&puppet, &user, device)
    });
    assert_eq!(drawn.collect::<Vec<_>>(), [10, 10, 4], "ten for each device, 24 of one");
    assert_eq!(operator.keys_left(device), MAX_ONE_TIME_KEYS - 24, "they are not used up");

    alice.send("@bob", "without");
    bob.hears("@alice", "alice", "without");
    get_on(&mut alice, &mut bob);
    assert_eq!(one_time_of(&operator.seen().envelopes(device)[0]), None);

    // a session lasts a month; then whoever writes first begins another. Of the time a daemon does not run a day counts
    operator.passes(31 * DAY);
    for (person, days) in [(&mut alice, 24..=31), (&mut bob, 1..=31)] {
        for day in days {
            person.stop();
            person.set_clock(&format!("+{day}d"));
            person.start();
        }
        person.turns("online");
    }
    let begun = |seen: &Seen| {
        let mut inits = seen.envelopes(operator.device("alice")).into_iter().filter(|envelope| envelope.init.is_some());
        inits.next()
    };
    tell(&mut bob, &mut alice);
    tell(&mut bob, &mut alice);
    let successor = operator.until("a session of bob's", begun);
    assert!(one_time_of(&successor).is_some());
    get_on(&mut alice, &mut bob);
}
