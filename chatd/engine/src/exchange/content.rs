//! An opened content takes its effect.
//!
//! It speaks for the session it came through and for nothing else: another conversation than the peer's, or
//! acknowledgements of what was never sent, change nothing.

use chat_protocol::ids::{Fingerprint, MessageId};
use chat_protocol::session::content::{Body, Content, Conversation, Delete, Edit, Reaction};
use chat_protocol::time::Timestamp;

use crate::exchange::received::Received;
use crate::exchange::{acks, ahead, incoming, own_device, pin_change, reorder, requests};
use crate::model::error::EngineError;
use crate::peers::{self, Named};
use crate::queue::{log_entries, receipts, retransmit};
use crate::records::history::{self, Message, MessageKind};
use crate::records::{contacts, profile, seen};
use crate::rows::held::AuthorEvent;
use crate::rows::held::StreamId;
use crate::rows::outbox::{Change, ChangeKind};
use crate::store::RowsError;
use crate::txn::Txn;

/// An opened content takes its effect, in the transaction that stores the session it came through.
pub(crate) fn arrived(txn: &mut Txn<'_>, mut received: Received) -> Result<(), EngineError> {
    let content = received.content.take();
    let received = &received;
    let Some(content) = content else { return incoming::marker(txn, received, MessageKind::Malformed) };
    let named = logs(txn, received, &content)?;
    got(txn, received, &content)?;
    if received.user == txn.me.user {
        return own_device::arrived(txn, received, content);
    }
    if content.conversation != Conversation::Direct(received.user.clone()) {
        tracing::warn!(user = %received.user, "a message that names another chat than its author's");
        return incoming::marker(txn, received, MessageKind::Unsupported);
    }
    for ack in content.acks.iter().filter(|ack| ack.device == txn.me.device) {
        acks::heard(txn, (&received.user, &received.device), ack)?;
    }
    match content.body {
        Body::Receipt(receipt) => receipt
            .read
            .iter()
            .filter(|ack| ack.device == txn.me.device)
            .try_for_each(|ack| Ok(acks::read(txn, (&received.user, &received.device), ack)?)),
        Body::Reset => retransmit::was_reset(txn, &received.device),
        Body::Profile(profile) => Ok(profile::heard(txn, &received.user, profile)?),
        // control of later versions creates no duty either
        _ if !content.body.is_message() => Ok(()),
        _ => match named {
            Named::Awaited(until) if ahead::wait(txn, received, until)? => Ok(()),
            _ => accept_content(txn, received, content, named),
        },
    }
}

/// What a device, an own one too, got itself in the conversation it names.
fn got(txn: &mut Txn<'_>, received: &Received, content: &Content) -> Result<(), RowsError> {
    let Conversation::Direct(chat) = &content.conversation else { return Ok(()) };
    let me = txn.me.device;
    let mut mine = content.acks.iter().filter(|ack| ack.device == me);
    mine.try_for_each(|ack| retransmit::acknowledged(txn, &received.device, chat, ack))
}

/// What a content says of account logs: its author's, and this account's.
fn logs(txn: &mut Txn<'_>, received: &Received, content: &Content) -> Result<Named, EngineError> {
    let (user, me) = (&received.user, txn.me.user.clone());
    if let Body::LogEntries(log) = &content.body {
        pin_change::apply_told_log(txn, user, log)?;
    }
    log_entries::named(txn, (user, &received.device), &content.heads, content.body.is_message())?;
    peers::announced(txn, &me, content.heads.peer)?;
    peers::announced(txn, user, content.heads.own)
}

/// A content with a number: shown once, in order, and acknowledged.
pub(crate) fn accept_content(
    txn: &mut Txn<'_>,
    received: &Received,
    content: Content,
    named: Named,
) -> Result<(), EngineError> {
    let Some(peer) = peers::table(txn, &received.user)? else { return Ok(()) };
    if requests::keep_back(txn, received, &content, peer.fingerprint)? {
        return Ok(());
    }
    receipts::schedule(txn, &received.user, &received.device)?;
    let Some(seq) = content.sender_seq else { return Ok(()) };
    let stream_id =
        StreamId { chat: history::private(&received.user), user: received.user.clone(), device: received.device };
    if seen::seen_before(txn, &peer.fingerprint, &content.id)? {
        return Ok(reorder::repeated(txn, &stream_id, &seq)?);
    }
    let author = Some(peer.fingerprint);
    let from_bot = profile::is_bot(txn.rows, &received.user)?;
    let unverified_log = named != Named::Known;
    let unverified_device = peers::leaves_out(peers::policy(txn.rows, &received.user)?, &peer, &received.device);
    let said = match content.body {
        _ if contacts::is_blocked(txn.rows, &received.user)? => AuthorEvent::Unheard,
        Body::Edit(Edit { target, text }) => {
            changed((received, txn.now), author, content.sent, (target, ChangeKind::Edit(text)))
        }
        Body::Delete(Delete { target }) => {
            changed((received, txn.now), author, content.sent, (target, ChangeKind::Delete))
        }
        Body::Reaction(Reaction { target, emoji }) => {
            changed((received, txn.now), author, content.sent, (target, ChangeKind::React(emoji)))
        }
        body => {
            let message = incoming::incoming(txn, received, content.id, content.sent, MessageKind::Text, String::new());
            let message =
                Message { author, number: Some((seq.epoch, seq.n)), from_bot, ..incoming::filled(message, body) };
            AuthorEvent::Message(Box::new(Message { unverified_log, unverified_device, ..message }))
        }
    };
    Ok(reorder::arrived(txn, &stream_id, &seq, said)?)
}

fn changed(
    (received, kept): (&Received, Timestamp),
    author: Option<Fingerprint>,
    at: Timestamp,
    (target, kind): (MessageId, ChangeKind),
) -> AuthorEvent {
    let chat = history::private(&received.user);
    AuthorEvent::Change(Change { chat, by: received.user.clone(), author, target, at, kind, kept })
}
