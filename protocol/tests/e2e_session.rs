//! Sessions between two devices, and what a server or a thief tries on them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod e2e_common;

use chat_protocol::session::ratchet::Session;
use e2e_common::session_pair;

#[test]
fn first_message_opens_with_and_without_a_one_time_key() {
    for with_one_time in [true, false] {
        let (mut alice, mut bob) = session_pair(with_one_time);
        let hello = alice.seal("hello");
        assert_eq!(bob.open(&hello).unwrap(), "hello");
        let answer = bob.seal("hi");
        assert_eq!(alice.open(&answer).unwrap(), "hi");
    }
}

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
