//! What is written for one device.
//!
//! A content speaks for the session it goes through: it names where both logs stand, and acknowledges what came from the
//! device it is for.

use chat_protocol::ids::{DeviceId, MessageId, Username};
use chat_protocol::limits::MAX_NUMBER;
use chat_protocol::session::content::{
    Ack, Body, Content, Conversation, Delete, Heads, LogEntries, Profile, Receipt, Reply, SenderSeq, Text,
};
use chat_protocol::time::Timestamp;

use crate::model::error::EngineError;
use crate::peers;
use crate::queue::numbers;
use crate::queue::own_receipts;
use crate::queue::receipts;
use crate::records::history::{self, Message};
use crate::records::settings::Settings;
use crate::records::{contacts, streams};
use crate::rows::outbox::Change;
use crate::rows::outbox::Number;
use crate::rows::outbox::PendingReceipt;
use crate::rows::outbox::{PendingOwnReceipt, Read};
use crate::txn::Txn;

/// What is written for every device alike.
pub(crate) struct OutgoingContent {
    id: MessageId,
    sent: Timestamp,
    kept: Timestamp,
    body: Body,
}

impl OutgoingContent {
    /// What it is known by.
    pub(crate) const fn id(&self) -> &MessageId {
        &self.id
    }

    /// When it was said, in time that was seen to pass.
    pub(crate) const fn kept(&self) -> Timestamp {
        self.kept
    }

    /// A message of the history.
    pub(crate) fn message(message: &Message) -> Self {
        let (text, mentions, ttl_s) = (message.text.clone(), message.mentions.clone(), message.ttl_s);
        let body = match message.reply_to {
            Some(to) => Body::Reply(Reply { text, to, mentions, ttl_s }),
            None => Body::Text(Text { text, mentions, ttl_s }),
        };
        Self { id: message.id, sent: message.sent, kept: message.kept, body }
    }

    /// A change of a message.
    pub(crate) fn change(id: MessageId, change: &Change) -> Self {
        Self { id, sent: change.at, kept: change.kept, body: change.body() }
    }

    /// Takes the place of a message that has a number and will never be sent.
    pub(crate) fn gone(id: MessageId, txn: &Txn<'_>) -> Self {
        Self { id, sent: txn.clock, kept: txn.now, body: Body::Delete(Delete { target: id }) }
    }
}

/// A content for one device of the recipient, or of the own account.
pub(crate) fn message(
    txn: &mut Txn<'_>,
    peer: &Username,
    reader: &Username,
    device: &DeviceId,
    (outgoing, (epoch, n)): (&OutgoingContent, Number),
) -> Result<Vec<u8>, EngineError> {
    // each reader's own name for the chat
    let chat = if *reader == txn.me.user { peer.clone() } else { txn.me.user.clone() };
    let mut content = content(txn, reader, chat, outgoing.id, outgoing.body.clone())?;
    // what was overtaken on its way to this device names itself
    let first = numbers::first_number(txn, device, peer, epoch)?.map(|first| first.min(n)).filter(|first| *first > 1);
    content.sender_seq = Some(SenderSeq { epoch, n, first });
    content.sent = outgoing.sent;
    let shown_in = if *reader == txn.me.user { history::chat_of(txn, peer) } else { history::private(reader) };
    let acks = acks(txn, &shown_in, device)?;
    // what does not fit without growing the message follows in a receipt
    if content.fit_acks(&acks) < acks.len() {
        match *reader == txn.me.user {
            true => own_receipts::schedule(txn, device, peer, None)?,
            false => receipts::schedule(txn, reader, device)?,
        }
    }
    encode(&content)
}

/// Acknowledgements, and what was read.
pub(crate) fn receipt(
    txn: &mut Txn<'_>,
    reader: &Username,
    device: &DeviceId,
    pending: Option<&PendingReceipt>,
) -> Result<Vec<u8>, EngineError> {
    // it may have been noted before they were switched off, or the reader blocked
    let told = Settings::get(txn.rows)?.read_receipts && !contacts::is_blocked(txn.rows, reader)?;
    let read = pending
        .and_then(|pending| pending.read)
        .filter(|_| told)
        .map(|(epoch, n)| ack(*device, (epoch, n + 1), vec![]));
    let body = Body::Receipt(Receipt { read: read.into_iter().collect() });
    let mut content = control(txn, reader, body)?;
    content.acks = acks(txn, &history::private(reader), device)?;
    encode(&content)
}

/// What arrived from another own device in one chat, and what was read there.
pub(crate) fn own_receipt(txn: &mut Txn<'_>, pending: &PendingOwnReceipt) -> Result<Vec<u8>, EngineError> {
    let up_to = |read: &Read| ack(read.device, (read.number.0, read.number.1 + 1), vec![]);
    let body = Body::Receipt(Receipt { read: pending.reads.iter().map(up_to).collect() });
    let (id, me) = (MessageId::from_parts(txn.clock, txn.random()), txn.me.user.clone());
    let mut content = content(txn, &me, pending.peer.clone(), id, body)?;
    let chat = history::chat_of(txn, &pending.peer);
    content.acks = acks(txn, &chat, &pending.device)?;
    encode(&content)
}

/// Nothing but a turn of the ratchet.
pub(crate) fn heartbeat(txn: &mut Txn<'_>, reader: &Username) -> Result<Vec<u8>, EngineError> {
    let content = control(txn, reader, Body::Heartbeat)?;
    encode(&content)
}

/// The first content of a session that replaces broken ones.
pub(crate) fn reset(txn: &mut Txn<'_>, reader: &Username) -> Result<Vec<u8>, EngineError> {
    let content = control(txn, reader, Body::Reset)?;
    encode(&content)
}

/// What this account says of itself.
pub(crate) fn profile(txn: &mut Txn<'_>, reader: &Username, profile: &Profile) -> Result<Vec<u8>, EngineError> {
    let content = control(txn, reader, Body::Profile(profile.clone()))?;
    encode(&content)
}

/// Entries of an account log that the reader's device lacks.
pub(crate) fn log_entries(txn: &mut Txn<'_>, reader: &Username, log: LogEntries) -> Result<Vec<u8>, EngineError> {
    let content = control(txn, reader, Body::LogEntries(log))?;
    encode(&content)
}

fn control(txn: &mut Txn<'_>, reader: &Username, body: Body) -> Result<Content, EngineError> {
    let id = MessageId::from_parts(txn.clock, txn.random());
    let me = txn.me.user.clone();
    content(txn, reader, me, id, body)
}

fn content(
    txn: &mut Txn<'_>,
    reader: &Username,
    chat: Username,
    id: MessageId,
    body: Body,
) -> Result<Content, EngineError> {
    let own = peers::own_table(txn)?.head;
    let peer = peers::table(txn, reader)?.ok_or_else(EngineError::unknown_user)?.head;
    Ok(Content {
        conversation: Conversation::Direct(chat),
        id,
        sender_seq: None,
        sent: txn.clock,
        heads: Heads { own, peer },
        acks: Vec::new(),
        body,
    })
}

/// What arrived from a device in a chat.
fn acks(txn: &mut Txn<'_>, chat: &str, device: &DeviceId) -> Result<Vec<Ack>, EngineError> {
    let stream = streams::stream(txn, chat, device)?;
    let ack = stream.map(|stream| ack(*device, (stream.epoch, stream.next), stream.given_up));
    Ok(ack.into_iter().collect())
}

/// Of the highest number there is nobody can be told that it came: what would say so is no number any more.
fn ack(device: DeviceId, (epoch, below): (u64, u64), given_up: Vec<u64>) -> Ack {
    Ack { device, epoch, below: below.min(MAX_NUMBER), given_up }
}

fn encode(content: &Content) -> Result<Vec<u8>, EngineError> {
    content.encode().map_err(|_| EngineError::damaged("a message that cannot be written"))
}
