//! What is derived from pinned account logs says what they say, and however long a log is, its account costs nobody more.

use std::time::Duration;

use chat_protocol::fixtures::{counts, device_keys};
use chat_protocol::ids::SessionId;
use chat_protocol::message::Envelope;
use chatd::engine::peers;
use chatd::store::{Rows, Table};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::world::{BEGIN, World, acquainted};

/// Devices that came and went: of as many as there can be, few enough for a test.
const PAIRS: u64 = 20;

/// Everything that was derived from pins.
const DERIVED: [&[u8]; 3] = [b"devices", b"head:bob", b"revoked:bob"];

impl World {
    /// A device comes into the account of `who` and goes, again and again.
    fn lengthen_log(&mut self, who: usize) {
        let (user, keys) = (self.name(who), device_keys(7));
        for n in 0..PAIRS {
            let mut rng = StdRng::seed_from_u64(n);
            let cert = keys.certify(&user, BEGIN + Duration::from_millis(n + 1)).unwrap();
            let acceptance = keys.accept(&self.log_of(who).fingerprint(), &cert, &mut rng);
            self.write_log(who, |log, author| log.add_device(author, &cert, acceptance, &mut rng));
            self.write_log(who, |log, author| log.revoke_devices(author, vec![cert.id()], &mut rng));
        }
    }

    /// Rows that `who` reads, logs that are replayed, and entries that are read, while `work` is done.
    fn costs(&mut self, who: usize, work: impl FnOnce(&mut Self)) -> [u64; 3] {
        let before = self.nodes[who].rows.rows_read();
        let ((), passes) = counts::during(|| {
            work(self);
            self.settle();
        });
        let rows = self.nodes[who].rows.rows_read() - before;
        [rows, passes.read("account_log::AccountLog"), passes.read("entry::Entry")]
    }
}

/// Alice, bob and carol; alice knows both, and bob's log is long.
fn a_long_log() -> (World, usize, [usize; 2]) {
    let (mut world, alice, bob) = acquainted();
    let carol = world.user("carol");
    world.settle();
    world.send(alice, carol, "hello");
    world.settle();
    world.send(carol, alice, "hello");
    world.settle();
    world.lengthen_log(bob);
    world.settle();
    world.send(bob, alice, "my log is long");
    world.calm();
    assert_eq!(peers::table_of(&world.nodes[alice].rows, &world.name(bob)).unwrap().unwrap().head.seq, 2 * PAIRS);
    (world, alice, [bob, carol])
}

/// On no session there is.
fn worthless(n: u8) -> Envelope {
    let header = device_keys(0).agreement.public_key().as_bytes().to_vec();
    Envelope { sid: SessionId::new([n; 16]), header: header.into(), token: vec![n; 64].into(), init: None }
}

#[test]
fn atk_83_an_envelope_of_an_account_with_a_long_log_costs_what_any_costs() {
    let (mut world, alice, [bob, carol]) = a_long_log();
    let mut cost = |from| world.costs(alice, |world| world.deliver(from, alice, worthless(1)));
    // what is due besides is due with the first ones
    let [_, _, long, short] = [bob, carol, bob, carol].map(&mut cost);
    assert_eq!(long, short, "rows, logs and entries that are read");
    assert_eq!(long[1..], [0, 0]);
    let [long, short] = [bob, carol].map(|from| world.costs(alice, |world| _ = world.send(from, alice, "hi")));
    assert_eq!((&long[1..], &short[1..]), (&[0, 0][..], &[0, 0][..]));
    let [long, short] = [bob, carol].map(|to| world.costs(alice, |world| _ = world.send(alice, to, "hi")));
    assert_eq!((&long[1..], &short[1..]), (&[0, 0][..], &[0, 0][..]));
}

#[test]
fn tables_of_pins_that_an_earlier_version_stored_are_derived_when_the_engine_begins() {
    let (mut world, alice, [bob, _]) = a_long_log();
    let rows = &mut world.nodes[alice].rows;
    for scope in DERIVED {
        rows.delete_range(Table::Peers, scope, 0..=u64::MAX).unwrap();
    }
    assert!(peers::table_of(rows, &"bob".parse().unwrap()).unwrap().is_some(), "whoever looks before that finds it");
    world.crash(alice);
    world.settle();
    world.nodes[alice].assert_tables_follow_their_pins();
    world.send(bob, alice, "still there?");
    world.settle();
    assert_eq!(world.inbox(alice).last().unwrap(), "bob: still there?");
}
