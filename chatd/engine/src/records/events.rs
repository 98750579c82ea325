//! The durable event log: what happened, as the JSON that consumers get, stored with its cause.

use std::ops::RangeInclusive;
use std::time::Duration;

use chat_protocol::identity::account_log::Fork;
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::ids::{DeviceId, Fingerprint, Username};
use chat_protocol::rpc::events::{
    AboutUser, ConnectionChanged, Deleted, DeviceChange, DevicesChange, ForkEvidence, Held, IdentityChange, Missing,
    ProfileOf, Reacted, ReadUpTo, RequestClosed, ResetAt, Skew, StatusChanged, Synced, Undecryptable, Verified,
    WaitingDevice,
};
use chat_protocol::rpc::types::{DeletedReason, FailReason, HeldReason, RequestKind, UndecryptableReason};
use chat_protocol::rpc::{EventBody, WrittenEvent, types};
use chat_protocol::time::Timestamp;

use crate::records::history::{self, Chat, Message};
use crate::records::pins::Peer;
use crate::records::settings::Settings;
use crate::records::{consumers, contacts, view};
use crate::rows::EVENTS;
use crate::rows::counter::Counter;
use crate::rows::events::{KeptEvent, Written};
use crate::store::{Direction, Rows, RowsError};
use crate::txn::Txn;
use crate::txn::action::Counted;

/// How often the log is looked at for what may go.
const TRIM_EVERY: Duration = Duration::from_secs(60);
/// Most events that go at once, so that nobody waits for it.
const TRIM_STEP: u64 = 1_000;

impl KeptEvent {
    fn of(event: &WrittenEvent, at: Timestamp) -> Self {
        let written = Written {
            time_ms: event.time_ms,
            kind: event.kind.clone(),
            chat: event.chat.as_ref().map(|chat| chat.as_str().to_owned()),
            outgoing: event.outgoing,
            data: event.data.to_string(),
        };
        Self { json: None, at, written: Some(written), total: None }
    }

    fn event(self, seq: u64) -> Result<WrittenEvent, RowsError> {
        let no_event = || RowsError::Corrupt("an event is not JSON".to_owned());
        let Some(Written { time_ms, kind, chat, outgoing, data }) = self.written else {
            return WrittenEvent::read(&self.json.ok_or_else(no_event)?).map_err(|_| no_event());
        };
        let chat = chat.as_deref().and_then(view::chat_id);
        Ok(WrittenEvent { seq: Some(seq), time_ms, kind, chat, outgoing, data: data.into() })
    }
}

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
    Ok(EVENTS.first(rows)?.map_or(newest(rows)? + 1, |(seq, _)| seq))
}

/// Events behind `seq`, ascending, at most `max`.
///
/// # Errors
/// [`RowsError`].
pub fn after(rows: &dyn Rows, seq: u64, max: usize) -> Result<Vec<WrittenEvent>, RowsError> {
    let Some(from) = seq.checked_add(1) else { return Ok(Vec::new()) };
    let found = EVENTS.scan(rows, from..=u64::MAX, Direction::Ascending, max)?;
    found.into_iter().map(|(seq, kept)| kept.event(seq)).collect()
}

/// Appends an event to the log, in the transaction of its cause.
pub(crate) fn append(txn: &mut Txn<'_>, chat: Option<&str>, body: &EventBody) -> Result<(), RowsError> {
    append_numbered(txn, chat, body).map(drop)
}

/// The same; returns the sequence it has there.
fn append_numbered(txn: &mut Txn<'_>, chat: Option<&str>, body: &EventBody) -> Result<u64, RowsError> {
    let seq = Counter::Event.next(txn.rows)?;
    let event = WrittenEvent::durable(seq, txn.clock.as_millis(), chat.and_then(view::chat_id), body);
    let kept = KeptEvent::of(&event, txn.now);
    let total = Counter::EventBytes.get(txn.rows)?.saturating_add(kept.bytes());
    Counter::EventBytes.set(txn.rows, total)?;
    EVENTS.put(txn.rows, &seq, seq, &KeptEvent { total: Some(total), ..kept })?;
    txn.count(Counted::Event(body.type_name()));
    Ok(seq)
}

/// Lets the oldest events go, a bounded step at a time: what is over the number kept, whoever needs it (its
/// readers are told of the gap), and what is too old, unless a consumer has not acknowledged it.
pub(crate) fn trim(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    if txn.live.trim_after > txn.now {
        return Ok(());
    }
    let settings = Settings::get(txn.rows)?;
    let (oldest, newest) = (oldest(txn.rows)?, newest(txn.rows)?);
    let step_end = oldest.saturating_add(TRIM_STEP - 1);
    let over = newest.saturating_sub(settings.max_events).max(too_large(txn, settings.most_event_bytes())?);
    let floor = consumers::slowest(txn.rows)?.map_or(newest, |acked| acked.min(newest));
    let last = match over.max(oldest - 1).min(step_end) {
        last if last >= oldest => last,
        _ => aged(txn, oldest..=floor.min(step_end), settings.event_days)?,
    };
    EVENTS.delete_range(txn.rows, 0..=last)?;
    if last == step_end {
        // the rest follows at once, in transactions of its own
        txn.wake(txn.now + Duration::from_millis(1));
    } else {
        txn.live.trim_after = txn.now + TRIM_EVERY;
    }
    Ok(())
}

/// The last event, of those that can go at once, that has to go so that the log takes at most `most` bytes; 0 if none has.
fn too_large(txn: &Txn<'_>, most: u64) -> Result<u64, RowsError> {
    let gone = Counter::EventBytes.get(txn.rows)?.saturating_sub(most);
    let step = usize::try_from(TRIM_STEP).unwrap_or(usize::MAX);
    let mut last = 0;
    // usually the first one stays, and nothing else has to be read
    for read in [1, step] {
        for (seq, kept) in EVENTS.scan(txn.rows, 0..=u64::MAX, Direction::Ascending, read)? {
            if kept.total.unwrap_or(0) > gone || gone == 0 {
                return Ok(last);
            }
            last = seq;
        }
    }
    Ok(last)
}

/// The last event of `range` that is too old, as are all before it; one less than its start if there is none.
fn aged(txn: &Txn<'_>, range: RangeInclusive<u64>, days: u32) -> Result<u64, RowsError> {
    let none = range.start().saturating_sub(1);
    let before = txn.now - Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let step = usize::try_from(TRIM_STEP).unwrap_or(usize::MAX);
    let mut last = none;
    // usually the first one is young, and nothing else has to be read
    for most in [1, step] {
        for (seq, kept) in EVENTS.scan(txn.rows, range.clone(), Direction::Ascending, most)? {
            if kept.at > before {
                return Ok(last);
            }
            last = seq;
        }
    }
    Ok(last)
}

/// Tells of a new message, which notes the event: it carries its text.
pub(crate) fn message_new(txn: &mut Txn<'_>, message: &mut Message) -> Result<(), RowsError> {
    let Some(shown) = view::message(message) else { return Ok(()) };
    txn.count(if message.mine { Counted::Sent } else { Counted::Received });
    message.told_in.push(append_numbered(txn, Some(&message.chat), &EventBody::MessageNew(shown))?);
    Ok(())
}

pub(crate) fn status(txn: &mut Txn<'_>, message: &Message) -> Result<(), RowsError> {
    let Some(state) = message.state else { return Ok(()) };
    let data = StatusChanged { id: message.id, state, user: None, error: message.error };
    append(txn, Some(&message.chat), &EventBody::MessageStatus(data))
}

/// Tells of another text of a message, which notes the event.
pub(crate) fn message_edited(txn: &mut Txn<'_>, message: &mut Message) -> Result<(), RowsError> {
    let Some(shown) = view::message(message) else { return Ok(()) };
    message.told_in.push(append_numbered(txn, Some(&message.chat), &EventBody::MessageEdited(shown))?);
    Ok(())
}

pub(crate) fn deleted(txn: &mut Txn<'_>, message: &Message, why: DeletedReason) -> Result<(), RowsError> {
    let data = Deleted { id: message.id, why };
    append(txn, Some(&message.chat), &EventBody::MessageDeleted(data))
}

pub(crate) fn reaction(txn: &mut Txn<'_>, message: &Message, by: &Username, emoji: &str) -> Result<(), RowsError> {
    let emoji = Some(emoji.to_owned()).filter(|emoji| !emoji.is_empty());
    let data = Reacted { id: message.id, user: by.clone(), emoji };
    append(txn, Some(&message.chat), &EventBody::MessageReaction(data))
}

pub(crate) fn overdue(txn: &mut Txn<'_>, message: &Message) -> Result<(), RowsError> {
    let Some(state) = message.state else { return Ok(()) };
    let data = StatusChanged { id: message.id, state, user: None, error: message.error };
    append(txn, Some(&message.chat), &EventBody::MessageOverdue(data))
}

/// A change of a message will not be sent: the message stands where it stood, and this is why its peer
/// does not see the change.
pub(crate) fn change_failed(txn: &mut Txn<'_>, message: &Message, reason: FailReason) -> Result<(), RowsError> {
    let state = message.state.unwrap_or(types::MessageState::Read);
    let data = StatusChanged { id: message.id, state, user: None, error: Some(reason) };
    append(txn, Some(&message.chat), &EventBody::MessageStatus(data))
}

/// Takes what a message said out of the events that carry it, as far as they are still kept.
pub(crate) fn redact(txn: &mut Txn<'_>, told_in: &[u64], message: &Message) -> Result<(), RowsError> {
    let Some(shown) = view::message(message) else { return Ok(()) };
    for seq in told_in {
        let Some(kept) = EVENTS.get(txn.rows, seq)? else { continue };
        let (at, total) = (kept.at, kept.total);
        let data = serde_json::to_string(&shown).map_err(|error| RowsError::Corrupt(error.to_string()))?.into();
        let event = WrittenEvent { data, ..kept.event(*seq)? };
        EVENTS.put(txn.rows, seq, *seq, &KeptEvent { total, ..KeptEvent::of(&event, at) })?;
    }
    Ok(())
}

pub(crate) fn missing(txn: &mut Txn<'_>, chat: &str, from: &Username, count: u64) -> Result<(), RowsError> {
    append(txn, Some(chat), &EventBody::MessageMissing(Missing { from_user: from.clone(), count }))
}

pub(crate) fn undecryptable(txn: &mut Txn<'_>, from: &Username, reason: UndecryptableReason) -> Result<(), RowsError> {
    txn.count(Counted::Undecryptable);
    if !contacts::is_heard(txn, from)? {
        return Ok(());
    }
    let will_retry = matches!(reason, UndecryptableReason::TooMuchWaits | UndecryptableReason::OneTimeKeyGone);
    let data = Undecryptable { from_user: from.clone(), reason, will_retry };
    append(txn, None, &EventBody::MessageUndecryptable(data))
}

pub(crate) fn held(txn: &mut Txn<'_>, from: &Username, why: HeldReason) -> Result<(), RowsError> {
    if !contacts::is_heard(txn, from)? {
        return Ok(());
    }
    append(txn, None, &EventBody::MessageHeld(Held { from_user: from.clone(), why }))
}

pub(crate) fn request_new(txn: &mut Txn<'_>, request: types::Request) -> Result<(), RowsError> {
    // what they say is in no event: it is gone with the request
    let chat = history::private(&request.user);
    append(txn, Some(&chat), &EventBody::RequestNew(types::Request { text: None, ..request }))
}

pub(crate) fn request_closed(txn: &mut Txn<'_>, user: &Username, accepted: bool) -> Result<(), RowsError> {
    let data = RequestClosed { user: user.clone(), kind: RequestKind::Messages, accepted };
    append(txn, Some(&history::private(user)), &EventBody::RequestClosed(data))
}

pub(crate) fn chat_read(txn: &mut Txn<'_>, chat: &Chat, up_to: Option<&Message>) -> Result<(), RowsError> {
    let data = ReadUpTo { up_to: up_to.map(|message| message.id), unread: chat.unread };
    append(txn, Some(&chat.id), &EventBody::ChatRead(data))
}

pub(crate) fn identity_changed(txn: &mut Txn<'_>, peer: &Peer) -> Result<(), RowsError> {
    let Some(rival) = &peer.rival else { return Ok(()) };
    let old: Fingerprint = peer.pinned.log.fingerprint();
    let data = IdentityChange {
        user: peer.user.clone(),
        old: Some(old),
        new: rival.log.fingerprint(),
        head: types::LogHead::from(rival.log.head()),
    };
    append(txn, Some(&history::private(&peer.user)), &EventBody::IdentityChanged(data))
}

pub(crate) fn verified(txn: &mut Txn<'_>, peer: &Peer) -> Result<(), RowsError> {
    let data = Verified { user: peer.user.clone(), fingerprint: peer.pinned.log.fingerprint() };
    append(txn, Some(&history::private(&peer.user)), &EventBody::IdentityVerified(data))
}

pub(crate) fn devices(
    txn: &mut Txn<'_>,
    user: &Username,
    added: Vec<DeviceId>,
    revoked: Vec<DeviceId>,
    left_out: bool,
) -> Result<(), RowsError> {
    let data = DevicesChange { user: user.clone(), added, revoked, left_out };
    append(txn, Some(&history::private(user)), &EventBody::IdentityDevices(data))
}

pub(crate) fn fork_evidence(txn: &mut Txn<'_>, user: &Username, fork: &Fork) -> Result<(), RowsError> {
    let data = ForkEvidence { user: user.clone(), seq: fork.seq, by: fork.by };
    append(txn, Some(&history::private(user)), &EventBody::IdentityForkEvidence(data))
}

pub(crate) fn log_withheld(txn: &mut Txn<'_>, user: &Username) -> Result<(), RowsError> {
    let data = AboutUser { user: user.clone() };
    append(txn, Some(&history::private(user)), &EventBody::IdentityLogWithheld(data))
}

pub(crate) fn log_behind(txn: &mut Txn<'_>, user: &Username) -> Result<(), RowsError> {
    let data = AboutUser { user: user.clone() };
    append(txn, Some(&history::private(user)), &EventBody::IdentityLogBehind(data))
}

pub(crate) fn connection(txn: &mut Txn<'_>, data: ConnectionChanged) -> Result<(), RowsError> {
    append(txn, None, &EventBody::Connection(data))
}

pub(crate) fn synced(txn: &mut Txn<'_>, replayed: u64) -> Result<(), RowsError> {
    append(txn, None, &EventBody::SyncDone(Synced { replayed }))
}

pub(crate) fn clock_skew(txn: &mut Txn<'_>, offset_ms: i64) -> Result<(), RowsError> {
    append(txn, None, &EventBody::ClockSkew(Skew { offset_ms }))
}

pub(crate) fn reset_pending(txn: &mut Txn<'_>, at_ms: Option<u64>) -> Result<(), RowsError> {
    let body = match at_ms {
        Some(at_ms) => EventBody::ResetPending(ResetAt { at_ms }),
        None => EventBody::ResetCancelled(chat_protocol::rpc::events::Nothing {}),
    };
    append(txn, None, &body)
}

pub(crate) fn device_waiting(txn: &mut Txn<'_>, cert: &DeviceCert, digits: String) -> Result<(), RowsError> {
    let data = WaitingDevice { device_id: cert.id(), digits, created_ms: cert.created().as_millis() };
    append(txn, None, &EventBody::DeviceWaiting(data))
}

pub(crate) fn device_added(txn: &mut Txn<'_>, device_id: DeviceId, by: DeviceId) -> Result<(), RowsError> {
    let data = DeviceChange { device_id, by, this: device_id == txn.me.device };
    append(txn, None, &EventBody::DeviceAdded(data))
}

pub(crate) fn device_revoked(txn: &mut Txn<'_>, device_id: DeviceId, by: DeviceId) -> Result<(), RowsError> {
    let data = DeviceChange { device_id, by, this: device_id == txn.me.device };
    append(txn, None, &EventBody::DeviceRevoked(data))
}

pub(crate) fn contact(txn: &mut Txn<'_>, contact: &types::Contact) -> Result<(), RowsError> {
    append(txn, None, &EventBody::ContactUpdated(contact.clone()))
}

/// Somebody, or this account, says something else of themselves.
pub(crate) fn profile(txn: &mut Txn<'_>, user: &Username, profile: &types::Profile) -> Result<(), RowsError> {
    let chat = (*user != txn.me.user).then(|| history::private(user));
    let data = ProfileOf { user: user.clone(), profile: profile.clone() };
    append(txn, chat.as_deref(), &EventBody::ProfileUpdated(data))
}

/// A chat is kept in another way. Its newest message is left out: what is deleted must not stay here.
pub(crate) fn chat_updated(txn: &mut Txn<'_>, chat: &Chat) -> Result<(), RowsError> {
    let Some(shown) = view::chat(txn.rows, &chat.id, Some(chat))? else { return Ok(()) };
    append(txn, Some(&chat.id), &EventBody::ChatUpdated(types::Chat { last: None, ..shown }))
}

pub(crate) fn stopping(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    append(txn, None, &EventBody::DaemonStopping(chat_protocol::rpc::events::Nothing {}))
}
