//! What a server may say of prekeys, and what that costs.

use std::time::Duration;

use chatd::store::{Rows, Table};

use crate::world::World;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Private halves of one-time keys that are kept.
fn one_time_keys(world: &World, who: usize) -> u64 {
    world.nodes[who].rows.count(Table::Prekeys, b"one-time").unwrap()
}

#[test]
fn a_server_that_has_every_bundle_already_and_no_key_is_given_one_each_ten_minutes() {
    let mut world = World::new();
    let bob = world.user("bob");
    world.settle();
    world.server.forgetful = Some(world.nodes[bob].device);
    for _ in 0..6 {
        // a new connection ends every pause
        world.cut(bob);
        world.advance(HOUR / 6);
    }
    let offered = world.server.offered.len();
    assert!((1..=7).contains(&offered), "{offered} bundles in an hour");
}

#[test]
fn one_time_keys_nobody_listed_for_61_days_go_and_never_are_there_more_than_ten_thousand() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    for _ in 0..170 {
        world.server.use_up(world.nodes[bob].device);
        world.crash(bob);
        world.settle();
    }
    assert_eq!(one_time_keys(&world, bob), 10_000);
    assert_eq!(world.server.left(world.nodes[bob].device).len(), 64, "the oldest made room for fresh ones");
    world.send(alice, bob, "with a fresh one");
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: with a fresh one"]);
    assert_eq!(one_time_keys(&world, bob), 9_999);
    world.advance(DAY * 70);
    let left = one_time_keys(&world, bob);
    assert!((1..=128).contains(&left), "{left}");
}

#[test]
fn atk_88_one_time_keys_that_somebody_draws_for_days_are_replaced_within_the_day_although_nobody_tells() {
    let mut world = World::new();
    let bob = world.user("bob");
    world.settle();
    let device = world.nodes[bob].device;
    for day in 0..10 {
        world.server.use_up(device);
        world.advance(HOUR * 12);
        assert_eq!(world.server.left(device).len(), 64, "day {day}");
    }
}

#[test]
fn atk_88_what_begins_with_a_one_time_key_that_made_room_for_others_is_shown_all_the_same() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.go_offline(bob);
    world.send(alice, bob, "under a key of long ago");
    world.settle();
    let rows = &mut world.nodes[bob].rows;
    assert_eq!(rows.delete_range(Table::Prekeys, b"one-time", 0..=u64::MAX).unwrap(), 64);
    world.come_online(bob);
    world.settle();
    world.advance(DAY);
    assert_eq!(world.inbox(bob), ["alice: under a key of long ago"]);
}
