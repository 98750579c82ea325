//! The unit of conversation: requests, answers, errors and pushes as CBOR items in a data record.
//!
//! Owns the outer array `[kind, id, type, payload]` and checks that the payload is one strict item;
//! what the payload means is [`crate::message`]'s business.

use minicbor::{Decoder, Encode, Encoder};

use crate::cbor::{self, Malformed};
use crate::message::Call;
use crate::message::server::{Push, Refusal};

/// What a frame is, and so what its payload holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A question; the payload belongs to the request type.
    Request = 0,
    /// Its answer under the same id and type.
    Ok = 1,
    /// A [`Refusal`] under the same id and type.
    Error = 2,
    /// Said unasked, by the server alone; the id is 0 and means nothing.
    Push = 3,
}

impl TryFrom<u8> for FrameKind {
    type Error = Malformed;

    fn try_from(byte: u8) -> Result<Self, Malformed> {
        match byte {
            0 => Ok(Self::Request),
            1 => Ok(Self::Ok),
            2 => Ok(Self::Error),
            3 => Ok(Self::Push),
            _ => Err(Malformed),
        }
    }
}

/// One frame; several fill a data record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: FrameKind,
    /// Chosen by who asks, repeated in the answer; each direction counts its own.
    pub id: u64,
    /// Type number of the request or the push.
    pub number: u16,
    /// Exactly one strict CBOR item.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Asks `call` under `id`.
    #[must_use]
    pub fn request<T: Call>(id: u64, call: &T) -> Self {
        Self { kind: FrameKind::Request, id, number: T::TYPE, payload: cbor::encode(call) }
    }

    /// Answers request `id` of type `number`.
    #[must_use]
    pub fn ok<A: Encode<()>>(id: u64, number: u16, answer: &A) -> Self {
        Self { kind: FrameKind::Ok, id, number, payload: cbor::encode(answer) }
    }

    /// Refuses request `id` of type `number`.
    #[must_use]
    pub fn error(id: u64, number: u16, refusal: &Refusal) -> Self {
        Self { kind: FrameKind::Error, id, number, payload: cbor::encode(refusal) }
    }

    /// Says something unasked.
    #[must_use]
    pub fn push(push: &Push) -> Self {
        Self { kind: FrameKind::Push, id: 0, number: push.number(), payload: push.encode() }
    }

    /// Appends the frame to a record's body.
    pub fn encode_into(&self, body: &mut Vec<u8>) {
        encode_head((self.kind, self.id, self.number), body);
        body.extend_from_slice(&self.payload);
    }
}

/// Appends a push to a record's body, its payload written in place.
pub fn push_into<T: Encode<()>>(number: u16, payload: &T, body: &mut Vec<u8>) {
    encode_head((FrameKind::Push, 0, number), body);
    cbor::encode_into(payload, body);
}

fn encode_head((kind, id, number): (FrameKind, u64, u16), body: &mut Vec<u8>) {
    let mut encoder = Encoder::new(body);
    let outcome = encoder.array(4).and_then(|e| e.u8(kind as u8)?.u64(id)?.u16(number));
    debug_assert!(outcome.is_ok(), "encoding into memory failed");
}

/// Reads the frames of a data record, in order.
///
/// # Errors
/// [`Malformed`] when the body is empty or any part of it is not a frame; then none is to be processed.
pub fn decode_frames(body: &[u8]) -> Result<Vec<Frame>, Malformed> {
    let (first, mut rest) = cbor::split_item(body)?;
    let mut frames = vec![decode_frame(first)?];
    while !rest.is_empty() {
        let (item, after) = cbor::split_item(rest)?;
        frames.push(decode_frame(item)?);
        rest = after;
    }
    Ok(frames)
}

/// `item` was scanned: after kind, id and type of an array of four, exactly one item is left.
fn decode_frame(item: &[u8]) -> Result<Frame, Malformed> {
    let mut decoder = Decoder::new(item);
    if decoder.array().map_err(|_| Malformed)? != Some(4) {
        return Err(Malformed);
    }
    let kind = decoder.u8().map_err(|_| Malformed)?.try_into()?;
    let id = decoder.u64().map_err(|_| Malformed)?;
    let number = decoder.u16().map_err(|_| Malformed)?;
    let payload = item.get(decoder.position()..).ok_or(Malformed)?.to_vec();
    Ok(Frame { kind, id, number, payload })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::MAX_NUMBER;
    use crate::message::client::MailboxAck;
    use crate::message::server::Code;

    fn body(frames: &[Frame]) -> Vec<u8> {
        let mut body = Vec::new();
        frames.iter().for_each(|frame| frame.encode_into(&mut body));
        body
    }

    #[test]
    fn a_request_is_an_array_of_four() {
        let ack = Frame::request(7, &MailboxAck { seq: 300 });
        assert_eq!(body(&[ack]), [0x84, 0, 7, 0x18, 49, 0xa1, 0, 0x19, 1, 44]);
    }

    #[test]
    fn bodies_that_are_not_frames_are_refused_whole() {
        let good = body(&[Frame::error(1, 49, &Refusal::new(Code::Busy))]);
        assert!(decode_frames(&good).is_ok());
        for (bad, why) in [
            ("", "empty"),
            ("83000731", "three elements"),
            ("850007183100a0", "five elements"),
            ("8404071831a0", "kind 4"),
            ("8420071831a0", "negative kind"),
            ("840007 1a00010000 a0", "type over 16 bits"),
            ("8400071831", "no payload"),
            ("8400071831a0ff", "garbage behind"),
            ("a0", "not an array"),
        ] {
            let bad = hex::decode(bad.replace(' ', "")).unwrap();
            assert_eq!(decode_frames(&bad), Err(Malformed), "{why}");
            assert!(decode_frames(&[good.clone(), vec![0xff]].concat()).is_err());
        }
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        (0..4u8, 0..=MAX_NUMBER, any::<u16>(), proptest::collection::vec(0..=MAX_NUMBER, 0..8)).prop_map(
            |(kind, id, number, payload)| Frame {
                kind: kind.try_into().unwrap(),
                id,
                number,
                payload: cbor::encode(&payload),
            },
        )
    }

    proptest! {
        #[test]
        fn frames_read_back_as_written(frames in proptest::collection::vec(any_frame(), 1..20)) {
            prop_assert_eq!(decode_frames(&body(&frames)), Ok(frames));
        }

        #[test]
        fn what_is_read_was_written_in_the_only_way(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(frames) = decode_frames(&bytes) {
                prop_assert_eq!(body(&frames), bytes);
            }
        }
    }
}
