//! Changes that come before their message, because that is late: they wait for it, within bounds. Deletions wait apart
//! from edits and signs, and without an end in time.

use std::time::Duration;

use chat_protocol::ids::MessageId;
use chat_protocol::message::Envelope;
use chat_protocol::rpc::types::{self, SettingsSet};
use chatd::engine::{amend, history, settings, view};
use chatd::store::{Place, Rows, Table};

use crate::world::World;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const GIVEN_UP: Duration = Duration::from_secs(61);
/// Where edits and signs of alice are noted, and where that she has any.
const WAIT: [&[u8]; 2] = [b"early-by:alice\0@alice", b"early-authors"];

/// Alice has sent bob, who knows her, a message and changed it; what came of it is in the server's hand.
fn changed(change: impl FnOnce(&mut World, usize, MessageId)) -> (World, [usize; 2], MessageId, Vec<Envelope>) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.send(alice, bob, "hello");
    world.settle();
    world.go_offline(bob);
    let id = world.send(alice, bob, "helo wrld");
    world.settle();
    change(&mut world, alice, id);
    world.settle();
    let held = world.take_mailbox(bob).into_iter().map(|deliver| deliver.envelope).collect();
    (world, [alice, bob], id, held)
}

/// Bob gets the message after everything else, when it has been given up.
fn late(world: &mut World, [alice, bob]: [usize; 2], held: &[Envelope]) {
    held[1..].iter().for_each(|envelope| world.deliver(alice, bob, envelope.clone()));
    world.come_online(bob);
    world.advance(GIVEN_UP);
    assert!(waiting(world, bob)[0] > 0 || deletions(world, alice, bob) > 0);
    world.crash(bob);
    world.deliver(alice, bob, held[0].clone());
    world.settle();
}

fn waiting(world: &World, who: usize) -> [u64; 2] {
    WAIT.map(|scope| world.nodes[who].rows.count(Table::Messages, scope).unwrap())
}

/// Where deletions of alice wait.
fn deleted(world: &World, alice: usize) -> Vec<u8> {
    let author = world.nodes[alice].local.log.fingerprint();
    [b"early-deletions:".as_slice(), author.as_bytes(), b"@alice"].concat()
}

fn deletions(world: &World, alice: usize, who: usize) -> u64 {
    world.nodes[who].rows.count(Table::Messages, &deleted(world, alice)).unwrap()
}

/// Alice sends `nth` messages that bob never gets, and puts signs on them that he gets.
fn signs_on_nothing(world: &mut World, [alice, bob]: [usize; 2], nth: usize) {
    let ids: Vec<_> = (0..nth).map(|n| world.send(alice, bob, &n.to_string())).collect();
    world.settle();
    world.take_mailbox(bob);
    ids.into_iter().for_each(|id| react(world, alice, id, "👍"));
    world.settle();
}

fn keep_history(world: &mut World, who: usize, days: u32) {
    let wanted = SettingsSet { history_days: Some(days), ..SettingsSet::default() };
    world.command(who, |txn| Ok(settings::set(txn, &wanted)?)).unwrap();
}

fn delete(world: &mut World, who: usize, id: MessageId) {
    world.command(who, |txn| amend::delete_everywhere(txn, &id)).unwrap();
}

fn edit(world: &mut World, who: usize, id: MessageId, text: &str) {
    world.command(who, |txn| amend::edit(txn, &id, text.to_owned())).unwrap();
}

fn react(world: &mut World, who: usize, id: MessageId, emoji: &str) {
    world.command(who, |txn| amend::react(txn, &id, emoji, false)).unwrap();
}

fn shown(world: &World, who: usize, id: MessageId) -> Option<types::Message> {
    let found = history::get(&world.nodes[who].rows, &id).unwrap();
    found.map(|(_, message)| view::message(&message).unwrap())
}

#[test]
fn a_late_message_comes_as_its_author_last_edited_and_marked_it() {
    let (mut world, both, id, held) = changed(|world, alice, id| {
        edit(world, alice, id, "hello wrld");
        react(world, alice, id, "👍");
        edit(world, alice, id, "hello world");
        react(world, alice, id, "🎉");
    });
    late(&mut world, both, &held);
    let (there, here) = both.map(|who| shown(&world, who, id).unwrap()).into();
    assert_eq!(here.text, "hello world");
    assert_eq!((here.edited_ms, &here.reactions), (there.edited_ms, &there.reactions));
    assert_eq!(here.reactions[0].emoji, "🎉");
    assert_eq!(waiting(&world, both[1])[0], 0);
}

#[test]
fn a_late_message_that_was_deleted_is_not_shown_and_neither_is_what_it_became() {
    let (mut world, both, id, held) = changed(|world, alice, id| {
        edit(world, alice, id, "hello world");
        delete(world, alice, id);
    });
    late(&mut world, both, &held);
    assert_eq!(shown(&world, both[1], id), None);
    world.deliver(both[0], both[1], held[0].clone());
    world.settle();
    assert_eq!(world.inbox(both[1]), ["alice: hello"]);
    assert_eq!((waiting(&world, both[1])[0], deletions(&world, both[0], both[1])), (0, 0));
}

#[test]
fn what_waits_for_late_messages_has_an_end_in_number_bytes_and_time() {
    let (mut world, [alice, bob], ..) = changed(|_, _, _| {});
    let long = "x".repeat(60 * 1024);
    for (nth, most) in [(300, 256), (20, 17)] {
        let ids: Vec<_> = (0..nth).map(|n| world.send(alice, bob, &n.to_string())).collect();
        world.settle();
        world.take_mailbox(bob);
        for id in ids {
            if most == 256 {
                react(&mut world, alice, id, "👍")
            } else {
                edit(&mut world, alice, id, &long)
            }
            world.settle();
        }
        world.come_online(bob);
        world.advance(GIVEN_UP);
        world.go_offline(bob);
        assert_eq!(waiting(&world, bob), [most, 1]);
    }
    world.come_online(bob);
    world.advance(DAY * 29);
    assert_eq!(waiting(&world, bob), [17, 1]);
    world.advance(DAY * 2);
    assert_eq!(waiting(&world, bob), [0, 0]);
}

#[test]
fn no_number_of_later_signs_lets_a_deleted_message_be_shown() {
    let (mut world, both @ [alice, bob], id, held) = changed(delete);
    held[1..].iter().for_each(|envelope| world.deliver(alice, bob, envelope.clone()));
    world.come_online(bob);
    world.advance(GIVEN_UP);
    world.go_offline(bob);
    signs_on_nothing(&mut world, both, 300);
    world.come_online(bob);
    world.advance(GIVEN_UP);
    world.deliver(alice, bob, held[0].clone());
    world.settle();
    assert_eq!(shown(&world, bob, id), None);
}

/// Alice has two devices: from the first bob has "hello" alone, for the server keeps back "no. 1" and `lost`; the second
/// has done something with the last of them, and bob got that.
fn elsewhere(change: impl FnOnce(&mut World, usize, MessageId)) -> (World, [usize; 2], MessageId, Vec<Envelope>) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let tablet = world.another_device(alice);
    world.settle();
    world.send(alice, bob, "hello");
    world.send(tablet, bob, "hello from the tablet");
    world.settle();
    world.go_offline(bob);
    world.send(alice, bob, "no. 1");
    let id = world.send(alice, bob, "no. 2");
    world.settle();
    let held = world.take_mailbox(bob).into_iter().map(|deliver| deliver.envelope).collect();
    change(&mut world, tablet, id);
    world.settle();
    (world, [alice, bob], id, held)
}

#[test]
fn no_time_lets_a_deleted_message_be_shown() {
    let (mut world, [alice, bob], id, held) = elsewhere(delete);
    world.come_online(bob);
    world.advance(DAY * 45);
    held.into_iter().for_each(|envelope| world.deliver(alice, bob, envelope));
    world.settle();
    assert!(world.inbox(bob).contains(&"alice: no. 1".to_owned()));
    assert_eq!(shown(&world, bob, id), None);
    assert_eq!(deletions(&world, alice, bob), 0);
}

#[test]
fn a_message_that_waits_for_its_turn_is_not_shown_when_another_device_deleted_it() {
    let (mut world, [alice, bob], id, held) = elsewhere(|_, _, _| {});
    world.deliver(alice, bob, held[1].clone());
    world.come_online(bob);
    world.settle();
    assert_eq!(shown(&world, bob, id), None);
    let tablet = 2;
    delete(&mut world, tablet, id);
    world.settle();
    world.advance(GIVEN_UP);
    assert_eq!(shown(&world, bob, id), None);
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: hello from the tablet"]);
}

#[test]
fn deletions_that_wait_have_an_end_in_number_and_the_oldest_go() {
    const MOST: u64 = 100_000;
    let (mut world, [alice, bob], ..) = changed(|_, _, _| {});
    let scope = deleted(&world, alice);
    let place = |key: &'static [u8]| Place::new(Table::Messages, &scope, key);
    for (order, key) in [(1, b"oldest".as_slice()), (2, b"older"), (MOST, b"newest")] {
        world.nodes[bob].rows.put(place(key), order, &[]).unwrap();
    }
    let id = world.send(alice, bob, "oops");
    world.settle();
    world.take_mailbox(bob);
    delete(&mut world, alice, id);
    world.settle();
    world.come_online(bob);
    world.advance(GIVEN_UP);
    assert_eq!(deletions(&world, alice, bob), 3, "one more, and one less");
    assert_eq!(world.nodes[bob].rows.get(place(b"oldest")).unwrap(), None);
}

#[test]
fn an_edit_of_what_never_came_goes_when_the_history_would() {
    let (mut world, [alice, bob], _, held) = changed(|world, alice, id| edit(world, alice, id, "hello world"));
    keep_history(&mut world, bob, 3);
    world.deliver(alice, bob, held[1].clone());
    world.come_online(bob);
    world.advance(DAY * 2);
    assert_eq!(waiting(&world, bob), [1, 1]);
    world.advance(DAY * 2);
    assert_eq!(waiting(&world, bob), [0, 0]);
}

#[test]
fn nothing_is_kept_for_a_message_that_was_here_and_went() {
    let (mut world, [alice, bob], id, held) = changed(|_, _, _| {});
    keep_history(&mut world, bob, 1);
    held.iter().for_each(|envelope| world.deliver(alice, bob, envelope.clone()));
    world.come_online(bob);
    world.advance(DAY * 2);
    assert_eq!(shown(&world, bob, id), None);
    edit(&mut world, alice, id, "hello world");
    react(&mut world, alice, id, "👍");
    world.settle();
    assert_eq!(waiting(&world, bob), [0, 0]);
    delete(&mut world, alice, id);
    world.settle();
    assert_eq!(deletions(&world, alice, bob), 0);
}
