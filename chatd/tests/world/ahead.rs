//! Lies just ahead of the truth: by the time a server is honest again, what it gave away under its next numbers has been
//! given out under them in earnest, while the daemon was away. All of that is shown.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::message::Call;
use chat_protocol::message::client::RoomSince;
use chat_protocol::message::server::{LoggedIn, Push};
use chat_protocol::rpc::EventBody;
use chat_protocol::rpc::types::{MessageState, SettingsSet};
use chat_server::store::Store as _;
use chatd::engine::settings;

use crate::honest::{acquainted, garbage, logs_in_to, pushes, room_is};
use crate::server::now;
use crate::world::{Fate, Next, World};

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

/// Alice is shown posts that nobody wrote, under the next so many numbers.
fn posts_ahead(world: &mut World, both: [usize; 2], ahead: u64) {
    let last = world.server.state(world.nodes[both[0]].device).room_last;
    room_is(world, both, (last + 1..=last + ahead).collect(), last + ahead);
    world.server.says.clear();
}

#[test]
fn atk_94_what_was_shown_under_later_numbers_of_the_room_hides_no_post() {
    for (ahead, many) in AHEAD {
        let (mut world, both) = acquainted();
        begin_to_read(&mut world, both);
        posts_ahead(&mut world, both, ahead);
        said_meanwhile(&mut world, both, many);
    }
}

#[test]
fn atk_94_posts_of_several_such_connections_hide_none_either() {
    for honest in [false, true] {
        let (mut world, both) = acquainted();
        begin_to_read(&mut world, both);
        for ahead in [3, 1, 5] {
            posts_ahead(&mut world, both, ahead);
            world.crash(both[0]);
            // another login, at which it does not take its lies back
            room_is(&mut world, both, vec![], 6);
            world.server.says.clear();
        }
        if honest {
            world.cut(both[0]);
            world.settle();
        }
        said_meanwhile(&mut world, both, 8);
    }
}

#[test]
fn atk_94_a_post_under_a_number_that_was_shown_otherwise_is_shown_when_it_is_pushed() {
    let (mut world, both) = acquainted();
    begin_to_read(&mut world, both);
    posts_ahead(&mut world, both, 3);
    world.say(both[1], "the truth");
    world.settle();
    assert!(world.room(both[0]).contains(&"bob: the truth".to_owned()));
}

#[test]
fn what_a_post_says_is_part_of_what_it_is() {
    let (mut world, both) = acquainted();
    begin_to_read(&mut world, both);
    world.go_offline(both[0]);
    world.say(both[1], "the truth");
    world.settle();
    let mut page = now(world.server.disk.tables().room_since(Some(1), 1));
    page.posts[0].text = "a lie".into();
    let page = cbor::encode(&page);
    world.server.says.insert((world.nodes[both[0]].device, RoomSince::TYPE), Ok(page));
    world.come_online(both[0]);
    world.settle();
    world.server.says.clear();
    world.cut(both[0]);
    world.settle();
    assert!(world.room(both[0]).contains(&"bob: the truth".to_owned()));
}

#[test]
fn what_the_history_let_go_is_not_new_when_the_room_is_read_again() {
    let (mut world, both) = acquainted();
    let [alice, _] = both;
    let wanted = SettingsSet { history_days: Some(1), ..SettingsSet::default() };
    world.command(alice, |txn| Ok(settings::set(txn, &wanted)?)).unwrap();
    begin_to_read(&mut world, both);
    world.advance(Duration::from_secs(3 * 24 * 60 * 60));
    assert!(world.room(alice).is_empty());
    let told = new_messages(&world, alice);
    posts_ahead(&mut world, both, 2);
    assert_eq!(new_messages(&world, alice), told + 2, "the lies");
    world.cut(alice);
    world.settle();
    logs_in_to(&mut world, alice, |truth| LoggedIn { room_last: 0, ..truth });
    world.cut(alice);
    world.settle();
    assert_eq!(new_messages(&world, alice), told + 2);
}

fn new_messages(world: &World, who: usize) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::MessageNew(_)))
}

/// Both read the room from before its first post on.
fn begin_to_read(world: &mut World, [_, bob]: [usize; 2]) {
    world.say(bob, "before");
    world.settle();
}

/// A connection on which a device says what it has to say at the login, and dies before it hears anything more.
fn logs_in_and_dies(world: &mut World, who: usize) {
    world.come_online(who);
    world.take(Next::Connect(who), 1, Fate::Done);
    while !world.nodes[who].engine.is_online() {
        world.take(Next::Down(who), 1, Fate::Done);
    }
    world.crash_after_sending(who);
}

#[test]
fn atk_94_what_an_earlier_connection_delivered_is_not_acknowledged_on_a_later_one() {
    let (mut world, both) = acquainted();
    let [alice, bob] = both;
    for ahead in [3, 1, 2] {
        delivers_ahead(&mut world, both, ahead);
        world.cut(alice);
        world.settle();
    }
    world.go_offline(alice);
    let texts: Vec<_> = (1..=4).map(|nth| format!("bob: {nth}")).collect();
    let ids: Vec<_> = (1..=4).map(|nth| world.send(bob, alice, &nth.to_string())).collect();
    world.settle();
    logs_in_and_dies(&mut world, alice);
    world.advance(Duration::from_secs(60));
    assert_eq!(world.inbox(alice), texts);
    assert!(ids.into_iter().all(|id| world.state(bob, id) == MessageState::Delivered));
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
        pushes(&mut world, alice, Push::Deliver(deliver.clone().into()));
    }
    assert_eq!(world.inbox(alice), ["bob: hello", "bob: 1", "bob: 2", "bob: 3"]);
    let undecryptable = |body: &EventBody| matches!(body, EventBody::MessageUndecryptable(_));
    assert_eq!(world.count_events(alice, undecryptable), 0);
}
