//! Messages that begin a session and find no room to wait: all of them are told, and sent again.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::{DeviceId, MessageId};
use chat_protocol::message::Envelope;
use chat_protocol::message::server::{Deliver, Push};
use chat_protocol::rpc::types::MessageState;
use chatd::store::{Place, Rows, Table};

use crate::identities::accept;
use crate::inits::{MINUTES, begin, first_contact, say, two_of_one_session, undecryptable, waiting};
use crate::lies::Shown;
use crate::world::{World, acquainted};

/// What waits in all, in bytes.
const ALL: Place<'static> = Place::new(Table::Inbox, b"bytes", b"");
const MIB: u64 = 1024 * 1024;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// So long that whoever cannot be asked is looked at every ten minutes by now.
const HOURS: Duration = Duration::from_secs(3 * 60 * 60);
const NOT_AGAIN_WITHIN: Duration = Duration::from_secs(60 * 60);

/// Others let so much wait.
fn fill(world: &mut World, who: usize, mib: u64) {
    world.nodes[who].rows.put(ALL, 0, &cbor::encode(&(mib * MIB))).unwrap();
}

#[test]
fn what_finds_no_room_to_wait_is_told_and_sent_again() {
    let (mut world, alice, bob, _, _) = first_contact(&[]);
    let long = "x".repeat(60 * 1024);
    let sent: Vec<_> = (0..260).map(|_| world.send(alice, bob, &long)).collect();
    world.settle();
    world.nodes[bob].slow = true;
    world.come_online(bob);
    world.settle();
    let (kept, refused) = (waiting(&world, bob), undecryptable(&world, bob));
    assert_eq!(kept + refused as u64, 260);
    assert!(refused > 0, "{kept} wait");
    world.nodes[bob].slow = false;
    world.advance(MINUTES);
    assert_eq!((world.inbox(bob).len(), waiting(&world, bob)), (260, 0));
    assert!(sent.iter().all(|id| world.state(alice, *id) == MessageState::Delivered));
}

#[test]
fn of_the_sessions_of_one_device_some_wait_and_the_others_are_told_of() {
    let (mut world, alice, bob, _, held) = first_contact(&["real"]);
    let log = world.log_of(alice);
    world.nodes[bob].slow = true;
    world.come_online(bob);
    for n in 2..70 {
        let mut begun = begin(&mut world, alice, bob, &log);
        let envelope = say(&mut world, alice, &mut begun, n);
        world.deliver(alice, bob, envelope);
    }
    world.deliver(alice, bob, held[0].clone());
    world.settle();
    assert_eq!((waiting(&world, bob), undecryptable(&world, bob)), (64, 5));
    let mailbox = world.server.mailbox(world.nodes[bob].device);
    assert_eq!(mailbox.acked, mailbox.last, "none of them blocks the mailbox");
}

#[test]
fn strangers_have_a_part_of_the_room_alone() {
    let (mut world, alice, bob, _, _) = first_contact(&[]);
    let carol = world.user("carol");
    world.come_online(bob);
    world.settle();
    world.send(carol, bob, "hello");
    world.settle();
    world.send(bob, carol, "hi");
    world.settle();
    // as much as all strangers may
    fill(&mut world, bob, 64);
    world.nodes[bob].slow = true;
    for who in [alice, carol] {
        let log = world.log_of(who);
        let mut begun = begin(&mut world, who, bob, &log);
        let envelope = say(&mut world, who, &mut begun, 2);
        world.deliver(who, bob, envelope);
    }
    world.settle();
    assert_eq!((waiting(&world, bob), undecryptable(&world, bob)), (1, 1));
    world.nodes[bob].slow = false;
    world.settle();
    assert_eq!(world.inbox(bob), ["carol: hello", "carol: 2"]);
}

/// Alice has written once to bob, whom nobody is known to and who has no room for anybody.
fn no_room_at_all() -> (World, usize, usize, MessageId, Envelope) {
    let (mut world, alice, bob, sent, held) = first_contact(&["one"]);
    fill(&mut world, bob, 256);
    world.come_online(bob);
    world.settle();
    (world, alice, bob, sent[0], held[0].clone())
}

#[test]
fn what_finds_no_room_is_asked_for_although_nothing_of_its_device_waits() {
    for crash in [false, true] {
        let (mut world, alice, bob, sent, held) = no_room_at_all();
        world.go_offline(alice);
        world.deliver(alice, bob, held);
        world.settle();
        if crash {
            world.crash(bob);
        }
        assert_eq!((waiting(&world, bob), undecryptable(&world, bob)), (0, 1));
        world.come_online(alice);
        world.advance(MINUTES);
        assert_eq!(world.inbox(bob), ["alice: one"]);
        assert_eq!(world.state(alice, sent), MessageState::Delivered);
    }
}

#[test]
fn what_finds_no_room_soon_after_it_was_asked_for_is_asked_for_later() {
    let (mut world, alice, bob, sent, held) = no_room_at_all();
    let log = world.log_of(alice);
    let mut begun = begin(&mut world, alice, bob, &log);
    let first = say(&mut world, alice, &mut begun, 1);
    world.go_offline(alice);
    world.deliver(alice, bob, first);
    world.advance(MINUTES);
    assert_eq!(world.take_mailbox(alice).len(), 1, "alice is asked, and never hears of it");
    world.deliver(alice, bob, held);
    world.advance(MINUTES);
    assert_eq!((waiting(&world, bob), undecryptable(&world, bob)), (0, 2));
    world.come_online(alice);
    world.advance(NOT_AGAIN_WITHIN - MINUTES * 4);
    assert_eq!(world.state(alice, sent), MessageState::Accepted, "not more often than resets are sent");
    world.advance(MINUTES * 10);
    assert_eq!(world.inbox(bob), ["alice: one"]);
    assert_eq!(world.state(alice, sent), MessageState::Delivered);
}

/// Devices of which something found no room and that are to be asked for it: those that a log lists, and all others.
fn noted(world: &World, who: usize) -> [u64; 2] {
    [b"no-room-listed".as_slice(), b"no-room-others"]
        .map(|scope| world.nodes[who].rows.count(Table::Inbox, scope).unwrap())
}

fn to_ask(world: &World, who: usize) -> u64 {
    noted(world, who).iter().sum()
}

/// An envelope under the names of so many devices that nobody has.
fn flood(world: &mut World, to: usize, from: &str, envelope: &Envelope, devices: u64) {
    for nth in 0..devices {
        let mut device = *world.nodes[to].device.as_bytes();
        device[..8].copy_from_slice(&nth.to_be_bytes());
        let deliver = Deliver {
            mailbox_seq: world.server.mailbox(world.nodes[to].device).last + 1 + nth,
            from: from.parse().unwrap(),
            from_device: DeviceId::new(device),
            envelope: envelope.clone(),
        };
        world.push(&world.nodes[to].device.clone(), Push::Deliver(deliver.into()));
    }
    world.settle();
}

#[test]
fn of_devices_that_no_log_lists_some_are_noted_whosever_they_are_said_to_be() {
    for from in ["nobody", "alice"] {
        let (mut world, alice, bob) = acquainted();
        world.go_offline(alice);
        fill(&mut world, bob, 256);
        let log = world.log_of(alice);
        let mut begun = begin(&mut world, alice, bob, &log);
        let envelope = say(&mut world, alice, &mut begun, 2);
        for _ in 0..2 {
            world.deliver(alice, bob, envelope.clone());
            world.settle();
        }
        assert_eq!(noted(&world, bob), [1, 0], "alice was asked a moment ago");
        flood(&mut world, bob, from, &envelope, 300);
        assert_eq!(noted(&world, bob), [1, 256], "{from}");
        assert_eq!(undecryptable(&world, bob), 302, "all of them are told");
        world.advance(NOT_AGAIN_WITHIN + MINUTES * 10);
        assert_eq!(noted(&world, bob), [0, 256], "the others hold up nobody");
    }
}

/// Whether a device was asked for what found no room.
fn was_asked(world: &World, by: usize, whom: usize) -> bool {
    let failures = Place::new(Table::Sessions, b"failures", world.nodes[whom].device.as_bytes());
    world.nodes[by].rows.get(failures).unwrap().is_some()
}

/// Bob's identity is in question with alice, who has no room for what he writes.
fn in_question() -> (World, usize, usize, Envelope) {
    let (mut world, alice, bob, [_, envelope]) = two_of_one_session();
    fill(&mut world, alice, 256);
    world.deliver(bob, alice, envelope.clone());
    world.settle();
    assert_eq!((waiting(&world, alice), to_ask(&world, alice), was_asked(&world, alice, bob)), (0, 1, false));
    (world, alice, bob, envelope)
}

#[test]
fn who_is_to_be_asked_is_remembered_for_30_days_from_the_last_that_found_no_room() {
    let (mut world, alice, bob, envelope) = in_question();
    let known = world.log_of(bob);
    world.advance(DAY * 20);
    world.deliver(bob, alice, envelope);
    world.advance(DAY * 20);
    assert_eq!(to_ask(&world, alice), 1);
    accept(&mut world, alice, &known).unwrap();
    world.settle();
    assert!(was_asked(&world, alice, bob));
}

#[test]
fn who_is_never_decided_for_is_forgotten_after_30_days() {
    let (mut world, alice, bob, _) = in_question();
    world.advance(DAY * 31);
    assert_eq!((to_ask(&world, alice), was_asked(&world, alice, bob)), (0, false));
}

#[test]
fn who_can_be_asked_at_the_end_of_the_30_days_is_not_forgotten_unasked() {
    let (mut world, alice, bob, _) = in_question();
    let known = world.log_of(bob);
    world.advance(DAY * 30 + Duration::from_secs(60));
    assert_eq!(to_ask(&world, alice), 1, "looked at every ten minutes");
    accept(&mut world, alice, &known).unwrap();
    world.advance(MINUTES * 10);
    assert_eq!((to_ask(&world, alice), was_asked(&world, alice, bob)), (0, true));
}

#[test]
fn who_waits_for_a_decision_is_asked_within_a_minute_of_it() {
    let (mut world, alice, bob, _) = in_question();
    let known = world.log_of(bob);
    world.advance(HOURS);
    accept(&mut world, alice, &known).unwrap();
    world.settle();
    assert!(was_asked(&world, alice, bob));
}

#[test]
fn who_becomes_known_is_asked_within_a_minute_of_it() {
    let (mut world, alice, bob, _, held) = no_room_at_all_of_nobody();
    world.deliver(alice, bob, held);
    world.advance(HOURS);
    assert_eq!((to_ask(&world, bob), was_asked(&world, bob, alice)), (1, false));
    world.server.shown.clear();
    world.send(bob, alice, "who are you?");
    world.advance(Duration::from_secs(61));
    assert!(was_asked(&world, bob, alice));
}

#[test]
fn who_becomes_known_with_the_next_connection_is_asked_within_a_minute_of_it() {
    let (mut world, alice, bob, _, held) = no_room_at_all_of_nobody();
    world.deliver(alice, bob, held);
    world.settle();
    world.go_offline(bob);
    world.advance(HOURS);
    world.server.shown.clear();
    world.come_online(bob);
    world.step_until_online(bob);
    world.advance(Duration::from_secs(60));
    assert!(was_asked(&world, bob, alice));
}

/// The same as [`no_room_at_all`], and the server shows bob nothing usable of alice.
fn no_room_at_all_of_nobody() -> (World, usize, usize, MessageId, Envelope) {
    let (mut world, alice, bob, sent, held) = no_room_at_all();
    let head = world.log_of(alice).head();
    world.server.shown.insert(world.name(alice), Shown { entries: vec![b"no log".to_vec()], head });
    (world, alice, bob, sent, held)
}
