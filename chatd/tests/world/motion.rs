//! Sessions in motion: keys are renewed and kept, silence is broken, what was lost is begun again.

use std::time::Duration;

use chat_protocol::rpc::EventBody;
use chat_protocol::rpc::types::MessageState;
use chat_protocol::session::bundle::one_time_hash;
use chat_protocol::session::manager::{Stage, Standing};
use chatd::engine::{amend, sessions};
use chatd::store::{Direction, Rows, Table};

use crate::world::{World, acquainted};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn sending(world: &World, who: usize, with: usize) -> Standing {
    let known = sessions::standings(&world.nodes[who].rows, &world.nodes[with].device).unwrap();
    known.sending().unwrap().clone()
}

/// How many of a device's prekeys and their traces are kept.
fn kept(world: &World, who: usize, scope: &[u8]) -> usize {
    let found = world.nodes[who].rows.scan(Table::Prekeys, scope, 0..=u64::MAX, Direction::Ascending, usize::MAX);
    found.unwrap().len()
}

fn submits(world: &World, who: usize) -> usize {
    world.server.seen.iter().filter(|(device, _)| *device == world.nodes[who].device).count()
}

fn inits(world: &World, who: usize) -> usize {
    let of = world.server.seen.iter().filter(|(device, _)| *device == world.nodes[who].device);
    of.filter(|(_, submit)| submit.to.iter().any(|to| to.envelope.init.is_some())).count()
}

fn undecryptable(world: &World, who: usize) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::MessageUndecryptable(_)))
}

/// What is submitted for a device meanwhile cannot be opened there.
pub fn spoiled<T>(world: &mut World, who: usize, step: impl FnOnce(&mut World) -> T) -> T {
    world.go_offline(who);
    world.server.corrupt = Some(world.nodes[who].device);
    let result = step(world);
    world.settle();
    world.server.corrupt = None;
    world.come_online(who);
    result
}

/// Three messages, after which a reset is due.
pub fn three(world: &mut World, from: usize, to: usize) {
    for n in 0..3 {
        world.send(from, to, &n.to_string());
    }
}

/// The device forgets its prekeys, as if it had lost them.
pub fn lose_prekeys(world: &mut World, who: usize) {
    for scope in [b"signed".as_slice(), b"kem", b"bundle", b"one-time", b""] {
        world.nodes[who].rows.delete_range(Table::Prekeys, scope, 0..=u64::MAX).unwrap();
    }
    world.crash(who);
}

#[test]
fn an_idle_daemon_renews_its_prekeys_every_week() {
    let mut world = World::new();
    let bob = world.user("bob");
    world.settle();
    let device = world.nodes[bob].device;
    let first = world.server.state(device).bundle_seq;
    world.advance(DAY * 7 - HOUR);
    assert_eq!(world.server.state(device).bundle_seq, first, "not before its time");
    world.advance(HOUR * 2);
    assert_eq!(world.server.state(device).bundle_seq, first + 1);
    world.advance(DAY * 7);
    assert_eq!(world.server.state(device).bundle_seq, first + 2);
}

#[test]
fn a_renewed_bundle_goes_on_listing_the_one_time_keys_that_are_left() {
    let (mut world, _, bob) = acquainted();
    let device = world.nodes[bob].device;
    let before = world.server.left(device);
    assert!(before.len() < 64, "one was handed out");
    world.advance(DAY * 8);
    let after = world.server.left(device);
    assert!(before.iter().all(|key| after.contains(key)), "what was left is still there");
    assert_eq!(after.len(), 64, "and it was filled up");
    let carol = world.user("carol");
    world.settle();
    world.send(carol, bob, "with one of the old ones");
    world.settle();
    assert_eq!(world.inbox(bob).last().unwrap(), "carol: with one of the old ones");
}

#[test]
fn a_server_that_names_keys_of_its_own_as_left_gets_none_of_them_signed() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let device = world.nodes[bob].device;
    let own = chat_protocol::session::bundle::OneTimePrekey::generate(&mut world.chance).public_key();
    world.server.plant(device, &own);
    world.crash(bob);
    world.settle();
    let left = world.server.left(device);
    assert!(!left.is_empty() && !left.contains(&one_time_hash(&own)));
    world.send(alice, bob, "opens");
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: opens"]);
}

#[test]
fn prekeys_stay_61_days_after_a_bundle_named_them_and_then_go() {
    let mut world = World::new();
    let bob = world.user("bob");
    world.settle();
    world.advance(DAY * 60);
    let before = kept(&world, bob, b"signed");
    assert_eq!(before, 9, "one a week, none forgotten");
    world.advance(DAY * 70);
    assert!(kept(&world, bob, b"signed") <= 10, "old ones go");
    assert!(kept(&world, bob, b"bundle") <= 10);
}

#[test]
fn nothing_is_forgotten_before_the_mailbox_was_drained() {
    let (mut world, _, bob) = acquainted();
    let carol = world.user("carol");
    world.settle();
    world.go_offline(bob);
    world.send(carol, bob, "from long ago");
    world.settle();
    // bob's daemon runs on without a connection
    for _ in 0..100 {
        world.advance(DAY);
        world.crash(bob);
        world.command(bob, |_| Ok(())).unwrap();
    }
    world.come_online(bob);
    world.settle();
    assert_eq!(world.inbox(bob).last().unwrap(), "carol: from long ago");
}

#[test]
fn a_clock_that_leaps_for_a_moment_costs_no_key() {
    let (mut world, _, bob) = acquainted();
    let carol = world.user("carol");
    world.settle();
    world.go_offline(bob);
    world.send(carol, bob, "under the old bundle");
    world.settle();
    world.nodes[bob].ahead_ms = 10 * 365 * 24 * 60 * 60 * 1000;
    world.command(bob, |_| Ok(())).unwrap();
    world.advance(Duration::from_secs(1));
    world.nodes[bob].ahead_ms = 0;
    world.come_online(bob);
    world.settle();
    assert_eq!(world.inbox(bob).last().unwrap(), "carol: under the old bundle");
}

#[test]
fn a_device_that_was_away_for_weeks_has_a_fresh_bundle_when_it_is_back() {
    let (mut world, _, bob) = acquainted();
    world.go_offline(bob);
    world.advance(DAY * 40);
    world.come_online(bob);
    world.settle();
    let carol = world.user("carol");
    world.settle();
    world.send(carol, bob, "welcome back");
    world.settle();
    assert_eq!(world.inbox(bob).last().unwrap(), "carol: welcome back");
}

#[test]
fn an_expired_bundle_begins_nothing_until_its_device_is_back() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.go_offline(bob);
    world.advance(DAY * 31);
    world.send(alice, bob, "are you still there?");
    world.advance(DAY);
    assert_eq!(submits(&world, alice), 0, "nothing is sealed for keys that may be gone");
    world.come_online(bob);
    world.advance(HOUR);
    assert_eq!(world.inbox(bob), ["alice: are you still there?"]);
}

#[test]
fn an_init_accepted_after_its_bundle_ran_out_is_begun_again() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.go_offline(bob);
    world.advance(DAY * 29 + HOUR * 12);
    world.send(alice, bob, "in time");
    world.settle();
    assert_eq!(inits(&world, alice), 1);
    world.advance(HOUR * 18);
    world.send(alice, bob, "too late");
    world.settle();
    world.nodes[bob].slow = true;
    world.come_online(bob);
    world.advance(HOUR);
    world.nodes[bob].slow = false;
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: in time", "alice: too late"]);
    let used: std::collections::BTreeSet<_> = world
        .server
        .seen
        .iter()
        .filter(|(device, _)| *device == world.nodes[alice].device)
        .map(|(_, s)| s.to[0].envelope.sid)
        .collect();
    assert_eq!(used.len(), 2, "a new session from the fresh bundle");
}

#[test]
fn a_heartbeat_follows_a_day_of_listening_and_is_not_answered_by_another() {
    let (mut world, alice, bob) = acquainted();
    let before = (submits(&world, alice), submits(&world, bob));
    world.advance(HOUR * 23);
    assert_eq!((submits(&world, alice), submits(&world, bob)), before);
    world.advance(DAY * 30);
    let after = (submits(&world, alice), submits(&world, bob));
    assert!(after.0 + after.1 - before.0 - before.1 <= 2, "one each at most: {before:?} {after:?}");
    assert!(after > before, "somebody turned the ratchet");
}

#[test]
fn fifty_receipts_without_a_word_in_between_are_answered_by_a_heartbeat() {
    let (mut world, alice, bob) = acquainted();
    world.go_offline(alice);
    for n in 0..60 {
        world.send(bob, alice, &n.to_string());
    }
    world.come_online(alice);
    world.settle();
    assert!(sending(&world, alice, bob).unanswered < 50);
    assert!(sending(&world, bob, alice).unanswered < 50);
}

#[test]
fn a_session_is_renewed_after_30_days_and_the_old_one_serves_until_then() {
    let (mut world, alice, bob) = acquainted();
    let old = sending(&world, alice, bob).id;
    world.advance(DAY * 29);
    world.send(alice, bob, "29");
    world.settle();
    assert_eq!(sending(&world, alice, bob).id, old);
    let device = world.nodes[bob].device;
    world.server.bundleless.insert(device);
    world.advance(DAY * 2);
    world.send(alice, bob, "no bundle, no matter");
    world.settle();
    assert_eq!(world.inbox(bob).last().unwrap(), "alice: no bundle, no matter");
    assert_eq!(sending(&world, alice, bob).id, old);
    world.server.bundleless.remove(&device);
    world.advance(Duration::from_secs(61));
    world.send(alice, bob, "on the new one");
    world.settle();
    world.send(alice, bob, "still");
    world.settle();
    world.send(bob, alice, "here too");
    world.settle();
    assert_ne!(sending(&world, alice, bob).id, old);
    assert_eq!(sending(&world, alice, bob).id, sending(&world, bob, alice).id);
    assert_eq!(world.inbox(alice).last().unwrap(), "bob: here too");
}

#[test]
fn an_init_nobody_could_open_is_begun_again_after_1_7_and_25_days_with_everything() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.go_offline(bob);
    let ids = [world.send(alice, bob, "one"), world.send(alice, bob, "two")];
    world.settle();
    lose_prekeys(&mut world, bob);
    world.come_online(bob);
    world.advance(HOUR * 23);
    assert!(world.inbox(bob).is_empty(), "the prekeys are gone");
    world.advance(HOUR * 2);
    assert_eq!(world.inbox(bob), ["alice: one", "alice: two"]);
    assert!(ids.iter().all(|id| world.state(alice, *id) == MessageState::Delivered));
    assert_eq!(sending(&world, alice, bob).stage, Stage::Confirmed);
}

#[test]
fn an_initiator_tries_three_times_and_then_waits_for_the_peer() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.server.corrupt = Some(world.nodes[bob].device);
    world.send(alice, bob, "one");
    let mut seen = Vec::new();
    for days in [0, 1, 1, 4, 2, 16, 3, 60] {
        world.advance(DAY * days + HOUR);
        seen.push(inits(&world, alice));
    }
    assert_eq!(seen, [1, 2, 2, 2, 3, 3, 4, 4]);
    world.server.corrupt = None;
    world.send(bob, alice, "what was it?");
    world.settle();
    assert_eq!(world.inbox(alice), ["bob: what was it?"]);
}

#[test]
fn what_could_not_be_opened_comes_again_once_with_the_reset() {
    let (mut world, alice, bob) = acquainted();
    let ids: Vec<_> =
        spoiled(&mut world, bob, |world| (0..3).map(|n| world.send(alice, bob, &n.to_string())).collect());
    world.advance(Duration::from_secs(120));
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: 0", "alice: 1", "alice: 2"]);
    assert_eq!(undecryptable(&world, bob), 3);
    assert!(ids.iter().all(|id| world.state(alice, *id) == MessageState::Delivered));
}

#[test]
fn nothing_older_than_a_week_goes_again_by_itself() {
    let (mut world, alice, bob) = acquainted();
    spoiled(&mut world, bob, |world| world.send(alice, bob, "old"));
    world.advance(DAY * 8);
    spoiled(&mut world, bob, |world| three(world, alice, bob));
    world.advance(Duration::from_secs(120));
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: 0", "alice: 1", "alice: 2"]);
}

#[test]
fn an_edit_that_could_not_be_opened_takes_its_effect_after_the_reset() {
    let (mut world, alice, bob) = acquainted();
    let id = world.send(alice, bob, "teh");
    world.settle();
    spoiled(&mut world, bob, |world| {
        world.command(alice, |txn| amend::edit(txn, &id, "the".to_owned())).unwrap();
        three(world, alice, bob);
    });
    world.advance(Duration::from_secs(120));
    assert!(world.inbox(bob).contains(&"alice: the".to_owned()), "{:?}", world.inbox(bob));
}

#[test]
fn skipped_keys_go_after_30_days() {
    let (mut world, alice, bob) = acquainted();
    world.go_offline(bob);
    world.send(alice, bob, "lost on the way");
    world.send(alice, bob, "next");
    world.settle();
    let mut held = world.take_mailbox(bob);
    let late = held.remove(0);
    world.come_online(bob);
    world.settle();
    held.into_iter().for_each(|deliver| world.deliver(alice, bob, deliver.envelope));
    world.settle();
    let sid = late.envelope.sid;
    let skipped = |world: &World| world.nodes[bob].rows.count(Table::Skipped, sid.as_bytes()).unwrap();
    assert_eq!(skipped(&world), 1);
    world.advance(DAY * 29);
    assert_eq!(skipped(&world), 1);
    world.advance(DAY * 3);
    assert_eq!(skipped(&world), 0);
    world.deliver(alice, bob, late.envelope);
    world.settle();
    assert!(!world.inbox(bob).contains(&"alice: lost on the way".to_owned()));
}

#[test]
fn clocks_apart_are_told_once_and_told_again_after_they_agreed() {
    let (mut world, alice, _) = acquainted();
    let told = |world: &World| world.count_events(alice, |body| matches!(body, EventBody::ClockSkew(_)));
    let reconnect = |world: &mut World| {
        world.cut(alice);
        world.settle();
    };
    world.nodes[alice].ahead_ms = 2 * 60 * 60 * 1000;
    (0..3).for_each(|_| reconnect(&mut world));
    assert_eq!(told(&world), 1);
    world.nodes[alice].ahead_ms = 0;
    reconnect(&mut world);
    world.nodes[alice].ahead_ms = -2 * 60 * 60 * 1000;
    reconnect(&mut world);
    assert_eq!(told(&world), 2);
}
