//! Wrong clocks, used-up keys, spoiled and repeated messages: what has to arrive arrives, and nothing comes of the rest.

use std::time::Duration;

use chat_protocol::message::Envelope;
use chat_protocol::rpc::EventBody;
use chat_protocol::session::init::Init;
use chatd::engine::sessions;

use crate::world::World;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR_MS: i64 = 60 * 60 * 1000;
const TEN_YEARS_MS: i64 = 10 * 365 * 24 * HOUR_MS;

fn acquainted() -> (World, usize, usize) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    talk(&mut world, alice, bob, 0);
    (world, alice, bob)
}

fn talk(world: &mut World, alice: usize, bob: usize, n: usize) {
    world.send(alice, bob, &n.to_string());
    world.settle();
    world.send(bob, alice, &n.to_string());
    world.settle();
}

fn lines(name: &str, n: usize) -> Vec<String> {
    (0..n).map(|n| format!("{name}: {n}")).collect()
}

/// What a device submitted with an INIT.
fn inits(world: &World, who: usize) -> Vec<Envelope> {
    let device = world.nodes[who].device;
    let of = world.server.seen.iter().filter(|(author, _)| *author == device);
    let envelopes = of.flat_map(|(_, submit)| submit.to.iter().map(|to| to.envelope.clone()));
    envelopes.filter(|envelope| envelope.init.is_some()).collect()
}

fn has_one_time(envelope: &Envelope) -> bool {
    Init::read(envelope.init.as_ref().unwrap()).unwrap().one_time().is_some()
}

fn sessions_with(world: &World, who: usize, with: usize) -> usize {
    sessions::standings(&world.nodes[who].rows, &world.nodes[with].device).unwrap().all().len()
}

fn unopened(world: &World, who: usize) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::MessageUndecryptable(_) | EventBody::MessageMissing(_)))
}

#[test]
fn atk_35_an_init_that_comes_again_at_any_time_gives_no_session_and_no_message() {
    for with_one_time in [true, false] {
        let mut world = World::new();
        let (alice, bob) = (world.user("alice"), world.user("bob"));
        world.settle();
        if !with_one_time {
            let device = world.nodes[bob].device;
            world.server.use_up(device);
        }
        world.send(alice, bob, "once");
        world.settle();
        let first = inits(&world, alice).remove(0);
        assert_eq!(has_one_time(&first), with_one_time);
        for wait in [Duration::ZERO, DAY, DAY * 39, DAY * 60] {
            world.advance(wait);
            world.deliver(alice, bob, first.clone());
            world.settle();
            world.crash(bob);
            world.settle();
            world.deliver(alice, bob, first.clone());
            world.settle();
        }
        assert_eq!(world.inbox(bob), ["alice: once"]);
        assert_eq!(sessions_with(&world, bob, alice), 1);
    }
}

#[test]
fn atk_50_while_nothing_opens_each_side_resets_once_an_hour_and_afterwards_they_talk() {
    let (mut world, alice, bob) = acquainted();
    let before = (inits(&world, alice).len(), inits(&world, bob).len());
    for minute in 0..180 {
        let to = if minute % 2 == 0 { bob } else { alice };
        world.server.corrupt = Some(world.nodes[to].device);
        world.send(alice, bob, &format!("a{minute}"));
        world.send(bob, alice, &format!("b{minute}"));
        world.advance(Duration::from_secs(60));
    }
    world.server.corrupt = None;
    let sids = |inits: Vec<Envelope>| inits.into_iter().map(|init| init.sid).collect::<std::collections::BTreeSet<_>>();
    for (who, before) in [(alice, before.0), (bob, before.1)] {
        let begun = sids(inits(&world, who).split_off(before)).len();
        assert!(begun <= 4, "{begun} sessions begun in three hours");
    }
    world.advance(HOUR * 2);
    let quiet = world.server.seen.len();
    world.advance(HOUR * 6);
    assert_eq!(world.server.seen.len(), quiet, "they go on answering each other");
    let id = world.send(alice, bob, "clear again");
    world.send(bob, alice, "clear again");
    world.advance(Duration::from_secs(120));
    assert_eq!(world.inbox(bob).last().unwrap(), "alice: clear again");
    assert_eq!(world.inbox(alice).last().unwrap(), "bob: clear again");
    assert_eq!(world.state(alice, id), chat_protocol::rpc::types::MessageState::Delivered);
}

#[test]
fn atk_55_with_any_clock_every_message_opens_for_months() {
    for ahead in [TEN_YEARS_MS, -TEN_YEARS_MS, HOUR_MS - 1000, HOUR_MS + 1000, -HOUR_MS + 1000] {
        for other in [0, -ahead] {
            let mut world = World::new();
            let (alice, bob) = (world.user("alice"), world.user("bob"));
            (world.nodes[alice].ahead_ms, world.nodes[bob].ahead_ms) = (ahead, other);
            world.settle();
            for n in 0..6 {
                talk(&mut world, alice, bob, n);
                world.advance(DAY * 20);
            }
            assert_eq!(world.inbox(bob), lines("alice", 6), "clocks {ahead} and {other} ahead");
            assert_eq!(world.inbox(alice), lines("bob", 6), "clocks {ahead} and {other} ahead");
            assert_eq!(unopened(&world, alice) + unopened(&world, bob), 0);
        }
    }
}

#[test]
fn atk_55_a_clock_that_leaps_to_and_fro_loses_nothing() {
    let (mut world, alice, bob) = acquainted();
    for (n, ahead) in [TEN_YEARS_MS, 0, -TEN_YEARS_MS, HOUR_MS, 0].into_iter().enumerate() {
        world.nodes[bob].ahead_ms = ahead;
        world.cut(bob);
        world.settle();
        talk(&mut world, alice, bob, n + 1);
        world.advance(HOUR * 5);
    }
    assert_eq!(world.inbox(bob), lines("alice", 6));
    assert_eq!(world.inbox(alice), lines("bob", 6));
    assert_eq!(unopened(&world, alice) + unopened(&world, bob), 0);
}

#[test]
fn atk_56_a_session_begins_without_a_one_time_key_and_its_successor_has_one() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let device = world.nodes[bob].device;
    world.go_offline(bob);
    world.server.use_up(device);
    world.send(alice, bob, "0");
    world.settle();
    assert!(inits(&world, alice).iter().all(|envelope| !has_one_time(envelope)));
    world.come_online(bob);
    world.settle();
    assert_eq!(world.inbox(bob), lines("alice", 1));
    assert_eq!(world.server.left(device).len(), 64, "its owner leaves new ones");
    world.send(bob, alice, "0");
    world.advance(DAY * 31);
    let before = inits(&world, alice).len();
    // the first word asks for the successor, the second is said on it
    talk(&mut world, alice, bob, 1);
    talk(&mut world, alice, bob, 2);
    let renewed = inits(&world, alice).split_off(before);
    let of_bob = inits(&world, bob);
    let successor = renewed.first().or(of_bob.last()).expect("a new session");
    assert!(has_one_time(successor));
    assert_eq!(world.inbox(bob), lines("alice", 3));
}
