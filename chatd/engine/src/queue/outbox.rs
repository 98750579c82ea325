//! What is still to be sent: first as plaintext in order per recipient, then as bytes in flight.
//!
//! ```text
//! queued ──sealed and committed──▶ in flight ──accepted──▶ gone
//!    ▲                                │  │
//!    └──────────── stale ─────────────┘  └── full: the same envelopes under a new submit id
//! ```
//! A pending submit is repeated byte for byte until it is answered, over as many connections as that takes;
//! only `stale`, which stores nothing, sends a message back to be sealed anew for the verified set. A mailbox
//! that is full holds up what goes to its device, and nothing else.

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::time::Timestamp;

use crate::model::error::EngineError;
use crate::peers;
use crate::queue::{device_backlog, pending_submits, posts, queue_len};
use crate::records::changes;
use crate::records::history::{self, Message};
use crate::records::timers;
use crate::rows::counter::Counter;
use crate::rows::outbox::Item;
use crate::rows::state::Due;
use crate::rows::{DESTINATIONS, QUEUE, TIMES};
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// Most messages that wait to be sent. A sender that reaches it is told so.
pub const MAX_QUEUED: u64 = 100_000;
/// Most that wait while tokens add to them.
pub const MAX_QUEUED_BY_TOKENS: u64 = MAX_QUEUED / 2;
/// Most messages that wait for a time of theirs.
const MAX_SCHEDULED: u64 = 10_000;

/// Whether one more may wait.
pub(crate) fn admit(txn: &Txn<'_>) -> Result<(), EngineError> {
    if queued(txn.rows)? < MAX_QUEUED { Ok(()) } else { Err(EngineError::queue_full()) }
}

/// Whether one more may wait for its time.
pub(crate) fn admit_scheduled(txn: &Txn<'_>) -> Result<(), EngineError> {
    if TIMES.count(txn.rows)? < MAX_SCHEDULED {
        return Ok(());
    }
    Err(EngineError::full(format!("{MAX_SCHEDULED} messages wait for their time")))
}

/// Whether a program with a token may have one more wait, in line or for its time: the last half of both is kept for the
/// user.
///
/// # Errors
/// [`RowsError`].
pub fn has_room_for_tokens(rows: &dyn crate::store::Rows) -> Result<bool, RowsError> {
    Ok(queued(rows)? < MAX_QUEUED_BY_TOKENS && TIMES.count(rows)? < MAX_SCHEDULED / 2)
}

/// Puts a message or a change in line for its recipient, and returns its place.
pub(crate) fn enqueue(txn: &mut Txn<'_>, id: MessageId, to: Username) -> Result<u64, EngineError> {
    admit(txn)?;
    peers::hurry(txn, &to);
    let position = Counter::Outbox.next(txn.rows)?;
    let item = Item { position, id, to, number: None, refused: 0, after: Timestamp::ZERO, only: None };
    put_back(txn, &item)?;
    Ok(position)
}

/// Whom what is said in a chat goes to: the peer, or, as far as there are any, the own other devices.
pub(crate) fn addressee(txn: &mut Txn<'_>, chat: &str) -> Result<Option<Username>, EngineError> {
    if chat != history::SELF {
        return Ok(history::peer(chat));
    }
    let alone = peers::own_others(txn)?.is_empty();
    Ok((!alone).then(|| txn.me.user.clone()))
}

/// Whether an own message could be taken out of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// It will not be sent.
    Yes,
    /// It has a number already, and may be with the server.
    UnderWay,
}

/// Takes a message that waits out of the line, or off the clock.
pub(crate) fn withdraw(txn: &mut Txn<'_>, message: &Message) -> Result<Withdrawn, RowsError> {
    if message.at.is_some() {
        timers::clear(txn, Due::Send, &message.id)?;
        return Ok(Withdrawn::Yes);
    }
    match in_line(txn, message)? {
        Some(item) if item.number.is_none() => {
            forget(txn, &item)?;
            Ok(Withdrawn::Yes)
        }
        _ => Ok(Withdrawn::UnderWay),
    }
}

/// Whether a message is still to be sealed as it will stand in the history then.
pub(crate) fn waits(txn: &Txn<'_>, message: &Message) -> Result<bool, RowsError> {
    Ok(message.at.is_some() || in_line(txn, message)?.is_some())
}

fn in_line(txn: &Txn<'_>, message: &Message) -> Result<Option<Item>, RowsError> {
    let (Some(to), Some(position)) = (history::peer(&message.chat), message.queued_at) else { return Ok(None) };
    QUEUE.of(&to).get(txn.rows, &position)
}

/// Messages that were not accepted yet.
///
/// # Errors
/// [`RowsError`].
pub fn queued(rows: &dyn crate::store::Rows) -> Result<u64, RowsError> {
    // the first post in line is under way too
    let twice = u64::from(posts::any(rows)?);
    Ok((pending_submits::count(rows)? + pending_submits::deferred(rows)? + queue_len::waiting(rows)?)
        .saturating_sub(twice))
}

/// Users for whom something waits, whoever was written to last at the end.
pub(crate) fn destinations(txn: &Txn<'_>) -> Result<Vec<Username>, RowsError> {
    DESTINATIONS.all(txn.rows)
}

pub(crate) fn first(txn: &Txn<'_>, to: &Username) -> Result<Option<Item>, RowsError> {
    Ok(QUEUE.of(to).first(txn.rows)?.map(|(_, item)| item))
}

/// Puts an item in its place: in line for its recipient, or behind what the one device it is for lacks.
pub(crate) fn put_back(txn: &mut Txn<'_>, item: &Item) -> Result<(), RowsError> {
    if let Some(device) = &item.only {
        return device_backlog::keep(txn, item, device);
    }
    queue_len::join(txn, &QUEUE.of(&item.to), (&item.position, item.position), item)?;
    DESTINATIONS.put(txn.rows, &item.to, item.position, &item.to)
}

pub(crate) fn forget(txn: &mut Txn<'_>, item: &Item) -> Result<(), RowsError> {
    let line = QUEUE.of(&item.to);
    queue_len::leave(txn, &line, &item.position)?;
    if line.is_empty(txn.rows)? {
        DESTINATIONS.delete(txn.rows, &item.to)?;
    }
    Ok(())
}

pub(crate) fn waiting(txn: &Txn<'_>, to: &Username, most: usize) -> Result<Vec<Item>, RowsError> {
    let found = QUEUE.of(to).scan(txn.rows, 0..=u64::MAX, Direction::Ascending, most)?;
    Ok(found.into_iter().map(|(_, item)| item).collect())
}

/// When a message, or a change of one, joined the line. What is in neither place has nothing to be sent any more.
pub(crate) fn joined(txn: &Txn<'_>, id: &MessageId) -> Result<Timestamp, RowsError> {
    if let Some((_, message)) = history::get(txn.rows, id)? {
        return Ok(message.kept);
    }
    Ok(changes::submitted(txn, id)?.map_or(txn.now, |change| change.kept))
}
