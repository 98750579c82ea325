//! What is read of frames, without decoding all of them: the generator has one core.

use minicbor::Decoder;

pub(super) const ANSWER: u8 = 1;
pub(super) const REFUSAL: u8 = 2;
pub(super) const PUSH: u8 = 3;

/// Pushes.
pub(super) const DELIVER: u16 = 1;
pub(super) const ROOM: u16 = 2;

/// A frame `[kind, id, number, payload]`.
pub(super) struct RawFrame<'a> {
    pub(super) kind: u8,
    pub(super) id: u64,
    pub(super) number: u16,
    pub(super) payload: &'a [u8],
    /// Of the whole frame.
    pub(super) bytes: usize,
}

impl<'a> RawFrame<'a> {
    /// The first one, if it is whole.
    pub(super) fn first(read: &'a [u8]) -> Option<Self> {
        let mut decoder = Decoder::new(read);
        if decoder.array().ok()? != Some(4) {
            return None;
        }
        let (kind, id, number) = (decoder.u8().ok()?, decoder.u64().ok()?, decoder.u16().ok()?);
        let from = decoder.position();
        decoder.skip().ok()?;
        let bytes = decoder.position();
        Some(Self { kind, id, number, payload: read.get(from..bytes)?, bytes })
    }
}

/// Sequence and token of a delivery.
pub(super) fn delivered(payload: &[u8]) -> Option<(u64, &[u8])> {
    let mut decoder = Decoder::new(payload);
    let (mut seq, mut token) = (None, None);
    for _ in 0..decoder.map().ok()?? {
        match decoder.u8().ok()? {
            0 => seq = Some(decoder.u64().ok()?),
            3 => {
                for _ in 0..decoder.map().ok()?? {
                    if decoder.u8().ok()? == 2 {
                        token = Some(decoder.bytes().ok()?);
                    } else {
                        decoder.skip().ok()?;
                    }
                }
            }
            _ => decoder.skip().ok()?,
        }
    }
    Some((seq?, token?))
}

/// Text of a post.
pub(super) fn posted(payload: &[u8]) -> Option<&[u8]> {
    let mut decoder = Decoder::new(payload);
    for _ in 0..decoder.map().ok()?? {
        if decoder.u8().ok()? == 3 {
            return Some(decoder.str().ok()?.as_bytes());
        }
        decoder.skip().ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_protocol::fixtures::worthless_envelope;
    use chat_protocol::frame::Frame;
    use chat_protocol::ids::{DeviceId, SubmitId};
    use chat_protocol::message::push::Deliver;
    use chat_protocol::message::server::{Post, Push};
    use chat_protocol::time::Timestamp;

    fn encoded(push: &Push) -> Vec<u8> {
        let mut bytes = Vec::new();
        Frame::push(push).encode_into(&mut bytes);
        bytes
    }

    #[test]
    fn deliveries_and_posts_are_read_as_the_protocol_writes_them() {
        let (user, device) = ("u000001".parse().unwrap(), DeviceId::new([1; 16]));
        let envelope = worthless_envelope(9);
        let deliver = Deliver { mailbox_seq: 4, from: user, from_device: device, envelope };
        let bytes = encoded(&Push::Deliver(deliver.clone().into()));
        let frame = RawFrame::first(&bytes).unwrap();
        assert_eq!((frame.kind, frame.number, frame.bytes), (PUSH, DELIVER, bytes.len()));
        assert_eq!(delivered(frame.payload), Some((4, &[7; 9][..])));
        assert!(RawFrame::first(&bytes[..bytes.len() - 1]).is_none(), "not whole");

        let submit_id = SubmitId::new(1, [0; 8]);
        let (user, at) = (deliver.from, Timestamp::from_millis(1));
        let bytes = encoded(&Push::Room(Post { room_seq: 1, user, at, text: "T1".into(), submit_id, device }));
        let frame = RawFrame::first(&bytes).unwrap();
        assert_eq!((frame.kind, frame.number), (PUSH, ROOM));
        assert_eq!(posted(frame.payload), Some(&b"T1"[..]));
    }
}
