//! Messages and the chats they belong to: what the user has seen, said and not read yet.
//!
//! A message is stored once under its author's identity and id, so that nothing is ever shown twice.

mod message;
pub mod unsent;

use std::time::Duration;

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::rpc::types::{DeletedReason, FailReason, MessageState};

use crate::records::events;
use crate::records::timers;
use crate::rows::counter::Counter;
use crate::rows::messages::ChatName;
pub use crate::rows::messages::{Chat, Message, MessageKind, ROOM, Reaction, SELF};
use crate::rows::state::Due;
use crate::rows::{CHATS, MESSAGES, POSITIONS};
use crate::store::{Direction, Rows, RowsError};
use crate::txn::Txn;

/// Messages that are in memory together while those of a chat are counted.
const COUNTED_AT_ONCE: usize = 256;

/// The chat with a user.
#[must_use]
pub fn private(user: &Username) -> String {
    format!("@{user}")
}

/// The user of a private chat.
#[must_use]
pub fn peer(chat: &str) -> Option<Username> {
    chat.strip_prefix('@')?.parse().ok()
}

/// A message and its position in the history.
///
/// # Errors
/// [`RowsError`].
pub fn get(rows: &dyn Rows, id: &MessageId) -> Result<Option<(u64, Message)>, RowsError> {
    let Some((chat, position)) = POSITIONS.get(rows, id)? else { return Ok(None) };
    let message = MESSAGES.of(&ChatName::of(&chat)?).get(rows, id)?;
    Ok(message.map(|message| (position, message)))
}

/// At most `limit` messages of a chat, newest first, older than `before` and newer than `after`.
///
/// # Errors
/// [`RowsError`].
pub fn list(
    rows: &dyn Rows,
    chat: &str,
    after: u64,
    before: u64,
    limit: usize,
) -> Result<Vec<(u64, Message)>, RowsError> {
    let range = after.saturating_add(1)..=before.saturating_sub(1);
    if range.is_empty() {
        return Ok(Vec::new());
    }
    page(rows, chat, range, Direction::Descending, limit)
}

/// Messages of a chat within a range of positions.
///
/// # Errors
/// [`RowsError`].
pub fn page(
    rows: &dyn Rows,
    chat: &str,
    range: std::ops::RangeInclusive<u64>,
    direction: Direction,
    limit: usize,
) -> Result<Vec<(u64, Message)>, RowsError> {
    MESSAGES.of(&ChatName::of(chat)?).scan(rows, range, direction, limit)
}

/// A chat, if anything was ever said in it.
///
/// # Errors
/// [`RowsError`].
pub fn chat(rows: &dyn Rows, id: &str) -> Result<Option<Chat>, RowsError> {
    CHATS.get(rows, id)
}

/// Chats, latest activity first.
///
/// # Errors
/// [`RowsError`].
pub fn chats(rows: &dyn Rows, limit: usize) -> Result<Vec<Chat>, RowsError> {
    let found = CHATS.scan(rows, 0..=u64::MAX, Direction::Descending, limit)?;
    Ok(found.into_iter().map(|(_, chat)| chat).collect())
}

/// The latest `limit` chats that are `wanted` of those whose activity lies below `below`. Read a page at a time, each twice as
/// long as the one before: what few are wanted of is not read in many small ones.
///
/// # Errors
/// [`RowsError`].
pub fn chats_below(
    rows: &dyn Rows,
    mut below: u64,
    limit: usize,
    wanted: impl Fn(&Chat) -> bool,
) -> Result<Vec<Chat>, RowsError> {
    let (mut found, mut at_once) = (Vec::new(), limit);
    while let Some(highest) = below.checked_sub(1).filter(|_| found.len() < limit) {
        let page = CHATS.scan(rows, 0..=highest, Direction::Descending, at_once)?;
        below = if page.len() < at_once { 0 } else { page.last().map_or(0, |(activity, _)| *activity) };
        found.extend(page.into_iter().map(|(_, chat)| chat).filter(&wanted));
        at_once = at_once.saturating_mul(2);
    }
    found.truncate(limit);
    Ok(found)
}

/// Adds a message at the end of its chat, with its event, and sees to it that it goes when its time is over.
pub(crate) fn append(txn: &mut Txn<'_>, mut message: Message) -> Result<(), RowsError> {
    events::message_new(txn, &mut message)?;
    lives(txn, &message)?;
    to_the_end(txn, &message)
}

/// Sees to it that a message goes when its life is over. That of one for later begins when it is sent.
pub(crate) fn lives(txn: &mut Txn<'_>, message: &Message) -> Result<(), RowsError> {
    match message.ttl_s {
        Some(ttl_s) if message.at.is_none() => {
            timers::set(txn, Due::Expire, message.id, txn.now + Duration::from_secs(ttl_s.into()))
        }
        _ => Ok(()),
    }
}

/// Notes in the chat with `user` what happened. Programs that answer messages hear of it by an event of its own.
pub(crate) fn append_notice(txn: &mut Txn<'_>, user: &Username, text: String) -> Result<(), RowsError> {
    let id = MessageId::from_parts(txn.clock, txn.random());
    let message = Message::text(id, private(user), user.clone(), text, txn);
    to_the_end(txn, &Message { kind: MessageKind::Notice, ..message })
}

/// Writes a message at the end of its chat, wherever it was before.
pub(crate) fn to_the_end(txn: &mut Txn<'_>, message: &Message) -> Result<(), RowsError> {
    let position = Counter::Message.next(txn.rows)?;
    write(txn.rows, position, message)?;
    let mut chat = chat(txn.rows, &message.chat)?.unwrap_or_else(|| Chat::new(message.chat.clone()));
    chat.last = position;
    chat.archived = false;
    if message.mine && !chat.wrote {
        chat.wrote = true;
        // whoever is written to is known from now on
        txn.live.requests_looked = None;
    }
    // answering is not reading: whoever reads says so, and only then the author hears of it
    chat.count(message, &txn.me.user, 1);
    chat.bytes = chat.bytes.saturating_add(message.bytes());
    chat.activity = Counter::Activity.next(txn.rows)?;
    write_chat(txn.rows, &chat)
}

/// Writes a message that has another text, and tells about it.
pub(crate) fn tell_edited(txn: &mut Txn<'_>, position: u64, message: &mut Message) -> Result<(), RowsError> {
    events::message_edited(txn, message)?;
    charge(txn.rows, message)?;
    write(txn.rows, position, message)
}

/// A message that is about to be deleted counts no longer, if it was unread.
pub(crate) fn no_longer_unread(txn: &mut Txn<'_>, position: u64, message: &Message) -> Result<(), RowsError> {
    match chat(txn.rows, &message.chat)? {
        Some(mut chat) if position > chat.read_to => {
            chat.count(message, &txn.me.user, -1);
            write_chat(txn.rows, &chat)
        }
        _ => Ok(()),
    }
}

/// A message is about to be written at the end of its chat, where it is counted anew.
pub(crate) fn leaves_its_place(txn: &mut Txn<'_>, message: &Message) -> Result<(), RowsError> {
    recount(txn.rows, &message.chat, message.bytes(), 0)
}

/// Counts what a message takes that is about to be written over the one that is stored.
fn charge(rows: &mut dyn Rows, message: &Message) -> Result<(), RowsError> {
    let stored = get(rows, &message.id)?.map_or(0, |(_, stored)| stored.bytes());
    recount(rows, &message.chat, stored, message.bytes())
}

/// Counts that so many bytes of a chat are so many now.
fn recount(rows: &mut dyn Rows, id: &str, before: u64, after: u64) -> Result<(), RowsError> {
    let Some(mut chat) = chat(rows, id)? else { return Ok(()) };
    chat.bytes = chat.bytes.saturating_sub(before).saturating_add(after);
    write_chat(rows, &chat)
}

/// Counts what the messages of each chat take.
pub(crate) fn count_bytes(rows: &mut dyn Rows) -> Result<(), RowsError> {
    for mut chat in chats(rows, usize::MAX)? {
        let (mut bytes, mut from) = (0u64, 0);
        loop {
            let page = page(rows, &chat.id, from..=u64::MAX, Direction::Ascending, COUNTED_AT_ONCE)?;
            let Some((last, _)) = page.last() else { break };
            from = last.saturating_add(1);
            bytes = page.iter().fold(bytes, |bytes, (_, message)| bytes.saturating_add(message.bytes()));
        }
        if chat.bytes != bytes {
            chat.bytes = bytes;
            write_chat(rows, &chat)?;
        }
    }
    Ok(())
}

/// Writes a message back where it was.
pub(crate) fn write(rows: &mut dyn Rows, position: u64, message: &Message) -> Result<(), RowsError> {
    POSITIONS.put(rows, &message.id, position, &(message.chat.clone(), position))?;
    MESSAGES.of(&ChatName::of(&message.chat)?).put(rows, &message.id, position, message)?;
    unsent::index_unsent(rows, position, message)
}

/// Takes a message out for good. That it was seen is remembered elsewhere.
pub(crate) fn remove(rows: &mut dyn Rows, chat: &str, id: &MessageId) -> Result<(), RowsError> {
    let stored = get(rows, id)?.map_or(0, |(_, stored)| stored.bytes());
    recount(rows, chat, stored, 0)?;
    unsent::forget(rows, id)?;
    POSITIONS.delete(rows, id)?;
    MESSAGES.of(&ChatName::of(chat)?).delete(rows, id).map(drop)
}

/// Writes a chat back without counting it as activity.
pub(crate) fn write_chat(rows: &mut dyn Rows, chat: &Chat) -> Result<(), RowsError> {
    CHATS.put(rows, chat.id.as_str(), chat.activity, chat)
}

/// Moves an own message forward and tells about it; never backward.
pub(crate) fn advance(txn: &mut Txn<'_>, id: &MessageId, state: MessageState) -> Result<(), RowsError> {
    let Some((position, mut message)) = get(txn.rows, id)? else { return Ok(()) };
    if !message.mine || message.state >= Some(state) {
        return Ok(());
    }
    message.state = Some(state);
    let now = txn.clock;
    message.silent.get_or_insert(txn.now);
    message.accepted.get_or_insert(now);
    if matches!(state, MessageState::Delivered | MessageState::Read) {
        message.delivered.get_or_insert(now);
    }
    if state == MessageState::Read {
        message.read.get_or_insert(now);
    }
    write(txn.rows, position, &message)?;
    events::status(txn, &message)
}

/// An own message that was not delivered will not be sent any more.
pub(crate) fn fail(txn: &mut Txn<'_>, id: &MessageId, reason: FailReason) -> Result<(), RowsError> {
    let Some((position, mut message)) = get(txn.rows, id)? else { return Ok(()) };
    // what was delivered, or ended before, stays so
    if !message.mine || message.state >= Some(MessageState::Delivered) {
        return Ok(());
    }
    (message.state, message.error) = (Some(MessageState::Failed), Some(reason));
    write(txn.rows, position, &message)?;
    events::status(txn, &message)
}

/// An own message was taken back before it left.
pub(crate) fn cancel(txn: &mut Txn<'_>, position: u64, message: &mut Message) -> Result<(), RowsError> {
    message.state = Some(MessageState::Cancelled);
    write(txn.rows, position, message)?;
    events::status(txn, message)
}

/// Marks a chat read up to a position (its end when absent): how many of its messages are unread by now, and those of
/// somebody else that became read by it.
pub(crate) fn mark_read(txn: &mut Txn<'_>, id: &str, up_to: Option<u64>) -> Result<(u64, Vec<Message>), RowsError> {
    let Some(mut chat) = chat(txn.rows, id)? else { return Ok((0, Vec::new())) };
    let up_to = up_to.unwrap_or(chat.last).min(chat.last);
    if up_to <= chat.read_to {
        return Ok((chat.unread, Vec::new()));
    }
    let newly = page(txn.rows, id, chat.read_to + 1..=up_to, Direction::Descending, usize::MAX)?;
    newly.iter().for_each(|(_, message)| chat.count(message, &txn.me.user, -1));
    if up_to == chat.last {
        (chat.unread, chat.mentions) = (0, 0);
    }
    chat.read_to = up_to;
    write_chat(txn.rows, &chat)?;
    events::chat_read(txn, &chat, newly.first().map(|(_, message)| message))?;
    Ok((chat.unread, newly.into_iter().map(|(_, message)| message).filter(|message| !message.mine).collect()))
}

/// The chat that a conversation with `peer` is shown in.
pub(crate) fn chat_of(txn: &Txn<'_>, peer: &Username) -> String {
    if *peer == txn.me.user { SELF.to_owned() } else { private(peer) }
}

/// Takes everything a message says out of the history and out of the events that carry it.
pub(crate) fn erase(txn: &mut Txn<'_>, position: u64, message: Message, why: DeletedReason) -> Result<(), RowsError> {
    no_longer_unread(txn, position, &message)?;
    let told_in = message.told_in.clone();
    let erased = Message {
        text: String::new(),
        mentions: Vec::new(),
        reactions: Vec::new(),
        told_in: Vec::new(),
        reply_to: None,
        edited: None,
        expires: None,
        deleted: true,
        ..message
    };
    timers::clear(txn, Due::Expire, &erased.id)?;
    charge(txn.rows, &erased)?;
    write(txn.rows, position, &erased)?;
    events::redact(txn, &told_in, &erased)?;
    events::deleted(txn, &erased, why)
}
