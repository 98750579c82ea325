//! The ratchet against loss, disorder, splicing, replay and theft.

use crate::common::{refuses, rng, session_pair};
use chat_protocol::crypto::agreement::PublicKey;
use chat_protocol::session::ratchet::{Header, OpenError, Sealed, Session};
use rand::RngExt;
use rand::seq::SliceRandom;

#[test]
fn responder_cannot_send_before_it_opened_a_message() {
    let (_, mut bob) = session_pair(true);
    assert!(bob.session.seal(b"early").is_err());
}

#[test]
fn sessions_survive_being_stored_at_every_step() {
    let (mut alice, mut bob) = session_pair(true);
    for turn in 0..20 {
        for end in [&mut alice, &mut bob] {
            let stored = minicbor::to_vec(&end.session).unwrap();
            assert_eq!(minicbor::decode::<Session>(&stored).unwrap(), end.session);
        }
        let sent = alice.seal(&turn.to_string());
        assert_eq!(bob.open(&sent).unwrap(), turn.to_string());
        std::mem::swap(&mut alice, &mut bob);
    }
}

#[test]
fn atk_41_header_or_session_spliced_between_messages_does_not_open() {
    let (mut alice, mut bob) = session_pair(true);
    let (mut other_alice, _) = session_pair(true);
    let (one, two, foreign) = (alice.seal("one"), alice.seal("two"), other_alice.seal("foreign"));
    refuses(&mut bob, &Sealed { header: two.header.clone(), token: one.token.clone() });
    refuses(&mut bob, &foreign);
    for byte in 0..one.header.len() {
        let mut header = one.header.clone();
        header[byte] ^= 1;
        refuses(&mut bob, &Sealed { header, token: one.token.clone() });
    }
    refuses(&mut bob, &Sealed { header: one.header[1..].to_vec(), token: one.token.clone() });
    assert_eq!(bob.open(&one).unwrap(), "one");
    assert_eq!(bob.open(&two).unwrap(), "two");
}

#[test]
fn atk_07_token_with_any_bit_flipped_does_not_open() {
    let (mut alice, mut bob) = session_pair(true);
    let sealed = alice.seal("hello");
    for bit in 0..sealed.token.len() * 8 {
        let mut token = sealed.token.clone();
        token[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(refuses(&mut bob, &Sealed { token, ..sealed.clone() }), OpenError::Token);
    }
    assert_eq!(bob.open(&sealed).unwrap(), "hello");
}

#[test]
fn atk_32_low_order_ratchet_keys_leave_the_state_untouched() {
    let (mut alice, mut bob) = session_pair(true);
    let sealed = alice.seal("hello");
    let mut header = Header::read(&sealed.header).unwrap();
    for point in low_order_points() {
        header.key = PublicKey::new(point);
        let forged = Sealed { header: header.to_bytes(), token: sealed.token.clone() };
        assert!(matches!(refuses(&mut bob, &forged), OpenError::Key(_)));
    }
    assert_eq!(bob.open(&sealed).unwrap(), "hello");
}

/// The points of small order and their non-canonical forms (RFC 7748 section 6.1, Bernstein's list).
fn low_order_points() -> Vec<[u8; 32]> {
    [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    .map(|point| hex::decode(point).unwrap().try_into().unwrap())
    .to_vec()
}

#[test]
fn atk_42_old_message_opens_once_only() {
    let (mut alice, mut bob) = session_pair(true);
    let old = alice.seal("once");
    assert_eq!(bob.open(&old).unwrap(), "once");
    refuses(&mut bob, &old);
    for _ in 0..10 {
        let answer = bob.seal("pong");
        alice.open(&answer).unwrap();
        let next = alice.seal("ping");
        bob.open(&next).unwrap();
    }
    refuses(&mut bob, &old);
    bob.session = minicbor::decode(&minicbor::to_vec(&bob.session).unwrap()).unwrap();
    refuses(&mut bob, &old);
}

#[test]
fn atk_43_five_hundred_messages_open_in_any_order() {
    let (mut alice, mut bob) = session_pair(true);
    let first = alice.seal("first");
    bob.open(&first).unwrap();
    let mut flight: Vec<_> = (0..500).map(|n| (n, alice.seal(&n.to_string()))).collect();
    flight.shuffle(&mut rng(43));
    for (n, sealed) in &flight {
        assert_eq!(bob.open(sealed).unwrap(), n.to_string());
    }
    assert!(bob.skipped.is_empty(), "used keys are gone");
}

#[test]
fn atk_43_gap_of_1001_is_rejected_and_the_session_goes_on() {
    let (mut alice, mut bob) = session_pair(true);
    let first = alice.seal("first");
    bob.open(&first).unwrap();
    let flight: Vec<_> = (0..=1001).map(|n| alice.seal(&n.to_string())).collect();
    assert_eq!(refuses(&mut bob, &flight[1001]), OpenError::TooFar);
    assert_eq!(bob.open(&flight[1000]).unwrap(), "1000");
    assert_eq!(bob.open(&flight[1001]).unwrap(), "1001");
    assert_eq!(bob.open(&flight[0]).unwrap(), "0");
}

#[test]
fn atk_44_skip_flood_over_many_chains_keeps_2000_keys_of_five_old_chains() {
    let (mut alice, mut bob) = session_pair(true);
    for _ in 0..5 {
        (0..900).for_each(|_| drop(alice.seal("lost")));
        let late = alice.seal("late");
        bob.open(&late).unwrap();
        assert!(bob.skipped.len() <= 2000, "{} keys", bob.skipped.len());
        let answer = bob.seal("answer");
        alice.open(&answer).unwrap();
    }
    for _ in 0..12 {
        (0..2).for_each(|_| drop(alice.seal("lost")));
        let late = alice.seal("late");
        bob.open(&late).unwrap();
        let answer = bob.seal("answer");
        alice.open(&answer).unwrap();
    }
    assert!(bob.skipped.len() <= 6 * 2, "{} keys of old chains", bob.skipped.len());
}

#[test]
fn atk_46_stolen_state_does_not_open_what_was_opened_before() {
    let (mut alice, mut bob) = session_pair(true);
    let before: Vec<_> = (0..20).map(|n| alice.seal(&n.to_string())).collect();
    before.iter().for_each(|sealed| drop(bob.open(sealed).unwrap()));
    let mut thief = bob.clone();
    assert!(before.iter().all(|sealed| thief.open(sealed).is_err()));
}

#[test]
fn atk_47_stolen_state_opens_nothing_after_a_round_trip() {
    let (mut alice, mut bob) = session_pair(true);
    let hello = alice.seal("hello");
    bob.open(&hello).unwrap();
    let mut thieves = [alice.clone(), bob.clone()];
    // a round trip after the theft: each side adds a key the thief has not seen
    for _ in 0..2 {
        let answer = bob.seal("answer");
        alice.open(&answer).unwrap();
        let next = alice.seal("next");
        bob.open(&next).unwrap();
    }
    let (from_alice, from_bob) = (alice.seal("secret"), bob.seal("secret"));
    for thief in &mut thieves {
        assert!(thief.open(&from_alice).is_err());
        assert!(thief.open(&from_bob).is_err());
    }
}

#[test]
fn random_two_way_schedules_with_loss_open_everything_once() {
    for seed in 0..8 {
        let mut dice = rng(seed);
        let (mut alice, mut bob) = session_pair(seed % 2 == 0);
        let hello = alice.seal("hello");
        bob.open(&hello).unwrap();
        let mut flight: [Vec<(String, Sealed)>; 2] = [vec![], vec![]];
        for step in 0..200 {
            let side = dice.random_range(0..2);
            let (from, to) = if side == 0 { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
            if dice.random_bool(0.6) {
                let text = format!("{side}:{step}");
                let sealed = from.seal(&text);
                if dice.random_bool(0.9) {
                    flight[side].push((text, sealed));
                }
            } else if !flight[side].is_empty() {
                let pick = dice.random_range(0..flight[side].len());
                let (text, sealed) = flight[side].swap_remove(pick);
                assert_eq!(to.open(&sealed), Ok(text), "seed {seed}, step {step}");
                refuses(to, &sealed);
            }
        }
    }
}
