//! What waits for one device, or cannot be said at once, holds up nothing else.

use std::time::Duration;

use chat_protocol::message::Call;
use chat_protocol::message::client::Submit;
use chat_protocol::rpc::Target;
use chatd::engine::{commands, history, outbox, peers};

use crate::identities::{another, bob as called_bob, show};
use crate::world::{Fate, World};

/// Longer than a device without keys is waited for.
const A_MOMENT: Duration = Duration::from_secs(10);
const MINUTES: Duration = Duration::from_secs(120);

impl World {
    fn texts(&self, who: usize, chat: &str) -> Vec<String> {
        self.chat(who, chat).into_iter().map(|message| message.text).collect()
    }

    /// Lets things happen until `who` has something under way to the server.
    fn until_it_submits(&mut self, who: usize) {
        let submits = |world: &Self| {
            let wire = world.nodes[who].wire.as_ref();
            wire.is_some_and(|wire| wire.up.iter().any(|(_, number, _)| *number == Submit::TYPE))
        };
        while !submits(self) {
            match self.possible().first() {
                Some(step) => self.take(*step, 1, Fate::Done),
                None => {
                    let due = self.next_deadline().unwrap();
                    self.wait_until(due);
                    self.tick();
                }
            }
        }
    }
}

/// alice, whose tablet was let in and has published nothing, and bob.
fn lagging() -> (World, usize, usize, usize) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let tablet = world.another_device(alice);
    world.go_offline(tablet);
    world.advance(A_MOMENT);
    (world, alice, tablet, bob)
}

#[test]
fn what_was_read_of_more_devices_than_one_receipt_names_is_told_in_several() {
    let mut world = World::new();
    let (alice, mallory) = (world.user("alice"), world.user("mallory"));
    let tablet = world.another_device(alice);
    world.settle();
    // one device after another, so that there are few at a time
    for n in 0..17 {
        let device = world.another_device(mallory);
        world.settle();
        world.send(device, alice, &format!("from device {n}"));
        world.settle();
        world.revoke(mallory, &[device]);
        world.settle();
    }
    assert_eq!(world.inbox(alice).len(), 17);
    world.command(alice, |txn| commands::mark_read(txn, "@mallory", None)).unwrap();
    world.settle();
    let unread = |who: usize| history::chat(&world.nodes[who].rows, "@mallory").unwrap().unwrap().unread;
    assert_eq!((unread(alice), unread(tablet)), (0, 0));
}

#[test]
fn a_copy_that_was_stale_for_an_own_device_holds_up_nothing_for_the_peer() {
    let (mut world, alice, tablet, bob) = lagging();
    world.send(alice, bob, "one");
    world.advance(A_MOMENT);
    assert_eq!(world.texts(bob, "@alice"), ["one"]);
    world.come_online(tablet);
    world.until_it_submits(alice);
    // the copy for the tablet is under way when the own log grows
    let phone = world.another_device(alice);
    world.settle();
    world.send(alice, bob, "two");
    world.advance(MINUTES);
    for (who, chat) in [(bob, "@alice"), (tablet, "@bob")] {
        assert_eq!(world.texts(who, chat), ["one", "two"]);
    }
    assert_eq!(world.texts(phone, "@bob"), ["two"]);
}

#[test]
fn an_own_device_gets_what_it_lacks_whatever_becomes_of_those_it_was_said_to() {
    let (mut world, alice, tablet, bob) = lagging();
    let carol = world.user("carol");
    world.send(alice, bob, "to bob");
    world.advance(A_MOMENT);
    let rival = another(&world, 5);
    show(&mut world, &rival);
    world.try_send(alice, Target::User(called_bob()), "never to leave", None).unwrap();
    world.advance(A_MOMENT);
    assert!(peers::get(&world.nodes[alice].rows, &called_bob()).unwrap().unwrap().rival.is_some());
    world.send(alice, carol, "to carol");
    world.advance(A_MOMENT);
    world.come_online(tablet);
    world.advance(MINUTES);
    assert_eq!(
        (world.texts(tablet, "@bob"), world.texts(tablet, "@carol")),
        (vec!["to bob".to_owned()], vec!["to carol".to_owned()])
    );
}

#[test]
fn a_full_mailbox_of_an_own_device_holds_up_no_chat_and_is_tried_with_one_message() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let tablet = world.another_device(alice);
    world.settle();
    world.fill_mailbox(tablet, true);
    let said: Vec<_> = (0..5).map(|n| n.to_string()).collect();
    for text in &said {
        world.send(alice, bob, text);
        world.settle();
    }
    assert_eq!(world.texts(bob, "@alice"), said);
    world.crash(alice);
    world.advance(MINUTES);
    assert_eq!(outbox::queued(&world.nodes[alice].rows).unwrap(), 1, "one is tried, the others wait with it");
    assert!(world.texts(tablet, "@bob").is_empty());
    world.fill_mailbox(tablet, false);
    world.advance(Duration::from_secs(600));
    assert_eq!(world.texts(tablet, "@bob"), said);
    assert_eq!(outbox::queued(&world.nodes[alice].rows).unwrap(), 0);
}

#[test]
fn a_full_mailbox_of_one_device_of_a_peer_holds_up_none_of_the_others() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let phone = world.another_device(bob);
    world.settle();
    world.fill_mailbox(phone, true);
    for text in ["one", "two", "three"] {
        world.send(alice, bob, text);
        world.settle();
    }
    assert_eq!(world.texts(bob, "@alice"), ["one", "two", "three"]);
    world.fill_mailbox(phone, false);
    world.advance(MINUTES);
    assert_eq!(world.texts(phone, "@alice"), ["one", "two", "three"]);
}

#[test]
fn what_waited_for_room_in_one_mailbox_and_was_stale_goes_there_alone() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let phone = world.another_device(bob);
    world.settle();
    world.fill_mailbox(phone, true);
    world.send(alice, bob, "once");
    world.settle();
    world.another_device(bob);
    world.settle();
    let before = world.server.seen.len();
    world.fill_mailbox(phone, false);
    world.advance(MINUTES);
    assert_eq!(world.texts(phone, "@alice"), ["once"]);
    let (by, to) = (world.nodes[alice].device, world.nodes[bob].device);
    let again = world.server.seen[before..]
        .iter()
        .any(|(from, submit)| *from == by && submit.to.iter().any(|a| a.device == to));
    assert!(!again, "bob has it");
}

#[test]
fn a_server_that_calls_everything_stale_draws_few_steps_of_a_session_with_an_own_device() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let tablet = world.another_device(alice);
    world.send(bob, alice, "hi");
    world.settle();
    // it shows alice her log as it was before the tablet, which she knows better
    world.server.own_too.insert(world.name(alice));
    world.show_only(alice, Some(1));
    world.command(alice, |txn| commands::mark_read(txn, "@bob", None)).unwrap();
    let before = world.server.seen.len();
    world.advance(Duration::from_secs(60));
    let (by, to) = (world.nodes[alice].device, world.nodes[tablet].device);
    let tried = world.server.seen[before..].iter();
    let tried = tried.filter(|(from, submit)| *from == by && submit.to[0].device == to).count();
    assert!((1..10).contains(&tried), "{tried}");
}
