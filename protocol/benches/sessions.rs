//! What a message costs the ratchet, and what beginning a session costs both devices.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark's values are its own, and it needs a part of what tests have"
)]

#[path = "../tests/e2e/common.rs"]
mod common;

use chat_protocol::session::ratchet::{Sealed, Session};
use divan::Bencher;

use crate::common::{Device, session_pair};

/// A message as it is padded.
const CONTENT: [u8; 256] = [1; 256];

fn main() {
    divan::main();
}

/// Two ends in the middle of a talk.
fn warm() -> (Session, Session) {
    let (mut alice, mut bob) = session_pair(true);
    let hello = alice.seal("hello");
    bob.open(&hello).unwrap();
    let answer = bob.seal("hi");
    alice.open(&answer).unwrap();
    (alice.session, bob.session)
}

fn open(session: &mut Session, Sealed { header, token }: &Sealed) {
    *session = session.open(header, token, None, &mut rand::rng()).unwrap().session;
}

/// A message of somebody who goes on talking: no new ratchet key.
#[divan::bench]
fn message(bencher: Bencher<'_, '_>) {
    let (mut alice, mut bob) = warm();
    bencher.bench_local(|| {
        let sealed = alice.seal(&CONTENT).unwrap();
        open(&mut bob, &sealed);
    });
}

/// A message and its answer: each comes with a new ratchet key.
#[divan::bench]
fn turn(bencher: Bencher<'_, '_>) {
    let (mut alice, mut bob) = warm();
    bencher.bench_local(|| {
        let sealed = alice.seal(&CONTENT).unwrap();
        open(&mut bob, &sealed);
        let answer = bob.seal(&CONTENT).unwrap();
        open(&mut alice, &answer);
    });
}

/// From a bundle that was verified to an INIT.
#[divan::bench]
fn init_made(bencher: Bencher<'_, '_>) {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    bencher.with_inputs(|| bob.bundle(true)).bench_local_refs(|bundle| alice.begin_with(&bob, bundle));
}

/// From an INIT to its session, the RSA share included, which a daemon opens off its loop.
#[divan::bench]
fn init_accepted(bencher: Bencher<'_, '_>) {
    let (alice, bob) = (Device::new("alice", 0), Device::new("bob", 1));
    let init = alice.begin(&bob, true).init;
    bencher.bench_local(|| bob.answer(&init, alice.log()).unwrap());
}
