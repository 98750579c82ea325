//! The public room: everything once, in the server's order, whatever happens to the connection.

use std::time::Duration;

use chat_protocol::message::server::LoggedIn;
use chat_protocol::rpc::types::MessageState;
use chatd::store::{Rows, Table};

use crate::disk::Disk;
use crate::server::Server;
use crate::world::{BEGIN, World, roomy};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn what_is_remembered_of_the_room_has_a_bound_and_nothing_comes_twice() {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let mut said = Vec::new();
    for week in 0..30 {
        said.push(format!("alice: week {week}"));
        world.say(alice, &format!("week {week}"));
        world.advance(WEEK);
    }
    let rows = |world: &World, who: usize, label: &[u8]| world.nodes[who].rows.count(Table::Room, label).unwrap();
    for who in [alice, bob] {
        assert!((8..=18).contains(&rows(&world, who, b"shown")), "{}", rows(&world, who, b"shown"));
        assert_eq!(rows(&world, who, b"posts"), 0, "what was taken is known by itself");
    }
    // the server takes back that there was so much, and then shows all that it has kept
    world.server.claims.insert(world.nodes[bob].device, Box::new(|truth| LoggedIn { room_last: 25, ..truth }));
    world.cut(bob);
    world.settle();
    world.server.claims.clear();
    world.cut(bob);
    world.settle();
    assert_eq!(world.room(bob), said);
}

#[test]
fn a_post_reaches_everybody_and_its_author_once() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let post = world.say(alice, "hello everybody");
    world.settle();
    assert_eq!(world.room(bob), ["alice: hello everybody"]);
    assert_eq!(world.room(alice), ["alice: hello everybody"]);
    assert_eq!(world.state(alice, post), MessageState::Accepted);
}

#[test]
fn who_was_away_reads_on_where_he_stopped() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.say(alice, "0");
    world.settle();
    world.go_offline(bob);
    for i in 1..10 {
        world.say(alice, &i.to_string());
    }
    world.settle();
    world.come_online(bob);
    world.settle();
    let all: Vec<_> = (0..10).map(|i| format!("alice: {i}")).collect();
    assert_eq!(world.room(bob), all);
}

#[test]
fn atk_85_who_reads_more_slowly_than_is_posted_has_every_post_in_the_end_over_the_same_connection() {
    let mut config = roomy();
    config.connections.outbox_frames = 8;
    let mut world = World::over(Server::new(Disk::new(), config, BEGIN), 1, BEGIN);
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.say(alice, "0");
    world.settle();
    // nothing of what the server has to say to bob leaves it
    let wire = world.nodes[bob].wire.take();
    world.nodes[bob].wants_online = false;
    for i in 1..30 {
        world.say(alice, &i.to_string());
    }
    world.settle();
    assert_eq!(world.room(bob), ["alice: 0"]);
    world.nodes[bob].wire = wire;
    world.nodes[bob].wants_online = true;
    world.settle();
    assert_eq!(world.room(bob), (0..30).map(|i| format!("alice: {i}")).collect::<Vec<_>>());
    world.say(alice, "30");
    world.settle();
    assert_eq!(world.room(bob).len(), 31, "pushed again");
}

#[test]
fn posts_are_repeated_to_the_server_and_shown_once() {
    for seed in 0..6 {
        let mut world = World::seeded(seed);
        let (alice, bob) = (world.user("alice"), world.user("bob"));
        world.settle();
        (world.cuts, world.crashes) = (6, 6);
        for i in 0..8 {
            world.say(alice, &i.to_string());
            world.settle();
        }
        world.calm();
        let mut seen = world.room(bob);
        assert_eq!(seen.len(), 8, "seed {seed}: {seen:?}");
        seen.sort();
        assert_eq!(seen, (0..8).map(|i| format!("alice: {i}")).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(world.room(alice).len(), 8, "seed {seed}");
    }
}

#[test]
fn posts_written_offline_leave_in_order_before_what_is_written_then() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.go_offline(alice);
    for i in 0..100 {
        world.say(alice, &i.to_string());
    }
    world.come_online(alice);
    world.step_until_online(alice);
    world.say(alice, "100");
    world.advance(std::time::Duration::from_secs(15 * 60));
    assert_eq!(world.room(bob), (0..=100).map(|i| format!("alice: {i}")).collect::<Vec<_>>());
}

#[test]
fn a_post_that_was_shown_is_not_shown_again_however_long_the_server_keeps_it() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.say(alice, "hello");
    world.settle();
    world.advance(DAY * 100);
    for who in [alice, bob] {
        world.cut(who);
    }
    world.settle();
    for who in [alice, bob] {
        assert_eq!(world.room(who), ["alice: hello"]);
    }
}
