//! Envelopes: opened by the device they are for, and passed on as bytes by everybody between.

use minicbor::bytes::ByteSlice;
use minicbor::encode::Write;
use minicbor::{CborLen, Decode, Decoder, Encode, Encoder, decode, encode};

use super::Blob;
use crate::cbor::{self, Malformed};
use crate::ids::SessionId;

/// One end-to-end message for one device, as submitted and as delivered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Envelope {
    /// Session it belongs to.
    #[n(0)]
    pub sid: SessionId,
    /// Ratchet header, 40 bytes: ratchet key ‖ pn ‖ n.
    #[n(1)]
    pub header: Blob,
    /// The Fernet token, base64url-decoded.
    #[n(2)]
    pub token: Blob,
    /// The INIT, until the initiator has opened a reply.
    #[n(3)]
    pub init: Option<Blob>,
}

/// An [`Envelope`] that was looked at and is passed on as the bytes it came as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedEnvelope {
    bytes: Vec<u8>,
    sizes: EnvelopeSizes,
}

/// How long the parts of an envelope are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvelopeSizes {
    /// The ratchet header.
    pub header: usize,
    /// The token.
    pub token: usize,
    /// The INIT; 0 without one.
    pub init: usize,
}

/// The fields of an [`Envelope`], where they lie.
#[derive(Encode, Decode, CborLen)]
#[cbor(map)]
struct View<'b> {
    #[n(0)]
    sid: SessionId,
    #[b(1)]
    header: &'b ByteSlice,
    #[b(2)]
    token: &'b ByteSlice,
    #[b(3)]
    init: Option<&'b ByteSlice>,
}

impl EncodedEnvelope {
    /// Looks whether bytes that were stored are an envelope.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn check(bytes: &[u8]) -> Result<(), Malformed> {
        cbor::decode::<View<'_>>(bytes).map(drop)
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    /// How long its parts are.
    #[must_use]
    pub const fn sizes(&self) -> EnvelopeSizes {
        self.sizes
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl<'b, C> Decode<'b, C> for EncodedEnvelope {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        let start = d.position();
        let view: View<'b> = d.decode_with(ctx)?;
        let whole = d.input().get(start..d.position()).unwrap_or_default();
        let init = view.init.map_or(0, |init| init.len());
        let sizes = EnvelopeSizes { header: view.header.len(), token: view.token.len(), init };
        // in the strict form what is longer has keys that are not known here: they are bounded by nothing, and go no further
        let bytes = if minicbor::len(&view) == whole.len() { whole.to_vec() } else { cbor::encode(&view) };
        Ok(Self { bytes, sizes })
    }
}

/// An envelope's bytes, to be written into something as they are.
#[derive(Clone, Copy, Debug)]
pub struct Verbatim<'b>(
    /// One strict CBOR item.
    pub &'b [u8],
);

impl<C> Encode<C> for Verbatim<'_> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.writer_mut().write_all(self.0).map_err(encode::Error::write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::client::{Addressed, Request, Submit};
    use crate::message::push::Deliver;
    use crate::message::{Call, Done};

    fn envelope(init: Option<Vec<u8>>) -> Envelope {
        let (header, token) = (vec![1; 40].into(), vec![2; 300].into());
        Envelope { sid: SessionId::new([7; 16]), header, token, init: init.map(Into::into) }
    }

    /// An envelope whose map has `count` entries, `more` behind the known ones.
    fn stretched(count: u8, more: &[u8]) -> Vec<u8> {
        let mut bytes = cbor::encode(&envelope(None));
        bytes[0] = 0xa0 | count;
        [bytes, more.to_vec()].concat()
    }

    fn read(bytes: &[u8]) -> Result<EncodedEnvelope, Malformed> {
        cbor::decode(bytes)
    }

    #[test]
    fn an_envelope_is_kept_as_the_bytes_it_came_as() {
        for (init, len) in [(None, 0), (Some(vec![3; 5_000]), 5_000)] {
            let bytes = cbor::encode(&envelope(init));
            let read = read(&bytes).unwrap();
            assert_eq!(read.sizes(), EnvelopeSizes { header: 40, token: 300, init: len });
            assert_eq!(read.into_bytes(), bytes);
            assert_eq!(EncodedEnvelope::check(&bytes), Ok(()));
        }
    }

    #[test]
    fn what_an_envelope_has_no_room_for_goes_no_further() {
        let plain = cbor::encode(&envelope(None));
        for (count, more) in [(4, [3, 0xf6].as_slice()), (4, &[9, 0x43, 1, 2, 3]), (5, &[3, 0xf6, 4, 0])] {
            assert_eq!(read(&stretched(count, more)).unwrap().into_bytes(), plain, "{more:?}");
        }
    }

    #[test]
    fn what_is_no_envelope_is_refused_as_it_was() {
        let good = cbor::encode(&envelope(Some(vec![3; 9])));
        let cut = |len: usize| good[..len].to_vec();
        let wrong = [cut(0), cut(1), cut(good.len() - 1), cbor::encode(&Done {}), stretched(4, &[3, 0]), vec![0xf6]];
        for bytes in wrong.into_iter().chain([[good.clone(), vec![0]].concat(), stretched(4, &[2, 0x40])]) {
            assert!(cbor::decode::<Envelope>(&bytes).is_err(), "{bytes:?}");
            assert_eq!(read(&bytes), Err(Malformed), "{bytes:?}");
            assert_eq!(EncodedEnvelope::check(&bytes), Err(Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn a_submit_keeps_its_envelopes_and_a_delivery_carries_them_on() {
        let (device, from) = (crate::ids::DeviceId::new([4; 16]), "alice".parse().unwrap());
        let to = vec![Addressed { device, envelope: envelope(Some(vec![3; 2_000])) }];
        let submit = Submit { submit_id: crate::ids::SubmitId::new(1, [5; 8]), heads: Vec::new(), to, group: None };
        let Ok(Request::Submit(read)) = Request::decode(Submit::TYPE, &cbor::encode(&submit)) else { panic!() };
        let bytes = read.to.into_iter().next().unwrap().envelope.into_bytes();
        let whole = Deliver { mailbox_seq: 3, from, from_device: device, envelope: submit.to[0].envelope.clone() };
        let Deliver { mailbox_seq, from, from_device, .. } = whole.clone();
        let passed_on = Deliver { mailbox_seq, from, from_device, envelope: Verbatim(&bytes) };
        assert_eq!(cbor::encode(&passed_on), cbor::encode(&whole));
    }
}
