//! Lies just ahead of the truth: by the time a server is honest again, what it gave away under its next numbers has been
//! given out under them in earnest, while the daemon was away. All of that is shown.

use std::time::Duration;

use chat_protocol::message::server::{LoggedIn, Push};
use chat_protocol::rpc::EventBody;
use chat_protocol::rpc::types::MessageState;

use crate::honest::{acquainted, garbage, logs_in_to, pushes};
use crate::world::World;

/// Bob says this many things while alice is away, in private and in the room; once she is back all is shown, once.
fn said_meanwhile(world: &mut World, [alice, bob]: [usize; 2], many: u64) {
    world.go_offline(alice);
    let texts: Vec<String> = (1..=many).map(|nth| format!("while you were away {nth}")).collect();
    let ids: Vec<_> = texts.iter().map(|text| world.send(bob, alice, text)).collect();
    texts.iter().for_each(|text| _ = world.say(bob, text));
    world.settle();
    world.come_online(alice);
    world.advance(Duration::from_secs(60));
    let lines: Vec<String> = texts.iter().map(|text| format!("bob: {text}")).collect();
    assert_eq!(world.inbox(alice), lines);
    let room = world.room(alice).into_iter().filter(|line| line.contains("away"));
    assert_eq!(room.collect::<Vec<_>>(), lines);
    assert!(ids.into_iter().all(|id| world.state(bob, id) == MessageState::Delivered));
    let mailbox = world.server.mailbox(world.nodes[alice].device);
    assert_eq!(mailbox.acked, mailbox.last);
}

/// How far ahead of the truth a lie is, and how much comes while alice is away.
const AHEAD: [(u64, u64); 5] = [(1, 1), (2, 1), (2, 2), (3, 3), (3, 5)];

fn delivers_ahead(world: &mut World, [alice, bob]: [usize; 2], ahead: u64) {
    let last = world.server.mailbox(world.nodes[alice].device).last;
    let push = garbage(world, bob, last + ahead);
    pushes(world, alice, push);
}

#[test]
fn atk_94_what_was_delivered_under_a_later_number_is_not_taken_for_what_comes_under_it() {
    for (ahead, many) in AHEAD {
        let (mut world, both) = acquainted();
        delivers_ahead(&mut world, both, ahead);
        said_meanwhile(&mut world, both, many);
    }
}

#[test]
fn atk_94_so_it_is_after_several_such_connections_and_a_crash() {
    let (mut world, both) = acquainted();
    for ahead in [3, 1, 2] {
        delivers_ahead(&mut world, both, ahead);
        world.cut(both[0]);
        world.settle();
    }
    world.crash(both[0]);
    said_meanwhile(&mut world, both, 4);
}

#[test]
fn what_a_server_from_a_backup_delivers_again_is_known_and_nothing_is_told_of_it() {
    let (mut world, [alice, bob]) = acquainted();
    world.send(bob, alice, "hello");
    world.settle();
    world.go_offline(alice);
    (1..=3).for_each(|nth| _ = world.send(bob, alice, &nth.to_string()));
    world.settle();
    let again = world.server.mail(world.nodes[alice].device);
    assert_eq!(again.len(), 3);
    world.come_online(alice);
    world.settle();
    let acked = again[0].mailbox_seq - 1;
    logs_in_to(&mut world, alice, move |truth| LoggedIn {
        mailbox_acked: acked,
        mailbox_last: truth.mailbox_last + 1_000_000,
        ..truth
    });
    for deliver in again.iter().chain(&again) {
        pushes(&mut world, alice, Push::Deliver(deliver.clone()));
    }
    assert_eq!(world.inbox(alice), ["bob: hello", "bob: 1", "bob: 2", "bob: 3"]);
    let undecryptable = |body: &EventBody| matches!(body, EventBody::MessageUndecryptable(_));
    assert_eq!(world.count_events(alice, undecryptable), 0);
}
