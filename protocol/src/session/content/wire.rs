//! The CBOR of a content.

use minicbor::{CborLen, Decode, Encode};

use super::{Ack, Body, Content, ContentError, Conversation, Heads, SenderSeq};
use crate::cbor;
use crate::ids::{MessageId, Username};
use crate::message::Blob;
use crate::time::Timestamp;

/// The one content version there is.
const VERSION: u8 = 1;

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
    /// CBOR of the type's own, in a byte string so that an unknown one can be kept.
    #[n(8)]
    body: Blob,
}

/// Exactly one key names the kind of conversation.
#[derive(Encode, Decode, CborLen)]
#[cbor(map)]
struct WireConversation {
    #[n(0)]
    user: Option<Username>,
    #[n(1)]
    group: Option<Blob>,
}

impl Content {
    pub(super) fn to_cbor(&self) -> Vec<u8> {
        let conversation = match &self.conversation {
            Conversation::Direct(user) => WireConversation { user: Some(user.clone()), group: None },
            Conversation::Group(id) => WireConversation { user: None, group: Some(id.to_vec().into()) },
            Conversation::Unknown => WireConversation { user: None, group: None },
        };
        cbor::encode(&Wire {
            version: VERSION,
            kind: self.body.kind(),
            conversation,
            id: self.id,
            sender_seq: self.sender_seq,
            sent: self.sent,
            heads: self.heads,
            acks: self.acks.clone(),
            body: self.body.to_cbor().into(),
        })
    }

    pub(super) fn from_cbor(bytes: &[u8]) -> Result<Self, ContentError> {
        let wire: Wire = cbor::decode(bytes).map_err(|_| ContentError::Malformed)?;
        if wire.version != VERSION {
            return Err(ContentError::Malformed);
        }
        Ok(Self {
            conversation: wire.conversation.read()?,
            id: wire.id,
            sender_seq: wire.sender_seq,
            sent: wire.sent,
            heads: wire.heads,
            acks: wire.acks,
            body: Body::from_cbor(wire.kind, &wire.body)?,
        })
    }
}

impl WireConversation {
    fn read(self) -> Result<Conversation, ContentError> {
        match (self.user, self.group) {
            (Some(user), None) => Ok(Conversation::Direct(user)),
            (None, Some(id)) => id.0.try_into().map(Conversation::Group).map_err(|_| ContentError::Malformed),
            (None, None) => Ok(Conversation::Unknown),
            (Some(_), Some(_)) => Err(ContentError::Malformed),
        }
    }
}
