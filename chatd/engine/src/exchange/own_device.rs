//! What the account's own other devices say: the same user speaks there, in whichever chat.
//!
//! A message of another device is shown as an own one in the chat it names, in the order of that device. The devices of
//! an account tell each other what arrived, and what their user has read; neither makes a message delivered.

use chat_protocol::ids::{Fingerprint, Username};
use chat_protocol::rpc::types::MessageState;
use chat_protocol::session::content::{Body, Content, Conversation, Delete, Edit, Reaction};

use crate::exchange::received::Received;
use crate::exchange::{incoming, read_elsewhere, reorder};
use crate::model::error::EngineError;
use crate::peers;
use crate::queue::{own_receipts, retransmit};
use crate::records::history::{self, Message, MessageKind, SELF};
use crate::records::{profile, seen};
use crate::rows::held::AuthorEvent;
use crate::rows::held::StreamId;
use crate::rows::outbox::Number;
use crate::rows::outbox::{Change, ChangeKind};
use crate::txn::Txn;

/// A content that came through the session with another own device.
pub(crate) fn arrived(txn: &mut Txn<'_>, received: &Received, said: Content) -> Result<(), EngineError> {
    let Conversation::Direct(peer) = said.conversation.clone() else {
        return incoming::marker(txn, received, MessageKind::Unsupported);
    };
    match said.body {
        Body::Receipt(receipt) => {
            receipt.read.iter().try_for_each(|ack| read_elsewhere::read_there(txn, (&received.device, &peer), ack))
        }
        Body::Reset => retransmit::was_reset(txn, &received.device),
        Body::Profile(profile) => Ok(profile::adopt(txn, profile)?),
        // control of later versions creates no duty either
        _ if !said.body.is_message() => Ok(()),
        _ => shown(txn, received, &peer, said),
    }
}

/// A content with a number: shown once, in order, as an own one.
fn shown(txn: &mut Txn<'_>, received: &Received, peer: &Username, said: Content) -> Result<(), EngineError> {
    own_receipts::schedule(txn, &received.device, peer, None)?;
    let Some(seq) = said.sender_seq else { return Ok(()) };
    let number = (seq.epoch, seq.n);
    let chat = history::chat_of(txn, peer);
    let stream_id = StreamId { chat: chat.clone(), user: received.user.clone(), device: received.device };
    let own = peers::own_table(txn)?.fingerprint;
    if seen::seen_before(txn, &own, &said.id)? {
        return Ok(reorder::repeated(txn, &stream_id, &seq)?);
    }
    let kept = txn.now;
    let change = |target, kind| {
        AuthorEvent::Change(Change {
            chat: chat.clone(),
            by: received.user.clone(),
            author: Some(own),
            target,
            at: said.sent,
            kind,
            kept,
        })
    };
    let said = match said.body.clone() {
        Body::Edit(Edit { target, text }) => change(target, ChangeKind::Edit(text)),
        Body::Delete(Delete { target }) => change(target, ChangeKind::Delete),
        Body::Reaction(Reaction { target, emoji }) => change(target, ChangeKind::React(emoji)),
        body => AuthorEvent::Message(Box::new(incoming::filled(
            own_message(txn, received, &said, (chat, own, number)),
            body,
        ))),
    };
    Ok(reorder::arrived(txn, &stream_id, &seq, said)?)
}

/// An own message that was written elsewhere, without what it says. The server has it; whoever it is for may have too.
fn own_message(
    txn: &Txn<'_>,
    received: &Received,
    said: &Content,
    (chat, own, number): (String, Fingerprint, Number),
) -> Message {
    let state = Some(if chat == SELF { MessageState::Read } else { MessageState::Accepted });
    Message {
        device: Some(received.device),
        mine: true,
        sent: said.sent,
        state,
        accepted: Some(txn.clock),
        silent: Some(txn.now),
        number: Some(number),
        author: Some(own),
        ..Message::text(said.id, chat, received.user.clone(), String::new(), txn)
    }
}
