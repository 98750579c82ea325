//! Frames as they go into an outbox: encoded once, shared from then on.

use bytes::Bytes;
use chat_protocol::frame::{Frame, FrameKind};
use chat_protocol::message::server::{Deliver, MailboxDrained, Push};

use crate::store::Mail;

/// Encodes a frame.
#[must_use]
pub fn encode(frame: &Frame) -> Bytes {
    let mut bytes = Vec::with_capacity(frame.payload.len() + 16);
    frame.encode_into(&mut bytes);
    bytes.into()
}

/// The delivery of a stored message. `None` for a row that does not hold an envelope.
#[must_use]
pub fn deliver_frame(mail: &Mail) -> Option<Bytes> {
    let deliver = Deliver {
        mailbox_seq: mail.seq,
        from: mail.from.clone(),
        from_device: mail.from_device,
        envelope: chat_protocol::cbor::decode(&mail.envelope).ok()?,
    };
    Some(encode(&Frame::push(&Push::Deliver(deliver))))
}

/// The end of what waited at login.
pub(super) fn drained_frame(seq: u64) -> Bytes {
    encode(&Frame { kind: FrameKind::Push, ..Frame::push(&Push::Drained(MailboxDrained { seq })) })
}
