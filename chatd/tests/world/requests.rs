//! What those write whom the user does not know, while only contacts are heard.

use std::time::Duration;

use chat_protocol::ids::DeviceId;
use chat_protocol::message::client::Submit;
use chat_protocol::rpc::types::{ContactSet, MessageState, MessagesFrom, ProfileSet, Request, SettingsSet};
use chat_protocol::rpc::{EventBody, Kind};
use chatd::engine::{amend, contacts, devices, profile, requests, settings};

use crate::world::{World, is_refused};

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

/// How often anything was submitted for somebody's device.
fn submits(world: &World, to: usize) -> usize {
    let device = world.nodes[to].device;
    let is_for = |(_, submit): &&(DeviceId, Submit)| submit.to.iter().any(|to| to.device == device);
    world.server.seen.iter().filter(is_for).count()
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
fn atk_86_a_request_of_somebody_who_is_blocked_is_dropped_without_a_word_to_them() {
    let (mut world, bob, mallory) = strangers();
    let first = world.send(mallory, bob, "hello");
    world.settle();
    let user = world.name(mallory);
    world.command(bob, |txn| contacts::block(txn, &user, true)).unwrap();
    let second = world.send(mallory, bob, "are you there?");
    world.settle();
    assert_eq!((waiting(&world, bob), world.inbox(bob), told(&world, bob)), (vec![], vec![], 1));
    let refused = world.command(bob, |txn| requests::accept(txn, &user));
    assert!(is_refused(&refused, Kind::Blocked), "{refused:?}");
    assert_eq!([first, second].map(|id| world.state(mallory, id)), [MessageState::Accepted; 2]);

    world.command(bob, |txn| contacts::block(txn, &user, false)).unwrap();
    accept(&mut world, bob, mallory);
    world.advance(Duration::from_secs(120));
    assert_eq!(world.inbox(bob), ["mallory: hello", "mallory: are you there?"]);
}

#[test]
fn atk_86_nothing_goes_to_a_stranger_whatever_they_send() {
    let (mut world, bob, mallory) = strangers();
    world.send(mallory, bob, "hello");
    world.settle();
    let phone = world.another_device(bob);
    hear(&mut world, phone, MessagesFrom::ContactsOnly);
    world.settle();
    let before = submits(&world, mallory);
    let wanted = ProfileSet { display_name: Some("a name".to_owned()), about: None, bot: None };
    world.command(mallory, |txn| profile::set(txn, wanted)).unwrap();
    for number in 0..60 {
        world.send(mallory, bob, &number.to_string());
        world.settle();
    }
    world.advance(3 * DAY);
    assert_eq!(submits(&world, mallory), before, "no log, no sign of life, no receipt");
    let profile =
        |body: &EventBody| matches!(body, EventBody::ProfileUpdated(about) if about.user.as_str() == "mallory");
    assert_eq!(world.count_events(bob, profile), 0);
}

#[test]
fn atk_86_whoever_was_declined_or_blocked_hears_nothing_when_anyone_is_heard() {
    let (mut world, bob, mallory) = strangers();
    let eve = world.user("eve");
    world.settle();
    for stranger in [mallory, eve] {
        world.send(stranger, bob, "hello");
    }
    world.settle();
    let (declined, blocked) = (world.name(mallory), world.name(eve));
    world.command(bob, |txn| requests::decline(txn, &declined)).unwrap();
    world.command(bob, |txn| contacts::block(txn, &blocked, true)).unwrap();
    hear(&mut world, bob, MessagesFrom::Anyone);
    world.settle();
    assert_eq!([mallory, eve].map(|who| submits(&world, who)), [0, 0]);
    assert_eq!(world.inbox(bob), [] as [String; 0]);
}

#[test]
fn a_reaction_is_dealing_with_somebody_and_what_waits_comes_in_its_order() {
    let mut world = World::new();
    let (bob, carol) = (world.user("bob"), world.user("carol"));
    world.settle();
    let first = world.send(carol, bob, "hello");
    world.settle();
    hear(&mut world, bob, MessagesFrom::ContactsOnly);
    world.send(carol, bob, "second");
    world.settle();
    assert_eq!(world.inbox(bob), ["carol: hello"]);
    world.command(bob, |txn| amend::react(txn, &first, "👍", false)).unwrap();
    world.settle();
    world.send(carol, bob, "third");
    world.settle();
    assert_eq!(world.inbox(bob), ["carol: hello", "carol: second", "carol: third"]);
}

#[test]
fn what_came_of_a_device_that_was_replaced_since_is_shown_when_its_user_is_accepted() {
    let (mut world, bob, mallory) = strangers();
    world.send(mallory, bob, "from the old laptop");
    world.settle();
    let laptop = world.another_device(mallory);
    let old = world.nodes[mallory].device;
    world.command(laptop, |txn| devices::revoke(txn, &[old])).unwrap();
    world.settle();
    world.send(laptop, bob, "from the new one");
    world.settle();
    accept(&mut world, bob, mallory);
    assert_eq!(world.inbox(bob), ["mallory: from the old laptop", "mallory: from the new one"]);
}

#[test]
fn whoever_was_accepted_can_be_declined_again() {
    let (mut world, bob, mallory) = strangers();
    world.send(mallory, bob, "hello");
    world.settle();
    accept(&mut world, bob, mallory);
    let user = world.name(mallory);
    world.command(bob, |txn| requests::decline(txn, &user)).unwrap();
    world.send(mallory, bob, "more");
    world.settle();
    assert_eq!(
        (waiting(&world, bob), world.inbox(bob)),
        (vec![("mallory".to_owned(), 1)], vec!["mallory: hello".into()])
    );
}

#[test]
fn what_cannot_be_decided_is_refused() {
    let (mut world, bob, mallory) = strangers();
    let (myself, other) = (world.name(bob), world.name(mallory));
    world.command(bob, |txn| requests::accept(txn, &myself)).unwrap();
    assert!(is_refused(&world.command(bob, |txn| requests::accept(txn, &other)), Kind::NotFound));
    assert!(is_refused(&world.command(bob, |txn| requests::decline(txn, &other)), Kind::NotFound));
    assert_eq!(contacts::list(&world.nodes[bob].rows).unwrap(), []);
}
