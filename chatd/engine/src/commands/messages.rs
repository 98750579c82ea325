//! Messages to be said: checked, stored, put in line now or at their time.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::crypto::kdf::sha256;
use chat_protocol::ids::{MessageId, Username};
use chat_protocol::limits::{MAX_MENTIONS, MAX_ROOM_TEXT_BYTES, MAX_TEXT_BYTES, MAX_TTL_S, MIN_TTL_S};
use chat_protocol::rpc::types::{MessageState, MsgSend, Sent};
use chat_protocol::rpc::{ChatId, Target};
use chat_protocol::session::content::text_bytes;
use chat_protocol::time::Timestamp;

use crate::exchange::room;
use crate::model::error::EngineError;
use crate::peers::{self, Trust};
use crate::queue::outbox;
use crate::records::history::{self, Message, SELF};
use crate::records::timers;
use crate::records::{contacts, early_changes, events};
use crate::rows::CLIENT_IDS;
use crate::rows::clients::UsedClientId;
use crate::rows::state::Due;
use crate::store::RowsError;
use crate::txn::Txn;

/// Furthest a message may be put off, and longest wait for its delivery.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Longest name a caller gives to a message.
const MAX_CLIENT_ID_BYTES: usize = 256;
/// Names that callers gave are kept so long: nobody repeats a call that old.
const CLIENT_IDS_KEPT: Duration = Duration::from_secs(60 * 24 * 60 * 60);
/// How often old names are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(60 * 60);

/// Names all of a message that makes it another one.
fn digest(send: &MsgSend) -> [u8; 32] {
    let MsgSend { to, text, reply_to, mentions, ttl_s, at_ms, .. } = send;
    let mentions = mentions.as_deref().unwrap_or_default();
    sha256(&cbor::encode(&(to.to_string(), text, reply_to, mentions, ttl_s, at_ms.map(Timestamp::from_millis))))
}

/// Stores a message and puts it in line, or keeps it until its time. It survives a crash once the transaction is
/// committed.
///
/// # Errors
/// `invalid_params`, `too_large`, `identity_changed`, `blocked`, `identity_unverified`, `idempotency_mismatch`,
/// `quota_exceeded`.
pub fn send(txn: &mut Txn<'_>, mut send: MsgSend) -> Result<Sent, EngineError> {
    if matches!(&send.to, Target::User(user) if *user == txn.me.user) {
        send.to = Target::Myself;
    }
    let body = digest(&send);
    if let Some(sent) = sent_before(txn, &send, &body)? {
        return Ok(sent);
    }
    check(txn, &send)?;
    let message = compose(txn, &send)?;
    if let Some(name) = &message.client_id {
        let used = UsedClientId { id: message.id, body };
        CLIENT_IDS.put(txn.rows, name, txn.now.as_millis(), &used)?;
    }
    if let Some(span) = notify_after(&send) {
        let begins = message.at.map_or(Duration::ZERO, |at| at.since(txn.clock));
        timers::set(txn, Due::Overdue, message.id, txn.now + begins + span)?;
    }
    if let Some(at) = message.at {
        outbox::admit_scheduled(txn)?;
        timers::set(txn, Due::Send, message.id, at)?;
    }
    let sent = sent(&send.to, message.id, message.state, false);
    history::append(txn, message)?;
    Ok(sent)
}

fn sent(to: &Target, id: MessageId, state: Option<MessageState>, duplicate: bool) -> Sent {
    // own messages have a state there
    Sent { id, chat: ChatId::from(to), state: state.unwrap_or(MessageState::Queued), duplicate }
}

fn notify_after(send: &MsgSend) -> Option<Duration> {
    send.notify_undelivered_after_ms.map(Duration::from_millis)
}

/// The rules of a message, whatever its client id.
fn check(txn: &Txn<'_>, send: &MsgSend) -> Result<(), EngineError> {
    check_client_id(send.client_id.as_deref())?;
    check_text(send)?;
    if send.to == Target::Room {
        check_post(send)?;
    }
    if send.ttl_s.is_some_and(|ttl_s| !(MIN_TTL_S..=MAX_TTL_S).contains(&ttl_s)) {
        return Err(EngineError::invalid("ttl_s", format!("must be {MIN_TTL_S} to {MAX_TTL_S}")));
    }
    if send.at_ms.is_some_and(|at| Timestamp::from_millis(at).since(txn.clock) > A_YEAR) {
        return Err(EngineError::invalid("at_ms", "must be at most a year ahead"));
    }
    if notify_after(send).is_some_and(|span| span.is_zero() || span > A_YEAR) {
        return Err(EngineError::invalid(
            "notify_undelivered_after_ms",
            format!("must be 1 to {}", A_YEAR.as_millis()),
        ));
    }
    if let Some(answered) = &send.reply_to {
        let chat = send.to.to_string();
        let found = history::get(txn.rows, answered)?.filter(|(_, message)| message.chat == chat);
        found.ok_or_else(|| EngineError::invalid("reply_to", "no such message in this chat"))?;
    }
    if let Target::User(user) = &send.to {
        check_peer(txn, user)?;
        check_verified(txn, user, send.require_verified == Some(true))?;
    }
    Ok(())
}

fn check_client_id(name: Option<&str>) -> Result<(), EngineError> {
    match name.map(str::len) {
        None | Some(1..=MAX_CLIENT_ID_BYTES) => Ok(()),
        Some(_) => Err(EngineError::invalid("client_id", format!("must have 1 to {MAX_CLIENT_ID_BYTES} bytes"))),
    }
}

fn check_text(send: &MsgSend) -> Result<(), EngineError> {
    let mentions = send.mentions.as_deref().unwrap_or_default();
    if mentions.len() > MAX_MENTIONS {
        return Err(EngineError::invalid("mentions", format!("must be at most {MAX_MENTIONS} names")));
    }
    let max = if send.to == Target::Room { MAX_ROOM_TEXT_BYTES } else { MAX_TEXT_BYTES };
    match text_bytes(&send.text, mentions) {
        _ if send.text.is_empty() => Err(EngineError::empty()),
        len if len > max => Err(EngineError::too_long(len, max)),
        _ => Ok(()),
    }
}

/// A post is text and nothing else, and the server reads it.
fn check_post(send: &MsgSend) -> Result<(), EngineError> {
    let text_alone = "posts of the public room are text alone";
    match send {
        MsgSend { reply_to: Some(_), .. } => Err(EngineError::invalid("reply_to", text_alone)),
        MsgSend { ttl_s: Some(_), .. } => Err(EngineError::invalid("ttl_s", text_alone)),
        MsgSend { mentions: Some(mentions), .. } if !mentions.is_empty() => {
            Err(EngineError::invalid("mentions", text_alone))
        }
        MsgSend { require_verified: Some(true), .. } => {
            Err(EngineError::invalid("require_verified", "everybody and the server read the public room"))
        }
        _ => Ok(()),
    }
}

fn sent_before(txn: &Txn<'_>, send: &MsgSend, body: &[u8; 32]) -> Result<Option<Sent>, EngineError> {
    let Some(name) = &send.client_id else { return Ok(None) };
    let Some(used) = CLIENT_IDS.get(txn.rows, name)? else { return Ok(None) };
    if used.body != *body {
        return Err(EngineError::idempotency_mismatch());
    }
    // only what was settled long ago goes from the history
    let state = history::get(txn.rows, &used.id)?.map_or(Some(MessageState::Accepted), |(_, message)| message.state);
    Ok(Some(sent(&send.to, used.id, state, true)))
}

pub(crate) fn check_peer(txn: &Txn<'_>, user: &Username) -> Result<(), EngineError> {
    if contacts::is_blocked(txn.rows, user)? {
        return Err(EngineError::blocked(user));
    }
    match peers::table_of(txn.rows, user)? {
        Some(peer) if peer.changed => Err(EngineError::identity_changed(user)),
        Some(peer) if peers::leaves_all_out(peers::policy(txn.rows, user)?, &peer) => {
            Err(EngineError::unverified(user))
        }
        _ => Ok(()),
    }
}

fn check_verified(txn: &Txn<'_>, user: &Username, required: bool) -> Result<(), EngineError> {
    let verified = !required || peers::table_of(txn.rows, user)?.is_some_and(|peer| peer.trust == Trust::Verified);
    if verified { Ok(()) } else { Err(EngineError::unverified(user)) }
}

/// The message as it is stored; in line already, unless its time is later.
fn compose(txn: &mut Txn<'_>, send: &MsgSend) -> Result<Message, EngineError> {
    let chat = send.to.to_string();
    let usual =
        if send.to == Target::Room { None } else { history::chat(txn.rows, &chat)?.and_then(|chat| chat.ttl_s) };
    let ttl_s = send.ttl_s.or(usual);
    let at = send.at_ms.map(Timestamp::from_millis).filter(|at| *at > txn.clock);
    let begins = at.unwrap_or(txn.clock);
    let id = MessageId::from_parts(txn.clock, txn.random());
    let mut message = Message {
        device: Some(txn.me.device),
        mine: true,
        state: Some(MessageState::Queued),
        client_id: send.client_id.clone(),
        reply_to: send.reply_to,
        mentions: send.mentions.clone().unwrap_or_default(),
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

fn put_in_line(txn: &mut Txn<'_>, to: &Target, message: &mut Message) -> Result<(), EngineError> {
    match to {
        Target::User(user) => message.queued_at = Some(outbox::enqueue(txn, message.id, user.clone())?),
        Target::Room => room::say(txn, message)?,
        Target::Myself => {
            message.state = Some(MessageState::Read);
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
    let Some(to) = message.chat.parse().ok() else { return Ok(()) };
    if message.state != Some(MessageState::Queued) || message.at.take().is_none() {
        return Ok(());
    }
    (message.sent, message.kept) = (txn.clock, txn.now);
    message.expires = message.ttl_s.map(|ttl_s| txn.clock + Duration::from_secs(ttl_s.into()));
    let allowed = match &to {
        Target::User(user) => check_peer(txn, user),
        Target::Room | Target::Myself => Ok(()),
    };
    let error = match allowed.and_then(|()| put_in_line(txn, &to, &mut message)) {
        Ok(()) => None,
        Err(EngineError::Rows(error)) => return Err(error.into()),
        Err(EngineError::Refused(refused)) => Some(refused.kind),
    };
    history::lives(txn, &message)?;
    history::leaves_its_place(txn, &message)?;
    history::to_the_end(txn, &message)?;
    match error {
        Some(kind) => history::fail(txn, id, kind.into())?,
        None if message.state == Some(MessageState::Read) => events::status(txn, &message)?,
        None => {}
    }
    Ok(())
}

/// Forgets, once an hour, the names of messages that were given long ago.
pub(crate) fn expire_client_ids(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    if txn.live.tidied.is_some_and(|last| txn.now.since(last) < TIDY_EVERY) {
        return Ok(());
    }
    txn.live.tidied = Some(txn.now);
    let old = txn.now - CLIENT_IDS_KEPT;
    CLIENT_IDS.delete_range(txn.rows, 0..=old.as_millis())?;
    early_changes::expire_early_changes(txn)
}
