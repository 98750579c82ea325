//! A message of the history, made from what came.

use std::time::Duration;

use chat_protocol::ids::MessageId;
use chat_protocol::session::content::{Body, Reply, Text};
use chat_protocol::time::Timestamp;

use crate::exchange::received::Received;
use crate::model::error::EngineError;
use crate::records::contacts;
use crate::records::history::{self, Message, MessageKind};
use crate::txn::Txn;

/// A message with what its body says.
pub(crate) fn filled(message: Message, body: Body) -> Message {
    let (text, reply_to, mentions, ttl_s) = match body {
        Body::Text(Text { text, mentions, ttl_s }) => (text, None, mentions, ttl_s),
        Body::Reply(Reply { text, to, mentions, ttl_s }) => (text, Some(to), mentions, ttl_s),
        _ => return Message { kind: MessageKind::Unsupported, ..message },
    };
    // the clock of who wrote it says nothing here
    let expires = ttl_s.map(|ttl_s| message.stored + Duration::from_secs(ttl_s.into()));
    Message { text, reply_to, mentions, ttl_s, expires, ..message }
}

/// Something was sealed correctly and makes no sense: the history says so, and nobody is asked again.
pub(crate) fn marker(txn: &mut Txn<'_>, received: &Received, kind: MessageKind) -> Result<(), EngineError> {
    if !contacts::is_heard(txn, &received.user)? {
        return Ok(());
    }
    let id = MessageId::from_parts(txn.clock, txn.random());
    let message = incoming(txn, received, id, txn.clock, kind, String::new());
    Ok(history::append(txn, message)?)
}

pub(crate) fn incoming(
    txn: &Txn<'_>,
    received: &Received,
    id: MessageId,
    sent: Timestamp,
    kind: MessageKind,
    text: String,
) -> Message {
    let chat = history::chat_of(txn, &received.user);
    Message { device: Some(received.device), kind, sent, ..Message::text(id, chat, received.user.clone(), text, txn) }
}
