//! What one device got says nothing of another one: each is sent again what it could not open itself, and no more.

use std::time::Duration;

use chatd::engine::amend;

use crate::motion::{lose_prekeys, spoiled, three};
use crate::world::World;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// alice, who has a tablet too, and bob, who has a phone too; all have heard of each other.
fn four() -> (World, [usize; 4]) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let (tablet, phone) = (world.another_device(alice), world.another_device(bob));
    world.settle();
    for (from, to) in [(alice, bob), (bob, alice), (tablet, bob), (phone, alice)] {
        world.send(from, to, "hello");
        world.settle();
    }
    (world, [alice, tablet, bob, phone])
}

/// What alice said, as a device shows it.
fn shown(world: &World, who: usize, chat: &str) -> Vec<String> {
    world.chat(who, chat).into_iter().map(|message| message.text).filter(|text| text != "hello").collect()
}

#[test]
fn what_only_one_of_two_devices_could_not_open_comes_again_to_that_one() {
    let (mut world, [alice, tablet, bob, phone]) = four();
    for (spoilt, chat) in [(phone, "@alice"), (tablet, "@bob")] {
        let id = world.send(alice, bob, "teh");
        world.settle();
        spoiled(&mut world, spoilt, |world| {
            world.command(alice, |txn| amend::edit(txn, &id, "the".to_owned())).unwrap();
            three(world, alice, bob);
        });
        world.advance(Duration::from_secs(120));
        let whole = shown(&world, bob, "@alice");
        assert_eq!(whole[whole.len() - 4..], ["the", "0", "1", "2"]);
        assert_eq!(shown(&world, spoilt, chat), whole);
    }
}

#[test]
fn an_init_that_only_one_of_two_devices_could_not_open_is_begun_again() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let (tablet, phone) = (world.another_device(alice), world.another_device(bob));
    world.settle();
    [tablet, phone].into_iter().for_each(|who| world.go_offline(who));
    for text in ["one", "two"] {
        world.send(alice, bob, text);
    }
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: one", "alice: two"]);
    for who in [tablet, phone] {
        lose_prekeys(&mut world, who);
        world.come_online(who);
    }
    world.advance(HOUR * 25);
    assert_eq!(shown(&world, phone, "@alice"), ["one", "two"]);
    assert_eq!(shown(&world, tablet, "@bob"), ["one", "two"]);
}

#[test]
fn a_device_that_came_later_draws_nothing_that_was_not_sealed_for_it() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.go_offline(bob);
    world.send(alice, bob, "before");
    world.settle();
    let phone = world.another_device(bob);
    world.settle();
    world.send(alice, bob, "after");
    world.settle();
    spoiled(&mut world, phone, |world| three(world, alice, bob));
    world.advance(Duration::from_secs(120));
    assert_eq!(shown(&world, phone, "@alice"), ["after", "0", "1", "2"]);
}
