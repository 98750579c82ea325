//! What happens at a time: later sending, lives that end, deliveries somebody waits for.

use std::time::Duration;

use chat_protocol::ids::MessageId;
use chat_protocol::rpc::types::{DeletedReason, FailReason, MessageState, MsgSend};
use chat_protocol::rpc::{EventBody, Kind, Target};
use chatd::engine::{amend, commands, history};

use crate::world::{World, is_invalid, is_refused};

const MINUTE: Duration = Duration::from_secs(60);

fn two() -> (World, usize, usize) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    (world, alice, bob)
}

fn text(words: &str) -> MsgSend {
    MsgSend::text(Target::User("bob".parse().unwrap()), words.to_owned())
}

#[test]
fn so_many_messages_wait_for_their_time_and_no_more() {
    let (mut world, alice, _) = two();
    let at_ms = Some((world.now + MINUTE).as_millis());
    let later = || MsgSend { at_ms, ..text("later") };
    world.command(alice, |txn| (0..10_000).try_for_each(|_| commands::send(txn, later()).map(drop))).unwrap();
    assert!(is_refused(&world.submit(alice, later()), Kind::QuotaExceeded));
    world.submit(alice, text("now")).unwrap();
}

fn row(world: &World, who: usize, id: MessageId) -> history::Message {
    history::get(&world.nodes[who].rows, &id).unwrap().unwrap().1
}

fn overdue(world: &World, who: usize) -> usize {
    world.count_events(who, |event| matches!(event, EventBody::MessageOverdue(_)))
}

fn expired(world: &World, who: usize) -> usize {
    world.count_events(
        who,
        |event| matches!(event, EventBody::MessageDeleted(gone) if gone.why == DeletedReason::Expired),
    )
}

#[test]
fn a_message_for_later_leaves_at_its_time_and_holds_nothing_up() {
    let (mut world, alice, bob) = two();
    let later =
        world.submit(alice, MsgSend { at_ms: Some((world.now + MINUTE * 10).as_millis()), ..text("later") }).unwrap();
    world.send(alice, bob, "now");
    world.advance(MINUTE * 9);
    assert_eq!(world.inbox(bob), ["alice: now"]);
    assert_eq!(world.state(alice, later.id), MessageState::Queued);
    assert!(row(&world, alice, later.id).at.is_some());
    world.advance(MINUTE * 2);
    assert_eq!(world.inbox(bob), ["alice: now", "alice: later"]);
    assert_eq!(world.state(alice, later.id), MessageState::Delivered);
    let mine: Vec<_> = world.chat(alice, "@bob").into_iter().map(|message| (message.text, message.at)).collect();
    assert_eq!(mine, [("now".to_owned(), None), ("later".to_owned(), None)]);
}

#[test]
fn a_message_for_later_survives_restarts_and_goes_late_rather_than_never() {
    let (mut world, alice, bob) = two();
    let later =
        world.submit(alice, MsgSend { at_ms: Some((world.now + MINUTE).as_millis()), ..text("later") }).unwrap();
    world.crash(alice);
    world.go_offline(alice);
    world.advance(MINUTE * 5);
    assert_eq!(world.state(alice, later.id), MessageState::Queued);
    world.calm();
    assert_eq!(world.inbox(bob), ["alice: later"]);
}

#[test]
fn a_message_for_later_can_be_edited_and_cancelled() {
    let (mut world, alice, bob) = two();
    let at_ms = Some((world.now + MINUTE).as_millis());
    let kept = world.submit(alice, MsgSend { at_ms, ..text("draft") }).unwrap().id;
    let dropped = world.submit(alice, MsgSend { at_ms, ..text("no") }).unwrap().id;
    world.command(alice, |txn| amend::edit(txn, &kept, "final".to_owned())).unwrap();
    world.command(alice, |txn| amend::cancel(txn, &dropped)).unwrap();
    world.advance(MINUTE * 2);
    assert_eq!(world.inbox(bob), ["alice: final"]);
    assert_eq!(world.state(alice, dropped), MessageState::Cancelled);
}

#[test]
fn posts_and_notes_can_be_for_later() {
    let (mut world, alice, bob) = two();
    let at_ms = Some((world.now + MINUTE).as_millis());
    world.submit(alice, MsgSend { at_ms, ..MsgSend::text(Target::Room, "hear, hear".to_owned()) }).unwrap();
    let note = world.submit(alice, MsgSend { at_ms, ..MsgSend::text(Target::Myself, "stand up".to_owned()) }).unwrap();
    assert_eq!(note.state, MessageState::Queued);
    world.advance(MINUTE * 2);
    assert_eq!(world.room(bob), ["alice: hear, hear"]);
    assert_eq!(world.state(alice, note.id), MessageState::Read);
}

#[test]
fn a_time_that_has_passed_is_now_and_one_too_far_ahead_is_refused() {
    let (mut world, alice, bob) = two();
    world.submit(alice, MsgSend { at_ms: Some(world.now.as_millis()), ..text("now") }).unwrap();
    let too_far = MsgSend { at_ms: Some((world.now + MINUTE * 60 * 24 * 366).as_millis()), ..text("never") };
    assert!(is_invalid(&world.submit(alice, too_far), "at_ms"));
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: now"]);
}

#[test]
fn a_message_with_a_life_goes_from_both_histories_even_over_a_restart() {
    let (mut world, alice, bob) = two();
    let id = world.submit(alice, MsgSend { ttl_s: Some(60), ..text("burn this") }).unwrap().id;
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: burn this"]);
    world.crash(bob);
    world.calm();
    for who in [alice, bob] {
        assert!(row(&world, who, id).deleted);
        assert_eq!(expired(&world, who), 1);
        assert!(!serde_json::to_string(&world.events(who)).unwrap().contains("burn"));
    }
    assert_eq!(world.state(alice, id), MessageState::Delivered);
}

#[test]
fn the_life_of_a_message_begins_where_it_is_stored() {
    let (mut world, alice, bob) = two();
    world.go_offline(bob);
    let id = world.submit(alice, MsgSend { ttl_s: Some(60), ..text("when you are back") }).unwrap().id;
    world.advance(MINUTE * 5);
    world.come_online(bob);
    world.settle();
    assert_eq!(world.inbox(bob), ["alice: when you are back"]);
    assert!(row(&world, alice, id).deleted);
    world.advance(MINUTE * 2);
    assert!(row(&world, bob, id).deleted);
}

#[test]
fn a_message_that_could_not_leave_in_its_life_fails_and_leaves_no_gap() {
    let (mut world, alice, bob) = two();
    world.send(alice, bob, "before");
    world.settle();
    world.go_offline(alice);
    let id = world.submit(alice, MsgSend { ttl_s: Some(30), ..text("urgent") }).unwrap().id;
    world.advance(MINUTE);
    assert_eq!(world.state(alice, id), MessageState::Failed);
    assert_eq!(row(&world, alice, id).error, Some(FailReason::Expired));
    world.send(alice, bob, "after");
    world.come_online(alice);
    world.advance(MINUTE * 3);
    assert_eq!(world.inbox(bob), ["alice: before", "alice: after"]);
    assert_eq!(world.count_events(bob, |event| matches!(event, EventBody::MessageMissing(_))), 0);
}

#[test]
fn what_may_have_left_when_its_life_ended_is_taken_back() {
    let (mut world, alice, bob) = two();
    world.send(alice, bob, "before");
    world.settle();
    let id = world.submit(alice, MsgSend { ttl_s: Some(30), ..text("on the wire") }).unwrap().id;
    world.cut(alice);
    world.go_offline(alice);
    world.advance(MINUTE);
    assert_eq!(world.state(alice, id), MessageState::Failed);
    world.come_online(alice);
    world.advance(MINUTE * 3);
    assert_eq!(row(&world, bob, id).text, "");
    assert_eq!(world.state(alice, id), MessageState::Failed);
    assert_eq!(world.count_events(bob, |event| matches!(event, EventBody::MessageMissing(_))), 0);
}

#[test]
fn lives_outside_their_bounds_are_refused() {
    let (mut world, alice, _) = two();
    for ttl_s in [0, 4, 365 * 24 * 60 * 60 + 1] {
        let outcome = world.submit(alice, MsgSend { ttl_s: Some(ttl_s), ..text("hi") });
        assert!(is_invalid(&outcome, "ttl_s"));
    }
}

#[test]
fn an_undelivered_message_is_told_once_at_its_time() {
    let (mut world, alice, bob) = two();
    world.go_offline(bob);
    let send = || MsgSend { notify_undelivered_after_ms: Some(MINUTE.as_millis() as u64), ..text("alarm") };
    world.submit(alice, send()).unwrap();
    world.advance(Duration::from_secs(50));
    assert_eq!(overdue(&world, alice), 0);
    world.crash(alice);
    world.calm_as_it_is();
    assert_eq!(overdue(&world, alice), 1);
    world.come_online(bob);
    world.advance(MINUTE * 60);
    assert_eq!(overdue(&world, alice), 1);
}

#[test]
fn a_message_delivered_or_cancelled_in_time_is_never_overdue() {
    let (mut world, alice, _) = two();
    world
        .submit(alice, MsgSend { notify_undelivered_after_ms: Some(MINUTE.as_millis() as u64), ..text("alarm") })
        .unwrap();
    world.settle();
    world.go_offline(alice);
    let cancelled = world
        .submit(alice, MsgSend { notify_undelivered_after_ms: Some(MINUTE.as_millis() as u64), ..text("false alarm") })
        .unwrap()
        .id;
    world.command(alice, |txn| amend::cancel(txn, &cancelled)).unwrap();
    world.advance(MINUTE * 5);
    assert_eq!(overdue(&world, alice), 0);
}
