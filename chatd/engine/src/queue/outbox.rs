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

use chat_protocol::cbor;
use chat_protocol::ids::{MessageId, Username};
use chat_protocol::time::Timestamp;

use crate::model::error::EngineError;
use crate::model::rows::{Counter, decode, load};
use crate::peers;
use crate::queue::item::Item;
use crate::queue::queue_len::{self, DESTINATIONS};
use crate::queue::{device_backlog, pending_submits, posts};
use crate::records::changes;
use crate::records::history::{self, Message};
use crate::records::timers::{self, Due};
use crate::store::{Direction, Place, RowsError, Table};
use crate::turn::Turn;

/// Most messages that wait to be sent. A sender that reaches it is told so.
pub const MAX_QUEUED: u64 = 100_000;

fn queue_scope(to: &Username) -> Vec<u8> {
    [b"to:", to.as_str().as_bytes()].concat()
}

fn destination_place(to: &Username) -> Place<'_> {
    Place::new(Table::Outbox, DESTINATIONS, to.as_str().as_bytes())
}

/// Whether one more may wait.
pub(crate) fn admit(turn: &Turn<'_>) -> Result<(), EngineError> {
    if queued(turn.rows)? < MAX_QUEUED { Ok(()) } else { Err(EngineError::QueueFull) }
}

/// Puts a message or a change in line for its recipient, and returns its place.
pub(crate) fn enqueue(turn: &mut Turn<'_>, id: MessageId, to: Username) -> Result<u64, EngineError> {
    admit(turn)?;
    peers::hurry(turn, &to);
    let position = Counter::Outbox.next(turn.rows)?;
    let item = Item { position, id, to, number: None, refused: 0, after: Timestamp::ZERO, only: None };
    put_back(turn, &item)?;
    Ok(position)
}

/// Whom what is said in a chat goes to: the peer, or, as far as there are any, the own other devices.
pub(crate) fn addressee(turn: &mut Turn<'_>, chat: &str) -> Result<Option<Username>, EngineError> {
    if chat != history::SELF {
        return Ok(history::peer(chat));
    }
    let alone = peers::own_others(turn)?.is_empty();
    Ok((!alone).then(|| turn.me.user.clone()))
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
pub(crate) fn withdraw(turn: &mut Turn<'_>, message: &Message) -> Result<Withdrawn, RowsError> {
    if message.at.is_some() {
        timers::clear(turn, Due::Send, &message.id)?;
        return Ok(Withdrawn::Yes);
    }
    match in_line(turn, message)? {
        Some(item) if item.number.is_none() => {
            forget(turn, &item)?;
            Ok(Withdrawn::Yes)
        }
        _ => Ok(Withdrawn::UnderWay),
    }
}

/// Whether a message is still to be sealed as it will stand in the history then.
pub(crate) fn waits(turn: &Turn<'_>, message: &Message) -> Result<bool, RowsError> {
    Ok(message.at.is_some() || in_line(turn, message)?.is_some())
}

fn in_line(turn: &Turn<'_>, message: &Message) -> Result<Option<Item>, RowsError> {
    let (Some(to), Some(position)) = (history::peer(&message.chat), message.queued_at) else { return Ok(None) };
    load(turn.rows, Place::new(Table::Outbox, &queue_scope(&to), &position.to_be_bytes()))
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
pub(crate) fn destinations(turn: &Turn<'_>) -> Result<Vec<Username>, RowsError> {
    let found = turn.rows.scan(Table::Outbox, DESTINATIONS, 0..=u64::MAX, Direction::Ascending, usize::MAX)?;
    Ok(found.into_iter().filter_map(|(_, name)| String::from_utf8(name).ok()?.parse().ok()).collect())
}

pub(crate) fn first(turn: &Turn<'_>, to: &Username) -> Result<Option<Item>, RowsError> {
    let found = turn.rows.scan(Table::Outbox, &queue_scope(to), 0..=u64::MAX, Direction::Ascending, 1)?;
    found.first().map(|(_, bytes)| decode(Table::Outbox, bytes)).transpose()
}

/// Puts an item in its place: in line for its recipient, or behind what the one device it is for lacks.
pub(crate) fn put_back(turn: &mut Turn<'_>, item: &Item) -> Result<(), RowsError> {
    if let Some(device) = &item.only {
        return device_backlog::keep(turn, item, device);
    }
    let scope = queue_scope(&item.to);
    let key = item.position.to_be_bytes();
    queue_len::join(turn, Place::new(Table::Outbox, &scope, &key), item.position, &cbor::encode(item))?;
    turn.rows.put(destination_place(&item.to), item.position, item.to.as_str().as_bytes())
}

pub(crate) fn forget(turn: &mut Turn<'_>, item: &Item) -> Result<(), RowsError> {
    let scope = queue_scope(&item.to);
    queue_len::leave(turn, Place::new(Table::Outbox, &scope, &item.position.to_be_bytes()))?;
    if turn.rows.last_order(Table::Outbox, &scope)?.is_none() {
        turn.rows.delete(destination_place(&item.to))?;
    }
    Ok(())
}

pub(crate) fn waiting(turn: &Turn<'_>, to: &Username, most: usize) -> Result<Vec<Item>, RowsError> {
    turn.rows
        .scan(Table::Outbox, &queue_scope(to), 0..=u64::MAX, Direction::Ascending, most)?
        .iter()
        .map(|(_, bytes)| decode(Table::Outbox, bytes))
        .collect()
}

/// When a message, or a change of one, joined the line. What is in neither place has nothing to be sent any more.
pub(crate) fn joined(turn: &Turn<'_>, id: &MessageId) -> Result<Timestamp, RowsError> {
    if let Some((_, message)) = history::get(turn.rows, id)? {
        return Ok(message.kept);
    }
    Ok(changes::submitted(turn, id)?.map_or(turn.now, |change| change.kept))
}
