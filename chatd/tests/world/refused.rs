//! Messages that begin a session and find no room to wait: all of them are told, and sent again.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::{DeviceId, MessageId};
use chat_protocol::message::Envelope;
use chat_protocol::message::server::{Deliver, Push};
use chat_protocol::rpc::types::MessageState;
use chatd::store::{Place, Rows, Table};

use crate::inits::{MINUTES, begin, first_contact, say, undecryptable, waiting};
use crate::world::World;

/// What waits in all, in bytes.
const ALL: Place<'static> = Place::new(Table::Inbox, b"bytes", b"");
const MIB: u64 = 1024 * 1024;
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

#[test]
fn of_strangers_who_find_no_room_some_are_noted() {
    let (mut world, alice, bob, _, held) = no_room_at_all();
    for nth in 0..300_u64 {
        let mut device = *world.nodes[alice].device.as_bytes();
        device[..8].copy_from_slice(&nth.to_be_bytes());
        let deliver = Deliver {
            mailbox_seq: world.server.mailbox(world.nodes[bob].device).last + 1 + nth,
            from: "nobody".parse().unwrap(),
            from_device: DeviceId::new(device),
            envelope: held.clone(),
        };
        world.push(&world.nodes[bob].device.clone(), Push::Deliver(deliver));
    }
    world.settle();
    assert_eq!(world.nodes[bob].rows.count(Table::Inbox, b"no-room").unwrap(), 256);
    assert_eq!(undecryptable(&world, bob), 300, "all of them are told");
}
