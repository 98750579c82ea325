//! Messages and the chats they belong to: what the user has seen, said and not read yet.
//!
//! A message is stored once under its author's identity and id, so that nothing is ever shown twice.

use chat_protocol::ids::{DeviceId, Fingerprint, MessageId, Username};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use super::events;
use super::state::{Counter, decode, load, save};
use super::timers::{self, Due};
use super::turn::Turn;
use crate::store::{Direction, Place, Rows, RowsError, Table};

/// The public room's chat id.
pub const ROOM: &str = "room:public";
/// The chat with oneself.
pub const SELF: &str = "self";

/// How far a message has come. The order is the order things happen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum State {
    /// Stored here, not yet with the server.
    #[n(0)]
    Queued,
    /// Stored by the server.
    #[n(1)]
    Accepted,
    /// Given up by the recipient's device, which never got it.
    #[n(2)]
    NotReceived,
    /// Stored by the recipient's device.
    #[n(3)]
    Delivered,
    /// Seen by the recipient.
    #[n(4)]
    Read,
    /// Will not be sent.
    #[n(5)]
    Failed,
    /// Withdrawn before it was sent.
    #[n(6)]
    Cancelled,
    /// Somebody else's message.
    #[n(7)]
    Received,
}

/// What a message shows besides its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Kind {
    /// Text.
    #[n(0)]
    Text,
    /// A content of a type this version does not know.
    #[n(1)]
    Unsupported,
    /// A content that was sealed correctly and cannot be read.
    #[n(2)]
    Malformed,
}

/// One message of the history.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Message {
    /// Chosen by its author.
    #[n(0)]
    pub id: MessageId,
    /// Chat it is shown in.
    #[n(1)]
    pub chat: String,
    /// Author.
    #[n(2)]
    pub from: Username,
    /// The author's device; absent for a room post's author as the server tells it.
    #[n(3)]
    pub device: Option<DeviceId>,
    /// Whether it was sent from this account.
    #[n(4)]
    pub mine: bool,
    /// What it is.
    #[n(5)]
    pub kind: Kind,
    /// What it says.
    #[n(6)]
    pub text: String,
    /// The author's clock, for display.
    #[n(7)]
    pub sent: Timestamp,
    /// This device's clock when it was stored.
    #[n(8)]
    pub stored: Timestamp,
    /// How far it has come.
    #[n(9)]
    pub state: State,
    /// It came after it had been given up.
    #[n(10)]
    pub late: bool,
    /// Why it failed: an error kind of the local socket.
    #[n(11)]
    pub error: Option<String>,
    /// When the recipient's device had it.
    #[n(12)]
    pub delivered: Option<Timestamp>,
    /// When the recipient saw it.
    #[n(13)]
    pub read: Option<Timestamp>,
    /// The caller's own name for it.
    #[n(14)]
    pub client_id: Option<String>,
    /// Its number in the public room.
    #[n(15)]
    pub room_seq: Option<u64>,
    /// The message it answers.
    #[n(16)]
    pub reply_to: Option<MessageId>,
    /// The number its author's device gave it in the conversation: (epoch, n).
    #[n(17)]
    pub number: Option<(u64, u64)>,
    /// Whom it mentions.
    #[cbor(n(18), default, skip_if = "Vec::is_empty")]
    pub mentions: Vec<Username>,
    /// It goes so many seconds after it was sent, here and there.
    #[n(19)]
    pub ttl_s: Option<u32>,
    /// When it goes from here.
    #[n(20)]
    pub expires: Option<Timestamp>,
    /// When it is to be sent; absent once it was put in line.
    #[n(21)]
    pub at: Option<Timestamp>,
    /// When its author last changed it, by the author's clock.
    #[n(22)]
    pub edited: Option<Timestamp>,
    /// Its text is gone: taken back, deleted here, or expired.
    #[cbor(n(23), default, skip_if = "is_false")]
    pub deleted: bool,
    /// What was said to it with one sign, at most one for each user.
    #[cbor(n(24), default, skip_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// Identity of somebody else who wrote it: whoever changes it must be the same.
    #[n(25)]
    pub author: Option<Fingerprint>,
    /// Its place in the queue, if it ever was there.
    #[n(26)]
    pub queued_at: Option<u64>,
    /// Events that carry its text, by sequence.
    #[cbor(n(27), default, skip_if = "Vec::is_empty")]
    pub told_in: Vec<u64>,
}

/// One sign to a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Reaction {
    /// Who gave it.
    #[n(0)]
    pub user: Username,
    /// At most 64 bytes.
    #[n(1)]
    pub emoji: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "minicbor calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Message {
    /// A text somebody else sent, stored at `now`.
    pub(crate) fn text(id: MessageId, chat: String, from: Username, text: String, now: Timestamp) -> Self {
        Self {
            id,
            chat,
            from,
            device: None,
            mine: false,
            kind: Kind::Text,
            text,
            sent: now,
            stored: now,
            state: State::Received,
            late: false,
            error: None,
            delivered: None,
            read: None,
            client_id: None,
            room_seq: None,
            reply_to: None,
            number: None,
            mentions: Vec::new(),
            ttl_s: None,
            expires: None,
            at: None,
            edited: None,
            deleted: false,
            reactions: Vec::new(),
            author: None,
            queued_at: None,
            told_in: Vec::new(),
        }
    }
}

/// One chat.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Chat {
    /// `@user`, `room:public` or `self`.
    #[n(0)]
    pub id: String,
    /// Messages of others that were not read.
    #[n(1)]
    pub unread: u64,
    /// Position of the newest message read.
    #[n(2)]
    pub read_to: u64,
    /// Position of the newest message.
    #[n(3)]
    pub last: u64,
    /// Until when it makes no noise; 0 for never.
    #[n(4)]
    pub muted_until: Timestamp,
    /// Out of sight.
    #[n(5)]
    pub archived: bool,
    /// Place among the chats: when it was last active, in steps.
    #[n(6)]
    pub activity: u64,
    /// Own messages go so many seconds after they were sent, unless they say otherwise.
    #[n(7)]
    pub ttl_s: Option<u32>,
    /// Unread messages that mention this account.
    #[cbor(n(8), default)]
    pub mentions: u64,
}

impl Chat {
    /// A chat nothing was said in yet.
    pub(crate) const fn new(id: String) -> Self {
        Self {
            id,
            unread: 0,
            read_to: 0,
            last: 0,
            muted_until: Timestamp::ZERO,
            archived: false,
            activity: 0,
            ttl_s: None,
            mentions: 0,
        }
    }

    /// Counts a message that was added, or was unread and is so no more.
    fn count(&mut self, message: &Message, me: &Username, by: i64) {
        if message.mine || message.deleted {
            return;
        }
        self.unread = self.unread.saturating_add_signed(by);
        if message.mentions.contains(me) {
            self.mentions = self.mentions.saturating_add_signed(by);
        }
    }
}

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

fn by_id(id: &MessageId) -> Place<'_> {
    Place::new(Table::Messages, b"id", id.as_bytes())
}

fn chat_place(chat: &str) -> Place<'_> {
    Place::new(Table::Chats, b"", chat.as_bytes())
}

/// A message and its position in the history.
///
/// # Errors
/// [`RowsError`].
pub fn get(rows: &dyn Rows, id: &MessageId) -> Result<Option<(u64, Message)>, RowsError> {
    let Some((chat, position)) = load::<(String, u64)>(rows, by_id(id))? else { return Ok(None) };
    let message = load(rows, Place::new(Table::Messages, chat.as_bytes(), id.as_bytes()))?;
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
    rows.scan(Table::Messages, chat.as_bytes(), range, direction, limit)?
        .into_iter()
        .map(|(position, bytes)| Ok((position, decode(Table::Messages, &bytes)?)))
        .collect()
}

/// A chat, if anything was ever said in it.
///
/// # Errors
/// [`RowsError`].
pub fn chat(rows: &dyn Rows, id: &str) -> Result<Option<Chat>, RowsError> {
    load(rows, chat_place(id))
}

/// Chats, latest activity first.
///
/// # Errors
/// [`RowsError`].
pub fn chats(rows: &dyn Rows, limit: usize) -> Result<Vec<Chat>, RowsError> {
    rows.scan(Table::Chats, b"", 0..=u64::MAX, Direction::Descending, limit)?
        .into_iter()
        .map(|(_, bytes)| decode(Table::Chats, &bytes))
        .collect()
}

/// Whether a message of this author is stored already; remembers it if not.
pub(crate) fn seen_before(turn: &mut Turn<'_>, author: &Fingerprint, id: &MessageId) -> Result<bool, RowsError> {
    let scope = [b"seen:".as_slice(), author.as_bytes()].concat();
    let place = Place::new(Table::Messages, &scope, id.as_bytes());
    if turn.rows.get(place)?.is_some() {
        return Ok(true);
    }
    turn.rows.put(place, turn.now.as_millis(), &[])?;
    Ok(false)
}

/// Adds a message at the end of its chat, with its event, and sees to it that it goes when its time is over.
pub(crate) fn append(turn: &mut Turn<'_>, mut message: Message) -> Result<(), RowsError> {
    events::message_new(turn, &message)?;
    message.told_in.push(events::newest(turn.rows)?);
    if let Some(at) = message.expires {
        timers::set(turn, Due::Expire, message.id, at)?;
    }
    to_the_end(turn, &message)
}

/// Writes a message at the end of its chat, wherever it was before.
pub(crate) fn to_the_end(turn: &mut Turn<'_>, message: &Message) -> Result<(), RowsError> {
    let position = Counter::Message.next(turn.rows)?;
    write(turn.rows, position, message)?;
    let mut chat = chat(turn.rows, &message.chat)?.unwrap_or_else(|| Chat::new(message.chat.clone()));
    chat.last = position;
    chat.archived = false;
    // answering is not reading: whoever reads says so, and only then the author hears of it
    chat.count(message, &turn.me.user, 1);
    chat.activity = Counter::Activity.next(turn.rows)?;
    write_chat(turn.rows, &chat)
}

/// Writes a message that has another text, and tells about it.
pub(crate) fn tell_edited(turn: &mut Turn<'_>, position: u64, mut message: Message) -> Result<(), RowsError> {
    events::message_edited(turn, &message)?;
    message.told_in.push(events::newest(turn.rows)?);
    write(turn.rows, position, &message)
}

/// A message that is about to be deleted counts no longer, if it was unread.
pub(crate) fn no_longer_unread(turn: &mut Turn<'_>, position: u64, message: &Message) -> Result<(), RowsError> {
    match chat(turn.rows, &message.chat)? {
        Some(mut chat) if position > chat.read_to => {
            chat.count(message, &turn.me.user, -1);
            write_chat(turn.rows, &chat)
        }
        _ => Ok(()),
    }
}

/// Writes a message back where it was.
pub(crate) fn write(rows: &mut dyn Rows, position: u64, message: &Message) -> Result<(), RowsError> {
    save(rows, by_id(&message.id), position, &(message.chat.clone(), position))?;
    save(rows, Place::new(Table::Messages, message.chat.as_bytes(), message.id.as_bytes()), position, message)
}

/// Writes a chat back without counting it as activity.
pub(crate) fn write_chat(rows: &mut dyn Rows, chat: &Chat) -> Result<(), RowsError> {
    save(rows, chat_place(&chat.id), chat.activity, chat)
}

/// Moves an own message forward and tells about it; never backward.
pub(crate) fn advance(turn: &mut Turn<'_>, id: &MessageId, state: State) -> Result<(), RowsError> {
    let Some((position, mut message)) = get(turn.rows, id)? else { return Ok(()) };
    if !message.mine || message.state >= state {
        return Ok(());
    }
    message.state = state;
    let now = turn.now;
    if matches!(state, State::Delivered | State::Read) {
        message.delivered.get_or_insert(now);
    }
    if state == State::Read {
        message.read.get_or_insert(now);
    }
    write(turn.rows, position, &message)?;
    events::status(turn, &message)
}

/// Ends an own message that was not sent yet.
pub(crate) fn end(turn: &mut Turn<'_>, id: &MessageId, state: State, error: Option<&str>) -> Result<(), RowsError> {
    let Some((position, mut message)) = get(turn.rows, id)? else { return Ok(()) };
    // what was delivered, or ended before, stays so
    if !message.mine || message.state >= State::Delivered {
        return Ok(());
    }
    message.state = state;
    message.error = error.map(str::to_owned);
    if state == State::Failed {
        Counter::Failed.next(turn.rows)?;
    }
    write(turn.rows, position, &message)?;
    events::status(turn, &message)
}

/// Marks a chat read up to a position (its end when absent) and returns the newest message of
/// somebody else that became read by it.
pub(crate) fn mark_read(turn: &mut Turn<'_>, id: &str, up_to: Option<u64>) -> Result<Option<Message>, RowsError> {
    let Some(mut chat) = chat(turn.rows, id)? else { return Ok(None) };
    let up_to = up_to.unwrap_or(chat.last).min(chat.last);
    if up_to <= chat.read_to {
        return Ok(None);
    }
    let newly = page(turn.rows, id, chat.read_to + 1..=up_to, Direction::Descending, usize::MAX)?;
    newly.iter().for_each(|(_, message)| chat.count(message, &turn.me.user, -1));
    if up_to == chat.last {
        (chat.unread, chat.mentions) = (0, 0);
    }
    chat.read_to = up_to;
    write_chat(turn.rows, &chat)?;
    events::chat_read(turn, &chat, newly.first().map(|(_, message)| message))?;
    Ok(newly.into_iter().map(|(_, message)| message).find(|message| !message.mine))
}
