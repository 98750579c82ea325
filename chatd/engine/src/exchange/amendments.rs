//! What happens to a message after it was said: edited, deleted, answered with a sign, expired.
//!
//! A change travels like a message: it is numbered, acknowledged and takes effect in the order of its
//! author, but it is no message of the history and is never unread. Only the author, under the same
//! identity, edits or deletes. What comes before its message waits for it: a deletion keeps it from being
//! shown, an edit or a sign follows it. Nothing has an effect after the deletion.

use chat_protocol::ids::{Fingerprint, MessageId, Username};
use chat_protocol::rpc;
use chat_protocol::rpc::types::{DeletedReason, FailReason, MessageState};

use crate::exchange::read_elsewhere;
use crate::model::error::EngineError;
use crate::queue::outbox::{self, Withdrawn};
use crate::records::history::{self, Message, MessageKind, Reaction};
use crate::records::{early_changes, early_deletions, events, seen, streams};
use crate::rows::CHANGES;
use crate::rows::held::AuthorEvent;
use crate::rows::outbox::{Change, ChangeKind};
use crate::store::RowsError;
use crate::txn::Txn;

/// Most texts one message may have had: whoever wants more writes a new one.
pub(crate) const MAX_TEXTS: usize = 100;

impl AuthorEvent {
    /// It comes after it was given up.
    pub(crate) fn late(self, late: bool) -> Self {
        match self {
            Self::Message(message) => Self::Message(Box::new(Message { late, ..*message })),
            Self::Change(_) | Self::Unheard => self,
        }
    }

    /// Its turn has come.
    pub(crate) fn take_effect(self, txn: &mut Txn<'_>) -> Result<(), RowsError> {
        match self {
            Self::Message(message) => show(txn, *message),
            Self::Change(change) => apply(txn, &change),
            Self::Unheard => Ok(()),
        }
    }
}

/// Shows a message that was written elsewhere, unless its author took it back before.
fn show(txn: &mut Txn<'_>, mut message: Message) -> Result<(), RowsError> {
    let early = early_changes::take(txn.rows, &message.chat, &message.id)?;
    if let Some(author) = &message.author
        && early_deletions::take(txn.rows, &message.chat, author, &message.id)?
    {
        return Ok(());
    }
    if history::get(txn.rows, &message.id)?.is_some() {
        // ids are the author's to choose, and nobody may write over what is there
        tracing::warn!(user = %message.from, "a message under the id of another");
        message.id = MessageId::from_parts(txn.clock, txn.random());
        message.kind = MessageKind::Malformed;
        message.text.clear();
    }
    history::append(txn, message.clone())?;
    read_elsewhere::stored(txn, &message)?;
    let mut early = early.iter().filter(|_| message.kind == MessageKind::Text);
    early.try_for_each(|change| apply(txn, change))
}

/// A change that was made elsewhere takes its effect, if it may have one.
fn apply(txn: &mut Txn<'_>, change: &Change) -> Result<(), RowsError> {
    let found = history::get(txn.rows, &change.target)?.filter(|(_, message)| message.chat == change.chat);
    let Some((position, mut message)) = found else { return wait(txn, change) };
    let by_author = match message.mine {
        true => change.by == txn.me.user,
        false => message.author.is_some() && message.author == change.author,
    };
    match &change.kind {
        _ if message.deleted || message.kind != MessageKind::Text => Ok(()),
        ChangeKind::Edit(text) if by_author && message.told_in.len() < MAX_TEXTS => {
            text.clone_into(&mut message.text);
            message.edited = Some(change.at);
            history::tell_edited(txn, position, &mut message)
        }
        ChangeKind::Delete if by_author => history::erase(txn, position, message, DeletedReason::Author),
        ChangeKind::React(emoji) => react(txn, position, &mut message, &change.by, emoji),
        ChangeKind::Edit(_) | ChangeKind::Delete => {
            tracing::warn!(user = %change.by, "a change of a message that is not theirs to change");
            Ok(())
        }
    }
}

/// A change of what is not here waits for it, unless that can come no more.
fn wait(txn: &mut Txn<'_>, change: &Change) -> Result<(), RowsError> {
    let Change { chat, by, author: Some(author), target, .. } = change else { return Ok(()) };
    if was_here(txn, change, author)? || early_deletions::has(txn.rows, chat, author, target)? {
        return Ok(());
    }
    if change.kind != ChangeKind::Delete {
        return early_changes::keep(txn.rows, change);
    }
    early_changes::forget(txn.rows, chat, by, target)?;
    early_deletions::keep(txn.rows, chat, author, target)
}

/// Whether the message of a change was here and is gone. One that waits for what another device of its author said before
/// has been seen too, and is yet to be shown.
fn was_here(txn: &Txn<'_>, change: &Change, author: &Fingerprint) -> Result<bool, RowsError> {
    if !seen::was_seen(txn.rows, author, &change.target)? {
        return Ok(false);
    }
    let waiting = streams::waiting(txn)?;
    Ok(!waiting.iter().any(|stream| stream.chat == change.chat && stream.user == change.by))
}

/// Gives a sign in somebody's name in place of the one before.
pub(crate) fn react(
    txn: &mut Txn<'_>,
    position: u64,
    message: &mut Message,
    by: &Username,
    emoji: &str,
) -> Result<(), RowsError> {
    let known = message.reactions.iter().find(|given| given.user == *by).map_or("", |given| &given.emoji);
    if known == emoji {
        return Ok(());
    }
    message.reactions.retain(|given| given.user != *by);
    if !emoji.is_empty() {
        message.reactions.push(Reaction { user: by.clone(), emoji: emoji.to_owned() });
    }
    history::write(txn.rows, position, message)?;
    events::reaction(txn, message, by, emoji)
}

/// The life of a message is over. What did not leave by now fails; what may have left is taken back.
pub(crate) fn expire(txn: &mut Txn<'_>, id: &MessageId) -> Result<(), EngineError> {
    let Some((_, message)) = history::get(txn.rows, id)? else { return Ok(()) };
    if message.deleted {
        return Ok(());
    }
    if message.mine && message.state == Some(MessageState::Queued) {
        if outbox::withdraw(txn, &message)? == Withdrawn::UnderWay {
            take_back(txn, &message)?;
        }
        history::fail(txn, id, FailReason::Expired)?;
    }
    match history::get(txn.rows, id)? {
        Some((position, message)) => Ok(history::erase(txn, position, message, DeletedReason::Expired)?),
        None => Ok(()),
    }
}

/// Whatever of a message may have left is deleted where it arrives.
fn take_back(txn: &mut Txn<'_>, message: &Message) -> Result<(), EngineError> {
    match submit(txn, message, ChangeKind::Delete) {
        // it goes from there too, a little later
        Err(error) if error.kind() == Some(rpc::Kind::QuotaExceeded) => Ok(()),
        outcome => outcome,
    }
}

/// Puts a change of an own message, or a sign, in line for the peer of its chat; notes have none.
pub(crate) fn submit(txn: &mut Txn<'_>, message: &Message, kind: ChangeKind) -> Result<(), EngineError> {
    let Some(to) = outbox::addressee(txn, &message.chat)? else { return Ok(()) };
    let id = MessageId::from_parts(txn.clock, txn.random());
    let (chat, by, target, at) = (message.chat.clone(), txn.me.user.clone(), message.id, txn.clock);
    outbox::enqueue(txn, id, to)?;
    let change = Change { chat, by, author: None, target, at, kind, kept: txn.now };
    Ok(CHANGES.put(txn.rows, &id, 0, &change)?)
}
