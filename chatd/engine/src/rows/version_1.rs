//! The rows of version 1, brought to today's form once: what changed since, and what stands for what they did not say.
//!
//! A message, and a change of one, decode as they are: `kept`, which they lack, has a default. Nothing is dropped that
//! waits or was shown. What names no key of its own stays where it is: marks of what was seen, answered or sent again, and
//! [`super::FORMER_DELETIONS`].

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chat_protocol::ids::{DeviceId, MessageId, SessionId};
use chat_protocol::rpc::Event;
use chat_protocol::rpc::types::MessageState;
use chat_protocol::time::{SeenMark, Timestamp};
use minicbor::{Decode, Encode};

use crate::rows::account::AccountRow;
use crate::rows::codec::{Cbor, Codec, Mark, Raw, Text};
use crate::rows::counter::Counter;
use crate::rows::events::KeptEvent;
use crate::rows::family::{Family, Scoped, Single};
use crate::rows::held::{AuthorEvent, Buffered, Stream, StreamId};
use crate::rows::key::Key;
use crate::rows::messages::{ChatName, Message};
use crate::rows::outbox::{Change, Item, PendingOwnReceipt, PendingReceipt, PendingSubmit, SubmitKind};
use crate::rows::peers::Peer;
use crate::rows::state::Due;
use crate::rows::{
    ACCOUNT, ACCOUNT_RESET, AHEAD, BUFFERED, CHANGES, CHATS, CONVERSATIONS, DEFERRED, DESTINATIONS, DEVICE,
    ENVELOPE_BYTES, ENVELOPES, ENVELOPES_FROM, ENVELOPES_OF_INIT, ENVELOPES_OF_SESSION, EVENTS, FAILED, FIRST_NUMBERS,
    IN_FLIGHT, INITS, LAGGING, LAGGING_DEVICES, MESSAGES, NUMBERS, OWN_RECEIPTS, PENDING_ACCOUNT, PINS, POSTS, QUEUE,
    RECEIPTS, ROLLED_BACK, ROOM_BEGUN, SEEN_TIME, SPANS, STREAMS, TIMES, UNACKNOWLEDGED, WAITING, WAITING_STREAMS,
};
use crate::store::{Direction, Rows, RowsError, Table};

/// So many rows of a long family are in memory at once.
const PAGE: usize = 256;

/// An event was its JSON.
static OLD_EVENTS: Family<u64, Text> = Family::new(Table::Events, "");
/// What waited for a session, whichever device named it.
static OLD_OF_SESSION: Scoped<SessionId, u64, Raw<[u8; 8]>> = Scoped::new(Table::Inbox, "sid:");
/// The sessions of a device for which something waited.
static OLD_INITS: Scoped<DeviceId, SessionId, Mark> = Scoped::new(Table::Inbox, "inits:");
/// How many bytes waited of a device.
static OLD_BYTES: Family<DeviceId, Cbor<u64>> = Family::new(Table::Inbox, "bytes");
/// What came early, with the epoch it is of.
static OLD_BUFFERED: Scoped<(DeviceId, String), u64, Cbor<OfEpoch>> = Scoped::new(Table::Held, "early:");
/// That reading the room had begun, not where.
static OLD_ROOM_BEGUN: Single<Mark> = Single::new(Table::Room, "", "begun");
/// How many own messages failed, ever.
static OLD_COUNTERS: Family<str, Cbor<u64>> = Family::new(Table::State, "counter");

/// What [`Buffered`] said besides.
#[derive(Encode, Decode)]
#[cbor(map)]
struct OfEpoch {
    #[n(2)]
    epoch: Option<u64>,
}

/// The two times of version 1 as they stood last. It measured spans by the clock; today they are measured by the time
/// that was seen to pass, from which the clock may be months away.
#[derive(Clone, Copy)]
struct Then(Option<SeenMark>);

impl Then {
    /// When something was, by what the clock said: by a clock that was ahead it would never be over.
    fn past(self, at: Timestamp) -> Timestamp {
        self.0.map_or(at, |mark| at.min(mark.time))
    }

    /// What waited until then waits for as long as was left.
    fn due(self, at: Timestamp) -> Timestamp {
        self.0.map_or(at, |mark| mark.time + at.since(mark.wall))
    }

    fn due_order(self, order: u64) -> u64 {
        self.due(Timestamp::from_millis(order)).as_millis()
    }
}

/// Brings every row of version 1 to the form of version 2.
///
/// # Errors
/// [`RowsError`]; the transaction is then to be given up.
pub fn bring_over(rows: &mut dyn Rows) -> Result<(), RowsError> {
    // its bytes are today's
    let then = Then(SEEN_TIME.get(rows)?);
    for chat in CHATS.all(rows)? {
        let messages = MESSAGES.of(&ChatName::of(&chat.id)?);
        each(rows, &messages, |rows, position, message| bring_message(rows, then, position, message))?;
    }
    each(rows, &OLD_EVENTS, |rows, seq, json| bring_event(rows, then, seq, json))?;
    each(rows, &ENVELOPES, |rows, _, envelope| bring_envelope(rows, &envelope))?;
    bring_streams(rows, then)?;
    bring_queue(rows, then)?;
    bring_receipts(rows, then)?;
    bring_pins(rows, then)?;
    bring_timers(rows, then)?;
    bring_room(rows)?;
    bring_pending_account(rows)?;
    // deliveries were told apart by their numbers in the mailbox, and these go on from there
    let taken = Counter::Mailbox.get(rows)?;
    Counter::Taken.set(rows, taken)?;
    OLD_COUNTERS.delete(rows, "failed").map(drop)
}

/// Every row of a family in which no two have the same order.
fn each<K: Key + ?Sized, C: Codec>(
    rows: &mut dyn Rows,
    family: &Family<K, C>,
    mut work: impl FnMut(&mut dyn Rows, u64, C::Value) -> Result<(), RowsError>,
) -> Result<(), RowsError> {
    let mut from = Some(0);
    while let Some(first) = from {
        let page = family.scan(rows, first..=u64::MAX, Direction::Ascending, PAGE)?;
        from = page.last().and_then(|(last, _)| last.checked_add(1));
        for (order, value) in page {
            work(rows, order, value)?;
        }
    }
    Ok(())
}

fn everything<K: Key + ?Sized, C: Codec>(
    rows: &dyn Rows,
    family: &Family<K, C>,
) -> Result<Vec<(u64, C::Value)>, RowsError> {
    family.scan(rows, 0..=u64::MAX, Direction::Ascending, usize::MAX)
}

fn message_of(then: Then, message: Message) -> Message {
    // one for later joined the line when it was sent
    let joined = if message.mine { message.stored.max(message.sent) } else { message.stored };
    let silent = message.accepted.map(|at| then.past(at));
    Message { kept: then.past(joined), silent, ..message }
}

fn bring_message(rows: &mut dyn Rows, then: Then, position: u64, message: Message) -> Result<(), RowsError> {
    let message = message_of(then, message);
    // they were found by reading the history
    let list = match message.state {
        Some(MessageState::Queued) => Some(&WAITING),
        Some(MessageState::Failed | MessageState::NotReceived) if !message.deleted => Some(&FAILED),
        _ => None,
    };
    if let Some(list) = list.filter(|_| message.mine) {
        list.put(rows, &message.id, position, &message.id)?;
    }
    MESSAGES.of(&ChatName::of(&message.chat)?).put(rows, &message.id, position, &message)
}

fn bring_event(rows: &mut dyn Rows, then: Then, seq: u64, json: String) -> Result<(), RowsError> {
    let event: Event =
        serde_json::from_str(&json).map_err(|_| RowsError::Corrupt("an event is not JSON".to_owned()))?;
    let at = then.past(Timestamp::from_millis(event.time_ms));
    EVENTS.put(rows, &seq, seq, &KeptEvent { json: Some(json), at, written: None, total: None })
}

/// Envelopes are found by their INIT too, and count for their user instead of their device.
fn bring_envelope(rows: &mut dyn Rows, envelope: &super::Envelope) -> Result<(), RowsError> {
    let (position, sid) = (envelope.position, envelope.envelope.sid);
    OLD_OF_SESSION.of(&sid).delete(rows, &position)?;
    OLD_INITS.of(&envelope.device).delete(rows, &sid)?;
    OLD_BYTES.delete(rows, &envelope.device)?;
    let (device, init) = (envelope.device, envelope.init_key());
    let alike = ENVELOPES_OF_INIT.of(&(device, init));
    if envelope.envelope.init.is_some() && alike.is_empty(rows)? {
        INITS.of(&device).put(rows, &init, position, &sid)?;
    }
    for index in [ENVELOPES_FROM.of(&envelope.from), ENVELOPES_OF_SESSION.of(&(device, sid)), alike] {
        index.put(rows, &position, position, &())?;
    }
    for of in [Some(envelope.from.clone()), None] {
        let bytes = ENVELOPE_BYTES.get(rows, &of)?.unwrap_or(0) + envelope.size();
        ENVELOPE_BYTES.put(rows, &of, 0, &bytes)?;
    }
    Ok(())
}

/// What waits for what comes before it, or for a log.
fn bring_streams(rows: &mut dyn Rows, then: Then) -> Result<(), RowsError> {
    for stream_id in WAITING_STREAMS.all(rows)? {
        begin_stream(rows, &stream_id)?;
        let buffered = BUFFERED.of(&(stream_id.device, stream_id.chat));
        for (n, Buffered { said, until }) in everything(rows, &buffered)? {
            let said = match said {
                AuthorEvent::Message(message) => AuthorEvent::Message(Box::new(message_of(then, *message))),
                AuthorEvent::Change(change) => AuthorEvent::Change(change_of(then, change)),
                AuthorEvent::Unheard => AuthorEvent::Unheard,
            };
            buffered.put(rows, &n, n, &Buffered { said, until: then.due(until) })?;
        }
    }
    for (until, ahead) in everything(rows, &AHEAD)? {
        AHEAD.put(rows, &ahead.number, then.due_order(until), &ahead)?;
    }
    Ok(())
}

/// A stream began with the lowest number there was once nothing of its device waited to be opened; now it is there from
/// the first that came. What is lower and still comes is shown after it, and nothing is said to be missing.
fn begin_stream(rows: &mut dyn Rows, stream_id: &StreamId) -> Result<(), RowsError> {
    let streams = STREAMS.of(&stream_id.chat);
    let first = OLD_BUFFERED.of(&(stream_id.device, stream_id.chat.clone())).first(rows)?;
    match first {
        Some((next, OfEpoch { epoch })) if !streams.has(rows, &stream_id.device)? => {
            let stream = Stream { epoch: epoch.unwrap_or_default(), next, given_up: Vec::new() };
            streams.put(rows, &stream_id.device, 0, &stream)
        }
        _ => Ok(()),
    }
}

fn change_of(then: Then, change: Change) -> Change {
    Change { kept: then.past(change.at), ..change }
}

/// What waits to be sent, or for an answer.
fn bring_queue(rows: &mut dyn Rows, then: Then) -> Result<(), RowsError> {
    let item_of = |item: Item| Item { after: then.due(item.after), ..item };
    let mut sent = unacknowledged(rows)?;
    let lines = DESTINATIONS.all(rows)?.into_iter().map(|user| QUEUE.of(&user));
    let lacked = LAGGING_DEVICES.all(rows)?.into_iter().map(|device| LAGGING.of(&device));
    for line in lines.chain(lacked).collect::<Vec<_>>() {
        for (order, item) in everything(rows, &line)? {
            sent.insert(item.id);
            line.put(rows, &item.position.clone(), order, &item_of(item))?;
        }
    }
    for submits in [&IN_FLIGHT, &DEFERRED, &POSTS] {
        for (order, submit) in everything(rows, submits)? {
            let kind = match submit.kind {
                SubmitKind::Message(item) => {
                    sent.insert(item.id);
                    SubmitKind::Message(item_of(item))
                }
                SubmitKind::OwnDevice(receipt) => SubmitKind::OwnDevice(own_receipt_of(receipt)),
                kind => kind,
            };
            let order = if std::ptr::eq(submits, &raw const DEFERRED) { then.due_order(order) } else { order };
            let submit = PendingSubmit { kind, after: then.due(submit.after), ..submit };
            submits.put(rows, &submit.submit_id.clone(), order, &submit)?;
        }
    }
    bring_changes(rows, then, sent)
}

/// Own changes are found by what carries them. Those that nothing carries have arrived everywhere.
fn bring_changes(rows: &mut dyn Rows, then: Then, sent: BTreeSet<MessageId>) -> Result<(), RowsError> {
    let mut found = everything(rows, &CHANGES)?;
    for id in sent {
        let Some(change) = CHANGES.get(rows, &id)? else { continue };
        let Some(nth) = found.iter().position(|(_, other)| *other == change) else { continue };
        let (order, change) = found.swap_remove(nth);
        let change = change_of(then, change);
        // 0 until it arrives
        let order = if order == 0 { 0 } else { change.kept.as_millis().max(1) };
        CHANGES.put(rows, &id, order, &change)?;
    }
    Ok(())
}

/// In its place were how often it was refused and, behind that, when it may go: it goes at once.
fn own_receipt_of(receipt: PendingOwnReceipt) -> PendingOwnReceipt {
    PendingOwnReceipt { after: Timestamp::ZERO, ..receipt }
}

fn bring_receipts(rows: &mut dyn Rows, then: Then) -> Result<(), RowsError> {
    for receipt in RECEIPTS.all(rows)? {
        let receipt = PendingReceipt { due: then.due(receipt.due), ..receipt };
        RECEIPTS.put(rows, &receipt.device.clone(), receipt.due.as_millis(), &receipt)?;
    }
    for (due, receipt) in everything(rows, &OWN_RECEIPTS)? {
        let key = (receipt.device, receipt.peer.clone());
        OWN_RECEIPTS.put(rows, &key, then.due_order(due), &own_receipt_of(receipt))?;
    }
    Ok(())
}

/// What was sealed and not acknowledged.
fn unacknowledged(rows: &dyn Rows) -> Result<BTreeSet<MessageId>, RowsError> {
    let mut found = BTreeSet::new();
    for device in PINS.all(rows)?.iter().flat_map(devices) {
        for (epoch, chat) in CONVERSATIONS.of(&device).all(rows)? {
            found.extend(UNACKNOWLEDGED.of(&(device, epoch, chat)).all(rows)?);
        }
    }
    Ok(found)
}

fn devices(peer: &Peer) -> Vec<DeviceId> {
    peer.pinned.log.devices().iter().map(|device| device.cert.id()).collect()
}

fn bring_pins(rows: &mut dyn Rows, then: Then) -> Result<(), RowsError> {
    for (order, peer) in everything(rows, &PINS)? {
        bring_first_numbers(rows, &peer)?;
        let (since, told) = (peer.withheld_since.map(|at| then.past(at)), peer.withheld_told.map(|at| then.past(at)));
        let peer = Peer { withheld_since: since, withheld_told: told, ..peer };
        PINS.put(rows, &peer.user.clone(), order, &peer)?;
    }
    match ROLLED_BACK.get(rows)? {
        Some(at) => ROLLED_BACK.put(rows, &then.past(at)),
        None => Ok(()),
    }
}

/// From which number on devices get what is said was not kept. The only device an account ever had gets everything. Of
/// several one is only known to be meant by what it did not acknowledge: the rest may never have been for it, and would be
/// said to be missing.
fn bring_first_numbers(rows: &mut dyn Rows, peer: &Peer) -> Result<(), RowsError> {
    let account = || Ok(ACCOUNT.get(rows)?.map(|account| account.cert.id()));
    let Some(me) = DEVICE.get(rows)?.map_or_else(account, |device| Ok(Some(device)))? else { return Ok(()) };
    let all = devices(peer);
    for device in all.iter().filter(|device| **device != me) {
        for (epoch, chat) in CONVERSATIONS.of(device).all(rows)? {
            let first = UNACKNOWLEDGED.of(&(*device, epoch, chat.clone())).first(rows)?;
            if let Some((first, _)) = first {
                FIRST_NUMBERS.of(device).put(rows, &(me, epoch, chat), 0, &first)?;
            }
        }
    }
    match (all.as_slice(), NUMBERS.get(rows, &peer.user)?) {
        ([only], Some((epoch, _))) if *only != me && peer.former.is_empty() => {
            FIRST_NUMBERS.of(only).put(rows, &(me, epoch, peer.user.clone()), 0, &1)
        }
        _ => Ok(()),
    }
}

/// All timers went by the clock. Now only what is sent at a time does.
fn bring_timers(rows: &mut dyn Rows, then: Then) -> Result<(), RowsError> {
    for (at, timer) in everything(rows, &TIMES)? {
        if timer.due != Due::Send {
            let key = (timer.due, timer.id);
            TIMES.delete(rows, &key)?;
            SPANS.put(rows, &key, then.due_order(at), &timer)?;
        }
    }
    Ok(())
}

/// Posts had other ids, by which none is recognised today. So reading begins anew where it stands, and none of them is
/// shown twice.
fn bring_room(rows: &mut dyn Rows) -> Result<(), RowsError> {
    if OLD_ROOM_BEGUN.get(rows)?.is_none() {
        return Ok(());
    }
    let cursor = Counter::Room.get(rows)?;
    Counter::RoomBefore.set(rows, cursor)?;
    ROOM_BEGUN.put(rows, &cursor)
}

/// A reset was kept where an entrance is, with what it was for in the place of when the server carries it out.
fn bring_pending_account(rows: &mut dyn Rows) -> Result<(), RowsError> {
    let Some(pending) = PENDING_ACCOUNT.get(rows)? else { return Ok(()) };
    let is_reset = pending.due == Some(Timestamp::from_millis(1));
    let pending = AccountRow { due: None, ..pending };
    if !is_reset {
        return PENDING_ACCOUNT.put(rows, &pending);
    }
    PENDING_ACCOUNT.delete(rows)?;
    ACCOUNT_RESET.put(rows, &pending)
}
