//! What the local socket asks the engine to change. Each runs within one transaction.

use chat_protocol::crypto::kdf::sha256;
use chat_protocol::ids::{Fingerprint, Head, MessageId, Username};
use chat_protocol::limits::{MAX_ROOM_TEXT_BYTES, MAX_TEXT_BYTES};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use super::history::{self, Message, ROOM, SELF, State};
use super::state::{load, save};
use super::turn::Turn;
use super::{EngineError, outbox, peers, receipts, room};
use crate::store::{Place, RowsError, Table};

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A user, end-to-end.
    User(Username),
    /// Everybody, readable by the server.
    Room,
    /// Oneself; never leaves the device.
    Myself,
}

impl To {
    /// The chat's id.
    #[must_use]
    pub fn chat(&self) -> String {
        match self {
            Self::User(user) => history::private(user),
            Self::Room => ROOM.to_owned(),
            Self::Myself => SELF.to_owned(),
        }
    }
}

/// A text to be sent.
#[derive(Clone, Debug)]
pub struct Send {
    /// For whom.
    pub to: To,
    /// What it says.
    pub text: String,
    /// The caller's own name for it: the same name is sent once.
    pub client_id: Option<String>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The message as stored.
    pub message: Message,
    /// Whether the same client id had been sent before.
    pub duplicate: bool,
}

/// What a client id was used for.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Used {
    #[n(0)]
    id: MessageId,
    #[cbor(n(1), with = "minicbor::bytes")]
    body: [u8; 32],
}

/// Stores a message and puts it in line. It survives a crash once the transaction is committed.
///
/// # Errors
/// [`EngineError::Empty`], [`EngineError::TooLong`], [`EngineError::IdentityChanged`],
/// [`EngineError::IdempotencyMismatch`], [`EngineError::QueueFull`].
pub fn send(turn: &mut Turn<'_>, send: Send) -> Result<Sent, EngineError> {
    let to = match send.to {
        To::User(user) if user == turn.me.user => To::Myself,
        to => to,
    };
    check_text(&to, &send.text)?;
    let body = sha256(format!("{}\0{}", to.chat(), send.text).as_bytes());
    if let Some(sent) = sent_before(turn, send.client_id.as_deref(), &body)? {
        return Ok(sent);
    }
    if let To::User(user) = &to {
        check_identity(turn, user)?;
    }
    let message = compose(turn, &to, send.text, send.client_id);
    if let Some(name) = &message.client_id {
        let used = Used { id: message.id, body };
        save(turn.rows, client_place(name), turn.now.as_millis(), &used)?;
    }
    history::append(turn, &message)?;
    match to {
        To::User(user) => outbox::enqueue(turn, message.id, user)?,
        To::Room => room::say(turn, &message)?,
        To::Myself => {}
    }
    Ok(Sent { message, duplicate: false })
}

fn check_text(to: &To, text: &str) -> Result<(), EngineError> {
    let max = if *to == To::Room { MAX_ROOM_TEXT_BYTES } else { MAX_TEXT_BYTES };
    match text.len() {
        0 => Err(EngineError::Empty),
        len if len > max => Err(EngineError::TooLong { len, max }),
        _ => Ok(()),
    }
}

fn client_place(name: &str) -> Place<'_> {
    Place::new(Table::Clients, b"client_id", name.as_bytes())
}

fn sent_before(turn: &Turn<'_>, name: Option<&str>, body: &[u8; 32]) -> Result<Option<Sent>, EngineError> {
    let Some(name) = name else { return Ok(None) };
    let Some(used) = load::<Used>(turn.rows, client_place(name))? else { return Ok(None) };
    if used.body != *body {
        return Err(EngineError::IdempotencyMismatch);
    }
    let (_, message) = history::get(turn.rows, &used.id)?.ok_or(EngineError::Damaged("a client id without message"))?;
    Ok(Some(Sent { message, duplicate: true }))
}

fn check_identity(turn: &Turn<'_>, user: &Username) -> Result<(), EngineError> {
    let changed = peers::get(turn.rows, user)?.is_some_and(|peer| peer.rival.is_some());
    if changed { Err(EngineError::IdentityChanged(user.clone())) } else { Ok(()) }
}

fn compose(turn: &mut Turn<'_>, to: &To, text: String, client_id: Option<String>) -> Message {
    let id = MessageId::from_parts(turn.now, turn.random());
    Message {
        device: Some(turn.me.device),
        mine: true,
        state: if *to == To::Myself { State::Read } else { State::Queued },
        client_id,
        ..Message::text(id, to.chat(), turn.me.user.clone(), text, turn.now)
    }
}

/// Marks a chat read up to a message (its end when absent), and tells the author.
///
/// # Errors
/// [`EngineError::NotFound`] if the message is not of this chat.
pub fn mark_read(turn: &mut Turn<'_>, chat: &str, up_to: Option<&MessageId>) -> Result<u64, EngineError> {
    let position = match up_to {
        None => None,
        Some(id) => {
            let found = history::get(turn.rows, id)?.filter(|(_, message)| message.chat == chat);
            Some(found.ok_or(EngineError::NotFound)?.0)
        }
    };
    let newest = history::mark_read(turn, chat, position)?;
    if let (Some(user), Some(message)) = (history::peer(chat), newest)
        && let (Some(device), Some(number)) = (message.device, message.number)
    {
        receipts::owe_read(turn, &user, &device, number)?;
    }
    Ok(history::chat(turn.rows, chat)?.map_or(0, |chat| chat.unread))
}

/// Starts sessions with a user's devices although nothing waits to be sent.
pub fn open(turn: &mut Turn<'_>, user: &Username) {
    turn.live.wanted.insert(user.clone());
}

/// Accepts one of two identities of a user.
///
/// # Errors
/// [`EngineError::UnknownUser`]; [`EngineError::Conflict`] if neither is the named one.
pub fn accept(turn: &mut Turn<'_>, user: &Username, fingerprint: &Fingerprint, head: &Head) -> Result<(), EngineError> {
    peers::accept(turn, user, fingerprint, head)
}

/// Forgets names of messages that were given before `time`: nobody repeats a call that old.
///
/// # Errors
/// [`RowsError`].
pub fn forget_client_ids(turn: &mut Turn<'_>, time: Timestamp) -> Result<u64, RowsError> {
    turn.rows.delete_range(Table::Clients, b"client_id", 0..=time.as_millis())
}

/// Tells consumers that the daemon ends.
///
/// # Errors
/// [`EngineError::Rows`].
pub fn stopping(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    Ok(super::events::stopping(turn)?)
}
