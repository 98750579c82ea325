//! Clocks that leap: what is given up, swept or judged goes by the time that was seen to pass, on either side.

use std::time::Duration;

use chat_protocol::ids::MessageId;
use chat_protocol::limits::{BUNDLE_LIFETIME, CLOCK_TOLERANCE};
use chat_protocol::rpc::types::{MessageState, MsgSend, SettingsSet};
use chat_protocol::rpc::{EventBody, Target};
use chat_protocol::session::bundle::VerifiedBundle;
use chat_protocol::time::Timestamp;
use chatd::engine::{history, settings};
use chatd::store::{Rows, Table};

use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const FORTY_DAYS_MS: i64 = 40 * 24 * 60 * 60 * 1000;

/// Alice and bob, who know each other.
fn two() -> (World, usize, usize) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.send(alice, bob, "hello");
    world.settle();
    (world, alice, bob)
}

/// Alice, and carol, who knows nobody; bob is there too.
fn with_carol() -> (World, usize, usize) {
    let (mut world, alice, _) = two();
    let carol = world.user("carol");
    world.settle();
    (world, alice, carol)
}

fn keep(world: &mut World, who: usize, wanted: &SettingsSet) {
    world.command(who, |txn| Ok(settings::set(txn, wanted)?)).unwrap();
}

fn row(world: &World, who: usize, id: MessageId) -> history::Message {
    history::get(&world.nodes[who].rows, &id).unwrap().unwrap().1
}

/// A clock is so far ahead for a minute, in which the daemon is busy.
fn leap(world: &mut World, who: usize, ahead_ms: i64) {
    world.nodes[who].ahead_ms = ahead_ms;
    for _ in 0..6 {
        world.command(who, |_| Ok(())).unwrap();
        world.advance(MINUTE / 6);
    }
    world.nodes[who].ahead_ms = 0;
    world.command(who, |_| Ok(())).unwrap();
}

/// The machine is off: nobody looks at any clock.
fn off(world: &mut World, who: usize, span: Duration) {
    world.wait_until(world.now + span);
    world.crash(who);
}

#[test]
fn atk_100_a_clock_40_days_ahead_for_a_minute_fails_nothing_and_sweeps_nothing_here() {
    let (mut world, alice, bob) = two();
    let wanted =
        SettingsSet { outbox_days: Some(1), history_days: Some(1), event_days: Some(1), ..SettingsSet::default() };
    keep(&mut world, alice, &wanted);
    let named = world.try_send(alice, Target::User("bob".parse().unwrap()), "named", Some("once")).unwrap();
    world.settle();
    world.go_offline(alice);
    let events = world.events(alice).len();
    let send = |text: &str| MsgSend::text(Target::User("bob".parse().unwrap()), text.to_owned());
    let waits = world.submit(alice, send("waits")).unwrap().id;
    let lives = world.submit(alice, MsgSend { ttl_s: Some(600), ..send("lives") }).unwrap().id;
    let alarm = world
        .submit(alice, MsgSend { notify_undelivered_after_ms: Some(HOUR.as_millis() as u64), ..send("alarm") })
        .unwrap()
        .id;
    for ahead_ms in [FORTY_DAYS_MS, -FORTY_DAYS_MS, FORTY_DAYS_MS] {
        leap(&mut world, alice, ahead_ms);
    }
    for id in [waits, lives, alarm] {
        assert_eq!(world.state(alice, id), MessageState::Queued, "{}", row(&world, alice, id).text);
        assert!(!row(&world, alice, id).deleted);
    }
    assert_eq!(row(&world, alice, named.id).text, "named", "the history keeps it");
    assert_eq!(world.events(alice).len(), events + 3, "the events are all there, and nothing is overdue");
    let again = world.try_send(alice, Target::User("bob".parse().unwrap()), "named", Some("once")).unwrap();
    assert!(again.duplicate, "the name of a message is remembered");
    world.come_online(alice);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: named", "alice: waits", "alice: lives", "alice: alarm"]);
    world.advance(MINUTE * 11);
    assert!(row(&world, alice, lives).deleted, "a life still ends");
}

#[test]
fn atk_100_a_server_40_days_ahead_for_a_minute_sweeps_no_mail_and_no_post() {
    let (mut world, alice, bob) = two();
    world.go_offline(bob);
    let id = world.send(alice, bob, "for when you are back");
    world.say(alice, "for everybody");
    world.settle();
    world.server.set_ahead(DAY * 40);
    world.cut(alice);
    world.settle();
    world.server.sweep();
    world.advance(MINUTE);
    world.server.sweep();
    world.server.set_ahead(Duration::ZERO);
    world.cut(alice);
    world.advance(MINUTE);
    assert_eq!(world.state(alice, id), MessageState::Accepted);
    world.come_online(bob);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: for when you are back"]);
    assert_eq!(world.room(bob), ["alice: for everybody"]);
    assert_eq!(world.state(alice, id), MessageState::Delivered);
}

#[test]
fn a_server_still_forgets_what_nobody_fetched_for_a_month() {
    let (mut world, alice, bob) = two();
    world.go_offline(bob);
    world.send(alice, bob, "too late");
    world.say(alice, "too late");
    world.settle();
    for day in 0..=30 {
        let held = world.server.mail(world.nodes[bob].device).len();
        assert_eq!(held, usize::from(day < 30), "day {day}");
        world.advance(DAY);
        world.server.sweep();
    }
}

#[test]
fn atk_100_bundles_are_judged_rightly_while_a_clock_leaps_within_a_connection() {
    for (slow, ahead_ms) in [(false, FORTY_DAYS_MS), (true, FORTY_DAYS_MS), (false, -FORTY_DAYS_MS)] {
        let (mut world, alice, carol) = with_carol();
        let (writer, reader) = if slow { (carol, alice) } else { (alice, carol) };
        world.nodes[alice].ahead_ms = ahead_ms;
        world.command(alice, |_| Ok(())).unwrap();
        world.advance(MINUTE);
        world.send(writer, reader, "first words");
        world.settle();
        let said = world.inbox(reader);
        assert!(said.last().unwrap().ends_with("first words"), "{ahead_ms} ms ahead: {said:?}");
        assert!(row_sessions(&world, writer) > 0);
    }
}

#[test]
fn atk_31_no_expired_bundle_is_used_because_the_server_lies_of_the_time() {
    for lie in [-2, 2, -24 * 365, 24 * 365] {
        let (mut world, alice, carol) = with_carol();
        world.go_offline(carol);
        world.advance(DAY * 31);
        world.go_offline(alice);
        world.server.clock_ahead_ms = lie * 60 * 60 * 1_000;
        world.come_online(alice);
        world.send(alice, carol, "under keys of long ago?");
        world.advance(HOUR);
        assert_eq!(world.server.mail(world.nodes[carol].device).len(), 0, "{lie} hours off");
        world.server.clock_ahead_ms = 0;
        world.come_online(carol);
        world.cut(alice);
        world.advance(HOUR);
        assert_eq!(world.inbox(carol), ["alice: under keys of long ago?"], "{lie} hours off");
    }
}

/// The sequence of the bundle that the server has of a device, and when it says it was signed.
fn bundle(world: &World, who: usize) -> (u64, Timestamp) {
    let node = &world.nodes[who];
    let bundle = VerifiedBundle::verify(&world.server.bundle(node.device), &node.local.cert).unwrap();
    (bundle.seq(), bundle.expires() - BUNDLE_LIFETIME)
}

#[test]
fn atk_31_no_bundle_is_signed_for_a_time_that_only_the_server_says() {
    for days in [365, 40, -40, -365] {
        let (mut world, _, bob) = two();
        let (first, signed) = bundle(&world, bob);
        world.server.clock_ahead_ms = days * 24 * 60 * 60 * 1_000;
        world.cut(bob);
        world.settle();
        assert_eq!(bundle(&world, bob), (first, signed), "its keys are not worn, {days} days off");
        world.advance(DAY * 8);
        let (seq, signed) = bundle(&world, bob);
        assert_eq!(seq, first + 1, "a week is over, {days} days off");
        assert!(signed <= world.now && world.now.since(signed) < DAY + CLOCK_TOLERANCE, "{days} days off");
    }
}

#[test]
fn a_machine_that_booted_in_the_past_after_weeks_signs_for_the_servers_time() {
    let (mut world, _, bob) = two();
    off(&mut world, bob, DAY * 40);
    world.nodes[bob].ahead_ms = -10 * 365 * 24 * 60 * 60 * 1_000;
    world.crash(bob);
    world.settle();
    assert!(world.now.since(bundle(&world, bob).1) < MINUTE);
    let carol = world.user("carol");
    world.settle();
    world.send(carol, bob, "good morning");
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "carol: good morning"]);
}

#[test]
fn atk_31_an_own_clock_that_went_back_with_the_servers_lets_no_expired_bundle_in() {
    let (mut world, alice, carol) = with_carol();
    world.go_offline(carol);
    world.advance(DAY * 31);
    world.go_offline(alice);
    // when the bundle was still good
    (world.server.clock_ahead_ms, world.nodes[alice].ahead_ms) = (-FORTY_DAYS_MS / 4, -FORTY_DAYS_MS / 4);
    world.come_online(alice);
    world.send(alice, carol, "under keys of long ago?");
    for _ in 0..6 {
        world.cut(alice);
        world.advance(DAY);
    }
    assert_eq!(world.server.mail(world.nodes[carol].device).len(), 0);
    world.nodes[alice].ahead_ms = 0;
    world.server.clock_ahead_ms = 0;
    world.come_online(carol);
    world.cut(alice);
    world.advance(HOUR);
    assert_eq!(world.inbox(carol), ["alice: under keys of long ago?"]);
}

#[test]
fn clocks_that_were_both_a_year_ahead_once_are_forgotten_after_a_week() {
    let (mut world, alice, _) = two();
    let ahead = 365 * 24 * 60 * 60 * 1_000;
    (world.server.clock_ahead_ms, world.nodes[alice].ahead_ms) = (ahead, ahead);
    world.cut(alice);
    world.settle();
    (world.server.clock_ahead_ms, world.nodes[alice].ahead_ms) = (0, 0);
    world.cut(alice);
    let carol = world.user("carol");
    world.settle();
    world.send(alice, carol, "what year is it?");
    for day in 0..=8 {
        assert_eq!(world.inbox(carol).len(), usize::from(day > 7), "day {day}");
        world.cut(alice);
        world.advance(DAY);
    }
}

#[test]
fn a_machine_whose_clock_is_weeks_slow_begins_sessions_all_the_same() {
    let (mut world, alice, carol) = with_carol();
    world.go_offline(alice);
    world.nodes[alice].ahead_ms = -3 * 7 * 24 * 60 * 60 * 1_000;
    world.crash(alice);
    world.come_online(alice);
    world.send(alice, carol, "what day is it?");
    world.settle();
    assert_eq!(world.inbox(carol), ["alice: what day is it?"]);
}

fn row_sessions(world: &World, who: usize) -> u64 {
    world.nodes[who].rows.count(Table::Sessions, b"sid").unwrap()
}

#[test]
fn an_alert_queued_by_a_machine_that_booted_in_the_past_leaves_when_its_clock_is_set() {
    let (mut world, alice, bob) = two();
    world.go_offline(alice);
    keep(&mut world, alice, &SettingsSet { outbox_days: Some(1), ..SettingsSet::default() });
    world.nodes[alice].ahead_ms = -10 * 365 * 24 * 60 * 60 * 1000;
    world.crash(alice);
    let alert = MsgSend {
        ttl_s: Some(HOUR.as_secs() as u32),
        ..MsgSend::text(Target::User("bob".parse().unwrap()), "water".to_owned())
    };
    let id = world.submit(alice, alert).unwrap().id;
    world.advance(Duration::from_secs(2));
    world.nodes[alice].ahead_ms = 0;
    world.command(alice, |_| Ok(())).unwrap();
    world.advance(MINUTE);
    assert_eq!(world.state(alice, id), MessageState::Queued);
    world.come_online(alice);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: water"]);
}

#[test]
fn a_gap_is_waited_for_as_long_as_ever_while_the_clock_leaps() {
    let (mut world, alice, bob) = two();
    world.go_offline(bob);
    for text in ["first", "second"] {
        world.send(alice, bob, text);
    }
    world.settle();
    let mut held = world.take_mailbox(bob);
    let (first, second) = (held.remove(0), held.remove(0));
    world.deliver(alice, bob, second.envelope);
    world.come_online(bob);
    world.settle();
    world.nodes[bob].ahead_ms = FORTY_DAYS_MS;
    world.command(bob, |_| Ok(())).unwrap();
    world.settle();
    let missing = |world: &World| world.count_events(bob, |body| matches!(body, EventBody::MessageMissing(_)));
    assert_eq!(missing(&world), 0);
    world.deliver(alice, bob, first.envelope);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: first", "alice: second"]);
    assert_eq!(missing(&world), 0);
}

#[test]
fn what_is_off_for_a_year_has_waited_a_day() {
    let (mut world, alice, bob) = two();
    world.go_offline(alice);
    keep(&mut world, alice, &SettingsSet { outbox_days: Some(3), ..SettingsSet::default() });
    let id = world.send(alice, bob, "from the cellar");
    for days in [365, 1] {
        off(&mut world, alice, DAY * days);
        assert_eq!(world.state(alice, id), MessageState::Queued);
    }
    off(&mut world, alice, DAY * 2);
    world.advance(HOUR * 2);
    assert_eq!(world.state(alice, id), MessageState::Failed, "three days have passed by now");
}

#[test]
fn a_daemon_that_runs_an_hour_a_day_still_forgets() {
    let (mut world, alice, bob) = two();
    keep(&mut world, bob, &SettingsSet { history_days: Some(7), event_days: Some(7), ..SettingsSet::default() });
    for day in 0..9 {
        assert_eq!(world.inbox(bob).len(), usize::from(day < 7), "day {day}");
        world.advance(HOUR);
        off(&mut world, bob, HOUR * 23);
        world.advance(MINUTE);
    }
    let oldest = Timestamp::from_millis(world.events(bob).first().unwrap().time_ms);
    assert!(world.now.since(oldest) < DAY * 8);
    assert_eq!(world.inbox(alice).len(), 0);
}

#[test]
fn a_message_for_later_goes_when_the_clock_says_so_and_lives_from_then_on() {
    let (mut world, alice, bob) = two();
    world.nodes[alice].ahead_ms = -FORTY_DAYS_MS;
    world.command(alice, |_| Ok(())).unwrap();
    let at_ms = Some((world.nodes[alice].clock(world.now) + DAY).as_millis());
    let send =
        MsgSend { at_ms, ttl_s: Some(600), ..MsgSend::text(Target::User("bob".parse().unwrap()), "later".to_owned()) };
    let id = world.submit(alice, send).unwrap().id;
    world.advance(HOUR);
    assert_eq!(world.inbox(bob).len(), 1);
    world.nodes[alice].ahead_ms = 0;
    world.command(alice, |_| Ok(())).unwrap();
    world.settle();
    assert_eq!(world.inbox(bob).last().unwrap(), "alice: later");
    assert!(!row(&world, alice, id).deleted);
    world.advance(MINUTE * 11);
    assert!(row(&world, alice, id).deleted);
}

#[test]
fn an_idle_daemon_notices_within_a_minute_that_its_clock_was_set_past_the_time_of_a_message() {
    let (mut world, alice, bob) = two();
    world.advance(DAY);
    let at_ms = Some((world.now + DAY * 2).as_millis());
    world
        .submit(alice, MsgSend { at_ms, ..MsgSend::text(Target::User("bob".parse().unwrap()), "later".to_owned()) })
        .unwrap();
    world.advance(HOUR);
    world.nodes[alice].ahead_ms = FORTY_DAYS_MS;
    world.advance(MINUTE + Duration::from_secs(1));
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: later"]);
}
