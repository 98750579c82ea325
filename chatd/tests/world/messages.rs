//! Private messages: they arrive once, in order, whatever the network does.

use chat_protocol::rpc::types::MessageState;
use chat_protocol::rpc::{EventBody, Kind, Target};
use chatd::engine::commands;
use std::time::Duration;

use crate::world::{World, is_refused};

#[test]
fn messages_go_both_ways() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let hello = world.send(alice, bob, "hello");
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello"]);
    assert_eq!(world.state(alice, hello), MessageState::Delivered);
    let answer = world.send(bob, alice, "hi");
    world.settle();
    assert_eq!(world.inbox(alice), ["bob: hi"]);
    assert_eq!(world.state(bob, answer), MessageState::Delivered);
}

#[test]
fn message_to_offline_peer_arrives_after_reconnect() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.go_offline(bob);
    let message = world.send(alice, bob, "are you there?");
    world.settle();
    assert_eq!(world.state(alice, message), MessageState::Accepted);
    world.come_online(bob);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: are you there?"]);
    assert_eq!(world.state(alice, message), MessageState::Delivered);
}

#[test]
fn message_written_offline_leaves_when_the_link_comes() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.go_offline(alice);
    let message = world.send(alice, bob, "later");
    world.settle();
    assert_eq!(world.state(alice, message), MessageState::Queued);
    world.come_online(alice);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: later"]);
}

/// An answer to what the connection before was asked must find nobody waiting under its number.
#[test]
fn a_new_connection_never_reuses_the_number_of_a_request() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    for i in 0..3 {
        world.send(alice, bob, &i.to_string());
        world.cut(alice);
        world.settle();
    }
    let asked = &world.nodes[alice].asked;
    assert!(asked.len() > 6 && asked.is_sorted_by(|before, after| before < after), "{asked:?}");
    assert_eq!(world.inbox(bob), ["alice: 0", "alice: 1", "alice: 2"]);
}

#[test]
fn what_is_read_is_told() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let message = world.send(alice, bob, "read me");
    world.settle();
    let unread = world.command(bob, |txn| commands::mark_read(txn, "@alice", None)).unwrap();
    world.settle();
    assert_eq!(unread, 0);
    assert_eq!(world.state(alice, message), MessageState::Read);
}

#[test]
fn what_came_late_is_read_with_what_its_author_sent_after_it() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.send(alice, bob, "hello");
    world.settle();
    world.go_offline(bob);
    let sent: Vec<_> = ["one", "two"].map(|text| world.send(alice, bob, text)).into();
    world.settle();
    let mut held = world.take_mailbox(bob);
    world.come_online(bob);
    world.settle();
    world.deliver(alice, bob, held.remove(1).envelope);
    world.advance(Duration::from_secs(61));
    world.deliver(alice, bob, held.remove(0).envelope);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: two", "alice: one"]);
    world.command(bob, |txn| commands::mark_read(txn, "@alice", None)).unwrap();
    world.settle();
    assert_eq!((world.state(alice, sent[0]), world.state(alice, sent[1])), (MessageState::Read, MessageState::Read));
}

#[test]
fn the_same_client_id_is_sent_once() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let to = || Target::User("bob".parse().unwrap());
    let first = world.try_send(alice, to(), "once", Some("job-7")).unwrap();
    world.crash(alice);
    let second = world.try_send(alice, to(), "once", Some("job-7")).unwrap();
    assert!(!first.duplicate && second.duplicate);
    assert_eq!(first.id, second.id);
    let other = world.try_send(alice, to(), "twice", Some("job-7"));
    assert!(is_refused(&other, Kind::IdempotencyMismatch));
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: once"]);
}

#[test]
fn a_message_to_nobody_fails() {
    let mut world = World::new();
    let alice = world.user("alice");
    world.settle();
    let sent = world.try_send(alice, Target::User("nobody".parse().unwrap()), "hello?", None).unwrap();
    world.settle();
    assert_eq!(world.state(alice, sent.id), MessageState::Failed);
}

#[test]
fn a_full_mailbox_is_tried_again() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.fill_mailbox(bob, true);
    let message = world.send(alice, bob, "squeeze");
    world.settle();
    assert_eq!(world.state(alice, message), MessageState::Queued);
    world.fill_mailbox(bob, false);
    world.advance(Duration::from_secs(70));
    assert_eq!(world.inbox(bob), ["alice: squeeze"]);
}

#[test]
fn notes_to_oneself_never_leave() {
    let mut world = World::new();
    let alice = world.user("alice");
    world.settle();
    world.try_send(alice, Target::User("alice".parse().unwrap()), "buy milk", None).unwrap();
    world.settle();
    assert_eq!(world.chat(alice, "self").len(), 1);
    assert!(world.server.seen.is_empty());
}

#[test]
fn a_restart_says_when_everything_held_is_here() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.go_offline(bob);
    world.send(alice, bob, "one");
    world.send(alice, bob, "two");
    world.settle();
    world.come_online(bob);
    world.settle();
    let last = world.events(bob).iter().rev().find_map(|event| match event.body() {
        Some(EventBody::SyncDone(synced)) => Some(synced.replayed),
        _ => None,
    });
    assert_eq!(last, Some(2));
    assert_eq!(world.inbox(bob), ["alice: one", "alice: two"]);
}
