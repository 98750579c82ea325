//! A change of a message, as it is kept and as it travels.

use chat_protocol::ids::{Fingerprint, MessageId, Username};
use chat_protocol::session::content::{self as wire, Body};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

/// A change of a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Change {
    /// The chat of the message.
    #[n(0)]
    pub(crate) chat: String,
    /// Who changes it.
    #[n(1)]
    pub(crate) by: Username,
    /// The identity of somebody else who does.
    #[n(2)]
    pub(crate) author: Option<Fingerprint>,
    /// The message.
    #[n(3)]
    pub(crate) target: MessageId,
    /// The clock of who changes it.
    #[n(4)]
    pub(crate) at: Timestamp,
    #[n(5)]
    pub(crate) what: What,
    /// When it came to be here, in time that was seen to pass.
    #[n(6)]
    pub(crate) kept: Timestamp,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum What {
    /// Another text.
    #[n(0)]
    Edit(#[n(0)] String),
    /// It is taken back.
    #[n(1)]
    Delete,
    /// A sign; empty takes it back.
    #[n(2)]
    React(#[n(0)] String),
}

impl Change {
    /// As it is written for the peer.
    pub(crate) fn body(&self) -> Body {
        let target = self.target;
        match &self.what {
            What::Edit(text) => Body::Edit(wire::Edit { target, text: text.clone() }),
            What::Delete => Body::Delete(wire::Delete { target }),
            What::React(emoji) => Body::Reaction(wire::Reaction { target, emoji: emoji.clone() }),
        }
    }
}
