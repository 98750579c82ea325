//! An older copy of a device's data comes back: it is noticed, and nothing old is used again.

use std::collections::BTreeSet;
use std::time::Duration;

use chat_protocol::ids::SessionId;
use chat_protocol::limits::MAX_NUMBER;
use chat_protocol::rpc::types::MessageState;
use chatd::engine::sessions::HighWater;
use chatd::engine::store::MemoryRows;

use crate::world::{World, acquainted};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Alice, bob, and alice's data as it was yesterday, before they went on talking.
fn a_day_later() -> (World, usize, usize, MemoryRows) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    talk(&mut world, alice, bob, "monday");
    let yesterday = world.nodes[alice].rows.clone();
    world.advance(DAY);
    talk(&mut world, alice, bob, "tuesday");
    (world, alice, bob, yesterday)
}

/// A word and its answer, twice, so that the ratchet has turned.
fn talk(world: &mut World, alice: usize, bob: usize, day: &str) {
    for n in 1..=2 {
        world.send(alice, bob, &format!("{day} {n}"));
        world.settle();
        world.send(bob, alice, &format!("{day} {n}"));
        world.settle();
    }
}

/// Sessions a device submitted on, from its `from`th submit on.
fn used(world: &World, who: usize, from: usize) -> BTreeSet<SessionId> {
    let device = world.nodes[who].device;
    let of = world.server.seen[from..].iter().filter(|(author, _)| *author == device);
    of.flat_map(|(_, submit)| submit.to.iter().map(|to| to.envelope.sid)).collect()
}

fn high_water(world: &World, who: usize) -> HighWater {
    HighWater::of(&world.nodes[who].rows).unwrap()
}

fn nothing_twice(inbox: &[String]) {
    assert_eq!(inbox.iter().collect::<BTreeSet<_>>().len(), inbox.len(), "{inbox:?}");
}

/// The server says nothing of what it had from a device since its rows were younger.
fn silence(world: &mut World, who: usize) {
    let (device, known) = (world.nodes[who].device, high_water(world, who));
    world.server.claim(device, known.submit, known.bundle, known.taken);
}

/// Everything that is promised once alice's copy is back and noticed.
fn renewed(world: &mut World, alice: usize, bob: usize, before: usize) {
    let old: BTreeSet<_> = used(world, alice, 0).into_iter().collect();
    world.send(bob, alice, "while you were away");
    world.come_online(alice);
    // what her copy does not have and nobody sends again is waited for
    world.advance(Duration::from_secs(61));
    let inbox = world.inbox(alice);
    assert_eq!(inbox.last().unwrap(), "bob: while you were away", "what she could not open came again");
    nothing_twice(&inbox);
    world.send(alice, bob, "wednesday 1");
    world.send(bob, alice, "wednesday 1");
    world.settle();
    assert_eq!(world.inbox(alice).last().unwrap(), "bob: wednesday 1");
    assert_eq!(world.inbox(bob).last().unwrap(), "alice: wednesday 1");
    nothing_twice(&world.inbox(bob));
    let since = used(world, alice, before);
    assert!(!since.is_empty() && since.is_disjoint(&old), "an old session was sent on");
}

#[test]
fn atk_51_yesterdays_database_is_noticed_by_the_servers_word_and_renewed_in_one_round_trip() {
    let (mut world, alice, bob, yesterday) = a_day_later();
    world.go_offline(alice);
    let before = world.server.seen.len();
    world.restore(alice, yesterday, None);
    renewed(&mut world, alice, bob, before);
}

#[test]
fn atk_51_yesterdays_database_is_noticed_by_the_file_beside_it_although_the_server_is_silent() {
    let (mut world, alice, bob, yesterday) = a_day_later();
    world.go_offline(alice);
    let (before, noted) = (world.server.seen.len(), high_water(&world, alice));
    world.restore(alice, yesterday, Some(noted));
    silence(&mut world, alice);
    renewed(&mut world, alice, bob, before);
    assert!(high_water(&world, alice).event >= noted.event, "events have no number twice");
}

#[test]
fn atk_51_no_number_beside_an_old_copy_however_large_keeps_it_from_being_renewed() {
    for n in [MAX_NUMBER / 2, MAX_NUMBER / 2 + 1, MAX_NUMBER, u64::MAX] {
        for field in 0..4 {
            let (mut world, alice, bob, yesterday) = a_day_later();
            world.go_offline(alice);
            let (before, mut noted) = (world.server.seen.len(), high_water(&world, alice));
            *[&mut noted.taken, &mut noted.submit, &mut noted.bundle, &mut noted.event][field] = n;
            world.restore(alice, yesterday, Some(noted));
            renewed(&mut world, alice, bob, before);
        }
    }
}

#[test]
fn atk_51_what_waited_in_an_old_copy_is_shown_once() {
    let (mut world, alice, bob, _) = a_day_later();
    world.go_offline(alice);
    let id = world.send(alice, bob, "queued");
    let copy = world.nodes[alice].rows.clone();
    world.come_online(alice);
    world.settle();
    world.go_offline(alice);
    world.restore(alice, copy, None);
    world.come_online(alice);
    world.settle();
    nothing_twice(&world.inbox(bob));
    assert_eq!(world.state(alice, id), MessageState::Delivered);
}

#[test]
fn a_file_that_is_behind_changes_nothing() {
    let (mut world, alice, bob, yesterday) = a_day_later();
    let rows = world.nodes[alice].rows.clone();
    world.go_offline(alice);
    world.restore(alice, rows, Some(HighWater::of(&yesterday).unwrap()));
    let (before, known) = (world.server.seen.len(), used(&world, alice, 0));
    world.come_online(alice);
    world.send(alice, bob, "as ever");
    world.settle();
    assert!(used(&world, alice, before).is_subset(&known));
}

#[test]
fn a_reset_that_was_owed_is_sent_although_the_daemon_died_first() {
    let (mut world, alice, bob, yesterday) = a_day_later();
    world.go_offline(alice);
    world.restore(alice, yesterday, None);
    let bundle = world.nodes[bob].device;
    world.server.bundleless.insert(bundle);
    world.come_online(alice);
    world.settle();
    world.crash(alice);
    world.server.bundleless.remove(&bundle);
    world.send(bob, alice, "still on the old one");
    world.advance(Duration::from_secs(120));
    assert_eq!(world.inbox(alice).last().unwrap(), "bob: still on the old one");
}

#[test]
fn a_mailbox_of_another_generation_says_nothing_about_how_old_the_own_rows_are() {
    let (mut world, alice, bob) = acquainted();
    let device = world.nodes[alice].device;
    let before = used(&world, alice, 0).len();
    let known = world.server.state(device);
    // put back from a backup, or taken over by another server: its numbers are not those of before
    world.server.claim(device, known.submit_counter, known.bundle_seq, known.mailbox_last);
    world.server.disk.meddle(
        "UPDATE mailbox SET last_seq = last_seq + 100, acked_seq = acked_seq + 100;
         UPDATE mailbox_generation SET generation = 7;",
    );
    world.cut(alice);
    world.cut(bob);
    world.settle();
    world.send(bob, alice, "under a number of the new one");
    world.send(alice, bob, "on the same session");
    world.settle();
    assert_eq!(used(&world, alice, 0).len(), before, "nothing was begun anew");
    // and numbers that were used before come again in the next
    world
        .server
        .disk
        .meddle("UPDATE mailbox SET last_seq = 1, acked_seq = 1; UPDATE mailbox_generation SET generation = 8;");
    world.cut(alice);
    world.cut(bob);
    world.settle();
    for text in ["two", "three"] {
        world.send(bob, alice, text);
        world.settle();
    }
    let inbox = world.inbox(alice);
    assert_eq!(inbox[inbox.len() - 3..], ["bob: under a number of the new one", "bob: two", "bob: three"]);
    nothing_twice(&inbox);
    assert_eq!(used(&world, alice, 0).len(), before);
}

#[test]
fn a_server_that_always_says_so_is_believed_once_a_day() {
    let (mut world, alice, bob, _) = a_day_later();
    let device = world.nodes[alice].device;
    let before = used(&world, alice, 0).len();
    for hour in 0..49 {
        world.cut(alice);
        let known = world.server.state(device);
        world.server.claim(device, known.submit_counter + 100, known.bundle_seq, known.mailbox_acked);
        world.settle();
        world.send(alice, bob, &hour.to_string());
        world.advance(Duration::from_secs(60 * 60));
    }
    assert_eq!(used(&world, alice, 0).len() - before, 3, "one each day it was said");
    let inbox = world.inbox(bob);
    assert!((0..49).all(|hour| inbox.contains(&format!("alice: {hour}"))));
}
