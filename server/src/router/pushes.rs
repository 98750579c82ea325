//! Frames as they go into an outbox: encoded once, shared from then on.

use bytes::Bytes;
use chat_protocol::frame::{Frame, push_into};
use chat_protocol::message::Verbatim;
use chat_protocol::message::server::{DELIVER, Deliver, MailboxDrained, Push, RoomGrew};

use crate::store::Mail;

/// A delivery without its envelope: numbers, a device and a name of usual length.
const HEAD_BYTES: usize = 64;

/// Encodes a frame.
#[must_use]
pub fn encode(frame: &Frame) -> Bytes {
    let mut bytes = Vec::with_capacity(frame.payload.len() + 16);
    frame.encode_into(&mut bytes);
    bytes.into()
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
    let mut bytes = Vec::with_capacity(mail.envelope.len() + HEAD_BYTES);
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
