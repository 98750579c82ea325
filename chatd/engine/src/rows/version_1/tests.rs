//! Rows as version 1 wrote them, and what they say once they were brought over.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::Username;
use minicbor::{Decoder, Encoder};

use super::*;
use crate::rows::messages::Chat;
use crate::rows::outbox::ChangeKind;
use crate::rows::peers::Trust;
use crate::rows::samples::Sample;
use crate::rows::state::Timer;
use crate::store::{MemoryRows, Place};

/// How far the time was seen to have come when version 1 ended, and what the clock said then.
const SEEN: Timestamp = Timestamp::from_millis(10_000);
const CLOCK: Timestamp = Timestamp::from_millis(50_000);

const fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn sample<T: Sample>() -> T {
    T::samples().remove(0)
}

fn id(byte: u8) -> MessageId {
    MessageId::new([byte; 16])
}

fn left() -> MemoryRows {
    let mut rows = MemoryRows::new();
    SEEN_TIME.put(&mut rows, &SeenMark { time: SEEN, wall: CLOCK }).unwrap();
    rows
}

fn brought_over(mut rows: MemoryRows) -> MemoryRows {
    bring_over(&mut rows).unwrap();
    rows
}

/// A map without some of its fields, as it was before there were any.
fn without(value: &impl Encode<()>, fields: &[u64]) -> Vec<u8> {
    let bytes = cbor::encode(value);
    let mut decoder = Decoder::new(&bytes);
    let mut left = Vec::new();
    for _ in 0..decoder.map().unwrap().unwrap() {
        let begin = decoder.position();
        let field = decoder.u64().unwrap();
        decoder.skip().unwrap();
        if !fields.contains(&field) {
            left.push(&bytes[begin..decoder.position()]);
        }
    }
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(left.len() as u64).unwrap();
    [encoder.into_writer(), left.concat()].concat()
}

fn put_message(rows: &mut MemoryRows, position: u64, message: &Message) {
    CHATS.put(rows, "@bob", 1, &Chat { id: "@bob".to_owned(), ..sample() }).unwrap();
    let place = Place::new(Table::Messages, b"@bob", message.id.as_bytes());
    rows.put(place, position, &without(message, &[32, 33, 34])).unwrap();
}

fn message(nth: u8, mine: bool, state: Option<MessageState>) -> Message {
    let message = Message { id: id(nth), mine, state, deleted: false, resent: false, accepted: None, ..sample() };
    Message { stored: at(8_000), sent: at(7_000), at: None, ..message }
}

#[test]
fn a_message_is_kept_since_it_was_stored_or_joined_the_line_but_not_since_a_time_to_come() {
    let (mut rows, bob) = (left(), ChatName::of("@bob").unwrap());
    let later = Message { sent: at(9_000), ..message(2, true, Some(MessageState::Accepted)) };
    for (position, message) in [
        (1, message(1, false, None)),
        (2, Message { accepted: Some(at(9_500)), ..later }),
        (
            3,
            Message {
                stored: at(49_000),
                accepted: Some(at(49_001)),
                ..message(3, true, Some(MessageState::Accepted))
            },
        ),
    ] {
        put_message(&mut rows, position, &message);
    }
    let rows = brought_over(rows);
    let found = MESSAGES.of(&bob).all(&rows).unwrap();
    let times: Vec<_> = found.iter().map(|message| (message.kept, message.silent)).collect();
    assert_eq!(times, [(at(8_000), None), (at(9_000), Some(at(9_500))), (SEEN, Some(SEEN))]);
    assert_eq!(found[0], Message { kept: at(8_000), silent: None, ..message(1, false, None) });
}

#[test]
fn own_messages_that_wait_or_did_not_arrive_are_listed() {
    let mut rows = left();
    let states = [MessageState::Queued, MessageState::Failed, MessageState::NotReceived, MessageState::Read];
    for (nth, state) in (1..).zip(states) {
        put_message(&mut rows, u64::from(nth), &message(nth, true, Some(state)));
    }
    put_message(&mut rows, 5, &Message { deleted: true, ..message(5, true, Some(MessageState::Failed)) });
    put_message(&mut rows, 6, &message(6, false, None));
    let rows = brought_over(rows);
    assert_eq!(WAITING.scan(&rows, 0..=9, Direction::Ascending, 9).unwrap(), [(1, id(1))]);
    assert_eq!(FAILED.scan(&rows, 0..=9, Direction::Ascending, 9).unwrap(), [(2, id(2)), (3, id(3))]);
}

#[test]
fn events_keep_their_numbers_and_happened_when_the_clock_said_unless_that_is_to_come() {
    let mut rows = left();
    for seq in 1..=600_u64 {
        let time_ms = if seq == 600 { 49_000 } else { seq };
        let json = format!(r#"{{"seq":{seq},"time_ms":{time_ms},"type":"chat.read","data":{{}}}}"#);
        OLD_EVENTS.put(&mut rows, &seq, seq, &json).unwrap();
    }
    let events = EVENTS.scan(&brought_over(rows), 0..=u64::MAX, Direction::Ascending, 999).unwrap();
    assert!(events.iter().map(|(seq, _)| *seq).eq(1..=600));
    assert_eq!((events[6].1.at, events[599].1.at), (at(7), SEEN));
    assert!(events[6].1.json.as_ref().is_some_and(|json| json.contains(r#""seq":7"#)));
}

#[test]
fn envelopes_are_found_by_session_and_init_and_count_for_their_user() {
    let (mut rows, raw) = (left(), sample::<super::super::Envelope>());
    let (sid, init) = (raw.envelope.sid, raw.init_key());
    let all = [raw.clone(), super::super::Envelope { position: 72, ..raw.clone() }];
    for raw in &all {
        let position = raw.position;
        ENVELOPES.put(&mut rows, &position, position, raw).unwrap();
        OLD_OF_SESSION.of(&sid).put(&mut rows, &position, position, &position.to_be_bytes()).unwrap();
        ENVELOPES_FROM.of(&raw.from).put(&mut rows, &position, position, &()).unwrap();
        OLD_INITS.of(&raw.device).put(&mut rows, &sid, position, &()).unwrap();
    }
    OLD_BYTES.put(&mut rows, &raw.device, 0, &99).unwrap();
    Counter::Mailbox.set(&mut rows, 75).unwrap();

    let rows = brought_over(rows);
    assert_eq!(ENVELOPES.all(&rows).unwrap(), all);
    for index in [
        ENVELOPES_FROM.of(&raw.from),
        ENVELOPES_OF_SESSION.of(&(raw.device, sid)),
        ENVELOPES_OF_INIT.of(&(raw.device, init)),
    ] {
        assert_eq!(index.scan(&rows, 0..=99, Direction::Ascending, 9).unwrap(), [(71, ()), (72, ())]);
    }
    assert_eq!(INITS.of(&raw.device).scan(&rows, 0..=99, Direction::Ascending, 9).unwrap(), [(71, sid)]);
    for of in [Some(raw.from.clone()), None] {
        assert_eq!(ENVELOPE_BYTES.get(&rows, &of).unwrap(), Some(2 * raw.size()));
    }
    assert_eq!((OLD_OF_SESSION.of(&sid).count(&rows), OLD_BYTES.get(&rows, &raw.device)), (Ok(0), Ok(None)));
    assert_eq!(Counter::Taken.get(&rows).unwrap(), 75, "positions go on above those that wait");
}

/// A row of version 1 for something that came early.
#[derive(Encode, Decode)]
#[cbor(map)]
struct OldBuffered {
    #[n(0)]
    said: AuthorEvent,
    #[n(1)]
    until: Timestamp,
    #[n(2)]
    epoch: Option<u64>,
}

#[test]
fn what_came_early_waits_on_in_a_stream_that_begins_with_it() {
    let (mut rows, whose) = (left(), sample::<StreamId>());
    let scope = (whose.device, whose.chat.clone());
    let old: Scoped<(DeviceId, String), u64, Cbor<OldBuffered>> = Scoped::new(Table::Held, "early:");
    let said = AuthorEvent::Message(Box::new(message(1, false, None)));
    for n in [5, 7] {
        let early = OldBuffered { said: said.clone(), until: CLOCK + Duration::from_secs(n), epoch: Some(3) };
        old.of(&scope).put(&mut rows, &n, n, &early).unwrap();
    }
    let key = crate::rows::held::BufferedOf(whose.device, whose.chat.clone());
    WAITING_STREAMS.put(&mut rows, &key, 0, &whose).unwrap();

    let mut rows = brought_over(rows);
    let stream = Stream { epoch: 3, next: 5, given_up: Vec::new() };
    assert_eq!(STREAMS.of(&whose.chat).get(&rows, &whose.device).unwrap(), Some(stream.clone()));
    let buffered = BUFFERED.of(&scope).all(&rows).unwrap();
    assert_eq!(buffered.iter().map(|early| early.until).collect::<Vec<_>>(), [at(15_000), at(17_000)]);
    let AuthorEvent::Message(kept) = &buffered[0].said else { panic!("{buffered:?}") };
    assert_eq!(kept.kept, at(8_000));

    // one that has begun goes on
    let begun = Stream { next: 2, ..stream };
    STREAMS.of(&whose.chat).put(&mut rows, &whose.device, 0, &begun).unwrap();
    assert_eq!(STREAMS.of(&whose.chat).get(&brought_over(rows), &whose.device).unwrap(), Some(begun));
}

#[test]
fn what_is_in_line_waits_for_as_long_as_was_left_and_changes_stay_what_they_are() {
    let (mut rows, bob): (_, Username) = (left(), "bob".parse().unwrap());
    let item = |nth, after| Item { position: u64::from(nth), id: id(nth), after, ..sample() };
    DESTINATIONS.put(&mut rows, &bob, 1, &bob).unwrap();
    for item in [item(1, CLOCK + Duration::from_secs(2)), item(2, at(3))] {
        QUEUE.of(&bob).put(&mut rows, &item.position.clone(), item.position, &item).unwrap();
    }
    let submit = |kind| PendingSubmit { kind, after: at(51_000), ..sample::<PendingSubmit>() };
    let flight = submit(SubmitKind::Message(item(3, at(3))));
    IN_FLIGHT.put(&mut rows, &flight.submit_id, 7, &flight).unwrap();
    DEFERRED.put(&mut rows, &flight.submit_id, 51_000, &flight).unwrap();
    let change = |target, at| Change { target: id(target), at, kind: ChangeKind::Delete, ..sample() };
    for (nth, order, change) in [(2, 0, change(8, at(6_000))), (3, 49_000, change(9, at(49_000)))] {
        let (id, bytes) = (id(nth), without(&change, &[6]));
        rows.put(Place::new(Table::Outbox, b"changes", id.as_bytes()), order, &bytes).unwrap();
    }

    let rows = brought_over(rows);
    let line = QUEUE.of(&bob).scan(&rows, 0..=9, Direction::Ascending, 9).unwrap();
    assert_eq!(line, [(1, item(1, at(12_000))), (2, item(2, SEEN))]);
    let sent = PendingSubmit { after: at(11_000), ..submit(SubmitKind::Message(item(3, SEEN))) };
    assert_eq!(IN_FLIGHT.first(&rows).unwrap(), Some((7, sent.clone())));
    assert_eq!(DEFERRED.first(&rows).unwrap(), Some((11_000, sent)));
    let changes = CHANGES.scan(&rows, 0..=u64::MAX, Direction::Ascending, 9).unwrap();
    let waits = Change { kept: at(6_000), ..change(8, at(6_000)) };
    let arrived = Change { kept: SEEN, ..change(9, at(49_000)) };
    assert_eq!(changes, [(0, waits), (SEEN.as_millis(), arrived)]);
}

#[test]
fn the_only_device_an_account_had_gets_everything_and_any_other_what_it_lacks() {
    for (former, noted, first) in [(false, Some(5), Some(1)), (true, Some(5), Some(5)), (true, None, None)] {
        let (mut rows, me) = (left(), DeviceId::new([9; 16]));
        let mut peer = Peer { trust: Trust::Tofu, ..sample() };
        if !former {
            peer.former.clear();
        }
        let device = devices(&peer)[0];
        DEVICE.put(&mut rows, &me).unwrap();
        PINS.put(&mut rows, &peer.user, 3, &peer).unwrap();
        NUMBERS.put(&mut rows, &peer.user, 0, &(4, 9)).unwrap();
        if let Some(n) = noted {
            let chat = (4, peer.user.clone());
            CONVERSATIONS.of(&device).put(&mut rows, &chat, 0, &chat).unwrap();
            UNACKNOWLEDGED.of(&(device, 4, peer.user.clone())).put(&mut rows, &n, n, &id(1)).unwrap();
        }
        let rows = brought_over(rows);
        assert_eq!(FIRST_NUMBERS.of(&device).get(&rows, &(me, 4, peer.user.clone())).unwrap(), first);
        assert_eq!(PINS.first(&rows).unwrap().map(|(order, _)| order), Some(3));
    }
}

#[test]
fn spans_go_on_in_time_that_is_seen_to_pass_and_what_is_sent_at_a_time_by_the_clock() {
    let mut rows = left();
    let timers = [(Due::Send, 60_000), (Due::Expire, 53_000), (Due::Overdue, 20_000)];
    for (due, order) in timers {
        TIMES.put(&mut rows, &(due, id(1)), order, &Timer { due, id: id(1) }).unwrap();
    }
    let rows = brought_over(rows);
    let all = |family: &Family<(Due, MessageId), Cbor<Timer>>| {
        let found = everything(&rows, family).unwrap();
        found.into_iter().map(|(order, timer)| (timer.due, order)).collect::<Vec<_>>()
    };
    assert_eq!(all(&TIMES), [(Due::Send, 60_000)]);
    assert_eq!(all(&SPANS), [(Due::Overdue, 10_000), (Due::Expire, 13_000)]);
}

#[test]
fn the_room_is_read_on_from_where_reading_stood() {
    assert_eq!(ROOM_BEGUN.get(&brought_over(left())).unwrap(), None, "it was never read");
    let mut rows = left();
    OLD_ROOM_BEGUN.put(&mut rows, &()).unwrap();
    Counter::Room.set(&mut rows, 41).unwrap();
    let rows = brought_over(rows);
    let before = Counter::RoomBefore.get(&rows).unwrap();
    assert_eq!((ROOM_BEGUN.get(&rows).unwrap(), before, Counter::Room.get(&rows).unwrap()), (Some(41), 41, 41));
}

#[test]
fn a_reset_that_waits_is_no_entrance() {
    for (purpose, enters, resets) in [(0, true, false), (1, false, true)] {
        let mut rows = left();
        PENDING_ACCOUNT.put(&mut rows, &AccountRow { due: Some(at(purpose)), ..sample() }).unwrap();
        let rows = brought_over(rows);
        let found = [PENDING_ACCOUNT.get(&rows).unwrap(), ACCOUNT_RESET.get(&rows).unwrap()];
        assert_eq!([found[0].is_some(), found[1].is_some()], [enters, resets]);
        assert!(found.iter().flatten().all(|account| account.due.is_none()));
    }
}

#[test]
fn receipts_are_due_when_they_were() {
    let mut rows = left();
    let receipt = PendingReceipt { due: at(50_100), ..sample() };
    RECEIPTS.put(&mut rows, &receipt.device, 50_100, &receipt).unwrap();
    // how often it was refused lay where today is when it may go
    let own = PendingOwnReceipt { after: at(4), ..sample() };
    OWN_RECEIPTS.put(&mut rows, &(own.device, own.peer.clone()), 50_200, &own).unwrap();
    let rows = brought_over(rows);
    assert_eq!(RECEIPTS.first(&rows).unwrap(), Some((10_100, PendingReceipt { due: at(10_100), ..receipt })));
    assert_eq!(OWN_RECEIPTS.first(&rows).unwrap(), Some((10_200, own_receipt_of(own))));
}
