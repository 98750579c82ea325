//! Changes that come before their message, because that is late: they wait for it, within bounds.

use std::time::Duration;

use chat_protocol::ids::MessageId;
use chat_protocol::message::Envelope;
use chat_protocol::rpc::types;
use chatd::engine::{amend, history, view};
use chatd::store::{Rows, Table};

use crate::world::World;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const GIVEN_UP: Duration = Duration::from_secs(61);
/// Where changes of a chat wait, and where it is noted that any do.
const WAIT: [&[u8]; 2] = [b"early:@alice", b"early-chats"];

/// Alice has sent bob, who knows her, a message and changed it; what came of it is in the server's hand.
fn changed(change: impl FnOnce(&mut World, usize, MessageId)) -> (World, [usize; 2], MessageId, Vec<Envelope>) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.send(alice, bob, "hello");
    world.settle();
    world.go_offline(bob);
    let id = world.send(alice, bob, "helo wrld");
    world.settle();
    change(&mut world, alice, id);
    world.settle();
    let held = world.take_mailbox(bob).into_iter().map(|deliver| deliver.envelope).collect();
    (world, [alice, bob], id, held)
}

/// Bob gets the message after everything else, when it has been given up.
fn late(world: &mut World, [alice, bob]: [usize; 2], held: &[Envelope]) {
    held[1..].iter().for_each(|envelope| world.deliver(alice, bob, envelope.clone()));
    world.come_online(bob);
    world.advance(GIVEN_UP);
    assert!(waiting(world, bob)[0] > 0);
    world.crash(bob);
    world.deliver(alice, bob, held[0].clone());
    world.settle();
}

fn waiting(world: &World, who: usize) -> [u64; 2] {
    WAIT.map(|scope| world.nodes[who].rows.count(Table::Messages, scope).unwrap())
}

fn edit(world: &mut World, who: usize, id: MessageId, text: &str) {
    world.command(who, |turn| amend::edit(turn, &id, text.to_owned())).unwrap();
}

fn react(world: &mut World, who: usize, id: MessageId, emoji: &str) {
    world.command(who, |turn| amend::react(turn, &id, emoji, false)).unwrap();
}

fn shown(world: &World, who: usize, id: MessageId) -> Option<types::Message> {
    let found = history::get(&world.nodes[who].rows, &id).unwrap();
    found.map(|(_, message)| view::message(&message).unwrap())
}

#[test]
fn a_late_message_comes_as_its_author_last_edited_and_marked_it() {
    let (mut world, both, id, held) = changed(|world, alice, id| {
        edit(world, alice, id, "hello wrld");
        react(world, alice, id, "👍");
        edit(world, alice, id, "hello world");
        react(world, alice, id, "🎉");
    });
    late(&mut world, both, &held);
    let (there, here) = both.map(|who| shown(&world, who, id).unwrap()).into();
    assert_eq!(here.text, "hello world");
    assert_eq!((here.edited_ms, &here.reactions), (there.edited_ms, &there.reactions));
    assert_eq!(here.reactions[0].emoji, "🎉");
    assert_eq!(waiting(&world, both[1])[0], 0);
}

#[test]
fn a_late_message_that_was_deleted_is_not_shown_and_neither_is_what_it_became() {
    let (mut world, both, id, held) = changed(|world, alice, id| {
        edit(world, alice, id, "hello world");
        world.command(alice, |turn| amend::delete_everywhere(turn, &id)).unwrap();
    });
    late(&mut world, both, &held);
    assert_eq!(shown(&world, both[1], id), None);
    world.deliver(both[0], both[1], held[0].clone());
    world.settle();
    assert_eq!(world.inbox(both[1]), ["alice: hello"]);
    assert_eq!(waiting(&world, both[1])[0], 1, "the deletion alone");
}

#[test]
fn what_waits_for_late_messages_has_an_end_in_number_bytes_and_time() {
    let (mut world, [alice, bob], ..) = changed(|_, _, _| {});
    let long = "x".repeat(60 * 1024);
    for (nth, most) in [(300, 256), (20, 17)] {
        let ids: Vec<_> = (0..nth).map(|n| world.send(alice, bob, &n.to_string())).collect();
        world.settle();
        world.take_mailbox(bob);
        for id in ids {
            if most == 256 {
                react(&mut world, alice, id, "👍")
            } else {
                edit(&mut world, alice, id, &long)
            }
            world.settle();
        }
        world.come_online(bob);
        world.advance(GIVEN_UP);
        world.go_offline(bob);
        assert_eq!(waiting(&world, bob), [most, 1]);
    }
    world.come_online(bob);
    world.advance(DAY * 29);
    assert_eq!(waiting(&world, bob), [17, 1]);
    world.advance(DAY * 2);
    assert_eq!(waiting(&world, bob), [0, 0]);
}
