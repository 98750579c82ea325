//! What is noted about others, and those nobody wants to hear of.

use chat_protocol::rpc::{EventBody, Kind, Name, Target};
use std::time::Duration;

use chat_protocol::rpc::types::{ChatSet, ContactSet, FailReason, MessageState, SettingsSet};
use chat_protocol::time::Timestamp;
use chatd::engine::{chats, commands, contacts, kv, settings};
use serde_json::json;

use crate::world::{World, is_invalid, is_refused};

fn block(world: &mut World, who: usize, whom: usize, blocked: bool) {
    let user = world.name(whom);
    world.command(who, |txn| contacts::block(txn, &user, blocked)).unwrap();
}

fn two() -> (World, usize, usize) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.send(alice, bob, "hello");
    world.settle();
    (world, alice, bob)
}

#[test]
fn a_blocked_user_is_not_heard_and_notices_nothing() {
    let (mut world, alice, bob) = two();
    block(&mut world, bob, alice, true);
    let dropped = world.send(alice, bob, "can you hear me?");
    world.say(alice, "can anybody?");
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello"]);
    assert_eq!(world.room(bob), [] as [String; 0]);
    assert_eq!(world.state(alice, dropped), MessageState::Delivered, "as if it were unread");
    let about = |body: &EventBody| matches!(body, EventBody::MessageNew(message) if message.text.contains("hear me"));
    assert_eq!(world.count_events(bob, about), 0);

    block(&mut world, bob, alice, false);
    world.send(alice, bob, "again");
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: again"]);
    let missing = |body: &EventBody| matches!(body, EventBody::MessageMissing(_));
    assert_eq!(world.count_events(bob, missing), 0, "what was dropped does not count as lost");
}

#[test]
fn nothing_is_sent_to_a_blocked_user() {
    let (mut world, alice, bob) = two();
    block(&mut world, bob, alice, true);
    let to = Target::User(world.name(alice));
    let refused = world.try_send(bob, to, "hi", None);
    assert!(is_refused(&refused, Kind::Blocked), "{refused:?}");
    let myself = world.name(bob);
    let refused = world.command(bob, |txn| contacts::block(txn, &myself, true));
    assert!(is_invalid(&refused, "user"));
}

#[test]
fn what_waits_for_somebody_fails_once_they_are_blocked() {
    let (mut world, alice, bob) = two();
    world.go_offline(bob);
    let waiting = world.send(bob, alice, "see you");
    block(&mut world, bob, alice, true);
    assert_eq!(world.state(bob, waiting), MessageState::Failed);
    let why = |body: &EventBody| matches!(body, EventBody::MessageStatus(s) if s.error == Some(FailReason::Blocked));
    assert_eq!(world.count_events(bob, why), 1);
    world.come_online(bob);
    world.settle();
    assert_eq!(world.inbox(alice), [] as [String; 0]);
    block(&mut world, bob, alice, false);
    world.send(bob, alice, "sorry");
    world.settle();
    assert_eq!(world.inbox(alice), ["bob: sorry"]);
}

#[test]
fn what_is_read_after_the_block_is_told_to_nobody() {
    let (mut world, alice, bob) = two();
    let unread = world.send(alice, bob, "seen?");
    world.settle();
    block(&mut world, bob, alice, true);
    world.command(bob, |txn| commands::mark_read(txn, "@alice", None)).unwrap();
    world.settle();
    assert_eq!(world.state(alice, unread), MessageState::Delivered);
}

#[test]
fn nothing_is_missed_of_a_blocked_user() {
    let (mut world, alice, bob) = two();
    block(&mut world, bob, alice, true);
    let next = world.server.seen.len();
    world.server.swallow.insert(next);
    for text in ["lost", "dropped"] {
        world.send(alice, bob, text);
        world.settle();
    }
    world.advance(Duration::from_secs(90));
    assert_eq!(world.count_events(bob, |body| matches!(body, EventBody::MessageMissing(_))), 0);
}

#[test]
fn notes_about_users_are_kept_changed_and_taken_away() {
    let (mut world, alice, bob) = two();
    let user = world.name(bob);
    let note = |alias: Option<&str>, note: Option<&str>| ContactSet {
        user: user.clone(),
        alias: alias.map(str::to_owned),
        note: note.map(str::to_owned),
    };
    world.command(alice, |txn| contacts::set(txn, note(Some("Bobby"), Some("owes me a tea")))).unwrap();
    world.crash(alice);
    let kept = world.command(alice, |txn| contacts::set(txn, note(None, Some("")))).unwrap();
    assert_eq!((kept.alias.as_deref(), kept.note), (Some("Bobby"), None));
    world.command(alice, |txn| contacts::set(txn, note(Some(""), None))).unwrap();
    assert_eq!(contacts::list(&world.nodes[alice].rows).unwrap(), []);
    let told = |body: &EventBody| matches!(body, EventBody::ContactUpdated(_));
    assert_eq!(world.count_events(alice, told), 3);
    let hostile = world.command(alice, |txn| contacts::set(txn, note(Some("a\u{1b}[2J"), None)));
    assert!(is_invalid(&hostile, "alias"));
}

#[test]
fn a_muted_chat_counts_no_unread_and_a_message_brings_an_archived_one_back() {
    let (mut world, alice, bob) = two();
    let id = format!("@{}", world.name(alice));
    let wanted = |muted_until_ms, archived| ChatSet { to: id.parse().unwrap(), muted_until_ms, ttl_s: None, archived };
    let muted = wanted(Some(u64::MAX), Some(true));
    world.command(bob, |txn| chats::set(txn, &id, &muted)).unwrap();
    let unread = |world: &World| chats::unread(&world.nodes[bob].rows, world.now).unwrap().messages;
    assert_eq!(unread(&world), 0);
    world.send(alice, bob, "psst");
    world.settle();
    assert!(!chatd::engine::history::chat(&world.nodes[bob].rows, &id).unwrap().unwrap().archived);
    let loud = wanted(Some(0), None);
    world.command(bob, |txn| chats::set(txn, &id, &loud)).unwrap();
    assert_eq!(unread(&world), 2);
    let room = ChatSet { to: "room:public".parse().unwrap(), muted_until_ms: None, ttl_s: Some(60), archived: None };
    let refused = world.command(bob, |txn| chats::set(txn, "room:public", &room));
    assert!(is_invalid(&refused, "ttl_s"));
}

#[test]
fn chats_that_are_set_before_anything_was_said_have_places_of_their_own() {
    let mut world = World::new();
    let alice = world.user("alice");
    for id in ["@bob", "@carol"] {
        let quiet = ChatSet { to: id.parse().unwrap(), muted_until_ms: Some(u64::MAX), ttl_s: None, archived: None };
        world.command(alice, |txn| chats::set(txn, id, &quiet)).unwrap();
    }
    let chats = chatd::engine::history::chats(&world.nodes[alice].rows, 10).unwrap();
    let mut places: Vec<_> = chats.iter().map(|chat| chat.activity).collect();
    places.dedup();
    assert_eq!(places.len(), 2);
}

#[test]
fn old_messages_go_and_young_ones_and_unsent_ones_stay() {
    let (mut world, alice, bob) = two();
    let wanted = SettingsSet { history_days: Some(7), ..SettingsSet::default() };
    world.command(alice, |txn| Ok(settings::set(txn, &wanted)?)).unwrap();
    world.go_offline(alice);
    world.send(alice, bob, "when I am back");
    world.advance(Duration::from_secs(8 * 24 * 60 * 60));
    world.say(alice, "back");
    world.settle();
    let texts =
        |world: &World| -> Vec<String> { world.chat(alice, "@bob").into_iter().map(|message| message.text).collect() };
    assert_eq!(texts(&world), ["when I am back"]);
    world.come_online(alice);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: hello", "alice: when I am back"]);
    assert!(world.now > Timestamp::ZERO);
}

#[test]
fn values_of_bots_have_versions_and_are_listed_in_order() {
    let (mut world, alice, _) = two();
    let scope: chat_protocol::rpc::Name = "deploy".parse().unwrap();
    for key in ["b", "a", "c"] {
        world.command(alice, |txn| kv::set(txn, (&scope, key), &json!({"of": key}), Some(0))).unwrap();
    }
    let stale = world.command(alice, |txn| kv::set(txn, (&scope, "a"), &json!(1), Some(0)));
    assert!(is_refused(&stale, Kind::Conflict) && stale.unwrap_err().to_string() == "the version is 1");
    let second = world.command(alice, |txn| kv::set(txn, (&scope, "a"), &json!(2), Some(1))).unwrap();
    assert_eq!((second.version, second.value), (2, json!(2)));
    world.crash(alice);
    let asked = |after: Option<&str>| chat_protocol::rpc::types::KvList {
        scope: scope.clone(),
        prefix: None,
        limit: None,
        after: after.map(str::to_owned),
    };
    let page = kv::list(&world.nodes[alice].rows, &asked(None), 2).unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(page.more);
    assert!(!kv::list(&world.nodes[alice].rows, &asked(Some("b")), 2).unwrap().more);
    world.command(alice, |txn| kv::delete(txn, (&scope, "a"), Some(2))).unwrap();
    assert!(kv::get(&world.nodes[alice].rows, &scope, "a").unwrap().is_none());
    let other: chat_protocol::rpc::Name = "other".parse().unwrap();
    assert!(kv::get(&world.nodes[alice].rows, &other, "b").unwrap().is_none(), "namespaces are apart");
    let large = world.command(alice, |txn| kv::set(txn, (&scope, "x"), &json!("x".repeat(50_000)), None));
    assert!(is_refused(&large, Kind::TooLarge));
}

#[test]
fn there_are_so_many_namespaces_and_one_that_is_emptied_makes_room() {
    let mut world = World::new();
    let alice = world.user("alice");
    let namespace = |number: u32| format!("bot.{number}").parse::<Name>().unwrap();
    let put = |world: &mut World, number| {
        world.command(alice, |txn| kv::set(txn, (&namespace(number), "a"), &json!(1), None))
    };
    for number in 0..200 {
        put(&mut world, number).unwrap();
    }
    assert!(is_refused(&put(&mut world, 200), Kind::QuotaExceeded));
    put(&mut world, 7).unwrap();
    world.command(alice, |txn| kv::delete(txn, (&namespace(0), "a"), None)).unwrap();
    put(&mut world, 200).unwrap();
}
