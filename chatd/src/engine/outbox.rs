//! What is still to be sent: first as plaintext in order per recipient, then as bytes in flight.
//!
//! ```text
//! queued ──sealed and committed──▶ in flight ──accepted──▶ gone
//!    ▲                                │  │
//!    └──────────── stale ─────────────┘  └── full: the same envelopes under a new submit id
//! ```
//! A flight is repeated byte for byte until it is answered, over as many connections as that takes;
//! only `stale`, which stores nothing, sends a message back to be sealed anew for the verified set. A mailbox
//! that is full holds up what goes to its device, and nothing else.

mod again;
mod answers;
mod expiry;
mod first;
mod flights;
mod full;
mod lagging;
mod posts;
mod tails;
mod tally;

use chat_protocol::cbor;
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::ids::{DeviceId, MessageId, Username};
use chat_protocol::message::Call;
use chat_protocol::message::client::{Addressed, Submit};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

pub(crate) use self::again::{
    RESENT_WITHIN, acknowledged, forget_device, is_unacknowledged, sealed, send_unacknowledged, was_reset,
};
pub(crate) use self::answers::answered;
pub(crate) use self::expiry::sweep;
pub(crate) use self::first::owed_from;
pub(crate) use self::flights::{Cargo, Flight, has_room, launch, next_submit_id, recall};
use self::lagging::Split;
pub(crate) use self::posts::post;
use super::changes;
use super::content::Letter;
use super::history::{self, Message, State};
use super::peers::{self, Recipients};
use super::sessions::{self, Sealed};
use super::state::{Counter, decode, load, save};
use super::timers::{self, Due};
use super::turn::Turn;
use super::{EngineError, profile, receipts, siblings};
use crate::store::{Direction, Place, RowsError, Table};

/// Most messages that wait to be sent. A sender that reaches it is told so.
pub const MAX_QUEUED: u64 = 100_000;
/// Most delivered messages to one user that wait to be reported read.
const MAX_UNREAD: u64 = 10_000;

/// The author's number of a message within one conversation: (epoch, n).
pub(crate) type Number = (u64, u64);

/// A private message that waits to be sealed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Item {
    /// Position in the queue.
    #[n(0)]
    pub(crate) position: u64,
    /// Message it carries.
    #[n(1)]
    pub(crate) id: MessageId,
    /// Recipient.
    #[n(2)]
    pub(crate) to: Username,
    /// Given when it is sealed first; kept when it is sealed again.
    #[n(3)]
    pub(crate) number: Option<Number>,
    /// How often the server refused it as stale.
    #[n(4)]
    pub(crate) refused: u32,
    /// Not before.
    #[n(5)]
    pub(crate) after: Timestamp,
    /// The one device it goes to; absent for all of the recipient's and the own other ones.
    #[n(6)]
    pub(crate) only: Option<DeviceId>,
}

/// Users for whom something waits.
const DESTINATIONS: &[u8] = b"destinations";

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
    let alone = siblings::all(turn)?.is_empty();
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
    Ok((flights::count(rows)? + flights::parked(rows)? + tally::waiting(rows)?).saturating_sub(twice))
}

/// Sends whatever there is room for: first what is under way already, then what has to be sealed.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    if turn.live.link.is_none() {
        return Ok(());
    }
    flights::repeat(turn)?;
    seal_queues(turn)?;
    if lagging::pump(turn)? {
        // what waited behind that
        seal_queues(turn)?;
    }
    peers::logs::pump(turn)?;
    profile::pump(turn)?;
    siblings::pump(turn)?;
    receipts::pump(turn)
}

fn seal_queues(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    destinations(turn)?.iter().try_for_each(|to| seal_queue(turn, to))
}

/// Users for whom something waits, whoever was written to last at the end.
fn destinations(turn: &Turn<'_>) -> Result<Vec<Username>, RowsError> {
    let found = turn.rows.scan(Table::Outbox, DESTINATIONS, 0..=u64::MAX, Direction::Ascending, usize::MAX)?;
    Ok(found.into_iter().filter_map(|(_, name)| String::from_utf8(name).ok()?.parse().ok()).collect())
}

/// Seals one recipient's messages in order, until one has to wait.
fn seal_queue(turn: &mut Turn<'_>, to: &Username) -> Result<(), EngineError> {
    while has_room(turn)? {
        let Some(item) = first(turn, to)? else { break };
        if item.only.is_some() {
            // in line since an earlier version
            forget(turn, &item)?;
            put_back(turn, &item)?;
            continue;
        }
        if !turn.is_time(item.after) {
            turn.wake(item.after);
            break;
        }
        if !seal_item(turn, item)? {
            break;
        }
    }
    Ok(())
}

fn first(turn: &Turn<'_>, to: &Username) -> Result<Option<Item>, RowsError> {
    let found = turn.rows.scan(Table::Outbox, &queue_scope(to), 0..=u64::MAX, Direction::Ascending, 1)?;
    found.first().map(|(_, bytes)| decode(Table::Outbox, bytes)).transpose()
}

/// Seals one message for every device of its recipient; false if it has to wait.
fn seal_item(turn: &mut Turn<'_>, mut item: Item) -> Result<bool, EngineError> {
    let Recipients::Devices(devices) = peers::recipients(turn, &item.to)? else { return Ok(false) };
    let letter = letter(turn, &item)?.filter(|_| !devices.is_empty());
    let Some(letter) = letter else {
        forget(turn, &item)?;
        return Ok(true);
    };
    let Some(Split { ready, lacking }) = lagging::split(turn, devices)? else { return Ok(false) };
    // somebody it is for has to get it
    if !ready.iter().any(|(user, _)| *user == item.to) {
        return Ok(false);
    }
    let number = match item.number {
        Some(number) => number,
        None => number_next(turn, &item)?,
    };
    item.number = Some(number);
    forget(turn, &item)?;
    lacking.iter().try_for_each(|device| lagging::keep(turn, &item, device))?;
    seal_for(turn, &ready, (&letter, number), item)?;
    Ok(true)
}

/// Seals what an item says for these devices, which can all be written to.
fn seal_for(
    turn: &mut Turn<'_>,
    devices: &[(Username, DeviceCert)],
    said: (&Letter, Number),
    item: Item,
) -> Result<(), EngineError> {
    peers::logs::accompany(turn, devices)?;
    profile::accompany(turn, devices)?;
    let Sealed { heads, to } = sessions::seal_letter(turn, &item.to, devices, said.0, said.1)?;
    Ok(submit(turn, heads, to, Cargo::Message(item))?)
}

/// What is to be written for an item; `None` if that is gone and leaves no gap in the numbers.
fn letter(turn: &Turn<'_>, item: &Item) -> Result<Option<Letter>, RowsError> {
    if let Some((_, message)) = history::get(turn.rows, &item.id)?.filter(|(_, message)| !message.deleted) {
        return Ok(Some(Letter::message(&message)));
    }
    if let Some(change) = changes::submitted(turn, &item.id)? {
        return Ok(Some(Letter::change(item.id, &change)));
    }
    Ok(item.number.map(|_| Letter::gone(item.id, turn)))
}

/// Puts envelopes under way under a fresh submit id.
pub(crate) fn submit(
    turn: &mut Turn<'_>,
    heads: Vec<chat_protocol::message::client::UserHead>,
    to: Vec<Addressed>,
    cargo: Cargo,
) -> Result<(), RowsError> {
    let submit_id = next_submit_id(turn)?;
    let payload = cbor::encode(&Submit { submit_id, heads, to });
    launch(turn, Flight::new(submit_id, Submit::TYPE, payload, cargo))
}

/// The next number of the conversation, remembered so that an acknowledgement finds its message.
fn number_next(turn: &mut Turn<'_>, item: &Item) -> Result<Number, RowsError> {
    let epoch = Counter::Epoch.get(turn.rows)?;
    let place = Place::new(Table::Outbox, b"numbers", item.to.as_str().as_bytes());
    let n = match load::<Number>(turn.rows, place)? {
        Some((known, n)) if known == epoch => n + 1,
        _ => 1,
    };
    save(turn.rows, place, 0, &(epoch, n))?;
    if item.to == turn.me.user {
        // nobody's acknowledgement is waited for
        return Ok((epoch, n));
    }
    let scope = sent_scope(&item.to, epoch);
    turn.rows.put(Place::new(Table::Outbox, &scope, &n.to_be_bytes()), n, item.id.as_bytes())?;
    Ok((epoch, n))
}

/// Rows naming the messages sent to a user, by number.
pub(crate) fn sent_scope(to: &Username, epoch: u64) -> Vec<u8> {
    [b"sent:".as_slice(), &epoch.to_be_bytes(), to.as_str().as_bytes()].concat()
}

/// Rows naming the messages a user's device has, and its user has not read.
pub(crate) fn unread_scope(to: &Username, epoch: u64) -> Vec<u8> {
    [b"unread:".as_slice(), &epoch.to_be_bytes(), to.as_str().as_bytes()].concat()
}

/// Remembers a delivered message until it is read. Whoever never tells costs a bounded number of rows.
pub(crate) fn await_read(
    turn: &mut Turn<'_>,
    to: &Username,
    (epoch, n): Number,
    id: &MessageId,
) -> Result<(), RowsError> {
    let scope = unread_scope(to, epoch);
    turn.rows.put(Place::new(Table::Outbox, &scope, &n.to_be_bytes()), n, id.as_bytes())?;
    match n.checked_sub(MAX_UNREAD) {
        Some(old) => turn.rows.delete_range(Table::Outbox, &scope, 0..=old).map(drop),
        None => Ok(()),
    }
}

/// The highest number given to a message for `to`.
pub(crate) fn last_number(turn: &Turn<'_>, to: &Username) -> Result<Option<Number>, RowsError> {
    load(turn.rows, Place::new(Table::Outbox, b"numbers", to.as_str().as_bytes()))
}

/// Puts an item in its place: in line for its recipient, or behind what the one device it is for lacks.
fn put_back(turn: &mut Turn<'_>, item: &Item) -> Result<(), RowsError> {
    if let Some(device) = &item.only {
        return lagging::keep(turn, item, device);
    }
    let scope = queue_scope(&item.to);
    let key = item.position.to_be_bytes();
    tally::join(turn, Place::new(Table::Outbox, &scope, &key), item.position, &cbor::encode(item))?;
    turn.rows.put(destination_place(&item.to), item.position, item.to.as_str().as_bytes())
}

fn forget(turn: &mut Turn<'_>, item: &Item) -> Result<(), RowsError> {
    let scope = queue_scope(&item.to);
    tally::leave(turn, Place::new(Table::Outbox, &scope, &item.position.to_be_bytes()))?;
    if turn.rows.last_order(Table::Outbox, &scope)?.is_none() {
        turn.rows.delete(destination_place(&item.to))?;
    }
    Ok(())
}

/// Ends every message that still waits for `to`.
pub(crate) fn fail_all(turn: &mut Turn<'_>, to: &Username, error: &str) -> Result<(), RowsError> {
    for item in waiting(turn, to, usize::MAX)? {
        forget(turn, &item)?;
        give_up(turn, &item, error)?;
    }
    lagging::forget_all(turn, to)
}

/// Ends every message for `to` that has no number yet. One that has may be with them, and is told to the end.
pub(crate) fn fail_unsealed(turn: &mut Turn<'_>, to: &Username, error: &str) -> Result<(), RowsError> {
    for item in waiting(turn, to, usize::MAX)?.into_iter().filter(|item| item.number.is_none()) {
        forget(turn, &item)?;
        give_up(turn, &item, error)?;
    }
    Ok(())
}

/// A message, or a change, will not be sent.
fn give_up(turn: &mut Turn<'_>, item: &Item, error: &str) -> Result<(), RowsError> {
    if changes::failed(turn, &item.id, error)? {
        return Ok(());
    }
    history::end(turn, &item.id, State::Failed, Some(error))
}

fn waiting(turn: &Turn<'_>, to: &Username, most: usize) -> Result<Vec<Item>, RowsError> {
    turn.rows
        .scan(Table::Outbox, &queue_scope(to), 0..=u64::MAX, Direction::Ascending, most)?
        .iter()
        .map(|(_, bytes)| decode(Table::Outbox, bytes))
        .collect()
}
