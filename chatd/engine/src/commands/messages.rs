//! Messages to be said: checked, stored, put in line now or at their time.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::crypto::kdf::sha256;
use chat_protocol::ids::{MessageId, Username};
use chat_protocol::limits::{MAX_MENTIONS, MAX_ROOM_TEXT_BYTES, MAX_TEXT_BYTES, MAX_TTL_S, MIN_TTL_S};
use chat_protocol::session::content::text_bytes;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::exchange::room;
use crate::model::error::EngineError;
use crate::model::rows::{load, save};
use crate::peers;
use crate::queue::outbox;
use crate::records::history::{self, Message, ROOM, SELF, State};
use crate::records::pins::{self, Trust};
use crate::records::timers::{self, Due};
use crate::records::{contacts, early_changes, events};
use crate::store::{Place, RowsError, Table};
use crate::txn::Txn;

/// Furthest a message may be put off, and longest wait for its delivery.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Longest name a caller gives to a message.
const MAX_CLIENT_ID_BYTES: usize = 256;
/// Names that callers gave are kept so long: nobody repeats a call that old.
const CLIENT_IDS_KEPT: Duration = Duration::from_secs(60 * 24 * 60 * 60);
/// How often old names are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(60 * 60);

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

    /// Whom the messages of a chat are for.
    pub(crate) fn of(chat: &str) -> Option<Self> {
        match chat {
            ROOM => Some(Self::Room),
            SELF => Some(Self::Myself),
            chat => history::peer(chat).map(Self::User),
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
    /// The message of the same chat it answers.
    pub reply_to: Option<MessageId>,
    /// Whom it mentions.
    pub mentions: Vec<Username>,
    /// How many seconds after it was sent it goes; what the chat says when absent.
    pub ttl_s: Option<u32>,
    /// Not before.
    pub at: Option<Timestamp>,
    /// Whether it goes only to an identity the user compared.
    pub require_verified: bool,
    /// How long after it was to be sent somebody wants to know that it was not delivered.
    pub notify_after: Option<Duration>,
}

impl Send {
    /// A plain text.
    #[must_use]
    pub const fn text(to: To, text: String) -> Self {
        Self {
            to,
            text,
            client_id: None,
            reply_to: None,
            mentions: Vec::new(),
            ttl_s: None,
            at: None,
            require_verified: false,
            notify_after: None,
        }
    }

    /// Names all of it that makes it another message.
    fn digest(&self) -> [u8; 32] {
        let Self { to, text, reply_to, mentions, ttl_s, at, .. } = self;
        sha256(&cbor::encode(&(to.chat(), text, reply_to, mentions, ttl_s, at)))
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The message.
    pub id: MessageId,
    /// Its chat.
    pub chat: String,
    /// How far it has come.
    pub state: State,
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

/// Stores a message and puts it in line, or keeps it until its time. It survives a crash once the transaction is
/// committed.
///
/// # Errors
/// `invalid_params`, `too_large`, `invalid_params`, `no_permission`,
/// `identity_changed`, `blocked`, `identity_unverified`, `idempotency_mismatch`,
/// `quota_exceeded`.
pub fn send(txn: &mut Txn<'_>, mut send: Send) -> Result<Sent, EngineError> {
    if matches!(&send.to, To::User(user) if *user == txn.me.user) {
        send.to = To::Myself;
    }
    let body = send.digest();
    if let Some(sent) = sent_before(txn, &send, &body)? {
        return Ok(sent);
    }
    check(txn, &send)?;
    let message = compose(txn, &send)?;
    if let Some(name) = &message.client_id {
        let used = Used { id: message.id, body };
        save(txn.rows, client_place(name), txn.now.as_millis(), &used)?;
    }
    if let Some(span) = send.notify_after {
        let begins = message.at.map_or(Duration::ZERO, |at| at.since(txn.clock));
        timers::set(txn, Due::Overdue, message.id, txn.now + begins + span)?;
    }
    if let Some(at) = message.at {
        timers::set(txn, Due::Send, message.id, at)?;
    }
    let sent = Sent { id: message.id, chat: message.chat.clone(), state: message.state, duplicate: false };
    history::append(txn, message)?;
    Ok(sent)
}

/// The rules of a message, whatever its client id.
fn check(txn: &Txn<'_>, send: &Send) -> Result<(), EngineError> {
    check_client_id(send.client_id.as_deref())?;
    check_text(send)?;
    if send.to == To::Room {
        check_post(send)?;
    }
    if send.ttl_s.is_some_and(|ttl_s| !(MIN_TTL_S..=MAX_TTL_S).contains(&ttl_s)) {
        return Err(EngineError::invalid("ttl_s", format!("must be {MIN_TTL_S} to {MAX_TTL_S}")));
    }
    if send.at.is_some_and(|at| at.since(txn.clock) > A_YEAR) {
        return Err(EngineError::invalid("at_ms", "must be at most a year ahead"));
    }
    if send.notify_after.is_some_and(|span| span.is_zero() || span > A_YEAR) {
        return Err(EngineError::invalid(
            "notify_undelivered_after_ms",
            format!("must be 1 to {}", A_YEAR.as_millis()),
        ));
    }
    if let Some(answered) = &send.reply_to {
        let chat = send.to.chat();
        let found = history::get(txn.rows, answered)?.filter(|(_, message)| message.chat == chat);
        found.ok_or_else(|| EngineError::invalid("reply_to", "no such message in this chat"))?;
    }
    if let To::User(user) = &send.to {
        check_peer(txn, user)?;
        check_verified(txn, user, send.require_verified)?;
    }
    Ok(())
}

fn check_client_id(name: Option<&str>) -> Result<(), EngineError> {
    match name.map(str::len) {
        None | Some(1..=MAX_CLIENT_ID_BYTES) => Ok(()),
        Some(_) => Err(EngineError::invalid("client_id", format!("must have 1 to {MAX_CLIENT_ID_BYTES} bytes"))),
    }
}

fn check_text(send: &Send) -> Result<(), EngineError> {
    if send.mentions.len() > MAX_MENTIONS {
        return Err(EngineError::invalid("mentions", format!("must be at most {MAX_MENTIONS} names")));
    }
    let max = if send.to == To::Room { MAX_ROOM_TEXT_BYTES } else { MAX_TEXT_BYTES };
    match text_bytes(&send.text, &send.mentions) {
        _ if send.text.is_empty() => Err(EngineError::empty()),
        len if len > max => Err(EngineError::too_long(len, max)),
        _ => Ok(()),
    }
}

/// A post is text and nothing else, and the server reads it.
fn check_post(send: &Send) -> Result<(), EngineError> {
    let text_alone = "posts of the public room are text alone";
    match send {
        Send { reply_to: Some(_), .. } => Err(EngineError::invalid("reply_to", text_alone)),
        Send { ttl_s: Some(_), .. } => Err(EngineError::invalid("ttl_s", text_alone)),
        Send { mentions, .. } if !mentions.is_empty() => Err(EngineError::invalid("mentions", text_alone)),
        Send { require_verified: true, .. } => {
            Err(EngineError::invalid("require_verified", "everybody and the server read the public room"))
        }
        _ => Ok(()),
    }
}

fn client_place(name: &str) -> Place<'_> {
    Place::new(Table::Clients, b"client_id", name.as_bytes())
}

fn sent_before(txn: &Txn<'_>, send: &Send, body: &[u8; 32]) -> Result<Option<Sent>, EngineError> {
    let Some(name) = &send.client_id else { return Ok(None) };
    let Some(used) = load::<Used>(txn.rows, client_place(name))? else { return Ok(None) };
    if used.body != *body {
        return Err(EngineError::idempotency_mismatch());
    }
    // only what was settled long ago goes from the history
    let state = history::get(txn.rows, &used.id)?.map_or(State::Accepted, |(_, message)| message.state);
    Ok(Some(Sent { id: used.id, chat: send.to.chat(), state, duplicate: true }))
}

pub(crate) fn check_peer(txn: &Txn<'_>, user: &Username) -> Result<(), EngineError> {
    if contacts::is_blocked(txn.rows, user)? {
        return Err(EngineError::blocked(user));
    }
    match pins::get(txn.rows, user)? {
        Some(peer) if peer.rival.is_some() => Err(EngineError::identity_changed(user)),
        Some(peer) if peers::policy(txn.rows, user)?.leaves_all_out(&peer) => Err(EngineError::unverified(user)),
        _ => Ok(()),
    }
}

fn check_verified(txn: &Txn<'_>, user: &Username, required: bool) -> Result<(), EngineError> {
    let verified = !required || pins::get(txn.rows, user)?.is_some_and(|peer| peer.trust == Trust::Verified);
    if verified { Ok(()) } else { Err(EngineError::unverified(user)) }
}

/// The message as it is stored; in line already, unless its time is later.
fn compose(txn: &mut Txn<'_>, send: &Send) -> Result<Message, EngineError> {
    let chat = send.to.chat();
    let usual = if send.to == To::Room { None } else { history::chat(txn.rows, &chat)?.and_then(|chat| chat.ttl_s) };
    let ttl_s = send.ttl_s.or(usual);
    let at = send.at.filter(|at| *at > txn.clock);
    let begins = at.unwrap_or(txn.clock);
    let id = MessageId::from_parts(txn.clock, txn.random());
    let mut message = Message {
        device: Some(txn.me.device),
        mine: true,
        state: State::Queued,
        client_id: send.client_id.clone(),
        reply_to: send.reply_to,
        mentions: send.mentions.clone(),
        ttl_s,
        expires: ttl_s.map(|ttl_s| begins + Duration::from_secs(ttl_s.into())),
        at,
        ..Message::text(id, chat, txn.me.user.clone(), send.text.clone(), txn)
    };
    if at.is_none() {
        put_in_line(txn, &send.to, &mut message)?;
    }
    Ok(message)
}

fn put_in_line(txn: &mut Txn<'_>, to: &To, message: &mut Message) -> Result<(), EngineError> {
    match to {
        To::User(user) => message.queued_at = Some(outbox::enqueue(txn, message.id, user.clone())?),
        To::Room => room::say(txn, message)?,
        To::Myself => {
            message.state = State::Read;
            if let Some(me) = outbox::addressee(txn, SELF)? {
                message.queued_at = Some(outbox::enqueue(txn, message.id, me)?);
            }
        }
    }
    Ok(())
}

/// The time of a message has come: it joins the line, and the end of its chat.
pub(crate) fn release(txn: &mut Txn<'_>, id: &MessageId) -> Result<(), EngineError> {
    let Some((_, mut message)) = history::get(txn.rows, id)? else { return Ok(()) };
    let Some(to) = To::of(&message.chat) else { return Ok(()) };
    if message.state != State::Queued || message.at.take().is_none() {
        return Ok(());
    }
    (message.sent, message.kept) = (txn.clock, txn.now);
    message.expires = message.ttl_s.map(|ttl_s| txn.clock + Duration::from_secs(ttl_s.into()));
    let allowed = match &to {
        To::User(user) => check_peer(txn, user),
        To::Room | To::Myself => Ok(()),
    };
    let error = match allowed.and_then(|()| put_in_line(txn, &to, &mut message)) {
        Ok(()) => None,
        Err(EngineError::Rows(error)) => return Err(error.into()),
        Err(EngineError::Refused(refused)) => Some(refused.kind),
    };
    history::lives(txn, &message)?;
    history::to_the_end(txn, &message)?;
    match error {
        Some(kind) => history::end(txn, id, State::Failed, Some(kind.as_str()))?,
        None if message.state == State::Read => events::status(txn, &message)?,
        None => {}
    }
    Ok(())
}

/// Forgets, once an hour, the names of messages that were given long ago.
pub(crate) fn tidy(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    if txn.live.tidied.is_some_and(|last| txn.now.since(last) < TIDY_EVERY) {
        return Ok(());
    }
    txn.live.tidied = Some(txn.now);
    let old = txn.now - CLIENT_IDS_KEPT;
    txn.rows.delete_range(Table::Clients, b"client_id", 0..=old.as_millis())?;
    early_changes::sweep(txn)
}
