//! Names that are not there, until they are: asked for again at once when there is a reason, and soon without one.

use std::time::Duration;

use chat_protocol::message::Call;
use chat_protocol::message::client::Lookup;
use chat_protocol::message::server::{Code, Refusal};
use chat_protocol::rpc::Target;
use chat_protocol::rpc::types::MessageState;

use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn whoever_registers_after_they_were_written_to_gets_the_next_word_at_once() {
    let mut world = World::new();
    let alice = world.user("alice");
    let carl = || Target::User("carl".parse().unwrap());
    world.settle();
    for _ in 0..3 {
        let failed = world.try_send(alice, carl(), "are you there?", None).unwrap().id;
        world.settle();
        assert_eq!(world.state(alice, failed), MessageState::Failed);
        world.advance(SECOND);
    }
    let reader = world.user("carl");
    world.settle();
    world.try_send(alice, carl(), "welcome", None).unwrap();
    world.settle();
    assert_eq!(world.inbox(reader), ["alice: welcome"]);
}

#[test]
fn what_somebody_sends_who_has_just_registered_is_shown_at_once() {
    let mut world = World::new();
    let alice = world.user("alice");
    world.settle();
    world.try_send(alice, Target::User("carl".parse().unwrap()), "are you there?", None).unwrap();
    world.advance(SECOND * 2);
    let carl = world.user("carl");
    world.settle();
    world.send(carl, alice, "now I am");
    world.settle();
    assert_eq!(world.inbox(alice), ["carl: now I am"]);
}

#[test]
fn whoever_has_no_device_yet_is_asked_for_again_within_five_seconds() {
    let mut world = World::new();
    let alice = world.user("alice");
    let names: Vec<String> = (0..250).map(|n| format!("friend{n}")).collect();
    names.iter().for_each(|name| world.server.register(&name.parse().unwrap()));
    world.settle();
    for name in &names {
        world.try_send(alice, Target::User(name.parse().unwrap()), "hello", None).unwrap();
    }
    world.advance(SECOND * 5);
    let before = world.server.lookups;
    world.advance(SECOND * 60);
    let asked = world.server.lookups - before;
    assert!((3 * 11..=3 * 13).contains(&asked), "250 names are three requests in five seconds: {asked}");
    assert!(names.iter().all(|name| world.chat(alice, &format!("@{name}"))[0].state == Some(MessageState::Queued)));
}

#[test]
fn a_name_that_is_written_to_without_end_is_asked_for_once_a_second() {
    let mut world = World::new();
    let alice = world.user("alice");
    world.settle();
    for n in 0..100 {
        world.try_send(alice, Target::User("carl".parse().unwrap()), &n.to_string(), None).unwrap();
        world.advance(SECOND / 10);
    }
    assert!((8..=12).contains(&world.server.lookups), "{}", world.server.lookups);
}

#[test]
fn a_server_that_says_ask_again_in_a_year_is_asked_for_a_name_within_ten_minutes() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let year = 365 * 24 * 60 * 60 * 1_000;
    let refusal = Refusal { retry_after_ms: Some(year), ..Code::RateLimited.into() };
    world.server.says.insert((world.nodes[alice].device, Lookup::TYPE), Err(refusal));
    world.settle();
    world.send(alice, bob, "hello");
    world.settle();
    world.server.says.clear();
    world.advance(SECOND * 500);
    assert!(world.inbox(bob).is_empty(), "it is waited for a while");
    world.advance(SECOND * 110);
    assert_eq!(world.inbox(bob), ["alice: hello"]);
}
