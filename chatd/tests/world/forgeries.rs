//! Peers whose daemon does not keep the rules: they change nothing that is not theirs.

use chat_protocol::rpc::types::MessageState;
use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::{Fingerprint, MessageId};
use chat_protocol::rpc::EventBody;
use chatd::engine::history::{Message, MessageKind};
use chatd::engine::{amend, history};
use chatd::store::{Direction, Place, Rows, Table};

use crate::world::World;

fn acquainted() -> (World, usize, usize) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.send(bob, alice, "hi");
    world.settle();
    (world, alice, bob)
}

fn row(world: &World, who: usize, id: MessageId) -> Message {
    history::get(&world.nodes[who].rows, &id).unwrap().unwrap().1
}

/// Writes a row of somebody's own history as a daemon that was tampered with would.
fn tamper(world: &mut World, who: usize, message: &Message) {
    let rows = &mut world.nodes[who].rows;
    let position = history::get(rows, &message.id).unwrap().map_or(1, |(position, _)| position);
    let chat = message.chat.as_bytes();
    let by_id = cbor::encode(&(&message.chat, position));
    rows.put(Place::new(Table::Messages, b"id", message.id.as_bytes()), position, &by_id).unwrap();
    rows.put(Place::new(Table::Messages, chat, message.id.as_bytes()), position, &cbor::encode(message)).unwrap();
}

/// Edits and deletes a message as if it were one's own.
fn attack(world: &mut World, who: usize, id: MessageId) {
    world.command(who, |txn| amend::edit(txn, &id, "forged".to_owned())).unwrap();
    world.settle();
    world.command(who, |txn| amend::delete_everywhere(txn, &id)).unwrap();
    world.settle();
}

#[test]
fn a_peer_neither_edits_nor_deletes_my_message() {
    let (mut world, alice, bob) = acquainted();
    let id = world.send(alice, bob, "i owe you nothing");
    world.settle();
    let claimed = Message { mine: true, state: Some(MessageState::Delivered), ..row(&world, bob, id) };
    tamper(&mut world, bob, &claimed);
    attack(&mut world, bob, id);
    let kept = row(&world, alice, id);
    assert_eq!((kept.text.as_str(), kept.edited, kept.deleted), ("i owe you nothing", None, false));
}

#[test]
fn a_stranger_neither_edits_nor_deletes_what_others_said() {
    let (mut world, alice, bob) = acquainted();
    let carol = world.user("carol");
    world.settle();
    let own = world.send(carol, alice, "hello");
    let id = world.send(bob, alice, "between us");
    world.settle();
    let claimed = Message { id, ..row(&world, carol, own) };
    tamper(&mut world, carol, &claimed);
    attack(&mut world, carol, id);
    assert_eq!(row(&world, alice, id).text, "between us");
    let again = world.send(bob, alice, "still here");
    world.settle();
    assert_eq!(row(&world, alice, again).text, "still here");
}

#[test]
fn another_identity_of_the_same_name_does_not_edit_what_the_former_said() {
    let (mut world, alice, bob) = acquainted();
    let id = world.send(bob, alice, "as i said");
    world.settle();
    let of_former = Message { author: Some(Fingerprint::new([9; 32])), ..row(&world, alice, id) };
    tamper(&mut world, alice, &of_former);
    attack(&mut world, bob, id);
    assert_eq!(row(&world, alice, id).text, "as i said");
}

#[test]
fn a_message_under_the_id_of_another_replaces_nothing() {
    let (mut world, alice, bob) = acquainted();
    let id = world.send(alice, bob, "mine");
    world.settle();
    world.go_offline(bob);
    let evil = world.send(bob, alice, "evil");
    let forged = Message { id, ..row(&world, bob, evil) };
    tamper(&mut world, bob, &forged);
    rename_in_queue(&mut world, bob, evil, id);
    world.come_online(bob);
    world.settle();
    assert_eq!(row(&world, alice, id).text, "mine");
    let chat = world.chat(alice, "@bob");
    assert_eq!(chat.last().map(|message| (message.kind, message.text.as_str())), Some((MessageKind::Malformed, "")));
}

/// The one item in line for alice carries another id.
fn rename_in_queue(world: &mut World, who: usize, from: MessageId, to: MessageId) {
    let rows = &mut world.nodes[who].rows;
    let (position, item) =
        rows.scan(Table::Outbox, b"to:alice", 0..=u64::MAX, Direction::Ascending, 1).unwrap().remove(0);
    let at = item.windows(16).position(|window| window == from.as_bytes()).unwrap();
    let renamed = [&item[..at], to.as_bytes(), &item[at + 16..]].concat();
    rows.put(Place::new(Table::Outbox, b"to:alice", &position.to_be_bytes()), position, &renamed).unwrap();
}

#[test]
fn a_deletion_that_overtakes_its_message_keeps_it_from_being_shown() {
    let (mut world, alice, bob) = acquainted();
    world.send(alice, bob, "before");
    world.settle();
    world.go_offline(bob);
    let id = world.send(alice, bob, "regretted");
    world.settle();
    world.command(alice, |txn| amend::delete_everywhere(txn, &id)).unwrap();
    world.settle();
    let held = world.take_mailbox(bob);
    assert_eq!(held.len(), 2);
    world.deliver(alice, bob, held[1].envelope.clone());
    world.come_online(bob);
    world.advance(Duration::from_secs(90));
    world.deliver(alice, bob, held[0].envelope.clone());
    world.settle();
    world.send(alice, bob, "after");
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: before", "alice: after"]);
    assert_eq!(world.count_events(bob, |event| matches!(event, EventBody::MessageDeleted(_))), 0);
}

#[test]
fn an_edit_or_a_sign_without_its_message_is_ignored() {
    let (mut world, alice, bob) = acquainted();
    let id = world.send(alice, bob, "lost");
    world.settle();
    let chat = "@alice".as_bytes();
    world.nodes[bob].rows.delete(Place::new(Table::Messages, chat, id.as_bytes())).unwrap();
    world.command(alice, |txn| amend::edit(txn, &id, "found".to_owned())).unwrap();
    world.command(alice, |txn| amend::react(txn, &id, "👍", false)).unwrap();
    world.send(alice, bob, "after");
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: after"]);
}
