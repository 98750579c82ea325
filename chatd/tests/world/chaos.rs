//! Bad networks, crashes at every seam, both sides beginning at once: nothing is lost, nothing comes twice.

use std::time::Duration;

use chatd::engine::sessions;

use crate::world::World;

/// Bodies `0..n` of one sender, as the other sees them.
fn expected(name: &str, n: usize) -> Vec<String> {
    (0..n).map(|i| format!("{name}: {i}")).collect()
}

fn of<'i>(inbox: &'i [String], name: &str) -> Vec<&'i String> {
    inbox.iter().filter(|line| line.starts_with(name)).collect()
}

/// Both talk through `rounds` rounds of disturbances; then calm; then everything has to be there.
fn talk(seed: u64, cuts: u32, crashes: u32, rounds: usize) -> World {
    let mut world = World::seeded(seed);
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    (world.cuts, world.crashes) = (cuts, crashes);
    for i in 0..rounds {
        world.send(alice, bob, &i.to_string());
        world.send(bob, alice, &i.to_string());
        let pause = world.below(3) as u64;
        world.advance(Duration::from_millis(pause * 70));
    }
    world.calm();
    assert_eq!(world.inbox(bob), expected("alice", rounds), "seed {seed}");
    assert_eq!(world.inbox(alice), expected("bob", rounds), "seed {seed}");
    world
}

#[test]
fn atk_49_both_begin_at_once_in_many_interleavings() {
    for seed in 0..200 {
        let world = talk(seed, if seed % 2 == 0 { 0 } else { 12 }, 0, 4);
        let sending = |who: usize, with: usize| {
            let known = sessions::standings(&world.nodes[who].rows, &world.nodes[with].device).unwrap();
            known.sending().unwrap().id
        };
        assert_eq!(sending(0, 1), sending(1, 0), "seed {seed}: not one sending session");
    }
}

#[test]
fn a_crash_between_any_two_steps_loses_and_repeats_nothing() {
    for seed in 100..120 {
        talk(seed, 15, 4, 6);
    }
}

#[test]
fn a_long_talk_over_a_bad_line_stays_in_order() {
    talk(7, 10, 0, 120);
}

#[test]
fn several_talk_to_one_and_each_stays_in_order() {
    let mut world = World::seeded(11);
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    world.settle();
    world.cuts = 20;
    for i in 0..20 {
        world.send(alice, carol, &i.to_string());
        world.send(bob, carol, &i.to_string());
        world.advance(Duration::from_millis(30));
    }
    world.calm();
    let inbox = world.inbox(carol);
    assert_eq!(of(&inbox, "alice").into_iter().cloned().collect::<Vec<_>>(), expected("alice", 20));
    assert_eq!(of(&inbox, "bob").into_iter().cloned().collect::<Vec<_>>(), expected("bob", 20));
}

#[test]
fn what_waits_behind_rsa_is_shown_before_what_another_session_opens_at_once() {
    for seed in 300..340 {
        let mut world = World::seeded(seed);
        let (alice, bob) = (world.user("alice"), world.user("bob"));
        world.settle();
        world.nodes[bob].slow = true;
        world.send(alice, bob, "0");
        world.send(bob, alice, "0");
        world.settle();
        for i in 1..4 {
            world.send(alice, bob, &i.to_string());
            world.settle();
        }
        world.nodes[bob].slow = false;
        world.calm();
        assert_eq!(world.inbox(bob), expected("alice", 4), "seed {seed}");
        assert_eq!(world.inbox(alice), expected("bob", 1), "seed {seed}");
    }
}

#[test]
fn posts_keep_their_order_whatever_the_server_puts_off_and_the_line_loses() {
    for seed in 400..430 {
        let mut world = World::seeded(seed);
        let (alice, bob) = (world.user("alice"), world.user("bob"));
        world.settle();
        (world.server.busy, world.cuts, world.crashes) = (3, 12, 6);
        for i in 0..12 {
            world.say(alice, &i.to_string());
            world.advance(Duration::from_millis(50));
        }
        world.server.busy = 0;
        world.calm();
        assert_eq!(world.room(bob), expected("alice", 12), "seed {seed}");
    }
}

#[test]
fn a_server_that_is_busy_now_and_then_changes_no_order() {
    for seed in 500..520 {
        let mut world = World::seeded(seed);
        world.server.busy = 4;
        let (alice, bob) = (world.user("alice"), world.user("bob"));
        world.settle();
        for i in 0..12 {
            world.send(alice, bob, &i.to_string());
            world.advance(Duration::from_millis(40));
        }
        world.server.busy = 0;
        world.calm();
        assert_eq!(world.inbox(bob), expected("alice", 12), "seed {seed}");
    }
}

#[test]
fn a_full_mailbox_holds_up_nobody_else() {
    let mut world = World::new();
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    world.settle();
    world.send(alice, bob, "0");
    world.settle();
    world.fill_mailbox(bob, true);
    for i in 1..100 {
        world.send(alice, bob, &i.to_string());
    }
    world.settle();
    world.send(alice, carol, "0");
    world.settle();
    assert_eq!(world.inbox(carol), expected("alice", 1), "carol's mailbox has room");
    world.fill_mailbox(bob, false);
    world.advance(Duration::from_secs(61));
    world.calm();
    assert_eq!(world.inbox(bob), expected("alice", 100));
}

#[test]
fn what_the_server_cannot_store_holds_up_nobody_else() {
    let mut world = World::new();
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    world.settle();
    world.send(alice, bob, "0");
    world.settle();
    world.server.broken = Some(world.nodes[bob].device);
    world.send(alice, bob, "1");
    world.settle();
    world.send(alice, carol, "0");
    world.settle();
    assert_eq!(world.inbox(carol), expected("alice", 1), "only what goes to bob fails");
    world.server.broken = None;
    world.advance(Duration::from_secs(6));
    world.calm();
    assert_eq!(world.inbox(bob), expected("alice", 2));
}

#[test]
fn both_devices_of_an_account_get_everything_in_order_whatever_breaks() {
    for seed in 600..612 {
        let mut world = World::seeded(seed);
        let (alice, bob) = (world.user("alice"), world.user("bob"));
        let tablet = world.another_device(alice);
        world.settle();
        (world.cuts, world.crashes) = (15, 6);
        for i in 0..6 {
            world.send(bob, alice, &i.to_string());
            world.send(if i % 2 == 0 { alice } else { tablet }, bob, &i.to_string());
            world.advance(Duration::from_millis(60));
        }
        world.calm();
        assert_eq!(world.inbox(alice), expected("bob", 6), "seed {seed}");
        assert_eq!(world.inbox(tablet), expected("bob", 6), "seed {seed}");
        let mut of_alice = world.inbox(bob);
        of_alice.sort();
        assert_eq!(of_alice, expected("alice", 6), "seed {seed}");
    }
}
