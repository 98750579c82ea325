//! Connections that die without a word, servers that go and come back, machines that sleep.
//!
//! What a promise gives in seconds is measured and printed; what is asserted leaves room for a busy machine, and none
//! for the timer that would have done it otherwise.

#![expect(clippy::print_stdout, reason = "the figures are part of the story")]

use std::time::{Duration, Instant};

use chat_stories::wire::Wire;
use chat_stories::{Person, Stage};
use serde_json::{Value, json};

/// A half-open connection is noticed within this time.
const NOTICED: Duration = Duration::from_secs(45);
/// What a busy machine adds.
const BUSY: Duration = Duration::from_secs(10);

/// A stage, a wire to its server, alice behind the wire, and bob beside it.
fn wired() -> (Stage, Wire, Person, Person) {
    let stage = Stage::open();
    let wire = Wire::to(stage.server.address());
    let invite = stage.server.admin(&["invite", "--public", wire.address()]).success();
    let mut alice = stage.newcomer("alice");
    let _ = alice.enter("register", invite.trim()).success();
    alice.turns("online");
    let bob = stage.member("bob");
    (stage, wire, alice, bob)
}

/// Does something, and tells how long it took until the connection was lost and there again.
fn until_back(person: &mut Person, what: &str, act: impl FnOnce(&mut Person)) -> Duration {
    let mut seen = person.events().len();
    let began = Instant::now();
    act(person);
    for state in ["offline", "online"] {
        let is_it = |event: &Value| event["type"] == "connection" && event["data"]["state"] == state;
        person.later(&format!("to be {state}"), seen, is_it);
        seen = person.events().len();
        println!("{what}: {state} after {:.1} s", began.elapsed().as_secs_f64());
    }
    began.elapsed()
}

fn health(person: &mut Person) -> Value {
    person.call("daemon.health", json!({})).expect("health")
}

#[test]
fn a_connection_that_died_without_a_word_is_noticed_and_replaced() {
    let (_stage, wire, mut alice, mut bob) = wired();
    let took = until_back(&mut alice, "half-open", |_| wire.forget());
    assert!(took < NOTICED + BUSY, "{took:?}");
    bob.send("@alice", "still there?");
    alice.hears("@bob", "bob", "still there?");
}

#[test]
fn a_kick_does_not_wait_for_the_timer() {
    let (_stage, wire, mut alice, mut bob) = wired();
    let before = health(&mut alice)["connection"].clone();
    assert!(before["last_rx_ms"].as_u64() >= before["since_ms"].as_u64().map(|since| since - 1_000), "{before}");
    assert!(before["rtt_ms"].is_u64(), "{before}");
    let took = until_back(&mut alice, "kicked", |alice| {
        wire.forget();
        alice.call("net.kick", json!({})).expect("anyone may");
    });
    assert!(took < BUSY, "{took:?}");
    bob.send("@alice", "back already?");
    alice.hears("@bob", "bob", "back already?");
}

#[test]
fn a_server_that_is_back_is_found_although_the_waits_have_grown() {
    let (mut stage, _wire, mut alice, _bob) = wired();
    stage.server.stop();
    let mut seen = alice.events().len();
    // the wait before each try is twice the one before, until it is as long as it gets
    for _ in 0..6 {
        alice.later("to fail", seen, |event| event["data"]["state"] == "offline");
        seen = alice.events().len();
    }
    stage.server.start();
    let began = Instant::now();
    alice.later("to be online", seen, |event| event["data"]["state"] == "online");
    let took = began.elapsed();
    println!("back after {:.1} s", took.as_secs_f64());
    assert!(took < Duration::from_secs(15) + BUSY, "{took:?}");
}

#[test]
fn a_machine_that_slept_finds_out_at_once_that_it_was_forgotten() {
    let (_stage, wire, mut alice, mut bob) = wired();
    alice.stop();
    alice.set_clock("+0s");
    alice.start();
    alice.turns("online");
    for (what, cut, clock) in [("forgotten", false, "+10s"), ("cut off", true, "+20s")] {
        let text = format!("written while you were {what}");
        alice.freeze(true);
        if cut {
            wire.cut()
        } else {
            wire.forget()
        }
        let id = bob.send("@alice", &text);
        bob.sees(&id, "accepted");
        // the night: the clock goes on, and no timer does
        alice.set_clock(clock);
        let began = Instant::now();
        alice.freeze(false);
        alice.hears("@bob", "bob", &text);
        println!("slept, {what}: heard after {:.1} s", began.elapsed().as_secs_f64());
        assert!(began.elapsed() < BUSY, "{:?}", began.elapsed());
        bob.sees(&id, "delivered");
    }
}
