//! The CBOR of a content.

use minicbor::{CborLen, Decode, Encode};

use super::in_group::InGroup;
use super::{Ack, Body, Content, ContentError, Conversation, Heads, SenderSeq, Unsupported};
use crate::cbor;
use crate::ids::{GroupId, MessageId, Username};
use crate::message::Blob;
use crate::time::Timestamp;

/// What is meant where no version is named.
pub const FIRST_VERSION: u8 = 1;
/// The content version that is written here.
pub(super) const VERSION: u8 = FIRST_VERSION;
/// The content versions that are read here: named in bundles, so that nobody sends others.
pub const VERSIONS: [u8; 1] = [VERSION];

/// What of a content is as it came, whatever is known of it.
pub(super) struct Came {
    pub(super) version: u8,
    pub(super) body: Blob,
}

#[derive(Encode, Decode, CborLen)]
#[cbor(map)]
struct Wire {
    #[n(0)]
    version: u8,
    #[n(1)]
    kind: u16,
    #[n(2)]
    conversation: WireConversation,
    #[n(3)]
    id: MessageId,
    #[n(4)]
    sender_seq: Option<SenderSeq>,
    #[n(5)]
    sent: Timestamp,
    #[n(6)]
    heads: Heads,
    #[n(7)]
    acks: Vec<Ack>,
    /// CBOR of the type's and version's own, in a byte string so that an unknown one can be kept.
    #[n(8)]
    body: Blob,
    /// Present exactly in a group, in every version. A frozen content of a later one has something else at 9.
    #[n(10)]
    in_group: Option<InGroup>,
}

/// Exactly one key names the kind of conversation.
#[derive(Encode, Decode, CborLen)]
#[cbor(map)]
struct WireConversation {
    #[n(0)]
    user: Option<Username>,
    #[n(1)]
    group: Option<GroupId>,
}

impl Content {
    pub(super) fn to_cbor(&self) -> Vec<u8> {
        cbor::encode(&self.wire(self.body.to_cbor()))
    }

    /// Bytes of [`Self::to_cbor`], which is not done for it.
    pub(super) fn cbor_len(&self) -> usize {
        let body = self.body.cbor_len();
        // the head of a byte string is as long as that of a number; an empty one is a byte
        minicbor::len(self.wire(Vec::new())) - 1 + minicbor::len(body) + body
    }

    fn wire(&self, body: Vec<u8>) -> Wire {
        let (user, group) = match &self.conversation {
            Conversation::Direct(user) => (Some(user.clone()), None),
            Conversation::Group(id, in_group) => (None, Some((*id, in_group.clone()))),
            Conversation::Unknown => (None, None),
        };
        let (group, in_group) = group.unzip();
        let conversation = WireConversation { user, group };
        Wire {
            version: VERSION,
            kind: self.body.kind(),
            conversation,
            id: self.id,
            sender_seq: self.sender_seq,
            sent: self.sent,
            heads: self.heads,
            acks: self.acks.clone(),
            body: body.into(),
            in_group,
        }
    }

    /// All but the body, which is given as it came too, with its version, is alike in every version. What a later one means by its body is not
    /// known here, whatever its type.
    pub(super) fn from_cbor(bytes: &[u8]) -> Result<(Self, Came), ContentError> {
        let wire: Wire = cbor::decode(bytes).map_err(|_| ContentError::Malformed)?;
        let body = match wire.version {
            0 => return Err(ContentError::Malformed),
            version if VERSIONS.contains(&version) => Body::from_cbor(wire.kind, &wire.body)?,
            _ => Body::Unsupported(Unsupported { kind: wire.kind, body: wire.body.to_vec() }),
        };
        let content = Self {
            conversation: wire.conversation.read(wire.in_group)?,
            id: wire.id,
            sender_seq: wire.sender_seq,
            sent: wire.sent,
            heads: wire.heads,
            acks: wire.acks,
            body,
        };
        Ok((content, Came { version: wire.version, body: wire.body }))
    }
}

impl WireConversation {
    fn read(self, in_group: Option<InGroup>) -> Result<Conversation, ContentError> {
        match (self.user, self.group, in_group) {
            (Some(user), None, None) => Ok(Conversation::Direct(user)),
            (None, Some(id), Some(in_group)) => Ok(Conversation::Group(id, in_group)),
            (None, None, None) => Ok(Conversation::Unknown),
            _ => Err(ContentError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DeviceId, Head, HeadHash};
    use crate::session::content::Profile;

    #[test]
    fn a_content_is_counted_as_long_as_it_is_written() {
        let head = Head { seq: 12, hash: HeadHash::new([1; 32]) };
        let lengths = (0..300).chain([65_500, 65_520, 65_536, 70_000]);
        let texts = lengths.map(|len| Body::text("x".repeat(len)));
        for body in texts.chain([Body::Heartbeat, Body::Reset, Body::Profile(Profile::default())]) {
            for acks in 0..3 {
                let ack = Ack { device: DeviceId::new([2; 16]), epoch: 1 << 40, below: 300, given_up: vec![7] };
                let content = Content {
                    conversation: Conversation::Direct("bob".parse().unwrap()),
                    id: MessageId::new([7; 16]),
                    sender_seq: body.is_message().then_some(SenderSeq { epoch: 1, n: 70_000, first: None }),
                    sent: Timestamp::from_millis(1_800_000_000_000),
                    heads: Heads { own: head, peer: head },
                    acks: vec![ack; acks],
                    body: body.clone(),
                };
                assert_eq!(content.cbor_len(), content.to_cbor().len());
            }
        }
    }
}
