//! The event log and its consumers: what is kept for whom, and for how long.

use chat_protocol::rpc::{EventBody, Kind, Name};
use std::time::Duration;

use chat_protocol::rpc::types::SettingsSet;
use chatd::engine::{EngineError, consumers, events, settings};

use crate::world::{World, is_invalid, is_refused};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn keep(world: &mut World, who: usize, event_days: Option<u32>, max_events: Option<u64>) {
    let wanted = SettingsSet { event_days, max_events, ..SettingsSet::default() };
    world.command(who, |txn| Ok(settings::set(txn, &wanted)?)).unwrap();
}

/// A world in which alice has some events.
fn world_with_log() -> (World, usize, u64) {
    let mut world = World::new();
    let alice = world.user("alice");
    world.settle();
    for number in 0..20 {
        world.say(alice, &format!("post {number}"));
    }
    world.settle();
    let newest = events::newest(&world.nodes[alice].rows).unwrap();
    (world, alice, newest)
}

fn oldest(world: &World, who: usize) -> u64 {
    events::oldest(&world.nodes[who].rows).unwrap()
}

#[test]
fn old_events_go_unless_a_consumer_has_not_acknowledged_them() {
    let (mut world, alice, newest) = world_with_log();
    world.command(alice, |txn| consumers::open(txn, &name("bot"), Some(5))).unwrap();
    world.advance(31 * DAY);
    world.say(alice, "a month later");
    world.settle();
    assert_eq!(oldest(&world, alice), 6, "what the bot needs stays, however old");

    world.command(alice, |txn| consumers::ack(txn, &name("bot"), 9)).unwrap();
    world.advance(Duration::from_secs(61));
    world.say(alice, "one more");
    world.settle();
    assert_eq!(oldest(&world, alice), 10);

    world.command(alice, |txn| consumers::forget(txn, &name("bot"))).unwrap();
    world.advance(Duration::from_secs(61));
    world.say(alice, "and one");
    world.settle();
    assert!(oldest(&world, alice) > newest, "nobody needs the old ones any more");
    let last = events::newest(&world.nodes[alice].rows).unwrap();
    assert!(oldest(&world, alice) <= last, "the young ones stay");
}

#[test]
fn young_events_stay_although_everybody_has_them() {
    let (mut world, alice, newest) = world_with_log();
    world.command(alice, |txn| consumers::open(txn, &name("bot"), Some(newest))).unwrap();
    world.advance(29 * DAY);
    world.say(alice, "a month later, almost");
    world.settle();
    assert_eq!(oldest(&world, alice), 1);
}

#[test]
fn the_number_of_events_is_bounded_whoever_needs_them() {
    let (mut world, alice, _) = world_with_log();
    world.command(alice, |txn| consumers::open(txn, &name("bot"), Some(0))).unwrap();
    keep(&mut world, alice, None, Some(1_000));
    for number in 0..1_100 {
        world.command(alice, |txn| events_for_test(txn, number)).unwrap();
    }
    world.advance(Duration::from_secs(61));
    world.say(alice, "the last");
    world.settle();
    let newest = events::newest(&world.nodes[alice].rows).unwrap();
    let kept = newest + 1 - oldest(&world, alice);
    assert!((1_000..1_020).contains(&kept), "{kept} events: those since the last look may come on top");
}

/// Something that leaves one event.
fn events_for_test(txn: &mut chatd::engine::Txn<'_>, number: u64) -> Result<(), EngineError> {
    use chat_protocol::rpc::Target;
    use chat_protocol::rpc::types::MsgSend;
    use chatd::engine::commands::send;
    send(txn, MsgSend::text(Target::Myself, number.to_string())).map(drop)
}

#[test]
fn a_consumers_place_never_goes_back_nor_beyond_the_log() {
    let (mut world, alice, newest) = world_with_log();
    let bot = name("bot");
    let unknown = world.command(alice, |txn| consumers::ack(txn, &bot, 1));
    assert!(is_refused(&unknown, Kind::UnknownConsumer));
    assert_eq!(world.command(alice, |txn| consumers::open(txn, &bot, None)).unwrap(), newest);
    assert_eq!(world.command(alice, |txn| consumers::ack(txn, &bot, 1)).unwrap(), newest);
    let beyond = world.command(alice, |txn| consumers::ack(txn, &bot, newest + 1_000));
    assert!(is_invalid(&beyond, "seq"));
    world.crash(alice);
    assert_eq!(world.command(alice, |txn| consumers::open(txn, &bot, Some(0))).unwrap(), newest);
    assert_eq!(world.count_events(alice, |body| matches!(body, EventBody::Gap(_))), 0);
}

#[test]
fn atk_85_the_event_log_takes_no_more_bytes_than_the_user_wants_acknowledged_or_not() {
    let mut world = World::new();
    let alice = world.user("alice");
    world.settle();
    world.command(alice, |txn| consumers::open(txn, &name("bot"), None)).unwrap();
    let wanted = SettingsSet { max_event_mib: Some(1), ..SettingsSet::default() };
    world.command(alice, |txn| Ok(settings::set(txn, &wanted)?)).unwrap();
    for number in 0..200 {
        world.say(alice, &format!("{number} {}", "x".repeat(8 * 1024 - 10)));
        world.advance(Duration::from_secs(2));
    }
    world.advance(Duration::from_secs(61));
    world.say(alice, "the last");
    world.settle();
    let kept = events::after(&world.nodes[alice].rows, 0, usize::MAX).unwrap();
    let bytes: usize = kept.iter().map(|event| event.data.to_string().len()).sum();
    assert!((800_000..1024 * 1024).contains(&bytes), "{bytes} bytes of {} events", kept.len());
    let newest = events::newest(&world.nodes[alice].rows).unwrap();
    assert_eq!(kept.last().unwrap().seq, Some(newest), "the newest stay");
    assert!(oldest(&world, alice) > 50, "also what a reader has not acknowledged goes");
}
