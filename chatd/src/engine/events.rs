//! The durable event log: what happened, as the JSON that consumers get, stored with its cause.

use chat_protocol::ids::{Fingerprint, Username};
use chat_protocol::rpc::events::{
    AboutUser, ConnectionChanged, Deleted, Held, IdentityChange, Missing, Reacted, ReadUpTo, ResetAt, Skew,
    StatusChanged, Synced, Undecryptable,
};
use chat_protocol::rpc::{Event, EventBody, types};

use super::history::{Chat, Message};
use super::peers::Peer;
use super::state::Counter;
use super::turn::Turn;
use super::view;
use crate::store::{Direction, Place, Rows, RowsError, Table};

/// Most events kept. A consumer that was away for longer is told about the gap.
const KEPT: u64 = 100_000;

/// The newest sequence; 0 when nothing ever happened.
///
/// # Errors
/// [`RowsError`].
pub fn newest(rows: &dyn Rows) -> Result<u64, RowsError> {
    Counter::Event.get(rows)
}

/// The oldest sequence kept; one more than the newest when the log is empty.
///
/// # Errors
/// [`RowsError`].
pub fn oldest(rows: &dyn Rows) -> Result<u64, RowsError> {
    let first = rows.scan(Table::Events, b"", 0..=u64::MAX, Direction::Ascending, 1)?;
    Ok(first.first().map_or(newest(rows)? + 1, |(seq, _)| *seq))
}

/// Events behind `seq`, ascending, at most `max`.
///
/// # Errors
/// [`RowsError`].
pub fn after(rows: &dyn Rows, seq: u64, max: usize) -> Result<Vec<Event>, RowsError> {
    let Some(from) = seq.checked_add(1) else { return Ok(Vec::new()) };
    rows.scan(Table::Events, b"", from..=u64::MAX, Direction::Ascending, max)?
        .iter()
        .map(|(_, json)| {
            serde_json::from_slice(json).map_err(|_| RowsError::Corrupt("an event is not JSON".to_owned()))
        })
        .collect()
}

/// Appends an event to the log, in the transaction of its cause.
pub(crate) fn append(turn: &mut Turn<'_>, chat: Option<&str>, body: &EventBody) -> Result<(), RowsError> {
    let seq = Counter::Event.next(turn.rows)?;
    let event = Event::durable(seq, turn.now.as_millis(), chat.and_then(view::chat_id), body);
    let json = serde_json::to_vec(&event).map_err(|error| RowsError::Corrupt(error.to_string()))?;
    turn.rows.put(Place::new(Table::Events, b"", &seq.to_be_bytes()), seq, &json)?;
    if let Some(gone) = seq.checked_sub(KEPT) {
        turn.rows.delete_range(Table::Events, b"", 0..=gone)?;
    }
    Ok(())
}

pub(crate) fn message_new(turn: &mut Turn<'_>, message: &Message) -> Result<(), RowsError> {
    let Some(shown) = view::message(message) else { return Ok(()) };
    append(turn, Some(&message.chat), &EventBody::MessageNew(shown))
}

pub(crate) fn status(turn: &mut Turn<'_>, message: &Message) -> Result<(), RowsError> {
    let Some(state) = view::state(message.state) else { return Ok(()) };
    let data = StatusChanged { id: message.id, state, user: None, error: message.error.clone() };
    append(turn, Some(&message.chat), &EventBody::MessageStatus(data))
}

pub(crate) fn message_edited(turn: &mut Turn<'_>, message: &Message) -> Result<(), RowsError> {
    let Some(shown) = view::message(message) else { return Ok(()) };
    append(turn, Some(&message.chat), &EventBody::MessageEdited(shown))
}

pub(crate) fn deleted(turn: &mut Turn<'_>, message: &Message, why: &str) -> Result<(), RowsError> {
    let data = Deleted { id: message.id, why: why.to_owned() };
    append(turn, Some(&message.chat), &EventBody::MessageDeleted(data))
}

pub(crate) fn reaction(turn: &mut Turn<'_>, message: &Message, by: &Username, emoji: &str) -> Result<(), RowsError> {
    let emoji = Some(emoji.to_owned()).filter(|emoji| !emoji.is_empty());
    let data = Reacted { id: message.id, user: by.clone(), emoji };
    append(turn, Some(&message.chat), &EventBody::MessageReaction(data))
}

pub(crate) fn overdue(turn: &mut Turn<'_>, message: &Message) -> Result<(), RowsError> {
    let Some(state) = view::state(message.state) else { return Ok(()) };
    let data = StatusChanged { id: message.id, state, user: None, error: message.error.clone() };
    append(turn, Some(&message.chat), &EventBody::MessageOverdue(data))
}

/// A change of a message will not be sent: the message stands where it stood, and this is why its peer
/// does not see the change.
pub(crate) fn change_failed(turn: &mut Turn<'_>, message: &Message, error: &str) -> Result<(), RowsError> {
    let state = view::state(message.state).unwrap_or(types::MessageState::Read);
    let data = StatusChanged { id: message.id, state, user: None, error: Some(error.to_owned()) };
    append(turn, Some(&message.chat), &EventBody::MessageStatus(data))
}

/// Takes what a message said out of the events that carry it, as far as they are still kept.
pub(crate) fn redact(turn: &mut Turn<'_>, told_in: &[u64], message: &Message) -> Result<(), RowsError> {
    let Some(shown) = view::message(message) else { return Ok(()) };
    for seq in told_in {
        let key = seq.to_be_bytes();
        let place = Place::new(Table::Events, b"", &key);
        let Some(json) = turn.rows.get(place)? else { continue };
        let not_json = |_| RowsError::Corrupt("an event is not JSON".to_owned());
        let mut event: Event = serde_json::from_slice(&json).map_err(not_json)?;
        event.data = serde_json::to_value(&shown).map_err(not_json)?;
        turn.rows.put(place, *seq, &serde_json::to_vec(&event).map_err(not_json)?)?;
    }
    Ok(())
}

pub(crate) fn missing(turn: &mut Turn<'_>, chat: &str, from: &Username, count: u64) -> Result<(), RowsError> {
    append(turn, Some(chat), &EventBody::MessageMissing(Missing { from_user: from.clone(), count }))
}

pub(crate) fn undecryptable(turn: &mut Turn<'_>, from: &Username, reason: &str) -> Result<(), RowsError> {
    let data = Undecryptable { from_user: from.clone(), reason: reason.to_owned(), will_retry: false };
    append(turn, None, &EventBody::MessageUndecryptable(data))
}

pub(crate) fn held(turn: &mut Turn<'_>, from: &Username, why: &str) -> Result<(), RowsError> {
    append(turn, None, &EventBody::MessageHeld(Held { from_user: from.clone(), why: why.to_owned() }))
}

pub(crate) fn chat_read(turn: &mut Turn<'_>, chat: &Chat, up_to: Option<&Message>) -> Result<(), RowsError> {
    let data = ReadUpTo { up_to: up_to.map(|message| message.id), unread: chat.unread };
    append(turn, Some(&chat.id), &EventBody::ChatRead(data))
}

pub(crate) fn identity_changed(turn: &mut Turn<'_>, peer: &Peer) -> Result<(), RowsError> {
    let Some(rival) = &peer.rival else { return Ok(()) };
    let old: Fingerprint = peer.pinned.log.fingerprint();
    let data = IdentityChange {
        user: peer.user.clone(),
        old: Some(old),
        new: rival.log.fingerprint(),
        head: types::LogHead::from(rival.log.head()),
        action: "blocked".to_owned(),
    };
    append(turn, Some(&super::history::private(&peer.user)), &EventBody::IdentityChanged(data))
}

pub(crate) fn fork_evidence(turn: &mut Turn<'_>, peer: &Peer) -> Result<(), RowsError> {
    append(turn, None, &EventBody::IdentityForkEvidence(AboutUser { user: peer.user.clone() }))
}

pub(crate) fn log_withheld(turn: &mut Turn<'_>, peer: &Peer) -> Result<(), RowsError> {
    append(turn, None, &EventBody::IdentityLogWithheld(AboutUser { user: peer.user.clone() }))
}

pub(crate) fn connection(turn: &mut Turn<'_>, data: ConnectionChanged) -> Result<(), RowsError> {
    append(turn, None, &EventBody::Connection(data))
}

pub(crate) fn synced(turn: &mut Turn<'_>, replayed: u64) -> Result<(), RowsError> {
    append(turn, None, &EventBody::SyncDone(Synced { replayed }))
}

pub(crate) fn clock_skew(turn: &mut Turn<'_>, offset_ms: i64) -> Result<(), RowsError> {
    append(turn, None, &EventBody::ClockSkew(Skew { offset_ms }))
}

pub(crate) fn reset_pending(turn: &mut Turn<'_>, at_ms: Option<u64>) -> Result<(), RowsError> {
    let body = match at_ms {
        Some(at_ms) => EventBody::ResetPending(ResetAt { at_ms }),
        None => EventBody::ResetCancelled(chat_protocol::rpc::events::Nothing {}),
    };
    append(turn, None, &body)
}

pub(crate) fn stopping(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    append(turn, None, &EventBody::DaemonStopping(chat_protocol::rpc::events::Nothing {}))
}
