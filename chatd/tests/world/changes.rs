//! Messages that are edited, deleted, answered with a sign: both sides see the same, and only the author may.

use chat_protocol::ids::MessageId;
use chat_protocol::rpc::types::{self, MessageState, MsgSend};
use chat_protocol::rpc::{EventBody, Kind, Target};
use chatd::engine::{EngineError, amend, history, view};

use crate::world::{World, is_invalid, is_refused};

/// Alice and bob, who have talked.
fn two() -> (World, usize, usize) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    (world, alice, bob)
}

fn to(name: &str) -> Target {
    Target::User(name.parse().unwrap())
}

fn shown(world: &World, who: usize, id: MessageId) -> types::Message {
    view::message(&history::get(&world.nodes[who].rows, &id).unwrap().unwrap().1).unwrap()
}

fn edit(world: &mut World, who: usize, id: MessageId, text: &str) -> Result<(), EngineError> {
    world.command(who, |txn| amend::edit(txn, &id, text.to_owned())).map(drop)
}

fn delete(world: &mut World, who: usize, id: MessageId) -> Result<(), EngineError> {
    world.command(who, |txn| amend::delete_everywhere(txn, &id))
}

fn react(world: &mut World, who: usize, id: MessageId, emoji: &str, remove: bool) -> Result<(), EngineError> {
    world.command(who, |txn| amend::react(txn, &id, emoji, remove)).map(drop)
}

/// What both sides must agree on.
fn common(message: types::Message) -> (String, Option<u64>, bool, Vec<types::Reaction>) {
    (message.text, message.edited_ms, message.deleted, message.reactions)
}

fn agree(world: &World, id: MessageId) -> (String, Option<u64>, bool, Vec<types::Reaction>) {
    let (here, there) = (common(shown(world, 0, id)), common(shown(world, 1, id)));
    assert_eq!(here, there);
    here
}

#[test]
fn an_edit_shows_on_both_sides_and_is_no_message() {
    let (mut world, alice, bob) = two();
    let id = world.send(alice, bob, "helo");
    world.settle();
    edit(&mut world, alice, id, "hello").unwrap();
    world.settle();
    let (text, edited, ..) = agree(&world, id);
    assert_eq!((text.as_str(), edited.is_some()), ("hello", true));
    assert_eq!(world.inbox(bob), ["alice: hello"]);
    assert_eq!(history::chat(&world.nodes[bob].rows, "@alice").unwrap().unwrap().unread, 1);
    assert_eq!(world.count_events(bob, |event| matches!(event, EventBody::MessageEdited(m) if m.text == "hello")), 1);
}

#[test]
fn what_comes_after_a_change_is_delivered_and_read_as_ever() {
    let (mut world, alice, bob) = two();
    let first = world.send(alice, bob, "one");
    world.settle();
    edit(&mut world, alice, first, "uno").unwrap();
    let second = world.send(alice, bob, "two");
    react(&mut world, alice, second, "🎉", false).unwrap();
    world.settle();
    assert_eq!(world.state(alice, second), MessageState::Delivered);
    world.command(bob, |txn| chatd::engine::commands::mark_read(txn, "@alice", None)).unwrap();
    world.settle();
    assert_eq!(world.state(alice, second), MessageState::Read);
    assert_eq!(world.inbox(bob), ["alice: uno", "alice: two"]);
}

#[test]
fn a_deleted_message_is_gone_from_both_histories_and_logs() {
    let (mut world, alice, bob) = two();
    let id = world.send(alice, bob, "the password is swordfish");
    world.settle();
    edit(&mut world, alice, id, "the password is SWORDFISH").unwrap();
    world.settle();
    delete(&mut world, alice, id).unwrap();
    world.settle();
    let (text, edited, deleted, _) = agree(&world, id);
    assert_eq!((text.as_str(), edited, deleted), ("", None, true));
    for who in [alice, bob] {
        let log = serde_json::to_string(&world.events(who)).unwrap().to_lowercase();
        assert!(!log.contains("swordfish"), "{log}");
        assert_eq!(world.count_events(who, |event| matches!(event, EventBody::MessageDeleted(_))), 1);
    }
    assert_eq!(history::chat(&world.nodes[bob].rows, "@alice").unwrap().unwrap().unread, 0);
}

#[test]
fn nothing_has_an_effect_after_the_deletion() {
    let (mut world, alice, bob) = two();
    let id = world.send(alice, bob, "oops");
    world.settle();
    world.go_offline(bob);
    react(&mut world, bob, id, "😮", false).unwrap();
    delete(&mut world, alice, id).unwrap();
    world.settle();
    world.come_online(bob);
    world.settle();
    assert_eq!(agree(&world, id), (String::new(), None, true, vec![]));
    assert!(is_refused(&edit(&mut world, alice, id, "no"), Kind::Conflict));
    assert!(is_refused(&react(&mut world, bob, id, "👍", false), Kind::Conflict));
    delete(&mut world, alice, id).unwrap();
}

#[test]
fn each_side_has_one_sign_and_can_take_it_back() {
    let (mut world, alice, bob) = two();
    let id = world.send(alice, bob, "lunch?");
    world.settle();
    react(&mut world, bob, id, "👍", false).unwrap();
    react(&mut world, bob, id, "🍕", false).unwrap();
    react(&mut world, alice, id, "🍕", false).unwrap();
    world.settle();
    let (.., reactions) = agree(&world, id);
    assert_eq!(reactions.len(), 1);
    assert_eq!((reactions[0].emoji.as_str(), reactions[0].users.len()), ("🍕", 2));
    react(&mut world, bob, id, "🍕", true).unwrap();
    world.settle();
    assert_eq!(agree(&world, id).3[0].users, [world.name(alice)]);
    let told = world.count_events(alice, |event| matches!(event, EventBody::MessageReaction(_)));
    react(&mut world, bob, id, "👍", true).unwrap();
    world.settle();
    let after = world.count_events(alice, |event| matches!(event, EventBody::MessageReaction(_)));
    assert_eq!(told, after, "what was not given cannot be taken back");
    assert!(is_invalid(&react(&mut world, bob, id, "a sentence", false), "emoji"));
}

#[test]
fn what_has_not_left_is_changed_where_it_lies() {
    let (mut world, alice, bob) = two();
    world.go_offline(alice);
    let kept = world.send(alice, bob, "first draft");
    let dropped = world.send(alice, bob, "never mind");
    edit(&mut world, alice, kept, "second draft").unwrap();
    delete(&mut world, alice, dropped).unwrap();
    world.come_online(alice);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: second draft"]);
    assert_eq!(agree(&world, kept).1, None, "nobody saw the first");
    assert_eq!(world.state(alice, dropped), MessageState::Cancelled);
    let missing = world.count_events(bob, |event| matches!(event, EventBody::MessageMissing(_)));
    assert_eq!(missing, 0);
}

#[test]
fn a_message_that_waits_can_be_cancelled_and_one_under_way_cannot() {
    let (mut world, alice, bob) = two();
    let left = world.send(alice, bob, "gone");
    let cancel = |world: &mut World, id| world.command(alice, |txn| amend::cancel(txn, &id));
    world.settle();
    assert!(is_refused(&cancel(&mut world, left), Kind::Conflict));
    world.go_offline(alice);
    let waiting = world.send(alice, bob, "do not send this");
    cancel(&mut world, waiting).unwrap();
    cancel(&mut world, waiting).unwrap();
    let after = world.send(alice, bob, "but this");
    world.come_online(alice);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: gone", "alice: but this"]);
    assert_eq!(world.state(alice, waiting), MessageState::Cancelled);
    assert_eq!(world.state(alice, after), MessageState::Delivered);
    let told = |event: &EventBody| matches!(event, EventBody::MessageStatus(s) if s.state == MessageState::Cancelled);
    assert_eq!(world.count_events(alice, told), 1);
}

#[test]
fn a_message_under_way_when_the_line_broke_is_not_cancelled() {
    let (mut world, alice, bob) = two();
    world.send(alice, bob, "a session first");
    world.settle();
    let id = world.send(alice, bob, "on the wire");
    world.cut(alice);
    let outcome = world.command(alice, |txn| amend::cancel(txn, &id));
    assert!(is_refused(&outcome, Kind::Conflict));
    world.settle();
    assert_eq!(world.state(alice, id), MessageState::Delivered);
}

#[test]
fn a_cancelled_message_is_sent_again_as_a_new_one() {
    let (mut world, alice, bob) = two();
    let question = world.send(bob, alice, "ready?");
    world.settle();
    world.go_offline(alice);
    let send = MsgSend { reply_to: Some(question), ..MsgSend::text(to("bob"), "yes".to_owned()) };
    let first = world.submit(alice, send).unwrap().id;
    world.command(alice, |txn| amend::cancel(txn, &first)).unwrap();
    let again = world.command(alice, |txn| amend::resend(txn, &first)).unwrap();
    world.come_online(alice);
    world.settle();
    assert_ne!(again.id, first);
    assert_eq!(shown(&world, bob, again.id).reply_to, Some(question));
    let outcome = world.command(alice, |txn| amend::resend(txn, &again.id));
    assert!(is_refused(&outcome, Kind::Conflict));
}

#[test]
fn replies_and_mentions_arrive_and_are_counted_until_read() {
    let (mut world, alice, bob) = two();
    let question = world.send(bob, alice, "who?");
    world.settle();
    let mentions = vec![world.name(bob), "carol".parse().unwrap()];
    let send = MsgSend {
        reply_to: Some(question),
        mentions: Some(mentions.clone()),
        ..MsgSend::text(to("bob"), "@bob and @carol".to_owned())
    };
    let id = world.submit(alice, send).unwrap().id;
    world.settle();
    let message = shown(&world, bob, id);
    assert_eq!((message.reply_to, message.mentions), (Some(question), mentions));
    let chat = |world: &World| history::chat(&world.nodes[bob].rows, "@alice").unwrap().unwrap();
    assert_eq!((chat(&world).unread, chat(&world).mentions), (1, 1));
    world.command(bob, |txn| chatd::engine::commands::mark_read(txn, "@alice", None)).unwrap();
    assert_eq!((chat(&world).unread, chat(&world).mentions), (0, 0));
}

#[test]
fn an_answer_to_a_message_of_another_chat_is_refused() {
    let (mut world, alice, _) = two();
    let elsewhere = world.say(alice, "hello all");
    world.settle();
    let send = MsgSend { reply_to: Some(elsewhere), ..MsgSend::text(to("bob"), "yes".to_owned()) };
    assert!(is_invalid(&world.submit(alice, send), "reply_to"));
}

#[test]
fn the_room_carries_text_alone_and_keeps_it() {
    let (mut world, alice, bob) = two();
    let id = world.say(alice, "hello all");
    world.settle();
    let text = || MsgSend::text(Target::Room, "hi".to_owned());
    for send in [
        MsgSend { reply_to: Some(id), ..text() },
        MsgSend { ttl_s: Some(60), ..text() },
        MsgSend { mentions: Some(vec![world.name(bob)]), ..text() },
        MsgSend { require_verified: Some(true), ..text() },
    ] {
        assert!(is_refused(&world.submit(alice, send), Kind::InvalidParams));
    }
    assert!(is_refused(&edit(&mut world, alice, id, "no"), Kind::NoPermission));
    assert!(is_refused(&delete(&mut world, alice, id), Kind::NoPermission));
    assert!(is_refused(&react(&mut world, alice, id, "👍", false), Kind::NoPermission));
    world.command(alice, |txn| amend::delete_here(txn, &id)).unwrap();
    assert_eq!(world.room(alice), ["alice: "]);
    assert_eq!(world.room(bob), ["alice: hello all"]);
}

#[test]
fn deleting_here_leaves_the_other_side_alone() {
    let (mut world, alice, bob) = two();
    let id = world.send(alice, bob, "keep a copy");
    world.settle();
    world.command(bob, |txn| amend::delete_here(txn, &id)).unwrap();
    world.settle();
    assert!(shown(&world, bob, id).deleted);
    assert_eq!(shown(&world, alice, id).text, "keep a copy");
}

#[test]
fn somebody_elses_message_cannot_be_changed_from_here() {
    let (mut world, alice, bob) = two();
    let id = world.send(alice, bob, "mine");
    world.settle();
    assert!(is_refused(&edit(&mut world, bob, id, "yours"), Kind::NoPermission));
    assert!(is_refused(&delete(&mut world, bob, id), Kind::NoPermission));
    assert!(is_refused(&world.command(bob, |txn| amend::cancel(txn, &id)), Kind::NoPermission));
}

#[test]
fn a_client_id_stands_for_the_whole_message() {
    let (mut world, alice, bob) = two();
    let question = world.send(bob, alice, "ready?");
    world.settle();
    let plain = || MsgSend { client_id: Some("job-7".to_owned()), ..MsgSend::text(to("bob"), "yes".to_owned()) };
    world.submit(alice, plain()).unwrap();
    assert!(world.submit(alice, plain()).unwrap().duplicate);
    for other in [
        MsgSend { reply_to: Some(question), ..plain() },
        MsgSend { mentions: Some(vec![world.name(bob)]), ..plain() },
        MsgSend { ttl_s: Some(60), ..plain() },
        MsgSend { at_ms: Some(world.now.as_millis()), ..plain() },
        MsgSend { to: Target::Room, ..plain() },
    ] {
        assert!(is_refused(&world.submit(alice, other), Kind::IdempotencyMismatch));
    }
    let nameless = MsgSend { client_id: Some(String::new()), ..plain() };
    assert!(is_invalid(&world.submit(alice, nameless), "client_id"));
}

#[test]
fn only_a_compared_identity_gets_what_wants_one() {
    let (mut world, alice, _) = two();
    let send = MsgSend { require_verified: Some(true), ..MsgSend::text(to("bob"), "secret".to_owned()) };
    assert!(is_refused(&world.submit(alice, send), Kind::IdentityUnverified));
}

#[test]
fn nothing_is_told_about_reading_once_that_is_switched_off() {
    let (mut world, alice, bob) = two();
    let id = world.send(alice, bob, "seen?");
    world.settle();
    let off = chat_protocol::rpc::types::SettingsSet { read_receipts: Some(false), ..Default::default() };
    world.command(bob, |txn| Ok(chatd::engine::settings::set(txn, &off)?)).unwrap();
    world.command(bob, |txn| chatd::engine::commands::mark_read(txn, "@alice", None)).unwrap();
    world.settle();
    assert_eq!(world.state(alice, id), MessageState::Delivered);
}

/// Somebody does something with a message, if that may be done.
fn anything(world: &mut World, ids: &[MessageId]) {
    let (who, id) = (world.below(2), ids[world.below(ids.len())]);
    if history::get(&world.nodes[who].rows, &id).unwrap().is_none() {
        return;
    }
    let (sign, text) = (["👍", "🎉"][world.below(2)], format!("text {}", world.below(100)));
    let outcome = match world.below(6) {
        0 | 1 => edit(world, who, id, &text),
        2 | 3 => react(world, who, id, sign, false),
        4 => react(world, who, id, sign, true),
        _ => delete(world, who, id),
    };
    let kind = outcome.as_ref().err().map(EngineError::kind);
    let allowed = matches!(kind, None | Some(Some(Kind::NoPermission | Kind::Conflict)));
    assert!(allowed, "{outcome:?}");
}

#[test]
fn whatever_is_changed_over_a_bad_line_both_sides_agree_in_the_end() {
    for seed in 300..330 {
        let mut world = World::seeded(seed);
        let (alice, bob) = (world.user("alice"), world.user("bob"));
        world.settle();
        (world.cuts, world.crashes) = (12, if seed % 2 == 0 { 4 } else { 0 });
        let mut ids = Vec::new();
        for n in 0..12 {
            let (from, to) = if n % 2 == 0 { (alice, bob) } else { (bob, alice) };
            ids.push(world.send(from, to, &n.to_string()));
            for _ in 0..world.below(4) {
                anything(&mut world, &ids);
            }
            let pause = world.below(4) as u64 * 60;
            world.advance(std::time::Duration::from_millis(pause));
        }
        world.calm();
        for (n, id) in ids.into_iter().enumerate() {
            let reader = (n + 1) % 2;
            if history::get(&world.nodes[reader].rows, &id).unwrap().is_some() {
                agree(&world, id);
            } else {
                let author = shown(&world, 1 - reader, id);
                assert!(author.deleted && author.state == Some(MessageState::Cancelled), "seed {seed}: {author:?}");
            }
        }
    }
}
