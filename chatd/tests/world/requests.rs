//! What those write whom the user does not know, while only contacts are heard.

use std::time::Duration;

use chat_protocol::rpc::types::{ContactSet, MessageState, MessagesFrom, Request, SettingsSet};
use chat_protocol::rpc::{EventBody, Kind};
use chatd::engine::{contacts, requests, settings};

use crate::world::{World, is_invalid, is_refused};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn hear(world: &mut World, who: usize, messages_from: MessagesFrom) {
    let wanted = SettingsSet { messages_from: Some(messages_from), ..SettingsSet::default() };
    world.command(who, |txn| Ok(settings::set(txn, &wanted)?)).unwrap();
}

fn accept(world: &mut World, who: usize, whom: usize) {
    let user = world.name(whom);
    world.command(who, |txn| requests::accept(txn, &user)).unwrap();
    world.settle();
}

/// Users that wait, and how much of each.
fn waiting(world: &World, who: usize) -> Vec<(String, u64)> {
    let shown = requests::list(&world.nodes[who].rows).unwrap();
    shown.into_iter().map(|request| (request.user.to_string(), request.messages)).collect()
}

fn told(world: &World, who: usize) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::RequestNew(_)))
}

fn missing(world: &World, who: usize) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::MessageMissing(_)))
}

/// A user who hears contacts only, and one who is none.
fn strangers() -> (World, usize, usize) {
    let mut world = World::new();
    let (bob, mallory) = (world.user("bob"), world.user("mallory"));
    world.settle();
    hear(&mut world, bob, MessagesFrom::ContactsOnly);
    (world, bob, mallory)
}

#[test]
fn atk_86_what_a_stranger_writes_waits_as_a_request_and_comes_in_order_once_accepted() {
    let (mut world, bob, mallory) = strangers();
    let first = world.send(mallory, bob, "hello");
    world.settle();
    world.send(mallory, bob, "are you there?");
    world.advance(8 * DAY);
    world.crash(bob);
    world.settle();
    assert_eq!(waiting(&world, bob), [("mallory".to_owned(), 2)], "also those that were sent again");
    let shown = requests::list(&world.nodes[bob].rows).unwrap().remove(0);
    assert_eq!(shown, Request { text: Some("hello".to_owned()), ..shown.clone() });
    assert_eq!((told(&world, bob), world.inbox(bob)), (1, Vec::<String>::new()));
    assert_eq!(world.state(mallory, first), MessageState::Accepted, "nothing is said of it");

    accept(&mut world, bob, mallory);
    assert_eq!(world.inbox(bob), ["mallory: hello", "mallory: are you there?"]);
    assert_eq!(world.state(mallory, first), MessageState::Delivered);
    world.send(mallory, bob, "fine");
    world.settle();
    assert_eq!(world.inbox(bob).len(), 3);
    assert_eq!((waiting(&world, bob), missing(&world, bob), told(&world, bob)), (vec![], 0, 1));
    let closed = |body: &EventBody| matches!(body, EventBody::RequestClosed(closed) if closed.accepted);
    assert_eq!(world.count_events(bob, closed), 1);
}

#[test]
fn atk_86_whoever_was_declined_is_neither_heard_nor_told_and_comes_again_when_written_to() {
    let (mut world, bob, mallory) = strangers();
    let dropped = world.send(mallory, bob, "buy this");
    world.settle();
    let user = world.name(mallory);
    world.command(bob, |txn| requests::decline(txn, &user)).unwrap();
    world.send(mallory, bob, "and this");
    world.advance(2 * DAY);
    assert_eq!((waiting(&world, bob), told(&world, bob), world.inbox(bob)), (vec![], 1, vec![]));
    assert_eq!(world.state(mallory, dropped), MessageState::Accepted);

    world.send(bob, mallory, "who are you?");
    world.settle();
    world.send(mallory, bob, "a friend");
    world.advance(Duration::from_secs(120));
    assert_eq!(world.inbox(bob), ["mallory: buy this", "mallory: and this", "mallory: a friend"], "asked for again");
    assert_eq!((missing(&world, bob), world.state(mallory, dropped)), (0, MessageState::Delivered));
}

#[test]
fn users_become_known_in_every_way_there_is() {
    let (mut world, bob, mallory) = strangers();
    let phone = world.another_device(bob);
    let own: Vec<_> = ["carol", "dave", "erin"].iter().map(|name| world.user(name)).collect();
    let [carol, dave, erin] = own[..] else { unreachable!() };
    world.settle();
    for other in [mallory, carol, dave, erin] {
        world.send(other, bob, "hi");
    }
    world.settle();
    assert_eq!(waiting(&world, bob).len(), 4);

    world.send(bob, carol, "hi carol");
    let note = ContactSet { user: world.name(dave), alias: Some("Davy".to_owned()), note: None };
    world.command(bob, |txn| contacts::set(txn, note)).unwrap();
    world.send(phone, erin, "from the phone");
    world.settle();
    assert_eq!(waiting(&world, bob), [("mallory".to_owned(), 1)]);
    assert_eq!(world.inbox(bob).len(), 3);

    hear(&mut world, bob, MessagesFrom::Anyone);
    world.settle();
    assert_eq!((waiting(&world, bob), world.inbox(bob).len()), (vec![], 4));
}

#[test]
fn a_request_of_somebody_who_is_blocked_is_dropped_without_a_word() {
    let (mut world, bob, mallory) = strangers();
    world.send(mallory, bob, "hello");
    world.settle();
    let user = world.name(mallory);
    world.command(bob, |txn| contacts::block(txn, &user, true)).unwrap();
    world.settle();
    assert_eq!((waiting(&world, bob), world.inbox(bob)), (vec![], vec![]));
    let refused = world.command(bob, |txn| requests::accept(txn, &user));
    assert!(is_refused(&refused, Kind::Blocked), "{refused:?}");
}

#[test]
fn what_cannot_be_decided_is_refused() {
    let (mut world, bob, mallory) = strangers();
    let (myself, other) = (world.name(bob), world.name(mallory));
    assert!(is_invalid(&world.command(bob, |txn| requests::accept(txn, &myself)), "user"));
    assert!(is_refused(&world.command(bob, |txn| requests::decline(txn, &other)), Kind::NotFound));
    // before they ever wrote
    accept(&mut world, bob, mallory);
    world.send(mallory, bob, "hello");
    world.settle();
    assert_eq!(world.inbox(bob), ["mallory: hello"]);
}
