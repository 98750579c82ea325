//! What the local socket asks to be done with a message that is there: take it back, send it again,
//! change its text, delete it, give it a sign.
//!
//! What has not left is changed where it lies, and the peer never hears of its former shape. What has
//! left is followed by a change of its own, see [`crate::exchange::amendments`].

use chat_protocol::ids::MessageId;
use chat_protocol::limits::{MAX_REACTION_BYTES, MAX_TEXT_BYTES};
use chat_protocol::rpc::types::{DeletedReason, MessageState, MsgSend, Sent};
use chat_protocol::session::content::{is_reaction, text_bytes};

use crate::commands::messages;
use crate::exchange::amendments::{self, MAX_TEXTS};
use crate::model::error::EngineError;
use crate::queue::outbox::{self, Withdrawn};
use crate::records::history::{self, Message, MessageKind, ROOM};
use crate::records::timers;
use crate::rows::outbox::ChangeKind;
use crate::rows::state::Due;
use crate::txn::Txn;

/// Takes a message back that has not left; one that was taken back before stays so.
///
/// # Errors
/// `not_found`, `no_permission` for somebody else's, `conflict`.
pub fn cancel(txn: &mut Txn<'_>, id: &MessageId) -> Result<Message, EngineError> {
    let (position, mut message) = own(txn, id)?;
    match message.state {
        Some(MessageState::Cancelled) => Ok(message),
        Some(MessageState::Queued) if outbox::withdraw(txn, &message)? == Withdrawn::Yes => {
            timers::clear(txn, Due::Overdue, id)?;
            history::cancel(txn, position, &mut message)?;
            Ok(message)
        }
        Some(MessageState::Queued) => Err(EngineError::too_late("the message is under way already")),
        _ => Err(EngineError::too_late("the message is not waiting to be sent")),
    }
}

/// Sends a message that ended without being delivered once more, as a new one.
///
/// # Errors
/// `conflict` if it did not end so, or its text is gone; those of [`super::send`].
pub fn resend(txn: &mut Txn<'_>, id: &MessageId) -> Result<Sent, EngineError> {
    let (position, message) = own(txn, id)?;
    if !matches!(message.state, Some(MessageState::Failed | MessageState::Cancelled | MessageState::NotReceived)) {
        return Err(EngineError::too_late("only a message that failed, was cancelled or never came is sent again"));
    }
    if message.deleted {
        return Err(EngineError::too_late("the text of the message is gone"));
    }
    let to = message.chat.parse().map_err(|_| EngineError::not_found())?;
    let reply_to = match message.reply_to {
        Some(answered) if history::get(txn.rows, &answered)?.is_some() => Some(answered),
        _ => None,
    };
    let mentions = Some(message.mentions.clone());
    let send = MsgSend { reply_to, mentions, ttl_s: message.ttl_s, ..MsgSend::text(to, message.text.clone()) };
    let sent = messages::send(txn, send)?;
    history::write(txn.rows, position, &Message { resent: true, ..message })?;
    Ok(sent)
}

/// Gives an own message another text.
///
/// # Errors
/// `not_found`, `no_permission`, `conflict`, `invalid_params`, `too_large`, `identity_changed`, `quota_exceeded`.
pub fn edit(txn: &mut Txn<'_>, id: &MessageId, text: String) -> Result<Message, EngineError> {
    let (position, mut message) = own(txn, id)?;
    changeable(&message)?;
    let len = text_bytes(&text, &message.mentions);
    match len {
        _ if text.is_empty() => return Err(EngineError::empty()),
        _ if len > MAX_TEXT_BYTES => return Err(EngineError::too_long(len, MAX_TEXT_BYTES)),
        _ if message.told_in.len() >= MAX_TEXTS => {
            return Err(EngineError::too_late("the message was changed too often"));
        }
        _ => {}
    }
    if !outbox::waits(txn, &message)? {
        follow(txn, &message, ChangeKind::Edit(text.clone()))?;
        message.edited = Some(txn.clock);
    }
    message.text = text;
    history::tell_edited(txn, position, &mut message)?;
    Ok(message)
}

/// Deletes a message from this history.
///
/// # Errors
/// `not_found`; `conflict` for an own one that has not left.
pub fn delete_here(txn: &mut Txn<'_>, id: &MessageId) -> Result<(), EngineError> {
    let (position, message) = history::get(txn.rows, id)?.ok_or_else(EngineError::not_found)?;
    if message.mine && message.state == Some(MessageState::Queued) {
        return Err(EngineError::too_late("the message has not left yet: cancel it first"));
    }
    if message.deleted {
        return Ok(());
    }
    Ok(history::erase(txn, position, message, DeletedReason::Here)?)
}

/// Deletes an own message here and for whoever has it.
///
/// # Errors
/// `not_found`, `no_permission`, `identity_changed`, `quota_exceeded`.
pub fn delete_everywhere(txn: &mut Txn<'_>, id: &MessageId) -> Result<(), EngineError> {
    let (position, mut message) = own(txn, id)?;
    if message.chat == ROOM {
        return Err(EngineError::post());
    }
    if message.deleted {
        return Ok(());
    }
    match message.state {
        Some(MessageState::Failed | MessageState::Cancelled) => {}
        Some(MessageState::Queued) if outbox::withdraw(txn, &message)? == Withdrawn::Yes => {
            history::cancel(txn, position, &mut message)?;
        }
        _ => follow(txn, &message, ChangeKind::Delete)?,
    }
    Ok(history::erase(txn, position, message, DeletedReason::Author)?)
}

/// Gives a message a sign in place of the own one before, or takes the same one back.
///
/// # Errors
/// `not_found`, `invalid_params`, `no_permission`, `conflict`,
/// `identity_changed`, `quota_exceeded`.
pub fn react(txn: &mut Txn<'_>, id: &MessageId, emoji: &str, remove: bool) -> Result<Message, EngineError> {
    if !is_reaction(emoji) {
        return Err(EngineError::invalid("emoji", format!("must be one emoji of at most {MAX_REACTION_BYTES} bytes")));
    }
    let (position, mut message) = history::get(txn.rows, id)?.ok_or_else(EngineError::not_found)?;
    changeable(&message)?;
    if message.at.is_some() {
        return Err(EngineError::too_late("the message has not been sent yet"));
    }
    let me = txn.me.user.clone();
    let given = message.reactions.iter().any(|given| given.user == me && given.emoji == emoji);
    if given == remove {
        let emoji = if remove { "" } else { emoji };
        follow(txn, &message, ChangeKind::React(emoji.to_owned()))?;
        amendments::react(txn, position, &mut message, &me, emoji)?;
    }
    Ok(message)
}

fn own(txn: &Txn<'_>, id: &MessageId) -> Result<(u64, Message), EngineError> {
    let found = history::get(txn.rows, id)?.ok_or_else(EngineError::not_found)?;
    if found.1.mine { Ok(found) } else { Err(EngineError::not_allowed("the message is somebody else's")) }
}

/// Whether others who have the message would take a change of it.
fn changeable(message: &Message) -> Result<(), EngineError> {
    if message.chat == ROOM {
        return Err(EngineError::post());
    }
    if message.deleted {
        return Err(EngineError::too_late("the message was deleted"));
    }
    if matches!(message.state, Some(MessageState::Failed | MessageState::Cancelled)) {
        return Err(EngineError::too_late("the message was not sent: send it again instead"));
    }
    if message.kind == MessageKind::Text { Ok(()) } else { Err(EngineError::not_allowed("the message has no text")) }
}

/// Sends a change after its message.
fn follow(txn: &mut Txn<'_>, message: &Message, kind: ChangeKind) -> Result<(), EngineError> {
    if let Some(user) = history::peer(&message.chat) {
        messages::check_peer(txn, &user)?;
    }
    amendments::submit(txn, message, kind)
}
