//! Frames as they go into an outbox: encoded once, shared from then on.

use bytes::Bytes;
use chat_protocol::frame::{Frame, push_into};
use chat_protocol::message::Verbatim;
use chat_protocol::message::server::{DELIVER, Deliver, MailboxDrained, Push, RoomGrew};

use crate::store::Mail;

/// A delivery without its envelope and the name: numbers and a device.
const HEAD_BYTES: usize = 64;

/// A post without its text: longest name, ids, numbers.
pub const POST_HEAD_BYTES: usize = 256;

/// Encodes a frame.
#[must_use]
pub fn encode(frame: &Frame) -> Bytes {
    let mut bytes = Vec::with_capacity(frame.payload.len() + 16);
    frame.encode_into(&mut bytes);
    bytes.into()
}

/// At most so many bytes has the delivery of a message.
pub(super) fn deliver_bytes(mail: &Mail) -> usize {
    mail.envelope.len() + mail.from.as_str().len() + HEAD_BYTES
}

/// The delivery of a message, its envelope as it was submitted.
#[must_use]
pub fn deliver_frame(mail: &Mail) -> Bytes {
    let deliver = Deliver {
        mailbox_seq: mail.seq,
        from: mail.from.clone(),
        from_device: mail.from_device,
        envelope: Verbatim(&mail.envelope),
    };
    let mut bytes = Vec::with_capacity(deliver_bytes(mail));
    push_into(DELIVER, &deliver, &mut bytes);
    bytes.into()
}

/// The end of what waited at login.
pub(super) fn drained_frame(seq: u64) -> Bytes {
    encode(&Frame::push(&Push::Drained(MailboxDrained { seq })))
}

/// How far the room has come, for who was not pushed all of it.
pub(super) fn room_grew_frame(seq: u64) -> Bytes {
    encode(&Frame::push(&Push::RoomGrew(RoomGrew { seq })))
}
