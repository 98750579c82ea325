//! What programs keep here.

use chat_protocol::ids::MessageId;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

/// How far a reader of the event log has come.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Consumer {
    #[n(0)]
    pub(crate) name: String,
    /// The last event it acknowledged.
    #[n(1)]
    pub(crate) acked: u64,
    /// When it was last heard of.
    #[n(2)]
    pub(crate) seen: Timestamp,
}

/// Hash of a token's text.
pub type TokenHash = [u8; 32];

/// A token: what it may do, as the socket says it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct TokenRow {
    #[n(0)]
    pub(crate) json: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) hash: TokenHash,
}

/// A value that a program keeps.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct KvValue {
    #[n(0)]
    pub(crate) json: String,
    #[n(1)]
    pub(crate) version: u64,
}

/// What the values of one payer take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct KvUsage {
    /// Bytes of their keys and their JSON.
    #[n(0)]
    pub(crate) bytes: u64,
    /// Namespaces that have any.
    #[n(1)]
    pub(crate) namespaces: u64,
}

/// What the name was used for that a caller gave to a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct UsedClientId {
    #[n(0)]
    pub(crate) id: MessageId,
    /// Digest of all that makes it another message.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) body: [u8; 32],
}
