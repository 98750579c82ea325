//! What waits to be sent does not wait for ever, and says so when it ends.

use std::time::Duration;

use chat_protocol::rpc::Target;
use chat_protocol::rpc::types::{FailReason, MessageState, SettingsSet};
use chatd::engine::{history, outbox, settings};

use crate::world::World;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Alice, who has no connection, and bob; they know each other.
fn apart() -> (World, usize, usize) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.send(alice, bob, "hello");
    world.settle();
    world.go_offline(alice);
    (world, alice, bob)
}

fn error(world: &World, who: usize, id: chat_protocol::ids::MessageId) -> Option<FailReason> {
    history::get(&world.nodes[who].rows, &id).unwrap().unwrap().1.error
}

#[test]
fn what_waited_a_month_fails_as_expired_and_the_rest_is_sent_in_order() {
    let (mut world, alice, bob) = apart();
    let old: Vec<_> = (0..600).map(|n| world.send(alice, bob, &format!("old {n}"))).collect();
    world.advance(DAY * 20);
    let young = [world.send(alice, bob, "young"), world.send(alice, bob, "younger")];
    world.advance(DAY * 11);
    for id in old {
        assert_eq!(
            (world.state(alice, id), error(&world, alice, id)),
            (MessageState::Failed, Some(FailReason::Expired))
        );
    }
    assert_eq!(outbox::queued(&world.nodes[alice].rows).unwrap(), 2);
    world.come_online(alice);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: young", "alice: younger"]);
    assert_eq!(young.map(|id| world.state(alice, id)), [MessageState::Delivered; 2]);
}

#[test]
fn posts_expire_too_but_for_the_one_that_may_be_with_the_server() {
    let (mut world, alice, bob) = apart();
    let ids: Vec<_> = ["first", "second", "third"]
        .into_iter()
        .map(|text| world.try_send(alice, Target::Room, text, None).unwrap().id)
        .collect();
    world.advance(DAY * 31);
    let states: Vec<_> = ids.iter().map(|id| world.state(alice, *id)).collect();
    assert_eq!(states, [MessageState::Queued, MessageState::Failed, MessageState::Failed]);
    world.try_send(alice, Target::Room, "fourth", None).unwrap();
    world.come_online(alice);
    world.settle();
    assert_eq!(world.room(bob), ["alice: first", "alice: fourth"]);
    assert_eq!(outbox::queued(&world.nodes[alice].rows).unwrap(), 0);
}

#[test]
fn who_wants_it_to_wait_lets_it_wait() {
    let (mut world, alice, bob) = apart();
    let patient = SettingsSet { outbox_days: Some(0), ..SettingsSet::default() };
    world.command(alice, |txn| Ok(settings::set(txn, &patient)?)).unwrap();
    let id = world.send(alice, bob, "whenever");
    world.advance(DAY * 400);
    assert_eq!(world.state(alice, id), MessageState::Queued);
}

#[test]
fn the_last_messages_of_a_conversation_are_not_received_when_nobody_ever_confirms_them() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.send(alice, bob, "hello");
    world.settle();
    world.go_offline(bob);
    let tail: Vec<_> = (0..300).map(|n| world.send(alice, bob, &n.to_string())).collect();
    world.settle();
    let lost = world.take_mailbox(bob);
    world.advance(DAY * 30);
    assert!(tail.iter().all(|id| world.state(alice, *id) == MessageState::Accepted));
    world.advance(DAY * 2);
    assert!(tail.iter().all(|id| world.state(alice, *id) == MessageState::NotReceived));
    // a server that kept them longer
    lost.into_iter().for_each(|deliver| world.deliver(alice, bob, deliver.envelope));
    world.come_online(bob);
    world.advance(DAY);
    assert!(tail.iter().all(|id| world.state(alice, *id) == MessageState::Delivered));
    assert_eq!(world.inbox(bob).len(), 301);
}

#[test]
fn a_store_that_does_not_know_the_length_of_its_line_counts_once() {
    use chatd::store::{Place, Rows, Table};
    let (mut world, alice, bob) = apart();
    for n in 0..3 {
        world.send(alice, bob, &n.to_string());
        world.try_send(alice, Target::Room, "post", None).unwrap();
    }
    let rows = &mut world.nodes[alice].rows;
    assert!(rows.delete(Place::new(Table::Outbox, b"tally", b"")).unwrap());
    assert_eq!(outbox::queued(rows).unwrap(), 6);
    world.send(alice, bob, "3");
    assert_eq!(outbox::queued(&world.nodes[alice].rows).unwrap(), 7);
    world.come_online(alice);
    world.settle();
    assert_eq!(outbox::queued(&world.nodes[alice].rows).unwrap(), 0);
}
