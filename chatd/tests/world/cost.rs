//! What somebody has wait here costs nobody else: counted in what is read, not in time.

use std::time::Duration;

use chat_protocol::fixtures::counts;
use chat_protocol::message::Envelope;
use chat_protocol::message::server::{Deliver, Push};
use chatd::engine::{Local, kv};
use chatd::store::{Rows, Table};

use crate::inits::{MINUTES, another_log, begin, begin_as, say, undecryptable, waiting};
use crate::people::first_device;
use crate::world::{BEGIN, World, acquainted};

/// As many INITs of one device as may wait.
const MANY: u64 = 64;
/// Messages of the largest size that may wait of one account.
const LARGEST_OF_ONE: usize = 256;
/// Rows that any call may read more than another, by what happens to be due.
const HANDFUL: u64 = 8;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Rows, and of those envelopes and INITs, that a call reads which has nothing to do with anybody.
fn a_call(world: &mut World, who: usize) -> [u64; 3] {
    let before = world.nodes[who].rows.rows_read();
    let ((), passes) = counts::during(|| {
        let (scope, value) = ("bot".parse().unwrap(), serde_json::json!(1));
        world.command(who, |txn| kv::set(txn, (&scope, "key"), &value, None)).unwrap();
    });
    let rows = world.nodes[who].rows.rows_read() - before;
    [rows, passes.read("inbox::Raw"), passes.read("init::Body")]
}

/// A call reads what it did in peace, and a handful of rows besides, however many INITs wait.
fn assert_free(world: &mut World, who: usize, [rows, ..]: [u64; 3]) {
    let [now, envelopes, inits] = a_call(world, who);
    assert!(now < rows + HANDFUL, "{now} rows instead of {rows}");
    assert_eq!((envelopes, inits), (0, 0));
}

/// INITs of a device of bob's under identities that are not his.
fn made_up(world: &mut World, local: &Local, (bob, to): (usize, usize)) -> Vec<Envelope> {
    let other = another_log(world, local);
    let mut made = |n| {
        let mut begun = begin_as(world, local, to, &other);
        say(world, bob, &mut begun, n)
    };
    (1..=MANY).map(&mut made).collect()
}

/// Bob's other device, which no log lists: there may be one that does, so what it began waits.
fn flooded() -> (World, usize, [u64; 3]) {
    let (mut world, alice, bob) = acquainted();
    world.crash(alice);
    world.settle();
    a_call(&mut world, alice);
    let peace = a_call(&mut world, alice);
    let other = first_device(&world.name(bob), 5, BEGIN);
    let (from, last) = (world.name(bob), world.server.mailbox(world.nodes[alice].device).last);
    for (envelope, mailbox_seq) in made_up(&mut world, &other, (bob, alice)).into_iter().zip(last + 1..) {
        let deliver = Deliver { mailbox_seq, from: from.clone(), from_device: other.device, envelope };
        world.push(&world.nodes[alice].device.clone(), Push::Deliver(deliver.into()));
    }
    world.settle();
    world.advance(MINUTES);
    assert_eq!(waiting(&world, alice), MANY);
    (world, alice, peace)
}

#[test]
fn atk_82_inits_under_made_up_fingerprints_cost_other_calls_nothing_also_after_a_restart() {
    let (mut world, alice, peace) = flooded();
    assert_free(&mut world, alice, peace);
    world.crash(alice);
    let ((), start) = counts::during(|| world.settle());
    assert_eq!((start.read("inbox::Raw"), start.read("init::Body")), (0, 0), "{start:?}");
    // the first call builds what is kept beside the rows
    assert_eq!(a_call(&mut world, alice)[1..], [0, 0]);
    assert_free(&mut world, alice, peace);
    world.advance(DAY * 31);
    assert_eq!((waiting(&world, alice), undecryptable(&world, alice)), (0, MANY as usize), "each is told in the end");
}

#[test]
fn atk_82_inits_of_another_identity_than_the_pinned_one_are_read_twice_at_most() {
    let (mut world, alice, bob) = acquainted();
    let local = world.nodes[bob].local.clone();
    let envelopes = made_up(&mut world, &local, (bob, alice));
    let ((), passes) = counts::during(|| {
        envelopes.into_iter().for_each(|envelope| world.deliver(bob, alice, envelope));
        world.settle();
        world.advance(MINUTES);
    });
    assert!(passes.read("init::Body") <= MANY && passes.read("inbox::Raw") <= 2 * MANY, "{passes:?}");
    let lost = undecryptable(&world, alice);
    assert_eq!((waiting(&world, alice), lost), (0, MANY as usize), "his log lists the device, and no other will");
    assert_eq!(a_call(&mut world, alice)[1..], [0, 0]);
}

/// Messages of these sizes under one INIT of a stranger's device, which the log of the account does not list.
fn floods(world: &mut World, stranger: usize, alice: usize, sizes: &[usize]) {
    let other = first_device(&world.name(stranger), 9, BEGIN);
    let log = another_log(world, &other);
    let mut begun = begin_as(world, &other, alice, &log);
    let first = say(world, stranger, &mut begun, 1);
    let (from, last) = (world.name(stranger), world.nodes[alice].rows.count(Table::Inbox, b"raw").unwrap());
    for (bytes, mailbox_seq) in sizes.iter().zip(last + 1_000..) {
        let envelope = Envelope { token: vec![0; *bytes].into(), ..first.clone() };
        let deliver = Deliver { mailbox_seq, from: from.clone(), from_device: other.device, envelope };
        world.push(&world.nodes[alice].device.clone(), Push::Deliver(deliver.into()));
    }
    world.settle();
}

#[test]
fn atk_82_a_friends_message_gets_in_while_strangers_have_filled_their_part_of_what_may_wait() {
    let (mut world, alice, bob) = acquainted();
    let strangers: Vec<_> = (0..5).map(|nth| world.user(&format!("mallory{nth}"))).collect();
    let carol = world.user("carol");
    world.settle();
    let of_one = vec![64 * 1024; LARGEST_OF_ONE];
    for stranger in &strangers {
        floods(&mut world, *stranger, alice, &of_one);
    }
    let waits = waiting(&world, alice);
    assert!((950..1_024).contains(&waits), "64 MiB of five times 16: {waits}");
    // until what is left is less than any message with an INIT takes
    floods(&mut world, strangers[4], alice, &[0; 100]);
    let (waits, refused) = (waiting(&world, alice), undecryptable(&world, alice));
    // a session that begins waits until its share of the key is there
    let log = world.log_of(bob);
    let mut begun = begin(&mut world, bob, alice, &log);
    let friendly = say(&mut world, bob, &mut begun, 1);
    world.deliver(bob, alice, friendly);
    world.settle();
    assert_eq!((world.inbox(alice).last().unwrap().as_str(), undecryptable(&world, alice)), ("bob: 1", refused));
    world.send(carol, alice, "hi");
    world.settle();
    assert_eq!((waiting(&world, alice), undecryptable(&world, alice)), (waits, refused + 1), "hers found no room");
    assert_eq!(world.inbox(alice).last().unwrap(), "carol: hi", "and she was asked, which needs none");
}

#[test]
fn what_waits_in_a_store_of_an_earlier_version_is_listed_when_it_is_opened() {
    let (mut world, alice, _) = flooded();
    let rows = &mut world.nodes[alice].rows;
    rows.delete_range(Table::Inbox, b"waiting", 0..=u64::MAX).unwrap();
    world.crash(alice);
    world.settle();
    assert_eq!(world.nodes[alice].rows.count(Table::Inbox, b"waiting").unwrap(), MANY);
}
