//! First messages, repeated and forged.

use chat_protocol::crypto::kdf::{hash, put_prefixed};
use chat_protocol::crypto::labels::Label;
use chat_protocol::ids::SessionId;
use chat_protocol::message::{Blob, Envelope};
use chat_server::store::TakenBundle;

use crate::cast::{get_on, later};
use crate::operator::Operator;
use crate::puppet::Puppet;

#[test]
fn atk_35_a_first_message_that_comes_again_begins_and_shows_nothing() {
    let operator = Operator::open();
    let (mut alice, mut bob, mut carol) = (operator.member("alice"), operator.member("bob"), operator.member("carol"));
    let device = operator.device("bob");
    alice.send("@bob", "with a one-time key");
    bob.hears("@alice", "alice", "with a one-time key");
    let bundle = operator.bundle(device);
    operator.lies().bundles.insert(device, TakenBundle { one_time: None, ..bundle });
    carol.send("@bob", "without one");
    bob.hears("@carol", "carol", "without one");
    let firsts = operator.seen().envelopes(device);
    assert_eq!(firsts.len(), 2);

    let again = || {
        for (name, first) in ["alice", "carol"].into_iter().zip(&firsts) {
            let from = name.parse().unwrap();
            operator.deliver((&from, operator.device(name)), device, first);
            let elsewhere = Envelope { sid: SessionId::new([7; 16]), ..first.clone() };
            operator.deliver((&from, operator.device(name)), device, &elsewhere);
        }
    };
    again();
    get_on(&mut alice, &mut bob);
    for clock in ["+0", "+25h"] {
        later(&mut bob, clock);
        again();
        get_on(&mut carol, &mut bob);
    }
    get_on(&mut alice, &mut bob);
    for (chat, text) in [("@alice", "alice: with a one-time key"), ("@carol", "carol: without one")] {
        let history = bob.history(chat);
        assert_eq!(history.iter().filter(|line| *line == text).count(), 1, "{history:?}");
    }
    operator.settled(device);
}

/// How many of each kind come.
const FLOOD: usize = 1_000;

/// Puts another RSA ciphertext into an INIT and gives the envelope the session id that follows from it.
fn with_share(mut envelope: Envelope, parts: &[&[u8]], ciphertext: &[u8]) -> Envelope {
    let mut init = envelope.init.take().unwrap().0;
    // field 9, a byte string of 384 bytes
    let at = init.windows(4).position(|window| window == [0x09, 0x59, 0x01, 0x80]).unwrap() + 4;
    init[at..at + 384].copy_from_slice(ciphertext);
    let mut transcript = Vec::new();
    put_prefixed(&mut transcript, &init);
    parts.iter().for_each(|part| put_prefixed(&mut transcript, part));
    let sid = hash(Label::Sid, &[&hash(Label::Init, &[&transcript])]);
    Envelope { sid: SessionId::try_from(&sid[..16]).unwrap(), init: Some(Blob(init)), ..envelope }
}

#[test]
fn atk_36_a_flood_of_first_messages_is_acknowledged_all_alike_and_opened_at_its_pace() {
    let operator = Operator::open();
    let (mut alice, mut bob) = (operator.member("alice"), operator.member("bob"));
    let mallory = Puppet::new("mallory", 0);
    operator.enrol(&mallory);
    let (log, device) = (operator.log("bob"), operator.device("bob"));
    let bundle = TakenBundle { one_time: None, ..operator.bundle(device) };
    let cert = log.active(&device).unwrap();
    let publics = crate::puppet::prekeys_of(&bundle);
    let parts = [mallory.cert.bytes(), cert.bytes(), &publics.0, &publics.1, &[]];
    let encrypt = |text: &[u8]| cert.encryption().encrypt(text, &mut rand::rng()).unwrap();
    let random = |first: u8| -> Vec<u8> { std::iter::once(first).chain((1..384).map(|_| rand::random())).collect() };

    let from = (&mallory.user, mallory.device());
    operator.deliver(from, device, &mallory.begin(&log, device, &bundle).say("once"));
    bob.hears("@mallory", "mallory", "once");
    let kinds = |n| {
        let valid = mallory.begin(&log, device, &bundle).say(&format!("flood {n}"));
        [
            with_share(valid.clone(), &parts, &random(0)),
            with_share(valid.clone(), &parts, &random(0xff)),
            with_share(valid.clone(), &parts, &encrypt(b"forty-three bytes, which are no Fernet key.")),
            with_share(valid.clone(), &parts, &encrypt(&[b'!'; 44])),
            valid,
        ]
    };
    operator.deliver_all(from, device, &(0..FLOOD).flat_map(kinds).collect::<Vec<_>>());
    // all of it was handed over before this
    alice.send("@bob", "may i?");
    bob.hears("@alice", "alice", "may i?");
    get_on(&mut alice, &mut bob);
    operator.settled(device);
    let shown = bob.history("@mallory");
    assert!(shown.len() <= 8, "8 at once, 4 a minute, most of which open nothing: {shown:?}");
}
