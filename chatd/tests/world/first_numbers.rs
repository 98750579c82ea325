//! From which number on a device is to get what is said: what is kept back at the beginning of a talk is missed like anything else, what was
//! never meant for a device is not, and neither is ever called delivered.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::MessageId;
use chat_protocol::message::server::Deliver;
use chat_protocol::rpc::EventBody;
use chat_protocol::rpc::types::MessageState;
use chatd::engine::commands;
use chatd::store::{Place, Rows, Table};

use crate::world::World;

const GAP: Duration = Duration::from_secs(61);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn missing(world: &World, who: usize) -> u64 {
    let of = world.events(who).into_iter().filter_map(|event| event.body());
    of.map(|body| if let EventBody::MessageMissing(missing) = body { missing.count } else { 0 }).sum()
}

fn states(world: &World, who: usize, ids: &[MessageId]) -> Vec<MessageState> {
    ids.iter().map(|id| world.state(who, *id)).collect()
}

/// Alice writes some messages, none of which reaches `reader`: they are in the server's hand.
fn withheld(
    world: &mut World,
    alice: usize,
    bob: usize,
    reader: usize,
    texts: &[&str],
) -> (Vec<MessageId>, Vec<Deliver>) {
    world.go_offline(reader);
    let sent = texts.iter().map(|text| world.send(alice, bob, text)).collect();
    world.settle();
    let held = world.take_mailbox(reader);
    assert_eq!(held.len(), texts.len());
    world.come_online(reader);
    world.settle();
    (sent, held)
}

fn hand_over(world: &mut World, from: usize, to: usize, deliver: &Deliver) {
    world.deliver(from, to, deliver.envelope.clone());
    world.settle();
}

/// Bob shows all three messages of alice in their order, missed none, and alice knows.
fn assert_all_three(world: &World, (alice, bob): (usize, usize), sent: &[MessageId]) {
    assert_eq!(world.inbox(bob), ["alice: one", "alice: two", "alice: three"]);
    assert_eq!((missing(world, bob), states(world, alice, sent)), (0, vec![MessageState::Delivered; 3]));
}

#[test]
fn atk_96_first_messages_that_are_withheld_are_missing_and_never_delivered() {
    use MessageState::{Accepted, Delivered, NotReceived};
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let (sent, held) = withheld(&mut world, alice, bob, bob, &["one", "two", "three"]);
    hand_over(&mut world, alice, bob, &held[2]);
    assert!(world.inbox(bob).is_empty(), "those before it may still come");
    assert_eq!(states(&world, alice, &sent), [Accepted; 3]);

    world.advance(GAP);
    assert_eq!(world.inbox(bob), ["alice: three"]);
    assert_eq!(missing(&world, bob), 2);
    assert_eq!(states(&world, alice, &sent), [NotReceived, NotReceived, Delivered]);

    world.command(bob, |txn| commands::mark_read(txn, "@alice", None)).unwrap();
    world.settle();
    assert_eq!(states(&world, alice, &sent), [NotReceived, NotReceived, MessageState::Read]);

    hand_over(&mut world, alice, bob, &held[0]);
    assert_eq!(world.inbox(bob), ["alice: three", "alice: one"]);
    assert_eq!(states(&world, alice, &sent[..2]), [Delivered, NotReceived]);
}

#[test]
fn atk_96_messages_of_a_first_contact_in_any_order_are_shown_in_the_right_one_and_at_once() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let (sent, mut held) = withheld(&mut world, alice, bob, bob, &["one", "two", "three"]);
    held.rotate_left(1);
    held.iter().for_each(|deliver| world.deliver(alice, bob, deliver.envelope.clone()));
    world.settle();
    assert_all_three(&world, (alice, bob), &sent);
}

#[test]
fn a_device_that_came_later_misses_nothing_and_speaks_for_nothing_that_was_said_before() {
    use MessageState::{Accepted, Delivered, Read};
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let (mut sent, held) = withheld(&mut world, alice, bob, bob, &["one", "two"]);
    world.go_offline(bob);
    let phone = world.another_device(bob);
    world.settle();
    sent.push(world.send(alice, bob, "three"));
    world.settle();
    assert_eq!((world.inbox(phone), missing(&world, phone)), (vec!["alice: three".to_owned()], 0));
    assert_eq!(states(&world, alice, &sent), [Accepted, Accepted, Delivered], "the phone was never sent the others");
    world.command(phone, |txn| commands::mark_read(txn, "@alice", None)).unwrap();
    world.settle();
    assert_eq!(states(&world, alice, &sent), [Accepted, Accepted, Read]);

    world.come_online(bob);
    held.iter().for_each(|deliver| world.deliver(alice, bob, deliver.envelope.clone()));
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: one", "alice: two", "alice: three"]);
    assert_eq!(states(&world, alice, &sent), [Delivered, Delivered, Read]);
}

#[test]
fn a_device_that_came_later_is_owed_all_from_its_first_number_on() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    for text in ["one", "two"] {
        world.send(alice, bob, text);
    }
    world.settle();
    let (phone, tablet) = (world.another_device(bob), world.another_device(alice));
    world.settle();
    [phone, tablet].into_iter().for_each(|who| world.go_offline(who));
    for text in ["three", "four"] {
        world.send(alice, bob, text);
    }
    world.settle();
    let own = world.server.mail(world.nodes[tablet].device);
    let held = world.take_mailbox(phone);
    [phone, tablet].into_iter().for_each(|who| world.come_online(who));
    hand_over(&mut world, alice, phone, &held[1]);
    hand_over(&mut world, alice, tablet, &own[1]);
    world.advance(GAP);
    assert_eq!((world.inbox(phone), missing(&world, phone)), (vec!["alice: four".to_owned()], 1));
    let shown: Vec<_> = world.chat(tablet, "@bob").into_iter().map(|message| message.text).collect();
    assert_eq!((shown, missing(&world, tablet)), (vec!["four".to_owned()], 1));
}

#[test]
fn a_device_without_keys_is_owed_what_waited_for_it() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let phone = world.another_device(bob);
    world.server.bundleless.insert(world.nodes[phone].device);
    world.settle();
    world.send(alice, bob, "one");
    world.advance(Duration::from_secs(10));
    assert_eq!((world.inbox(bob), world.inbox(phone).len()), (vec!["alice: one".to_owned()], 0));
    world.server.bundleless.clear();
    world.go_offline(phone);
    world.send(alice, bob, "two");
    world.advance(Duration::from_secs(120));
    let held = world.take_mailbox(phone);
    world.come_online(phone);
    hand_over(&mut world, alice, phone, &held[1]);
    world.advance(GAP);
    assert_eq!((world.inbox(phone), missing(&world, phone)), (vec!["alice: two".to_owned()], 1));
}

#[test]
fn the_first_message_of_a_new_epoch_is_missed_too() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    for (from, to) in [(alice, bob), (bob, alice)] {
        world.send(from, to, "before");
        world.settle();
    }
    let old = world.nodes[alice].rows.clone();
    world.send(alice, bob, "more");
    world.settle();
    world.go_offline(alice);
    world.restore(alice, old, None);
    world.come_online(alice);
    world.settle();
    world.go_offline(bob);
    let sent = ["one", "two"].map(|text| world.send(alice, bob, text));
    world.settle();
    let held = world.take_mailbox(bob);
    world.come_online(bob);
    hand_over(&mut world, alice, bob, held.last().unwrap());
    world.advance(GAP);
    assert_eq!(world.inbox(bob).last().unwrap(), "alice: two");
    assert_eq!(missing(&world, bob), 1);
    assert_eq!(states(&world, alice, &sent), [MessageState::NotReceived, MessageState::Delivered]);
}

#[test]
fn what_is_sent_again_under_its_numbers_fills_the_place_it_had() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    // nothing of it arrives, so the session is begun again after a day
    let (sent, held) = withheld(&mut world, alice, bob, bob, &["one", "two", "three"]);
    world.go_offline(bob);
    world.advance(DAY + GAP);
    let again = world.take_mailbox(bob);
    assert_eq!(again.len(), 3, "under another INIT");
    world.come_online(bob);
    world.settle();
    hand_over(&mut world, alice, bob, &held[2]);
    again.iter().for_each(|deliver| world.deliver(alice, bob, deliver.envelope.clone()));
    world.settle();
    assert_all_three(&world, (alice, bob), &sent);
}

#[test]
fn what_is_sealed_for_a_device_after_later_numbers_names_itself_as_the_first() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.send(alice, bob, "one");
    world.settle();
    // as if the fifth had been the first that left for bob's device
    let (mine, theirs) = (world.nodes[alice].device, world.nodes[bob].device);
    let scope = [b"first:".as_slice(), theirs.as_bytes()].concat();
    let key = [mine.as_bytes().as_slice(), &[0; 8], b"bob"].concat();
    let place = Place::new(Table::Outbox, &scope, &key);
    assert_eq!(world.nodes[alice].rows.get(place).unwrap(), Some(cbor::encode(&1_u64)));
    world.nodes[alice].rows.put(place, 0, &cbor::encode(&5_u64)).unwrap();
    world.send(alice, bob, "two");
    world.settle();
    assert_eq!((world.inbox(bob), missing(&world, bob)), (vec!["alice: one".to_owned(), "alice: two".to_owned()], 0));
}
